"""Texts of variable length, read without libhdf5 in files that are not plain. Layer: readers; standard library alone.

A value of variable length is a length and a reference to an object of a global heap. libhdf5 1.14 allocates the length
and copies the object, whether or not the two agree, and for every reference to one object again.

Source: HDF5 File Format Specification 3.0, IV.A.1 (headers), IV.A.2.m (attributes), IV.A.2.q (continuations);
H5VL__native_blob_get in src/H5VLnative_blob.c (1.14.6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from safeload.readers.hdf5.plain import ATTRIBUTE, CONTINUED, HEADER, MESSAGE, PAIR, NotPlainError, Structures, padded
from safeload.readers.hdf5.plain_text import PARTS, VALUE, PlainTexts

_LATER = struct.Struct("<BHB")  # `MESSAGE` in later headers
_MAGIC, _HAS_ORDER, _HAS_BOUNDS, _HAS_TIMES = b"OHDR", 4, 16, 32
_FRAME = 8
"""Magic and checksum of what continues a later header."""
_MAX_BLOCKS = 1000


def stored_references(file: Structures, address: int, name: str, count: int) -> list[bytes]:
    """Return the value of an attribute of *count* texts of variable length.

    Args:
        file: The file.
        address: Where the header of the object lies that has the attribute.
        name: Of the attribute.
        count: How many texts there are.

    Raises:
        NotPlainError: Or another of `NOT_PLAIN`. The header does not hold the attribute.
    """
    size = VALUE.size
    values = next((v for found, v in _attributes(file, address) if found == name.encode()), b"")
    if len(values) < count * size:
        raise NotPlainError("it is not stored with its object")
    return [values[start : start + size] for start in range(0, count * size, size)]


def declared_length(reference: bytes) -> int:
    """Return how many bytes the text has that *reference* stands for."""
    return int.from_bytes(reference[:4], "little")


def stored_texts(file: Structures, references: list[bytes]) -> list[str]:
    """Return the texts that *references* stand for.

    Raises:
        NotPlainError: Or another of `NOT_PLAIN`. A length is not that of the object.
    """
    total = sum(map(declared_length, references))
    found = iter(PlainTexts(file, {}).referred(filter(declared_length, references), total))
    return [next(found).decode() if declared_length(reference) else "" for reference in references]


def _attributes(file: Structures, address: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and values of the attributes in a header."""
    for kind, message in _messages(file, address):
        if kind == ATTRIBUTE:
            version, *sizes = PARTS.unpack_from(message)
            position = PARTS.size + (version > 2)  # the third version names an encoding
            parts = []
            for size in sizes:
                parts.append(message[position : position + size])
                position += padded(size) if version == 1 else size
            yield parts[0].partition(b"\0")[0], message[position:]


def _messages(file: Structures, address: int) -> Iterator[tuple[int, bytes]]:
    is_later = file.read(address, len(_MAGIC)) == _MAGIC
    layout, start, size = _later(file, address) if is_later else _first(file, address)
    pending = [(start, size)]
    for start, size in pending:
        chunk, position = file.read(start, size), 0
        while position + layout.size <= size:
            kind, length = layout.unpack_from(chunk, position)[:2]
            message = chunk[position + layout.size : position + layout.size + length]
            position += layout.size + length
            if kind == CONTINUED and len(pending) < _MAX_BLOCKS:
                below, length = PAIR.unpack_from(message)
                pending.append((below + 4, length - _FRAME) if is_later else (below, length))
            yield kind, message


def _first(file: Structures, address: int) -> tuple[struct.Struct, int, int]:
    version, _, _, size = HEADER.unpack(file.read(address, HEADER.size))
    if version != 1:
        raise NotPlainError("its header is of no known version")
    return MESSAGE, address + HEADER.size, size


def _later(file: Structures, address: int) -> tuple[struct.Struct, int, int]:
    flags = file.read(address + 5, 1)[0]
    start = address + 6 + (16 if flags & _HAS_TIMES else 0) + (4 if flags & _HAS_BOUNDS else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(file.read(start, width), "little")
    return struct.Struct("<BHB2x") if flags & _HAS_ORDER else _LATER, start + width, size
