"""Flatbuffers, read with every offset checked. Layer: readers; standard library alone.

Source: https://flatbuffers.dev/internals/ (2026-11): a table begins with the distance to its vtable, which lists where
its fields lie; strings, vectors and tables are reached by unsigned 32-bit offsets.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_OFFSET = struct.Struct("<I")
_TABLE = struct.Struct("<i")
_VTABLE = struct.Struct("<HH")
_SLOT = struct.Struct("<H")

_READINGS = 4
"""How often all of a buffer may be read. Writers share equal texts, and little else."""
_TABLE_BYTES = 8 * _READINGS
"""What a table counts: at least the distance to its vtable and the offset that leads to it are its own."""


class FlatbufferError(ValueError):
    """An offset or a length leads out of the buffer, or too much was asked for."""


class Budget:
    """How much may still be read: several offsets may lead to one place, so a small file may hold very much.

    Args:
        size: Bytes of the buffer.
    """

    def __init__(self, size: int) -> None:
        self._left = size * _READINGS

    def take(self, size: int) -> None:
        """Count *size* bytes."""
        self._left -= size
        if self._left < 0:
            raise FlatbufferError("it holds more than its size allows")


class Table:
    """A table, whose fields are read by their number in the schema.

    Args:
        data: The whole buffer.
        position: Where the table begins.
        budget: Counts what is read.
    """

    def __init__(self, data: bytes, position: int, budget: Budget) -> None:
        budget.take(_TABLE_BYTES)
        self._data = data
        self._position = position
        self._budget = budget
        vtable = position - _unpack(_TABLE, data, position)[0]
        self._fields, self._size = _unpack(_VTABLE, data, vtable)
        self._vtable = vtable
        if self._fields < _VTABLE.size or self._size < _TABLE.size or position + self._size > len(data):
            raise FlatbufferError(f"the table at byte {position} is broken")

    @classmethod
    def root(cls, data: bytes, budget: Budget) -> Table:
        """Return the outermost table of a buffer."""
        return cls(data, _unpack(_OFFSET, data, 0)[0], budget)

    def scalar(self, field: int, code: str, default: Any = 0) -> Any:
        """Return a number; *code* is its type for the struct module."""
        position = self._at(field)
        return default if position is None else _unpack(struct.Struct(f"<{code}"), self._data, position)[0]

    def scalars(self, field: int, code: str) -> tuple[Any, ...] | None:
        """Return a vector of numbers, None if there is none."""
        size = struct.calcsize(f"<{code}")
        found = self._vector(field, size)
        if found is None:
            return None
        self._budget.take(found[1] * size)
        return struct.unpack_from(f"<{found[1]}{code}", self._data, found[0])

    def text(self, field: int) -> str:
        """Return a string, empty if there is none."""
        found = self._vector(field, 1)
        if found is None:
            return ""
        self._budget.take(found[1])
        return self._data[found[0] : found[0] + found[1]].decode("utf-8", "replace")

    def length(self, field: int, size: int) -> int:
        """Return how many elements of *size* bytes a vector has."""
        found = self._vector(field, size)
        return 0 if found is None else found[1]

    def tables(self, field: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        found = self._vector(field, _OFFSET.size)
        start, count = (0, 0) if found is None else found
        for position in range(start, start + count * _OFFSET.size, _OFFSET.size):
            yield Table(self._data, position + _unpack(_OFFSET, self._data, position)[0], self._budget)

    def _at(self, field: int) -> int | None:
        """Return where a field lies, or None where it is not written."""
        slot = _VTABLE.size + field * _SLOT.size
        if slot + _SLOT.size > self._fields:
            return None
        offset = _unpack(_SLOT, self._data, self._vtable + slot)[0]
        if offset >= self._size:
            raise FlatbufferError(f"field {field} of the table at byte {self._position} lies outside of it")
        return self._position + offset if offset else None

    def _vector(self, field: int, size: int) -> tuple[int, int] | None:
        """Return where the elements of a vector begin and how many there are."""
        position = self._at(field)
        if position is None:
            return None
        start = position + _unpack(_OFFSET, self._data, position)[0]
        count = _unpack(_OFFSET, self._data, start)[0]
        start += _OFFSET.size
        if start + count * size > len(self._data):
            raise FlatbufferError(f"the vector at byte {start} ends outside of the file")
        return start, count


def _unpack(layout: struct.Struct, data: bytes, position: int) -> tuple[Any, ...]:
    if not 0 <= position <= len(data) - layout.size:
        raise FlatbufferError(f"an offset leads to byte {position}, outside of the file")
    return layout.unpack_from(data, position)
