"""Tests of resolving directories."""

from __future__ import annotations

import os

import pytest

from safeload.errors import (
    ArtifactNotFoundError,
    MalformedArtifactError,
    SignatureNotFoundError,
    UnrecognizedFormatError,
)
from safeload.formats import Format, detect, open_member, open_source, resolve_member

GRAPH = b"\x08\x01\x12\x00"
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(56)


@pytest.fixture
def tree(tmp_path):
    """A function that makes files from a mapping of names to contents."""

    def make(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path

    return make


def found(path, **options):
    return detect(open_source(path), **options)


@pytest.mark.parametrize("name", ["saved_model_dot_pb", "saved_model_dot_pbtxt"])
def test_saved_model(tree, name):
    """A directory with the graph is a SavedModel."""
    root = tree(**{name: GRAPH})
    assert (found(root).format, found(root).path) == (Format.SAVED_MODEL, root)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["config_dot_json", "metadata_dot_json", "model_dot_weights_dot_h5"], None),
        (["config_dot_json", "model_dot_weights_dot_npz"], "NumPy"),
        (["config_dot_json", "metadata_dot_json", "model_dot_weights_dot_json"], "sharded"),
        (["config_dot_json", "metadata_dot_json"], None),
    ],
)
def test_keras_directory(tree, names, said):
    """A directory with config and weights is an unzipped archive."""
    found_here = found(tree(**dict.fromkeys(names, b"{}")))
    assert found_here.format is Format.KERAS_DIRECTORY
    assert found_here.kind is None if said is None else said in found_here.kind


def test_checkpoint(tree):
    """A directory with one checkpoint, or with a file that names one, is that checkpoint."""
    root = tree(a_dot_index=b"", **{"a_dot_data-00000-of-00001": b""})
    assert found(root).path == root / "a"
    tree(b_dot_index=b"", **{"b_dot_data-00000-of-00001": b""})
    with pytest.raises(UnrecognizedFormatError):
        found(root)
    tree(checkpoint=b'model_checkpoint_path: "C:\\\\x\\\\b"')
    assert found(root).path == root / "b"
    tree(checkpoint=b'model_checkpoint_path: "gone"')
    with pytest.raises(UnrecognizedFormatError):
        found(root)
    tree(checkpoint=b"nothing")
    with pytest.raises(UnrecognizedFormatError):
        found(root)


def test_checkpoint_state_is_a_pipe(tree):
    """A pipe in the place of a file is no file, and nobody waits for it."""
    root = tree(a=b"")
    os.mkfifo(root / "checkpoint")
    with pytest.raises(UnrecognizedFormatError):
        found(root)


def test_versions(tree):
    """The highest integer is taken, or the one asked for; other names do not count."""
    root = tree(**dict.fromkeys(["2__saved_model_dot_pb", "10__saved_model_dot_pb", "v11__saved_model_dot_pb"], GRAPH))
    tree(**{"99__notes_dot_txt": b""})
    assert found(root).path == root / "10"
    assert found(root, version=2).path == root / "2"
    assert found(root).where == f"{root}/10"
    with pytest.raises(SignatureNotFoundError, match="available: 2; 10"):
        found(root, version=3)


def test_version_of_a_model(tree):
    """A model without versions has no version to choose."""
    root = tree(saved_model_dot_pb=GRAPH)
    with pytest.raises(SignatureNotFoundError, match="no version '1'"):
        found(root, version=1)


def test_version_of_nothing(tree):
    """Neither has a directory without models."""
    with pytest.raises(SignatureNotFoundError, match="no version '1'"):
        found(tree(a=b""), version=1)


def test_versions_in_a_wrapper(tree):
    """Wrapper and versions resolve together."""
    root = tree(m__1__saved_model_dot_pb=GRAPH, m__2__saved_model_dot_pb=GRAPH)
    assert found(root).path == root / "m" / "2"
    assert found(root, version=1).path == root / "m" / "1"
    with pytest.raises(SignatureNotFoundError):
        found(root, version=3)


@pytest.mark.parametrize("name", ["m__saved_model_dot_pb", "a__b__saved_model_dot_pb"])
def test_wrappers(tree, name):
    """One directory too many is looked through."""
    root = tree(**{name: GRAPH, "readme": b"x", ".hidden": b"x"})
    assert found(root).format is Format.SAVED_MODEL


def test_too_many_wrappers(tree):
    """But not without end."""
    with pytest.raises(UnrecognizedFormatError):
        found(tree(a__b__c__d__saved_model_dot_pb=GRAPH))


def test_directory_around_a_file(tree):
    """A directory with one model file means the file."""
    root = tree(model_dot_h5=HDF5, notes_dot_txt=b"x", broken_dot_zip=b"PK\x03\x04")
    assert found(root).path == root / "model.h5"
    assert found(root).format is Format.KERAS_HDF5


def test_several_models(tree):
    """Several models are listed."""
    with pytest.raises(UnrecognizedFormatError, match="2 models, pass one of them: 'a.h5', 'b'"):
        found(tree(a_dot_h5=HDF5, b__saved_model_dot_pb=GRAPH))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tf_model_dot_h5": b"", "config_dot_json": b""}, "transformers"),
        ({"config_dot_json": b"", "model_dot_weights_dot_x": b"", "model_dot_safetensors": b""}, "transformers"),
        ({"saved_model_dot_cpb": b""}, "chunks"),
        ({"variables__variables_dot_x": b""}, "saved_model.pb is missing"),
        ({"saved_model_dot_pb": b"version https://git-lfs.github.com/spec/v1\n"}, "git-LFS"),
        ({"saved_model_dot_pb": b"<html>"}, "HTML"),
    ],
)
def test_foreign_directories(tree, files, said):
    """What else a directory may be is explained."""
    assert said in found(tree(**files)).kind


def test_empty_graph_is_for_the_reader(tree):
    """A SavedModel with an empty graph is a SavedModel, a broken one."""
    assert found(tree(saved_model_dot_pb=b"")).format is Format.SAVED_MODEL


def test_two_graphs(tree):
    """Two graphs of which loaders take different ones are refused."""
    with pytest.raises(MalformedArtifactError, match="two graphs"):
        found(tree(saved_model_dot_pb=GRAPH, saved_model_dot_cpb=b""))


def test_contents_are_shown(tree):
    """A directory that is nothing shows what is in it."""
    root = tree()
    with pytest.raises(UnrecognizedFormatError, match="is empty"):
        found(root)
    tree(**dict.fromkeys("abcdefg", b""))
    with pytest.raises(UnrecognizedFormatError, match="a, b, c, d, e and 2 more"):
        found(root)


def test_unreadable_directories(tree, monkeypatch):
    """Directories that may not be listed are explained, or passed over below another."""
    root = tree(**{"1__x": b""})
    real = os.scandir

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ArtifactNotFoundError, match="cannot be listed"):
        found(root)
    monkeypatch.setattr(os, "scandir", real)
    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(UnrecognizedFormatError):
        found(root)


def test_links_stay_inside(tree, tmp_path_factory):
    """A link out of the model's directory is no part of it."""
    outside = tmp_path_factory.mktemp("outside") / "graph"
    outside.write_bytes(GRAPH)
    root = tree(inner=GRAPH)
    (root / "saved_model.pb").symlink_to(outside)
    with pytest.raises(MalformedArtifactError, match="outside of the model"):
        found(root)
    (root / "link").symlink_to("inner")
    assert resolve_member(root, "link", where="m") == (root / "inner").resolve()


def test_hugging_face_cache(tree):
    """The cache of huggingface_hub links every file to its blobs."""
    root = tree(blobs__1234=GRAPH, snapshots__rev__readme=b"")
    (root / "snapshots/rev/saved_model.pb").symlink_to("../../blobs/1234")
    assert found(root / "snapshots/rev").format is Format.SAVED_MODEL


def test_members(tree):
    """Members are regular files."""
    root = tree(a=b"content", d__x=b"")
    opened = open_member(root, "a", where="m")
    assert opened.file.read_at(0, 9) == b"content"
    assert opened.where == "m/a"
    with pytest.raises(MalformedArtifactError, match="does not exist"):
        open_member(root, "b", where="m")
    with pytest.raises(MalformedArtifactError, match="is a directory"):
        open_member(root, "d", where="m")


def test_chunked_graph_is_not_mistaken_for_its_variables(tmp_path):
    """A SavedModel split into chunks is recognised as such although its variables are a checkpoint of their own."""
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"")
    (tmp_path / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    (tmp_path / "saved_model.cpb").write_bytes(b"x")
    found = detect(open_source(tmp_path))
    assert (found.format, found.evidence) == (Format.FOREIGN, "directory with saved_model.cpb")
