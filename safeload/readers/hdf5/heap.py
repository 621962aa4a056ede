"""What libhdf5 reads is looked at before: global heaps, and indexes. Layer: readers; standard library alone.

Texts of variable length lie in global heaps. libhdf5 1.14 walks one object by object and never ends where an object
has no size, so heaps are walked here as they are loaded, and a broken one becomes a read error.
Source: HDF5 File Format Specification 3.0, III.E; H5HG__cache_heap_deserialize in src/H5HGcache.c (1.14.6).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from safeload.formats import Window
from safeload.readers.hdf5.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from safeload.formats import ByteFile

_MAGIC = b"GCOL"
_HEADER = 16
_BLOCK = 1 << 16
_MOST_BYTES = 1 << 29
"""What the texts of one attribute may take: all of them may refer to one object, which is copied for each."""


class GuardedWindow(Window):
    """A window that looks at every global heap and index before it is handed on.

    Attributes:
        is_guarding: False where arrays are read: their bytes may look like a heap by chance.
    """

    is_guarding = True
    _texts = 1

    def __init__(self, file: ByteFile, *, offset: int = 0, size: int | None = None) -> None:
        super().__init__(file, offset=offset, size=size)
        self._seen: set[int] = set()
        self._looked_at = 0
        self._largest = 0
        self._trees = Trees(file, offset=offset, size=self.size)

    @contextmanager
    def reading(self, texts: int) -> Iterator[None]:
        """Read an attribute of so many *texts*; where they would take too much, libhdf5 is given an error instead.

        Raises:
            OSError: What was read before is enough to tell.
        """
        self._texts = texts
        try:
            self._require_small()
            yield
        finally:
            self._texts = 1

    def _require_small(self) -> None:
        if self._texts > 1 and self._texts * self._largest > _MOST_BYTES:
            raise OSError(f"{self._texts:,} texts of up to {self._largest:,} bytes")

    def readinto(self, buffer: Buffer) -> int:
        """Read from the position; a heap that never ends raises OSError."""
        start = self._position
        count = super().readinto(buffer)
        if self.is_guarding:
            found = bytes(memoryview(buffer).cast("B")[:count])
            self._trees.require_end(start, found)
            position = found.find(_MAGIC)
            while position >= 0:
                self._require_end(self._offset + start + position)
                position = found.find(_MAGIC, position + 1)
        return count

    def _require_end(self, start: int) -> None:
        """Look once at the heap at *start*; those that lie over one another would take the square of the file's size.

        libhdf5 itself refuses a heap that leaves the file.
        """
        size = int.from_bytes(self._file.read_at(start + 8, 8), "little")
        if start in self._seen or start + size > self._file.size:
            return
        self._seen.add(start)
        self._looked_at += size
        largest = None if self._looked_at > self._file.size else _largest(self._file, start, size)
        if largest is None:
            raise OSError("a global heap is broken")
        self._largest = max(self._largest, largest)
        self._require_small()


def _largest(file: ByteFile, start: int, size: int) -> int | None:
    """Return the size of the largest object of a heap, or None if one of them does not take the walk forward."""
    position, end = start + _HEADER, start + size
    block, begin = b"", 0
    largest = 0
    while position + _HEADER <= end:
        if not begin <= position <= begin + len(block) - _HEADER:
            block, begin = file.read_at(position, _BLOCK), position
        header = block[position - begin : position - begin + _HEADER]
        length = int.from_bytes(header[8:], "little")
        is_object = any(header[:2])
        step = _HEADER + (length + 7) // 8 * 8 if is_object else length
        if step == 0 or position + step > end:  # beyond the end libhdf5 goes on at the beginning: it counts in 64 bits
            return None
        largest = max(largest, length) if is_object else largest
        position += step
    return largest
