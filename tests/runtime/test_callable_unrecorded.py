"""Calls of subclassed Keras models, whose inputs no file records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from safeload import load_callable
from safeload.errors import InputMismatchError, LoadFailedError
from safeload.runtime._wrap import as_callable

if TYPE_CHECKING:
    from pathlib import Path

A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.arange(10, dtype=np.float32).reshape(2, 5)


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def _two_inputs(keras: Any) -> Any:
    class TwoInputs(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.left, self.right = keras.layers.Dense(2), keras.layers.Dense(2)

        def build(self, input_shape: Any) -> None:
            self.left.build((None, 3))
            self.right.build((None, 5))
            self.built = True

        def call(self, a: Any, b: Any, *, scale: float = 1.0, training: bool | None = None) -> Any:
            return (self.left(a) - self.right(b)) * (100.0 if training else scale)

    return TwoInputs


def _one_list(keras: Any) -> Any:
    class OneList(keras.Model):
        def call(self, inputs: Any, training: bool | None = None) -> Any:
            first, second = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
            return first[:, :2] - second[:, :2] * (100.0 if training else 1.0)

    return OneList


def test_two_arguments(keras: Any, tmp_path: Path) -> None:
    """Both are taken by position, by name, as a list and as a mapping, though the file records the first at most."""
    two_inputs = _two_inputs(keras)
    model = two_inputs()
    expected = np.asarray(model(A, B))
    model.save(tmp_path / "model.keras")
    fn = load_callable(tmp_path / "model.keras", custom_objects={"TwoInputs": two_inputs})
    for result in (fn(A, B), fn(A, b=B), fn(a=A, b=B), fn([A, B]), fn({"b": B, "a": A}), fn(A, B, training=False)):
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(fn(A, B, scale=2.0)), expected * 2, rtol=1e-5)


def test_lists(keras: Any) -> None:
    """Lists of plain values are arrays wherever arrays are taken; options stay as they are."""
    model = _two_inputs(keras)()
    expected = np.asarray(model(A, B))
    fn = as_callable(model)
    assert repr(fn) == "<ModelCallable model(…) -> (…) from '<TwoInputs>'>"
    for result in (fn(A.tolist(), B.tolist()), fn(A, b=B.tolist()), fn({"a": A.tolist(), "b": B})):
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-5)
    one = as_callable(_one_list(keras)())
    for result in (one([A.tolist(), B]), one({"a": A.tolist(), "b": B.tolist()})):
        np.testing.assert_array_equal(np.asarray(result), A[:, :2] - B[:, :2])

    class Sum(keras.Model):
        def call(self, x: Any, axes: Any = (0,)) -> Any:
            assert isinstance(axes, list)
            return x * len(axes)

    np.testing.assert_array_equal(np.asarray(as_callable(Sum())(A, axes=[0, 1])), A * 2)


def test_refusals_say_what_call_takes(keras: Any) -> None:
    """Every misfit is an error of safeload that names the parameters, with Keras's own as its cause."""
    model = _two_inputs(keras)()
    model(A, B)
    fn = as_callable(model)
    for args, kwargs, problem in (
        ((A,), {}, "b missing"),
        ((A, None), {}, "b missing"),
        ((A, B, A, B), {}, "4 arguments are given"),
        ((A, B), {"a": A}, "a given twice"),
        ((A, B), {"c": A}, "c unknown"),
        ((B, A), {}, "expected axis -1 of input shape to have value 3"),
    ):
        with pytest.raises(InputMismatchError, match=r"TwoInputs.call takes \(a, b, scale\); .*" + problem):
            fn(*args, **kwargs)
    with pytest.raises(InputMismatchError, match="always inference"):
        fn(A, B, training=True)


def test_one_argument_that_holds_several(keras: Any) -> None:
    """Values by position become its list, values by name its dict."""
    fn = as_callable(_one_list(keras)())
    for result in (fn(A, B), fn([A, B]), fn(inputs=[A, B]), fn(a=A, b=B), fn({"a": A, "b": B})):
        np.testing.assert_array_equal(np.asarray(result), A[:, :2] - B[:, :2])
    with pytest.raises(InputMismatchError, match="inputs missing"):
        fn()
    with pytest.raises(InputMismatchError, match="it fails on these arguments: KeyError: b"):
        fn({"a": A})


def test_any_arguments(keras: Any) -> None:
    """What takes everything gets everything."""

    class Sum(keras.Model):
        def call(self, *args: Any, **kwargs: Any) -> Any:
            return sum(args) + sum(kwargs[name] for name in ("a", "b") if name in kwargs)

    fn = as_callable(Sum())
    np.testing.assert_array_equal(np.asarray(fn(A, A, a=A)), A * 3)


def test_a_model_without_weights(keras: Any, tmp_path: Path) -> None:
    """What was saved before it had weights would make some up in the first call; the caller's own model may."""

    class Unbuilt(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Unbuilt()
    model.save(tmp_path / "model.keras")
    fn = load_callable(tmp_path / "model.keras", custom_objects={"Unbuilt": Unbuilt})
    for _ in range(2):
        with pytest.raises(LoadFailedError, match="makes its weights in the first call, and the file holds none"):
            fn(A)
    assert as_callable(model)(A).shape == (2, 2)
