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
    """A function that makes files from a mapping of names to contents, or empty ones by their names alone."""

    def make(files):
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name] if isinstance(files, dict) else b"")
        return tmp_path

    return make


def found(path, **options):
    return detect(open_source(path), **options)


@pytest.mark.parametrize("name", ["saved_model.pb", "saved_model.pbtxt"])
def test_saved_model(tree, name):
    """A directory with the graph is a SavedModel."""
    root = tree({name: GRAPH})
    assert (found(root).format, found(root).path) == (Format.SAVED_MODEL, root)


@pytest.mark.parametrize("content", [b'node { name: "x" }', b"\x0a\x06\x0a\x01x\x12\x01X"], ids=["text", "wire"])
@pytest.mark.parametrize("name", ["saved_model.pb", "saved_model.pbtxt"])
def test_frozen_graph_by_the_name_of_a_saved_model(tree, name, content):
    """Its bytes decide."""
    root = tree({name: content})
    assert (found(root).format, found(root).path) == (Format.FROZEN_GRAPH, root / name)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["config.json", "metadata.json", "model.weights.h5"], None),
        (["config.json", "model.weights.npz"], "NumPy"),
        (["config.json", "metadata.json", "model.weights.json"], "sharded"),
        (["config.json", "metadata.json"], None),
    ],
)
def test_keras_directory(tree, names, said):
    """A directory with config and weights is an unzipped archive."""
    found_here = found(tree(dict.fromkeys(names, b"{}")))
    assert found_here.format is Format.KERAS_DIRECTORY
    assert found_here.kind is None if said is None else said in found_here.kind


def test_checkpoint(tree):
    """A directory with one checkpoint, or with a file that names one, is that checkpoint."""
    root = tree(["a.index", "a.data-00000-of-00001"])
    assert found(root).path == root / "a"
    tree(["b.index", "b.data-00000-of-00001"])
    with pytest.raises(UnrecognizedFormatError):
        found(root)
    tree({"checkpoint": b'model_checkpoint_path: "C:\\\\x\\\\b"'})
    assert found(root).path == root / "b"
    for content in (b'model_checkpoint_path: "gone"', b"nothing"):
        tree({"checkpoint": content})
        with pytest.raises(UnrecognizedFormatError):
            found(root)


def test_checkpoint_state_is_a_pipe(tree):
    """A pipe in the place of a file is no file, and nobody waits for it."""
    root = tree(["a"])
    os.mkfifo(root / "checkpoint")
    with pytest.raises(UnrecognizedFormatError):
        found(root)


def test_versions(tree):
    """The highest integer is taken, or the one asked for; other names do not count."""
    root = tree(dict.fromkeys(["2/saved_model.pb", "10/saved_model.pb", "v11/saved_model.pb"], GRAPH))
    tree(["99/notes.txt"])
    assert found(root).path == root / "10"
    assert found(root, version=2).path == root / "2"
    assert found(root).where == f"{root}/10"
    with pytest.raises(SignatureNotFoundError, match="available: 2; 10"):
        found(root, version=3)


@pytest.mark.parametrize("name", ["saved_model.pb", "a"])
def test_version_of_what_has_none(tree, name):
    """A model without versions has none to choose, nor has a directory without models."""
    with pytest.raises(SignatureNotFoundError, match="no version '1'"):
        found(tree({name: GRAPH}), version=1)


def test_versions_in_a_wrapper(tree):
    """Wrapper and versions resolve together."""
    root = tree({"m/1/saved_model.pb": GRAPH, "m/2/saved_model.pb": GRAPH})
    assert found(root).path == root / "m" / "2"
    assert found(root, version=1).path == root / "m" / "1"
    with pytest.raises(SignatureNotFoundError):
        found(root, version=3)


@pytest.mark.parametrize("name", ["m/saved_model.pb", "a/b/saved_model.pb"])
def test_wrappers(tree, name):
    """One directory too many is looked through."""
    root = tree({name: GRAPH, "readme": b"x", ".hidden": b"x"})
    assert found(root).format is Format.SAVED_MODEL


def test_too_many_wrappers(tree):
    """But not without end."""
    with pytest.raises(UnrecognizedFormatError):
        found(tree({"a/b/c/d/saved_model.pb": GRAPH}))


def test_directory_around_a_file(tree):
    """A directory with one model file means the file."""
    root = tree({"model.h5": HDF5, "notes.txt": b"x", "broken.zip": b"PK\x03\x04"})
    assert found(root).path == root / "model.h5"
    assert found(root).format is Format.KERAS_HDF5


def test_several_models(tree):
    """Several models are listed."""
    with pytest.raises(UnrecognizedFormatError, match="2 models\n  hint: pass one of them: 'a.h5', 'b'"):
        found(tree({"a.h5": HDF5, "b/saved_model.pb": GRAPH}))


def test_several_models_farther_below(tree):
    """They are listed as they are to be passed, whatever the separator."""
    with pytest.raises(
        UnrecognizedFormatError, match=r"2 models\n  hint: pass one of them: 'a\.h5', 'snapshots.{1,2}b'"
    ):
        found(tree({"a.h5": HDF5, "snapshots/b/saved_model.pb": GRAPH}))


def test_several_checkpoints(tree):
    """Without the file that names the latest, the caller has to."""
    files = {f"ckpt-{i}{end}": b"x" for i in (1, 2) for end in (".index", ".data-00000-of-00001")}
    with pytest.raises(UnrecognizedFormatError, match="2 checkpoints\n  hint: pass one of them: 'ckpt-1', 'ckpt-2'"):
        found(tree({**files, "ckpt-3.index": b"x", "notes.txt": b"x"}))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([".index", ".meta", ".data-00000-of-00001"], "no name"),
        (["tf_model.h5", "config.json"], "transformers"),
        (["config.json", "model.weights.x", "model.safetensors"], "transformers"),
        (["saved_model.cpb"], "chunks"),
        (["saved_model.cpb", "variables/variables.index", "variables/variables.data-00000-of-00001"], "chunks"),
        (["variables/variables.x"], "saved_model.pb is missing"),
        ({"saved_model.pb": b"version https://git-lfs.github.com/spec/v1\n"}, "git-LFS"),
        ({"saved_model.pb": b"<html>"}, "HTML"),
    ],
)
def test_foreign_directories(tree, files, said):
    """What else a directory may be is explained; the variables of a chunked SavedModel are no checkpoint of theirs."""
    assert found(tree(files)).format is Format.FOREIGN
    assert said in found(tree(files)).kind


def test_empty_graph_is_for_the_reader(tree):
    """A SavedModel with an empty graph is a SavedModel, a broken one."""
    assert found(tree(["saved_model.pb"])).format is Format.SAVED_MODEL


def test_loose_graph(tree):
    """The graph of a SavedModel under another name is no model without its directory."""
    with pytest.raises(UnrecognizedFormatError, match=r"other\.pb"):
        found(tree({"other.pb": GRAPH}))


def test_two_graphs(tree):
    """Two graphs of which loaders take different ones are refused."""
    with pytest.raises(MalformedArtifactError, match="two graphs"):
        found(tree({"saved_model.pb": GRAPH, "saved_model.cpb": b""}))


def test_contents_are_shown(tree):
    """A directory that is nothing shows what is in it."""
    root = tree([])
    with pytest.raises(UnrecognizedFormatError, match="is empty"):
        found(root)
    tree("abcdefg")
    with pytest.raises(UnrecognizedFormatError, match="a, b, c, d, e and 2 more"):
        found(root)


def test_unreadable_directories(tree, monkeypatch):
    """Directories that may not be listed are explained, or passed over below another."""
    root = tree(["1/x"])
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


def test_links_stay_inside(tree):
    """A link out of the model's directory is no part of it, even to one whose name begins alike."""
    root = tree({"m/inner": GRAPH, "m-other/graph": GRAPH}) / "m"
    (root / "saved_model.pb").symlink_to("../m-other/graph")
    with pytest.raises(MalformedArtifactError, match="outside of the model"):
        found(root)
    (root / "link").symlink_to("inner")
    assert resolve_member(root, "link", where="m") == (root / "inner").resolve()


def test_links_to_odd_names(tree):
    """Links that nothing can be behind are passed over."""
    root = tree({"m/saved_model.pb": GRAPH})
    for name in ("7", "x"):
        (root / name).symlink_to("x" * 300)
    assert found(root).path == root / "m"


def test_links_that_cannot_be_read(tree, monkeypatch):
    """A link that the system does not show is no part of the model."""

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.path.realpath", refuse)
    with pytest.raises(MalformedArtifactError, match="cannot be followed: Permission denied"):
        resolve_member(tree({"inner": GRAPH}), "inner", where="m")


def test_hugging_face_cache(tree):
    """The cache of huggingface_hub links every file to its blobs, and nothing else does so."""
    root = tree({"blobs/1234": GRAPH, "snapshots/rev/readme": b"", "others/rev/readme": b""})
    for name in ("snapshots", "others"):
        (root / name / "rev/saved_model.pb").symlink_to("../../blobs/1234")
    assert found(root / "snapshots/rev").format is Format.SAVED_MODEL
    with pytest.raises(MalformedArtifactError, match="outside of the model"):
        found(root / "others/rev")


def test_members(tree):
    """Members are regular files."""
    root = tree({"a": b"content", "d/x": b""})
    assert open_member(root, "a", where="m").read_at(0, 9) == b"content"
    with pytest.raises(MalformedArtifactError, match="does not exist"):
        open_member(root, "b", where="m")
    with pytest.raises(MalformedArtifactError, match="is a directory"):
        open_member(root, "d", where="m")
