"""Bounds of tensors that hold for all data, to show that a condition can never become false. Layer: policy."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from safeload.inspection.graph.info import reference_producer
from safeload.policy.graph._constants._values import constant_elements
from safeload.readers.protobuf import dtype_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from safeload.inspection.graph.info import Body, Node

Interval = tuple[float, float]

ANY: Interval = (-math.inf, math.inf)
_TRUE, _FALSE, _EITHER = (1.0, 1.0), (0.0, 0.0), (0.0, 1.0)
_MAX_DEPTH = 32
_FORMATS = {"float32": "f", "float64": "d", "int32": "i", "int64": "q"}
_FIELDS = ("float_val", "double_val", "int_val", "int64_val")


def interval(body: Body, reference: str, known: dict[str, Interval]) -> Interval:
    """Return bounds of the tensor *reference*, `ANY` where nothing is known.

    Args:
        body: What holds it.
        reference: As an input of a node names it.
        known: Bounds of arguments and nodes of *body*; those that are found are put there.
    """
    return _bounds(body, reference_producer(reference), known, _MAX_DEPTH)


def _bounds(body: Body, name: str, known: dict[str, Interval], depth: int) -> Interval:
    if name not in known:
        known[name] = ANY  # what is met on the way to itself
        node = body.by_name.get(name)
        known[name] = _computed(body, node, known, depth - 1) if node is not None and depth else ANY
    return known[name]


def _computed(body: Body, node: Node, known: dict[str, Interval], depth: int) -> Interval:
    if node.op == "Const":
        return _constant(node)
    if node.op not in _RULES:
        return ANY
    inputs = [_bounds(body, reference_producer(r), known, depth) for r in node.inputs if not r.startswith("^")]
    count, rule = _RULES[node.op]
    found = rule(*inputs) if len(inputs) == count else ANY
    return ANY if any(math.isnan(bound) for bound in found) else found


def is_always_true(found: Interval) -> bool:
    """Tell whether a condition with these bounds holds for all data."""
    return found == _TRUE


def _constant(node: Node) -> Interval:
    value = node.proto.attr.get("value")
    code = _FORMATS.get(dtype_name(value.tensor.dtype) or "") if value is not None else None
    if value is None or code is None or constant_elements(node) != 1:
        return ANY
    content = value.tensor.tensor_content
    if content:
        stored = struct.unpack(f"<{code}", content) if len(content) == struct.calcsize(f"<{code}") else ()
    else:
        stored = tuple(number for field in _FIELDS for number in getattr(value.tensor, field)) or (0.0,)
    return (float(stored[0]), float(stored[0])) if len(stored) == 1 else ANY


def _times(a: Interval, b: Interval) -> Interval:
    # An infinite bound stands for large numbers, which times zero are zero.
    products = [0.0 if 0.0 in (x, y) else x * y for x in a for y in b]
    return min(products), max(products)


def _absolute(a: Interval) -> Interval:
    low = 0.0 if a[0] <= 0.0 <= a[1] else min(abs(a[0]), abs(a[1]))
    return low, max(abs(a[0]), abs(a[1]))


def _greater(a: Interval, b: Interval) -> Interval:
    return _TRUE if a[0] > b[1] else _FALSE if a[1] <= b[0] else _EITHER


def _greater_equal(a: Interval, b: Interval) -> Interval:
    return _TRUE if a[0] >= b[1] else _FALSE if a[1] < b[0] else _EITHER


_RULES: dict[str, tuple[int, Callable[..., Interval]]] = {
    **dict.fromkeys(("Identity", "StopGradient"), (1, lambda a: a)),
    "Abs": (1, _absolute),
    "Square": (1, lambda a: _times(_absolute(a), _absolute(a))),
    "Relu": (1, lambda a: (max(0.0, a[0]), max(0.0, a[1]))),
    "Exp": (1, lambda _: (0.0, math.inf)),
    "Neg": (1, lambda a: (-a[1], -a[0])),
    **dict.fromkeys(("Add", "AddV2"), (2, lambda a, b: (a[0] + b[0], a[1] + b[1]))),
    "Sub": (2, lambda a, b: (a[0] - b[1], a[1] - b[0])),
    "Mul": (2, _times),
    "Maximum": (2, lambda a, b: (max(a[0], b[0]), max(a[1], b[1]))),
    "Minimum": (2, lambda a, b: (min(a[0], b[0]), min(a[1], b[1]))),
    "Greater": (2, _greater),
    "GreaterEqual": (2, _greater_equal),
    "Less": (2, lambda a, b: _greater(b, a)),
    "LessEqual": (2, lambda a, b: _greater_equal(b, a)),
}
"""How many inputs an op has, and its bounds from theirs. Numbers that are none are left out of account."""
