"""Layers that are given integers compute from them what they did in the release that wrote the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
from releases import what_this_keras_can

from safeload import load_callable

if TYPE_CHECKING:
    from pathlib import Path

_LAYERS: dict[str, tuple[str, dict[str, Any], int]] = {
    "normalised": ("LayerNormalization", {}, 2),
    "normalised steps": ("LayerNormalization", {"axis": [1, 2]}, 3),
    "normalised images, half": ("LayerNormalization", {"dtype": "mixed_float16"}, 4),
    "of unit length": ("UnitNormalization", {}, 2),
    "pooled steps": ("GlobalAveragePooling1D", {}, 3),
    "pooled images": ("GlobalAveragePooling2D", {"keepdims": True}, 4),
    "pooled volumes, channels first": ("GlobalAveragePooling3D", {"data_format": "channels_first"}, 5),
    "enlarged": ("UpSampling2D", {"interpolation": "bilinear"}, 4),
    "enlarged to the nearest": ("UpSampling2D", {}, 4),
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
@pytest.mark.parametrize("case", sorted(_LAYERS))
def test_integers_in_keras_2(tmp_path: Path, case: str, dtype: str, suffix: str) -> None:
    """As floats where it normalises or resizes, and as integers where it pools."""
    tf_keras = pytest.importorskip("tf_keras")
    name, config, rank = _LAYERS[case]
    x = tf_keras.Input((4,) * (rank - 1), dtype=dtype)
    model = tf_keras.Model(x, getattr(tf_keras.layers, name)(**config)(x))
    model.save(tmp_path / f"m{suffix}")
    values = np.random.default_rng(rank).integers(0, 9, (2, *(4,) * (rank - 1))).astype(dtype)
    expected, found = np.asarray(model(values)), np.asarray(load_callable(tmp_path / f"m{suffix}")(values))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-2 if expected.dtype == "float16" else 1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_truths_that_keras_2_multiplies(tmp_path: Path, suffix: str) -> None:
    """Both have to be true."""
    tf_keras = pytest.importorskip("tf_keras")
    a, b, c = (tf_keras.Input((2,), dtype=dtype, name=name) for name, dtype in zip("abc", ["bool", "bool", "float32"]))
    with what_this_keras_can():
        outputs = [tf_keras.layers.Multiply()([a, b]), tf_keras.layers.Multiply()([c, c])]
    tf_keras.Model([a, b, c], outputs).save(tmp_path / f"m{suffix}")
    truths, products = load_callable(tmp_path / f"m{suffix}")(
        a=[[True, True]], b=[[True, False]], c=np.float32([[2, 3]])
    ).values()
    np.testing.assert_array_equal(truths, [[True, False]])
    np.testing.assert_array_equal(products, [[4, 9]])


def test_the_release_decides(tmp_path: Path) -> None:
    """Keras 3 normalised integers as floats up to 3.10; a file of this Keras computes what this Keras does."""
    x = keras.Input((4,), dtype="int32")
    model = keras.Model(x, keras.layers.LayerNormalization()(x))
    model.save(tmp_path / "m.h5")
    values = np.array([[1, 0, 5, 7]], "int32")
    np.testing.assert_allclose(load_callable(tmp_path / "m.h5")(values), model(values), rtol=1e-6)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = "3.10.0"
    expected = (values - 3.25) / np.sqrt(8.1875 + 1e-3)
    np.testing.assert_allclose(load_callable(tmp_path / "m.h5")(values), expected, rtol=1e-5)
