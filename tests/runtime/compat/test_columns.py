"""Files of early Keras 3: how a column was encoded, and in which dtype."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from safeload import load_callable

COLUMN = np.array([[0.0], [2.0], [1.0]], "float32")


def _loaded(tmp_path: Path, layer: Any, version: str) -> Any:
    """Save a model of *layer*, say that *version* wrote it, and load it."""
    path = tmp_path / "m.h5"
    keras.Sequential([keras.Input((1,)), layer]).save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version
    return load_callable(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.CategoryEncoding(3, output_mode="one_hot"),
        lambda: keras.layers.Discretization([0.5, 1.5], output_mode="one_hot"),
    ],
    ids=["CategoryEncoding", "Discretization"],
)
def test_a_column_stays_one_before_keras_3_4(tmp_path: Path, make: Any) -> None:
    """Its last axis is taken off from then on."""
    expected = np.eye(3, dtype="float32")[[0, 2, 1]]
    np.testing.assert_array_equal(_loaded(tmp_path, make(), "3.3.3")(COLUMN), expected[:, None])
    np.testing.assert_array_equal(np.reshape(_loaded(tmp_path, make(), keras.__version__)(COLUMN), (3, 3)), expected)


@pytest.mark.parametrize("dtype", [None, "int32"])
def test_buckets_have_the_dtype_of_the_layer_before_keras_3_12(tmp_path: Path, dtype: str | None) -> None:
    """They are int32 from then on, whatever the file says."""
    loaded = _loaded(tmp_path, keras.layers.Discretization([0.5, 1.5], dtype=dtype), "3.6.0")
    assert loaded(COLUMN).dtype.name == (dtype or "int64")
