"""The layers and variables of a built model in the orders that files record.

Layer: runtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safeload.dialects import NormalForm
from safeload.runtime._keras._package import flat_layers, is_container, is_own_class, own_variables, sublayers
from safeload.runtime._weights._ledger import name_of
from safeload.runtime._weights._match import Slot


class LayerOrder:
    """Lists the layers of models in the order of the config that they were built from.

    Keras 3 orders the layers of a Functional model anew when it builds it; files follow the config.

    Args:
        model: The built model.
        normal: Its config.
    """

    def __init__(self, model: Any, normal: NormalForm | None) -> None:
        self._positions: dict[int, dict[str, int]] = {}
        if normal is not None:
            self._note(model, normal.config)

    def _note(self, layer: Any, config: Any) -> None:
        """Tie the models in *layer* to those in *config*, of which they were built, by their places and names."""
        free = [inner for inner in flat_layers(layer) if is_container(inner)]
        for found in _models(config) if free else ():
            name = _name_in(found)
            model = next((inner for inner in free if inner is layer or inner.name == name), None)
            if model is not None:
                free.remove(model)
                entries = {_name_in(entry): entry for entry in _entries(found)}
                self._positions[id(model)] = {name: index for index, name in enumerate(entries)}
                for child in model.layers:
                    self._note(child, entries.get(child.name))

    def layers(self, model: Any) -> list[Any]:
        """Return ``model.layers``, ordered as the config lists them."""
        found = list(model.layers)
        names = {layer.name for layer in found}
        positions = self._positions.get(id(model), {})
        if len(names) != len(found) or not names <= positions.keys():
            return found
        return sorted(found, key=lambda layer: positions[layer.name])


def _models(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the entries of *config* that list layers, but not those inside of others."""
    if isinstance(config, dict) and _entries(config):
        yield config
    elif isinstance(config, dict | list | tuple):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _models(value)


def _entries(entry: dict[str, Any]) -> list[dict[str, Any]]:
    config = entry.get("config", entry)
    layers = config.get("layers") if isinstance(config, dict) else None
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _name_in(layer: dict[str, Any]) -> str:
    config = layer.get("config", layer)
    inner = config.get("name") if isinstance(config, dict) else None
    return str(layer.get("name") or inner or "")


def slot_orders(layer: Any, order: LayerOrder) -> list[list[Slot]]:
    """Return the weights of *layer* in each order that a release may have saved them in."""
    owners = {id(v): inner for inner in flat_layers(layer) for v in own_variables(inner)}
    weights = _tree_order(layer, order)
    known = {id(v) for v in layer.weights}
    weights = [v for v in weights if id(v) in known]
    weights += [v for v in layer.weights if id(v) not in {id(w) for w in weights}]
    orders = [_legacy(layer, weights), _trainable_first(weights), weights]
    unique = {tuple(map(id, variables)): variables for variables in orders}
    return [[_slot(v, owners.get(id(v), layer)) for v in variables] for variables in unique.values()]


def _tree_order(layer: Any, order: LayerOrder) -> list[Any]:
    children = order.layers(layer) if is_container(layer) else sublayers(layer)
    variables = {id(v): v for v in own_variables(layer)}
    for child in children:
        variables.update({id(v): v for v in _tree_order(child, order)})
    return list(variables.values())


def _legacy(layer: Any, weights: list[Any]) -> list[Any]:
    """Order as ``_legacy_weights`` of Keras does: by what is trainable as configured."""
    trainable = set(_trainable(layer))
    return [v for v in weights if id(v) in trainable] + [v for v in weights if id(v) not in trainable]


def _trainable(layer: Any) -> Iterator[int]:
    """Yield what is trainable in *layer* for Keras 2: a frozen layer freezes all inside, in Keras 3 not always."""
    if layer.trainable:
        yield from (id(v) for v in own_variables(layer) if v.trainable)
        for child in sublayers(layer):
            yield from _trainable(child)


def _trainable_first(weights: list[Any]) -> list[Any]:
    statistics = {id(v) for v in weights if name_of(v).rpartition("/")[2].startswith("moving_")}
    return [v for v in weights if id(v) not in statistics] + [v for v in weights if id(v) in statistics]


def _slot(variable: Any, layer: Any) -> Slot:
    path = tuple(name_of(variable).split("/"))
    named = path if len(path) > 1 else (layer.name, *path)
    return Slot(named, tuple(variable.shape), is_own_class(layer), variable, layer)
