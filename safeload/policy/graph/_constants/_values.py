"""Numbers that a graph computes from its constants alone. Layer: policy.

Understands what shapes are assembled with, and what loops count with; everything else has no known value.
"""

from __future__ import annotations

import math
import operator
import struct
from typing import TYPE_CHECKING, Any, cast

from safeload.policy.graph._constants._fact import HUGE, MAX_RANK
from safeload.readers.protobuf import dtype_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._fact import Numbers

MAX_VALUES = 1024
"""Values of a tensor that are followed."""
_MAX_BITS = 512
_MODERATE = 1 << _MAX_BITS
_EXACT = 1 << 53
"""Integers below this are floats without loss."""
_FORMATS = {
    "float32": ("f", "float_val"),
    "float64": ("d", "double_val"),
    "bool": ("?", "bool_val"),
    "int16": ("h", "int_val"),
    "int32": ("i", "int_val"),
    "int64": ("q", "int64_val"),
    "int8": ("b", "int_val"),
    "uint32": ("I", "uint32_val"),
    "uint64": ("Q", "uint64_val"),
    "uint8": ("B", "int_val"),
}
"""How the dtypes of shapes, ranges and counters are stored: packed, and in which field otherwise.

Source: tensorflow/core/framework/tensor.proto (2.21).
"""


_TYPES = {"Cast": "DstT", "Range": "Tidx", "Gather": "Tparams", "GatherNd": "Tparams", "GatherV2": "Tparams"}
"""Which attribute is the dtype of the output where that is not ``T``."""


def folded(op: str, values: list[Numbers]) -> Numbers | None:
    """Return what *op*, one of `FOLDS`, makes of *values*, None if that is not known."""
    try:
        result = FOLDS[op](values) if values else None
    except (ArithmeticError, TypeError, ValueError):
        return None  # division by zero, fractions that are shifted, roots of what is less than zero
    return result if result is not None and are_moderate(result) else None


def are_moderate(numbers: Numbers) -> bool:
    """Tell whether *numbers* are such that sizes are computed with; NaN is none. Most that are many are the same."""
    return all([abs(number) <= _MODERATE for number in set(numbers)])  # noqa: C419 - speed


def tensor_numbers(tensor: Any, count: int) -> Numbers | None:
    """Return the *count* values of a TensorProto, flattened; None if it is no small tensor of numbers."""
    stored = _FORMATS.get(dtype_name(tensor.dtype) or "") if count <= MAX_VALUES else None
    if stored is None:
        return None
    code, field = stored
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * struct.calcsize(f"<{code}"):
            return None
        return _finite(struct.unpack(f"<{count}{code}", tensor.tensor_content))
    values = list(getattr(tensor, field))
    # The last stored value fills the rest of the tensor; none at all means zeros.
    return _finite((values + (values[-1:] or [0]) * count)[:count])


def largest_number(tensor: Any) -> int | None:
    """Return the largest value of a TensorProto of integers that all are stored, None of another one."""
    code, field = _FORMATS.get(dtype_name(tensor.dtype) or "", ("d", ""))
    if code in "fd?":
        return None
    stored = memoryview(tensor.tensor_content)
    whole = stored[: len(stored) // struct.calcsize(code) * struct.calcsize(code)]
    return max([*cast("memoryview[int]", whole.cast(cast("Any", code))), *getattr(tensor, field)], default=0)


def represented(node: Node, numbers: Numbers) -> Numbers | None:
    """Return *numbers* as the tensor that *node* makes holds them, None if it holds others."""
    value = node.proto.attr.get(_TYPES.get(node.op, "T"))
    if value is None:
        return numbers
    code, _ = _FORMATS.get(dtype_name(value.type) or "", ("", ""))
    if code in "d?":
        return numbers if code else None
    layout = f"<{len(numbers)}{code}"
    try:
        return struct.unpack(layout, struct.pack(layout, *(numbers if code == "f" else map(int, numbers))))
    except (OverflowError, struct.error):
        return None  # TensorFlow goes round to what is another number


def _finite(values: Iterable[float]) -> Numbers | None:
    numbers = tuple(values)
    return numbers if all(map(math.isfinite, numbers)) else None


def constant_elements(node: Node) -> int:
    """Return how many elements *node*, a Const, has."""
    value = node.proto.attr.get("value")
    return declared_elements(value.tensor.tensor_shape) if value is not None else 0


def declared_elements(shape: Any) -> int:
    """Return how many elements a TensorShapeProto declares; unknown dimensions count as one, too many make none."""
    rank = len(shape.dim)
    if not 0 < rank <= MAX_RANK:
        return int(not rank)  # most are scalars
    sizes: list[int] = [dim.size for dim in shape.dim]
    return min(math.prod([1 if size == -1 else max(size, 0) for size in sizes]), HUGE)


def _joined(values: list[Numbers]) -> Numbers | None:
    joined = tuple(number for value in values for number in value)
    return joined if len(joined) <= MAX_VALUES else None


def _elementwise(function: Callable[[Any, Any], float]) -> Callable[[list[Numbers]], Numbers | None]:
    def fold(values: list[Numbers]) -> Numbers | None:
        if len(values) != 2:
            return None
        size = max(len(values[0]), len(values[1])) if all(values) else 0
        if {len(values[0]), len(values[1])} - {1, size}:
            return None
        left, right = (v * size if len(v) == 1 else v for v in values)
        return tuple(function(a, b) for a, b in zip(left, right, strict=False))

    return fold


def _each(function: Callable[[Any], float]) -> Callable[[list[Numbers]], Numbers]:
    return lambda values: tuple(map(function, values[0]))


def _truncated(value: float, by: float) -> float:
    return math.trunc(value / by) if abs(value) < _EXACT else value // by


def _power(base: float, exponent: float) -> float:
    if not 0 <= exponent <= _MAX_BITS:
        raise ValueError
    return cast("float", base**exponent)


def _selected(values: list[Numbers]) -> Numbers | None:
    size = max(map(len, values))
    if len(values) != 3 or {*map(len, values)} - {1, size}:
        return None
    rows = zip(*(value * size if len(value) == 1 else value for value in values), strict=True)
    return tuple(one if which else other for which, one, other in rows)


def _shift(value: int, by: int) -> int:
    if not 0 <= by <= _MAX_BITS:
        raise ValueError
    return value << by


FOLDS: dict[str, Callable[[list[Numbers]], Numbers | None]] = {
    **dict.fromkeys(
        (
            "Identity",
            "Cast",
            "CheckNumerics",
            "EnsureShape",
            "GuaranteeConst",
            "PlaceholderWithDefault",
            "PreventGradient",
            "Snapshot",
            "StopGradient",
        ),
        lambda values: values[0],
    ),
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
    "RightShift": _elementwise(operator.rshift),
    "BitwiseAnd": _elementwise(operator.and_),
    "BitwiseOr": _elementwise(operator.or_),
    "BitwiseXor": _elementwise(operator.xor),
    "Invert": _each(operator.invert),
    "AddN": lambda values: tuple(map(sum, zip(*values, strict=True))),
    **dict.fromkeys(("FloorMod", "Mod"), _elementwise(operator.mod)),
    **dict.fromkeys(("Div", "TruncateDiv"), _elementwise(_truncated)),
    "SquaredDifference": _elementwise(lambda a, b: (a - b) ** 2),
    "Abs": _each(abs),
    "Sign": _each(lambda n: (n > 0) - (n < 0)),
    "Ceil": _each(math.ceil),
    "Floor": _each(math.floor),
    **dict.fromkeys(("Rint", "Round"), _each(round)),
    "Sqrt": _each(math.sqrt),
    "Rsqrt": _each(lambda n: 1 / math.sqrt(n)),
    **dict.fromkeys(("Inv", "Reciprocal"), _each(lambda n: 1 / n)),
    "Exp": _each(math.exp),
    "Log": _each(math.log),
    "Relu": _each(lambda n: max(0, n)),
    "Square": _each(lambda n: n * n),
    "Neg": _each(operator.neg),
    "FloorDiv": _elementwise(operator.floordiv),
    "RealDiv": _elementwise(operator.truediv),
    "NotEqual": _elementwise(operator.ne),
    "LogicalAnd": _elementwise(lambda a, b: bool(a) and bool(b)),
    "LogicalOr": _elementwise(lambda a, b: bool(a) or bool(b)),
    "LogicalNot": _each(operator.not_),
    "Less": _elementwise(operator.lt),
    "LessEqual": _elementwise(operator.le),
    "Greater": _elementwise(operator.gt),
    "GreaterEqual": _elementwise(operator.ge),
    "Equal": _elementwise(operator.eq),
    "Select": _selected,
    "SelectV2": _selected,
}
"""How each op combines the flattened values of its inputs, where that does not depend on more than their order."""
