"""The layers that Keras 2 recorded in a SavedModel. Layer: inspection.

What a layer is stands in JSON, inside the graph before TensorFlow 2.5 and in ``keras_metadata.pb`` since; which layers
and variables it has, the object graph tracks below ``keras_api``. All of it is described and nothing built from it:
functions answer the calls.

Source: keras/saving/saved_model/{constants,load,save_impl,serialized_attributes}.py (2.4 to 2.15, tf_keras 2.21).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.errors import MalformedArtifactError
from safeload.inspection._info import LayerInfo, ObjectInfo
from safeload.inspection._walk import recorded_places
from safeload.inspection.keras.objects import describe_objects
from safeload.inspection.saved_model.structures import read_shape
from safeload.readers.protobuf import parse_message

if TYPE_CHECKING:
    from safeload.readers import SavedModelArtifact

_KERAS_METADATA = "keras_metadata.pb"
_ROOT = "root"
"""``node_path`` of the model itself. Source: keras/protobuf/saved_metadata.proto."""
_LAYER_IDENTIFIERS = frozenset(
    f"_tf_keras_{kind}" for kind in ("input_layer", "layer", "model", "network", "rnn_layer", "sequential")
)
_MAX_METADATA_CHARS = 1 << 24
_MAX_LAYERS = 20_000
"""Layers of the tree; a layer that stands in several places counts in each."""
_MAX_DEPTH = 100
_MAX_REFERENCES = 500_000
"""References between objects that are followed: every layer lists its variables, so that many may list the same."""


class KerasRecords:
    """What Keras recorded about the objects of a SavedModel. Broken records count as none: no call needs them.

    Args:
        artifact: A SavedModel.
    """

    def __init__(self, artifact: SavedModelArtifact) -> None:
        self._nodes = artifact.saved_model.meta_graphs[0].object_graph_def.nodes
        self._beside = _texts_beside(artifact.keras_metadata)
        self.root: dict[str, Any] = self.of(0) if self._nodes else {}

    def of(self, number: int) -> dict[str, Any]:
        """Return what is recorded about the object *number* of the graph."""
        text = self._nodes[number].user_object.metadata if self._beside is None else self._beside.get(number, "")
        try:
            found = json.loads(text) if 0 < len(text) <= _MAX_METADATA_CHARS else None
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def layers(self) -> LayerInfo | None:
        """Return the model with the tree of its layers; None where none is recorded, or too many for one to read."""
        if not self.root or self._nodes[0].user_object.identifier not in _LAYER_IDENTIFIERS:
            return None
        try:
            return _Tree(self, self._nodes).read(0, _ROOT)
        except _TooManyError:
            return None

    def training(self) -> tuple[ObjectInfo, ...]:
        """Return what only ``compile`` needs."""
        return tuple(describe_objects((), recorded_places(None, self.root.get("training_config"))))


def _texts_beside(content: bytes | None) -> dict[int, str] | None:
    """Return the JSON in ``keras_metadata.pb`` by the number of the object; None where there is no such file."""
    if content is None:
        return None
    try:
        saved = parse_message("KerasSavedMetadata", content, where=_KERAS_METADATA)
    except MalformedArtifactError:
        return {}
    return {0 if node.node_path == _ROOT else node.node_id: node.metadata for node in saved.nodes}


class _TooManyError(Exception):
    """The tree has more layers, levels or references than any model."""


class _Facts(NamedTuple):
    """What is read once of a layer, wherever it stands."""

    record: dict[str, Any]
    parameter_count: int | None
    layers: tuple[int, ...]


class _Tree:
    """Reads the layers below the root of an object graph."""

    def __init__(self, records: KerasRecords, nodes: Any) -> None:
        self._records = records
        self._nodes = nodes
        self._facts: dict[int, _Facts] = {}
        self._above: list[int] = []
        self._layers = self._references = 0

    def read(self, number: int, where: str) -> LayerInfo:
        """Describe the layer *number*; a layer that holds the one it stands in is not entered again."""
        self._layers += 1
        if self._layers > _MAX_LAYERS or len(self._above) > _MAX_DEPTH:
            raise _TooManyError
        facts = self._facts.get(number) or self._facts.setdefault(number, self._read_once(number))
        self._above.append(number)
        below = [child for child in facts.layers if child not in self._above]
        layers = tuple(self.read(child, f"{where}.layers[{index}]") for index, child in enumerate(below))
        self._above.pop()
        record = facts.record
        registered = str(record.get("class_name") or self._nodes[number].user_object.identifier)
        class_name = registered.rpartition(">")[2]
        return LayerInfo(
            name=str(record.get("name") or class_name),
            class_name=class_name,
            where=where,
            registered_name=registered if registered != class_name else None,
            config=record.get("config"),
            layers=layers,
            parameter_count=facts.parameter_count,
        )

    def _read_once(self, number: int) -> _Facts:
        tracked = self._children(self._children(number).get("keras_api"))
        variables = tracked.get("variables")
        return _Facts(
            self._records.of(number),
            None if variables is None else self._count_elements(variables),
            tuple(dict.fromkeys(self._listed_layers(tracked.get("layers")))),
        )

    def _children(self, number: int | None) -> dict[str, int]:
        """Return the attributes of an object, references out of the graph left out."""
        children = () if number is None else self._nodes[number].children
        self._references += len(children)
        if self._references > _MAX_REFERENCES:
            raise _TooManyError
        return {child.local_name: child.node_id for child in children if 0 <= child.node_id < len(self._nodes)}

    def _listed_layers(self, number: int | None) -> Iterator[int]:
        """Yield the layers in a list, whose positions are names of attributes, in order."""
        listed = self._children(number)
        for position in sorted(filter(str.isdecimal, listed), key=lambda text: (len(text), text)):
            if self._nodes[listed[position]].user_object.identifier in _LAYER_IDENTIFIERS:
                yield listed[position]

    def _count_elements(self, number: int) -> int | None:
        """Count the elements of the variables in a list; None where a shape is not known."""
        total = 0
        for node in map(self._nodes.__getitem__, set(self._children(number).values())):
            if node.WhichOneof("kind") == "variable":
                shape = read_shape(node.variable.shape)
                if shape is None or None in shape:
                    return None
                total += math.prod(size or 0 for size in shape)
        return total
