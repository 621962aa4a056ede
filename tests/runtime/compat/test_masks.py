"""Masks reach later layers as they did in Keras 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from safeload import load_callable
from safeload.errors import IncompatibleVersionError
from safeload.runtime._keras._in_graphs import mend
from safeload.runtime.compat import compat_objects

tf_keras = pytest.importorskip("tf_keras")

if TYPE_CHECKING:
    from pathlib import Path

A = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])
B = np.array([[1, 0, 2, 3, 0], [0, 4, 5, 6, 7]])
MERGING = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate"]


def _merging(name: str, *, is_masked: bool, axis: int = -1) -> Any:
    """A model of tf_keras that merges two sequences, of which the second has a mask or none, and sums them up."""
    layers = tf_keras.layers
    inputs = [tf_keras.Input((5,)), tf_keras.Input((5,))]
    first = layers.Embedding(9, 3, mask_zero=True)(inputs[0])
    second = layers.Embedding(9, 3, mask_zero=is_masked)(inputs[1])
    options = {"axis": axis} if name == "Concatenate" else {}
    merged = getattr(layers, name)(**options)([first, second])
    return tf_keras.Model(inputs, layers.Concatenate()([layers.LSTM(2)(merged), layers.Flatten()(merged)]))


@pytest.mark.parametrize("is_masked", [True, False])
@pytest.mark.parametrize("name", MERGING)
def test_merged_sequences_keep_the_masks_of_keras_2(tmp_path: Path, name: str, is_masked: bool) -> None:
    """A later LSTM skips the steps that it skipped in the release that saved the file."""
    model = _merging(name, is_masked=is_masked)
    model.save(tmp_path / "m.h5")
    found = load_callable(tmp_path / "m.h5")(A, B)
    np.testing.assert_allclose(np.asarray(found), model([A, B]).numpy(), atol=1e-6)


def test_sequences_joined_in_time_keep_their_masks(tmp_path: Path) -> None:
    """Joined along another axis than the last, the masks are joined, too."""
    model = _merging("Concatenate", is_masked=True, axis=1)
    model.save(tmp_path / "m.h5")
    found = load_callable(tmp_path / "m.h5")(A, B)
    np.testing.assert_allclose(np.asarray(found), model([A, B]).numpy(), atol=1e-6)


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_attention_before_2_10_attends_to_masked_steps(package: Any) -> None:
    """The mask of the input neither limits the attention nor goes on; one that the call gives counts."""
    layer = compat_objects(package.__name__)["UnmaskedMultiHeadAttention"](1, 2)
    inputs = package.Input((5,))
    embedded = package.layers.Embedding(9, 3, mask_zero=True)(inputs)
    model = package.Model(
        inputs, [embedded, layer(embedded, embedded), package.layers.LSTM(2)(layer(embedded, embedded))]
    )
    sequence, attended, last = model(A)
    plain = package.layers.MultiHeadAttention(1, 2)
    plain(np.asarray(sequence), np.asarray(sequence))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        np.asarray(attended), np.asarray(plain(np.asarray(sequence), np.asarray(sequence))), atol=1e-6
    )
    np.testing.assert_allclose(np.asarray(last), np.asarray(model.layers[-1](np.asarray(attended))), atol=1e-6)
    mask = np.tril(np.ones((1, 5, 5), bool))
    limited = layer(np.asarray(sequence), np.asarray(sequence), attention_mask=mask)
    assert not np.allclose(np.asarray(limited), np.asarray(attended))


def test_tf_keras_takes_such_models_as_they_were(tmp_path: Path) -> None:
    """On the road of tf_keras, which a class of the caller's decides, the layers are its own."""

    class Mine(tf_keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    layers = tf_keras.layers
    inputs = tf_keras.Input((5,))
    x = layers.Embedding(9, 3, mask_zero=True)(inputs)
    x = layers.Add()([x, layers.MultiHeadAttention(1, 2)(x, x)])
    model = tf_keras.Model(inputs, Mine()(layers.LSTM(2)(x)))
    model.save(tmp_path / "m.h5")
    expected = model(A).numpy()
    found = load_callable(tmp_path / "m.h5", custom_objects={"Mine": Mine})
    np.testing.assert_allclose(np.asarray(found(A)), expected, atol=1e-6)


def test_two_layers_attend_to_one_masked_sequence(tmp_path: Path) -> None:
    """The second finds the mask as the first did; each takes the masks of all that it is given."""
    layers = tf_keras.layers
    inputs = [tf_keras.Input((5,)), tf_keras.Input((5,))]
    query, value = (layers.Embedding(9, 3, mask_zero=True)(each) for each in inputs)
    for _ in range(2):
        query = layers.Add()([query, layers.MultiHeadAttention(1, 2)(query, value, key=value)])
    model = tf_keras.Model(inputs, layers.LSTM(2)(query))
    for suffix in ("h5", "keras"):
        model.save(tmp_path / f"m.{suffix}")
        found = load_callable(tmp_path / f"m.{suffix}")(A, B)
        np.testing.assert_allclose(np.asarray(found), model([A, B]).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", [*MERGING, "Attention", "AdditiveAttention"])
def test_layers_of_several_before_keras_3_4_give_no_mask(name: str) -> None:
    """A later layer sees every step."""
    inputs = keras.Input((5,))
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(inputs)
    layer = compat_objects("keras")[f"Unmasked{name}"]()
    # Without a causal mask, Attention of Keras 3.3 fails where a value is masked.
    options = {"use_causal_mask": True} if "Attention" in name else {}
    merged = layer([embedded, embedded], **options)
    model = keras.Model(inputs, [merged, keras.layers.LSTM(2)(merged)])
    sequence, last = model(A)
    np.testing.assert_allclose(np.asarray(last), np.asarray(model.layers[-1](np.asarray(sequence))), atol=1e-6)


@pytest.mark.skipif(
    keras.__version__.startswith(("3.3.", "3.6.")), reason="Keras 3.3 and 3.6 normalize by no single mean"
)
def test_layers_that_ended_masks_end_them(tmp_path: Path) -> None:
    """Those of preprocessing pass the mask on in Keras 3 alone."""
    layers = tf_keras.layers
    inputs = tf_keras.Input((5,))
    embedded = layers.Embedding(9, 3, mask_zero=True)(inputs)
    ends = [layers.Rescaling(2.0), layers.Identity(), layers.Normalization(mean=0.5, variance=2.0), layers.ReLU()]
    model = tf_keras.Model(inputs, [layers.LSTM(2)(end(embedded)) for end in ends])
    for suffix in ("h5", "keras"):
        model.save(tmp_path / f"m.{suffix}")
        found = load_callable(tmp_path / f"m.{suffix}")(A)
        for actual, expected in zip(found.values(), model(A), strict=True):
            np.testing.assert_allclose(np.asarray(actual), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_relu_before_2_5_gives_no_mask(package: Any) -> None:
    """A later layer sees every step."""
    inputs = package.Input((5,))
    rectified = compat_objects(package.__name__)["UnmaskedReLU"]()(
        package.layers.Embedding(9, 3, mask_zero=True)(inputs)
    )
    model = package.Model(inputs, [rectified, package.layers.LSTM(2)(rectified)])
    sequence, last = model(A)
    np.testing.assert_allclose(np.asarray(last), np.asarray(model.layers[-1](np.asarray(sequence))), atol=1e-6)


@pytest.mark.parametrize("inner", ["Embedding", "Masking", "Dense"])
def test_layers_for_each_step_give_the_mask_of_the_layer_inside(tmp_path: Path, inner: str) -> None:
    """Steps inside of steps are masked each; a step of which nothing is left does not count."""
    layers = tf_keras.layers
    inputs = tf_keras.Input((3, 5) if inner == "Embedding" else (3, 5, 2))
    x = layers.Masking()(inputs) if inner == "Dense" else inputs
    for layer in {"Embedding": [layers.Embedding(9, 2, mask_zero=True)], "Masking": [layers.Masking()]}.get(inner, []):
        x = layers.TimeDistributed(layer)(x)
    x = layers.TimeDistributed(layers.Dense(3))(x)
    steps = layers.TimeDistributed(layers.LSTM(2))(x)
    model = tf_keras.Model(inputs, layers.Concatenate()([layers.LSTM(2)(steps), layers.Flatten()(steps)]))
    data = np.stack([A, B, A * 0], axis=1)
    data = data if inner == "Embedding" else np.repeat(data[..., None], 2, axis=-1) / 9
    model.save(tmp_path / "m.h5")
    np.testing.assert_allclose(np.asarray(load_callable(tmp_path / "m.h5")(data)), model(data).numpy(), atol=1e-6)


@pytest.mark.parametrize("inner", ["LSTM", "Masking"])
@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_layers_for_each_step_before_2_2_knew_no_masks_inside(package: Any, inner: str) -> None:
    """What is inside sees whole steps and masks none."""
    layers, steps = package.layers, compat_objects(package.__name__)["MaskPassingTimeDistributed"]
    inputs = package.Input((3, 5, 2))
    x = layers.Masking()(inputs) if inner == "LSTM" else steps(layers.Masking())(inputs)
    model = package.Model(inputs, steps(layers.LSTM(2))(x))
    data = np.repeat(np.stack([A, B, A * 0], axis=1)[..., None], 2, axis=-1) / np.float32(9)
    lstm = model.layers[-1].layer
    expected = np.stack([np.asarray(lstm(data[:, i])) for i in range(3)], axis=1)
    np.testing.assert_allclose(np.asarray(model(data)), expected, atol=1e-6)


def test_layers_for_each_step_before_2_2_pass_masks_on(tmp_path: Path) -> None:
    """In a graph that does not know the number of steps, too."""
    steps = compat_objects("keras")["MaskPassingTimeDistributed"]
    inputs = keras.Input((None, 5))
    last = keras.layers.LSTM(2)
    model = keras.Model(inputs, last(steps(keras.layers.Dense(2))(keras.layers.Masking()(inputs))))
    data = np.where(np.arange(3)[:, None] == 1, np.float32(0), A[:, None].astype("float32"))
    counted = np.asarray(model.layers[2](data))[:, [0, 2]]
    mend(model)
    found = tf.function(model, input_signature=[tf.TensorSpec([None, None, 5])])(tf.constant(data))
    np.testing.assert_allclose(np.asarray(found), np.asarray(last(counted)), atol=1e-6)


@pytest.mark.parametrize("inner", ["Dense", "LSTM"])
def test_layers_for_each_step_of_tensorflow_1_9_or_later(inner: str) -> None:
    """Where nothing inside makes a mask, both give that of the input."""
    steps = compat_objects("keras")["EitherTimeDistributed"]
    inputs = keras.Input((3, 5, 2) if inner == "LSTM" else (3, 5))
    layer = steps(getattr(keras.layers, inner)(2))
    assert layer.compute_mask(inputs, None) is None
    mask = keras.Input((3,), dtype="bool")
    assert layer.compute_mask(inputs, mask) is mask
    with pytest.raises(IncompatibleVersionError, match="does not tell whether the masks"):
        layer.compute_mask(inputs, keras.Input((3, 5), dtype="bool"))
    with pytest.raises(IncompatibleVersionError, match="does not tell whether the masks"):
        steps(keras.layers.Masking())(keras.Input((3, 5, 2)))


def test_a_mask_that_a_call_gives_in_an_unknown_release() -> None:
    """Keras writes down the mask that a layer has from its input; any other one might end there, or go on."""
    layer, masking = compat_objects("keras")["EitherMaskedLSTM"](2, return_sequences=True), keras.layers.Masking()
    x = np.array([[[1, 2], [0, 0]]], "float32")
    mask = masking.compute_mask(x)
    assert np.asarray(layer.compute_mask(masking(x), mask)).tolist() == [[True, False]]
    with pytest.raises(IncompatibleVersionError, match="since Keras 3.11, and nothing tells"):
        layer.compute_mask(x, mask)


def test_attention_before_keras_3_8_leaves_masks_in_place() -> None:
    """A second layer that attends to a sequence finds the mask that the first one found."""
    inputs = keras.Input((5,))
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(inputs)
    layers = [compat_objects("keras")["MultiHeadAttention"](1, 2) for _ in range(2)]
    model = keras.Model(inputs, [layer(embedded, embedded) for layer in layers])
    layers[1].set_weights(layers[0].get_weights())
    first, second = model(A)
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), atol=1e-6)


@pytest.mark.parametrize("name", ["LSTM", "Bidirectional", "Softmax"])
def test_masks_that_calls_gave_before_keras_3_11_end_there(name: str) -> None:
    """The layer uses the mask; a later one sees every step, or the mask of the input."""
    inputs, mask = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
    options = {"LSTM": {"units": 2, "return_sequences": True}, "Softmax": {"axis": -1}}
    inner = {"layer": keras.layers.LSTM(2, return_sequences=True)}
    layer = compat_objects("keras")[f"InputMasked{name}"](**options.get(name, inner))
    given = keras.layers.Reshape((5, 1))(mask) if name == "Softmax" else mask
    for source in (inputs, keras.layers.Masking()(inputs)):
        sequence = layer(source, mask=given)
        last = keras.layers.GRU(2)
        model = keras.Model([inputs, mask], [sequence, last(sequence)])
        data = np.repeat((A != 0)[..., None], 3, axis=-1) * np.float32(0.5)
        steps, found = model([data, np.asarray(B != 0)])
        expected = last(np.asarray(steps), mask=None if source is inputs else A != 0)
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-6)
    assert type(layer).__name__ == name
