"""Who wrote a config: the recorded version, else the spelling."""

from __future__ import annotations

import pytest

from safeload.dialects import Flavour, Writer, writer_of
from safeload.formats import Format


@pytest.mark.parametrize(
    ("recorded", "flavour", "version"),
    [
        ("1.2.2", Flavour.KERAS_1, (1, 2, 2)),
        ("2.2.4", Flavour.KERAS_2, (2, 2, 4)),
        ("2.2.4-tf", Flavour.TF_KERAS_1X, (2, 2, 4)),
        ("2.4.0", Flavour.TF_KERAS_1X, (2, 4, 0)),
        ("2.15.0", Flavour.TF_KERAS_1X, (2, 15, 0)),
        ("2.16.0", Flavour.TF_KERAS, (2, 16, 0)),
        ("3.15.1", Flavour.KERAS_3, (3, 15, 1)),
        ("3.16.0.dev2026", Flavour.KERAS_3, (3, 16, 0)),
        ("9" * 5000, Flavour.KERAS_3, (999_999_999,) * 3),
    ],
)
def test_recorded_version_decides(recorded, flavour, version):
    """The version beside the config says which Keras wrote it."""
    assert writer_of({}, {"keras_version": recorded}, Format.KERAS_HDF5) == Writer(flavour, version)


def test_json_records_the_version_in_the_config():
    """``to_json`` of Keras 2 puts the version beside the class name."""
    assert writer_of({"keras_version": "2.1.6-tf"}, {}, Format.KERAS_JSON).flavour is Flavour.TF_KERAS_1X


@pytest.mark.parametrize(
    ("config", "format_", "flavour"),
    [
        ({"layers": [{"config": {"nb_filter": 3, "border_mode": "same"}}]}, Format.KERAS_HDF5, Flavour.KERAS_1),
        ({"layers": [{"config": {"units": 3, "kernel_initializer": {}}}]}, Format.KERAS_HDF5, Flavour.KERAS_2),
        ({"layers": [{"config": {"units": 3, "ragged": False}}]}, Format.KERAS_HDF5, Flavour.TF_KERAS_1X),
        ({"layers": [{"config": {"batch_shape": [None, 3]}}]}, Format.KERAS_HDF5, Flavour.KERAS_3),
        ({"module": "tf_keras.src.engine.functional"}, Format.KERAS_ARCHIVE, Flavour.TF_KERAS),
        ({"module": "keras.src.engine.functional"}, Format.KERAS_ARCHIVE, Flavour.TF_KERAS_1X),
        (
            {"module": "keras.layers", "config": {"batch_input_shape": [None]}},
            Format.KERAS_ARCHIVE,
            Flavour.TF_KERAS_1X,
        ),
        ({"module": "keras.layers", "registered_name": None, "config": {}}, Format.KERAS_JSON, Flavour.KERAS_3),
        ({"config": {}}, Format.KERAS_DIRECTORY, Flavour.KERAS_3),
        ("nothing", Format.KERAS_HDF5, Flavour.KERAS_2),
    ],
)
def test_spelling_decides_where_no_version_is_recorded(config, format_, flavour):
    """Keys and modules that only one Keras writes tell it apart; no version is made up."""
    assert writer_of(config, {}, format_) == Writer(flavour)
