"""A Keras config → facts: the layer tree, every object at any depth, inputs and outputs. Layer: inspection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from safeload.dialects import Flavour, normalise
from safeload.inspection._info import KerasInfo, LayerInfo, ProducerInfo
from safeload.inspection._walk import Place, notable_places, recorded_places
from safeload.inspection._weights import describe_weights
from safeload.inspection.keras.objects import describe_objects, is_layer, kind_of
from safeload.inspection.keras.parameters import with_parameters
from safeload.inspection.keras.signature import describe_signature
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
    places = notable_places(normal.config)
    objects = tuple([place for place in places if place.is_object])
    raw_places = recorded_places(artifact.config, artifact.training_config, places)
    weights = describe_weights(artifact.weights)
    info = KerasInfo(
        normal=normal,
        signature=describe_signature(
            normal.config, artifact.where, records_tensors=normal.writer.flavour is Flavour.KERAS_3
        ),
        root=with_parameters(describe_layers(places[0], objects), artifact.weights, normal.renamed),
        objects=tuple(describe_objects(objects, raw_places)),
        places=places,
        raw_places=raw_places,
        object_places=objects,
        parameter_count=None if weights is None else weights.elements,
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


def describe_layers(root: Place, objects: Iterable[Place]) -> LayerInfo:
    """Return the tree of the layers among *objects*, those of a normal form: each below the one whose config has it."""
    layers = {id(root.path): root}
    parents: dict[int, int] = {}
    for place in objects:
        if place is not root and is_layer(place.value, kind_of(place)):
            below_config, parent = _layer_around(place, layers)
            if below_config:
                layers[id(place.path)] = place
                parents[id(place.path)] = parent
    below: defaultdict[int | None, list[LayerInfo]] = defaultdict(list)
    for key, place in reversed(layers.items()):
        below[parents.get(key)].append(_layer(place, tuple(reversed(below[key]))))
    return below[None][0]


def _layer_around(place: Place, layers: Mapping[int, Place]) -> tuple[bool, int]:
    """Return whether *place* stands in the config of the nearest of *layers* around it, and that layer's key."""
    path = place.path
    while id(path[0]) not in layers:  # the root is one of them
        path = path[0]  # type: ignore[assignment]
    return path[1] == "config", id(path[0])


def _layer(place: Place, layers: tuple[LayerInfo, ...]) -> LayerInfo:
    serialized = place.value
    config = serialized.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return LayerInfo(
        name=str(name or serialized.get("name") or serialized["class_name"]),
        class_name=serialized["class_name"],
        where=place.where,
        module=serialized.get("module"),
        registered_name=serialized.get("registered_name"),
        config=config,
        layers=layers,
    )
