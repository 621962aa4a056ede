"""The callable around what others loaded."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from saved_models import WEIGHTS, Linear, Saved, Scorer, X, equal

import safeload
from safeload.errors import (
    AmbiguousSignatureError,
    InputMismatchError,
    LoadFailedError,
    NoCallableError,
    SignatureNotFoundError,
    UnrecognizedFormatError,
    UnsafeModelError,
)
from safeload.runtime._wrap import as_callable, wrap_loader

Y = X @ WEIGHTS


@pytest.mark.parametrize("name", ["module", "signatures", "table"])
def test_loaded_saved_model(saved: Saved, name: str) -> None:
    """What tf.saved_model.load returns becomes callable by the same ladder."""
    loaded = tf.saved_model.load(str(saved(name)))
    fn = as_callable(loaded)
    assert fn.model is loaded
    if name == "table":
        equal(fn(["pear", "?"]), [1, 2])
    else:
        equal(fn(X.astype(np.float64)), Y)


def test_loaded_tf1_model(saved: Saved) -> None:
    """A model of TensorFlow 1 is reached by its signature."""
    equal(as_callable(tf.saved_model.load(str(saved("custom_tags")), tags=list("serv")))([1.0]), [2])


def test_live_objects() -> None:
    """A module, a tf.function and a ConcreteFunction are called as they are."""
    module = Linear()
    equal(as_callable(module)(X), Y)
    equal(as_callable(module, signature="minus")([5.0], [3.0]), [2])
    equal(as_callable(module.minus)([5.0], [3.0]), [2])
    equal(as_callable(module.minus.get_concrete_function())(a=[3.0], b=[5.0]), [2])
    module.nested.get_concrete_function({"a": tf.TensorSpec([1]), "n": [tf.TensorSpec([1]), tf.TensorSpec([1])]})
    result = as_callable(module, signature="nested")({"a": [1.0], "n": [[2.0], [3.0]]})
    equal(result["rest"][0], [6])


def test_itself() -> None:
    """A ModelCallable stays one."""
    fn = as_callable(Linear())
    assert as_callable(fn) is fn
    equal(as_callable(fn, signature="minus")([5.0], [3.0]), [2])
    fn.close()


def test_nothing_to_call() -> None:
    """An object without traced functions, and one with several, are errors that say so."""
    with pytest.raises(NoCallableError, match="<Module>"):
        as_callable(tf.Module())
    with pytest.raises(AmbiguousSignatureError, match="negated"):
        as_callable(Scorer())


def test_a_loader_is_not_asked_for_a_signature() -> None:
    """It has arguments of its own: the hint names who takes one."""
    with pytest.raises(AmbiguousSignatureError) as caught:
        wrap_loader(lambda path: Scorer(), judge=lambda path: (path, ""))("m")
    assert "given to load_callable(path, …) or as_callable(loaded, …)" in str(caught.value)


NOT_TRACED = tf.Module()
NOT_TRACED.f = tf.function(lambda x: x)
LOAD_FIRST = "a path is loaded first: safeload.load_callable(path)"
CALL_ONE = "its functions were never called: call one, or give it input_signature=[tf.TensorSpec(…)]"
WHAT_TO_PASS = "pass what tf.saved_model.load or a Keras loader returned, a tf.Module, or a ConcreteFunction"


def test_no_property_is_asked() -> None:
    """Those of objects that are written in C may fail, too: an array of one axis has no transposed matrix."""
    with pytest.raises(NoCallableError, match="<ndarray>"):
        as_callable(np.ones(3))


@pytest.mark.parametrize(
    ("obj", "hint"),
    [
        ("m.keras", LOAD_FIRST),
        (Path("m.keras"), LOAD_FIRST),
        ({}, "pass one of its values, as obj['serving_default']"),
        (len, "make it a function of TensorFlow: tf.function(f, input_signature=[tf.TensorSpec(…)])"),
        (NOT_TRACED.f, CALL_ONE),
        (NOT_TRACED, CALL_ONE),
        (None, WHAT_TO_PASS),
        ((Linear(), {}), WHAT_TO_PASS),
        (X, WHAT_TO_PASS),
        (tf.Graph(), WHAT_TO_PASS),
    ],
)
def test_what_to_pass_instead(obj: Any, hint: str) -> None:
    """An object that is no model is an error that says what to pass."""
    with pytest.raises(NoCallableError, match="holds no traced function") as caught:
        as_callable(obj)
    assert caught.value.hint == hint


def test_signatures_in_hand(saved: Saved) -> None:
    """A signature taken out of a model has one keyword, which goes by position too."""
    infer = tf.saved_model.load(str(saved("signatures"))).signatures["serving_default"]
    equal(as_callable(infer)(X), Y)
    equal(as_callable(infer)({"x": X}), Y)
    with pytest.raises(InputMismatchError, match="2 positional arguments for 'x'"):
        as_callable(infer)(X, X)


def test_names_of_outputs(saved: Saved) -> None:
    """Outputs of functions are named as those of the file."""
    path = str(saved("module"))
    loaded = as_callable(tf.saved_model.load(path), signature="minus")
    assert [info.name for info in loaded.outputs] == ["output_0"]
    assert [info.name for info in safeload.load_callable(path, signature="minus").outputs] == ["output_0"]


def test_wrapped_loader_judges_first(saved: Saved) -> None:
    """The path is judged before the loader sees it; the loader's own object is the model."""
    seen: list[str] = []

    def judge(path: str) -> tuple[str, str]:
        seen.append(path)
        return "report", "digest"

    @lambda loader: wrap_loader(loader, judge=judge)
    def load(path: str, *, factor: int = 1) -> Any:
        """Load."""
        assert seen
        assert factor == 2
        return tf.saved_model.load(path)

    fn = load(str(saved("module")), factor=2)
    equal(fn(X), Y)
    assert (fn.report, fn.digest, load.__doc__) == ("report", "digest", "Load.")


def test_wrapped_loader_explains() -> None:
    """The loader's error is the cause; a refusal of the judge comes before the loader."""

    def loader(path: str) -> Any:
        raise ValueError("Graph execution error:\n\nno good")

    with pytest.raises(LoadFailedError, match="loader failed: no good") as caught:
        wrap_loader(loader, judge=lambda path: (None, ""))("m")
    assert isinstance(caught.value.__cause__, ValueError)

    def refuse(path: str) -> Any:
        raise UnrecognizedFormatError(path, seen="nothing")

    with pytest.raises(UnrecognizedFormatError):
        wrap_loader(loader, judge=refuse)("m")
    with pytest.raises(UnrecognizedFormatError):
        wrap_loader(refuse, judge=lambda path: (None, ""))("m")


def test_wrapped_loader_takes_its_path_by_name(saved: Saved) -> None:
    """The first parameter may be passed by name, and as a path object."""
    seen: list[str] = []

    def load(export_dir: Any, tags: Any = None) -> Any:
        return tf.saved_model.load(str(export_dir), tags)

    def judge(path: str) -> tuple[Any, str]:
        seen.append(path)
        return None, ""

    wrapped = wrap_loader(load, judge=judge)
    for fn in (wrapped(export_dir=saved("module")), wrapped(tags=["serve"], export_dir=str(saved("module")))):
        equal(fn(X), Y)
    assert seen == [str(saved("module"))] * 2
    with pytest.raises(TypeError, match="export_dir"):
        wrapped(tags=["serve"])


class Project:
    """A class that loads."""

    root = "somewhere"

    @lambda loader: wrap_loader(loader, judge=lambda path: (path, ""))
    def load(self, path: str = "default") -> Any:
        return Linear()


def test_wrapped_loader_finds_its_path() -> None:
    """The first argument that is a path: not the object of a method, nor a dict of options; by default the default."""

    def load(*args: Any, **kwargs: Any) -> Any:
        return Linear()

    wrapped = wrap_loader(load, judge=lambda path: (path, ""))
    assert Project().load("m").report == "m"
    assert Project().load(path=Path("m")).report == "m"
    assert Project().load().report == "default"
    assert wrapped({"a": 1}, b"m").report == "m"
    assert wrapped(config={"a": 1}, path="m").report == "m"
    with pytest.raises(InputMismatchError, match="load is given no path"):
        wrapped(None)
    with pytest.raises(InputMismatchError, match="the loader is given no path"):
        wrap_loader(functools.partial(load), judge=lambda path: (path, ""))(3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'paht'"):
        Project().load(paht="m")


def test_wrapped_loader_without_a_python_signature() -> None:
    """Of a function that is not written in Python, arguments count in the order of the call."""
    with pytest.raises(LoadFailedError, match="dict failed"):
        wrap_loader(dict, judge=lambda path: (path, ""))("m")


@pytest.mark.parametrize(
    "make",
    [
        lambda: None,
        lambda: "m.keras",
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]),
        lambda: as_callable(Linear()),
    ],
    ids=["None", "path", "model", "callable"],
)
def test_wrapping_what_is_no_loader(make: Any) -> None:
    """An object in hand, or a path, is told from a function that loads."""
    with pytest.raises(InputMismatchError, match="not an object of type"):
        safeload.wrap_loader(make())


def test_wrapped_loader_gives_advice() -> None:
    """What is known about an error of the loader is the hint."""

    def loader(path: str) -> Any:
        raise ValueError("bad marshal data")

    with pytest.raises(LoadFailedError, match="hint: no loader can run it"):
        wrap_loader(loader, judge=lambda path: (None, ""), advise=lambda error: f"no loader can run it: {error}")("m")


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_public_wrap_loader_with_real_loaders(tmp_path: Path, package: str) -> None:
    """Keras's own loader, wrapped: judged first, the model is Keras's, errors say what they mean."""
    keras = pytest.importorskip(package)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    load_model = safeload.wrap_loader(keras.models.load_model)
    fn = load_model(tmp_path / "m.keras", compile=False)
    equal(fn(X), model(X))
    assert isinstance(fn.model, keras.Sequential)
    assert fn.report.verdict == "fine"


def test_public_wrap_loader_explains_a_real_error(tmp_path: Path) -> None:
    """Keras 3 goes by the suffix; the hint says that safeload does not."""
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "m.h5")
    (tmp_path / "m.h5").rename(tmp_path / "m.txt")
    with pytest.raises(LoadFailedError, match="load_model failed: File format not supported") as caught:
        safeload.wrap_loader(keras.models.load_model)(filepath=tmp_path / "m.txt")
    assert "load_callable(path) decides from the bytes" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_public_wrap_loader_refuses_before_loading(tmp_path: Path) -> None:
    """A Lambda does not reach the loader."""
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)]).save(tmp_path / "m.keras")

    @safeload.wrap_loader
    def load(path: Any) -> Any:
        raise AssertionError("the loader was called")

    with pytest.raises(UnsafeModelError):
        load(tmp_path / "m.keras")
    assert load.__name__ == "load"


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_keras_models_answer_to_the_names_of_their_formats(package: str) -> None:
    """`serving_default` and `__call__` mean the model, as in `load_callable`; another name is an error."""
    keras = pytest.importorskip(package)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    for key in ("model", "serving_default", "__call__"):
        equal(as_callable(model, signature=key)(X), model(X))
    equal(as_callable(model).with_signature("serving_default")(X), model(X))
    with pytest.raises(SignatureNotFoundError):
        as_callable(model, signature="predict_proba")
