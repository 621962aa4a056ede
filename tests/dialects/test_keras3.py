"""Layers of early Keras 3 that later releases compute differently."""

from __future__ import annotations

import pytest

from safeload.dialects import Flavour, normalise
from safeload.dialects._eras._keras3 import modernise
from safeload.dialects._normal import Writer
from safeload.errors import IncompatibleVersionError
from safeload.formats import Format

CROP = {"name": "c", "height": 2, "width": 3, "seed": 1, "data_format": "channels_last"}


def test_a_random_crop_that_resized_is_a_resizing():
    """Up to Keras 3.5 RandomCrop resized in inference; the seed goes."""
    _, name, config = modernise("RandomCrop", CROP, Writer(Flavour.KERAS_3, (3, 5, 0)))
    assert (name, config["crop_to_aspect_ratio"], "seed" in config) == ("Resizing", True, False)


@pytest.mark.parametrize("version", [(3, 6, 0), (3, 15, 1)])
def test_other_layers_stay(version):
    """A crop of later releases stays what it is, and so does every other layer."""
    writer = Writer(Flavour.KERAS_3, version)
    assert modernise("RandomCrop", CROP, writer) == ("keras.layers", "RandomCrop", CROP)
    one_hot = {"num_tokens": 3, "output_mode": "one_hot"}
    assert modernise("CategoryEncoding", one_hot, writer)[1] == "CategoryEncoding"
    old = Writer(Flavour.KERAS_3, (3, 0, 5))
    assert modernise("CategoryEncoding", {**one_hot, "output_mode": "count"}, old)[1] == "CategoryEncoding"
    assert modernise("Dense", {"units": 1}, old) == ("keras.layers", "Dense", {"units": 1})


def test_columns_of_early_keras_3_are_safeloads_own():
    """What encodes one-hot before Keras 3.4 is an object of safeload."""
    config = {"bin_boundaries": [0.0], "output_mode": "one_hot"}
    expected = ("safeload.compat", "ColumnDiscretization", config)
    assert modernise("Discretization", config, Writer(Flavour.KERAS_3, (3, 3, 3))) == expected


def test_what_depends_on_a_release_that_nobody_knows_is_refused():
    """Bounds of the release may be enough."""
    with pytest.raises(IncompatibleVersionError, match=r"^RandomCrop: it changed in Keras 3\.6, and nothing tells"):
        modernise("RandomCrop", CROP, Writer(Flavour.KERAS_3))
    old, new = Writer(Flavour.KERAS_3, before=(3, 4)), Writer(Flavour.KERAS_3, since=(3, 9))
    assert [modernise("RandomCrop", CROP, writer)[1] for writer in (old, new)] == ["Resizing", "RandomCrop"]
    assert modernise("Dense", {"units": 1}, Writer(Flavour.KERAS_3))[1] == "Dense"


def test_the_writer_decides_in_whole_configs():
    """`normalise` asks for every layer of Keras."""
    layer = {"module": "keras.layers", "class_name": "RandomCrop", "config": CROP, "registered_name": None}
    config = {"class_name": "Sequential", "module": "keras", "config": {"name": "s", "layers": [layer]}}
    for version, name in (("3.4.1", "Resizing"), ("3.15.1", "RandomCrop")):
        normal = normalise(config, {"keras_version": version}, Format.KERAS_ARCHIVE)
        assert normal.config["config"]["layers"][-1]["class_name"] == name


def test_a_random_shear_gets_the_number_that_it_was_given():
    """It records [-a, a] for a; bounds that were given as two stay two."""
    config = {"name": "r", "x_factor": [-0.2, 0.2], "y_factor": [0.1, 0.3], "fill_mode": "reflect"}
    writer = Writer(Flavour.KERAS_3, (3, 9, 0))
    _, name, found = modernise("RandomShear", config, writer)
    assert (name, found) == ("RandomShear", {**config, "x_factor": 0.2})
    assert modernise("RandomShear", {"x_factor": 0.4}, writer)[2] == {"x_factor": 0.4}


def test_layers_of_keras_2_that_tf_keras_of_today_has():
    """They are under keras._legacy: safeload has the one, and the others change nothing in inference."""
    writer = Writer(Flavour.KERAS_3, (3, 3, 3))
    config = {"name": "t", "trainable": True, "dtype": "float32"}
    expected = ("safeload.compat", "ThresholdedReLU", {**config, "theta": 0.5})
    assert modernise("ThresholdedReLU", {**config, "theta": 0.5}, writer) == expected
    zoom = {**config, "factor": 0.2, "interpolation": "bilinear", "seed": None}
    for name in ("RandomHeight", "RandomWidth"):
        assert modernise(name, zoom, writer) == ("keras.layers", "Identity", config)
