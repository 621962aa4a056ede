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


@pytest.mark.parametrize(
    ("keys", "recorded", "version"),
    [
        (("name", "class_name", "inbound_nodes"), "2.2.4-tf", (2, 2, 4)),
        (("class_name", "name", "inbound_nodes"), "2.2.4-tf", (2, 2, 4, 2)),
        (("class_name", "name", "inbound_nodes"), "2.2.4", (2, 2, 4)),
        (("class_name", "name", "inbound_nodes"), "2.3.0-tf", (2, 3, 0)),
        (("class_name", "config"), "2.2.4-tf", (2, 2, 4)),
    ],
)
def test_tensorflow_1_and_2_record_one_version(keys, recorded, version):
    """The order in which layers of functional models are written tells them apart."""
    config = {"class_name": "Model", "config": {"layers": [dict.fromkeys(keys, "x")]}}
    assert writer_of(config, {"keras_version": recorded}, Format.KERAS_HDF5).version == version


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


def _keras_3(dtype="float32", source=(), layers=(), **beside):
    """Return a model as ``to_json`` of Keras 3 writes it."""
    named = [("InputLayer", {"batch_shape": [None, 3], "dtype": "float32", **dict.fromkeys(source, False)})]
    named += [("Dense", {"dtype": dtype}), *layers]
    objects = [{"module": "keras.layers", "class_name": name, "config": config} for name, config in named]
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": objects}, **beside}


POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}


@pytest.mark.parametrize(
    ("config", "since", "before"),
    [
        (_keras_3(), (), (3, 4)),
        (_keras_3(POLICY), (3, 4), (3, 9)),
        (_keras_3(POLICY, ["ragged"]), (3, 9), (3, 10)),
        (_keras_3(POLICY, ["ragged"], compile_config={}), (3, 10), (3, 13)),
        (_keras_3(POLICY, ["ragged"], compile_config={"loss": "mse"}), (3, 9), (3, 13)),
        (_keras_3(POLICY, ["ragged", "optional"], compile_config={}), (3, 13), ()),
        (_keras_3(POLICY, layers=[("SpatialDropout1D", {"dtype": "float32"})]), (3, 4), (3, 9)),
        (_keras_3(POLICY, layers=[("Flatten", {}), ("Dense", 3)]), (3, 4), (3, 9)),
        (_keras_3("float32", ["ragged"]), (), ()),
        ({**_keras_3(), "class_name": "Mine", "config": {"batch_shape": []}}, (), ()),
    ],
    ids=["3.3", "3.4", "3.9", "3.10", "3.10, compiled", "3.13", "named dtype", "no dtype", "contradiction", "custom"],
)
def test_keys_bound_the_release_of_keras_3(config, since, before):
    """``to_json`` of Keras 3 records none; keys that came later tell."""
    assert writer_of(config, {}, Format.KERAS_JSON) == Writer(Flavour.KERAS_3, (), since, before)
