"""TensorFlow checkpoints as weights of a Keras model. Layer: readers.

The index is read at once, the data files are opened with it and read tensor by tensor.
Source: tensorflow/core/util/tensor_bundle/tensor_bundle.h (TensorFlow 2.21).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safeload.errors import MalformedArtifactError, UnsupportedFormatError, require_within
from safeload.formats import SAVED_MODEL_NAMES, Format, open_member
from safeload.readers._artifact import KerasArtifact
from safeload.readers._digest import keras_digest
from safeload.readers.checkpoint.index import OBJECT_GRAPH_KEY, read_checkpoint_index, require_shards
from safeload.readers.checkpoint.texts import split_texts
from safeload.readers.checkpoint.trained import TRAINED, places_in_models
from safeload.readers.protobuf import parse_message

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from typing_extensions import Buffer

    from safeload._limits import Limits
    from safeload.formats import ByteFile, Detection
    from safeload.readers._artifact import WeightIndex
    from safeload.readers.checkpoint.index import CheckpointEntry, CheckpointIndex


class CheckpointFile:
    """The open data files of a checkpoint, readable by tensor name."""

    def __init__(self, index: CheckpointIndex, shards: list[ByteFile], *, where: str) -> None:
        self.where = where
        self._entries = {entry.key: entry for entry in index.entries}
        self._shards = shards

    @property
    def size(self) -> int:
        """Bytes of the data files."""
        return sum(shard.size for shard in self._shards)

    def read(self, path: str) -> np.ndarray[Any, Any]:
        """Return the tensor *path*.

        Raises:
            UnsupportedFormatError: ``unsupported-format``. It is text, or stored in slices.
            MalformedArtifactError: ``malformed-artifact``. The data file ends inside it.
        """
        import numpy as np

        entry = self._entries[path]
        dtype = self._numpy_dtype(entry)
        array = np.empty(entry.shape, dtype)
        self.read_into(path, array.reshape(-1).view(np.uint8).data)
        return array

    def read_into(self, path: str, buffer: Buffer) -> None:
        """Fill *buffer* with the bytes of the tensor *path*, little-endian as they are stored."""
        if not self._shards:
            raise ValueError("the weights of this model are closed")
        entry = self._entries[path]
        target = memoryview(buffer).cast("B")[: entry.size] if entry.size else memoryview(bytearray())
        if self._shards[entry.shard].read_into(entry.offset, target) < entry.size:
            raise MalformedArtifactError(
                f"{self.where}/{path}", problem="the data file ends inside it: it is truncated"
            )

    def _numpy_dtype(self, entry: CheckpointEntry) -> Any:
        import ml_dtypes
        import numpy as np

        if entry.is_partitioned or entry.dtype in (None, "string", "variant", "resource"):
            raise UnsupportedFormatError(
                f"{self.where}/{entry.key}",
                kind="a tensor stored in slices" if entry.is_partitioned else f"a tensor of the type {entry.dtype}",
                remedy="restore it in TensorFlow and save the model with model.save('model.keras')",
            )
        return getattr(ml_dtypes, entry.dtype, None) or np.dtype(entry.dtype)

    def verify(self) -> None:
        """Do nothing: the checksums of a checkpoint are CRC-32C, which the standard library has not."""

    def is_unchanged(self) -> bool:
        """Return False if somebody wrote to a data file since it was opened."""
        return all(shard.is_unchanged() for shard in self._shards)

    def close(self) -> None:
        """Close the data files; reading afterwards raises ValueError."""
        for shard in self._shards:
            shard.close()
        self._shards = []


def read_weights_checkpoint(detection: Detection, limits: Limits) -> KerasArtifact:
    """Read a checkpoint as weights alone.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The index is broken, a data file is missing or short, or a
            link out of the directory.
        LimitExceededError: ``limit-exceeded``. One of the limits.

    Guarantees:
        No tensor is read but the graph of objects, where an optimizer has the variables of a model. The data files
        stay open, so they are the ones that were judged.
    """
    prefix = detection.path
    assert prefix is not None  # noqa: S101 - checkpoints are found by their path
    index, shards = _open(prefix, where=detection.where, limits=limits)
    index = _by_models(index, shards, where=detection.where, limits=limits)
    weights, weights_file = index.weights(), CheckpointFile(index, shards, where=detection.where)
    artifact = KerasArtifact(
        format=Format.CHECKPOINT,
        where=detection.where,
        config=None,
        weights=weights,
        weights_file=weights_file,
        size=weights_file.size,
        graph_beside=_graph_beside(prefix),
    )
    return replace(artifact, digest=keras_digest(artifact))


def _graph_beside(prefix: Path) -> str | None:
    """Return the graph of the SavedModel whose variables *prefix* names; see `KerasArtifact`.

    Source:
        tensorflow/python/saved_model/constants.py (2.21): ``VARIABLES_DIRECTORY``, ``VARIABLES_FILENAME``.
    """
    if prefix.parts[-2:] != ("variables", "variables"):
        return None
    return next((name for name in SAVED_MODEL_NAMES if (prefix.parents[1] / name).is_file()), "")


def open_checkpoint(prefix: Path, *, where: str, limits: Limits) -> tuple[WeightIndex, CheckpointFile]:
    """Read the index of the checkpoint *prefix* and open its data files; see `read_weights_checkpoint`."""
    index, shards = _open(prefix, where=where, limits=limits)
    return index.weights(), CheckpointFile(index, shards, where=where)


def _open(prefix: Path, *, where: str, limits: Limits) -> tuple[CheckpointIndex, list[ByteFile]]:
    file = open_member(prefix.parent, f"{prefix.name}.index", where=where)
    content = file.read_whole(where, limit="max_config_bytes", allowed=limits.max_config_bytes)
    index = read_checkpoint_index(content, where=where, limits=limits)
    names = list(index.required_sizes(prefix.name))
    require_within(where, limit="max_entries", allowed=limits.max_entries, found=len(names))
    shards = [open_member(prefix.parent, name, where=where) for name in names]
    sizes = {name: shard.size for name, shard in zip(names, shards, strict=True)}
    require_shards(index, prefix=prefix.name, sizes=sizes, where=where, limits=limits)
    return index, shards


def _by_models(index: CheckpointIndex, shards: list[ByteFile], *, where: str, limits: Limits) -> CheckpointIndex:
    """Return the *index* with keys that lead to the models, where they lead to an optimizer that trains them."""
    entries = {entry.key: entry for entry in index.entries}
    graph = entries.get(OBJECT_GRAPH_KEY)
    if graph is None or graph.is_partitioned or not any(f"/{TRAINED}/" in key for key in entries):
        return index
    require_within(where, limit="max_config_bytes", allowed=limits.max_config_bytes, found=graph.size)
    try:
        (content,) = split_texts(shards[graph.shard].read_at(graph.offset, graph.size), 1)
    except ValueError as error:
        raise MalformedArtifactError(where, problem=f"the graph of its objects is no text: {error}") from error
    objects = parse_message("TrackableObjectGraph", content, where=where)
    require_within(where, limit="max_entries", allowed=limits.max_entries, found=len(objects.nodes))
    places = places_in_models(objects, where=where)
    renamed = {key: entry._replace(key=places.get(key, key)) for key, entry in entries.items()}
    if len({entry.key for entry in renamed.values()}) < len(renamed):
        raise MalformedArtifactError(where, problem="the graph of its objects has two variables in one place")
    return replace(index, entries=tuple(renamed.values()))
