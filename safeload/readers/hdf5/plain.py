"""HDF5 files as h5py writes them by default, walked in their own bytes. Layer: readers; standard library alone.

Nearly every file of Keras has the first version of all structures, links in symbol tables, arrays in one piece and
attributes of text. Of such a file nothing is left to libhdf5, which takes ten times as long and is not made for files
of strangers. Everything else is not plain: who asks then asks libhdf5, and all that is refused is refused there.

Source: HDF5 File Format Specification 3.0, the sections named below.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from safeload.formats import FREE_EXPANSION_BYTES, HDF5_MAGIC
from safeload.readers._artifact import DatasetInfo

if TYPE_CHECKING:
    from safeload._limits import Limits
    from safeload.formats import ByteFile


class NotPlainError(Exception):
    """The file has what h5py does not write by default, or is broken."""


NOT_PLAIN = (NotPlainError, struct.error, LookupError, ValueError)
"""What reading raises where a file is not plain: structures that end too early, types and parts that are not known."""

_MAX_BYTES = 1 << 24
"""Bytes of structures that are looked at, those that lie over one another counted again."""
_EFFORT = 64
"""What a look costs beside its bytes."""
_MAX_NAME = 1024
MAX_EMPTY_GROUPS = 20_000
_GROUPS_PER_DATASET = 20
_PAGE_BITS = 12
_MAX_PAGES = 1024

_SUPERBLOCK = struct.pack("<8s8B2H", HDF5_MAGIC, 0, 0, 0, 0, 0, 8, 8, 0, 4, 16)
"""II.A: version 0, offsets and lengths of 8 bytes, nodes of the usual size."""
_ADDRESSES = struct.Struct("<4x4QQQ")  # flags; base, free space, end of file, driver; root: name, object header
UNDEFINED = (1 << 64) - 1
HEADER = struct.Struct("<BxHII4x")  # IV.A.1.a: version, messages, references, size
MESSAGE = struct.Struct("<HHB3x")  # type, size, flags
PAIR = struct.Struct("<QQ")
_HEAP = struct.Struct("<4sB3x3Q")  # III.D: magic, version, size, free list, address of the data
NODE = struct.Struct("<4sBBH16x")  # III.A.1: magic, type, level, entries; siblings
_TABLE = struct.Struct("<4sBxH")  # III.B: magic, version, symbols
_SYMBOL = struct.Struct("<QQI20x")  # III.C: name, object header, what is cached
_LAYOUT = struct.Struct("<BBQQ")  # IV.A.2.i: version, class, address, size

_SPACE, _TYPE, _FILL_OLD, _FILL, _LAYOUTS, ATTRIBUTE, CONTINUED, _LINKS, _TIME = 1, 3, 4, 5, 8, 12, 16, 17, 18
_OF_GROUPS, _OF_DATASETS = {_LINKS}, {_SPACE, _TYPE, _LAYOUTS}
_BESIDE = {_FILL_OLD, _FILL, _TIME}
"""Numbers of header messages, IV.A.2; those beside the others say nothing about what is stored."""
_HARMLESS = 5
"""Flags of messages, IV.A.1.a: that it does not change, that it is not to be shared."""
_SYMBOLIC = 2
_CONTIGUOUS = (3, 1)


def _whole(size: int, *, sign: int) -> bytes:
    return struct.pack("<4BI2H4x", 0x10, 8 * sign, 0, 0, size, 0, 8 * size)


def _float(size: int, exponent: int, mantissa: int, bias: int) -> bytes:
    places = (mantissa, exponent, 0, mantissa)
    return struct.pack("<4BI2H4BI4x", 0x11, 0x20, 8 * size - 1, 0, size, 0, 8 * size, *places, bias)


_BOOL = "180200000100000010080000010000000000080046414c5345000000545255450000000000010000"
_DTYPES = {
    _float(2, 5, 10, 15): ("float16", 2),
    _float(4, 8, 23, 127): ("float32", 4),
    _float(8, 11, 52, 1023): ("float64", 8),
    bytes.fromhex(_BOOL): ("bool", 1),
    **{_whole(size, sign=1): (f"int{8 * size}", size) for size in (1, 2, 4, 8)},
    **{_whole(size, sign=0): (f"uint{8 * size}", size) for size in (1, 2, 4, 8)},
}
"""Name and size by the message of a datatype, IV.A.2.d: IEEE floats, whole numbers, the enumeration FALSE and TRUE."""


class Hdf5Structure(NamedTuple):
    """What an HDF5 file consists of.

    Attributes:
        groups: Path of every group, the root as ``""``, sorted: the keys of a mapping, for they are looked up.
        datasets: Every dataset of a type that weights may have, by path.
        other: Path of every dataset of another type → that type in words.
    """

    groups: Mapping[str, None]
    datasets: Mapping[str, DatasetInfo]
    other: Mapping[str, str]


def most_groups(datasets: int) -> int:
    """Return how many groups a file with so many *datasets* may have: a layer has a few around its weights."""
    return MAX_EMPTY_GROUPS + _GROUPS_PER_DATASET * datasets


class Structures:
    """The bytes of a file outside its arrays.

    Args:
        file: The bytes.
        offset: Where the HDF5 file begins in them.
        size: Its length.
        effort: Bytes of structures that are looked at.
    """

    def __init__(self, file: ByteFile, *, offset: int, size: int, effort: int | None = None) -> None:
        self._file = file
        self._offset = offset
        self.size = size
        self._pages: dict[int, bytes] = {}
        self._left = _MAX_BYTES if effort is None else effort

    def read(self, address: int, size: int) -> bytes:
        """Return *size* bytes: small structures lie close together, so that they are read by the page."""
        self._left -= size + _EFFORT
        if address + size > self.size or self._left < 0:
            raise NotPlainError
        number = address >> _PAGE_BITS
        start = address - (number << _PAGE_BITS)
        if start + size > 1 << _PAGE_BITS:
            return self._file.read_at(self._offset + address, size)
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= _MAX_PAGES:
                self._pages.clear()
            left = min(1 << _PAGE_BITS, self.size - (number << _PAGE_BITS))
            page = self._file.read_at(self._offset + (number << _PAGE_BITS), left)
            self._pages[number] = page
        return page[start : start + size]


class Header(NamedTuple):
    """An object of the file.

    Attributes:
        messages: What it is, by type of message.
        attributes: Its attributes, as they are stored.
    """

    messages: dict[int, bytes]
    attributes: list[bytes]


def _read_header(file: Structures, address: int) -> Header:
    version, count, _, size = HEADER.unpack(file.read(address, HEADER.size))
    if version != 1:
        raise NotPlainError
    header, pending = Header({}, []), [(address + HEADER.size, size)]
    for start, length in pending:
        chunk, position = file.read(start, length), 0
        while position < length:
            kind, size, flags = MESSAGE.unpack_from(chunk, position)
            position += MESSAGE.size + size
            count -= 1
            if kind:
                data = chunk[position - size : position]
                if flags & ~_HARMLESS or position > length or kind in header.messages:
                    raise NotPlainError
                if kind == CONTINUED:
                    pending.append(PAIR.unpack(data))
                elif kind == ATTRIBUTE:
                    header.attributes.append(data)
                else:
                    header.messages[kind] = data
    if count:
        raise NotPlainError
    return header


class PlainWalk:
    """One pass over all links and headers of a plain file.

    Args:
        file: Its structures.
        base: Where it begins in the file on disk, or None if it lies in memory alone.
        limits: What exceeds them is not plain.

    Attributes:
        attributes: Of every group, as they are stored.
    """

    def __init__(self, file: Structures, *, base: int | None, limits: Limits) -> None:
        self._file = file
        self._base = base
        self._limits = limits
        self._seen: set[int] = set()
        self._datasets: dict[str, DatasetInfo] = {}
        self._bytes = self._links = 0
        self.attributes: dict[str, list[bytes]] = {}

    def run(self) -> Hdf5Structure:
        """Walk the file once; raises one of `NOT_PLAIN`."""
        pending = [("", self._root(), 0)]
        while pending:
            path, address, depth = pending.pop()
            if address in self._seen or len(pending) + len(self._seen) > most_groups(len(self._datasets)):
                raise NotPlainError
            self._seen.add(address)
            messages, attributes = _read_header(self._file, address)
            kinds = messages.keys() - _BESIDE
            if kinds == _OF_DATASETS and path:
                self._datasets[path] = self._dataset(path, messages)
            elif kinds == _OF_GROUPS and depth <= self._limits.max_nesting_depth:
                self.attributes[path] = attributes
                for name, child in self._children(messages[_LINKS]):
                    pending.append((f"{path}/{name}" if path else name, child, depth + 1))
            else:
                raise NotPlainError
        if self._bytes > FREE_EXPANSION_BYTES:
            self._bound(self._bytes // self._file.size, self._limits.max_expansion_ratio)
        return Hdf5Structure(dict.fromkeys(sorted(self.attributes)), self._datasets, {})

    def _root(self) -> int:
        if self._file.read(0, len(_SUPERBLOCK)) != _SUPERBLOCK:
            raise NotPlainError
        base, _, end, driver, _, root = _ADDRESSES.unpack(self._file.read(len(_SUPERBLOCK), _ADDRESSES.size))
        if base or driver != UNDEFINED or end > self._file.size or sys.byteorder != "little":
            raise NotPlainError
        return int(root)

    def _bound(self, found: int, allowed: int) -> None:
        if found > allowed:
            raise NotPlainError

    def _children(self, table: bytes) -> list[tuple[str, int]]:
        """Return name and address of everything in a group."""
        tree, heap = PAIR.unpack(table)
        magic, version, size, _, address = _HEAP.unpack(self._file.read(heap, _HEAP.size))
        if (magic, version) != (b"HEAP", 0):
            raise NotPlainError
        names = self._file.read(address, size)
        found = [(_name(names, start), child) for start, child in self._symbols(tree, None)]
        if len(dict(found)) != len(found):
            raise NotPlainError
        return found

    def _symbols(self, address: int, level: int | None) -> Iterator[tuple[int, int]]:
        """Yield where the name of each link below a node stands, and the address of the object."""
        magic, kind, depth, count = NODE.unpack(self._file.read(address, NODE.size))
        if (magic, kind) != (b"TREE", 0) or level not in (None, depth):
            raise NotPlainError
        keys = struct.unpack(f"<{2 * count}Q", self._file.read(address + NODE.size, 16 * count))
        for child in keys[1::2]:
            yield from self._symbols(child, depth - 1) if depth else self._table(child)

    def _table(self, address: int) -> Iterator[tuple[int, int]]:
        magic, version, count = _TABLE.unpack(self._file.read(address, _TABLE.size))
        self._links += count
        self._bound(self._links, self._limits.max_entries)
        if (magic, version) != (b"SNOD", 1):
            raise NotPlainError
        for name, child, cached in _SYMBOL.iter_unpack(self._file.read(address + _TABLE.size, count * _SYMBOL.size)):
            if cached >= _SYMBOLIC:
                raise NotPlainError
            yield name, child

    def _dataset(self, path: str, messages: Mapping[int, bytes]) -> DatasetInfo:
        dtype, size = _DTYPES[messages[_TYPE]]
        shape = read_shape(messages[_SPACE])
        version, kind, start, stored = _LAYOUT.unpack_from(messages[_LAYOUTS])
        nbytes = math.prod(shape) * size
        self._bytes += nbytes
        self._bound(self._bytes, self._limits.max_weight_bytes)
        is_inside = not nbytes or start + nbytes <= self._file.size
        if (version, kind) != _CONTIGUOUS or stored != nbytes or not is_inside:
            raise NotPlainError
        offset = start + self._base if nbytes and self._base is not None else None
        return DatasetInfo(path=path, shape=shape, dtype=dtype, nbytes=nbytes, offset=offset)


def padded(size: int) -> int:
    """Return how many bytes *size* bytes take where they are filled up to eight."""
    return (size + 7) // 8 * 8


def read_shape(space: bytes) -> tuple[int, ...]:
    """Return the dimensions of a dataspace of version 1, IV.A.2.b."""
    version, rank, flags = space[:3]
    if version != 1 or flags > 1:  # 1: the largest dimensions follow
        raise NotPlainError
    return struct.unpack_from(f"<{rank}Q", space, 8)


def _name(names: bytes, start: int) -> str:
    end = names.find(b"\0", start, start + _MAX_NAME)
    name = names[start:end].decode()
    if end <= start or "/" in name or name == ".":
        raise NotPlainError
    return name
