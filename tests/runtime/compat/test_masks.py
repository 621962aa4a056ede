"""Masks reach later layers as they did in Keras 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from safeload import load_callable

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

from safeload.runtime.compat import compat_objects  # noqa: E402

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
def test_merged_sequences_keep_the_masks_of_keras_2(tmp_path: Path, name: str, is_masked: bool) -> None:  # noqa: FBT001
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

    class Mine(tf_keras.layers.Layer):  # type: ignore[misc]
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


@pytest.mark.parametrize("name", MERGING)
def test_merging_layers_before_keras_3_4_give_no_mask(name: str) -> None:
    """A later layer sees every step."""
    inputs = keras.Input((5,))
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(inputs)
    layer = compat_objects("keras")[f"Unmasked{name}"]()
    merged = layer([embedded, embedded])
    model = keras.Model(inputs, [merged, keras.layers.LSTM(2)(merged)])
    sequence, last = model(A)
    np.testing.assert_allclose(np.asarray(last), np.asarray(model.layers[-1](np.asarray(sequence))), atol=1e-6)
