"""Functional graphs as some releases of Keras 3 want them. Layer: dialects."""

from __future__ import annotations

from itertools import count
from typing import Any

from safeload.dialects._functional._nodes import Call, TensorRef, entry_of, read_calls, refs_of, write_call
from safeload.errors import IncompatibleVersionError

# Functional.from_config takes one tensor that is not in a list, and lists in lists or dicts:
# keras/src/models/functional.py of 3.3.3 and 3.4.1.
_NESTED_TENSORS = (3, 4)
# Calls on what a later layer makes wait for it in nodes of Keras 3, too: deserialize_node of 3.6.0 and 3.7.0, ibidem.
_LATE_CALLS = (3, 7)
# Releases that refuse a model with an input that no layer takes, from and before: Function.__init__ of
# keras/src/ops/function.py in 3.10.0 and 3.13.2, neither in 3.9.2 nor in 3.14.0.
_REFUSE_UNUSED_INPUTS = ((3, 10), (3, 14))


def graph_for(config: dict[str, Any], version: tuple[int, ...], where: str) -> dict[str, Any]:
    """Return the config of a Functional model for Keras 3 of *version*.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. Keras before 3.4 nests no inputs or outputs as this does.
    """
    if version < _NESTED_TENSORS:
        config = _with_lists(config, where)
    if version < _LATE_CALLS:
        config = _with_late_calls(config)
    if _REFUSE_UNUSED_INPUTS[0] <= version < _REFUSE_UNUSED_INPUTS[1]:
        config = _with_used_inputs(config)
    return config


def _with_lists(config: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a model's config with one input or output as a list of one, as early releases have it."""
    ends = {key: [config[key]] if _is_tensor(config[key]) else config[key] for key in ("input_layers", "output_layers")}
    for key, end in ends.items():
        if not all(map(_is_tensor, end.values() if isinstance(end, dict) else end)):
            raise IncompatibleVersionError(
                f"{where}.config.{key}",
                problem="Keras before 3.4 takes a list or a dict of tensors, and these are nested deeper",
                hint="install Keras 3.4 or newer",
            )
    return {**config, **ends}


def _with_late_calls(config: dict[str, Any]) -> dict[str, Any]:
    """Return a model's config with nodes as Keras 2 wrote them, if a layer is called on what a later one makes."""
    layers = _named(config)
    positions = {layer["name"]: index for index, layer in enumerate(layers)}
    calls = [read_calls(layer, positions, "$") for layer in layers]
    if not any(positions[r.layer] > i for i, made in enumerate(calls) for call in made for r in refs_of(call)):
        return config
    nodes = [{"inbound_nodes": [_plain_node(call) for call in made]} for made in calls]
    return {**config, "layers": [{**layer, **node} for layer, node in zip(layers, nodes, strict=True)]}


def _plain_node(call: Call) -> Any:
    """Return a call with tensors in its first argument alone as Keras 2 wrote it, and any other as Keras 3 does."""
    tensors = call.args[0] if len(call.args) == 1 else None
    flat = tensors if isinstance(tensors, list) and len(tensors) > 1 else [tensors]
    refs = [tensor for tensor in flat if isinstance(tensor, TensorRef)]
    is_nested = any(isinstance(value, (TensorRef, dict, list)) for value in call.kwargs.values())
    if len(refs) < len(flat) or is_nested:
        return write_call(call)
    return [[*entry_of(ref), call.kwargs] for ref in refs]


def _named(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [layer for layer in config["layers"] if isinstance(layer, dict) and isinstance(layer.get("name"), str)]


def _with_used_inputs(config: dict[str, Any]) -> dict[str, Any]:
    """Return a model's config with an Identity, part of no output, after each input that no layer takes."""
    layers = _named(config)
    names = {layer["name"] for layer in layers}
    taken = {ref.layer for layer in layers for call in read_calls(layer, names, "$") for ref in refs_of(call)}
    unused = [layer["name"] for layer in layers if layer.get("class_name") == "InputLayer"]
    identities = [_identity_of(name, names) for name in unused if name not in taken]
    return {**config, "layers": [*config["layers"], *identities]}


def _identity_of(tensor: str, names: set[str]) -> dict[str, Any]:
    name = next(n for i in count() if (n := f"{tensor}_unused{i or ''}") not in names)
    return {
        "module": "keras.layers",
        "class_name": "Identity",
        "config": {"name": name},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [write_call(Call((TensorRef(tensor, 0, 0),), {}))],
    }


def _is_tensor(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)
