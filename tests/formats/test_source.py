"""Tests of opening what callers give."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tempfile
import zipfile
from pathlib import Path

import pytest

from safeload.errors import ArtifactNotFoundError, UnsupportedFormatError
from safeload.formats import open_source


@pytest.fixture
def model(tmp_path):
    """A file of eight bytes."""
    path = tmp_path / "model.keras"
    path.write_bytes(b"contents")
    return path


def content(source):
    return source.file.read_at(0, 100)


class AsBytes:
    """A path object of os that stands for bytes."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return os.fsencode(self.path)


@pytest.mark.parametrize("kind", [str, Path, AsBytes])
def test_paths(model, kind):
    """Strings and path objects of any kind open the same file."""
    source = open_source(kind(model))
    assert content(source) == b"contents"
    assert source.path == model
    assert not source.is_directory
    source.close()


def test_home(model, monkeypatch):
    """A leading ~ is the home directory."""
    monkeypatch.setenv("HOME", str(model.parent))
    assert open_source("~/model.keras").path == model


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no directory that a process works in")
def test_working_directory_that_is_gone(model, tmp_path, monkeypatch):
    """Relative paths start nowhere then; others are as always."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ArtifactNotFoundError, match="^'m.h5' is relative, and the working directory cannot be found"):
        open_source("m.h5")
    assert content(open_source(model)) == b"contents"


@pytest.mark.parametrize("given", [b"contents", bytearray(b"contents"), memoryview(b"contents")])
def test_bytes(given):
    """Bytes are the content, not a path."""
    source = open_source(given)
    assert (content(source), source.where, source.path) == (b"contents", "<bytes>", None)


def test_file_object_is_read_from_its_beginning(model):
    """Position and openness of the caller's file object do not change, and closing it does not matter."""
    with model.open("rb") as file:
        file.seek(5)
        source = open_source(file)
        assert file.tell() == 5
    assert content(source) == b"contents"
    assert source.where == str(model)


def test_file_object_in_memory():
    """Objects without a descriptor are read into memory, and stay where they were."""
    file = io.BytesIO(b"contents")
    file.seek(3)
    source = open_source(file)
    assert (content(source), file.tell(), source.where) == (b"contents", 3, "<file object>")


def test_file_object_of_another_layer(tmp_path):
    """A descriptor below a decompressing object is not what the object stands for."""
    path = tmp_path / "m.gz"
    path.write_bytes(gzip.compress(b"contents"))
    with gzip.open(path) as file:
        assert content(open_source(file)) == b"contents"


def test_unflushed_temporary_file():
    """What was written to a file object is read, flushed or not."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"contents")
        assert content(open_source(file)) == b"contents"


def test_stream_without_seek():
    """Objects that cannot seek are read on."""

    class Stream(io.RawIOBase):
        def read(self, size=-1):
            return b"contents"

        def seekable(self):
            return False

    assert content(open_source(Stream())) == b"contents"


def test_text_object():
    """A text file object is an error that shows the mode."""
    with pytest.raises(TypeError, match="'rb'"):
        open_source(io.StringIO("contents"))


@pytest.mark.parametrize("mode", ["rb", "wb", "w"])
def test_objects_that_cannot_be_read(tmp_path, mode):
    """A file object that is closed, or open for writing, is an error that says so."""
    path = tmp_path / "model.h5"
    path.write_bytes(b"contents")
    with path.open(mode) as file:
        if mode == "rb":
            file.close()
        with pytest.raises(TypeError, match="cannot be read: .*(closed file|not readable); open it"):
            open_source(file)


def test_other_objects(tmp_path):
    """Anything else is a TypeError that names its type and what to pass, whatever methods it has."""
    for given, kind in ((3, "int"), (None, "NoneType"), ([b"contents"], "list")):
        with pytest.raises(TypeError, match=rf"a path, the bytes .*, or .* \(open\(path, 'rb'\)\), not {kind};"):
            open_source(given)
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive, pytest.raises(TypeError, match="not ZipFile"):
        open_source(archive)


def test_pipe_objects():
    """A pipe handed over as a file object is refused, not read to its end."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as file, pytest.raises(ArtifactNotFoundError, match="is a pipe, .* pass the bytes"):
        open_source(file)
    os.close(write)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: os.mkfifo(p), "is a pipe"),
        (lambda p: p.symlink_to("/dev/zero"), "is a device"),
        (lambda p: p.symlink_to("gone"), "broken link to 'gone'"),
    ],
    ids=["fifo", "device", "broken link"],
)
def test_special_files(tmp_path, make, problem):
    """Pipes and devices are refused at once, links to nothing are explained."""
    make(tmp_path / "m")
    with pytest.raises(ArtifactNotFoundError, match=problem):
        open_source(tmp_path / "m")


def test_socket(tmp_path):
    """A socket cannot be opened at all."""
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        with pytest.raises(ArtifactNotFoundError, match="cannot be opened"):
            open_source(tmp_path / "s")


def test_the_content_of_a_file_is_no_path():
    """A text such as that of `to_json` is not repeated whole."""
    with pytest.raises(ArtifactNotFoundError, match="…' cannot be opened: File name too long") as caught:
        open_source('{"class_name": "Functional"}' * 100)
    assert len(str(caught.value)) < 500


def test_what_may_not_be_opened(model, monkeypatch):
    """A file that may not be read says so; Windows opens no directories, which are sources nevertheless."""

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert open_source(model.parent).is_directory
    with pytest.raises(ArtifactNotFoundError, match="Permission denied"):
        open_source(model)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.kera", "did you mean '.*model.keras'"),
        ("MODEL.KERAS", "did you mean '.*model.keras'"),
        ("model.h5", "did you mean '.*model.keras'"),
        ("other.h5", "check the path"),
        ("no/such/model.keras", "there is no '.*no'"),
        ("dri/model.keras", "did you mean '.*dir/model.keras'"),
        ("dri/other.keras", "check the path"),
        ("x" * 300, "File name too long"),
        ("x" * 252, "does not exist"),
        ("model.keras/inner", "is a file"),
        ("new\tmodel.h5", r"raw string"),
    ],
)
def test_wrong_paths(model, name, said):
    """A wrong path is explained by what is there instead."""
    (model.parent / "dir").mkdir()
    (model.parent / "dir/model.keras").touch()
    with pytest.raises(ArtifactNotFoundError, match=said):
        open_source(str(model.parent / name))


@pytest.mark.parametrize("path", ["", "a\0b", "a\ud800b"])
def test_no_path_at_all(path):
    """Strings that cannot be paths are refused before the system sees them."""
    with pytest.raises(ArtifactNotFoundError, match="is not a path"):
        open_source(path)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("https://example.com/model.keras", "download it first"),
        (Path("gs://bucket/model"), "download it first"),
        ("file:///models/my%20model.keras", r"pass the path itself: '/models/my model\.keras'"),
        (Path("file:///models/m.keras"), r"pass the path itself: '/models/m\.keras'"),
    ],
    ids=str,
)
def test_url(url, remedy):
    """A URL is not a path, also where ``Path`` has left one slash of it; that of a file has its path in it."""
    with pytest.raises(UnsupportedFormatError, match=f"is a URL\n  hint: {remedy}"):
        open_source(url)


def test_a_path_that_looks_like_a_url(tmp_path, monkeypatch):
    """What is there is opened, whatever it is called."""
    (tmp_path / "gs:").mkdir()
    (tmp_path / "gs:/model").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    source = open_source("gs:/model")
    assert source.file.size == 3
    source.close()


def test_directory(tmp_path):
    """A directory is a source without a file."""
    source = open_source(tmp_path)
    assert source.is_directory
    assert source.file is None
    source.close()


def test_checkpoint_prefix(tmp_path):
    """The prefix of a checkpoint exists through its index."""
    (tmp_path / "model.ckpt.index").touch()
    source = open_source(tmp_path / "model.ckpt")
    assert source.path == tmp_path / "model.ckpt"
    assert source.file is None
    assert not source.is_directory
