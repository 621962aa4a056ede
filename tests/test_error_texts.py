"""The situations that bring people here, one test each, by the text of the error they saw."""

from __future__ import annotations

import sys
import types
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from releases import IS_KERAS_3_3
from saved_models import Scorer, save_tf1

from safeload import errors, load_callable

X = np.arange(8, dtype="float32").reshape(2, 4) / 8


class CallableScorer(Scorer):
    """A module with ``__call__``."""

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def __call__(self, x):
        return tf.matmul(x, self.kernel)


EXPECTED = X @ np.ones((4, 3), "float32")


def _saved(module, path, **signatures):
    tf.saved_model.save(module, str(path), signatures=signatures or None)
    return path


def _mlp():
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "tanh")])


def test_autotrackable_object_is_not_callable(tmp_path):
    """'AutoTrackable' object is not callable: a TF1 SavedModel."""
    path = tmp_path / "m"
    save_tf1(str(path))
    with pytest.raises(TypeError, match="'AutoTrackable' object is not callable"):
        tf.saved_model.load(str(path))(X)
    np.testing.assert_allclose(load_callable(path)(X), EXPECTED)


def test_user_object_is_not_callable_after_keras_export(tmp_path):
    """'_UserObject' object is not callable: a Keras 3 export."""
    model = _mlp()
    model.export(str(tmp_path / "m"))
    with pytest.raises(TypeError, match="'_UserObject' object is not callable"):
        tf.saved_model.load(str(tmp_path / "m"))(X)
    np.testing.assert_allclose(load_callable(tmp_path / "m")(X), model(X), rtol=1e-6)


def test_user_object_is_not_callable_for_a_module_without_call(tmp_path):
    """'_UserObject' object is not callable: a tf.Module with other methods."""
    module = Scorer()
    path = _saved(module, tmp_path / "m", serving_default=module.score)
    np.testing.assert_allclose(load_callable(path)(X), EXPECTED)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.bin", "model"])
def test_file_format_not_supported_for_an_hdf5_file_of_another_name(tmp_path, name):
    """File format not supported: the suffix plays no part."""
    model = _mlp()
    model.save(tmp_path / "saved.h5")
    (tmp_path / "saved.h5").rename(tmp_path / name)
    np.testing.assert_allclose(load_callable(tmp_path / name)(X), model(X), rtol=1e-6)


def test_keras_archive_under_an_hdf5_name(tmp_path):
    """File signature not found: a .keras archive named .h5."""
    model = _mlp()
    model.save(tmp_path / "saved.keras")
    (tmp_path / "saved.keras").rename(tmp_path / "model.h5")
    np.testing.assert_allclose(load_callable(tmp_path / "model.h5")(X), model(X), rtol=1e-6)


def test_saved_model_directory_where_hdf5_is_expected(tmp_path):
    """File format not supported: a SavedModel, by its directory or its .pb, whatever they are called."""
    path = _saved(CallableScorer(), tmp_path / "model.h5")
    np.testing.assert_allclose(load_callable(path)(X), EXPECTED)
    np.testing.assert_allclose(load_callable(path / "saved_model.pb")(X), EXPECTED)


def test_hdf5_file_where_a_saved_model_is_expected(tmp_path):
    """SavedModel file does not exist at: an HDF5 file inside the directory that was given to TensorFlow."""
    model = _mlp()
    (tmp_path / "saved_model").mkdir()
    model.save(tmp_path / "saved_model" / "model.h5")
    np.testing.assert_allclose(load_callable(tmp_path / "saved_model" / "model.h5")(X), model(X), rtol=1e-6)


def test_key_error_serving_default(tmp_path):
    """KeyError: 'serving_default': the only signature is taken, whatever its key."""
    module = Scorer()
    path = _saved(module, tmp_path / "m", classify=module.score)
    np.testing.assert_allclose(load_callable(path)(X), EXPECTED)


def test_several_signatures_without_a_default(tmp_path):
    """Several signatures and no default: all are listed, one is chosen by name."""
    module = Scorer()
    path = _saved(module, tmp_path / "m", score=module.score, negated=module.negated)
    with pytest.raises(errors.AmbiguousSignatureError) as caught:
        load_callable(path)
    assert "score(x: float32 [None, 4])" in str(caught.value)
    np.testing.assert_allclose(load_callable(path, signature="negated")(X), -EXPECTED)


def test_wrong_signature_key_lists_the_right_ones(tmp_path):
    """A wrong key: the keys with inputs and outputs, and the nearest."""
    module = Scorer()
    path = _saved(module, tmp_path / "m", score=module.score, negated=module.negated)
    with pytest.raises(errors.SignatureNotFoundError) as caught:
        load_callable(path, signature="scor")
    assert "did you mean 'score'?" in str(caught.value)
    assert "negated(x: float32 [None, 4]) -> (output_0: float32 [None, 3])" in str(caught.value)


def test_saved_model_without_signatures_but_with_call(tmp_path):
    """No signatures: __call__ answers."""
    tf.saved_model.save(CallableScorer(), str(tmp_path / "m"), signatures={})
    np.testing.assert_allclose(load_callable(tmp_path / "m")(X), EXPECTED)


def test_saved_model_with_other_functions_only(tmp_path):
    """No signatures and no __call__: two functions are a question, one by name an answer."""
    tf.saved_model.save(Scorer(), str(tmp_path / "m"), signatures={})
    with pytest.raises(errors.AmbiguousSignatureError, match="negated"):
        load_callable(tmp_path / "m")
    np.testing.assert_allclose(load_callable(tmp_path / "m", signature="score")(X), EXPECTED)


def test_saved_model_with_variables_only(tmp_path):
    """Nothing callable: the error says how to save again."""
    module = tf.Module()
    module.kernel = tf.Variable([1.0])
    tf.saved_model.save(module, str(tmp_path / "m"))
    with pytest.raises(errors.NoCallableError, match="saved_model.save"):
        load_callable(tmp_path / "m")


def test_function_traced_with_several_shapes(tmp_path):
    """Could not find matching concrete function: the trace that fits is taken."""

    class Doubler(tf.Module):
        @tf.function
        def __call__(self, x):
            return x * 2

    module = Doubler()
    module(tf.zeros([2, 3]))
    module(tf.zeros([5]))
    tf.saved_model.save(module, str(tmp_path / "m"))
    double = load_callable(tmp_path / "m")
    np.testing.assert_allclose(double(np.ones((2, 3), "float32")), 2 * np.ones((2, 3)))
    np.testing.assert_allclose(double(np.ones(5)), 2 * np.ones(5))
    with pytest.raises(errors.InputMismatchError, match=r"\[2, 3\]"):
        double(np.ones((4, 4), "float32"))


@pytest.fixture
def my_layers(monkeypatch):
    """A module of the user's with a layer, a function, a loss and a metric."""
    module = types.ModuleType("my_layers")

    class MyLayer(keras.layers.Layer):
        def call(self, x):
            return x * 3.0

    def my_activation(x):
        return keras.ops.tanh(x) * 2.0

    def my_loss(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred))

    def my_metric(y_true, y_pred):
        return keras.ops.max(y_pred)

    for value in (MyLayer, my_activation, my_loss, my_metric):
        value.__module__ = "my_layers"
        value.__qualname__ = value.__name__
        setattr(module, value.__name__, value)
    monkeypatch.setitem(sys.modules, "my_layers", module)
    return module


@pytest.fixture(params=[".h5", ".keras"])
def custom_model(request, tmp_path, my_layers):
    """A compiled model with custom parts, and its outputs."""
    model = keras.Sequential(
        [keras.layers.Input((4,)), my_layers.MyLayer(), keras.layers.Dense(2, activation=my_layers.my_activation)]
    )
    model.compile("adam", loss=my_layers.my_loss, metrics=[my_layers.my_metric, "mse"])
    path = tmp_path / f"model{request.param}"
    model.save(path)
    return path, np.asarray(model(X))


def test_module_object_is_not_callable(custom_model, my_layers):
    """deserialize_keras_object … 'module' object is not callable: a module as a value is looked into."""
    path, expected = custom_model
    predict = load_callable(path, custom_objects={"MyLayer": my_layers, "my_activation": my_layers})
    np.testing.assert_allclose(predict(X), expected, rtol=1e-6)


def test_unknown_layer_given_in_a_dict(custom_model, my_layers):
    """Unknown layer: classes and functions in custom_objects; loss and metric are not asked for."""
    path, expected = custom_model
    objects = {"MyLayer": my_layers.MyLayer, "my_activation": my_layers.my_activation}
    np.testing.assert_allclose(load_callable(path, custom_objects=objects)(X), expected, rtol=1e-6)


def test_unknown_layer_given_in_a_module(custom_model, my_layers):
    """Unknown layer: the module that defines it."""
    path, expected = custom_model
    np.testing.assert_allclose(load_callable(path, modules=[my_layers])(X), expected, rtol=1e-6)


def test_every_missing_name_is_reported_at_once(custom_model):
    """Could not locate class: all that inference needs, nothing that only training needs."""
    path, _ = custom_model
    with pytest.raises(errors.CustomObjectNotFoundError) as caught:
        load_callable(path)
    assert {m.name for m in caught.value.missing} == {"MyLayer", "my_activation"}


def test_the_class_lives_in_another_module_now(custom_model, my_layers, monkeypatch):
    """Cannot be imported: the module that the file names is gone, the class is found by its name."""
    path, expected = custom_model
    monkeypatch.delitem(sys.modules, "my_layers")
    moved = types.ModuleType("app.blocks")
    moved.MyLayer, moved.my_activation = my_layers.MyLayer, my_layers.my_activation
    moved.MyLayer.__module__ = moved.my_activation.__module__ = "app.blocks"
    np.testing.assert_allclose(load_callable(path, modules=[moved])(X), expected, rtol=1e-6)


def test_unknown_layer_relu(tmp_path):
    """Unknown layer: 'Relu': an HDF5 file with operations of keras.ops, which no Keras loads."""
    x = keras.Input((4,))
    model = keras.Model(x, keras.ops.relu(x - 0.5) * 2)
    model.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="Unknown layer"):
        keras.models.load_model(tmp_path / "m.h5")
    np.testing.assert_allclose(load_callable(tmp_path / "m.h5")(X), model(X), rtol=1e-6)


@mock.patch.dict(keras.saving.get_custom_objects())
@pytest.mark.parametrize("name", ["drifted>Scale", "Scale", "elsewhere>Scale"])
def test_registered_name_that_drifted(tmp_path, name):
    """Could not locate class: the package under which the class is registered today is not that of the file."""

    @keras.saving.register_keras_serializable(package="drifted")
    class Scale(keras.layers.Layer):
        def call(self, x):
            return 3 * x

    keras.Sequential([keras.Input((4,)), Scale()]).save(tmp_path / "m.keras")
    del keras.saving.get_custom_objects()["drifted>Scale"]
    moved = type("Scale", (keras.layers.Layer,), {"call": Scale.call})
    given = (
        {name: moved} if name != "elsewhere>Scale" else [keras.saving.register_keras_serializable("elsewhere")(moved)]
    )
    np.testing.assert_allclose(load_callable(tmp_path / "m.keras", custom_objects=given)(X), 3 * X, rtol=1e-6)


@pytest.mark.skipif(IS_KERAS_3_3, reason="Keras 3.3 cannot load the output_shape that it writes for a Lambda")
def test_name_is_not_defined_in_a_lambda(tmp_path):
    """Name 'helper' is not defined: what a trusted Lambda refers to is given like any custom object."""
    namespace = {}
    exec("f = lambda x: helper(x) + K.mean(x) * 0", namespace)  # the module of the Lambda is not there any more
    namespace.update(helper=lambda x: 2 * x, K=keras.ops)
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(namespace["f"], output_shape=(4,))]).save(
        tmp_path / "m.keras"
    )
    with pytest.raises(errors.UnsafeModelError) as caught:
        load_callable(tmp_path / "m.keras")
    trusted = [finding.identifier for finding in caught.value.findings]
    with pytest.raises(errors.LoadFailedError, match="refers to 'helper', which its file does not hold"):
        load_callable(tmp_path / "m.keras", trusted=trusted)
    objects = {"helper": lambda x: 2 * x, "K": keras.ops}
    predict = load_callable(tmp_path / "m.keras", trusted=trusted, custom_objects=objects)
    np.testing.assert_allclose(predict(X), 2 * X, rtol=1e-6)


def lowered(text):
    return tf.strings.lower(text)


def test_unable_to_restore_a_layer_of_class_text_vectorization(tmp_path):
    """Unable to restore a layer of class TextVectorization: the function that it needs is named."""
    layer = keras.layers.TextVectorization(standardize=lowered, output_sequence_length=2)
    layer.adapt(["a b", "c"])
    x = keras.Input((1,), dtype="string")
    model = keras.Model(x, layer(x))
    model.save(tmp_path / "m.keras")
    with pytest.raises(errors.CustomObjectNotFoundError, match="function 'lowered'"):
        load_callable(tmp_path / "m.keras")
    text = tf.constant([["A b"]])
    found = load_callable(tmp_path / "m.keras", custom_objects=[lowered])(text)
    np.testing.assert_array_equal(found, model(text))


def test_saved_model_without_keras_metadata(tmp_path):
    """Unable to create a Keras model from SavedModel … lacks the Keras metadata file: a SavedModel all the same."""
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(3)])
    tf.saved_model.save(model, str(tmp_path / "m"))
    np.testing.assert_allclose(load_callable(tmp_path / "m")(X), model(X), rtol=1e-6)


def test_unable_to_restore_custom_object_of_class(tmp_path):
    """Unable to restore custom object of class: the functions of a SavedModel need no class."""
    tf_keras = pytest.importorskip("tf_keras")

    class Unregistered(tf_keras.layers.Layer):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, x):
            return self.factor * x

    model = tf_keras.Sequential([tf_keras.Input((4,)), Unregistered(3.0)])
    model.save(tmp_path / "m")
    np.testing.assert_allclose(load_callable(tmp_path / "m")(X), model(X), rtol=1e-6)


def test_module_of_the_class_is_not_there(custom_model, my_layers, monkeypatch):
    """ModuleNotFoundError for the module that the file names: it is not imported, and the error says where it was."""
    path, expected = custom_model
    monkeypatch.delitem(sys.modules, "my_layers")
    with pytest.raises(errors.CustomObjectNotFoundError, match="MyLayer"):
        load_callable(path)
    assert "my_layers" not in sys.modules
    monkeypatch.setitem(sys.modules, "today", my_layers)
    np.testing.assert_allclose(load_callable(path, modules=["today"])(X), expected, rtol=1e-6)
