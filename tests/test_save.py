"""What is saved loads back as the same function, or is not saved at all."""

from __future__ import annotations

import re
import tempfile
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from saved_models import Scorer, save_tf1

from safeload import _save, load_callable, save_callable
from safeload.errors import (
    AmbiguousSignatureError,
    ArtifactNotFoundError,
    CustomObjectNotFoundError,
    InputMismatchError,
    LoadFailedError,
    SafeloadError,
    UnsafeModelError,
    UnsupportedFormatError,
)
from safeload.inspection import TensorInfo
from safeload.runtime import _export

if TYPE_CHECKING:
    from pathlib import Path

X = np.random.default_rng(0).random((3, 4), dtype="float32")


class Module(tf.Module):
    """A module with a variable, a table, several functions and nested outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(2.0)
        initializer = tf.lookup.KeyValueTensorInitializer(["a"], [5.0])
        self.table = tf.lookup.StaticHashTable(initializer, 0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None])])
    def __call__(self, key: Any, x: Any) -> Any:
        return {"r": self.table.lookup(key) * x * self.w, "n": (x, x + 1)}

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def twice(self, x: Any) -> Any:
        return 2 * x


def two_ends(package: Any) -> Any:
    """A model with two inputs and two outputs, whose alphabetical orders differ from the declared ones."""
    a, b = package.Input((4,), name="b_in"), package.Input((4,), name="a_in")
    x = package.layers.Dropout(0.5)(package.layers.Concatenate()([a, b]))
    return package.Model([a, b], [package.layers.Dense(2, name="zz")(x), package.layers.Dense(1, name="aa")(x)])


def left(path: Path) -> list[str]:
    """Return what lies in the directory *path*."""
    return sorted(entry.name for entry in path.iterdir())


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["m.keras", "m"])
def test_keras_models(tmp_path: Path, package: str, name: str) -> None:
    """A Keras model keeps the names and values of its ends in both formats."""
    model = two_ends(pytest.importorskip(package))
    assert save_callable(model, tmp_path / name) == tmp_path / name
    loaded = load_callable(tmp_path / name)
    result = loaded(b_in=X, a_in=2 * X)
    for key, expected in zip(("zz", "aa"), model([X, 2 * X]), strict=True):
        np.testing.assert_allclose(result[key], expected, rtol=1e-5, atol=1e-6)
    assert left(tmp_path) == [name]


def test_custom_classes_come_along(tmp_path: Path) -> None:
    """Classes of the model itself are known when it is loaded back; whoever loads it later needs them."""

    class Triple(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 3 * x

    path = save_callable(keras.Sequential([keras.Input((2,)), Triple()]), tmp_path / "m.keras")
    np.testing.assert_allclose(load_callable(path, custom_objects=Triple)(np.ones((1, 2))), [[3, 3]])


class _Ones(keras.initializers.Initializer):
    def __init__(self, scaled: Any = None) -> None:
        self.scaled = scaled

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.ones(shape, dtype)

    def get_config(self) -> Any:
        return {"scaled": self.scaled}


def _tripled(x: Any) -> Any:
    return 3 * x


def test_custom_parts_come_along(tmp_path: Path) -> None:
    """Functions and objects that layers hold, also those of an own layer, in a list and inside of another part."""

    class Own(keras.layers.Layer):
        def __init__(self, functions: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.functions = [keras.saving.deserialize_keras_object(function) for function in functions]

        def call(self, x: Any) -> Any:
            return self.functions[0](x)

        def get_config(self) -> Any:
            functions = [keras.saving.serialize_keras_object(function) for function in self.functions]
            return {**super().get_config(), "functions": functions}

    own = Own([keras.saving.serialize_keras_object(keras.activations.relu)])
    own.functions = [_tripled]
    dense = keras.layers.Dense(1, activation=_tripled, kernel_initializer=_Ones())
    path = save_callable(keras.Sequential([keras.Input((2,)), dense, own]), tmp_path / "m.keras")
    given = load_callable(path, custom_objects=[_Ones, _tripled, Own])
    np.testing.assert_allclose(given(np.ones((1, 2), "float32")), [[2 * 3 * 3]])
    again = save_callable(given, tmp_path / "again.keras")
    np.testing.assert_allclose(load_callable(again, custom_objects=[_tripled, Own])(np.ones((1, 2))), [[18]])


def test_model_that_records_no_inputs(tmp_path: Path) -> None:
    """A model that was written as a class needs an example."""

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x["left"] if isinstance(x, dict) else x)

    with pytest.raises(InputMismatchError, match="does not record its inputs"):
        save_callable(Own(), tmp_path / "m")
    for name, example in (("bare", X), ("named", {"left": X})):
        model = Own()
        loaded = load_callable(save_callable(model, tmp_path / name, example_inputs=example))
        np.testing.assert_allclose(loaded(2 * X), model(2 * X), rtol=1e-5)


def test_modules_and_functions(tmp_path: Path) -> None:
    """Modules, functions and ConcreteFunctions become `serving_default`, nested outputs flat."""
    module = Module()
    loaded = load_callable(save_callable(module, tmp_path / "module"))
    result = loaded(key=["a", "?"], x=[1.0, 2.0])
    np.testing.assert_allclose(result["r"], [10, 0])
    np.testing.assert_allclose(result["n_1"], [2, 3])
    for index, function in enumerate((module.twice, module.twice.get_concrete_function())):
        loaded = load_callable(save_callable(function, tmp_path / str(index)))
        assert loaded.key == "serving_default"
        np.testing.assert_allclose(loaded([1.0]), [2])


def test_chosen_signatures(tmp_path: Path) -> None:
    """Signatures are chosen by key, or given under new keys."""
    module = Module()
    by_key = load_callable(save_callable(module, tmp_path / "a", signatures=["twice", "__call__"]), signature="twice")
    np.testing.assert_allclose(by_key([1.0]), [2])
    given = {"double": module.twice, "serving_default": module}
    loaded = load_callable(save_callable(module, tmp_path / "b", signatures=given, example_inputs=[3.0]))
    assert loaded.key == "serving_default"
    np.testing.assert_allclose(loaded.with_signature("double")([1.0]), [2])


def test_function_that_was_never_called(tmp_path: Path) -> None:
    """It is traced for the example, with the first dimension left free; without an example it is an error."""
    weight = tf.Variable(3.0)
    with pytest.raises(InputMismatchError, match="never called"):
        save_callable(tf.function(lambda x: x), tmp_path / "m")
    path = save_callable(tf.function(lambda x: x * weight), tmp_path / "one", example_inputs=X)
    np.testing.assert_allclose(load_callable(path)(X[:1]), 3 * X[:1])
    function = tf.function(lambda x, y: x + y)
    path = save_callable(function, tmp_path / "two", example_inputs={"x": X, "y": 1.0})
    np.testing.assert_allclose(load_callable(path)(x=X[:2], y=2.0), X[:2] + 2)


def test_example_of_plain_values(tmp_path: Path) -> None:
    """A list of numbers is an array, as in a call; a list of arrays is a list."""
    doubled = tf.function(lambda x: x * 2)
    fn = load_callable(save_callable(doubled, tmp_path / "m", example_inputs=[[1.0, 2.0]]))
    assert np.asarray(fn([[3.0, 4.0], [5.0, 6.0]])).tolist() == [[6, 8], [10, 12]]
    total = tf.function(lambda pair: pair[0] + pair[1])
    fn = load_callable(save_callable(total, tmp_path / "n", example_inputs=[np.ones(2), np.ones(2)]))
    assert len(fn.inputs) == 2


@pytest.mark.parametrize("name", ["m.keras", "m"])
def test_model_that_was_never_built(tmp_path: Path, name: str) -> None:
    """The example builds it, and then it records what it takes."""
    model = keras.Sequential([keras.layers.Dense(2, name="y")])
    fn = load_callable(save_callable(model, tmp_path / name, example_inputs=np.ones((1, 4), "float32")))
    np.testing.assert_allclose(fn(np.ones((3, 4))), model(np.ones((3, 4))), rtol=1e-6)


def test_made_up_inputs_that_the_graph_refuses(tmp_path: Path) -> None:
    """Then the caller must give some."""
    square = tf.function(lambda x: tf.reshape(x, [3, 3]), input_signature=[tf.TensorSpec([None])])
    with pytest.raises(InputMismatchError, match="the graph refuses made-up inputs") as caught:
        save_callable(square, tmp_path / "m")
    assert caught.value.hint == "pass example_inputs="
    with pytest.raises(tf.errors.InvalidArgumentError):
        save_callable(square, tmp_path / "m", example_inputs=np.ones(8))
    assert load_callable(save_callable(square, tmp_path / "m", example_inputs=np.ones(9)))(np.ones(9)).shape == (3, 3)


def test_saving_again(tmp_path: Path) -> None:
    """What was loaded from a file can be saved: a SavedModel, and the variables that its functions captured."""
    weight = tf.Variable(3.0)
    module = tf.Module()
    module.weight = weight
    module.f = tf.function(lambda x: x * weight, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path / "old"), signatures={"old_key": module.f})
    for index, old in enumerate((load_callable(tmp_path / "old"), tf.saved_model.load(str(tmp_path / "old")))):
        loaded = load_callable(save_callable(old, tmp_path / f"new{index}"))
        assert loaded.key == "serving_default"
        np.testing.assert_allclose(loaded([2.0]), [6])


def test_reference_variables(tmp_path: Path) -> None:
    """TensorFlow 2 cannot save variables of TensorFlow 1 that have no handle, and says so nowhere."""
    save_tf1(str(tmp_path / "old"), use_resource=False)
    fn = load_callable(tmp_path / "old")
    assert fn(X).shape == (3, 3)
    with pytest.raises(UnsupportedFormatError, match="reference variables of TensorFlow 1"):
        save_callable(fn, tmp_path / "new")
    assert left(tmp_path) == ["old"]


def test_function_of_an_old_release(tmp_path: Path) -> None:
    """A model of Keras 2 with the hard_sigmoid of its time becomes a SavedModel; a Keras file could not hold it."""
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.layers.Dense(3, "hard_sigmoid", input_shape=(4,))])
    model.save(tmp_path / "old.h5")
    old = load_callable(tmp_path / "old.h5")
    with pytest.raises(UnsupportedFormatError, match="what an old release did"):
        save_callable(old, tmp_path / "new.keras")
    loaded = load_callable(save_callable(old, tmp_path / "new"))
    np.testing.assert_allclose(loaded(X), model(X), rtol=1e-5, atol=1e-6)
    assert left(tmp_path) == ["new", "old.h5"]


def test_layer_of_an_application(tmp_path: Path) -> None:
    """A layer that ConvNeXt defines for itself is one of safeload after a load, which is part of no Keras."""
    from keras.src.applications.convnext import LayerScale

    model = keras.Sequential([keras.Input((4,)), keras.Sequential([keras.Input((4,)), LayerScale(0.5, 4)])])
    model.save(tmp_path / "old.keras")
    old = load_callable(tmp_path / "old.keras")
    with pytest.raises(UnsupportedFormatError, match=r"Keras does not find: LayerScale\n.*for a SavedModel"):
        save_callable(old, tmp_path / "new.keras")
    np.testing.assert_allclose(load_callable(save_callable(old, tmp_path / "new"))(X), X / 2, rtol=1e-6)
    assert left(tmp_path) == ["new", "old.keras"]


@pytest.mark.parametrize("name", ["there.keras", "there"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    """What is at the path stays, be it a file, a directory or a broken link."""
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(LoadFailedError, match="exists already"):
        save_callable(two_ends(keras), tmp_path / name)
    assert left(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        *((name, UnsupportedFormatError, "files are not written") for name in ("m.h5", "m.H5", "m.Keras", "m.onnx")),
        ("m.keras", UnsupportedFormatError, r"holds one Keras model\n"),
        ("nowhere/m", ArtifactNotFoundError, "no directory to write into"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path: Path, name: str, error: type[SafeloadError], text: str) -> None:
    """Suffixes of other formats, in any case, and absent directories are errors before anything is written."""
    with pytest.raises(error, match=text):
        save_callable(Module().twice, tmp_path / name)
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["my-input", "1st", "a.b"])
def test_names_that_are_no_parameters(tmp_path: Path, name: str) -> None:
    """Inputs keep names that Python would not take for a parameter."""
    x = keras.Input((4,), name=name)
    saved = load_callable(save_callable(keras.Model(x, x * 2), tmp_path / "m"))
    assert [info.name for info in saved.inputs] == [name]
    np.testing.assert_allclose(saved({name: X}), 2 * X)


@pytest.mark.parametrize("name", ["a b", "x:0", "-", "_x", "\u00e9"])
def test_names_that_tensorflow_cannot_write(tmp_path: Path, name: str) -> None:
    """TensorFlow 1 took any text for the name of an input; TensorFlow 2 reads it, and writes names of nodes alone."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None])
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "old"), {name: x}, {"y": x * 2})
    fn = load_callable(tmp_path / "old")
    np.testing.assert_allclose(fn({name: [1.0, 2.0]}), [2, 4])
    with pytest.raises(UnsupportedFormatError, match=f"cannot have the inputs {name!r}"):
        save_callable(fn, tmp_path / "new")
    assert left(tmp_path) == ["old"]


def test_examples_that_do_not_fit_the_parameters(tmp_path: Path) -> None:
    """One value does not stand for two parameters; an error inside of the function is the function's own."""
    for example in ([X, X], (X, X), X, {"left": X}, {"left": X, "middle": X}):
        with pytest.raises(InputMismatchError, match="'?(right|middle)'?") as caught:
            save_callable(tf.function(lambda left, right: left - right), tmp_path / "m", example_inputs=example)
        assert "example_inputs={'left': x, 'right': y}" in caught.value.hint
    with pytest.raises(TypeError, match="in user code"):
        save_callable(tf.function(lambda x: x + object()), tmp_path / "m", example_inputs=X)
    assert left(tmp_path) == []


def test_a_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of the system is said, with the path that was given."""

    def refuse(**_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(LoadFailedError, match="m: cannot be written there: Permission denied"):
        save_callable(Module(), tmp_path / "m")


def test_one_key_of_a_signature(tmp_path: Path) -> None:
    """A key alone is one signature; none are the default."""
    assert load_callable(save_callable(Module(), tmp_path / "m", signatures="twice")).key == "twice"
    assert load_callable(save_callable(Module(), tmp_path / "n", signatures=[])).key == "serving_default"


def test_signatures_are_not_for_keras_files(tmp_path: Path) -> None:
    """A Keras file has one callable."""
    with pytest.raises(UnsupportedFormatError, match="no signatures"):
        save_callable(two_ends(keras), tmp_path / "m.keras", signatures=["model"])


def test_several_functions_and_no_default(tmp_path: Path) -> None:
    """Which one is meant is asked, not guessed."""
    with pytest.raises(AmbiguousSignatureError, match="negated"):
        save_callable(Scorer(), tmp_path / "m")


@pytest.mark.parametrize("is_second", [False, True])
def test_what_computes_something_else_is_not_saved(tmp_path: Path, *, is_second: bool) -> None:
    """Outputs that depend on chance, of whichever signature, cannot be compared, and nothing is left behind."""
    tf.random.set_seed(None)  # with a seed, every new function draws the same numbers
    function = tf.function(lambda x: x + tf.random.uniform([]), input_signature=[tf.TensorSpec([None])])
    signatures = {"twice": Module().twice, "drawn": function} if is_second else None
    with pytest.raises(LoadFailedError, match="computes something else: output 'output_0' differs by up to"):
        save_callable(function, tmp_path / "m", signatures=signatures)
    assert left(tmp_path) == []


def test_what_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody else puts there while the model is written is not overwritten."""
    write = _save._write

    def write_late(written: str, target: Path, job: Any) -> None:
        write(written, target, job)
        target.write_text("theirs")

    monkeypatch.setattr(_save, "_write", write_late)
    with pytest.raises(LoadFailedError, match="exists already"):
        save_callable(two_ends(keras), tmp_path / "m.keras")
    assert (tmp_path / "m.keras").read_text() == "theirs"


def test_what_would_be_refused_is_not_saved(tmp_path: Path) -> None:
    """A Lambda in a Keras file would be refused when it is loaded; a SavedModel holds its graph."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)])
    with pytest.raises(UnsafeModelError) as caught:
        save_callable(model, tmp_path / "m.keras")
    assert caught.value.where == str(tmp_path / "m.keras")
    assert caught.value.message.startswith(f"{tmp_path / 'm.keras'}: ")
    np.testing.assert_allclose(load_callable(save_callable(model, tmp_path / "m"))([[1.0, 2.0]]), [[2, 4]])
    assert left(tmp_path) == ["m"]


def test_what_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of TensorFlow is the cause, and nothing is left behind."""

    def fail(*args: Any, **options: Any) -> None:
        raise OSError("\nno space left")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(LoadFailedError, match="cannot be written: no space left"):
        save_callable(Module().twice, tmp_path / "m")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("expected", "found", "problem"),
    [
        ({"a": [1.0]}, {"b": [1.0]}, "the outputs are b instead of a"),
        ({"a": [1.0]}, {"a": [[1.0]]}, r"output 'a' is float64 \(1, 1\) instead of float64 \(1,\)"),
        ({"a": [1]}, {"a": [2]}, "output 'a' has other values"),
        ({"a": [1.0, 5.0]}, {"a": [1.0, 5.5]}, "output 'a' differs by up to 0.5"),
        ({"a": np.float32([1.0])}, {"a": np.float32([1.01])}, "output 'a' differs by up to 0.01"),
        ({"a": np.float32([1.0])}, {"a": np.float32([1.00001])}, None),
        ({"a": [1j]}, {"a": [1j]}, None),
        ({"a": [float("nan")]}, {"a": [float("nan")]}, None),
        ({"a": tf.ragged.constant([[1], [2, 3]])}, {"a": tf.ragged.constant([[1], [2, 3]])}, None),
        ({"a": tf.sparse.from_dense([[1, 0]])}, {"a": tf.sparse.from_dense([[1, 0]])}, None),
    ],
)
def test_differences(expected: dict[str, Any], found: dict[str, Any], problem: str | None) -> None:
    """Outputs are equal within the tolerance of their dtype, or the difference is said."""
    result = _export.difference(expected, found)
    assert (result is None) == (problem is None)
    if problem:
        assert re.search(problem, str(result))


def test_made_up_inputs_fit() -> None:
    """Made-up inputs have the dtype and kind that is asked for, and are not all zero."""
    for dtype in ("float32", "int64", "bool", "string", "bfloat16", "complex64", None):
        value = _export._made_up(TensorInfo("x", dtype, (None, 3, None)), 0)
        assert value.shape == (2, 3, 16)
    assert isinstance(_export._made_up(TensorInfo("x", "float32", (None, 2), kind="sparse"), 0), tf.SparseTensor)


def test_a_class_that_cannot_be_found_again_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not load is not saved."""

    class Mine(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    monkeypatch.setattr(_export, "custom_objects_in", lambda model: {})
    with pytest.raises(CustomObjectNotFoundError):
        save_callable(keras.Sequential([keras.Input((2,)), Mine()]), tmp_path / "m.keras")
    assert left(tmp_path) == []
