"""What Keras recorded in a SavedModel is judged for loaders that build objects of it, and for no others."""

from __future__ import annotations

import json

import pytest
from artifacts import read
from hostile.graphs import simple
from hostile.keras_configs import CODE, functional, lambda_layer, lambda_value

import safeload
from safeload.errors import MalformedArtifactError, UnsafeModelError
from safeload.policy.keras_records import examine_records
from safeload.readers.protobuf import message_class

HOSTILE = json.dumps({"class_name": "Functional", "config": functional(lambda_layer(lambda_value()))})


@pytest.fixture
def saved(tmp_path):
    """Return a function that makes a SavedModel with records in its graph, beside it, and other files."""

    def make(inside="", beside=None, files=()):
        meta_graph = simple()
        meta_graph.object_graph_def.nodes.add().user_object.metadata = inside
        root = tmp_path / "m"
        root.mkdir()
        model = message_class("SavedModel")(meta_graphs=[meta_graph])
        (root / "saved_model.pb").write_bytes(model.SerializeToString())
        if beside is not None:
            metadata = message_class("KerasSavedMetadata")(nodes=[{"node_path": "root", "metadata": beside}])
            content = beside if isinstance(beside, bytes) else metadata.SerializeToString()
            (root / "keras_metadata.pb").write_bytes(content)
        for name in files:
            (root / name).write_text("{}")
        return root

    return make


def found(path):
    return [finding.rule for finding in examine_records(read(path))]


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ({}, []),
        ({"inside": json.dumps({"class_name": "Dense", "config": {"name": "d"}})}, []),
        ({"inside": "no JSON"}, []),
        ({"inside": HOSTILE}, ["lambda-bytecode"]),
        ({"beside": HOSTILE}, ["lambda-bytecode"]),
        ({"beside": json.dumps([CODE])}, ["lambda-bytecode"]),
        ({"files": ["config.json", "model.weights.h5"]}, ["two-graphs"]),
        ({"files": ["config.json"]}, []),
    ],
)
def test_records(saved, options, rules):
    """Bytecode and gadgets are found wherever an object is recorded; a second model in the directory too."""
    assert sorted(set(found(saved(**options)))) == rules


def test_broken_records(saved):
    """A file that is no record is broken."""
    path = saved()
    artifact = read(path)
    object.__setattr__(artifact, "keras_metadata", b"\xff")
    with pytest.raises(MalformedArtifactError):
        list(examine_records(artifact))


def test_other_formats_have_no_records(tmp_path):
    """A file of Keras is judged as it is."""
    (tmp_path / "m.json").write_text(json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
    assert found(tmp_path / "m.json") == []


def test_only_loaders_that_build_objects_are_refused(tmp_path):
    """Keras 2 would run the bytecode of a Lambda layer of a SavedModel; the graph has none."""
    tf_keras = pytest.importorskip("tf_keras")
    import tensorflow as tf

    model = tf_keras.Sequential([tf_keras.layers.Input((2,)), tf_keras.layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "m", save_format="tf")
    with pytest.raises(UnsafeModelError, match="bytecode"):
        safeload.wrap_loader(tf_keras.models.load_model)(tmp_path / "m")
    found = safeload.wrap_loader(tf.saved_model.load)(str(tmp_path / "m"))
    assert found(tf.ones((1, 2))).numpy().tolist() == [[2, 2]]
