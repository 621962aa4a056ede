"""Facts about an artifact: what the file says, judged by nobody. Layer: above dialects, below policy."""

from __future__ import annotations

from safeload.dialects import dicts_in
from safeload.inspection._info import (
    CallStructure,
    Composite,
    KerasInfo,
    LayerInfo,
    MetaGraphInfo,
    ModelInfo,
    ObjectInfo,
    ProducerInfo,
    SavedModelInfo,
    SignatureInfo,
    Slot,
    TensorInfo,
    TFLiteInfo,
    TypedConstant,
    WeightsInfo,
    has_slot,
)
from safeload.inspection._walk import Place, is_marker, is_object, notable_places, own_values
from safeload.inspection._weights import describe_weights, own_arrays
from safeload.inspection.keras.model import describe_producer, inspect_keras
from safeload.inspection.keras.objects import is_mere_name, is_replaceable_part
from safeload.inspection.keras.signature import distinct_names, with_free_batch
from safeload.readers import Artifact, KerasArtifact, TFLiteArtifact

__all__ = [
    "CallStructure",
    "Composite",
    "KerasInfo",
    "LayerInfo",
    "MetaGraphInfo",
    "ModelInfo",
    "ObjectInfo",
    "Place",
    "ProducerInfo",
    "SavedModelInfo",
    "SignatureInfo",
    "Slot",
    "TFLiteInfo",
    "TensorInfo",
    "TypedConstant",
    "WeightsInfo",
    "dicts_in",
    "distinct_names",
    "has_slot",
    "inspect_artifact",
    "is_marker",
    "is_mere_name",
    "is_object",
    "is_replaceable_part",
    "notable_places",
    "own_arrays",
    "own_values",
    "with_free_batch",
]


def inspect_artifact(artifact: Artifact) -> ModelInfo:
    """Describe *artifact*: who wrote it, what it holds, what it takes and gives.

    Args:
        artifact: What `readers.read_artifact` returned.

    Returns:
        The facts. Weights alone have neither Keras nor SavedModel facts.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The config or the graph contradicts its format.
        IncompatibleVersionError: ``incompatible-version``. It holds what the tables do not know.
    """
    # Imported when used: most commands look at one file, and a process that looks at Keras files needs no graphs.
    if isinstance(artifact, TFLiteArtifact):
        from safeload.inspection.tflite import inspect_tflite

        return inspect_tflite(artifact)
    if not isinstance(artifact, KerasArtifact):
        from safeload.inspection.saved_model.model import inspect_saved_model

        return inspect_saved_model(artifact)
    keras, producer = (None, describe_producer(artifact)) if artifact.config is None else inspect_keras(artifact)
    return ModelInfo(
        artifact.format,
        artifact.where,
        artifact.digest,
        artifact.size,
        producer,
        keras,
        weights=describe_weights(artifact.weights),
    )
