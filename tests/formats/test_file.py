"""Tests of random access to bytes."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from safeload.errors import ArtifactNotFoundError
from safeload.formats import _file
from safeload.formats._file import DescriptorFile, MemoryFile, SeekingFile, Window, descriptor_file


@pytest.fixture(params=[MemoryFile, DescriptorFile, SeekingFile], ids=lambda c: c.__name__)
def opened(request, tmp_path):
    """The ten digits behind each kind of file."""
    if request.param is MemoryFile:
        return MemoryFile(b"0123456789")
    (tmp_path / "f").write_bytes(b"0123456789")
    return request.param(os.open(tmp_path / "f", os.O_RDONLY))


@pytest.mark.parametrize(("offset", "size", "expected"), [(2, 3, b"234"), (8, 9, b"89"), (20, 4, b""), (-3, 2, b"01")])
def test_read_at(opened, offset, size, expected):
    """Reads end with the file, and a negative offset is the beginning."""
    assert opened.read_at(offset, size) == expected


@pytest.mark.parametrize("kind", [DescriptorFile, SeekingFile])
def test_a_file_that_is_cut_short(kind, tmp_path):
    """What is left of a file that somebody cut after it was opened is read."""
    (tmp_path / "f").write_bytes(b"0123456789")
    file = kind(os.open(tmp_path / "f", os.O_RDONLY))
    (tmp_path / "f").write_bytes(b"0123")
    assert file.read_at(2, 5) == b"23"


def test_a_file_that_the_kernel_does_not_read_at_once(tmp_path, monkeypatch):
    """It is read in parts, and what was read before is not kept beside its copies."""
    content = bytes(range(256)) * (1 << 14)
    (tmp_path / "f").write_bytes(content)
    with monkeypatch.context() as patched:
        patched.setattr(_file.os, "pread", lambda file, size, at: content[at : at + size - 1])
        file = DescriptorFile(os.open(tmp_path / "f", os.O_RDONLY))
        tracemalloc.start()
        found = file.read_at(0, len(content))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert found == content
    assert peak < 2.5 * len(content)


@pytest.mark.parametrize("read", [lambda file: file.read_at(0, 1), lambda file: file.read_into(0, bytearray(1))])
def test_a_file_that_cannot_be_read(read, tmp_path):
    """What the system says about a disk, or a file of its own, is an error of the artifact."""
    file = DescriptorFile(os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT), "m.h5")
    file.size = 1
    with pytest.raises(ArtifactNotFoundError, match=r"m.h5.* cannot be read: Bad file descriptor"):
        read(file)


def test_read_into_is_short_at_the_end(opened):
    """The count tells how much of the buffer was filled."""
    buffer = bytearray(4)
    assert opened.read_into(8, buffer) == 2
    assert bytes(buffer) == b"89\0\0"


def test_closed(opened):
    """Reading after closing raises, closing twice does not."""
    opened.close()
    opened.close()
    with pytest.raises(ValueError, match="closed"):
        opened.read_at(0, 1)


def test_platform_without_preadv(tmp_path, monkeypatch):
    """Where the system cannot read at an offset, the file seeks under a lock."""
    (tmp_path / "f").write_bytes(b"01")
    assert type(descriptor_file(os.open(tmp_path / "f", os.O_RDONLY))) is DescriptorFile
    monkeypatch.delattr(_file.os, "preadv")
    assert type(descriptor_file(os.open(tmp_path / "f", os.O_RDONLY))) is SeekingFile


def test_window():
    """A window is a file object that sees its range alone."""
    window = Window(MemoryFile(b"0123456789"), offset=2, size=5)
    assert window.readable()
    assert window.seekable()
    assert window.read(3) == b"234"
    assert window.tell() == 3
    assert window.read(10) == b"56"
    assert window.seek(-1, os.SEEK_END) == 4
    assert window.seek(-2, os.SEEK_CUR) == 2
    assert window.seek(-9) == 0
    assert Window(MemoryFile(b"0123"), offset=1).read() == b"123"


def test_writing_after_opening_is_noticed(tmp_path):
    """A file that is written to is not what was opened any more; one that is replaced is."""
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    file = descriptor_file(os.open(path, os.O_RDONLY))
    path.rename(tmp_path / "g")
    path.write_bytes(b"xyz")
    assert file.is_unchanged()
    (tmp_path / "g").write_bytes(b"abcd")
    assert not file.is_unchanged()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.is_unchanged()
    assert MemoryFile(b"abc").is_unchanged()
