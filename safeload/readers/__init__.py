"""Bytes to an `Artifact` that owns what it read. Layer: above formats; h5py in ``hdf5`` alone.

Readers state facts and refuse only what cannot be read in one way: a container that no writer of the format makes
(two members or keys of one name, links out of the model, data kept in other files, two formats at once) is
`MalformedArtifactError`, and what is too much is `LimitExceededError`. What the content would *do* is for the policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.errors import UnsupportedFormatError
from safeload.formats import Format
from safeload.readers._artifact import (
    MAX_DIMENSIONS,
    TOP_LEVEL_WEIGHTS,
    VARIABLES_PREFIX,
    Anomaly,
    Artifact,
    DatasetInfo,
    KerasArtifact,
    LayerWeights,
    SavedModelArtifact,
    TFLiteArtifact,
    WeightIndex,
    WeightLayout,
    WeightsFile,
)
from safeload.readers.keras.json import with_architecture

if TYPE_CHECKING:
    from collections.abc import Callable

    from safeload._limits import Limits
    from safeload.formats import Detection

__all__ = [
    "MAX_DIMENSIONS",
    "TOP_LEVEL_WEIGHTS",
    "VARIABLES_PREFIX",
    "Anomaly",
    "Artifact",
    "DatasetInfo",
    "KerasArtifact",
    "LayerWeights",
    "SavedModelArtifact",
    "TFLiteArtifact",
    "WeightIndex",
    "WeightLayout",
    "WeightsFile",
    "read_artifact",
    "with_architecture",
    "with_signature",
]


def read_artifact(detection: Detection, limits: Limits) -> Artifact:
    """Read what was detected, as far as judging it needs: configs and graphs, indexes of weights, assets.

    Args:
        detection: From `formats.detect`.
        limits: Bounds that hold while reading.

    Returns:
        The artifact. It keeps the weights open; ``weights_file.close()`` lets go of them.

    Raises:
        UnsupportedFormatError: ``unsupported-format``. A known kind of file of which no callable is made.
        MalformedArtifactError: ``malformed-artifact``. The format is recognised and the file is broken.
        LimitExceededError: ``limit-exceeded``. One of *limits*.
    """
    if detection.kind is not None:
        detection.source.close()
        raise UnsupportedFormatError(detection.where, kind=detection.kind, remedy=detection.remedy or "")
    try:
        return _READERS[detection.format](detection, limits)
    except BaseException:
        detection.source.close()
        raise


def with_signature(artifact: Artifact, key: str) -> Artifact:
    """Return *artifact*, a graph with a signature of the node *key* where it has one; see `saved_model.graph`."""
    if not isinstance(artifact, SavedModelArtifact):
        return artifact
    from safeload.readers.saved_model import graph

    return graph.with_signature(artifact, key)


# Imported when used: h5py and protobuf take longer than reading a model.
def _hdf5(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.keras.hdf5 import read_keras_hdf5

    return read_keras_hdf5(detection, limits)


def _keras_archive(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.keras.archive import read_keras_archive

    return read_keras_archive(detection, limits)


def _keras_json(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.keras.json import read_keras_json

    return read_keras_json(detection, limits)


def _saved_model(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.keras.saved_model import untraced_model
    from safeload.readers.saved_model.directory import read_saved_model

    artifact = read_saved_model(detection, limits=limits)
    return untraced_model(artifact, limits) or artifact


def _checkpoint(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.keras.checkpoint import read_weights_checkpoint

    return read_weights_checkpoint(detection, limits)


def _graph(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.saved_model.graph import read_graph

    return read_graph(detection, limits)


def _tflite(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.tflite.file import read_tflite

    return read_tflite(detection, limits)


def _archive(detection: Detection, limits: Limits) -> Artifact:
    from safeload.readers.archive import read_archive

    return read_archive(detection, limits)


_READERS: dict[Format, Callable[[Detection, Limits], Artifact]] = {
    Format.KERAS_HDF5: _hdf5,
    Format.KERAS_ARCHIVE: _keras_archive,
    Format.KERAS_DIRECTORY: _keras_archive,
    Format.KERAS_JSON: _keras_json,
    Format.SAVED_MODEL: _saved_model,
    Format.CHECKPOINT: _checkpoint,
    Format.FROZEN_GRAPH: _graph,
    Format.TF1_CHECKPOINT: _graph,
    Format.TFLITE: _tflite,
    Format.ARCHIVE: _archive,
}
