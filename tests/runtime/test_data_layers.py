"""Layers for ``tf.data`` compute in a graph what they compute without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

import safeload
from safeload.runtime._keras._data_layers import is_traceable

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
