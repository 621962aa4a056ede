"""Attributes of text in plain HDF5 files. Layer: readers; standard library alone.

Source: HDF5 File Format Specification 3.0, IV.A.2.m (attributes), IV.A.2.d (datatypes), III.E (global heaps).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator

from safeload.readers.hdf5.plain import NotPlainError, Structures, padded, read_shape

PARTS = struct.Struct("<Bx3H")  # version; sizes of name, datatype, dataspace
_FIXED, _VARIABLE = 0x13, 0x19
"""Version and class of the datatypes."""
_PADDED_BY_ZEROS = (0, 1)
_CHARACTERS = bytes.fromhex("10000000 10000000 01000000 00000800")
"""Size of a value of variable length, and the type of what it consists of: bytes."""
_IS_TEXT = 1
VALUE = struct.Struct("<IQI")  # length, address of the heap, number of the object
_HEAP = struct.Struct("<4sB3xQ")  # magic, version, size
_OBJECT = struct.Struct("<H6xQ")  # number, size


class PlainTexts:
    """Reads the attributes of the groups of a file.

    Args:
        file: Its structures.
        attributes: The attributes of every group, as they are stored.
    """

    def __init__(self, file: Structures, attributes: dict[str, list[bytes]]) -> None:
        self._file = file
        self._attributes = attributes
        self._heaps: dict[int, dict[int, bytes]] = {}

    def attribute(self, path: str, name: str, *, max_bytes: int) -> str | list[str] | None:
        """Return a text, a list of texts, or None where there is no such attribute; raises one of `NOT_PLAIN`."""
        for message in self._attributes[path]:
            version, *sizes = PARTS.unpack_from(message)
            if version != 1:
                raise NotPlainError
            found, datatype, space, values = _parts(message, sizes)
            if found.find(b"\0") != len(found) - 1:
                raise NotPlainError
            if found[:-1] == name.encode():
                return self._text(datatype, read_shape(space), values, max_bytes)
        return None

    def _text(self, datatype: bytes, shape: tuple[int, ...], values: bytes, max_bytes: int) -> str | list[str]:
        if shape == (0,):  # of which h5py makes a list of numbers
            return []
        kind, flags = datatype[:2]
        (size,) = struct.unpack_from("<I", datatype, 4)
        count = math.prod(shape)
        if len(shape) > 1 or not 0 < count * size <= min(len(values), max_bytes):
            raise NotPlainError
        stored = [values[start : start + size] for start in range(0, count * size, size)]
        if kind == _FIXED and flags & 15 in _PADDED_BY_ZEROS:
            found = [value.rstrip(b"\0") for value in stored]
        elif (kind, flags, datatype[4:]) == (_VARIABLE, _IS_TEXT, _CHARACTERS):
            found = list(self.referred(stored, max_bytes))
        else:
            raise NotPlainError
        if any(b"\0" in text for text in found):
            raise NotPlainError
        texts = [text.decode() for text in found]
        return texts if shape else texts[0]

    def referred(self, values: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
        """Yield the objects of heaps that *values* refer to; raises one of `NOT_PLAIN`."""
        left = max_bytes
        for value in values:
            length, address, number = VALUE.unpack(value)
            if address not in self._heaps:
                self._heaps[address] = self._heap(address)
            found = self._heaps[address][number]
            left -= length
            if len(found) != length or left < 0:
                raise NotPlainError("a text is not of the length that is declared")
            yield found

    def _heap(self, address: int) -> dict[int, bytes]:
        """Return the objects of a heap by number; free space, which has none, ends it."""
        magic, version, size = _HEAP.unpack(self._file.read(address, _HEAP.size))
        if (magic, version) != (b"GCOL", 1):
            raise NotPlainError
        block, position = self._file.read(address, size), _HEAP.size
        objects: dict[int, bytes] = {}
        while position + _OBJECT.size <= size:
            number, length = _OBJECT.unpack_from(block, position)
            if not number:
                break
            position += _OBJECT.size
            if number in objects or position + length > size:
                raise NotPlainError
            objects[number] = block[position : position + length]
            position += padded(length)
        return objects


def _parts(message: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Cut name, datatype and dataspace out of an attribute, each filled up to eight bytes, and what follows."""
    parts, position = [], PARTS.size
    for size in sizes:
        parts.append(message[position : position + size])
        position += padded(size)
    return [*parts, message[position:]]
