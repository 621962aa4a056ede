"""Global heaps on which libhdf5 would turn for ever. Layer: readers; standard library alone.

Texts of variable length lie in global heaps. libhdf5 1.14 walks one object by object and never ends where an object
has no size, so heaps are walked here as they are loaded, and a broken one becomes a read error.
Source: HDF5 File Format Specification 3.0, III.E; H5HG__cache_heap_deserialize in src/H5HGcache.c (1.14.6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.formats import Window

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from safeload.formats import ByteFile

_MAGIC = b"GCOL"
_HEADER = 16


class GuardedWindow(Window):
    """A window that looks at every global heap before it is handed on.

    Attributes:
        is_guarding: False where arrays are read: their bytes may look like a heap by chance.
    """

    is_guarding = True

    def readinto(self, buffer: Buffer) -> int:
        """Read from the position; a heap that never ends raises OSError."""
        start = self._position
        count = super().readinto(buffer)
        if self.is_guarding:
            found = bytes(memoryview(buffer).cast("B")[:count])
            position = found.find(_MAGIC)
            while position >= 0:
                if not _ends(self._file, self._offset + start + position):
                    raise OSError("a global heap is broken")
                position = found.find(_MAGIC, position + 1)
        return count


def _ends(file: ByteFile, start: int) -> bool:
    """Return True if every object of the heap at *start* takes the walk forward."""
    size = int.from_bytes(file.read_at(start + 8, 8), "little")
    content = file.read_at(start, min(size, file.size))
    position = _HEADER
    while position + _HEADER <= len(content):
        index = int.from_bytes(content[position : position + 2], "little")
        length = int.from_bytes(content[position + 8 : position + _HEADER], "little")
        step = _HEADER + (length + 7) // 8 * 8 if index else length
        if step == 0:
            return False
        position += step
    return True
