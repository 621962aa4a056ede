"""A directory that holds exactly what was judged, for loaders that want a path. Layer: runtime."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from safeload.errors import ArtifactChangedError, ArtifactNotFoundError
from safeload.formats import TemporaryFolder, open_source, writing
from safeload.readers import VARIABLES_PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from safeload.readers import SavedModelArtifact


class PrivateDirectory:
    """A SavedModel directory made of the judged graph, index and assets, and links to the variables' values.

    Guarantees:
        Graph, assets and the index of the variables come from memory. Nothing else of the original directory is
        reachable through it, save the values in the data files, which are links: whoever can write to the original
        can still change values, not which there are or how large they are.

    Args:
        artifact: What was judged.
        graph_bytes: The serialized SavedModel to load: the judged one, or a part of it.

    Raises:
        ArtifactChangedError: ``artifact-changed``. A data file is not what it was.
        LoadFailedError: ``load-failed``. Temporary files cannot be written.
    """

    def __init__(self, artifact: SavedModelArtifact, graph_bytes: bytes) -> None:
        self._artifact = artifact
        self._folder = TemporaryFolder(artifact.where)
        self.path = str(self._folder.path)
        try:
            with writing(artifact.where):
                _fill(self._folder.path, artifact, graph_bytes)
        except BaseException:
            self.remove()
            raise

    def checkpoint(self) -> str:
        """Return the prefix of the variables, to read some now: those of another signature are read long after.

        Raises:
            ArtifactChangedError: ``artifact-changed``. A data file is not what it was.
        """
        for name in _data_files(self._artifact):
            _unchanged(self._artifact, name)
        return f"{self.path}/{VARIABLES_PREFIX}"

    def remove(self) -> None:
        """Delete the directory; the linked files stay."""
        self._folder.remove()


def _fill(root: Path, artifact: SavedModelArtifact, graph_bytes: bytes) -> None:
    (root / "saved_model.pb").write_bytes(graph_bytes)
    for name, content in artifact.assets.items():
        _place(root, name).write_bytes(content)
    if artifact.variables_index:
        _place(root, f"{VARIABLES_PREFIX}.index").write_bytes(artifact.variables_index)
    for name in _data_files(artifact):
        place = _place(root, VARIABLES_PREFIX + name.removeprefix(artifact.checkpoint))
        place.symlink_to(_unchanged(artifact, name))


def _data_files(artifact: SavedModelArtifact) -> list[str]:
    """Return the files of the variables that are not in memory."""
    index = f"{artifact.checkpoint}.index" if artifact.variables_index else ""
    return [name for name in artifact.files if name.startswith(artifact.checkpoint) and name != index]


def _unchanged(artifact: SavedModelArtifact, name: str) -> str:
    """Return the real path of a data file that is what it was when it was judged: TensorFlow would wait for a pipe.

    Raises:
        ArtifactChangedError: ``artifact-changed``. It is gone, no file any more, or of another size.
    """
    path = os.path.realpath(artifact.directory / name)
    changed = ArtifactChangedError(artifact.where, expected=artifact.digest)
    try:
        opened = open_source(path)
    except ArtifactNotFoundError as error:
        raise changed from error
    size = None if opened.file is None else opened.file.size
    opened.close()
    if size != artifact.files[name]:
        raise changed
    return path


def _place(root: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"{name!r} leaves the model")
    target = root / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
