"""Custom objects that do not fit are explained before Keras sees them; those of two threads stay apart."""

from __future__ import annotations

import abc
import json
import types
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from releases import what_this_keras_can
from threads import in_threads

import safeload
from safeload.errors import (
    CustomObjectConflictError,
    CustomObjectNotFoundError,
    IncompatibleVersionError,
    LoadFailedError,
    UnsupportedFormatError,
)
from safeload.runtime._keras._load import explained
from safeload.runtime._keras._package import import_keras
from safeload.runtime._keras._resolve import Resolver

if TYPE_CHECKING:
    from pathlib import Path

layers = keras.layers
X = np.ones((2, 4), "float32")


class Scale(layers.Layer):
    """What the file was saved with."""

    def __init__(self, factor: float = 3.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return x * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Renamed(Scale):
    def __init__(self, amount: float = 1.0, *, name: Any = None, trainable: bool = True, dtype: Any = None) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)


class Demanding(Scale):
    def __init__(self, depth: int, **options: Any) -> None:
        super().__init__(**options)


class Closed(Scale):
    def __init__(self, factor: float = 3.0, name: Any = None) -> None:
        super().__init__(factor, name=name)


class Abstract(Scale, abc.ABC):
    @abc.abstractmethod
    def shape(self) -> Any:
        """Not defined."""


class NoLayer:
    pass


def function(x: Any) -> Any:
    return x


@pytest.fixture(params=[".keras", ".h5"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file that needs Scale."""
    target = tmp_path / f"m{request.param}"
    keras.Sequential([keras.Input((4,)), Scale(2.0)]).save(target)
    return target


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Renamed, "does not take factor, which the file records"),
        (Demanding, "needs depth, which the file does not record"),
        (Closed, r"takes no dtype, trainable, which every layer records\n.*hint: let its __init__ .*; or pass arch"),
        (Abstract, "is abstract: it does not define shape"),
        (NoLayer, "has no from_config, so it is no class of Keras"),
        (function, "of type 'function' was given where a class is needed"),
        (Scale(), "of type 'Scale' was given where a class is needed"),
        (np, "the module 'numpy' was given where a class is needed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_does_not_fit(path: Path, given: Any, text: str) -> None:
    """Each way of not fitting has its own sentence."""
    with pytest.raises(CustomObjectConflictError, match=text):
        safeload.load_callable(path, custom_objects={"Scale": given})


class Popping(layers.Layer):
    """As the layers of libraries that hand ``**kwargs`` on from class to class."""

    def __init__(self, **kwargs: Any) -> None:
        self.factor = kwargs.pop("factor", 3.0)
        super().__init__(**kwargs)

    def call(self, x: Any) -> Any:
        return self.factor * x


def test_what_a_class_of_the_callers_pops(path: Path) -> None:
    """A constructor may take out of ``**kwargs`` what it does not declare, or one above it."""
    given = type("Derived", (Popping,), {"__init__": lambda self, **kwargs: Popping.__init__(self, **kwargs)})
    for cls in (Popping, given):
        np.testing.assert_array_equal(safeload.load_callable(path, custom_objects={"Scale": cls})(X), 2 * X)


@pytest.mark.skipif(
    "autocast" not in layers.Layer().get_config(), reason="this Keras writes only what a class of tf_keras takes"
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_class_of_keras_2_for_a_file_of_keras_3(tmp_path: Path, suffix: str) -> None:
    """The class decides the road, and the error says which Keras each of the two is of."""
    tf_keras = pytest.importorskip("tf_keras")
    new, old = (type("Plain", (base,), {"call": lambda self, x: x}) for base in (layers.Layer, tf_keras.layers.Layer))
    keras.Sequential([keras.Input((4,)), new()]).save(tmp_path / f"m{suffix}")
    with pytest.raises(CustomObjectConflictError, match="tf_keras .Keras 2., and the file is of Keras 3: it does not"):
        safeload.load_callable(tmp_path / f"m{suffix}", custom_objects=[old])


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["LSTM", "MultiHeadAttention", "LayerNormalization"])
def test_subclasses_of_layers_that_take_more_than_they_declare(tmp_path: Path, package: str, name: str) -> None:
    """What a constructor of Keras pops, or its ``from_config``, is taken by subclasses as well."""
    library = pytest.importorskip(package)
    mine = type("Mine", (getattr(library.layers, name),), {})
    inputs = library.Input((3, 4))
    layer = mine(2, 2) if name == "MultiHeadAttention" else mine(2) if name == "LSTM" else mine()
    model = library.Model(inputs, layer(inputs, inputs) if name == "MultiHeadAttention" else layer(inputs))
    model.save(tmp_path / "m.keras")
    x = np.ones((2, 3, 4), "float32")
    with what_this_keras_can():
        library.models.load_model(tmp_path / "m.keras", custom_objects={"Mine": mine})
    loaded = safeload.load_callable(tmp_path / "m.keras", custom_objects=[mine])
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(model(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".keras", "the file has weights .*grown/vars/0, the class has built none"),
        (".h5", "weights for 1 layers .grown., the model for 0"),
    ],
)
def test_class_that_builds_no_weights(tmp_path: Path, suffix: str, text: str) -> None:
    """The arrays of the file that found no variable are named."""

    class Grown(layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(name="w", shape=(shape[-1], 2))

        def call(self, x: Any) -> Any:
            return x @ self.w

    keras.Sequential([keras.Input((4,)), Grown(name="grown")]).save(tmp_path / f"m{suffix}")
    bare = type("Grown", (layers.Layer,), {"call": lambda self, x: x})
    with pytest.raises(LoadFailedError, match=text):
        safeload.load_callable(tmp_path / f"m{suffix}", custom_objects=[bare])


def test_functions_of_keras_that_a_file_calls() -> None:
    """One that Keras has is not called missing."""
    resolver = Resolver(keras=keras, custom={}, compat={}, where="m")
    for module, name in (("keras.activations", "softmax"), ("keras.ops", "logical_not")):
        with pytest.raises(UnsupportedFormatError, match=rf"something calls {module}\.{name} by its name"):
            resolver.resolve(module, name, name)
    for module in ("keras.activations", "mine", None):
        with pytest.raises(IncompatibleVersionError, match="names 'swishy', which keras .* does not have"):
            resolver.resolve(module, "swishy", "swishy")


@pytest.mark.parametrize("given", [Scale, [Scale]])
def test_forms_that_keras_refuses(path: Path, given: Any) -> None:
    """A class and a list: 'type' and 'list' object is not a mapping."""
    np.testing.assert_allclose(safeload.load_callable(path, custom_objects=given)(X), 2 * X)


def test_two_classes_of_one_name_in_one_file(tmp_path: Path) -> None:
    """Each layer gets the class of its module; one class for both is refused, where the file records modules."""
    twice, thrice = (
        type("Norm", (layers.Layer,), {"__module__": module, "call": lambda self, x, k=k: k * x})
        for module, k in (("vision.norm", 2), ("text.norm", 3))
    )
    model = keras.Sequential([keras.Input((4,)), twice(), layers.Dense(2), thrice()])
    model.save(tmp_path / "m.keras")
    given = {"vision.norm.Norm": twice, "text.norm.Norm": thrice}
    loaded = safeload.load_callable(tmp_path / "m.keras", custom_objects=given)
    np.testing.assert_allclose(loaded(X), model(X), rtol=1e-6)
    with pytest.raises(CustomObjectConflictError, match=r"of text\.norm and vision\.norm"):
        safeload.load_callable(tmp_path / "m.keras", custom_objects=[twice])


def quarter(x: Any) -> Any:
    return x * 0.25 + 3


def _called(name: str) -> Any:
    """A function of this module's that is called as one of Keras."""
    made = types.FunctionType(quarter.__code__, globals(), name)
    made.__module__ = __name__
    return made


def _named_by_a_text(path: Path, name: str) -> None:
    """Write the activation of each layer as Keras 2 did; later ones write so what has the name of one of theirs."""
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"][1:]:
            layer["config"]["activation"] = name
        file.attrs["model_config"] = json.dumps(config)


@pytest.mark.parametrize("name", ["relu", "gelu", "hard_sigmoid", "linear"])
@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_function_with_the_name_of_an_activation(tmp_path: Path, package: Any, name: str) -> None:
    """What the call gives by the name is meant, in layers of Keras and in those of the caller."""

    class Activated(package.layers.Layer):  # type: ignore[misc]  # keras or tf_keras, which have no types
        def __init__(self, activation: Any, **options: Any) -> None:
            super().__init__(**options)
            self.activation = package.activations.get(activation)

        def call(self, x: Any) -> Any:
            return self.activation(x)

        def get_config(self) -> Any:
            return {**super().get_config(), "activation": package.activations.serialize(self.activation)}

    dense = package.layers.Dense(3, use_bias=False)
    path, own = tmp_path / "m.h5", _called(name)
    package.Sequential([package.Input((4,)), dense]).save(path)
    _named_by_a_text(path, name)
    expected = X @ dense.get_weights()[0] * 0.25 + 3
    for given in ({name: own}, [own]):
        np.testing.assert_allclose(safeload.load_callable(path, custom_objects=given)(X), expected, rtol=1e-5)
    with pytest.raises(CustomObjectConflictError, match=f"Keras.s own function or {__name__}.quarter"):
        safeload.load_callable(path, modules=[_module_of(own)])
    package.Sequential([package.Input((4,)), dense, Activated("tanh")]).save(path)
    _named_by_a_text(path, name)
    predict = safeload.load_callable(path, custom_objects=[own, Activated])
    np.testing.assert_allclose(predict(X), expected * 0.25 + 3, rtol=1e-5)
    relu = safeload.load_callable(
        path, custom_objects={"Activated": Activated, name: getattr(package.activations, name)}
    )
    plain = safeload.load_callable(path, custom_objects=[Activated])
    np.testing.assert_array_equal(relu(X), plain(X))


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_texts_of_a_custom_layer(tmp_path: Path, package: Any) -> None:
    """It takes them as they are, though a function or a class may have the name."""

    class Sevenfold(package.layers.Layer):  # type: ignore[misc]  # keras or tf_keras, which have no types
        def __init__(self, activation: str, parts: Any, **options: Any) -> None:
            super().__init__(**options)
            assert (activation, parts) == ("seven", {"my_activation": ["quantized(4,2)"]})

        def call(self, x: Any) -> Any:
            return 7 * x

        def get_config(self) -> Any:
            return {**super().get_config(), "activation": "seven", "parts": {"my_activation": ["quantized(4,2)"]}}

    model = package.Sequential([package.Input((4,)), Sevenfold("seven", {"my_activation": ["quantized(4,2)"]})])
    for path in (tmp_path / "m.h5", tmp_path / "m.keras"):
        model.save(path)
        assert [needed.name for needed in safeload.inspect_model(path).custom_objects] == ["Sevenfold"]
        for given in ([Sevenfold], {"Sevenfold": Sevenfold, "seven": package.layers.ReLU}):
            np.testing.assert_array_equal(safeload.load_callable(path, custom_objects=given)(X), 7 * X)


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_text_that_a_custom_layer_looks_up(tmp_path: Path, package: Any) -> None:
    """Keras 2 finds what load_model is given; whoever gives nothing is asked for it."""
    mine = type("Mine", (package.layers.Dense,), {})
    model = package.Sequential([package.Input((4,)), mine(3, use_bias=False)])
    model.save(tmp_path / "m.h5")
    _named_by_a_text(tmp_path / "m.h5", "quarter")
    expected = X @ model.get_weights()[0] * 0.25 + 3
    for given in ({"custom_objects": [mine, quarter]}, {"custom_objects": [mine], "modules": [_module_of(quarter)]}):
        np.testing.assert_allclose(safeload.load_callable(tmp_path / "m.h5", **given)(X), expected, rtol=1e-5)
    with pytest.raises(LoadFailedError, match="activation function.*quarter") as caught:
        safeload.load_callable(tmp_path / "m.h5", custom_objects=[mine])
    assert caught.value.hint.startswith("if 'quarter' is a function of yours, pass it: custom_objects={'quarter': …}; ")


def test_a_function_in_place_of_one_that_safeload_has() -> None:
    """Whichever name the road gave it: on that of tf_keras, Keras 3's ``hard_sigmoid`` has one of its own."""
    for home, name in (("safeload.compat", "hard_sigmoid"), ("keras.activations", "hard_sigmoid_of_keras_3")):
        resolver = Resolver(
            keras=tf_keras, custom={f"{home}.hard_sigmoid": quarter}, compat={name: function}, where="m"
        )
        assert resolver.resolve("safeload.compat", name, name) is quarter
        resolver.custom = {}
        assert resolver.resolve("safeload.compat", name, name) is function


def _module_of(function: Any) -> types.ModuleType:
    module = types.ModuleType(__name__)
    setattr(module, function.__name__, function)
    return module


@pytest.mark.parametrize("package", [keras, tf_keras])
def test_a_class_of_the_script_that_saved(tmp_path: Path, package: Any) -> None:
    """Its name is that of a built-in layer, which other layers of the model are."""
    marks = {"__module__": "__main__", "call": lambda self, x: 2 * package.layers.Dense.call(self, x)}
    own = type("Dense", (package.layers.Dense,), marks)
    model = package.Sequential([package.Input((4,)), own(3), package.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(CustomObjectNotFoundError, match=r"layer 'Dense' at \$\.config\.layers\[1\]\n"):
        safeload.load_callable(tmp_path / "m.keras")
    loaded = safeload.load_callable(tmp_path / "m.keras", custom_objects=[own])
    np.testing.assert_allclose(loaded(X), X @ (2 * model.weights[0].numpy()) @ model.weights[2].numpy(), rtol=1e-5)


@pytest.mark.parametrize("base", ["Model", "Sequential"])
@pytest.mark.parametrize("name", ["Functional", "Sequential"])
def test_a_model_class_of_the_script_that_saved(tmp_path: Path, base: str, name: str) -> None:
    """Its name is that of a class of Keras; what it does with the outputs of its layers is its own."""
    marks = {
        "__module__": "__main__",
        "call": lambda self, *args, **options: 2 * super(own, self).call(*args, **options),
    }
    own = type(name, (getattr(keras, base),), marks)
    x = keras.Input((4,))
    arguments = [x, layers.Dense(2)(x)] if base == "Model" else [[x, layers.Dense(2)]]
    model = own(*arguments)
    model.save(tmp_path / "m.keras")
    with pytest.raises(CustomObjectNotFoundError, match=f"'{name}'"):
        safeload.load_callable(tmp_path / "m.keras")
    loaded = safeload.load_callable(tmp_path / "m.keras", custom_objects=[own])
    np.testing.assert_allclose(loaded(X), X @ (2 * model.weights[0].numpy()), rtol=1e-5)


def test_a_function_with_the_name_of_a_later_activation(tmp_path: Path) -> None:
    """TensorFlow 2.12 has no ``mish``: who calls a function so gives it."""

    def mish(x: Any) -> Any:
        return x * 0.25 + 3

    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(3, activation=mish)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = "2.12.0"
        file.attrs["model_config"] = file.attrs["model_config"].replace(', "optional": false', "")
    with pytest.raises(CustomObjectNotFoundError, match="function 'mish'"):
        safeload.load_callable(tmp_path / "m.h5")
    loaded = safeload.load_callable(tmp_path / "m.h5", custom_objects=[mish])
    np.testing.assert_allclose(loaded(X), X @ model.weights[0].numpy() * 0.25 + 3, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_layer_of_tf_keras_that_takes_a_dict(tmp_path: Path, suffix: str) -> None:
    """It is called on the tensors in it, not on constants."""

    class Difference(tf_keras.layers.Layer):
        def call(self, parts: Any) -> Any:
            return parts["a"] - parts["b"]

    a, b = tf_keras.Input((4,), name="a"), tf_keras.Input((4,), name="b")
    tf_keras.Model([a, b], Difference()({"a": a, "b": b})).save(tmp_path / f"m{suffix}")
    loaded = safeload.load_callable(tmp_path / f"m{suffix}", custom_objects=[Difference])
    np.testing.assert_allclose(loaded(a=3 * X, b=X), 2 * X)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_an_integer_dtype_of_a_layer_is_that_of_its_indices(tmp_path: Path, suffix: str) -> None:
    """TensorFlow 1 recorded that of the first input; a class for Keras 3 gets the floats beside it as they are."""

    class Picked:
        def call(self, inputs: Any) -> Any:
            indices, values = inputs
            return tf.gather(values, indices, axis=1, batch_dims=1)

    old, new = (type("Picked", (Picked, package.layers.Layer), {}) for package in (tf_keras, keras))
    indices, values = tf_keras.Input((1,), dtype="int32", name="indices"), tf_keras.Input((4,), name="values")
    tf_keras.Model([indices, values], old(dtype="int32")([indices, values])).save(tmp_path / f"m{suffix}")
    for cls in (old, new):
        loaded = safeload.load_callable(tmp_path / f"m{suffix}", custom_objects={"Picked": cls})
        np.testing.assert_array_equal(loaded(indices=np.int32([[1], [2]]), values=X + 0.5), X[:, 1:2] + 0.5)


def test_feature_columns(tmp_path: Path) -> None:
    """The layer of tf_keras and the columns of TensorFlow load where they are given."""
    inputs = {name: tf_keras.Input((1,), name=name) for name in "ab"}
    columns = [tf.feature_column.numeric_column(name) for name in "ab"]
    layer = tf_keras.layers.DenseFeatures(columns)
    tf_keras.Model(inputs, layer(inputs)).save(tmp_path / "m.h5")
    with pytest.raises(CustomObjectNotFoundError, match="layer 'DenseFeatures' .*, object 'NumericColumn'"):
        safeload.load_callable(tmp_path / "m.h5")
    given = {"DenseFeatures": type(layer), "NumericColumn": type(columns[0])}
    loaded = safeload.load_callable(tmp_path / "m.h5", custom_objects=given)
    np.testing.assert_array_equal(loaded(a=X[:, :1], b=3 * X[:, :1]), [[1, 3], [1, 3]])


def test_a_class_with_the_name_of_an_operation(tmp_path: Path) -> None:
    """An HDF5 file that names a layer like an operation of Keras means the layer."""
    norm = type("Norm", (layers.Layer,), {"call": lambda self, x: 2 * x})
    keras.Sequential([keras.Input((4,)), norm()]).save(tmp_path / "m.h5")
    with pytest.raises(CustomObjectNotFoundError, match="layer 'Norm'"):
        safeload.load_callable(tmp_path / "m.h5")
    np.testing.assert_allclose(safeload.load_callable(tmp_path / "m.h5", custom_objects=[norm])(X), 2 * X)


class Start(keras.initializers.Initializer):
    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.ones(shape, dtype)


def own_penalty(x: Any) -> Any:
    return 0.1 * keras.ops.sum(x * x)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_parts_that_loaded_weights_make_needless(tmp_path: Path, suffix: str) -> None:
    """Initializers, regularizers and constraints of a layer of Keras are used if they are given, never asked for."""
    with what_this_keras_can():
        dense = layers.Dense(2, kernel_initializer=Start(), kernel_regularizer=own_penalty, bias_constraint=own_penalty)
        model = keras.Sequential([keras.Input((4,)), dense])
    path = tmp_path / f"m{suffix}"
    model.save(path)
    np.testing.assert_allclose(safeload.load_callable(path)(X), model(X), rtol=1e-6)
    report = safeload.inspect_model(path)
    assert {needed.name: needed.is_training_only for needed in report.custom_objects} == {
        "Start": True,
        "own_penalty": True,
    }
    loaded = safeload.load_callable(path, custom_objects=[Start, own_penalty]).model
    assert isinstance(loaded.layers[-1].kernel_initializer, Start)
    assert loaded.layers[-1].kernel_regularizer is own_penalty


@pytest.mark.parametrize("name", ["Clip", "Square", "L2"])
def test_parts_with_the_names_of_other_things(tmp_path: Path, name: str) -> None:
    """An HDF5 file names them without a module; operations and parts of Keras called so take no such keys."""
    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        config = json.loads(file.attrs["model_config"])
        part = {"class_name": name, "config": {"mine": 1.0}}
        config["config"]["layers"][-1]["config"].update(kernel_constraint=part, bias_regularizer=part)
        file.attrs["model_config"] = json.dumps(config)
    np.testing.assert_allclose(safeload.load_callable(tmp_path / "m.h5")(X), X @ model.get_weights()[0], rtol=1e-6)


def own_start(shape: Any, dtype: Any = None) -> Any:
    return tf.ones(shape, dtype or "float32")


class Negative(tf_keras.layers.Dense):  # type: ignore[misc]  # tf_keras has no types
    def call(self, inputs: Any) -> Any:
        return -super().call(inputs)


def _name_functions(path: Path) -> None:
    """Write a Dense layer's functions as bare names, as TensorFlow 1.15 to 2.10 did."""
    named = {"bias_initializer": "own_start", "kernel_regularizer": "own_penalty", "kernel_constraint": "own_penalty"}
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"].update(named, activity_regularizer="own_penalty")
        file.attrs["model_config"] = json.dumps(config)


@pytest.mark.parametrize("kind", [tf_keras.layers.Dense, Negative])
def test_functions_that_keras_2_recorded_by_name(tmp_path: Path, kind: Any) -> None:
    """Where an initializer, regularizer or constraint stands: asked for neither by layers of Keras nor by others."""
    model = tf_keras.Sequential([tf_keras.Input((4,)), kind(2, use_bias=False)])
    path = tmp_path / "m.h5"
    model.save(path)
    _name_functions(path)
    expected = (-1 if kind is Negative else 1) * (X @ model.get_weights()[0])
    given = [own_start, own_penalty, Negative]
    for objects in [given, *([] if kind is Negative else [None])]:
        predict = safeload.load_callable(path, custom_objects=objects)
        np.testing.assert_allclose(predict(X), expected, rtol=1e-6)
    found = safeload.load_callable(path, custom_objects=given).model.layers[-1]
    assert found.bias_initializer(shape=(2,)).numpy().tolist() == [1, 1]
    functions = {
        o.name: o.is_training_only for o in safeload.inspect_model(path).custom_objects if o.kind == "function"
    }
    assert functions == {"own_start": True, "own_penalty": True}


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_class_derived_from_sequential_as_tensorflow_1_wrote_it(tmp_path: Path, package: Any) -> None:
    """The input shape is in its first layer; there is no InputLayer. The kernels are 2 and 3 times the identity."""
    chain = type("Chain", (package.Sequential,), {})
    common = {"trainable": True, "dtype": "float32", "activation": "linear", "use_bias": False}
    absent = dict.fromkeys(("kernel_regularizer", "bias_regularizer", "activity_regularizer", "bias_constraint"))
    zeros = {"class_name": "Zeros", "config": {}}
    rest = {"units": 4, "kernel_initializer": zeros, "bias_initializer": zeros, "kernel_constraint": None}
    layers = [{"class_name": "Dense", "config": {"name": name, **common, **rest, **absent}} for name in "ab"]
    layers[0]["config"]["batch_input_shape"] = [None, 4]
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Chain", "config": {"name": "m", "layers": layers}})
        file.attrs["keras_version"], file.attrs["backend"] = "2.2.4-tf", "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"], weights.attrs["backend"] = ["a", "b"], "tensorflow"
        for name, factor in (("a", 2), ("b", 3)):
            weights.create_group(name).attrs["weight_names"] = [f"{name}/kernel:0"]
            weights[f"{name}/{name}/kernel:0"] = factor * np.eye(4, dtype="float32")
    np.testing.assert_allclose(safeload.load_callable(tmp_path / "m.h5", custom_objects=[chain])(X), 6 * X, rtol=1e-6)


def test_a_subclassed_model_that_the_caller_builds(tmp_path: Path) -> None:
    """An .h5 file does not say what such a model is called with; the function stands for its class too."""

    class Own(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.first, self.second = layers.Dense(4, use_bias=False), layers.Dense(4, use_bias=False)

        def call(self, inputs: Any) -> Any:
            return self.first(inputs) + 10 * self.second(inputs)

        def get_config(self) -> Any:
            return {"name": self.name}

    def build() -> Any:
        model = Own()
        model(X)
        return model

    model = build()
    model.set_weights([np.eye(4), 2 * np.eye(4)])
    model.save(tmp_path / "m.h5")
    for given in ({}, {"custom_objects": [Own]}):
        predict = safeload.load_callable(tmp_path / "m.h5", architecture=build, **given)
        np.testing.assert_allclose(predict(X), 21 * X, rtol=1e-6)
    with pytest.raises(LoadFailedError, match="the model for 0") as caught:
        safeload.load_callable(tmp_path / "m.h5", custom_objects=[Own])
    assert caught.value.hint.startswith("pass architecture=, a function that makes the model and calls it once")


FROM_TENSORFLOW = ", or if it takes Keras from TensorFlow (as tensorflow.keras), start Python"


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("writer", "other", "legacy", "text"),
    [
        (keras, tf_keras, "", "the file is of Keras 3, and 'Own' derives from tf_keras: derive it from keras; "),
        (keras, tf_keras, "1", f": derive it from keras{FROM_TENSORFLOW} without TF_USE_LEGACY_KERAS; "),
        (tf_keras, keras, "", f": derive it from tf_keras{FROM_TENSORFLOW} with TF_USE_LEGACY_KERAS=1; "),
        (tf_keras, keras, "1", "the file is of Keras 2, and 'Own' derives from keras: derive it from tf_keras; "),
    ],
    ids=["3", "3 in a process for 2", "2 in a process for 3", "2"],
)
def test_a_class_of_the_other_keras_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, writer: Any, other: Any, legacy: str, text: str
) -> None:
    """The hint says so first, whatever went wrong; not of a class of the same one."""
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", legacy)

    def made(package: Any, *, fails: bool) -> Any:
        class Own(package.layers.Layer):  # type: ignore[misc]  # keras or tf_keras, which have no types
            def __init__(self, **kwargs: Any) -> None:
                kwargs.pop("autocast", None)
                super().__init__(**kwargs)

            def call(self, inputs: Any) -> Any:
                if fails:
                    raise LookupError("no such table")
                return inputs

            @classmethod
            def from_config(cls, config: Any) -> Any:
                return cls(**config)

        return Own

    path = tmp_path / f"m{suffix}"
    writer.Sequential([writer.Input((4,)), made(writer, fails=False)()]).save(path)
    for package, begins in ((other, True), (writer, False)):
        with pytest.raises(LoadFailedError, match=r"Own.call\(\) raised \w+: no such table") as caught:
            safeload.load_callable(path, custom_objects=[made(package, fails=True)])
        hint = caught.value.hint
        assert (text in hint, hint.startswith("the file is of Keras")) == (begins, begins)


def test_a_constructor_that_differs_whatever_keras_it_is_of(tmp_path: Path) -> None:
    """Who derives a class anew from Layer changes nothing; from one of the layers, its arguments are others."""
    kinds = {
        base.__name__: [type("Own", (getattr(package.layers, base.__name__),), {}) for package in (tf_keras, keras)]
        for base in (layers.Layer, layers.Dropout)
    }
    for name, (old, new) in kinds.items():
        layer = old(0.5) if name == "Dropout" else old()
        tf_keras.Sequential([tf_keras.Input((3, 4)), layer]).save(tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"][-1]["config"]["of_an_older_release"] = True
            file.attrs["model_config"] = json.dumps(config)
        with pytest.raises(CustomObjectConflictError, match="does not take .*of_an_older_release") as caught:
            safeload.load_callable(tmp_path / "m.h5", custom_objects=[new])
        hint = caught.value.hint
        assert "of a library, install the release of that time" in hint
        assert hint.startswith("the file is of Keras 2, and 'Own' derives from keras") is (name == "Dropout")


class Times:
    """An object that layers hold; Keras asks for no base class."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return self.factor * x

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}

    @classmethod
    def from_config(cls, config: Any) -> Any:
        return cls(**config)


def _holding(package: Any, from_config: Any = None) -> Any:
    """A layer of *package* whose ``get_config`` returns what it holds as it is."""

    class Holding(package.layers.Layer):  # type: ignore[misc]  # keras or tf_keras, which have no types
        def __init__(self, inside: Any, **options: Any) -> None:
            super().__init__(**options)
            self.inside = inside

        def call(self, x: Any) -> Any:
            return self.inside(x) + 1

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "inside": self.inside}

    if from_config is not None:
        Holding.from_config = classmethod(from_config)
    return Holding


HOLDING = pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])


@HOLDING
@pytest.mark.parametrize("inside", ["layer", "model", "object", "nested"])
def test_what_a_config_holds_as_it_is_is_built_before(tmp_path: Path, package: Any, inside: str) -> None:
    """HDF5 files mark such objects, and the constructor takes them; the kernel is 2 times the identity."""
    kind = _holding(package)
    dense = package.layers.Dense(4, use_bias=False)
    holds = {
        "layer": dense,
        "model": package.Model(inputs := package.Input((4,)), dense(inputs)),
        "object": Times(2.0),
        "nested": kind(dense),
    }[inside]
    model = package.Sequential([package.Input((4,)), kind(holds)])
    model.set_weights([2 * np.eye(4)][: len(model.weights)])
    model.save(tmp_path / "m.h5")
    predict = safeload.load_callable(tmp_path / "m.h5", custom_objects=[kind, Times])
    np.testing.assert_allclose(predict(X), 2 * X + (2 if inside == "nested" else 1), rtol=1e-6)


@HOLDING
def test_what_a_config_holds_as_it_is_is_asked_for(tmp_path: Path, package: Any) -> None:
    """Its class is found by the same rules as any other."""
    kind = _holding(package)
    package.Sequential([package.Input((4,)), kind(Times(2.0))]).save(tmp_path / "m.h5")
    with pytest.raises(CustomObjectNotFoundError, match="'Times'"):
        safeload.load_callable(tmp_path / "m.h5", custom_objects=[kind])


@HOLDING
def test_a_from_config_that_takes_what_is_built_or_builds_it(tmp_path: Path, package: Any) -> None:
    """One of its time takes the object; one of today's the config of it, as `.keras` files have it."""

    def takes(cls: Any, config: Any) -> Any:
        return cls(config.pop("inside"), **config)

    def builds(cls: Any, config: Any) -> Any:
        return cls(package.saving.deserialize_keras_object(config.pop("inside")), **config)

    package.Sequential([package.Input((4,)), _holding(package)(Times(2.0))]).save(tmp_path / "m.h5")
    for from_config in (takes, builds):
        objects = {"Holding": _holding(package, from_config), "Times": Times}
        np.testing.assert_allclose(safeload.load_callable(tmp_path / "m.h5", custom_objects=objects)(X), 2 * X + 1)


@HOLDING
def test_a_constructor_that_refuses_what_is_built_says_so(tmp_path: Path, package: Any) -> None:
    """The error is the constructor's own."""
    package.Sequential([package.Input((4,)), _holding(package)(Times(2.0))]).save(tmp_path / "m.h5")

    class Holding(_holding(package)):  # type: ignore[misc]  # keras or tf_keras, which have no types
        def __init__(self, inside: Any, **options: Any) -> None:
            super().__init__(inside, **options)
            raise TypeError(f"no use for {type(inside).__name__}")

    with pytest.raises(LoadFailedError, match="no use for Times"):
        safeload.load_callable(tmp_path / "m.h5", custom_objects=[Holding, Times])


def test_two_threads_with_one_name(path: Path) -> None:
    """Each load gets the class of its own call, however the loads interleave."""

    def work(number: int) -> list[Any]:
        sign = (-1) ** number
        made = type("Scale", (Scale,), {"call": lambda self, x: sign * x * self.factor})
        return [safeload.load_callable(path, custom_objects={"Scale": made})(X) for _ in range(5)]

    for number, found in enumerate(in_threads(work, 2)):
        for value in found:
            np.testing.assert_allclose(value, (-1) ** number * 2 * X)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_specs_of_tensors_are_those_of_tensorflow(package: str) -> None:
    """Keras would import the module that the file names for them."""
    pytest.importorskip(package)
    resolver = Resolver(keras=import_keras(package), custom={}, compat={}, where="m.keras")
    recorded = {"class_name": "__typespec__", "spec_name": "TensorSpec", "registered_name": None}
    rewritten = resolver.rewrite({"spec": {**recorded, "module": "no.such.module", "config": [[1], "float32"]}})
    deserialize = import_keras(package).saving.deserialize_keras_object
    made = deserialize(rewritten["spec"], custom_objects=resolver.scope)
    assert made == tf.TensorSpec([1], "float32")


class Refusing(layers.Layer):
    """A layer that Keras can build, and that raises what it was told when it computes."""

    def __init__(self, error: str, **options: Any) -> None:
        super().__init__(**options)
        self.error = error

    def compute_output_spec(self, x: Any) -> Any:
        """Let Keras build the model without a call."""
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x: Any) -> Any:
        """Raise."""
        raise {"TypeError": TypeError, "StopIteration": StopIteration}[self.error]("odd")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "error": self.error}


@pytest.mark.parametrize("error", ["TypeError", "StopIteration"])
def test_what_a_layer_raises(tmp_path: Path, error: str) -> None:
    """An error of Python in a call is explained for a file, and raised as it is for an object of the caller's."""
    model = keras.Sequential([keras.Input((2,)), Refusing(error)])
    model.save(tmp_path / "m.keras")
    fn = safeload.load_callable(tmp_path / "m.keras", custom_objects=[Refusing])
    with pytest.raises(LoadFailedError, match=rf"cannot be called: Refusing.call\(\) raised {error}: .*odd"):
        fn([[1.0, 2.0]])
    with pytest.raises(LoadFailedError, match="cannot be called"):
        fn.warmup()
    with pytest.raises((TypeError, StopIteration, RuntimeError), match="odd"):
        safeload.as_callable(model)([[1.0, 2.0]])


def test_an_iteration_that_ends_too_early_is_an_error() -> None:
    """It would end the context manager around it, and reach the caller as it is."""
    with pytest.raises(LoadFailedError, match="m: StopIteration"), explained("m"):
        raise StopIteration
