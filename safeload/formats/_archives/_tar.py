"""Tar archives, read member by member and never beyond a bound. Layer: formats; standard library alone.

Source: POSIX.1-2001 pax; Lib/tarfile.py (Python 3.10 to 3.13), whose stream mode reads forward alone.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, cast

from safeload.errors import MalformedArtifactError
from safeload.formats._file import ByteFile, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OPENERS: dict[str | None, Callable[[IO[bytes]], IO[bytes]]] = {
    None: lambda raw: raw,
    "gz": lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw)),
    "bz2": lambda raw: cast("IO[bytes]", bz2.BZ2File(raw)),
    "xz": lambda raw: cast("IO[bytes]", lzma.LZMAFile(raw)),  # noqa: SIM115 - it owns no file
}

BROKEN = (
    tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, RecursionError, MemoryError
)  # fmt: skip
"""What tarfile and the decompressors raise for broken streams, headers upon headers, and enormous dictionaries."""

_HEADER_BYTES = 1 << 20
"""Bytes of headers before one member: names and pax records; tarfile keeps them in memory."""
_CHUNK = 1 << 20


class TarReader:
    """The members of a tar archive, in order, each with its content.

    Args:
        file: The archive.
        where: How messages name it.
        compression: ``"gz"``, ``"bz2"``, ``"xz"`` or None.
    """

    def __init__(self, file: ByteFile, *, where: str, compression: str | None) -> None:
        raw = cast("IO[bytes]", io.BufferedReader(Window(file)))
        self._stored = _Bounded(raw, where)
        stored = cast("IO[bytes]", self._stored)
        self._stream = _Bounded(_OPENERS[compression](stored), where)
        self._allow(0)
        stream = cast("IO[bytes]", self._stream)
        self._archive = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115 - it owns nothing

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Yield the headers; what was not read of a member is skipped.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. Headers of more than a megabyte.
        """
        skipped = 0
        while True:
            self._allow(skipped)
            info = self._archive.next()
            if info is None:
                return
            skipped = info.size
            yield info

    def _allow(self, size: int) -> None:
        """Allow to read *size* bytes and a header, and what they may take at most when they are compressed."""
        self._stream.allow(size + _HEADER_BYTES)
        self._stored.allow(size + size // 8 + 2 * _HEADER_BYTES)

    def content(self, info: tarfile.TarInfo) -> Iterator[bytes]:
        """Yield the content of the member that was yielded last."""
        self._allow(info.size)
        content = self._archive.extractfile(info)
        while content is not None and (chunk := content.read(_CHUNK)):
            yield chunk


class _Bounded:
    """A stream of which no more is read than was allowed since the last time."""

    def __init__(self, stream: IO[bytes], where: str) -> None:
        self._stream = stream
        self._where = where
        self._left = 0

    def allow(self, count: int) -> None:
        self._left = count

    def read(self, size: int) -> bytes:
        found = self._stream.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise MalformedArtifactError(self._where, problem="the tar archive has a header of more than a megabyte")
        return found
