"""Tests of graphs that are no SavedModel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from artifacts import read
from checkpoints_by_hand import entry, header, table
from google.protobuf import text_format
from graphs_by_hand import frozen, meta

from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format
from safeload.readers import KerasArtifact, with_signature


def test_frozen_graph():
    """A graph becomes a SavedModel of one MetaGraph with a signature."""
    artifact = read(frozen().SerializeToString())
    assert artifact.format is Format.FROZEN_GRAPH
    assert list(artifact.saved_model.meta_graphs[0].signature_def) == ["y"]
    assert type(artifact.saved_model).FromString(artifact.graph_bytes) == artifact.saved_model
    assert (artifact.files, artifact.checkpoint, len(artifact.digest)) == ({}, "", 64)


def test_text():
    """The text form is the same graph."""
    artifact = read(text_format.MessageToString(frozen()).encode())
    assert artifact.graph_bytes == read(frozen().SerializeToString()).graph_bytes


def test_declared_signatures_stay():
    """A graph that says what to call is taken at its word."""
    meta_graph = meta()
    meta_graph.signature_def["mine"].outputs["y"].name = "y:0"
    artifact = read(meta_graph.SerializeToString())
    assert artifact.format is Format.TF1_CHECKPOINT
    assert list(artifact.saved_model.meta_graphs[0].signature_def) == ["mine"]


def test_signature_of_a_node():
    """A node that is asked for becomes a signature of what is judged; the digest stays that of the file."""
    content = frozen("x Placeholder", "h Relu x", "y Softmax h", "n NoOp").SerializeToString()
    plain, found = read(content), with_signature(read(content), "h")
    assert sorted(found.saved_model.meta_graphs[0].signature_def) == ["h", "y"]
    assert type(found.saved_model).FromString(found.graph_bytes) == found.saved_model
    assert found.digest == plain.digest
    assert with_signature(plain, "y") is with_signature(plain, "n") is with_signature(plain, "gone") is plain


def test_signature_of_a_node_without_values():
    """A node that needs variables says so, where the outputs of the graph need none."""
    artifact = read(
        frozen("x Placeholder", "y Relu x", "w VariableV2", "r Identity w", "a Assign w r").SerializeToString()
    )
    with pytest.raises(UnsupportedFormatError, match=r"1 variables \(w\)"):
        with_signature(artifact, "r")


def test_only_graphs_have_nodes_to_call():
    """The signatures of a SavedModel are those that it declares; a Keras model is itself what is called."""
    keras = KerasArtifact(Format.KERAS_JSON, "m", {})
    saved_model = replace(read(frozen().SerializeToString()), format=Format.SAVED_MODEL)
    assert with_signature(keras, "y") is keras
    assert with_signature(saved_model, "x") is saved_model


def test_variables_without_values():
    """A graph that needs its checkpoint says so, and names what is missing."""
    nodes = ("x Placeholder", "a VariableV2", "b VariableV2", "c VariableV2", "d VariableV2", "y AddN x a b c d")
    with pytest.raises(UnsupportedFormatError, match=r"4 variables \(a, b, c, …\)"):
        read(frozen(*nodes).SerializeToString())
    with pytest.raises(UnsupportedFormatError, match=r"1 variables \(a\)"):
        read(meta("x Placeholder", "a VariableV2", "y Add x a").SerializeToString())


def test_limit():
    """A graph above the limit is not read."""
    with pytest.raises(LimitExceededError, match="max_graph_bytes"):
        read(frozen().SerializeToString(), max_graph_bytes=5)


@pytest.fixture
def checkpoint(tmp_path):
    """The prefix of a checkpoint of one float with its graph."""
    (tmp_path / "m.ckpt.index").write_bytes(table({b"": header(), b"w": entry(shape=(), size=4)}))
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(bytes(4))
    (tmp_path / "m.ckpt.meta").write_bytes(meta("x Placeholder", "w VariableV2", "y Mul x w").SerializeToString())
    return tmp_path / "m.ckpt"


@pytest.mark.parametrize("name", ["m.ckpt", "m.ckpt.meta", "m.ckpt.index", ""])
def test_checkpoint_with_graph(checkpoint, name):
    """Any of its files, and the directory, stand for the checkpoint."""
    artifact = read(checkpoint.parent / name)
    assert artifact.format is Format.TF1_CHECKPOINT
    assert (artifact.directory, artifact.checkpoint) == (checkpoint.parent, "m.ckpt")
    assert sorted(artifact.files) == ["m.ckpt.data-00000-of-00001", "m.ckpt.index"]
    assert [d.path for d in artifact.variables.datasets] == ["w"]
    assert artifact.size == sum(file.stat().st_size for file in checkpoint.parent.iterdir())


def test_checkpoints_are_checked(checkpoint):
    """Missing and short data files are broken checkpoints; what is too large is not read."""
    with pytest.raises(LimitExceededError, match="max_config_bytes"):
        read(checkpoint, max_config_bytes=9)
    data = checkpoint.with_name("m.ckpt.data-00000-of-00001")
    data.write_bytes(b"")
    with pytest.raises(MalformedArtifactError, match="0 of 4 bytes"):
        read(checkpoint)
    data.unlink()
    with pytest.raises(MalformedArtifactError, match="does not exist"):
        read(checkpoint)
