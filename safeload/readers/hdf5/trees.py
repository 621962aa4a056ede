"""Indexes of HDF5 files on which libhdf5 would turn for ever, or overflow its stack. Layer: readers; standard library.

libhdf5 1.14 follows the nodes of a B-tree wherever they lead: to themselves, and to one node from everywhere. So trees
are walked here as their roots are loaded, each node once. Of other indexes, headers are held to what libhdf5 writes: it
divides by their numbers, and takes as much memory as they say.
Source: HDF5 File Format Specification 3.0, III.A, III.A.2, III.D, VII.C and VII.D; H5B__iterate_helper in src/H5B.c,
H5HL__fl_deserialize in src/H5HLcache.c (1.14.6).
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
_LATER = 2
"""Version of the superblock from which on it begins with its sizes."""
_TREE = b"TREE"
_ADDRESS = struct.Struct("<Q")
_GROUPS = 0
"""Type of the nodes that lead to symbol tables; others lead to chunks."""
_GROUP_KEY = 8
_CHUNK_ENTRIES = 64
"""Entries of a node of chunks, unless a superblock says otherwise."""

_HASHED = struct.Struct("<5xBIHH10xH")
"""III.A.2: type; bytes of a node; bytes of a record; depth; records of the root."""
_NODES, _NODES_OF_CHUNKS = 512, 2048
_RANK = 32
"""Axes that a dataset may have. Source: H5S_MAX_RANK in src/H5Spublic.h (1.14.6)."""
_RECORDS = {
    1: (_NODES, 24, 24),
    3: (_NODES, 16, 16),
    5: (_NODES, 11, 11),
    6: (_NODES, 15, 15),
    8: (_NODES, 17, 17),
    9: (_NODES, 13, 13),
    10: (_NODES_OF_CHUNKS, 16, 8 * (1 + _RANK)),
    11: (_NODES_OF_CHUNKS, 21, 8 * (1 + _RANK) + 12),
}
"""Types of trees of version 2 → bytes of a node, the least and the most of a record: large objects of heaps, links and
attributes by name and by order, chunks without and with filters. libhdf5 divides by them and trusts the last two."""
_AROUND_RECORDS = 10
_MOST_RECORDS = 10_000_000
"""What a tree of version 2 may hold at most: nodes that are reached again and again count again."""

_ARRAYS = {b"EAHD": (bytes([32, 4, 16, 4, 10]), 44), b"FAHD": (bytes([10]), 8)}
"""VII.C, VII.D: how arrays of chunks grow, which is the same in all files, and where headers say how many there are."""
_GROWTH = 7

_HEAP = struct.Struct("<5x9s96x22s8xH")
"""III.G: bytes of an address, filters, flags and the largest object; how the table grows; rows of the root."""
_HEAPS = {
    (bytes.fromhex("070000000200100000"), bytes.fromhex("04000002000000000000000001000000000020000100")): 22,
    (bytes.fromhex("080000000200100000"), bytes.fromhex("04000004000000000000000001000000000028000100")): 29,
}
"""Heaps of links and of attributes, which are the same in all files and have no filters → the rows of a full table.

Source: H5G_FHEAP_* in src/H5Gpkg.h, H5O_FHEAP_* in src/H5Opkg.h, H5HF__dtable_init in src/H5HFdtable.c (1.14.6).
"""

_NAMES, _NOTHING_FREE = 8, 1
"""III.D: where the header of a heap of names says how large it is, and what ends the list of its free parts."""
_MOST_FREE = 100_000
"""Free parts of all heaps of names of a file at most: a name that is deleted leaves one."""

_CHECKS = {
    _TREE: "_has_end",
    b"HEAP": "_has_end_of_free_space",
    b"BTHD": "_is_sound",
    b"EAHD": "_is_stored",
    b"FAHD": "_is_stored",
    b"FRHP": "_is_usual_heap",
}
"""Methods of `Trees` by the magic of what they look at."""


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
        self._free = 0

    def require_end(self, start: int, block: bytes) -> None:
        """Refuse an index that was loaded from *start* and has no end, or none soon.

        Raises:
            OSError: It has not.
        """
        check = _CHECKS.get(block[:4])
        if check is not None and not getattr(self, check)(start, block):
            raise OSError("an index of the file does not end, or is of no kind that libhdf5 writes")

    @cached_property
    def base(self) -> int | None:
        """Where addresses count from, None for a file whose nodes have other sizes than those of h5py."""
        place, superblock = self._superblock
        return place if _is_usual(superblock) else None

    @cached_property
    def _superblock(self) -> tuple[int, bytes]:
        """Where the superblock lies, and what it is."""
        place = 0
        while place < self._size and self._read(place, len(HDF5_MAGIC)) != HDF5_MAGIC:
            place = place * 2 or 512
        return place, self._read(place, _SUPERBLOCK).ljust(_SUPERBLOCK, b"\0")

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

    def _has_end_of_free_space(self, start: int, block: bytes) -> bool:
        """Walk what is free in a heap of names: libhdf5 makes room for each part, known or not."""
        if start in self._nodes:
            return True
        self._nodes.add(start)
        place, superblock = self._superblock
        width, length = _sizes(superblock)
        size, free = (int.from_bytes(block[at : at + length], "little") for at in (_NAMES, _NAMES + length))
        begin = place + int.from_bytes(block[_NAMES + 2 * length :][:width], "little")
        while free != _NOTHING_FREE:
            self._free += 1
            if free >= size or begin + free in self._nodes or self._free > _MOST_FREE:
                return False
            self._nodes.add(begin + free)
            free = int.from_bytes(self._read(begin + free, length), "little")
        return True

    def _is_sound(self, _: int, block: bytes) -> bool:
        kind, size, record, depth, count = _HASHED.unpack_from(block)
        usual, least, most = _RECORDS.get(kind, (0, 1, 0))
        if size != usual or not least <= record <= most:
            return False
        if not depth:
            return bool(count * record + _AROUND_RECORDS <= size)
        return bool((size // record) ** min(depth + 1, 99) <= _MOST_RECORDS)

    def _is_stored(self, _: int, block: bytes) -> bool:
        """Tell whether an array of chunks grows as all do, and may be in the file: each takes some bytes."""
        growth, place = _ARRAYS[block[:4]]
        return block.startswith(growth, _GROWTH) and bool(_ADDRESS.unpack_from(block, place)[0] <= self._size)

    def _is_usual_heap(self, _: int, block: bytes) -> bool:
        kind, table, rows = _HEAP.unpack_from(block)
        return bool(rows <= _HEAPS.get((kind, table), -1))


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
    if _sizes(superblock) != b"\x08\x08":
        return False
    if version < _LATER:
        return not version or superblock[24:26] == b"\x20\0"
    return bool(_ADDRESS.unpack_from(superblock, 20)[0] == UNDEFINED)


def _sizes(superblock: bytes) -> bytes:
    """Return how many bytes an address has, and a length."""
    return superblock[13:15] if superblock[8] < _LATER else superblock[9:11]
