"""Zip archives, read strictly. Layer: formats; standard library alone.

Every byte of an archive must belong to exactly one member or to the directory at the end, and both copies of a
member's header must agree: then all zip readers see the same members, and no second format hides between them.
Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (6.3.10), sections 4.3 and 4.4.
"""

from __future__ import annotations

import io
import posixpath
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from safeload.errors import LimitExceededError, MalformedArtifactError, require_within
from safeload.formats._file import ByteFile, Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from safeload._limits import Limits

LOCAL_MAGIC = b"PK\x03\x04"
CENTRAL_MAGIC = b"PK\x01\x02"
END_MAGIC = b"PK\x05\x06"

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_END_SIZE = 22
_MAX_COMMENT = 0xFFFF
_FLAG_ENCRYPTED = 0x1 | 0x40
_ENCRYPTED = "is encrypted"
_FLAG_DESCRIPTOR = 0x8
_MAX_DESCRIPTOR = 24
_CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

FREE_EXPANSION_BYTES = 16 << 20
"""Below this many declared bytes no ratio is looked at: small files of zeros legitimately compress a thousandfold."""


MAX_LISTED = 100_000
"""Members of an archive that are listed at most, by whatever directory, to tell what it is."""

MAX_DIRECTORY_BYTES = 64 << 20
"""Of the directory, which zipfile reads in one piece: more than 600 bytes for each member that may be listed."""


_MAX_SHOWN = 160
"""Characters of a name that a message shows; an archive may have names of 64 KB and more."""


class Member(NamedTuple):
    """One file of an archive.

    Attributes:
        name: Its path.
        offset: Where its (compressed) bytes begin in the whole file.
        stored_size: How many bytes are stored.
        size: How many bytes it is when read.
        is_stored: True if it is not compressed.
        crc: CRC-32 of its content.
    """

    name: str
    offset: int
    stored_size: int
    size: int
    is_stored: bool
    crc: int


@dataclass(frozen=True)
class ZipIndex:
    """The members of an archive that was read strictly."""

    where: str
    file: ByteFile
    members: Mapping[str, Member]

    def read(self, name: str, *, limit: str, allowed: int) -> bytes:
        """Return the content of a member.

        Args:
            name: Its path.
            limit: Name of the limit that holds for it.
            allowed: Most bytes that it may have.

        Raises:
            LimitExceededError: ``limit-exceeded``. It declares more.
            MalformedArtifactError: ``malformed-artifact``. The content does not match what the headers declare.
        """
        member = self.members[name]
        require_within(f"{self.where}/{short(name)}", limit=limit, allowed=allowed, found=member.size)
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a member, no more than it declares.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. As of `read`, after the last chunk.
        """
        member = self.members[name]
        where = f"{self.where}/{short(name)}"
        stored = self._stored(member)
        size = crc = 0
        for chunk in stored if member.is_stored else _inflated(stored, member.size, where):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
            yield chunk
        if size != member.size or crc != member.crc:
            raise _contradicted(where)

    def verify(self, name: str) -> None:
        """Compare a member with its checksum.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. As of `read`.
        """
        for _ in self.chunks(name):
            pass

    def _stored(self, member: Member) -> Iterator[bytes]:
        end = member.offset + member.stored_size
        for start in range(member.offset, end, _CHUNK):
            yield self.file.read_at(start, min(_CHUNK, end - start))


def _inflated(stored: Iterator[bytes], size: int, where: str) -> Iterator[bytes]:
    """Decompress up to one byte more than *size*."""
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    left = size
    try:
        for chunk in stored:
            found = decompressor.decompress(chunk, left + 1)
            left -= len(found)
            yield found
            if left < 0:
                return
    except zlib.error as error:
        raise MalformedArtifactError(where, problem=f"cannot be decompressed: {error}") from error
    if not decompressor.eof or decompressor.unused_data:
        raise _contradicted(where)


def _contradicted(where: str) -> MalformedArtifactError:
    return MalformedArtifactError(where, problem="the content does not match its checksum and size")


class _Reader(io.BufferedReader):
    """What zipfile reads; a directory of too many members is refused before it is taken apart."""

    def __init__(self, file: ByteFile, where: str) -> None:
        super().__init__(Window(file))
        self._where = where

    def read(self, size: int | None = -1, /) -> bytes:
        require_within(self._where, limit="MAX_DIRECTORY_BYTES", allowed=MAX_DIRECTORY_BYTES, found=size or 0)
        found = super().read(size)
        # zipfile (Python 3.10 to 3.13) goes by the size of the directory, not by the number that stands beside it.
        require_within(self._where, limit="MAX_LISTED", allowed=MAX_LISTED, found=found.count(CENTRAL_MAGIC))
        return found


def zip_names(file: ByteFile, where: str) -> list[str] | None:
    """Return the names of the members of a zip archive as they stand, or None if it has no readable directory.

    Raises:
        LimitExceededError: ``limit-exceeded``. ``MAX_LISTED`` or ``MAX_DIRECTORY_BYTES``.
    """
    infos = _infos(file, where)
    return None if infos is None else [info.filename for info in infos[0]]


def _infos(file: ByteFile, where: str) -> tuple[list[zipfile.ZipInfo], int, bytes] | None:
    try:
        with zipfile.ZipFile(_Reader(file, where)) as archive:
            return archive.infolist(), archive.start_dir, archive.comment
    except LimitExceededError:
        raise
    # zipfile raises these for broken directories: struct.error and UnicodeDecodeError for cut or odd entries,
    # NotImplementedError for versions above 6.3, OverflowError and ValueError for offsets out of range.
    except (zipfile.BadZipFile, struct.error, NotImplementedError, OverflowError, ValueError, EOFError, OSError):
        return None


def read_zip(file: ByteFile, *, where: str, limits: Limits) -> ZipIndex:
    """Read the directory of an archive and check that it is the only reading of the file.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. Truncated; two members of one name; a name that is absolute or
            has ``..``; an encrypted member; a link; a method other than stored and deflated; headers that disagree;
            bytes of no member.
        LimitExceededError: ``limit-exceeded``. ``max_entries``, ``max_weight_bytes`` or ``max_expansion_ratio``; as of
            `zip_names`.

    Guarantees:
        Members do not overlap, follow one another from the first byte, and the directory ends the file. Contents are
        checked when read.
    """
    found = _infos(file, where)
    if found is None:
        raise MalformedArtifactError(
            where, problem="the zip directory at its end is missing or broken: the file is truncated"
        )
    infos, start_of_directory, comment = found
    require_within(where, limit="max_entries", allowed=limits.max_entries, found=len(infos))
    _refuse_names(infos, where)
    members = [_member(file, info, where) for info in infos]
    _refuse_gaps(infos, members, start_of_directory, where)
    _refuse_tail(file, comment, where)
    _refuse_sizes(members, file.size, limits, where)
    return ZipIndex(where=where, file=file, members={m.name: m for m in members})


def _refuse_names(infos: list[zipfile.ZipInfo], where: str) -> None:
    seen: set[str] = set()
    for info in infos:
        problem = name_problem(info.filename)
        # What is unpacked to one place is one member, whatever it is called: "a", "./a", "a/".
        place = posixpath.normpath(info.filename.replace("\\", "/"))
        if place in seen:
            problem = "occurs twice"
        elif info.filename != info.orig_filename:
            problem = "has a name that zip readers read differently"
        elif info.flag_bits & _FLAG_ENCRYPTED:
            problem = _ENCRYPTED
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a symbolic link"
        elif info.compress_type not in _METHODS:
            problem = f"has compression method {info.compress_type}, not stored or deflated"
        if problem:
            hint = {"hint": "unpack it with its password"} if problem == _ENCRYPTED else {}
            raise MalformedArtifactError(where, problem=f"the member {short(info.orig_filename)!r} {problem}", **hint)
        seen.add(place)


def short(name: str) -> str:
    """Return a name as messages show it."""
    return name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"


def name_problem(name: str) -> str | None:
    r"""Return why *name* leads out of an archive, or None; ``\`` counts as a separator, as on Windows."""
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0].endswith(":"):
        return "has an absolute path"
    return "leads out of the archive" if ".." in parts else None


def _member(file: ByteFile, info: zipfile.ZipInfo, where: str) -> Member:
    header = file.read_at(info.header_offset, _LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(LOCAL_MAGIC):
        raise MalformedArtifactError(
            where, problem=f"there is no header of the member {short(info.filename)!r} where the directory says"
        )
    _, _, flags, method, _, _, crc, stored, size, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    name_offset = info.header_offset + _LOCAL_HEADER.size
    name = file.read_at(name_offset, name_size)
    # With a data descriptor the local sizes may be left 0; ZIP64 leaves them at their maximum.
    is_open = bool(flags & _FLAG_DESCRIPTOR)
    agrees = (
        name == info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437", "replace")
        and method == info.compress_type
        and not flags & _FLAG_ENCRYPTED
        and all(
            a == b or (is_open and a == 0) or a == 0xFFFFFFFF
            for a, b in ((stored, info.compress_size), (size, info.file_size))
        )
        and (crc == info.CRC or (is_open and crc == 0))
        and (info.compress_type != zipfile.ZIP_STORED or info.compress_size == info.file_size)
    )
    if not agrees:
        raise MalformedArtifactError(
            where, problem=f"the two headers of the member {short(info.filename)!r} contradict each other"
        )
    return Member(
        name=info.filename,
        offset=name_offset + name_size + extra_size,
        stored_size=info.compress_size,
        size=info.file_size,
        is_stored=method == zipfile.ZIP_STORED,
        crc=info.CRC,
    )


def _refuse_gaps(infos: list[zipfile.ZipInfo], members: list[Member], start_of_directory: int, where: str) -> None:
    position = 0
    slack = 0
    for info, member in sorted(zip(infos, members, strict=True), key=lambda pair: pair[0].header_offset):
        if not position <= info.header_offset <= position + slack:
            raise MalformedArtifactError(
                where, problem=f"bytes before the member {short(info.filename)!r} belong to no member or to two"
            )
        position = member.offset + member.stored_size
        slack = _MAX_DESCRIPTOR if info.flag_bits & _FLAG_DESCRIPTOR else 0
    if not position <= start_of_directory <= position + slack:
        raise MalformedArtifactError(where, problem="bytes before the zip directory belong to no member or to two")


def _refuse_tail(file: ByteFile, comment: bytes, where: str) -> None:
    end = file.size - _END_SIZE - len(comment)
    if file.read_at(end, 4) != END_MAGIC:
        raise MalformedArtifactError(where, problem="bytes follow the end of the zip archive")


def _refuse_sizes(members: list[Member], file_size: int, limits: Limits, where: str) -> None:
    total = sum(m.size for m in members)
    require_within(where, limit="max_weight_bytes", allowed=limits.max_weight_bytes, found=total)
    if total > FREE_EXPANSION_BYTES and total > limits.max_expansion_ratio * file_size:
        found = total // max(1, file_size)
        raise LimitExceededError(where, limit="max_expansion_ratio", allowed=limits.max_expansion_ratio, found=found)


def ends_as_zip(file: ByteFile) -> bool:
    """Return True if zip readers would find an archive at the end of the file, whatever it begins with."""
    tail_size = min(file.size, _END_SIZE + _MAX_COMMENT)
    tail = file.read_at(file.size - tail_size, tail_size)
    position = tail.rfind(END_MAGIC)
    if position < 0 or position + _END_SIZE > len(tail):
        return False
    count, directory_size = struct.unpack_from("<HL", tail, position + 10)
    start = file.size - tail_size + position - directory_size
    return count == 0 or (start >= 0 and file.read_at(start, 4) == CENTRAL_MAGIC)
