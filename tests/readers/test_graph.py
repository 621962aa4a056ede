"""Tests of graphs that are no SavedModel."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format, detect, open_source
from safeload.readers import read_artifact
from tests.readers.test_graph_outputs import graph

NODES = ("x Placeholder", "y Relu x")


def frozen(*nodes):
    return graph(*(nodes or NODES)).graph_def


def meta(*nodes):
    meta_graph = graph(*(nodes or NODES))
    meta_graph.meta_info_def.tensorflow_version = "1.15.5"
    return meta_graph


def read(source, limits=None):
    return read_artifact(detect(open_source(source)), limits or Limits())


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
        read(frozen().SerializeToString(), Limits(max_graph_bytes=5))


@pytest.fixture
def checkpoint(tmp_path, index_bytes):
    """The prefix of a checkpoint of one float with its graph."""
    (tmp_path / "m.ckpt.index").write_bytes(index_bytes)
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(bytes(4))
    (tmp_path / "m.ckpt.meta").write_bytes(meta("x Placeholder", "w VariableV2", "y Mul x w").SerializeToString())
    return tmp_path / "m.ckpt"


@pytest.fixture
def index_bytes():
    """The index of a checkpoint with the float ``w``."""
    tf = pytest.importorskip("tensorflow")
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as directory:
        tf.raw_ops.SaveV2(
            prefix=f"{directory}/c", tensor_names=["w"], shape_and_slices=[""], tensors=[tf.constant(3.0)]
        )
        return Path(directory, "c.index").read_bytes()


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
        read(checkpoint, Limits(max_config_bytes=9))
    data = checkpoint.with_name("m.ckpt.data-00000-of-00001")
    data.write_bytes(b"")
    with pytest.raises(MalformedArtifactError, match="0 of 4 bytes"):
        read(checkpoint)
    data.unlink()
    with pytest.raises(MalformedArtifactError, match="does not exist"):
        read(checkpoint)
