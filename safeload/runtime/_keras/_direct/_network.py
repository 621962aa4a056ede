"""The config of a Functional model → the function that it computes. Layer: runtime."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from safeload.runtime._executor import MAX_OPERATIONS
from safeload.runtime._keras._budget import MAX_OUTPUT_BYTES
from safeload.runtime._keras._direct._graph import Graph, NotUnderstoodError, Shape, Tensor
from safeload.runtime._keras._direct._layers import LAYERS, Layer
from safeload.runtime._unfused import keep_apart

_FLOAT = 4
"""Bytes of a float32."""

_MOST = 20_000
"""Operations that TensorFlow's optimizer goes through by recursion on half a megabyte of stack (2.21, measured)."""

_INPUT = {"dtype": "float32", "sparse": False, "ragged": False, "optional": False}


def network(config: Any) -> tuple[Graph, Shape]:
    """Return the function of a model and the shape of its result.

    Args:
        config: The lowered config of the model.

    Raises:
        NotUnderstoodError: It is anything but a Functional model of one input and one output, in which layers that are
            known are called once each; or it is a short one.
    """
    if config.get("class_name") != "Functional" or config.get("registered_name") is not None:
        raise NotUnderstoodError("it is no Functional model")
    settings = config["config"]
    layers = {entry["name"]: entry for entry in settings["layers"]}
    graph, tensors = _input(settings["layers"], settings["input_layers"])
    sources = {name: _sources(entry) for name, entry in layers.items()}
    order = _in_order(sources, _layer(settings["output_layers"]))
    if len(order) != len(settings["layers"]):
        raise NotUnderstoodError("some of its layers lead nowhere, or have one name")
    for name in order:
        if name not in tensors:
            tensors[name] = _called(graph, layers[name], [tensors[source] for source in sources[name]])
    result = tensors[order[-1]]
    graph.finish(result)
    count = len(graph.definition.node_def)
    if not MAX_OPERATIONS < count <= _MOST:
        raise NotUnderstoodError(f"of {count} operations, a quicker way may be known, or TensorFlow's stack too small")
    keep_apart(graph.definition.node_def, in_function=True)
    return graph, result.shape


def _in_order(sources: Mapping[str, Sequence[str]], last: str) -> list[str]:
    """Return the layers as Keras calls them, those that are the farthest from *last* first.

    TensorFlow fuses operations by the order in which they are listed.

    Source: ``map_graph`` and ``_build_map`` of keras/src/ops/function.py (3.15.1).
    """
    met, finished = {last}, []
    pending = [(last, iter(sources[last]))]
    while pending:
        name, before = pending[-1]
        source = next((source for source in before if source not in met), None)
        if source is None:
            finished.append(name)
            pending.pop()
        else:
            met.add(source)
            pending.append((source, iter(sources[source])))
    depths: dict[str, int] = {}
    for name in reversed(finished):
        depth = depths.setdefault(name, 0)
        for source in sources[name]:
            depths[source] = max(depth + 1, depths.get(source, 0))
    return sorted(depths, key=lambda name: -depths[name])


def _input(layers: Any, input_layers: Any) -> tuple[Graph, dict[str, Tensor]]:
    entries = [entry for entry in layers if entry["class_name"] == "InputLayer"]
    others = {entry["class_name"] for entry in layers} - {"InputLayer"} - LAYERS.keys()
    if len(entries) != 1 or others:
        raise NotUnderstoodError(f"it has {len(entries)} inputs, and layers such as {sorted(others)[:1]}")
    name, config = entries[0]["name"], entries[0]["config"]
    if input_layers not in ([name, 0, 0], [[name, 0, 0]]) or not _is_plain(entries[0]):
        raise NotUnderstoodError("its input is another one")
    shape = config.get("batch_shape")
    is_known = isinstance(shape, list | tuple) and all(
        size is None or (type(size) is int and size >= 0) for size in shape
    )
    if not is_known or len(shape) < 2 or shape[0] is not None:
        raise NotUnderstoodError(f"its input has the shape {shape!r:.80}")
    if any(config.get(setting, value) != value for setting, value in _INPUT.items()):
        raise NotUnderstoodError("its input is none of floats")
    graph = Graph(tuple(shape))
    return graph, {name: graph.input}


def _called(graph: Graph, entry: Mapping[str, Any], inputs: Sequence[Tensor]) -> Tensor:
    if not _is_plain(entry):
        raise NotUnderstoodError(f"{entry['name']} is of another class")
    layer = Layer(graph, entry["name"], entry["config"], inputs)
    result = LAYERS[entry["class_name"]](layer)
    layer.finish()
    if _FLOAT * math.prod(size or 1 for size in result.shape) > MAX_OUTPUT_BYTES:
        raise NotUnderstoodError(f"{layer.name} makes too much")
    return result


def _is_plain(entry: Mapping[str, Any]) -> bool:
    """Tell whether the class of a layer is Keras's own of this name, and its name that of its config."""
    is_own = entry.get("module") == "keras.layers" and entry.get("registered_name") is None
    return is_own and entry["config"].get("name") == entry["name"]


def _sources(entry: Mapping[str, Any]) -> list[str]:
    """Return the layers that a layer is called on, none for an input."""
    nodes = entry["inbound_nodes"]
    if entry["class_name"] == "InputLayer" and not nodes:
        return []
    if len(nodes) != 1 or len(nodes[0]["args"]) != 1:
        raise NotUnderstoodError(f"{entry['name']} is called in another way")
    if any(value is not None for value in nodes[0]["kwargs"].values()):
        raise NotUnderstoodError(f"{entry['name']} is called with keywords")
    (argument,) = nodes[0]["args"]
    found = argument if isinstance(argument, list) else [argument]
    if any(not isinstance(tensor, dict) or tensor.get("class_name") != "__keras_tensor__" for tensor in found):
        raise NotUnderstoodError(f"{entry['name']} is called on something else than tensors")
    return [_layer(tensor["config"]["keras_history"]) for tensor in found]


def _layer(history: Any) -> str:
    """Return the layer of ``[layer, 0, 0]``, the one result of its one call."""
    found = history[0] if len(history) == 1 else history
    if len(found) != 3 or list(found[1:]) != [0, 0] or not isinstance(found[0], str):
        raise NotUnderstoodError(f"{found!r:.80} is not the one result of a layer")
    return str(found[0])
