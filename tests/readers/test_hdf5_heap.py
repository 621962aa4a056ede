"""Tests of the guard against heaps that never end."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from keras_files import hdf5_bytes

from safeload._limits import Limits
from safeload.errors import MalformedArtifactError
from safeload.formats import MemoryFile
from safeload.readers.hdf5.file import Hdf5File
from safeload.readers.hdf5.heap import GuardedWindow


def loaded(content, start):
    """Load a heap as libhdf5 does."""
    window = GuardedWindow(MemoryFile(bytes(content)))
    window.seek(start)
    return window.read(min(4096, len(content) - start))


@pytest.mark.parametrize("start", [-8, 1 << 40, (1 << 64) - 16])
def test_what_is_not_in_the_file(start):
    """Of what a file does not hold, libhdf5 would get whatever its memory held."""
    content = hdf5_bytes(lambda file: file.attrs.create("a", 1))
    window = GuardedWindow(MemoryFile(content))
    window.seek(start % len(content) if start < 0 else start)
    with pytest.raises(OSError, match="ends before"):
        window.readinto(bytearray(16))


@pytest.mark.parametrize("length", [0, 8])
def test_object_without_size(length):
    """Free space of no size, on which libhdf5 would turn for ever, is a broken file."""
    content = bytearray(hdf5_bytes(lambda file: file.attrs.create("a", "some text", dtype=h5py.string_dtype())))
    heap = content.index(b"GCOL")
    free = heap + 16 + 16 + 16  # the header, and the one object with its 9 bytes padded
    assert content[free : free + 2] == b"\0\0"
    content[free + 8 : free + 16] = length.to_bytes(8, "little")
    content[free + 16 : free + 24] = bytes(8)
    with pytest.raises(OSError, match="broken"):
        loaded(content, heap)


@pytest.mark.parametrize("length", [1 << 20, (1 << 64) - 16, (1 << 64) - 200])
def test_object_beyond_its_heap(length):
    """An object that does not fit its heap takes libhdf5 back to where it was."""
    content = bytearray(hdf5_bytes(lambda file: file.attrs.create("a", "some text", dtype=h5py.string_dtype())))
    first = content.index(b"GCOL") + 16
    content[first + 8 : first + 16] = length.to_bytes(8, "little")
    with pytest.raises(OSError, match="broken"):
        loaded(content, first - 16)


def test_heaps_that_lie_over_one_another():
    """Heaps that each claim most of the file would have to be walked again and again: such a file is broken."""
    many = b"".join(b"GCOL\1\0\0\0" + (40_000).to_bytes(8, "little") for _ in range(2_000))
    content = hdf5_bytes(lambda file: file.attrs.create("a", np.frombuffer(many, np.uint8)))
    with pytest.raises(MalformedArtifactError, match="broken"):
        Hdf5File(MemoryFile(content), where="m.h5").attribute("", "a", max_bytes=1 << 20)


def test_text_that_looks_like_a_heap():
    """What cannot be a heap, for it would leave the file, is a text that happens to begin like one."""
    content = hdf5_bytes(lambda file: file.attrs.create("a", "GCOL, the magic of global heaps"))
    assert Hdf5File(MemoryFile(content), where="m.h5").attribute("", "a", max_bytes=99).startswith("GCOL")


def test_arrays_may_look_like_heaps():
    """The bytes of an array are not looked at."""
    content = hdf5_bytes(lambda file: file.create_dataset("x", data=b"GCOL" * 9, dtype="S36"))
    handle = Hdf5File(MemoryFile(content), where="m.h5")
    handle.structure(Limits())
    assert handle.read("x")[()] == b"GCOL" * 9
