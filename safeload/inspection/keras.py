"""A Keras config → facts: the layer tree, every object at any depth, inputs and outputs. Layer: inspection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safeload.dialects import Flavour, normalise
from safeload.inspection._info import KerasInfo, LayerInfo, ProducerInfo
from safeload.inspection._keras_objects import describe_objects, is_layer, kind_of
from safeload.inspection._keras_signature import describe_signature
from safeload.inspection._walk import Place, is_object, walk_dicts
from safeload.inspection._weights import count_parameters
from safeload.readers import KerasArtifact


def inspect_keras(artifact: KerasArtifact) -> tuple[KerasInfo, ProducerInfo]:
    """Describe a Keras model.

    Args:
        artifact: A Keras artifact with a config.

    Returns:
        The facts about the model, and who wrote it.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The config is not that of a model.
        IncompatibleVersionError: ``incompatible-version``. The config holds what the tables do not know.
    """
    normal = normalise(artifact.config, artifact.metadata, artifact.format)
    places = tuple(walk_dicts(normal.config))
    info = KerasInfo(
        normal=normal,
        signature=describe_signature(
            normal.config, artifact.where, records_tensors=normal.writer.flavour is Flavour.KERAS_3
        ),
        root=describe_layer(normal.config, "$"),
        objects=tuple(describe_objects(places, raw=artifact.config, training=artifact.training_config)),
        parameter_count=count_parameters(artifact.weights),
        raw=artifact.config,
        training=artifact.training_config,
        places=places,
    )
    return info, describe_producer(artifact, flavour=normal.writer.flavour.value)


def describe_producer(artifact: KerasArtifact, *, flavour: str | None = None) -> ProducerInfo:
    """Say who wrote *artifact*, as far as its metadata tells."""
    recorded = artifact.metadata
    return ProducerInfo(
        keras_version=recorded.get("keras_version"),
        keras_flavour=flavour,
        backend=recorded.get("backend"),
        date_saved=recorded.get("date_saved"),
    )


def describe_layer(serialized: Any, where: str) -> LayerInfo:
    """Describe the layer *serialized* at *where* with the layers inside it."""
    config = serialized.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return LayerInfo(
        name=str(name or serialized.get("name") or serialized["class_name"]),
        class_name=serialized["class_name"],
        where=where,
        module=serialized.get("module"),
        registered_name=serialized.get("registered_name"),
        config=config,
        layers=tuple(_layers_below(config, f"{where}.config")),
    )


def _layers_below(config: Any, where: str) -> Iterator[LayerInfo]:
    for place in walk_dicts(config, where, enter=lambda place: not _is_layer_at(place)):
        if _is_layer_at(place):
            yield describe_layer(place.value, place.where)


def _is_layer_at(place: Place) -> bool:
    return is_object(place.value) and is_layer(place.value, kind_of(place))
