"""Which paths below a directory are artifacts: a model directory counts as one, what else lies in it on its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from safeload.formats._tree import named_checkpoint

_CHECKPOINT = re.compile(r"checkpoint|.*\.(?:index|meta|data-\d{5}-of-\d{5})|graph\.pbtxt")

_LAYOUTS: tuple[tuple[frozenset[str], re.Pattern[str]], ...] = (
    # tensorflow/python/saved_model/constants.py (2.21), tf_keras/src/saving/legacy/saved_model/constants.py
    (
        frozenset({"saved_model.pb"}),
        re.compile(
            r"(?:saved_model|keras_metadata|fingerprint)\.pb|saved_model\.pbtxt|variables|assets(?:\.extra)?|debug"
        ),
    ),
    (frozenset({"saved_model.cpb"}), re.compile(r"saved_model\.cpb|fingerprint\.pb|variables|assets(?:\.extra)?")),
    (
        frozenset({"saved_model.pbtxt"}),
        re.compile(r"saved_model\.pbtxt|keras_metadata\.pb|variables|assets(?:\.extra)?"),
    ),
    # keras/src/saving/saving_lib.py (3.15.1)
    (
        frozenset({"config.json", "metadata.json"}),
        re.compile(r"(?:config|metadata)\.json|model\.weights\.(?:h5|npz|json)|assets"),
    ),
    # tensorflow/python/checkpoint/checkpoint_management.py (2.21)
    (frozenset({"checkpoint"}), _CHECKPOINT),
)
"""Files that together make a directory one artifact, and the names of its parts."""


class Candidate(NamedTuple):
    """A path that may be an artifact.

    Attributes:
        path: Where it lies.
        is_given: True if the user named it, False if it was found below what the user named.
    """

    path: Path
    is_given: bool


def find_artifacts(paths: Iterable[Path]) -> Iterator[Candidate]:
    """Yield the artifacts at and below *paths*, in a stable order.

    A path that is given by name is yielded as it is unless it is a directory of several artifacts. Symbolic links to
    directories below it are not followed.
    """
    for path in paths:
        if _is_directory(path):
            yield from _below(path)
        else:
            yield Candidate(path, is_given=True)


def _is_directory(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - does not raise for odd names, and where a parent may not be entered


def _artifact(directory: Path, names: set[str], parts: re.Pattern[str]) -> Path:
    """Return the artifact that *directory* is, or the checkpoint in it: Keras 2 saves weights beside other models."""
    if parts is not _CHECKPOINT or all(parts.fullmatch(name) for name in names):
        return directory
    return named_checkpoint(directory) or directory


def _below(directory: Path) -> Iterator[Candidate]:
    waiting = [Candidate(directory, is_given=True)]  # the next one last; a tree may be deeper than calls may be
    while waiting:
        found = waiting.pop()
        if not found.is_given:
            yield found
            continue
        artifact, entries = _listed(found.path)
        if artifact is not None:
            yield Candidate(artifact, is_given=True)
        waiting += reversed(entries)


def _listed(directory: Path) -> tuple[Path | None, list[Candidate]]:
    """Return the artifact that *directory* is, if it is one, and what lies in it beside: directories as if given."""
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return directory, []  # inspecting it says why it cannot be read
    names = {entry.name for entry in entries}
    parts = next((parts for marks, parts in _LAYOUTS if marks <= names), None)
    beside = [entry for entry in entries if parts is None or not parts.fullmatch(entry.name)]
    artifact = None if parts is None else _artifact(directory, names, parts)
    found = [Candidate(entry, is_given=_is_directory(entry)) for entry in beside]
    return artifact, [entry for entry in found if _is_looked_at(entry)]


def _is_looked_at(entry: Candidate) -> bool:
    if entry.is_given:
        return not os.path.islink(entry.path)  # noqa: PTH114 - does not raise either
    return not entry.path.name.startswith(".")
