"""Archives around a model, unpacked into a private directory. Layer: formats; standard library alone.

What is written is what the archive says in one way: files and directories, each once, none outside of it.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError, require_within
from safeload.formats._archives._contents import compression_of, is_tar, refuse_member
from safeload.formats._archives._zip import FREE_EXPANSION_BYTES, read_zip, short
from safeload.formats._temporary import TemporaryFolder, unwritable

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable, Iterator
    from io import RawIOBase
    from pathlib import Path

    from safeload._limits import Limits
    from safeload.formats._file import ByteFile

_HEAD_BYTES = 4096

MAX_UNPACKED = 10_000
"""Members of an archive that are unpacked at most: each is a file that is made and deleted again."""


_OF_NAMES = {errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR}
"""Errors of a system that cannot have a file of this name. With others the disk is full, say."""


def unpack(file: ByteFile, *, where: str, limits: Limits) -> TemporaryFolder:
    """Unpack a zip or tar archive.

    Args:
        file: The archive.
        where: How messages name it.
        limits: ``max_entries``, ``max_weight_bytes`` and ``max_expansion_ratio`` hold for everything in it.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The archive is broken, has two readings, or members outside.
        UnsupportedFormatError: ``unsupported-format``. It holds links or devices.
        LimitExceededError: ``limit-exceeded``. One of the limits.
        LoadFailedError: ``load-failed``. Temporary files cannot be written.

    Guarantees:
        No byte more than allowed is decompressed. Whatever fails, nothing is left behind.
    """
    head = file.read_at(0, _HEAD_BYTES)
    unpacked = TemporaryFolder(where)
    try:
        if is_tar(head) or compression_of(head):
            _Target(unpacked.path, where, limits, file.size).fill_from_tar(file, compression_of(head))
        else:
            _Target(unpacked.path, where, limits, file.size).fill_from_zip(file)
    except BaseException:
        unpacked.remove()
        raise
    return unpacked


class _Target:
    """A directory that is filled, and how much still may go into it."""

    def __init__(self, root: Path, where: str, limits: Limits, stored: int) -> None:
        self.root = root
        self.where = where
        self.limits = limits
        self.stored = stored
        self.entries = 0
        self.total = 0

    def fill_from_zip(self, file: ByteFile) -> None:
        index = read_zip(file, where=self.where, limits=self.limits)
        self.bound("MAX_UNPACKED", MAX_UNPACKED, len(index.members))
        for name, member in index.members.items():
            if name.endswith("/"):
                self.directory(name)
            else:
                self.file(name, member.size, index.chunks(name))

    def fill_from_tar(self, file: ByteFile, compression: str | None) -> None:
        from safeload.formats._archives._tar import BROKEN, TarReader

        try:
            reader = TarReader(file, where=self.where, compression=compression)
            for info in reader:
                self.require_plain(info)
                if info.isdir():
                    self.directory(info.name)
                else:
                    self.file(info.name, info.size, reader.content(info))
        except (MalformedArtifactError, LimitExceededError, UnsupportedFormatError):
            raise
        except BROKEN as error:
            raise self.malformed(f"the archive is broken: {str(error) or type(error).__name__}") from error

    def require_plain(self, info: tarfile.TarInfo) -> None:
        refuse_member(info, self.where)
        if not (info.isreg() or info.isdir()) or info.issparse():
            kind = f"an archive with the link, device or sparse file {short(info.name)!r}"
            raise UnsupportedFormatError(self.where, kind=kind, remedy="unpack it and pass the model inside")

    def directory(self, name: str) -> None:
        self.count(0)
        place = self.place(name)
        with self.writing(name):
            place.mkdir(parents=True, exist_ok=True)

    def file(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        self.count(size)
        place = self.place(name)
        with self.writing(name):
            place.parent.mkdir(parents=True, exist_ok=True)
            target = place.open("xb", buffering=0)
        with target:
            for chunk in chunks:
                self.write(name, target, chunk)

    def write(self, name: str, target: RawIOBase, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            with self.writing(name):
                left = left[target.write(left) :]

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise self.malformed(f"the member {short(name)!r} occurs twice") from error
        except OSError as error:
            if error.errno not in _OF_NAMES:
                raise unwritable(self.where, error) from error
            raise self.malformed(f"the member {short(name)!r} cannot be written: {error.strerror}") from error

    def place(self, name: str) -> Path:
        if "\0" in name or "\\" in name:
            raise self.malformed(f"the member {short(name)!r} has a name that systems read differently")
        return self.root / name

    def count(self, size: int) -> None:
        self.entries += 1
        self.total += size
        ratio = self.limits.max_expansion_ratio
        self.bound("max_entries", self.limits.max_entries, self.entries)
        self.bound("MAX_UNPACKED", MAX_UNPACKED, self.entries)
        self.bound("max_weight_bytes", self.limits.max_weight_bytes, self.total)
        if self.total > FREE_EXPANSION_BYTES:
            self.bound("max_expansion_ratio", ratio, self.total // max(1, self.stored))

    def bound(self, limit: str, allowed: int, found: int) -> None:
        require_within(self.where, limit=limit, allowed=allowed, found=found)

    def malformed(self, problem: str) -> MalformedArtifactError:
        return MalformedArtifactError(self.where, problem=problem)
