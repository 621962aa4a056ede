"""Models written by tf_keras and built by Keras 3: the outputs are those of tf_keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from releases import IS_KERAS_3_3

from safeload import ModelCallable, load_callable
from safeload.errors import IncompatibleVersionError

tf_keras = pytest.importorskip("tf_keras")
layers = tf_keras.layers


def loaded(model: Any, directory: Path) -> ModelCallable:
    """Save *model* of tf_keras in *directory* and load it."""
    model.save(directory / "m.h5")
    return load_callable(directory / "m.h5")


def sample(*shape: int) -> np.ndarray:
    """Return inputs that are the same in every run."""
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def dense(units: int = 3, **options: Any) -> Any:
    """Return a layer with a random bias, so that swapped weights show."""
    return layers.Dense(units, bias_initializer="random_normal", **options)


def sequential_with_input_shape() -> tuple[Any, Any]:
    """A Sequential model whose first layer says the shape."""
    return tf_keras.Sequential([dense(5, input_shape=(4,)), dense(2)]), sample(3, 4)


def sequential_of_models() -> tuple[Any, Any]:
    """A Sequential model that begins with a model."""
    first = tf_keras.Sequential([dense(5, input_shape=(4,)), dense()])
    return tf_keras.Sequential([first, dense(2)]), sample(3, 4)


def sequential_built_late() -> tuple[Any, Any]:
    """A Sequential model that only data gave a shape."""
    model = tf_keras.Sequential([dense(5), dense(2)])
    model(sample(3, 4))
    return model, sample(3, 4)


def shared_model() -> tuple[Any, Any]:
    """A nested model called twice, once on an inner result."""
    inner = tf_keras.Sequential([dense(4, input_shape=(4,))], name="inner")
    a, b = tf_keras.Input((4,), name="a"), tf_keras.Input((4,), name="b")
    first = inner(a)
    return tf_keras.Model([a, b], [inner(first), layers.Subtract()([inner(b), first])]), [
        sample(3, 4),
        sample(3, 4) + 1,
    ]


def nested_model_as_output() -> tuple[Any, Any]:
    """A functional model whose output is that of a functional model with two outputs."""
    x = tf_keras.Input((4,))
    inner = tf_keras.Model(x, [dense()(x), dense(2)(x)], name="inner")
    y = tf_keras.Input((4,))
    return tf_keras.Model(y, inner(y)), sample(3, 4)


def nested_inputs() -> tuple[Any, Any]:
    """Inputs and outputs in dicts."""
    a, b = tf_keras.Input((4,), name="a"), tf_keras.Input((2,), name="b")
    joined = layers.concatenate([a, b])
    outputs = {"y": dense()(joined), "x": dense(1)(b)}
    return tf_keras.Model({"b": b, "a": a}, outputs), {"a": sample(3, 4), "b": sample(3, 2)}


def initial_states() -> tuple[Any, Any]:
    """States given to LSTM, GRU and a bidirectional layer."""
    x = tf_keras.Input((5, 3))
    out, h, c = layers.LSTM(4, return_state=True, return_sequences=True)(x)
    y = layers.LSTM(4, return_sequences=True)(out, initial_state=[h, c])
    z = layers.GRU(4, return_sequences=True)(y, initial_state=h)
    return tf_keras.Model(x, layers.Bidirectional(layers.GRU(4))(z, initial_state=[h, c])), sample(2, 5, 3)


def attention_keywords() -> tuple[Any, Any]:
    """Tensors among the keywords of a call."""
    x, y = tf_keras.Input((5, 3)), tf_keras.Input((4, 3))
    z = layers.MultiHeadAttention(2, 3)(x, value=y, key=y)
    return tf_keras.Model([x, y], z), [sample(2, 5, 3), sample(2, 4, 3)]


def odd_names() -> tuple[Any, Any]:
    """Names that Keras 3 refuses."""
    x = tf_keras.Input((4,), name="in/x")
    return tf_keras.Model(x, dense(name="a_b")(dense(name="a/b")(x)), name="m/n"), sample(3, 4)


def passed_through() -> tuple[Any, Any]:
    """An output that is an input, and an input without use."""
    x, unused = tf_keras.Input((4,), name="x"), tf_keras.Input((2,), name="unused")
    return tf_keras.Model([x, unused], [x, dense()(x)]), [sample(3, 4), sample(3, 2)]


def added_losses() -> tuple[Any, Any]:
    """Layers behind add_loss and add_metric, a dense one among them."""
    x = tf_keras.Input((4,))
    shared = dense(4)
    y = shared(x)
    model = tf_keras.Model(x, dense(2)(y))
    model.add_loss(tf.reduce_mean(shared(y)) * 0.1)
    model.add_metric(tf.reduce_sum(y), name="sum")
    return model, sample(3, 4)


def tensorflow_functions() -> tuple[Any, Any]:
    """Operators, functions with constants first, slices, lists of tensors, several results."""
    a = tf_keras.Input((4, 2), name="a")
    first, second = tf.split(a * 2.0 + 1.0, 2, axis=1)
    joined = tf.concat([first[:, 0], 1.0 - second[..., 1]], axis=-1)
    mask = tf.cast(joined > 0, "float32")
    scaled = tf.nn.relu(joined) / tf.reduce_max(tf.abs(joined), axis=[1], keepdims=True)
    reshaped = tf.reshape(scaled * mask, [-1, 2, 2])
    return tf_keras.Model(a, dense()(tf.transpose(reshaped, perm=[0, 2, 1])[:, tf.newaxis, ::2])), sample(3, 4, 2)


def backend_functions() -> tuple[Any, Any]:
    """Functions of keras.backend and keras.activations."""
    x = tf_keras.Input((4,))
    y = tf_keras.backend.sum(tf_keras.activations.softmax(x), axis=1, keepdims=True)
    return tf_keras.Model(x, tf.where(x > 0, x * y, tf.zeros_like(x))), sample(3, 4)


def masked_by_functions() -> tuple[Any, Any]:
    """A function of TensorFlow between an embedding with a mask and a layer that heeds masks."""
    x = tf_keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(6, 4, mask_zero=True)(x)
    return tf_keras.Model(x, layers.LSTM(3)(embedded * 2.0) + layers.GRU(3)(embedded)), np.array(
        [[1, 2, 0, 0, 0], [3, 4, 5, 1, 0]]
    )


def wrapped_models() -> tuple[Any, Any]:
    """A model inside TimeDistributed."""
    inner = tf_keras.Sequential([dense(4, input_shape=(3,)), dense(2)])
    x = tf_keras.Input((5, 3))
    return tf_keras.Model(x, layers.TimeDistributed(inner)(x)), sample(2, 5, 3)


MAKERS = [
    sequential_with_input_shape,
    sequential_of_models,
    sequential_built_late,
    shared_model,
    nested_model_as_output,
    nested_inputs,
    initial_states,
    attention_keywords,
    odd_names,
    passed_through,
    added_losses,
    tensorflow_functions,
    backend_functions,
    masked_by_functions,
    wrapped_models,
]


def flat(outputs: Any) -> list[Any]:
    """Return the tensors of *outputs* in their order."""
    return list(outputs.values()) if isinstance(outputs, dict) else tf.nest.flatten(outputs)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_outputs_are_those_of_the_saver(tmp_path: Path, make: Callable[[], tuple[Any, Any]]) -> None:
    """Keras 3 computes what the model of tf_keras computes."""
    if make is wrapped_models and IS_KERAS_3_3:
        pytest.skip("Keras 3.3 knows no output shape of a Sequential inside TimeDistributed")
    model, inputs = make()
    fn = loaded(model, tmp_path)
    assert isinstance(fn.model, keras.Model)
    for found, expected in zip(flat(fn(inputs)), flat(model(inputs)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_losses_leave_no_trace(tmp_path: Path) -> None:
    """What only add_loss and add_metric use is not built."""
    model = loaded(added_losses()[0], tmp_path).model
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense", "Dense"]


def test_lost_tensors_are_explained(tmp_path: Path) -> None:
    """tf.einsum on several tensors is saved without the tensors."""
    a, b = tf_keras.Input((4,)), tf_keras.Input((4,))
    with pytest.raises(IncompatibleVersionError, match="einsum"):
        loaded(tf_keras.Model([a, b], tf.einsum("bi,bj->bij", a, b)), tmp_path)
