"""Random access to the bytes of an artifact. Layer: formats; standard library alone.

Everything is read at explicit offsets through one object that stays open from
detection to the last weight, so what was judged is what is loaded, and several
threads may read at once.
"""

from __future__ import annotations

import io
import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from safeload.errors import ArtifactNotFoundError, require_within

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ByteFile(ABC):
    """Bytes that can be read at any offset.

    Attributes:
        size: Number of bytes, as of opening.
    """

    size: int

    @abstractmethod
    def read_into(self, offset: int, buffer: Buffer) -> int:
        """Fill *buffer* with the bytes at *offset* and return how many there were: fewer only at the end."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held; reading afterwards raises."""

    def is_unchanged(self) -> bool:
        """Return False if somebody wrote to the file after it was opened, as far as the file system tells."""
        return True

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to *size* bytes at *offset*, or at 0 if that is negative: fewer only at the end."""
        offset = max(0, offset)
        buffer = bytearray(max(0, min(size, self.size - offset)))
        count = self.read_into(offset, buffer)
        return bytes(buffer if count == len(buffer) else buffer[:count])

    def read_whole(self, where: str, *, limit: str, allowed: int) -> bytes:
        """Return all bytes, and close.

        Raises:
            LimitExceededError: ``limit-exceeded``. There are more than *allowed*, the value of *limit*.
        """
        try:
            require_within(where, limit=limit, allowed=allowed, found=self.size)
            return self.read_at(0, self.size)
        finally:
            self.close()


class MemoryFile(ByteFile):
    """Bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content: memoryview | None = memoryview(content)
        self.size: int = len(content)

    def read_into(self, offset: int, buffer: Buffer) -> int:
        """Copy the bytes at *offset*."""
        if self._content is None:
            raise ValueError("I/O operation on closed file")
        target = memoryview(buffer).cast("B")
        found = self._content[offset : offset + len(target)]
        target[: len(found)] = found
        return len(found)

    def close(self) -> None:
        """Let go of the bytes."""
        self._content = None


class DescriptorFile(ByteFile):
    """A regular file behind a descriptor that this object owns; messages name it *where*."""

    def __init__(self, descriptor: int, where: str = "<file>") -> None:
        self._descriptor: int | None = descriptor
        self._where = where
        status = os.fstat(descriptor)
        self.size = status.st_size
        self._written = status.st_mtime_ns

    def read_into(self, offset: int, buffer: Buffer) -> int:
        """Read at *offset* without moving any file position."""
        descriptor, target = self._opened(), memoryview(buffer).cast("B")
        try:
            done = count = self._read_once(descriptor, offset, target)
            # The kernel returns at most 2 GiB at a time.
            while count and done < len(target):
                count = self._read_once(descriptor, offset + done, target[done:])
                done += count
        except OSError as error:
            raise self._unreadable(error) from error
        return done

    def read_at(self, offset: int, size: int) -> bytes:
        """Read in one piece where the kernel does, without a buffer to copy from."""
        offset = max(0, offset)
        wanted = max(0, min(size, self.size - offset))
        try:
            found = self._piece(self._opened(), offset, wanted)
        except OSError as error:
            raise self._unreadable(error) from error
        if len(found) == wanted:
            return found
        del found  # of files that the kernel does not return at once it may be 2 GiB
        return super().read_at(offset, size)

    def is_unchanged(self) -> bool:
        """Return False if size or time of writing differ; a file that is replaced or removed stays as it was."""
        status = os.fstat(self._opened())
        return (status.st_size, status.st_mtime_ns) == (self.size, self._written)

    def _opened(self) -> int:
        if self._descriptor is None:
            raise ValueError("I/O operation on closed file")
        return self._descriptor

    def _unreadable(self, error: OSError) -> ArtifactNotFoundError:
        return ArtifactNotFoundError(self._where, problem=f"cannot be read: {error.strerror or error}")

    def _read_once(self, descriptor: int, offset: int, target: memoryview) -> int:
        return os.preadv(descriptor, [target], offset)

    def _piece(self, descriptor: int, offset: int, size: int) -> bytes:
        return os.pread(descriptor, size, offset)

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.close()


class SeekingFile(DescriptorFile):
    """The same where the platform cannot read at an offset (Windows): seeks under a lock."""

    def __init__(self, descriptor: int, where: str = "<file>") -> None:
        super().__init__(descriptor, where)
        self._lock = threading.Lock()

    def _read_once(self, descriptor: int, offset: int, target: memoryview) -> int:
        found = self._piece(descriptor, offset, min(len(target), 1 << 24))
        target[: len(found)] = found
        return len(found)

    def _piece(self, descriptor: int, offset: int, size: int) -> bytes:
        with self._lock:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, size)


def descriptor_file(descriptor: int, where: str = "<file>") -> ByteFile:
    """Wrap an open descriptor of a regular file; the result owns it, and names it *where* if it cannot be read."""
    return DescriptorFile(descriptor, where) if hasattr(os, "preadv") else SeekingFile(descriptor, where)


class Window(io.RawIOBase):
    """A read-only file object over a range of a `ByteFile`, for libraries that want one.

    Args:
        file: What is read; not closed with the window.
        offset: Where the range begins.
        size: Its length; reads end there whatever follows in the file.
    """

    def __init__(self, file: ByteFile, *, offset: int = 0, size: int | None = None) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self.size: int = file.size - offset if size is None else size
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position inside the range."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move inside the range."""
        if whence != os.SEEK_SET:
            offset += self.size if whence == os.SEEK_END else self._position
        self._position = max(0, offset)
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Read from the position, never past the range."""
        target = memoryview(buffer).cast("B")
        left = max(0, self.size - self._position)
        if len(target) > left:
            target = target[:left]
        count = self._file.read_into(self._offset + self._position, target)
        self._position += count
        return count
