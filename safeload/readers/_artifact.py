"""What a reader returns: plain data that owns what was read.

Nothing below this layer opens the artifact again except through the handle that
the artifact holds, so what is judged is what is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from safeload.formats import Format

if TYPE_CHECKING:
    import numpy as np

    from safeload.formats import TemporaryFolder
    from safeload.readers.tflite.model import TFLiteModel

MAX_DIMENSIONS = 254
"""What a tensor of TensorFlow may have. Source: MaxDimensions in tensorflow/core/framework/tensor_shape.h (2.21)."""

VARIABLES_PREFIX = "variables/variables"
"""Of the checkpoint in a SavedModel. Source: VARIABLES_DIRECTORY and _FILENAME in saved_model/constants.py (2.21)."""

Json = Any
"""A tree of dict, list, str, int, float, bool and None, as the json module makes it."""


class WeightLayout(Enum):
    """How the arrays of a weights file are named."""

    LEGACY_HDF5 = "legacy-hdf5"
    """Groups per layer, ordered by ``layer_names`` and ``weight_names`` (Keras 1 and 2, ``.h5`` of Keras 3)."""
    OBJECT_PATHS = "object-paths"
    """``layers/dense/vars/0`` (Keras 3, tf_keras) or ``_layer_checkpoint_dependencies/…`` (Keras 2.12, 2.13)."""
    CHECKPOINT = "checkpoint"
    """Keys of a TensorFlow checkpoint index."""
    NONE = "none"


class DatasetInfo(NamedTuple):
    """One array of a weights file.

    Attributes:
        path: Path inside the file, ``/`` separated, without a leading ``/``.
        shape: Its declared shape.
        dtype: TensorFlow dtype name, such as ``"float32"``.
        nbytes: Declared size in bytes.
        offset: Where its bytes lie in one piece and this machine's byte order: counted from the beginning of the file
            on disk (of the zip, for an archive; of the data file, for a checkpoint), or None (chunked, compressed, in a
            compressed member, other byte order).
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    offset: int | None = None


TOP_LEVEL_WEIGHTS = "top_level_model_weights"
"""Group of the weights that a subclassed model holds itself, beside those of its layers (Keras 2.6 and later)."""


class LayerWeights(NamedTuple):
    """One group of the legacy layout: a layer name and its arrays in the recorded order."""

    layer_name: str
    weight_names: tuple[str, ...]
    datasets: tuple[DatasetInfo, ...]


class WeightIndex(NamedTuple):
    """What arrays a file holds, in the order that the file records.

    Attributes:
        layout: How they are named.
        datasets: Every array, optimizer state included, sorted by path.
        layers: The legacy layout's groups in order; empty for the other layouts.
        root: Group under which the layers lie: ``""`` or ``"model_weights"``.
    """

    layout: WeightLayout = WeightLayout.NONE
    datasets: tuple[DatasetInfo, ...] = ()
    layers: tuple[LayerWeights, ...] = ()
    root: str = ""


class WeightsFile(Protocol):
    """The open weights of an artifact, readable by dataset path."""

    def read(self, path: str) -> np.ndarray[Any, Any]:
        """Return the array at *path*, an entry of the index; bfloat16 as ``ml_dtypes.bfloat16``."""

    def read_into(self, path: str, buffer: Any) -> None:
        """Fill *buffer* with the bytes of a dataset whose ``offset`` is known: one read, no copy."""

    def verify(self) -> None:
        """Compare what is stored as it is with its checksum, where the container has one."""

    def is_unchanged(self) -> bool:
        """Return False if somebody wrote to what is open since it was opened."""

    def close(self) -> None:
        """Close what is open; reading afterwards raises."""


class Anomaly(NamedTuple):
    """Something in the container that no writer of the format makes: a fact for the policy.

    Attributes:
        kind: Kebab-case name, such as ``"link-out-of-model"`` or ``"two-graphs"``.
        where: The member or file, relative to the artifact.
        evidence: The short literal seen.
    """

    kind: str
    where: str
    evidence: str = ""


@dataclass(frozen=True)
class KerasArtifact:
    """A Keras model, or Keras weights alone, as read.

    Attributes:
        format: KERAS_HDF5, KERAS_ARCHIVE, KERAS_DIRECTORY, WEIGHTS_HDF5 or KERAS_JSON.
        where: How messages name it: the path, or ``"<bytes>"``.
        config: The model config as the file has it, parsed; None for weights alone.
        training_config: What only ``compile`` needs, or None.
        metadata: ``keras_version``, ``backend``, ``date_saved`` as far as recorded.
        weights: The index of the weights.
        weights_file: The open weights; None when there are none.
        assets: Contents of the ``assets/`` members of a Keras archive by path below ``assets/``.
        size: Bytes of the whole artifact.
        digest: SHA-256 (hex) of config, metadata, assets and weight index: the content digest.
        anomalies: What is odd about the container and does not keep it from being read.
        unpacked: Where the archive lies from which it was read, or None; deleted with the artifact.
        graph_beside: Of a checkpoint: the graph of the SavedModel whose variables it holds, ``""`` if that is gone;
            None for a checkpoint of its own.
    """

    format: Format
    where: str
    config: Json
    training_config: Json = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    weights: WeightIndex = field(default_factory=WeightIndex)
    weights_file: WeightsFile | None = None
    assets: Mapping[str, bytes] = field(default_factory=dict)
    size: int = 0
    digest: str = ""
    anomalies: tuple[Anomaly, ...] = ()
    unpacked: TemporaryFolder | None = None
    graph_beside: str | None = None


@dataclass(frozen=True)
class SavedModelArtifact:
    """A SavedModel as read, or a graph that was made one.

    Attributes:
        format: SAVED_MODEL, FROZEN_GRAPH or TF1_CHECKPOINT.
        where: How messages name it.
        directory: The directory that holds ``saved_model.pb``, or the checkpoint.
        graph_bytes: The serialized SavedModel, made from text if the file was ``.pbtxt``. What is judged and loaded.
        saved_model: *graph_bytes* parsed by `readers.protobuf` (a message of the private pool).
        files: Size in bytes of every file of the model by POSIX path relative to *directory* (links resolved).
        checkpoint: Prefix of the files of the variables in *files*; empty if there are none.
        ends: What may be outputs: of a SavedModel without SignatureDefs, or of a graph with too many for these.
        variables: Index of the checkpoint, or an empty one.
        assets: Contents of the asset files that MetaGraphs name, by path relative to *directory*.
        keras_metadata: Bytes of ``keras_metadata.pb``, or None.
        variables_index: Bytes of the index that *variables* is read from; empty for a graph that was made one.
        size: Bytes of the whole artifact.
        digest: SHA-256 (hex) of graph, asset contents and variable index: the content digest.
        anomalies: What no writer leaves in a SavedModel directory; such files are in neither *files* nor *assets*.
        unpacked: Where the archive lies from which it was read, or None; deleted with the artifact.
    """

    format: Format
    where: str
    directory: Path
    graph_bytes: bytes
    saved_model: Any
    files: Mapping[str, int]
    checkpoint: str = VARIABLES_PREFIX
    ends: tuple[str, ...] = ()
    variables: WeightIndex = field(default_factory=WeightIndex)
    assets: Mapping[str, bytes] = field(default_factory=dict)
    keras_metadata: bytes | None = None
    variables_index: bytes = b""
    size: int = 0
    digest: str = ""
    anomalies: tuple[Anomaly, ...] = ()
    unpacked: TemporaryFolder | None = None


@dataclass(frozen=True)
class TFLiteArtifact:
    """A TensorFlow Lite model as read.

    Attributes:
        format: TFLITE.
        where: How messages name it.
        content: The whole file: what is judged and loaded.
        model: What it declares.
        size: Bytes of the file.
        digest: SHA-256 (hex) of the file: the content digest.
        anomalies: What is odd about the container; a flatbuffer has none.
        unpacked: Where the archive lies from which it was read, or None; deleted with the artifact.
    """

    format: Format
    where: str
    content: bytes = field(repr=False)
    model: TFLiteModel = field(repr=False)
    size: int = 0
    digest: str = ""
    anomalies: tuple[Anomaly, ...] = ()
    unpacked: TemporaryFolder | None = None


Artifact = KerasArtifact | SavedModelArtifact | TFLiteArtifact
