"""Integers that a graph computes from its constants alone. Layer: policy.

Understands what shapes are assembled with; everything else has no known value.
"""

from __future__ import annotations

import math
import operator
import struct
from typing import TYPE_CHECKING, Any

from safeload.inspection.graph import GraphInfo, Node, reference_producer
from safeload.readers.protobuf import dtype_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Ints = tuple[int, ...]

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_MAX_VALUES = 1024
_MAX_DEPTH = 64
_MAX_BITS = 512
_FORMATS = {
    "float32": "f",
    "float64": "d",
    "bool": "?",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "int8": "b",
    "uint32": "I",
    "uint64": "Q",
    "uint8": "B",
}
"""How the dtypes of shapes and ranges are stored; fractions are cut off."""


def producer(graph: GraphInfo, body: str, reference: str) -> Node | None:
    """Return the node that makes a tensor, through the arguments and results of functions that are called once."""
    for _ in range(_MAX_DEPTH):
        owner, name = graph.bodies[body], reference_producer(reference)
        node = owner.by_name.get(name)
        if name in owner.arguments:
            callers, index = graph.callers.get(body, ()), owner.arguments.index(name)
            if len(callers) != 1 or callers[0].op not in _CALLS or index >= len(callers[0].inputs):
                return None
            body, reference = callers[0].body, callers[0].inputs[index]
        elif node is not None and node.op in _CALLS and node.calls:
            returns, index = graph.bodies[node.calls[0]].returns, output_index(reference)
            if index >= len(returns):
                return None
            body, reference = node.calls[0], returns[index]
        else:
            return node
    return None


def output_index(reference: str) -> int:
    """Return which output of its producer *reference* names."""
    index = reference.rpartition(":")[2]
    return int(index) if index.isdigit() else 0


class ConstantEvaluator:
    """Evaluates tensors of one graph that depend on constants alone."""

    def __init__(self, graph: GraphInfo) -> None:
        self._graph = graph
        self._known: dict[tuple[str, str], Ints | None] = {}

    def input(self, node: Node, index: int) -> Ints | None:
        """Return the integers of input *index* of *node*, flattened, or None if they are not known."""
        if index >= len(node.inputs):
            return None
        return self._value(node.body, node.inputs[index], _MAX_DEPTH)

    def _value(self, body: str, reference: str, depth: int) -> Ints | None:
        node = producer(self._graph, body, reference)
        if node is None:
            return None
        key = (node.body, node.name)
        if key not in self._known and depth:
            self._known[key] = None
            self._known[key] = self._compute(node, depth)
        return self._known.get(key)

    def _compute(self, node: Node, depth: int) -> Ints | None:
        if node.op == "Const":
            return constant_ints(node)
        if node.op == "Shape":
            return self._shape(node)
        if node.op not in _FOLDS:
            return None
        values = [self._value(node.body, r, depth - 1) for r in node.inputs if not r.startswith("^")]
        known = [v for v in values if v is not None]
        return _FOLDS[node.op](known) if known and len(known) == len(values) else None

    def _shape(self, node: Node) -> Ints | None:
        """Return the shape of a constant."""
        made = producer(self._graph, node.body, node.inputs[0]) if node.inputs else None
        value = made.proto.attr.get("value") if made is not None and made.op == "Const" else None
        return None if value is None else tuple(dim.size for dim in value.tensor.tensor_shape.dim)


_FIELDS = ("int_val", "int64_val", "uint32_val", "uint64_val", "float_val", "double_val", "bool_val")


def constant_ints(node: Node) -> Ints | None:
    """Return the integers of *node*, a Const, flattened; None if it is no small integer tensor."""
    value = node.proto.attr.get("value")
    if value is None:
        return None
    tensor = value.tensor
    code = _FORMATS.get(dtype_name(tensor.dtype) or "")
    count = declared_elements(tensor.tensor_shape)
    if code is None or count > _MAX_VALUES:
        return None
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * struct.calcsize(f"<{code}"):
            return None
        return _whole(struct.unpack(f"<{count}{code}", tensor.tensor_content))
    stored = [value for field in _FIELDS for value in getattr(tensor, field)]
    # The last stored value fills the rest of the tensor; none at all means zeros.
    return _whole((stored + (stored[-1:] or [0]) * count)[:count])


def _whole(values: Iterable[float]) -> Ints | None:
    numbers = tuple(values)
    return tuple(int(n) for n in numbers) if all(math.isfinite(n) for n in numbers) else None


def constant_elements(node: Node) -> int:
    """Return how many elements *node*, a Const, has."""
    value = node.proto.attr.get("value")
    return declared_elements(value.tensor.tensor_shape) if value is not None else 0


def declared_elements(shape: Any) -> int:
    """Return how many elements a TensorShapeProto declares; unknown dimensions count as one."""
    return math.prod(max(dim.size, 0) if dim.size != -1 else 1 for dim in shape.dim)


def _joined(values: list[Ints]) -> Ints | None:
    joined = tuple(number for value in values for number in value)
    return joined if len(joined) <= _MAX_VALUES else None


def _elementwise(function: Callable[[int, int], int]) -> Callable[[list[Ints]], Ints | None]:
    def fold(values: list[Ints]) -> Ints | None:
        if len(values) != 2:
            return None
        size = max(len(values[0]), len(values[1]))
        if {len(values[0]), len(values[1])} - {1, size}:
            return None
        left, right = (v * size if len(v) == 1 else v for v in values)
        result = tuple(function(a, b) for a, b in zip(left, right, strict=False))
        return result if all(n.bit_length() <= _MAX_BITS for n in result) else None

    return fold


def _power(base: int, exponent: int) -> int:
    return int(base**exponent) if 0 <= exponent <= _MAX_BITS and base.bit_length() <= _MAX_BITS else 0


def _quotient(value: int, by: int) -> int:
    return value // by if by else 0


def _selected(values: list[Ints]) -> Ints | None:
    return values[1 if values[0][0] else 2] if len(values) == 3 and len(values[0]) == 1 else None


def _shift(value: int, by: int) -> int:
    return value << by if 0 <= by <= _MAX_BITS else 0


_FOLDS: dict[str, Callable[[list[Ints]], Ints | None]] = {
    **dict.fromkeys(("Identity", "Cast", "StopGradient"), lambda values: values[0]),
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze"), lambda values: values[0]),
    "Pack": _joined,
    "ConcatV2": lambda values: _joined(values[:-1]),
    "Mul": _elementwise(operator.mul),
    "AddV2": _elementwise(operator.add),
    "Add": _elementwise(operator.add),
    "Sub": _elementwise(operator.sub),
    "Maximum": _elementwise(max),
    "Minimum": _elementwise(min),
    "Pow": _elementwise(_power),
    "LeftShift": _elementwise(_shift),
    "Prod": lambda values: (math.prod(values[0]),),
    "Neg": lambda values: tuple(-n for n in values[0]),
    # Of several axes the largest value is taken, which is what sizes are made of.
    "Max": lambda values: (max(values[0]),) if values[0] else None,
    "FloorDiv": _elementwise(_quotient),
    "Less": _elementwise(operator.lt),
    "LessEqual": _elementwise(operator.le),
    "Greater": _elementwise(operator.gt),
    "GreaterEqual": _elementwise(operator.ge),
    "Equal": _elementwise(operator.eq),
    "Select": _selected,
    "SelectV2": _selected,
}
"""How each op combines the flattened values of its inputs, where that does not depend on more than their order."""
