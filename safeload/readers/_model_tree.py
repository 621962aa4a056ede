"""The files of a model that is a directory: what is there, and what should not be. Layer: readers.

Nothing is opened here, so that pipes and devices cannot block.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError, require_within
from safeload.formats._tree import allowed_roots
from safeload.readers._artifact import Anomaly

if TYPE_CHECKING:
    from pathlib import Path

    from safeload._limits import Limits

_FIXED = {
    # Two in each of a row of directories double what is found.
    "MAX_DIRECTORY_LINKS": 100,
    # Where each leads takes a look at every directory on the way.
    "MAX_LINKS": 5_000,
    # Each is a reason against the model, and nobody reads more of them.
    "MAX_ODD_FILES": 1_000,
}
"""Links to directories that are followed, and links and special files that are listed, at most."""


@dataclass
class ModelTree:
    """What lies below the directory of a model.

    Attributes:
        files: Bytes of every regular file by POSIX path below the directory.
        anomalies: Links out of the model, circular links, special files.
    """

    files: dict[str, int] = field(default_factory=dict)
    anomalies: list[Anomaly] = field(default_factory=list)


def read_model_tree(directory: Path, *, where: str, limits: Limits) -> ModelTree:
    """List the files below *directory*.

    Links are followed inside the model's own tree, and to the blobs of a Hugging Face cache that it lies in.

    Args:
        directory: Directory of the model.
        where: How messages name it.
        limits: ``max_entries`` bounds files and directories, ``max_nesting_depth`` the levels.

    Raises:
        LimitExceededError: ``limit-exceeded``. There are too many files, levels or links to directories.
        MalformedArtifactError: ``malformed-artifact``. A directory cannot be listed.
    """
    return _Walk(directory, where=where, limits=limits).tree()


class _Walk:
    def __init__(self, directory: Path, *, where: str, limits: Limits) -> None:
        self.directory = os.fspath(directory)
        self.roots = tuple(map(os.fspath, allowed_roots(directory)))
        self.where = where
        self.limits = limits
        self.found = ModelTree()
        self.entries = 0
        self.links = self.linked = 0

    def tree(self) -> ModelTree:
        self.scan(self.directory, "", ancestors=(os.path.realpath(self.directory),))
        return self.found

    def scan(self, path: str, prefix: str, *, ancestors: tuple[str, ...]) -> None:
        self.bound("max_nesting_depth", len(ancestors))
        try:
            with os.scandir(path) as entries:
                listed = sorted(islice(entries, self.limits.max_entries + 1), key=lambda entry: entry.name)
            for entry in listed:
                self.entries += 1
                self.bound("max_entries", self.entries)
                self.visit(entry, prefix + entry.name, ancestors)
        except OSError as error:
            problem = f"{prefix or '.'!r} cannot be listed: {error.strerror or error}"
            raise MalformedArtifactError(self.where, problem=problem) from error

    def visit(self, entry: os.DirEntry[str], name: str, ancestors: tuple[str, ...]) -> None:
        is_link = entry.is_symlink()
        self.links += is_link
        self.bound("MAX_LINKS", self.links)
        real = os.path.realpath(entry.path) if is_link else f"{ancestors[-1]}{os.sep}{entry.name}"
        if not self.is_inside(real):
            self.odd("link-out-of-model", name, real)
        elif not os.path.exists(real):  # noqa: PTH110 - Path.exists raises for odd names
            self.odd("broken-link", name, real)
        elif entry.is_dir():
            if real in ancestors:
                self.odd("circular-link", name, real)
            else:
                self.linked += is_link
                self.bound("MAX_DIRECTORY_LINKS", self.linked)
                self.scan(entry.path, name + "/", ancestors=(*ancestors, real))
        elif stat.S_ISREG(entry.stat().st_mode):
            self.found.files[name] = entry.stat().st_size
        else:
            self.odd("special-file", name, stat.filemode(entry.stat().st_mode))

    def is_inside(self, real: str) -> bool:
        return any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in self.roots)

    def odd(self, kind: str, name: str, evidence: str) -> None:
        self.found.anomalies.append(Anomaly(kind, name, evidence))
        self.bound("MAX_ODD_FILES", len(self.found.anomalies))

    def bound(self, limit: str, found: int) -> None:
        allowed = _FIXED[limit] if limit in _FIXED else getattr(self.limits, limit)
        require_within(self.where, limit=limit, allowed=allowed, found=found)
