"""Indexes of HDF5 files on which libhdf5 would turn for ever, or overflow its stack. Layer: readers; standard library.

libhdf5 1.14 follows the nodes of a B-tree wherever they lead: to themselves, and to one node from everywhere. So trees
are walked here as their roots are loaded, each node once, and other indexes are held to what a file can hold.
Source: HDF5 File Format Specification 3.0, III.A, III.A.2, VII.C and VII.D; H5B__iterate_helper in src/H5B.c (1.14.6).
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING

from safeload.formats import HDF5_MAGIC
from safeload.readers.hdf5.plain import NODE, UNDEFINED

if TYPE_CHECKING:
    from safeload.formats import ByteFile

_SUPERBLOCK = 64
_TREE = b"TREE"
_ADDRESS = struct.Struct("<Q")
_GROUPS = 0
"""Type of the nodes that lead to symbol tables; others lead to chunks."""
_GROUP_KEY = 8
_CHUNK_ENTRIES = 64
"""Entries of a node of chunks, unless a superblock says otherwise."""

_HASHED = struct.Struct("<4s2xIxxH")
"""III.A.2: magic; version, type; bytes of a node; bytes of a record; depth."""
_LEAST_RECORD = 10
_MOST_RECORDS = 10_000_000
"""What a tree of version 2 may hold at most: nodes that are reached again and again count again."""

_COUNTED_AT = {b"EAHD": 44, b"FAHD": 8}
"""VII.C, VII.D: where the headers of arrays of chunks say how many there are."""

_CHECKS = {
    _TREE: "_has_end",
    b"BTHD": "_is_shallow",
    b"EAHD": "_is_stored",
    b"FAHD": "_is_stored",
    b"FRHP": "_is_as_stored",
}
"""Methods of `Trees` by the magic of what they look at."""

_FILTERS = slice(7, 9)
"""III.G: bytes of filters in the header of a fractal heap."""


class Trees:
    """What is known of the indexes of a file.

    Args:
        file: The bytes.
        offset: Where the HDF5 file begins in them.
        size: Its length.
    """

    def __init__(self, file: ByteFile, *, offset: int, size: int) -> None:
        self._file = file
        self._offset = offset
        self._size = size
        self._nodes: set[int] = set()

    def require_end(self, start: int, block: bytes) -> None:
        """Refuse an index that was loaded from *start* and has no end, or none soon.

        Raises:
            OSError: It has not.
        """
        check = _CHECKS.get(block[:4])
        if check is not None and not getattr(self, check)(start, block):
            raise OSError("an index of the file does not end, or is compressed")

    @cached_property
    def base(self) -> int | None:
        """Where addresses count from, None for a file whose nodes have other sizes than those of h5py."""
        place = 0
        while place < self._size and self._read(place, len(HDF5_MAGIC)) != HDF5_MAGIC:
            place = place * 2 or 512
        return place if _is_usual(self._read(place, _SUPERBLOCK).ljust(_SUPERBLOCK, b"\0")) else None

    def _read(self, start: int, size: int) -> bytes:
        return self._file.read_at(self._offset + start, size)

    def _has_end(self, start: int, node: bytes) -> bool:
        """Walk the tree below a node that no other node led to before; every node has one above it at most."""
        pending = [] if start in self._nodes else [node]
        self._nodes.add(start)
        while pending:
            above = pending.pop()
            kind, level = above[4:6]
            for child in _children(above, self.base) if level else ():
                below = self._read(child, len(node) if level > 1 else NODE.size)
                if child in self._nodes or below[:6] != bytes([*_TREE, kind, level - 1]):
                    return False
                self._nodes.add(child)
                pending.append(below)
        return True

    def _is_shallow(self, _: int, block: bytes) -> bool:
        _, size, depth = _HASHED.unpack_from(block)
        return not depth or (size // _LEAST_RECORD) ** min(depth + 1, 99) <= _MOST_RECORDS

    def _is_stored(self, _: int, block: bytes) -> bool:
        """Tell whether an array of chunks may be in the file: each takes some bytes."""
        return bool(_ADDRESS.unpack_from(block, _COUNTED_AT[block[:4]])[0] <= self._size)

    def _is_as_stored(self, _: int, block: bytes) -> bool:
        """Tell whether a heap of links or attributes has no filters, which libhdf5 would give all the room they ask."""
        return not any(block[_FILTERS])


def _children(node: bytes, base: int | None) -> list[int]:
    """Return where the nodes below *node* lie; [-1], where none lies, if that is not sure."""
    _, kind, _, count = NODE.unpack_from(node)
    key = _GROUP_KEY if kind == _GROUPS else (len(node) - NODE.size - 8 * _CHUNK_ENTRIES) / (_CHUNK_ENTRIES + 1)
    if base is None or key % 8:
        return [-1]
    places = range(NODE.size + int(key), len(node) - 8, int(key) + 8)[:count]
    return [base + _ADDRESS.unpack_from(node, place)[0] for place in places]


def _is_usual(superblock: bytes) -> bool:
    """Tell whether addresses and lengths have 8 bytes and nodes the usual size, II.A."""
    version = superblock[8]
    if version < 2:
        return superblock[13:15] == b"\x08\x08" and (not version or superblock[24:26] == b"\x20\0")
    extension = _ADDRESS.unpack_from(superblock, 20)[0]
    return superblock[9:11] == b"\x08\x08" and bool(extension == UNDEFINED)
