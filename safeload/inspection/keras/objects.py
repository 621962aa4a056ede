"""Every serialized object of a Keras config: what it names and what its place asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from safeload.dialects import (
    ACTIVATIONS,
    COMPAT_MODULE,
    functions_of,
    has_activation,
    is_builtin,
    named_activations,
)
from safeload.inspection._info import ObjectInfo
from safeload.inspection._walk import Place

_NAMED = {"optimizer": "optimizer", "loss": "loss", "metrics": "metric", "weighted_metrics": "metric"}
"""What ``compile`` takes by name."""

# What the configs of keras/src/layers (Keras 3.15.1, tf_keras 2.21) call their parts.
_KINDS = {
    "layer": "layer",
    "layers": "layer",
    "cell": "layer",
    "cells": "layer",
    "activation": "activation",
    "recurrent_activation": "activation",
    "dtype": "dtype policy",
    **_NAMED,
    "optimizer_config": "optimizer",
    "": "model",
}
_KIND_SUFFIXES = frozenset({"layer", "initializer", "regularizer", "constraint", "quantizer"})
"""What follows the last ``_`` of a key, where that is the kind."""
_TRAINING_SUFFIXES = ("_initializer", "_regularizer", "_constraint")
_LAYER_MODULES = frozenset({"keras.layers", "keras.models"})
_MODEL_CLASSES = frozenset({"Sequential", "Functional", "Model"})
_TRAINING_MODULES = ("keras.optimizers", "keras.losses", "keras.metrics")
# What Keras calls its own beside the functions of `dialects`: keras/src/losses, keras/src/metrics and
# keras/src/optimizers ``__init__.py`` (3.15.1), keras/losses.py and keras/metrics.py (2.15).
_ALIASES = frozenset(
    [
        "acc", "accuracy", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "bce", "ce", "cosine",
        "cosine_proximity", "crossentropy", "ftrl", "kld", "kullback_leibler_divergence", "lamb", "lion", "logcosh",
        "mae", "mape", "mse", "msle", "muon", "nadam", "rmsprop", "sgd",
    ]
)  # fmt: skip


def kind_of(place: Place) -> str:
    """Say what *place* asks for: ``"layer"``, ``"initializer"``, ``"function"``, … or ``"object"``."""
    if isinstance(place.value, dict) and place.value.get("class_name") == "function":
        return "function"
    if place.key in _KINDS:
        return _KINDS[place.key]
    return suffix if "_" in place.key and (suffix := place.key.rpartition("_")[2]) in _KIND_SUFFIXES else "object"


def is_layer(serialized: Any, kind: str) -> bool:
    """Tell whether the object *serialized* is a layer or a model, by its place or by the module it names."""
    return kind in {"layer", "model"} or (
        kind != "function"
        and (_text(serialized.get("module")) in _LAYER_MODULES or serialized["class_name"] in _MODEL_CLASSES)
    )


def is_replaceable_part(key: str, owner: Any, part: Any) -> bool:
    """Tell whether *part*, at *key*, matters in training alone, and is one of a layer of Keras or a mere name."""
    if not (key.endswith(_TRAINING_SUFFIXES) and isinstance(owner, dict)):
        return False
    return is_mere_name(part) or is_builtin(_text(owner.get("module")), owner["class_name"])


def is_mere_name(part: Any) -> bool:
    """Tell whether *part* is a function that Keras 2 wrote as a text, which a custom class may mean otherwise."""
    return isinstance(part, dict) and part.get("class_name") == "function" and part.get("registered_name") is None


def describe_objects(objects: Iterable[Place], raw_places: Iterable[Place]) -> Iterator[ObjectInfo]:
    """Describe the objects of the normal form that may have to be looked for, then those that only training needs.

    Args:
        objects: Places of the normal form where an object stands.
        raw_places: Places of the config as the file has it, and of the training config beside it.
    """
    raw = [place for place in raw_places if place.is_object]
    # Names that the file records alone: there a custom class looks like a built-in one.
    unlocated = frozenset(p.value["class_name"] for p in raw if not (p.value.get("module") or _registered(p.value)))
    objects = tuple(objects)
    for place in objects:
        value = place.value
        if value["class_name"] in unlocated or _is_named(value) or not _is_known(value):
            yield _describe(place, unlocated)
    yield from _activations(objects)
    for place in raw:
        if place.is_training_only:
            yield _describe(place, unlocated)
    for place in raw_places:
        if place.is_training_only and isinstance(place.value, dict) and place.owner is None:
            yield from _named_objects(place)


def _is_named(value: Any) -> bool:
    """Tell whether *value* stands for an activation that the file has by its name."""
    return bool(value["class_name"] == "function" and value.get("module") == COMPAT_MODULE)


def _activations(objects: Iterable[Place]) -> Iterator[ObjectInfo]:
    """Describe the activations that *objects* have by their names: a function of the user's may be called so."""
    seen: set[str] = set()
    for place in objects:
        for path, name in named_activations(place.value.get("config")):
            if name not in seen:
                seen.add(name)
                is_known = has_activation(name)
                yield ObjectInfo(
                    where=f"{place.where}.config{path}",
                    name=name,
                    kind="function",
                    module=ACTIVATIONS if is_known else None,
                    registered_name=None,
                    is_builtin=is_known,
                    is_replaceable=not is_known,
                    is_module_recorded=False,
                )


def _named_objects(place: Place) -> Iterator[ObjectInfo]:
    """Describe the losses, metrics and optimizers that *place*, the arguments of ``compile``, names by a string."""
    for key, kind in _NAMED.items():
        for where, name in _texts(place.value.get(key), f"{place.where}.{key}"):
            is_known = name in functions_of(kind) or name.lower() in _ALIASES or _is_training_class(None, name)
            yield ObjectInfo(where, name, kind, None, None, is_builtin=is_known, is_training_only=True)


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield where a text stands in *value*, lists and dicts by output, and the text; serialized objects are none."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{where}[{index}]")
    elif isinstance(value, dict) and "class_name" not in value:
        for key, item in value.items():
            yield from _texts(item, f"{where}.{key}")


def _describe(place: Place, unlocated: frozenset[str]) -> ObjectInfo:
    value = place.value
    module, name, registered = _text(value.get("module")), _name(value), _registered(value)
    is_known = _is_known(value)
    is_replaceable = not is_known and is_replaceable_part(place.key, place.owner, value)
    return ObjectInfo(
        where=place.where,
        name=name,
        kind=kind_of(place),
        module=module,
        registered_name=None if registered in {"function", name} else registered,
        config=None if value["class_name"] == "function" else value.get("config"),
        is_builtin=is_known or (place.is_training_only and _is_training_class(module, name)),
        is_training_only=place.is_training_only or is_replaceable,
        is_replaceable=is_replaceable,
        is_module_recorded=value["class_name"] not in unlocated and not _is_named(value),
    )


def _registered(value: Any) -> str | None:
    return _text(value.get("registered_name"))


def _name(value: Any) -> str:
    return str(value.get("config")) if value["class_name"] == "function" else str(value["class_name"])


def _is_known(value: Any) -> bool:
    return is_builtin(_text(value.get("module")), _name(value))


def _is_training_class(module: str | None, name: str) -> bool:
    """Tell whether Keras has the optimizer, loss or metric; old files record no module, or ``Custom>`` as package."""
    is_of_keras = (module or "keras").partition(".")[0] == "keras"
    return is_of_keras and any(is_builtin(home, name.removeprefix("Custom>")) for home in _TRAINING_MODULES)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
