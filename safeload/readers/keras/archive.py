"""Keras archives: the zip of Keras 2.12 and later, and the same unzipped. Layer: readers.

Source: keras/src/saving/saving_lib.py (Keras 3.15.1), keras/saving/saving_lib.py (Keras 2.12).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError, require_within
from safeload.formats import Format, MemoryFile, ZipIndex, open_member, read_zip, resolve_member
from safeload.readers._artifact import KerasArtifact
from safeload.readers._digest import keras_digest
from safeload.readers._json import parse_json
from safeload.readers.hdf5.file import Hdf5File
from safeload.readers.keras.hdf5 import weight_index

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safeload._limits import Limits
    from safeload.formats import Detection
    from safeload.readers._artifact import Json

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
ASSETS = "assets/"
MAX_ASSETS = 10_000
"""Assets that are read at most: a layer has one or two."""


class _Zipped:
    def __init__(self, index: ZipIndex, limits: Limits) -> None:
        self._index = index
        self._limits = limits
        self.size = index.file.size

    def names(self) -> list[str]:
        return [name for name in self._index.members if not name.endswith("/")]

    def size_of(self, name: str) -> int:
        return self._index.members[name].size

    def read(self, name: str, *, limit: str, allowed: int) -> bytes:
        return self._index.read(name, limit=limit, allowed=allowed)

    def open_weights(self) -> Hdf5File:
        member = self._index.members[WEIGHTS]
        where = f"{self._index.where}/{WEIGHTS}"
        if member.is_stored:
            verify = partial(self._index.verify, WEIGHTS)
            return Hdf5File(self._index.file, where=where, offset=member.offset, size=member.size, verify=verify)
        content = self.read(WEIGHTS, limit="max_weight_bytes", allowed=self._limits.max_weight_bytes)
        self._index.file.close()
        return Hdf5File(MemoryFile(content), where=where, is_on_disk=False)


class _Unzipped:
    def __init__(self, root: Path, where: str, limits: Limits) -> None:
        self._root = root
        self._where = where
        self._sizes = _files_below(root, where, limits)
        self.size = sum(self._sizes.values())

    def names(self) -> list[str]:
        return list(self._sizes)

    def size_of(self, name: str) -> int:
        return self._sizes[name]

    def read(self, name: str, *, limit: str, allowed: int) -> bytes:
        file = open_member(self._root, name, where=self._where)
        return file.read_whole(f"{self._where}/{name}", limit=limit, allowed=allowed)

    def open_weights(self) -> Hdf5File:
        return Hdf5File(open_member(self._root, WEIGHTS, where=self._where), where=f"{self._where}/{WEIGHTS}")


_Container = _Zipped | _Unzipped
"""The members of an archive, zipped or not."""


def _files_below(root: Path, where: str, limits: Limits) -> dict[str, int]:
    """Return the size of each file that an archive has: at its top, and in ``assets/``, no link to a directory entered.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. ``assets/`` is a link to another place.
        LimitExceededError: ``limit-exceeded``. There are too many.
    """
    resolve_member(root, "assets", where=where)  # not to list what is no part of the model
    found = _sizes(root, root, (CONFIG, METADATA, WEIGHTS))
    levels = len(root.parts) + limits.max_nesting_depth
    for directory, below, names in os.walk(root / "assets"):
        path = Path(directory)
        found |= _sizes(root, path, names)
        if len(path.parts) > levels:
            below.clear()  # no writer makes so many
        require_within(where, limit="max_entries", allowed=limits.max_entries, found=len(found))
    return found


def _sizes(root: Path, directory: Path, names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        path = directory / name
        with suppress(OSError):  # it is absent, or a link to nothing
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                found[path.relative_to(root).as_posix()] = status.st_size
    return found


def read_keras_archive(detection: Detection, limits: Limits) -> KerasArtifact:
    """Read a Keras archive.

    Args:
        detection: Of a Keras archive, zipped (KERAS_ARCHIVE) or not (KERAS_DIRECTORY).
        limits: See `Limits`.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. A part is missing or broken; the zip has more than one reading
            (see `read_zip`); a file of the directory is a link out of it.
        LimitExceededError: ``limit-exceeded``. One of the limits.

    Guarantees:
        No array is read and nothing is written to disk. Weights that the zip stores uncompressed are read through the
        zip file that was opened; compressed ones are held in memory.
    """
    container = _container(detection, limits)
    names = set(container.names())
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            raise MalformedArtifactError(detection.where, problem=f"{name!r} is missing")
    text = container.read(CONFIG, limit="max_config_bytes", allowed=limits.max_config_bytes)
    config = _parsed(text, f"{detection.where}/{CONFIG}", limits)
    metadata = _metadata(container, detection.where, limits) if METADATA in names else {}
    assets = _read_assets(container, detection.where, limits)
    hdf5 = container.open_weights()
    artifact = KerasArtifact(
        format=detection.format,
        where=detection.where,
        config=config,
        training_config=config.get("compile_config"),
        metadata=metadata,
        weights=weight_index(hdf5, hdf5.structure(limits), limits),
        weights_file=hdf5,
        assets=assets,
        size=container.size,
    )
    return replace(artifact, digest=keras_digest(artifact, text))


def _container(detection: Detection, limits: Limits) -> _Container:
    if detection.format is Format.KERAS_DIRECTORY:
        assert detection.path is not None  # noqa: S101 - a directory has a path
        return _Unzipped(detection.path, detection.where, limits)
    return _Zipped(read_zip(detection.file, where=detection.where, limits=limits), limits)


def _metadata(container: _Container, where: str, limits: Limits) -> dict[str, str]:
    text = container.read(METADATA, limit="max_config_bytes", allowed=limits.max_config_bytes)
    found = _parsed(text, f"{where}/{METADATA}", limits)
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _parsed(text: bytes, where: str, limits: Limits) -> dict[str, Json]:
    tree = parse_json(text, where=where, limits=limits)
    if not isinstance(tree, dict):
        raise MalformedArtifactError(where, problem="it is not a JSON object")
    return tree


def _read_assets(container: _Container, where: str, limits: Limits) -> dict[str, bytes]:
    names = sorted(name for name in container.names() if name.startswith(ASSETS))
    require_within(f"{where}/{ASSETS}", limit="MAX_ASSETS", allowed=MAX_ASSETS, found=len(names))
    total = sum(container.size_of(name) for name in names)
    require_within(f"{where}/{ASSETS}", limit="max_asset_bytes", allowed=limits.max_asset_bytes, found=total)
    return {
        name.removeprefix(ASSETS): container.read(name, limit="max_asset_bytes", allowed=limits.max_asset_bytes)
        for name in names
    }
