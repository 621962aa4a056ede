"""SavedModels without functions: a Keras config beside a checkpoint. Layer: readers.

Keras 2 writes them for ``save(path, save_traces=False)``: the graph can be called through nothing, and
the model is the configuration that Keras recorded about the root object.

Source: keras/saving/legacy/saved_model/{load,save,json_utils}.py (2.4 to 2.15, tf_keras 2.21).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safeload.errors import MalformedArtifactError
from safeload.readers._artifact import KerasArtifact, WeightIndex
from safeload.readers._digest import keras_digest
from safeload.readers._json import parse_json
from safeload.readers.keras.checkpoint import open_checkpoint
from safeload.readers.keras.json import metadata_of
from safeload.readers.protobuf import parse_message
from safeload.readers.saved_model.inputs import is_callable_key

if TYPE_CHECKING:
    from safeload._limits import Limits
    from safeload.readers._artifact import SavedModelArtifact, WeightsFile

_ROOT = "root"
"""``node_path`` of the model itself. Source: keras/protobuf/saved_metadata.proto."""

_FUNCTIONS = frozenset({"function", "bare_concrete_function"})

_SEQUENCES = frozenset({"__tuple__", "TensorShape"})
"""What ``json_utils.Encoder`` calls the sequences that every other container of Keras 2 writes as lists."""


def untraced_model(artifact: SavedModelArtifact, limits: Limits) -> KerasArtifact | None:
    """Return the Keras model of a SavedModel that holds nothing to call.

    Args:
        artifact: A SavedModel.
        limits: Bounds on the configuration.

    Returns:
        The recorded configuration with the variables as its weights; None if there are functions or signatures, or
        if no configuration is recorded.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The metadata of Keras is broken.
        LimitExceededError: ``limit-exceeded``. It exceeds *limits*.

    Guarantees:
        Nothing of the graph is used: what is judged and built is the configuration.
    """
    if _has_callables(artifact.saved_model):
        return None
    metadata = _root_metadata(artifact, limits)
    if not isinstance(metadata.get("class_name"), str) or not isinstance(metadata.get("config"), dict):
        return None
    weights, weights_file = _weights(artifact, limits)
    config = _with_lists({key: metadata[key] for key in ("class_name", "config")})
    found = KerasArtifact(
        format=artifact.format,
        where=artifact.where,
        config=config,
        training_config=_with_lists(metadata.get("training_config")),
        metadata=metadata_of(metadata),
        weights=weights,
        weights_file=weights_file,
        size=artifact.size,
        anomalies=artifact.anomalies,
    )
    return replace(found, digest=keras_digest(found, json.dumps(config)))


def _weights(artifact: SavedModelArtifact, limits: Limits) -> tuple[WeightIndex, WeightsFile | None]:
    if f"{artifact.checkpoint}.index" not in artifact.files:
        return WeightIndex(), None
    return open_checkpoint(artifact.directory / artifact.checkpoint, where=artifact.where, limits=limits)


def _has_callables(saved_model: Any) -> bool:
    """Tell whether anything of any MetaGraph can be called."""
    return any(
        any(map(is_callable_key, meta_graph.signature_def))
        or not _is_object_without_functions(meta_graph.object_graph_def.nodes)
        for meta_graph in saved_model.meta_graphs
    )


def _is_object_without_functions(nodes: Any) -> bool:
    """Tell whether the first of *nodes*, the model itself, has no function as an attribute."""
    members = [nodes[child.node_id] for child in nodes[0].children if 0 <= child.node_id < len(nodes)] if nodes else ()
    return bool(nodes) and not any(member.WhichOneof("kind") in _FUNCTIONS for member in members)


def _root_metadata(artifact: SavedModelArtifact, limits: Limits) -> dict[str, Any]:
    """Return what Keras recorded about the root object: in its own file since TensorFlow 2.5, in the graph before."""
    root = artifact.saved_model.meta_graphs[0].object_graph_def.nodes[0]
    text, where = root.user_object.metadata, f"{artifact.where}/saved_model.pb"
    if artifact.keras_metadata is not None:
        where = f"{artifact.where}/keras_metadata.pb"
        saved = parse_message("KerasSavedMetadata", artifact.keras_metadata, where=where)
        text = next((node.metadata for node in saved.nodes if node.node_path == _ROOT), "")
    elif not root.user_object.identifier.startswith("_tf_keras_"):
        return {}
    found = parse_json(text, where=where, limits=limits) if text else {}
    if not isinstance(found, dict):
        raise MalformedArtifactError(where, problem="what Keras recorded about the model is not an object")
    return found


def _with_lists(value: Any) -> Any:
    """Return *value* with lists in place of encoded tuples and shapes, as Keras 2 writes them into HDF5."""
    if isinstance(value, list):
        return [_with_lists(item) for item in value]
    if not isinstance(value, dict):
        return value
    name, items = value.get("class_name"), value.get("items")
    if isinstance(name, str) and name in _SEQUENCES and isinstance(items, list):
        return _with_lists(items)
    return {key: _with_lists(item) for key, item in value.items()}
