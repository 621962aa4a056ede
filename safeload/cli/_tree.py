"""Which paths below a directory are artifacts: a model directory counts as one, whatever is inside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

# Files that together make a directory one artifact: SavedModel, unzipped Keras archive, TensorFlow checkpoint.
_MARKERS = ({"saved_model.pb"}, {"saved_model.pbtxt"}, {"config.json", "metadata.json"}, {"checkpoint"})


def find_artifacts(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the artifacts at and below *paths*, in a stable order.

    A path that is given by name is yielded as it is unless it is a directory of several
    artifacts. Symbolic links to directories below it are not followed.
    """
    for path in paths:
        yield from _below(path) if path.is_dir() else (path,)


def _below(directory: Path) -> Iterator[Path]:
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        yield directory  # inspecting it says why it cannot be read
        return
    names = {entry.name for entry in entries}
    if any(marker <= names for marker in _MARKERS):
        yield directory
        return
    for entry in entries:
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _below(entry)
        elif not entry.name.startswith("."):
            yield entry
