"""Opening what the caller gives: once, without ever blocking. Layer: formats; standard library alone."""

from __future__ import annotations

import difflib
import io
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Union
from urllib.parse import unquote

from safeload.errors import ArtifactNotFoundError, UnsupportedFormatError
from safeload.formats._file import ByteFile, MemoryFile, descriptor_file

Loadable = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]

# O_NONBLOCK: opening a fifo must not wait for its writer. Windows has neither this nor fifos in the file system.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_SPECIAL_FILES = (
    (stat.S_ISFIFO, "is a pipe, not a file: read it and pass the bytes"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
)

_WANTED = "a path, the bytes of a file (bytes, bytearray, memoryview), or a binary file object (open(path, 'rb'))"

_SHOWN = 200
"""Characters that messages show of a path that cannot be opened."""

_SHARDS = re.compile(r"-\?{5}-of-(\d{5})$")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""With one slash, too: ``Path("https://…")`` has no more."""


@dataclass(frozen=True)
class Source:
    """What the caller gave, opened.

    Attributes:
        where: How messages name it: the path as given, or ``"<bytes>"``, ``"<file object>"``.
        path: Absolute path with ``~`` expanded and links not resolved; None for bytes and file objects.
            For a checkpoint given by its prefix, the prefix, which does not exist itself.
        file: The open bytes of a regular file; None for a directory and for a checkpoint prefix.
    """

    where: str
    path: Path | None = None
    file: ByteFile | None = None

    @property
    def is_directory(self) -> bool:
        """True for a directory."""
        return self.file is None and self.path is not None and os.path.isdir(self.path)  # noqa: PTH112

    def close(self) -> None:
        """Close the file, if there is one."""
        if self.file is not None:
            self.file.close()


def open_source(source: Loadable) -> Source:
    """Open a path, bytes or a binary file object.

    A regular file is opened once and stays open; everything later is read through that descriptor. A file object
    is read from its beginning, wherever its position is, and is left open and where it was.

    Args:
        source: A path (``~`` is expanded), the bytes of a model file, or a binary file object.

    Returns:
        The open source. The prefix of a checkpoint (``dir/model.ckpt`` beside ``dir/model.ckpt.index``) counts as
        existing.

    Raises:
        ArtifactNotFoundError: ``artifact-not-found``. Nothing is there, it may not be read, or it is a pipe, a
            device or a socket.
        UnsupportedFormatError: ``unsupported-format``. It is a URL.
        TypeError: *source* is none of these.

    Guarantees:
        Returns without waiting for another process, and without reading more than file attributes.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Source(where="<bytes>", file=MemoryFile(bytes(source)))
    if isinstance(source, (str, os.PathLike)):
        return _open_path(os.fsdecode(source))
    if all(callable(getattr(source, method, None)) for method in ("read", "seekable")):
        return _open_file_object(source)
    raise TypeError(f"source must be {_WANTED}, not {type(source).__name__}; as_callable takes a loaded model")


def _open_path(where: str) -> Source:
    if _URL.match(where) and not os.path.lexists(where):
        raise UnsupportedFormatError(where, kind="a URL", remedy=_instead_of(where))
    if not _is_path(where):
        raise ArtifactNotFoundError(where, problem="is not a path")
    path = absolute(where)
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        if is_checkpoint_prefix(path):
            return Source(where=where, path=path)
        first = _first_shard(path)
        if first is not None:
            return replace(_open_path(first), where=where)
        raise ArtifactNotFoundError(where, problem=_absence(path), nearest=_nearest(where, path)) from error
    except OSError as error:
        # Windows cannot open directories; Path.is_dir raises for odd names.
        if os.path.isdir(path) and os.access(path, os.R_OK):  # noqa: PTH112
            return _directory(where, path)
        shown = where if len(where) <= _SHOWN else f"{where[:_SHOWN]}…"  # the content of a file, perhaps
        raise ArtifactNotFoundError(shown, problem=f"cannot be opened: {error.strerror or error}") from error
    return _opened(where, path, descriptor)


def absolute(where: str) -> Path:
    """Return the absolute path of *where* with ``~`` expanded and links kept.

    Raises:
        ArtifactNotFoundError: ``artifact-not-found``. It is relative, and the working directory was deleted.
    """
    try:
        return Path(os.path.abspath(os.path.expanduser(where)))  # noqa: PTH100, PTH111 - resolve() would follow links
    except OSError as error:
        problem = f"is relative, and the working directory cannot be found: {error.strerror}"
        raise ArtifactNotFoundError(where, problem=problem) from error


def _instead_of(url: str) -> str:
    if url.lower().startswith("file:"):
        return f"pass the path itself: {unquote(url[len('file:') :]).removeprefix('//')!r}"
    return "download it first and pass the local path"


def _is_path(where: str) -> bool:
    try:
        return bool(where) and b"\0" not in os.fsencode(where)
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _opened(where: str, path: Path | None, descriptor: int) -> Source:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return Source(where=where, path=path, file=descriptor_file(descriptor, where))
    os.close(descriptor)
    if stat.S_ISDIR(mode) and path is not None:
        return _directory(where, path)
    problem = next((text for test, text in _SPECIAL_FILES if test(mode)), "is not a regular file")
    raise ArtifactNotFoundError(where, problem=problem)


def _directory(where: str, path: Path) -> Source:
    """Follow links to the directory once: all that is read is of one release, though a link is turned meanwhile."""
    return Source(where=where, path=Path(os.path.realpath(path)))


def _open_file_object(source: Any) -> Source:
    name = getattr(source, "name", None)
    where = name if isinstance(name, str) and name else "<file object>"
    # Only what open() and tempfile make stands for the bytes of its descriptor: gzip and others have one as well.
    inner = getattr(source, "file", source)
    try:
        if not isinstance(getattr(inner, "raw", inner), io.FileIO):
            return Source(where=where, file=MemoryFile(_content(source)))
        source.flush()
        if not source.readable():
            raise io.UnsupportedOperation("not readable")
    except ValueError as error:  # io.UnsupportedOperation is one
        problem = f"cannot be read: {str(error).rstrip('.')}; open it with mode 'rb'"
        raise TypeError(f"source is a file object that {problem}") from error
    return _opened(where, None, os.dup(source.fileno()))


def _content(source: Any) -> bytes:
    position = source.tell() if source.seekable() else None
    if position is not None:
        source.seek(0)
    content = source.read()
    if position is not None:
        source.seek(position)
    if not isinstance(content, bytes):
        raise TypeError("source is a text file object; open it with mode 'rb'")
    return content


def is_checkpoint_prefix(path: Path) -> bool:
    """Return True if *path* is the prefix of a TensorFlow checkpoint: ``<path>.index`` exists.

    Source:
        tensorflow/core/util/tensor_bundle/naming.cc (TensorFlow 2.21): ``MetaFilename`` appends ``.index``.
    """
    return os.path.isfile(f"{path}.index")  # noqa: PTH113 - does not raise for odd names


def _first_shard(path: Path) -> str | None:
    """Return the first file of what the saver of a sharded checkpoint of format V1 returned, or None.

    Source:
        ``Saver.save`` in tensorflow/python/training/saver.py (2.21): "this string ends with: '-?????-of-nnnnn'".
    """
    first = _SHARDS.sub(r"-00000-of-\1", str(path))
    return first if first != str(path) and os.path.isfile(first) else None  # noqa: PTH113 - as above


def _absence(path: Path) -> str:
    if os.path.islink(path):  # noqa: PTH114 - like the others here, it does not raise for odd names
        return f"is a broken link to {str(path.readlink())!r}"
    parent, missing = _first_missing(path)
    if not os.path.isdir(parent):  # noqa: PTH112
        return f"does not exist: {str(parent)!r} is a file"
    return "does not exist" if missing == path else f"does not exist: there is no {str(missing)!r}"


def _first_missing(path: Path) -> tuple[Path, Path]:
    """Return the nearest parent that exists, and what is missing in it."""
    parent = next(p for p in path.parents if os.path.exists(p))  # noqa: PTH110
    return parent, parent / path.relative_to(parent).parts[0]


def _nearest(where: str, path: Path) -> str | None:
    """Return a path like *path* that exists, as the caller would write it."""
    parent, missing = _first_missing(path)
    try:
        names = [entry.name for entry in parent.iterdir()]
    except OSError:
        return None
    by_case = {name.casefold(): name for name in names}
    close = [by_case[key] for key in difflib.get_close_matches(missing.name.casefold(), by_case, 1)]
    same_stem = sorted(n for n in names if Path(n).stem == missing.stem)
    name = next(iter(close or same_stem), None)
    if name is None or not os.path.exists(parent / name / path.relative_to(missing)):  # noqa: PTH110
        return None
    if missing == path:
        return os.path.join(os.path.dirname(where), name)  # noqa: PTH118, PTH120 - as written
    return str(parent / name / path.relative_to(missing))
