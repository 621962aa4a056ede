"""Softmax over what is masked in whole."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from safeload import load_callable

NOTHING = np.zeros((1, 3), bool)
ONES = np.ones((1, 3), "float32")


def test_the_writer_decides(tmp_path: Path) -> None:
    """Before Keras 3.10 all counted alike where all is masked; a file of this Keras computes what this Keras does."""
    inputs, mask = keras.Input((3,)), keras.Input((3,), dtype="bool")
    model = keras.Model([inputs, mask], keras.layers.Softmax()(inputs, mask=mask))
    model.save(tmp_path / "m.h5")
    np.testing.assert_array_equal(load_callable(tmp_path / "m.h5")(ONES, NOTHING), model([ONES, NOTHING]))
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = "3.9.2"
    np.testing.assert_allclose(load_callable(tmp_path / "m.h5")(ONES, NOTHING), ONES / 3, rtol=1e-6)


def test_padded_steps_attend_as_in_keras_2(tmp_path: Path) -> None:
    """MultiHeadAttention has a Softmax inside; steps that are padded attend to all alike."""
    tf_keras = pytest.importorskip("tf_keras")
    inputs = tf_keras.Input((4,), dtype="int32")
    embedded = tf_keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.MultiHeadAttention(2, 3, dropout=0.1)(embedded, embedded))
    model.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in model.get_weights()])
    x = np.array([[1, 2, 0, 0]], "int32")
    for suffix in (".h5", ".keras"):
        model.save(tmp_path / f"m{suffix}")
        found = np.asarray(load_callable(tmp_path / f"m{suffix}")(x))
        np.testing.assert_allclose(found, np.asarray(model(x)), rtol=1e-5, atol=1e-6)
