"""Which features a graph reads from serialized ``tf.Example`` records. Layer: inspection.

The inputs of estimators are strings; what must be in them stands in the op that parses them.

Source: ParseExample and ParseExampleV2 in tensorflow/core/ops/parsing_ops.cc (TensorFlow 2.21).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from safeload.inspection._info import TensorInfo
from safeload.inspection.graph.info import MAIN, GraphInfo
from safeload.inspection.saved_model.structures import read_shape
from safeload.readers.protobuf import dtype_name
from safeload.readers.saved_model.references import reference_producer

Features = Mapping[str, tuple[TensorInfo, ...]]
"""Features by the name of the node that holds the records."""


class _Keys(NamedTuple):
    """Names of the features of one op, and the nodes with the defaults of the dense ones."""

    sparse: list[str]
    dense: list[str]
    defaults: list[str]


def example_features(graph: GraphInfo) -> Features:
    """Return the features that each ParseExample op of the main graph reads."""
    parsers = [n.proto for op in _READERS for n in graph.by_op.get(op, ()) if n.body == MAIN]
    if not parsers:
        return {}
    constants = {n.name: n.proto.attr["value"].tensor for n in graph.by_op.get("Const", ()) if n.body == MAIN}
    return {reference_producer(node.input[0]): tuple(_features(node, constants)) for node in parsers if node.input}


def _features(node: Any, constants: Mapping[str, Any]) -> Iterator[TensorInfo]:
    keys = _READERS[node.op](node, constants)
    for name, number in zip(keys.sparse, node.attr["sparse_types"].list.type, strict=False):
        yield TensorInfo(name, dtype_name(number), kind="sparse", optional=True)
    facts = node.attr["Tdense"].list.type, node.attr["dense_shapes"].list.shape
    dense = zip(keys.dense, *facts, strict=False)
    for index, (name, number, shape) in enumerate(dense):
        has_default = index < len(keys.defaults) and not _is_empty(constants.get(keys.defaults[index]))
        yield TensorInfo(name, dtype_name(number), read_shape(shape), optional=has_default)


def _keys_of_first(node: Any, constants: Mapping[str, Any]) -> _Keys:
    """Read ParseExample: one scalar input per key, behind the records and their names."""
    names = [reference_producer(name) for name in node.input]
    sparse, dense = node.attr["Nsparse"].i, node.attr["Ndense"].i
    keys = [_strings(constants.get(name)) for name in names[2:]]
    flat = [key[0] if key else "" for key in keys]
    return _Keys(flat[:sparse], flat[sparse : sparse + dense], names[2 + sparse + dense :])


def _keys_of_second(node: Any, constants: Mapping[str, Any]) -> _Keys:
    """Read ParseExampleV2: one vector of keys per kind."""
    names = [reference_producer(name) for name in node.input]
    sparse, dense = (_strings(constants.get(name)) for name in (*names[2:4], "", "")[:2])
    return _Keys(sparse, dense, names[5:])


_READERS = {"ParseExample": _keys_of_first, "ParseExampleV2": _keys_of_second}


def _strings(tensor: Any) -> list[str]:
    return [value.decode("utf-8", "replace") for value in tensor.string_val] if tensor is not None else []


def _is_empty(tensor: Any) -> bool:
    """True for the constant without elements that stands for "no default"; a default may be computed (reshaped)."""
    return tensor is not None and any(dim.size == 0 for dim in tensor.tensor_shape.dim)
