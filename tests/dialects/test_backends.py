"""Layers and operations of Keras 3 that another backend computes otherwise than TensorFlow."""

from __future__ import annotations

import pytest

from safeload.dialects import Flavour, normalise
from safeload.dialects._eras._backends import require_same_on_tensorflow
from safeload.dialects._normal import Writer
from safeload.errors import IncompatibleVersionError
from safeload.formats import Format

SAME = {"padding": "same"}
KEPT = {"kernel_size": [3], "strides": [1], "dilation_rate": [1]}
CASES = [
    # Of 4 - 3 rows one is cropped: torch takes it off at the beginning, TensorFlow at the end.
    ("torch", "Conv1DTranspose", {**SAME, "kernel_size": [4], "strides": [3], "dilation_rate": [1]}, True),
    ("torch", "Conv2DTranspose", {**SAME, "kernel_size": [3, 3], "strides": [1, 2], "dilation_rate": [1, 1]}, True),
    ("torch", "Conv2DTranspose", {**SAME, "kernel_size": [5, 2], "strides": [3, 4], "dilation_rate": [1, 1]}, False),
    ("torch", "Conv1DTranspose", {**SAME, **KEPT}, False),
    ("torch", "Conv1DTranspose", {**SAME, **KEPT, "kernel_size": [2], "dilation_rate": [3]}, True),
    ("torch", "Conv1DTranspose", {**SAME, "kernel_size": [5], "strides": [2], "output_padding": [0]}, False),
    ("torch", "Conv1DTranspose", {**SAME, "kernel_size": [5], "strides": [2], "output_padding": [1]}, True),
    ("torch", "Conv1DTranspose", {"padding": "valid", "kernel_size": [4], "strides": [3]}, False),
    ("torch", "ConvTranspose", {**SAME, "strides": 1}, True),
    ("torch", "ConvTranspose", {"padding": "SAME", "strides": 1}, True),
    ("jax", "Conv1DTranspose", {**SAME, "kernel_size": [4], "strides": [3], "dilation_rate": [1]}, False),
    # Three rows at steps of two: the window at the end of an even number of rows is padded at one side only.
    ("torch", "AveragePooling1D", {**SAME, "pool_size": [3], "strides": [2]}, True),
    ("torch", "AveragePooling1D", {**SAME, "pool_size": [3], "strides": [1]}, False),
    ("torch", "AveragePooling1D", {**SAME, "pool_size": [4], "strides": [1]}, True),
    ("torch", "AveragePooling2D", {**SAME, "pool_size": [2, 2], "strides": [2, 2]}, False),
    ("torch", "AveragePooling2D", {**SAME, "pool_size": [2, 3], "strides": [2, 1]}, True),
    ("torch", "AveragePooling2D", {"padding": "valid", "pool_size": [3, 3], "strides": [2, 2]}, False),
    ("torch", "AveragePool", {**SAME, "pool_size": 3, "strides": None}, True),
    ("torch", "AveragePool", {**SAME, "pool_size": 3, "strides": [1, 2]}, True),
    ("torch", "Median", {"axis": 1}, True),
    ("jax", "Median", {"axis": 1}, False),
    ("torch", "Resizing", {"interpolation": "bilinear", "pad_to_aspect_ratio": True, "fill_value": 0.0}, True),
    ("torch", "Resizing", {"interpolation": "bilinear", "pad_to_aspect_ratio": True, "fill_value": 1.0}, False),
    ("torch", "Resize", {"interpolation": "bicubic", "antialias": True}, False),
    ("jax", "Resizing", {"interpolation": "bicubic"}, True),
    ("numpy", "UpSampling2D", {"interpolation": "bicubic"}, True),
    ("jax", "AffineTransform", {"interpolation": "nearest", "fill_mode": "constant"}, False),
    ("torch", "AffineTransform", {"interpolation": "nearest", "fill_mode": "constant"}, True),
    ("jax", "AffineTransform", {"interpolation": "bilinear", "fill_mode": "wrap"}, True),
    ("jax", "GaussianBlur", {"kernel_size": [3, 5]}, True),
    ("torch", "GaussianBlur", {"kernel_size": [4, 4]}, True),
    ("torch", "GaussianBlur", {"kernel_size": [3, 3]}, False),
    ("jax", "ISTFT", {"fft_length": 16}, True),
    ("torch", "UnravelIndex", {"shape": [3, 4]}, True),
    ("torch", "Dense", {"units": 1}, False),
]


def is_refused(name, config, writer) -> bool:
    """Tell whether a layer that *writer* saved is refused."""
    try:
        require_same_on_tensorflow(name, config, writer)
    except IncompatibleVersionError:
        return True
    return False


@pytest.mark.parametrize(("backend", "name", "config", "is_other"), CASES)
def test_what_another_backend_computes_otherwise_is_refused(backend, name, config, is_other):
    """What no backend is recorded for, or TensorFlow, is never refused."""
    version = (3, 13, 2)
    assert is_refused(name, config, Writer(Flavour.KERAS_3, version, backend=backend)) is is_other
    assert not is_refused(name, config, Writer(Flavour.KERAS_3, version))


@pytest.mark.parametrize(
    ("name", "config", "versions"),
    [
        ("AveragePooling1D", {**SAME, "pool_size": [2], "strides": [2]}, [(3, 3, 3), (3, 6, 0)]),
        ("Resizing", {"pad_to_aspect_ratio": True, "fill_value": 0.5}, [(3, 14, 1), (3, 15, 1)]),
    ],
)
def test_later_releases_compute_on_torch_what_tensorflow_does(name, config, versions):
    """Torch counted a zero for what it padded at one side, and filled the left side with ones."""
    assert [is_refused(name, config, Writer(Flavour.KERAS_3, v, backend="torch")) for v in versions] == [True, False]


def test_the_recorded_backend_decides_in_whole_configs():
    """Standard HDF5 attributes of Keras 3 name it; the message names it, and what else computes."""
    layer = {"class_name": "UpSampling2D", "config": {"name": "u", "size": [2, 2], "interpolation": "bicubic"}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [{"module": "keras.layers", **layer}]}}
    metadata = {"keras_version": "3.13.2", "backend": "jax"}
    with pytest.raises(IncompatibleVersionError, match=r"^u: it was saved by Keras on jax, which weighs") as caught:
        normalise(config, metadata, Format.KERAS_HDF5)
    assert "KERAS_BACKEND=jax" in str(caught.value)
    assert normalise(config, {**metadata, "backend": "tensorflow"}, Format.KERAS_HDF5).config
