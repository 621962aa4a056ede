"""How layers that resize images cast them, release by release."""

from __future__ import annotations

import pytest

from safeload.dialects import COMPAT_MODULE, Flavour, Writer
from safeload.dialects._eras import _keras2, _keras3
from safeload.dialects._eras._resized import cast_as_written
from safeload.errors import IncompatibleVersionError

SIZE = {"height": 4, "width": 3}
BYTES = {**SIZE, "dtype": "uint8"}
HALF = {**SIZE, "dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}
NEAREST = {"interpolation": "nearest"}

GIVEN = {"casts_first": False, "gives": None}
AS_READ = {"casts_first": False, "gives": "read"}
AFTER = {"casts_first": False, "gives": "own"}
FIRST = {"casts_first": True, "gives": "own"}


def tf_keras_of(*version: int) -> Writer:
    """Return the tf.keras of *version*, or tf_keras."""
    return Writer(Flavour.TF_KERAS if version >= (2, 16) else Flavour.TF_KERAS_1X, version)


def keras_of(*version: int) -> Writer:
    """Return the Keras 3 of *version*."""
    return Writer(Flavour.KERAS_3, version)


@pytest.mark.parametrize(
    ("name", "config", "writer", "expected"),
    [
        ("Resizing", SIZE, tf_keras_of(2, 5, 0), None),
        ("Resizing", {**SIZE, **NEAREST}, tf_keras_of(2, 5, 0), GIVEN),
        ("Resizing", BYTES, tf_keras_of(2, 7, 0), GIVEN),
        ("Resizing", HALF, tf_keras_of(2, 5, 0), GIVEN),
        ("Resizing", BYTES, tf_keras_of(2, 8, 0), AFTER),
        ("Resizing", {**BYTES, **NEAREST}, tf_keras_of(2, 21, 0), FIRST),
        ("Resizing", {**SIZE, "dtype": "bool"}, tf_keras_of(2, 21, 0), AFTER),
        ("Resizing", HALF, tf_keras_of(2, 8, 0), None),
        ("Resizing", BYTES, keras_of(3, 5, 0), FIRST),
        ("Resizing", BYTES, keras_of(3, 6, 0), None),
        ("CenterCrop", SIZE, tf_keras_of(2, 5, 0), AS_READ),
        ("CenterCrop", SIZE, tf_keras_of(2, 8, 0), None),
        ("CenterCrop", HALF, tf_keras_of(2, 8, 0), FIRST),
        ("CenterCrop", BYTES, keras_of(3, 5, 0), FIRST),
        ("CenterCrop", BYTES, keras_of(3, 6, 0), None),
        ("RandomCrop", BYTES, tf_keras_of(2, 6, 0), None),
        ("RandomCrop", SIZE, tf_keras_of(2, 7, 0), AS_READ),
        ("RandomCrop", SIZE, tf_keras_of(2, 8, 0), None),
        ("RandomCrop", BYTES, tf_keras_of(2, 13, 1), FIRST),
        ("RandomCrop", {**SIZE, "dtype": {"config": None}}, tf_keras_of(2, 13, 1), None),
        ("Dense", {"dtype": "uint8"}, tf_keras_of(2, 5, 0), None),
    ],
)
def test_casts(name, config, writer, expected):
    """Rows are what the sources of these releases do."""
    assert cast_as_written(name, config, writer) == expected


def test_whole_configs():
    """The layer is one of safeload, with the keys that say how it casts; crops by chance are resized."""
    crop = {**BYTES, "name": "c", "seed": 1, "data_format": "channels_last"}
    for found in (
        _keras2.modernise("RandomCrop", {key: crop[key] for key in crop if key != "data_format"}, tf_keras_of(2, 10)),
        _keras3.modernise("RandomCrop", crop, keras_of(3, 5, 0)),
    ):
        resized = {**crop, **FIRST, "interpolation": "bilinear", "crop_to_aspect_ratio": True}
        assert found == (COMPAT_MODULE, "Resizing", {key: resized[key] for key in resized if key != "seed"})
    assert _keras3.modernise("Resizing", SIZE, keras_of(3, 5, 0)) == ("keras.layers", "Resizing", SIZE)


def test_an_unknown_release():
    """It is refused only where it matters."""
    with pytest.raises(IncompatibleVersionError, match=r"^Resizing: it changed in Keras 3\.6"):
        cast_as_written("Resizing", BYTES, Writer(Flavour.KERAS_3))
    assert cast_as_written("Resizing", SIZE, Writer(Flavour.KERAS_3)) is None
