"""Tests of models inside archives."""

from __future__ import annotations

import tempfile

import pytest
from artifacts import read
from bytes_by_hand import tarred, zipped
from flatbuffers_by_hand import model, serialize
from graphs_by_hand import frozen, meta
from keras_files import model_h5

from safeload.errors import SignatureNotFoundError, UnrecognizedFormatError
from safeload.formats import Format
from safeload.readers.protobuf import message_class


def saved_model(version="1.15.5"):
    made = message_class("SavedModel")(saved_model_schema_version=1, meta_graphs=[meta(version=version)])
    return made.SerializeToString()


def test_saved_model():
    """The artifact is that of the model, and keeps its directory."""
    artifact = read(tarred(("m/saved_model.pb", saved_model()), mode="w:gz"))
    assert artifact.format is Format.SAVED_MODEL
    assert artifact.where == "<bytes>/m"
    assert (artifact.directory / "saved_model.pb").exists()
    artifact.unpacked.remove()
    assert not artifact.directory.exists()


def test_same_digest(tmp_path):
    """A model is the same in an archive and outside of it."""
    (tmp_path / "saved_model.pb").write_bytes(saved_model())
    assert read(tmp_path).digest == read(zipped({"saved_model.pb": saved_model()})).digest


def test_keras_model():
    """A Keras file inside stays open for its weights."""
    artifact = read(zipped({"__MACOSX/._m.h5": b"x", "m.h5": model_h5()}))
    assert artifact.format is Format.KERAS_HDF5
    artifact.weights_file.close()


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("m/labels.txt", b"cat", Format.TFLITE),
        ("m/m.tflite", serialize(model()), Format.TFLITE),
        ("m.pb", frozen().SerializeToString(), Format.FROZEN_GRAPH),
    ],
)
def test_other_formats(name, content, form):
    """Graphs and TensorFlow Lite models are found where they are alone."""
    members = {name: content} if form is Format.FROZEN_GRAPH else {"m/m.tflite": serialize(model()), name: content}
    assert read(zipped(members)).format is form


def test_saved_model_beside_what_it_was_made_from():
    """The exported model is taken, not its conversion."""
    members = {"m.tflite": serialize(model()), "f.pb": frozen().SerializeToString(), "s/saved_model.pb": saved_model()}
    assert read(zipped(members)).format is Format.SAVED_MODEL


def test_versions():
    """Versions inside an archive are chosen as outside."""
    content = zipped({f"m/{n}/saved_model.pb": saved_model(f"{n}.0") for n in (1, 2)})
    graphs = [read(content, version=version).saved_model.meta_graphs[0] for version in (None, 1)]
    assert [graph.meta_info_def.tensorflow_version for graph in graphs] == ["2.0", "1.0"]
    with pytest.raises(SignatureNotFoundError):
        read(content, version=3)


@pytest.mark.parametrize("content", [tarred("saved_model.pb"), zipped("saved_model.pb"), b"text"])
def test_nothing_to_load(content, tmp_path, monkeypatch):
    """Archives in archives are not unpacked, and nothing is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UnrecognizedFormatError):
        read(zipped({"a.h5": content}))
    assert not list(tmp_path.iterdir())
