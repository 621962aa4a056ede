"""Weights in groups per layer: HDF5 files of Keras 1 and 2, and ``.h5`` of Keras 3.

Layer: runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from safeload.dialects import Flavour, NormalForm
from safeload.readers import TOP_LEVEL_WEIGHTS, KerasArtifact, LayerWeights
from safeload.runtime._keras._package import is_container, own_variables
from safeload.runtime._weights._convert import converted
from safeload.runtime._weights._layers import LayerOrder, slot_orders
from safeload.runtime._weights._ledger import Ledger
from safeload.runtime._weights._match import Slot, pair
from safeload.runtime._weights._paths import snake_case
from safeload.runtime._weights._rms import find_rms_scaling
from safeload.runtime._weights._saved import Saved, saved_arrays
from safeload.runtime._weights._states import take_states

_UNBUILT = (
    "pass architecture=, a function that makes the model and calls it once: what it is called with is not in the file"
)


def set_legacy(model: Any, artifact: KerasArtifact, normal: NormalForm | None, ledger: Ledger) -> None:
    """Set the weights of *model* from groups per layer.

    Groups are matched with layers by name where the names agree, else by the recorded order. Names that Keras gave
    to the layers of a model that the caller built only say in which order they were made: there the recorded order
    comes first, as with ``load_weights``.

    Raises:
        LoadFailedError: ``load-failed``. Layers, arrays or shapes do not agree.
    """
    order = LayerOrder(model, normal)
    old_names = normal.renamed if normal is not None else {}
    by_name = {old_names.get(layer.name, layer.name): layer for layer in model.layers}
    take_states(by_name, artifact, order, ledger)
    used = [g for g in artifact.weights.layers if any(d.path in ledger.unread for d in g.datasets)]
    groups = [g for g in used if g.layer_name != TOP_LEVEL_WEIGHTS]
    is_era_1 = normal is not None and normal.writer.flavour is Flavour.KERAS_1
    for group, layer in _matched(groups, model, order, normal, ledger):
        stored = [name.rpartition("/")[2].partition(":")[0] for name in group.weight_names]
        find_rms_scaling(layer, stored, normal, ledger)
        _set_group(group, slot_orders(layer, order), artifact, ledger, is_era_1=is_era_1)
    _set_top(model, artifact, ledger)


def _matched(
    groups: Sequence[LayerWeights], model: Any, order: LayerOrder, normal: NormalForm | None, ledger: Ledger
) -> list[tuple[LayerWeights, Any]]:
    renamed = {old: new for new, old in normal.renamed.items()} if normal is not None else {}
    choices = [[layer for layer in listed if layer.weights] for listed in (order.layers(model), _leaves(model, order))]
    for layers in choices:
        named = {layer.name: layer for layer in layers}
        wanted = [renamed.get(group.layer_name, group.layer_name) for group in groups]
        if len(named) == len(layers) and set(wanted) == set(named):
            in_order = list(zip(groups, layers, strict=True))
            if normal is None and all(_is_made_in_order(group, layer) for group, layer in in_order):
                return in_order
            return [(group, named[name]) for group, name in zip(groups, wanted, strict=True)]
    for layers in choices:
        if len(layers) == len(groups):
            return list(zip(groups, layers, strict=True))
    found, expected = [g.layer_name for g in groups], [layer.name for layer in choices[0]]
    theirs = f"the file has weights for {len(found)} layers ({_names(found)})"
    hint = None if expected else _UNBUILT
    raise ledger.mismatch([f"{theirs}, the model for {len(expected)} ({_names(expected)})"], hint=hint)


def _is_made_in_order(group: LayerWeights, layer: Any) -> bool:
    """Tell whether *layer* has a name of Keras's, a counter behind that of its class, and arrays of these shapes."""
    stem, _, counter = layer.name.rpartition("_")
    automatic = snake_case(type(layer).__name__)
    is_automatic = layer.name == automatic or (stem == automatic and counter.isdecimal())
    ours = sorted(tuple(weight.shape) for weight in layer.weights)
    return is_automatic and ours == sorted(dataset.shape for dataset in group.datasets)


def _names(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _leaves(model: Any, order: LayerOrder) -> list[Any]:
    """Return the layers of nested models in place of the models: Keras 1 saved nested Sequentials so."""
    return [
        leaf for layer in order.layers(model) for leaf in (_leaves(layer, order) if is_container(layer) else [layer])
    ]


def _set_group(
    group: LayerWeights, orders: list[list[Slot]], artifact: KerasArtifact, ledger: Ledger, *, is_era_1: bool = False
) -> None:
    arrays = _arrays(zip(group.weight_names, group.datasets, strict=True), ledger, is_era_1=is_era_1)
    backend = artifact.metadata.get("backend")
    pairs = pair(arrays, orders, lambda found: _fits(found, backend))
    if pairs is None:
        raise ledger.mismatch([f"layer {group.layer_name!r} {_table(arrays, orders[0])}"])
    for item, slot in converted(pairs, backend=backend):
        ledger.assign(slot.variable, item.read(), source=item.source)


def _arrays(named: Any, ledger: Ledger, *, is_era_1: bool) -> list[Saved]:
    used = [(name, dataset) for name, dataset in named if dataset.path in ledger.unread]
    entries = ((name, dataset.shape, partial(ledger.read, dataset.path)) for name, dataset in used)
    return saved_arrays(entries, is_era_1=is_era_1)


def _fits(pairs: Sequence[tuple[Saved, Slot]], backend: str | None) -> bool:
    return all(item.shape == slot.shape for item, slot in converted(pairs, backend=backend))


def _table(arrays: Sequence[Saved], slots: Sequence[Slot]) -> str:
    theirs = ", ".join(f"{item.leaf} {item.shape}" for item in arrays[:6])
    ours = ", ".join(f"{slot.path[-1]} {slot.shape}" for slot in slots[:6])
    return f"has {theirs} in the file ({len(arrays)}) and {ours} in the model ({len(slots)})"


def _set_top(model: Any, artifact: KerasArtifact, ledger: Ledger) -> None:
    """Set the weights that the model holds itself, beside its layers."""
    group = next((g for g in artifact.weights.layers if g.layer_name == TOP_LEVEL_WEIGHTS and g.datasets), None)
    if group is None:
        return
    slots = [Slot((model.name, v.name), tuple(v.shape), False, v, model) for v in own_variables(model)]
    _set_group(group, [slots], artifact, ledger)
