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


makes_zero = pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 10), reason="this Keras lets all count alike"
)


@pytest.mark.parametrize(("version", "expected"), [("3.9.2", 1 / 3), pytest.param("3.10.0", 0.0, marks=makes_zero)])
def test_the_writer_decides(tmp_path: Path, version: str, expected: float) -> None:
    """From Keras 3.10 on nothing is left where all is masked, before all counted alike."""
    inputs, mask = keras.Input((3,)), keras.Input((3,), dtype="bool")
    keras.Model([inputs, mask], keras.layers.Softmax()(inputs, mask=mask)).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = version
    found = np.asarray(load_callable(tmp_path / "m.h5")(ONES, NOTHING))
    np.testing.assert_allclose(found, np.full((1, 3), expected), rtol=1e-6)


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
