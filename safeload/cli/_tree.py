"""Which paths below a directory are artifacts: a model directory counts as one, what else lies in it on its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from safeload.formats._directory import named_checkpoint

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

    A path that is given by name is yielded as it is unless it is a directory of several
    artifacts. Symbolic links to directories below it are not followed.
    """
    for path in paths:
        if path.is_dir():
            yield from _below(path)
        else:
            yield Candidate(path, is_given=True)


def _artifact(directory: Path, names: set[str], parts: re.Pattern[str]) -> Path:
    """Return the artifact that *directory* is, or the checkpoint in it: Keras 2 saves weights beside other models."""
    if parts is not _CHECKPOINT or all(parts.fullmatch(name) for name in names):
        return directory
    return named_checkpoint(directory) or directory


def _below(directory: Path) -> Iterator[Candidate]:
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        yield Candidate(directory, is_given=True)  # inspecting it says why it cannot be read
        return
    names = {entry.name for entry in entries}
    parts = next((parts for marks, parts in _LAYOUTS if marks <= names), None)
    if parts is not None:
        yield Candidate(_artifact(directory, names, parts), is_given=True)
    for entry in entries:
        if parts is not None and parts.fullmatch(entry.name):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _below(entry)
        elif not entry.name.startswith("."):
            yield Candidate(entry, is_given=False)
