"""Dense layers run one by one answer what their graph answers, bit for bit; what is no stack of them is left alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import execute

from safeload.runtime._dense import DenseStack, dense_stack
from safeload.runtime._eager_function import of_concrete_function
from safeload.runtime._wrap import as_callable

Dense = keras.layers.Dense
RNG = np.random.default_rng(0)
WIDTH = 6

W, V, B = (tf.Variable(RNG.standard_normal(shape, np.float32)) for shape in ([WIDTH, WIDTH], [WIDTH, 300], [WIDTH]))
HALF, DOUBLE = tf.Variable(tf.cast(W, tf.float16)), tf.Variable(tf.cast(W, tf.float64))


def _dense(x: Any) -> Any:
    return tf.nn.bias_add(x @ W, B)


STACKS: dict[str, Callable[[Any], Any]] = {
    "product": lambda x: x @ W,
    "transposed": lambda x: tf.linalg.matmul(x, W, transpose_b=True),
    "layer": _dense,
    "rectified": lambda x: tf.nn.relu(_dense(x)),
    "clipped": lambda x: tf.nn.relu6(_dense(x)),
    "without bias": lambda x: tf.nn.relu(x @ W),
    "wide": lambda x: tf.nn.relu(_dense(x)) @ V,
    "probabilities": lambda x: tf.nn.softmax(tf.nn.relu(_dense(tf.nn.relu(_dense(x)))) @ V),
    "passed on": lambda x: tf.identity(_dense(tf.identity(x))),
    "four": lambda x: _dense(_dense(_dense(_dense(x)))),
}


def _concrete(function: Callable[..., Any], *specs: tf.TensorSpec) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(
        *(specs or (tf.TensorSpec([None, WIDTH], tf.float32),))
    )


def _stack(function: Any) -> DenseStack | None:
    return dense_stack(function.graph, list(function.captured_inputs))


@pytest.mark.parametrize("name", STACKS)
def test_stack(name: str) -> None:
    """The bytes are those of the graph, for any number of rows, and for values that are assigned later."""
    function = _concrete(STACKS[name])
    assert _stack(function)
    plain = of_concrete_function(function)
    assert plain is not None
    for rows in (0, 1, 2, 33, 1000):
        x = tf.constant(RNG.standard_normal((rows, WIDTH), np.float32))
        for value in (x, tf.where(x > 1, np.nan, x), tf.where(x > 1, -np.inf, x)):
            assert np.asarray(plain([value])).tobytes() == np.asarray(function(value)).tobytes()
        W.assign_add(0.01 * tf.ones_like(W))


PARTS: dict[str, Callable[[Any], Any]] = {
    "product": lambda x: x @ W,
    "dense": _dense,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "softmax": tf.nn.softmax,
}


@pytest.mark.parametrize("names", itertools.product(PARTS, repeat=3), ids="-".join)
def test_any_three_parts(names: tuple[str, ...]) -> None:
    """Whatever stands behind what, the bytes are those of the graph."""

    def compute(x: Any) -> Any:
        for name in names:
            x = PARTS[name](x)
        return x

    function = _concrete(compute)
    plain, x = of_concrete_function(function), tf.constant(RNG.standard_normal((5, WIDTH), np.float32))
    assert plain is not None
    for value in (x, tf.where(x > 1, np.nan, x)):
        assert np.asarray(plain([value])).tobytes() == np.asarray(function(value)).tobytes()


OTHERS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda x: x,
    "no variables": tf.nn.relu,
    "constants": lambda x: x @ tf.ones([WIDTH, 2]),
    "halves": lambda x: tf.cast(x, tf.float16) @ HALF,
    "doubles": lambda x: tf.cast(x, tf.float64) @ DOUBLE,
    "skip": lambda x: x @ W + x,
    "twice": lambda x: (x @ W) @ (x @ W),
    "other way round": lambda x: tf.transpose(W) @ tf.transpose(x),
    "two results": lambda x: (x @ W, x),
    "a part": lambda x: [x @ W, tf.nn.relu(x @ W)][0],
    "channels first": lambda x: tf.nn.bias_add(tf.reshape(x, [1, WIDTH, 1, -1]), B, data_format="NCHW"),
    "another activation": lambda x: tf.sigmoid(tf.nn.bias_add(x @ W, B)),
    "sum": lambda x: x @ W + B,
    "clipped twice": lambda x: tf.nn.relu(tf.nn.relu6(_dense(x))),
    "bias alone": lambda x: tf.nn.bias_add(x, B),
    "long": lambda x: [x := x @ W for _ in range(5)][-1],
    "assigned": lambda x: x @ W.assign_add(W),
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_stack(name: str) -> None:
    """Other operations, dtypes and ways through the graph are left alone."""
    assert _stack(_concrete(OTHERS[name])) is None


def test_no_stack_of_two_inputs() -> None:
    """Nor is a function of two inputs one."""
    spec = tf.TensorSpec([None, WIDTH], tf.float32)
    assert _stack(_concrete(lambda x, y: x @ W + y, spec, spec)) is None


def test_errors_are_those_of_the_function() -> None:
    """What goes wrong names the node, and calls go on afterwards as before."""
    function = _concrete(lambda x: x @ W, tf.TensorSpec([None, None], tf.float32))
    plain = of_concrete_function(function)
    assert plain is not None
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Matrix size-incompatible(.|\n)*\{\{node matmul"):
        plain([tf.ones([2, WIDTH + 1])])
    assert isinstance(plain._quick, DenseStack)


def test_operations_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without one of them runs the function from then on."""
    function = _concrete(lambda x: tf.nn.bias_add(x @ W, B))
    plain, run = of_concrete_function(function), execute.execute
    assert plain is not None

    def refusing(op_name: Any, *args: Any, **kwargs: Any) -> Any:
        if op_name == "_FusedMatMul":
            raise tf.errors.NotFoundError(None, None, "no such operation")
        return run(op_name, *args, **kwargs)

    monkeypatch.setattr(execute, "execute", refusing)
    x = tf.ones([2, WIDTH])
    np.testing.assert_array_equal(plain([x]), function(x))
    assert plain._quick is None


def _keras_model() -> Any:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((WIDTH,)), Dense(20, "relu", use_bias=False), Dense(3, use_bias=False)])


def test_threads() -> None:
    """Many threads get what one gets."""
    fn = as_callable(_keras_model())
    rows = [RNG.standard_normal((1, WIDTH), np.float32) for _ in range(200)]
    expected = [np.asarray(fn(row)).tobytes() for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert [np.asarray(made).tobytes() for made in pool.map(fn, rows)] == expected


def test_keras_model() -> None:
    """Weights may be set, and a tape sees the layers."""
    model = _keras_model()
    assert _stack(_concrete(lambda x: model(x, training=False)))
    fn, x = as_callable(model), tf.ones([3, WIDTH])
    before = fn(x)
    model.set_weights([weights + 0.5 for weights in model.get_weights()])
    np.testing.assert_allclose(fn(x), model(x, training=False), rtol=1e-5)
    assert np.abs(fn(x) - before).max() > 0
    with tf.GradientTape(persistent=True) as tape:
        loss, expected = tf.reduce_sum(fn(x)), tf.reduce_sum(model(x, training=False))
    pairs = zip(*(tape.gradient(made, model.trainable_variables) for made in (loss, expected)), strict=True)
    for one, two in pairs:
        np.testing.assert_allclose(one, two, rtol=1e-5)
