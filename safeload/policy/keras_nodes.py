"""Ops that layers run as a NodeDef says, each judged as a graph of its own. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from safeload.inspection import is_marker
from safeload.policy._finding import Finding, Severity
from safeload.policy.keras_sizes import config_of
from safeload.readers.protobuf import message_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from safeload.inspection import ModelInfo, Place

_NODE = "TensorFlowNode"
"""What `dialects` makes of ``TensorFlowOpLayer``."""
_INT64, _DOUBLE = 9, 2
"""Numbers of dtypes, as which the rules of `graph` read numbers of any. Source: types.proto (2.21)."""
_MOST = 1 << 63


def examine_nodes(info: ModelInfo) -> Iterator[Finding]:
    """Yield what the rules of `graph` find in the NodeDefs of layers, with the constants that they are called on."""
    for place in info.keras.object_places if info.keras is not None else ():
        if place.value["class_name"] == _NODE:
            yield from _examine(place, info.digest)


def _examine(place: Place, digest: str) -> Iterator[Finding]:
    from safeload.inspection.graph.info import inspect_graph
    from safeload.policy import graph

    try:
        made = _graph_of(place.value)
    except (json_format.ParseError, AttributeError, LookupError, OverflowError, TypeError, ValueError):
        message, hint = (
            f"{_NODE} has no NodeDef, or is called on what Keras does not record",
            "ask the author for a file without it",
        )
        yield Finding("tensorflow-symbol", Severity.DANGEROUS, place.where, "node_def", message, hint)
        return
    subject = graph.Subject(inspect_graph(made), f"{place.where}/", digest)
    for rule in graph.GRAPH_RULES:
        yield from rule(subject)


def _graph_of(layer: Mapping[str, Any]) -> Any:
    """Return a MetaGraphDef with a node for each call of *layer*.

    Constants take their places among the tensors as ``NodeFunction`` of `runtime` has it.
    """
    config = config_of(layer)
    constants = {int(index): value for index, value in (config.get("constants") or {}).items()}
    made = message_class("MetaGraphDef")()
    for number, count in enumerate(map(_count_tensors, layer.get("inbound_nodes") or [None])):
        operands = [None] * count
        for index in sorted(constants):
            operands.insert(index, constants[index])
        name = f"call{number}"
        inputs = [_add_operand(made.graph_def, f"{name}/{place}", value) for place, value in enumerate(operands)]
        node = json_format.ParseDict(config["node_def"], made.graph_def.node.add())
        node.name, node.input[:] = name, inputs
        made.signature_def[name].outputs[name].name = f"{name}:0"
    return made


def _count_tensors(call: Any) -> int:
    """Return on how many tensors *call* calls a layer, which may be one that Keras records no call of.

    Raises:
        ValueError: It calls it on something else, which Keras records as a constant of the layer.
    """
    if call is None:
        return 1
    if not all(is_marker(value) and value["class_name"] == "__keras_tensor__" for value in call["args"]):
        raise ValueError("an argument is no tensor")
    return len(call["args"])


def _add_operand(graph_def: Any, name: str, value: Any) -> str:
    node = graph_def.node.add(name=name, op="Placeholder")
    constant = _constant(value)
    if constant is not None:
        node.op = "Const"
        node.attr["value"].tensor.CopyFrom(constant)
    return name


def _constant(value: Any) -> Any:
    """Return a TensorProto of *value*, None if that is no array of numbers."""
    shape: list[int] = []
    numbers = [value]
    while numbers and all(isinstance(found, list) for found in numbers):
        lengths = {len(found) for found in numbers}
        if len(lengths) > 1:
            return None
        shape += lengths
        numbers = [inner for found in numbers for inner in found]
    kinds = set(map(type, numbers))
    proto = message_class("TensorProto")()
    if kinds <= {bool, int} and all(-_MOST <= number < _MOST for number in numbers):  # True is 1 where an op takes ints
        proto.dtype, proto.int64_val[:] = _INT64, map(int, numbers)
    elif kinds <= {bool, float, int}:
        proto.dtype, proto.double_val[:] = _DOUBLE, map(float, numbers)
    else:
        return None
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto
