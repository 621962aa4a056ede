"""Layers for ``tf.data`` compute in a graph what they compute without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import safeload
from safeload.runtime._keras._in_graphs import is_traceable

if TYPE_CHECKING:
    from pathlib import Path

BELOW_ZERO = np.array([[-0.4, 0.2], [-0.1, 0.7]], "float32")


def _buckets() -> Any:
    return keras.Sequential([keras.Input((2,)), keras.layers.Discretization([-1.0, 0.0, 0.5])])


def _crop(height: int | None) -> Any:
    return keras.Sequential([keras.Input((height, 9, 3)), keras.layers.CenterCrop(6, 6)])


def test_floats_are_not_cut_off_before_they_are_put_into_buckets(tmp_path: Path) -> None:
    """In a graph Keras casts the input of a layer to its dtype, which is an integer here."""
    _buckets().save(tmp_path / "m.keras")
    predict = safeload.load_callable(tmp_path / "m.keras")
    expected = [[1, 2], [1, 3]]
    assert np.asarray(predict(BELOW_ZERO)).tolist() == expected
    assert tf.function(predict)(tf.constant(BELOW_ZERO)).numpy().tolist() == expected
    dataset = tf.data.Dataset.from_tensors(BELOW_ZERO).map(predict)
    assert next(iter(dataset)).numpy().tolist() == expected
    assert predict.model.layers[0].get_config() == _buckets().layers[0].get_config() | {
        "name": predict.model.layers[0].name
    }


def test_floats_of_a_layer_with_a_dtype_of_integers(tmp_path: Path) -> None:
    """Later releases do so where the layer has such a dtype; those from 3.16 on in another place."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Discretization([-1.0, 0.0, 0.5], dtype="int64")])
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(safeload.load_callable(tmp_path / "m.keras")(BELOW_ZERO), model(BELOW_ZERO))


def test_a_model_of_the_user_is_not_changed() -> None:
    """It runs without a graph instead."""
    model = _buckets()
    backend = model.layers[0].backend
    assert np.asarray(safeload.as_callable(model)(BELOW_ZERO)).tolist() == [[1, 2], [1, 3]]
    assert model.layers[0].backend is backend


def test_pictures_smaller_than_the_crop(tmp_path: Path) -> None:
    """They are resized, also where the model does not declare their size."""
    pictures = np.random.default_rng(0).random((1, 5, 9, 3)).astype("float32")
    _crop(None).save(tmp_path / "m.keras")
    predict = safeload.load_callable(tmp_path / "m.keras")
    np.testing.assert_array_equal(predict(pictures), keras.layers.CenterCrop(6, 6)(pictures))


def test_what_computes_the_same_is_traced() -> None:
    """Only what differs runs without a graph."""
    assert is_traceable(_crop(8))
    assert not is_traceable(_crop(None))


STEPS = np.random.default_rng(1).random((2, 5, 4)).astype("float32")


def _tagger(steps: int | None, *, masked: bool = False) -> Any:
    inputs = keras.Input((steps, 4))
    hidden = keras.layers.Masking()(inputs) if masked else inputs
    hidden = keras.layers.TimeDistributed(keras.layers.Dense(3))(hidden)
    return keras.Model(inputs, keras.layers.LSTM(2)(hidden))


@pytest.mark.parametrize("masked", [False, True])
def test_each_step_of_any_number_is_computed(tmp_path: Path, masked: bool) -> None:
    """Keras 3.14 and later take the number of examples for that of steps, in a graph that knows neither."""
    model = _tagger(None, masked=masked)
    model.save(tmp_path / "m.keras")
    predict = safeload.load_callable(tmp_path / "m.keras")
    for steps in (STEPS, STEPS[:, :3], np.repeat(STEPS, 4, axis=0)):
        expected = model(steps)
        np.testing.assert_allclose(predict(steps), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(predict.predict(steps, batch_size=3), expected, rtol=1e-5, atol=1e-6)
        free = tf.function(predict, input_signature=[tf.TensorSpec([None, None, 4])])
        np.testing.assert_allclose(free(tf.constant(steps)), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(safeload.as_callable(model)(steps), expected, rtol=1e-5, atol=1e-6)
    assert is_traceable(predict.model)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(predict(STEPS))
    assert all(gradient is not None for gradient in tape.gradient(total, predict.model.trainable_variables))
    if all(type(layer).__module__.startswith("keras.") for layer in predict.model.layers):  # masks before Keras 3.11
        predict.model.save(tmp_path / "again.keras")
        np.testing.assert_array_equal(safeload.load_callable(tmp_path / "again.keras")(STEPS), predict(STEPS))


def test_steps_of_a_model_of_the_user() -> None:
    """Where their number is known a trace is right, and the model is left as it is."""
    assert is_traceable(_tagger(5))
    assert not is_traceable(_tagger(None))
    assert "call" not in vars(_tagger(None).layers[1])


@pytest.mark.parametrize("size", [(4, 3), (11, 9)])
def test_pictures_whose_floats_a_layer_casts_to_integers(tmp_path: Path, size: tuple[int, int]) -> None:
    """Where Keras casts them in every call, a graph does, too."""
    pictures = np.random.default_rng(0).uniform(0, 200, (1, 8, 6, 3)).astype("float32")
    model = keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Resizing(*size, "nearest", dtype="uint8")])
    model.save(tmp_path / "m.keras")
    found = np.asarray(safeload.load_callable(tmp_path / "m.keras")(pictures))
    expected = tf.image.resize(np.trunc(pictures), size, "nearest").numpy()
    assert (found.dtype, found.tolist()) == ("uint8", expected.tolist())
