"""The short way of a call answers what the long way answers, or leaves it to the long way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from saved_models import Saved, X, load
from threads import in_threads

from safeload.errors import InputMismatchError, LoadFailedError
from safeload.runtime._callable._tensors import from_array
from safeload.runtime._wrap import as_callable

VALUES: dict[str, Any] = {
    "float32": X,
    "float64": X.astype(np.float64),
    "big-endian": X.astype(">f4"),
    "int64": X.astype(np.int64),
    "list": X.tolist(),
    "tensor": tf.constant(X),
    "float64-tensor": tf.constant(X, tf.float64),
    "variable": tf.Variable(X),
    "matrix": np.ones((2, 4), np.float32).view(np.matrix),
    "transposed": np.asfortranarray(X),
    "slice": np.repeat(X, 2, axis=0)[::2],
    "empty": X[:0],
    "wrong-shape": X[:, :2],
    "wrong-rank": X[0],
    "wrong-tensor": tf.ones([1, 7]),
    "strings": np.array([["a"]]),
    "complex": X.astype(np.complex64),
    "mapping": {"x": X},
    "unknown-name": {"z": X},
}


def outcome(call: Callable[[], Any]) -> Any:
    """Return the result as an array, or the text of the refusal."""
    try:
        return np.asarray(call())
    except InputMismatchError as error:
        return str(error)


@pytest.mark.parametrize("name", ["signatures", "module"])
@pytest.mark.parametrize("kind", VALUES)
def test_every_value_has_the_outcome_of_the_long_way(saved: Saved, name: str, kind: str) -> None:
    """What a fresh callable answers or refuses, one with a short way answers or refuses in the same words."""
    value = VALUES[kind]
    fresh, warm = load(saved(name)), load(saved(name))
    for _ in range(2):
        warm(X)
        warm(x=X)
    assert set(warm._fast) == {(1,), (0, "x")}
    np.testing.assert_array_equal(outcome(lambda: warm(value)), outcome(lambda: fresh(value)))
    np.testing.assert_array_equal(outcome(lambda: warm(x=value)), outcome(lambda: load(saved(name))(x=value)))


def test_keywords_in_any_order(saved: Saved) -> None:
    """Each order of keywords is a form of its own."""
    minus = load(saved("signatures"), signature="minus")
    a, b = np.float32([3]), np.float32([5])
    for _ in range(3):
        assert float(minus(a=a, b=b)[0]) == float(minus(b=b, a=a)[0]) == 2.0
    assert float(minus(a=a, b=a)[0]) == 0.0
    assert set(minus._fast) == {(0, "a", "b"), (0, "b", "a")}


def test_one_array_for_two_inputs_teaches_nothing(saved: Saved) -> None:
    """From one object that stands for two inputs nobody can tell which is which."""
    minus = load(saved("module"), signature="minus")
    a = np.float32([3])
    minus(a, a)
    assert not minus._fast
    np.testing.assert_array_equal(minus(np.float32([5]), a), [2])


def test_another_trace_is_still_found(saved: Saved) -> None:
    """A value that another trace takes without a cast goes to that trace."""
    shaped = load(saved("module"), signature="shaped")
    first = np.float32([1, 2])
    for _ in range(2):
        assert shaped(np.int32([1, 2])).dtype == tf.int32  # before the trace that teaches the short way
        assert shaped(first).dtype == tf.float32
        assert float(shaped(np.float32([[1, 2]]))) == 3.0


def test_arrays_are_copied(saved: Saved) -> None:
    """What the caller does to an array afterwards changes no result."""
    model, x = load(saved("signatures")), X.copy()
    model(x)
    result = model(x)
    expected = np.asarray(result).copy()
    x[:] = 0
    np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.parametrize("value", [np.float64([[1.5]]), np.array([["b"]]), np.array([[b"b"]], object)], ids=str)
def test_strings(value: Any) -> None:
    """Arrays for an input of strings take the long way, which knows their many dtypes."""
    model = keras.Sequential([keras.Input((1,), dtype="string"), keras.layers.StringLookup(vocabulary=["a", "b"])])
    fresh, warm = as_callable(model), as_callable(model)
    warm(tf.constant([["a"]]))
    np.testing.assert_array_equal(outcome(lambda: warm(value)), outcome(lambda: fresh(value)))


def test_tensors_of_arrays() -> None:
    """A tensor made of an array is what TensorFlow makes of it, and shares no memory with it."""
    for array in (X, X[::2].T, np.int8(3).reshape(()), np.zeros((0, 2)), X.astype(np.complex128)):
        made, expected = from_array(array), tf.constant(array)
        assert (made.dtype, made.shape, made.device) == (expected.dtype, expected.shape, expected.device)
        np.testing.assert_array_equal(made, expected)
    for size in (4, 1 << 20):
        array = np.ones(size, np.float32)
        made = from_array(array)
        array[:] = 0
        assert float(tf.reduce_min(made)) == 1.0
    with tf.device("/CPU:0"):
        assert from_array(X).device == tf.constant(X).device


def test_closed(saved: Saved) -> None:
    """The short way ends when the model is closed."""
    model = load(saved("signatures"))
    model(X)
    model.close()
    with pytest.raises(LoadFailedError):
        model(X)


def test_tape_and_graph_after_the_short_way(saved: Saved) -> None:
    """Eager calls do not hide the model from tapes and graphs."""
    model = load(saved("signatures"))
    model(X)
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    assert tape.gradient(y, x) is not None
    np.testing.assert_array_equal(tf.function(model)(x), y)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_keras_models_are_traced_once(package: str) -> None:
    """One trace answers all batch sizes, in tapes and graphs too; threads wait for the first."""
    keras = pytest.importorskip(package)
    traces: list[int] = []

    class Counting(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            traces.append(1)
            return x * 2.0

    inputs = keras.layers.Input((4,))
    model = as_callable(keras.Model(inputs, Counting()(inputs)))
    traces.clear()
    in_threads(lambda _: model(X))
    for size in (1, 2, 5):
        x = tf.ones([size, 4])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        np.testing.assert_array_equal(y, model(np.ones([size, 4], np.float32)))
        np.testing.assert_array_equal(tape.gradient(y, x), np.full([size, 4], 2.0))
    assert len(traces) == 1


def test_keras_weights_may_change() -> None:
    """The compiled call reads the variables of the model."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    fn = as_callable(model)
    fn(X)
    model.set_weights([np.ones((4, 1)), np.ones(1)])
    np.testing.assert_allclose(fn(X), X.sum(1, keepdims=True) + 1)


def test_keras_layers_that_need_a_shape() -> None:
    """A layer that asks for the batch size is traced for each."""

    class Sized(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            if x.shape[0] is None:
                raise TypeError("the batch size must be known")
            return x * float(x.shape[0])

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape, x.dtype)

    inputs = keras.layers.Input((4,))
    fn = as_callable(keras.Model(inputs, Sized()(inputs)))
    for size in (1, 2):
        np.testing.assert_array_equal(fn(np.ones((size, 4), np.float32)), np.full((size, 4), float(size)))
