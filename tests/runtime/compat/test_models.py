"""Models written by tf_keras, in normal form and rebuilt by Keras 3: the outputs are those of tf_keras."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")
tf = pytest.importorskip("tensorflow")

from safeload.dialects import NormalForm, lower, normalise  # noqa: E402
from safeload.errors import IncompatibleVersionError  # noqa: E402
from safeload.formats import Format  # noqa: E402
from safeload.runtime._keras._package import installed_target  # noqa: E402
from safeload.runtime.compat import compat_objects  # noqa: E402

layers = tf_keras.layers
COMPAT = compat_objects("keras")
REGISTERED = {f"safeload.compat>{name}": value for name, value in COMPAT.items()}


def normal_of(model: Any) -> NormalForm:
    """Return the normal form of the config that tf_keras writes."""
    return normalise(json.loads(model.to_json()), {"keras_version": tf_keras.__version__}, Format.KERAS_HDF5)


def name_compat(config: Any) -> Any:
    """Give safeload's objects names under which Keras looks them up."""
    if isinstance(config, list):
        return [name_compat(value) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("module") == "safeload.compat":
        name = config["config"] if config["class_name"] == "function" else config["class_name"]
        registered = f"safeload.compat>{name}"
        inner = registered if config["class_name"] == "function" else name_compat(config["config"])
        return {**config, "registered_name": registered, "config": inner}
    return {key: name_compat(value) for key, value in config.items()}


def rebuilt(model: Any) -> Any:
    """Return *model* of tf_keras as a model of Keras 3 with the same weights."""
    normal = normal_of(model)
    config = name_compat(lower(normal, installed_target(keras, COMPAT)))
    new = keras.saving.deserialize_keras_object(config, custom_objects=REGISTERED)
    old_names = dict(normal.renamed)
    old_layers = {layer.name: layer for layer in leaves(model)}
    for layer in leaves(new):
        layer.set_weights(old_layers[old_names.get(layer.name, layer.name)].get_weights())
    return new


def leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of *model* and of the models in it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        else:
            yield layer


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
    """Return the tensors of *outputs*, dicts by key."""
    if isinstance(outputs, dict):
        return [outputs[key] for key in sorted(outputs)]
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_outputs_are_those_of_the_saver(make: Callable[[], tuple[Any, Any]]) -> None:
    """The rebuilt model computes what the model of tf_keras computes."""
    if make is wrapped_models and keras.version().startswith("3.3."):
        pytest.skip("Keras 3.3 knows no output shape of a Sequential inside TimeDistributed")
    model, inputs = make()
    new = rebuilt(model)
    for found, expected in zip(flat(new(inputs)), flat(model(inputs)), strict=True):
        assert np.allclose(found, expected, atol=1e-5)


def test_sequential_models_get_their_input() -> None:
    """The InputLayer has the name that Keras 2 gives it."""
    config = normal_of(sequential_with_input_shape()[0]).config["config"]
    assert [layer["class_name"] for layer in config["layers"]] == ["InputLayer", "Dense", "Dense"]
    assert config["layers"][0]["config"]["batch_shape"] == [None, 4]


def test_losses_leave_no_trace() -> None:
    """What only add_loss and add_metric use is not built."""
    normal = normal_of(added_losses()[0]).config["config"]["layers"]
    assert [layer["class_name"] for layer in normal] == ["InputLayer", "Dense", "Dense"]
    assert [len(layer["inbound_nodes"]) for layer in normal] == [0, 1, 1]


def test_lost_tensors_are_explained() -> None:
    """tf.einsum on several tensors is saved without the tensors."""
    a, b = tf_keras.Input((4,)), tf_keras.Input((4,))
    model = tf_keras.Model([a, b], tf.einsum("bi,bj->bij", a, b))
    with pytest.raises(IncompatibleVersionError, match="einsum"):
        normal_of(model)
