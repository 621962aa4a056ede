"""Layers that resize and crop, in the dtypes of earlier releases."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from safeload.runtime.compat import compat_objects

tf_keras = pytest.importorskip("tf_keras")

FLOATS = np.random.default_rng(0).uniform(0, 200, (2, 8, 6, 3)).astype("float32")
BYTES = FLOATS.astype("uint8")
SIZE = (5, 4)


@pytest.fixture(params=[keras, tf_keras], ids=["keras", "tf_keras"])
def package(request: Any) -> Any:
    """Keras 3 or tf_keras."""
    return request.param


def outputs(package: Any, name: str, images: np.ndarray, size: tuple[int, int] = SIZE, **config: Any) -> np.ndarray:
    """Return what a model of the layer alone gives in a graph, for images of unknown size."""
    layer = compat_objects(package.__name__)[name](*size, **config)
    inputs = package.Input((None, None, 3), dtype=images.dtype.name)
    model = package.Model(inputs, layer(inputs))
    assert tuple(model.outputs[0].shape)[1:3] == size
    return np.asarray(tf.function(model)(tf.constant(images)))


def resized(images: np.ndarray, method: str = "bilinear", size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return *images* as TensorFlow resizes them."""
    return tf.image.resize(images, size, method).numpy()


@pytest.mark.parametrize(
    ("config", "images", "expected"),
    [
        ({"dtype": "uint8", "casts_first": False, "gives": None}, BYTES, resized(BYTES)),
        ({"dtype": "uint8", "casts_first": False, "gives": None}, FLOATS, resized(FLOATS)),
        ({"dtype": "float16", "casts_first": False, "gives": None}, FLOATS, resized(FLOATS.astype("float16"))),
        ({"dtype": "int32", "casts_first": False, "gives": "own"}, FLOATS, np.trunc(resized(FLOATS)).astype("int32")),
        ({"dtype": "int32", "casts_first": True, "gives": "own"}, FLOATS, np.trunc(resized(BYTES)).astype("int32")),
        ({"dtype": "float32", "casts_first": False, "gives": "read"}, BYTES, np.trunc(resized(BYTES)).astype("uint8")),
    ],
)
def test_resizing(package: Any, config: dict[str, Any], images: np.ndarray, expected: np.ndarray) -> None:
    """What is read and what is given are cast as the release did; integers are cut off."""
    found = outputs(package, "Resizing", images, interpolation="bilinear", **config)
    assert found.dtype == expected.dtype
    assert np.allclose(found, expected, atol=1e-4)


def test_nearest_pixels(package: Any) -> None:
    """They are those of the image, as it is or as it is cast."""
    for casts_first, read in ((False, FLOATS), (True, BYTES)):
        config = {"interpolation": "nearest", "dtype": "uint8", "casts_first": casts_first, "gives": None}
        found = outputs(package, "Resizing", FLOATS, **config)
        assert np.array_equal(found, resized(read, "nearest"))
        assert found.dtype == read.dtype


def test_resizing_to_cover(package: Any) -> None:
    """The image is cropped to the proportions first."""
    config = {"interpolation": "bilinear", "crop_to_aspect_ratio": True, "dtype": "uint8"}
    found = outputs(package, "Resizing", BYTES, (5, 5), **config, casts_first=True, gives="own")
    assert np.array_equal(found, np.trunc(resized(BYTES[:, 1:7], size=(5, 5))))


@pytest.mark.parametrize(("casts_first", "gives", "dtype"), [(True, "own", "int32"), (False, "read", "uint8")])
def test_centre(package: Any, casts_first: bool, gives: str, dtype: str) -> None:
    """It is cut out of what is large enough; what is not is resized, and its integers are cut off."""
    config = {"dtype": "int32", "casts_first": casts_first, "gives": gives}
    for size, expected in ((SIZE, BYTES[:, 1:6, 1:5]), ((12, 9), np.trunc(resized(BYTES, size=(12, 9))))):
        found = outputs(package, "CenterCrop", BYTES, size, **config, data_format="channels_last")
        assert (found.dtype, found.tolist()) == (dtype, expected.tolist())


def test_centre_behind_channels() -> None:
    """Keras 3 may have channels first."""
    layer = compat_objects("keras")["CenterCrop"](
        *SIZE, casts_first=True, gives="own", dtype="uint8", data_format="channels_first"
    )
    assert np.array_equal(layer(BYTES.transpose(0, 3, 1, 2)), BYTES[:, 1:6, 1:5].transpose(0, 3, 1, 2))


def test_early_random_crops_cast_no_floats_to_integers() -> None:
    """TensorFlow before 2.7 casts to floating dtypes alone."""
    layer = compat_objects("keras")["RandomCrop"](*SIZE, seed=1, dtype="uint8")
    assert np.allclose(layer(tf.constant(FLOATS[:, :5, :4])), FLOATS[:, :5, :4])
