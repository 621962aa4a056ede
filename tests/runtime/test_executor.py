"""Functions that run in one thread answer what TensorFlow's other executor answers, and explain errors as it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import cancellation, context
from tensorflow.python.ops import control_flow_ops

from safeload.runtime import _eager_function as eager_function
from safeload.runtime._eager_function import EagerFunction, of_concrete_function
from safeload.runtime._executor import ONE_THREAD, is_chain
from safeload.runtime._wrap import as_callable

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def concrete(function: Callable[..., Any], *specs: tf.TensorSpec) -> Any:
    specs = specs or (tf.TensorSpec([None, 4], tf.float32),)
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def _two_towers(x: Any) -> Any:
    return tf.tanh(x) + tf.sigmoid(x)


def _loop(x: Any) -> Any:
    return tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2.0), (0, x))[1]


def _switch(x: Any) -> Any:
    return control_flow_ops.switch(x, tf.reduce_sum(x) > 0)[1]


def _with_small_parts(x: Any) -> Any:
    scale = tf.math.rsqrt(tf.constant([1.0, 2.0, 3.0, 4.0]) + 1.0)
    return tf.tanh(x * scale) - scale


CHAINS: dict[str, Callable[[Any], Any]] = {
    "one": tf.tanh,
    "two": lambda x: tf.tanh(tf.exp(x)),
    "skip": lambda x: tf.tanh(x) + x,
    "reshaped": lambda x: tf.reshape(tf.tanh(x), [-1, 2]),
    "small parts": _with_small_parts,
}
OTHERS: dict[str, Callable[[Any], Any]] = {
    "two towers": _two_towers,
    "loop": _loop,
    "switch": _switch,
    "random": lambda x: x + tf.random.uniform([4]),
    "called": lambda x: tf.function(tf.tanh)(x),
    "printing": lambda x: tf.raw_ops.Print(input=x, data=[x]),
    "long": lambda x: [x := tf.tanh(x) for _ in range(300)][-1],
}


@pytest.mark.parametrize("name", CHAINS)
def test_chain(name: str) -> None:
    """What has nothing to run at once is run in one thread, with the same bytes as result."""
    function = concrete(CHAINS[name])
    assert is_chain(function.graph)
    plain = of_concrete_function(function)
    assert plain is not None
    assert np.asarray(plain([tf.constant(X)])).tobytes() == np.asarray(function(tf.constant(X))).tobytes()


@pytest.mark.parametrize("name", OTHERS)
def test_no_chain(name: str) -> None:
    """Work that can be shared out, effects, functions and branches are left to the executor with many threads."""
    assert not is_chain(concrete(OTHERS[name]).graph)


@pytest.fixture
def executors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The executors that plain calls ask for."""
    asked: list[str] = []
    execute = eager_function.execute.execute

    def noting(op_name: Any, num_outputs: int, inputs: Any, attrs: Any, ctx: Any) -> Any:
        asked.extend(value for key, value in zip(attrs[::2], attrs[1::2], strict=True) if key == "executor_type")
        return execute(op_name, num_outputs, inputs, attrs, ctx)

    monkeypatch.setattr(eager_function.execute, "execute", noting)
    return asked


def _keras_model() -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    parts = [layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dense(2, activation="softmax")]
    return keras.Sequential([keras.Input((4,)), *parts])


def test_keras_model(executors: list[str]) -> None:
    """A Sequential model runs in one thread; its weights may change, and a tape sees it."""
    model = _keras_model()
    fn = as_callable(model)
    function = tf.function(lambda x: model(x, training=False))
    for _ in range(2):
        assert np.asarray(fn(X)).tobytes() == np.asarray(function(tf.constant(X))).tobytes()
        model.set_weights([weights + 0.5 for weights in model.get_weights()])
    assert executors.count(ONE_THREAD) == 2
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(fn(tf.constant(X)))
    with tf.GradientTape() as other:
        expected = tf.reduce_sum(function(tf.constant(X)))
    pairs = zip(
        tape.gradient(loss, model.trainable_variables),
        other.gradient(expected, model.trainable_variables),
        strict=True,
    )
    for one, two in pairs:
        np.testing.assert_array_equal(one, two)


def test_embedding() -> None:
    """An index out of range is explained with the node, and calls go on afterwards in one thread."""
    table = tf.Variable(tf.reshape(tf.range(12.0), [4, 3]))
    function = concrete(lambda i: tf.tanh(tf.gather(table, i)), tf.TensorSpec([None], tf.int32))
    plain = of_concrete_function(function)
    assert plain is not None
    expected = plain([tf.constant([1])])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"is not in \[0, 4\)(.|\n)*\{\{node ") as caught:
        plain([tf.constant([9])])
    with pytest.raises(tf.errors.InvalidArgumentError) as other:
        function(tf.constant([9]))
    assert type(caught.value) is type(other.value)
    np.testing.assert_array_equal(plain([tf.constant([1])]), expected)


def test_what_the_executor_refuses_goes_to_the_other(executors: list[str]) -> None:
    """A graph that turns out not to run in one thread is run by the other executor from then on."""
    function = concrete(_loop)
    name = function._inference_function.name
    plain = EagerFunction(name, [], 1, lambda results: results[0], eager_function._in_one_thread(name, [], 1))
    for _ in range(2):
        np.testing.assert_array_equal(plain([tf.constant(X)]), X * 8)
    assert executors == [ONE_THREAD, "", ""]


def test_several_devices(executors: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more devices than the host, tensors may have to be sent."""
    function = concrete(tf.tanh)
    with monkeypatch.context() as patch:
        patch.setattr(type(context.context()), "list_logical_devices", lambda self: ["one", "two"])
        plain = of_concrete_function(function)
    assert plain is not None
    np.testing.assert_array_equal(plain([tf.constant(X)]), function(tf.constant(X)))
    assert ONE_THREAD not in executors


def test_scopes_of_the_caller(executors: list[str]) -> None:
    """Under a device scope, and where the call can be cancelled, TensorFlow's own way is taken."""
    function = concrete(tf.tanh)
    plain = of_concrete_function(function)
    assert plain is not None
    expected = plain([tf.constant(X)])
    with tf.device("/CPU:0"):
        np.testing.assert_array_equal(plain([tf.constant(X)]), expected)
    with cancellation.CancellationManagerContext(cancellation.CancellationManager()):
        np.testing.assert_array_equal(plain([tf.constant(X)]), expected)
    assert executors == [ONE_THREAD, ""]
