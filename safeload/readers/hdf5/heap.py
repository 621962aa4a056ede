"""What libhdf5 reads is looked at before: global heaps, and indexes. Layer: readers; standard library alone.

Texts of variable length lie in global heaps. libhdf5 1.14 walks one object by object and never ends where an object
has no size, so heaps are walked here as they are loaded, and a broken one becomes a read error.
Source: HDF5 File Format Specification 3.0, III.E; H5HG__cache_heap_deserialize in src/H5HGcache.c (1.14.6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.formats import Window
from safeload.readers.hdf5.trees import Trees

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from safeload.formats import ByteFile

_MAGIC = b"GCOL"
_HEADER = 16
_BLOCK = 1 << 16


class GuardedWindow(Window):
    """A window that looks at every global heap and index before it is handed on.

    Attributes:
        is_guarding: False where arrays are read: their bytes may look like a heap by chance.
    """

    is_guarding = True

    def __init__(self, file: ByteFile, *, offset: int = 0, size: int | None = None) -> None:
        super().__init__(file, offset=offset, size=size)
        self._seen: set[int] = set()
        self._looked_at = 0
        self._trees = Trees(file, offset=offset, size=self.size)

    @property
    def superblock(self) -> int | None:
        """Where addresses count from; None where addresses or nodes have other sizes than those of h5py."""
        return self._trees.base

    def readinto(self, buffer: Buffer) -> int:
        """Read from the position; a heap that never ends, and what is not all in the file, raises OSError.

        libhdf5 would take what is missing for whatever its memory held.
        """
        start = self._position
        if start + memoryview(buffer).nbytes > self.size:
            raise OSError("the file ends before what it refers to")
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
        if self._looked_at > self._file.size or not _ends(self._file, start, size):
            raise OSError("a global heap is broken")


def _ends(file: ByteFile, start: int, size: int) -> bool:
    """Return True if every object of a heap takes the walk forward, and none beyond the end."""
    position, end = start + _HEADER, start + size
    block, begin = b"", 0
    while position + _HEADER <= end:
        if not begin <= position <= begin + len(block) - _HEADER:
            block, begin = file.read_at(position, _BLOCK), position
        header = block[position - begin : position - begin + _HEADER]
        length = int.from_bytes(header[8:], "little")
        step = _HEADER + (length + 7) // 8 * 8 if any(header[:2]) else length
        if step == 0 or position + step > end:  # libhdf5 counts in 64 bits: beyond the end it goes on at the beginning
            return False
        position += step
    return True
