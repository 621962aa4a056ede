"""Shapes that follow from constants, of ops that make more than they are given. Layer: policy.

A shape here is a lower bound: dimensions that are not known count as one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from safeload.policy.graph._constants._fact import HUGE, MAX_RANK, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._fact import Fact, Shape

_IMAGES = 4
"""Dimensions of a batch of images."""

MULTIPLYING = frozenset(
    [
        "Add", "AddV2", "Atan2", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "BroadcastTo", "Complex", "Conv2D",
        "Conv3D", "DepthwiseConv2dNative", "Diag", "Div", "DivNoNan", "Einsum", "Empty", "Equal", "ExtractImagePatches",
        "Fill", "FloorDiv", "FloorMod", "Gather", "GatherV2", "Greater",
        "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "MatMul", "MatrixDiag", "MatrixDiagV2",
        "MatrixDiagV3", "Maximum", "Minimum", "Mul", "NotEqual", "OneHot", "Pow", "RandomGamma",
        "RandomPoissonV2", "RandomStandardNormal", "RandomUniform", "RealDiv", "SelectV2", "SparseReduceMax",
        "SparseReduceSum", "SquaredDifference", "Sub", "TensorArrayGather", "TensorArrayGatherV2",
        "TensorArrayGatherV3", "TensorListConcatV2", "TensorListGather", "TensorListGetItem", "TensorListReserve",
        "TensorListStack",
    ]
)  # fmt: skip
"""Ops of which small constants may make much."""


def least_shape(node: Node, inputs: list[Fact]) -> Shape | None:
    """Return the least shape of what *node* makes of *inputs*, None if its rank is not known."""
    rule = SHAPES.get(node.op)
    found = rule(node, inputs) if rule is not None else None
    return tuple(min(size, HUGE) for size in found) if found is not None and len(found) <= MAX_RANK else None


def declared_shape(shape: Any) -> Shape | None:
    """Return the least shape that a TensorShapeProto declares, None if its rank is not known, or that of no tensor."""
    is_one = not shape.unknown_rank and len(shape.dim) <= MAX_RANK
    return _at_least_one([dim.size for dim in shape.dim]) if is_one else None


def _at_least_one(sizes: Iterable[int]) -> Shape:
    return tuple([1 if size < 0 else size for size in sizes])


def _same(_: Node, inputs: list[Fact]) -> Shape | None:
    return at(inputs, 0).shape


def _broadcast(node: Node, inputs: list[Fact]) -> Shape | None:
    found: Shape = ()
    for index, reference in enumerate(node.inputs):
        if reference.startswith("^"):
            continue
        shape = at(inputs, index).shape
        if shape is None:
            return None
        found = broadcast_shape(found, shape)
    return found


def broadcast_shape(left: Shape, right: Shape) -> Shape:
    """Return the least shape of what is made of two tensors element by element."""
    rank = max(len(left), len(right))
    left, right = ((1,) * (rank - len(shape)) + shape for shape in (left, right))
    return tuple(0 if 0 in (a, b) else max(a, b) for a, b in zip(left, right, strict=True))


def _valued(operand: int) -> Callable[[Node, list[Fact]], Shape | None]:
    def rule(_: Node, inputs: list[Fact]) -> Shape | None:
        sizes = at(inputs, operand).ints
        return None if sizes is None else _at_least_one(sizes)

    return rule


def _reshaped(_: Node, inputs: list[Fact]) -> Shape | None:
    sizes, given = at(inputs, 1).ints, at(inputs, 0).shape
    if sizes is None:
        return None
    fixed = math.prod(size for size in sizes if size > 0)
    rest = math.prod(given) // fixed if given is not None and fixed else 1
    return tuple(max(1, rest) if size == -1 else max(0, size) for size in sizes)


def _expanded(_: Node, inputs: list[Fact]) -> Shape | None:
    given, axis = at(inputs, 0).shape, at(inputs, 1).ints
    if given is None or not axis or not -len(given) - 1 <= axis[0] <= len(given):
        return None
    position = axis[0] if axis[0] >= 0 else axis[0] + len(given) + 1
    return (*given[:position], 1, *given[position:])


def _matrix_product(node: Node, inputs: list[Fact]) -> Shape | None:
    left, right = at(inputs, 0).shape, at(inputs, 1).shape
    if left is None or right is None or min(len(left), len(right)) < 2:
        return None
    rows = left[-1 if _is_set(node, "transpose_a", "adj_x") else -2]
    columns = right[-2 if _is_set(node, "transpose_b", "adj_y") else -1]
    return (*broadcast_shape(left[:-2], right[:-2]), rows, columns)


def _is_set(node: Node, *keys: str) -> bool:
    return any(key in node.proto.attr and node.proto.attr[key].b for key in keys)


def _einsum(node: Node, inputs: list[Fact]) -> Shape | None:
    value = node.proto.attr.get("equation")
    terms, arrow, result = value.s.decode("utf-8", "replace").partition("->") if value is not None else ("", "", "")
    sizes: dict[str, int] = {}
    for index, term in enumerate(terms.split(",")):
        shape = at(inputs, index).shape
        if shape is None or len(shape) != len(term):
            return None
        for label, size in zip(term, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    return tuple(sizes.get(label, 1) for label in result) if arrow else None


def _gathered(node: Node, inputs: list[Fact]) -> Shape | None:
    given, indices = at(inputs, 0).shape, at(inputs, 1).shape
    axis = at(inputs, 2).ints if node.op == "GatherV2" else (0,)
    attributes = node.proto.attr
    batch = attributes["batch_dims"].i if "batch_dims" in attributes else 0
    if not given or indices is None or not axis or not 0 <= axis[0] < len(given) or batch:
        return None
    return (*given[: axis[0]], *indices, *given[axis[0] + 1 :])


def _one_hot(_: Node, inputs: list[Fact]) -> Shape | None:
    indices, count = at(inputs, 0).shape, at(inputs, 1).ints
    return None if indices is None or not count else (*indices, max(0, count[0]))


def _matrix_diagonal(_: Node, inputs: list[Fact]) -> Shape | None:
    given = at(inputs, 0).shape
    return (*given, given[-1]) if given else None


def _on_diagonals(_: Node, inputs: list[Fact]) -> Shape | None:
    """Return the shape of matrices of which some diagonals are given; what is not said is as small as these let it."""
    if at(inputs, 1).ints == ():
        return None
    known = at(inputs, 0).shape
    given, bands = known or (1,), at(inputs, 1).ints or (0,)
    rows, columns = given[-1] + max(0, -bands[-1]), given[-1] + max(0, bands[0])
    asked = [at(inputs, place).ints or (-1,) for place in (2, 3)]
    if max(asked[0][0], asked[1][0]) < 0:
        rows = columns = max(rows, columns)
    several = len(bands) > 1 and bands[0] != bands[1] and known is not None
    return (*given[: -2 if several else -1], max(rows, asked[0][0]), max(columns, asked[1][0]))


def _diagonal(_: Node, inputs: list[Fact]) -> Shape | None:
    given = at(inputs, 0).shape
    return None if given is None else given + given


def _segmented(_: Node, inputs: list[Fact]) -> Shape | None:
    given, segments, count = at(inputs, 0).shape, at(inputs, 1).shape, at(inputs, 2).ints
    return None if given is None or segments is None or not count else (max(0, count[0]), *given[len(segments) :])


def _sampled(_: Node, inputs: list[Fact]) -> Shape | None:
    sizes, rates = at(inputs, 0).ints, at(inputs, 1).shape
    return None if sizes is None else (*_at_least_one(sizes), *(rates or ()))


def _patched(node: Node, inputs: list[Fact]) -> Shape | None:
    given, attributes = at(inputs, 0).shape, node.proto.attr
    sizes, steps = (tuple(attributes[key].list.i) if key in attributes else () for key in ("ksizes", "strides"))
    is_padded = "padding" in attributes and attributes["padding"].s == b"SAME"
    if given is None or not len(given) == len(sizes) == len(steps) == _IMAGES:
        return None
    lengths = (size if is_padded else size - taken + 1 for size, taken in zip(given, sizes, strict=True))
    places = [max(0, -(-length // max(1, step))) for length, step in zip(lengths, steps, strict=True)]
    return (places[0], places[1], places[2], given[3] * math.prod(sizes[1:3]))


def _convolved(node: Node, inputs: list[Fact]) -> Shape | None:
    given, kernel, attributes = at(inputs, 0).shape, at(inputs, 1).shape, node.proto.attr
    if given is None or kernel is None or len(given) != len(kernel) or len(kernel) < _IMAGES:
        return None
    axes = list(range(len(given)))
    if "data_format" in attributes and attributes["data_format"].s.startswith(b"NC"):
        axes = [0, *axes[2:], 1]
    is_padded = "padding" in attributes and attributes["padding"].s == b"SAME"
    found = [given[0]] * len(given)
    taken_by = [attributes[key].list.i[:MAX_RANK] if key in attributes else [] for key in ("strides", "dilations")]
    for axis, size in zip(axes[1:], kernel, strict=False):
        step, hole = (max(1, taken[axis]) if axis < len(taken) else 1 for taken in taken_by)
        length = given[axis] if is_padded else max(0, given[axis] - (size - 1) * hole)
        found[axis] = -(-length // step)
    found[axes[-1]] = kernel[-1] * (kernel[-2] if node.op == "DepthwiseConv2dNative" else 1)
    return tuple(found)


def _element(known: Shape, operand: Fact) -> Shape:
    """Return what is known of an element of a list: its shape there, or that which is asked for."""
    return max(known, _at_least_one(operand.ints or ()), key=math.prod)


def _stacked(node: Node, inputs: list[Fact]) -> Shape | None:
    items, element, attributes = at(inputs, 0).shape, at(inputs, 1), node.proto.attr
    count = attributes["num_elements"].i if "num_elements" in attributes else 0
    if element.ints is None or (items is None and count <= 0):
        return None
    return (*(items[:1] if items is not None else (count,)), *_element(items[1:] if items is not None else (), element))


def _rejoined(_: Node, inputs: list[Fact]) -> Shape | None:
    """Return the shape of the elements of a list one below the other, where it is said how long they are."""
    element, lengths = at(inputs, 1).ints, at(inputs, 2).ints
    return (sum(_at_least_one(lengths)), *_at_least_one(element[1:])) if element and lengths else None


def _reserved(_: Node, inputs: list[Fact]) -> Shape | None:
    count, element = at(inputs, 1).ints, at(inputs, 0).ints
    return None if not count else (max(0, count[0]), *_at_least_one(element or ()))


def _item(_: Node, inputs: list[Fact]) -> Shape | None:
    items = at(inputs, 0).shape
    return _element(items[1:], at(inputs, 2)) if items else None


def _items(_: Node, inputs: list[Fact]) -> Shape | None:
    items, indices, element = at(inputs, 0).shape, at(inputs, 1).shape, at(inputs, 2)
    return (
        None
        if indices is None or (not items and element.ints is None)
        else (*indices, *_element((items or (0,))[1:], element))
    )


def _array_items(node: Node, inputs: list[Fact]) -> Shape | None:
    """Return the shape of elements of an array, which are zeros where nothing was written."""
    indices, attributes = at(inputs, 1).shape, node.proto.attr
    element = declared_shape(attributes["element_shape"].shape) if "element_shape" in attributes else None
    return (*indices, *element) if indices is not None and element is not None else None


_SAME = (
    "Abs", "BiasAdd", "Cast", "CheckNumerics", "Cos", "Cumsum", "EnsureShape", "Erf", "Exp", "Floor", "Identity", "Log",
    "LogicalNot", "Neg", "OnesLike", "PreventGradient", "Relu", "ReverseV2", "Roll", "Round", "Rsqrt", "Sigmoid",
    "Sign", "Sin", "Snapshot", "Softmax", "Sqrt", "Square", "StopGradient", "Tanh", "ZerosLike",
    # and texts
    "AsString", "DecodeBase64", "EncodeBase64", "RegexReplace", "StaticRegexReplace", "StringLower", "StringStrip",
    "StringUpper", "Substr", "UnicodeTranscode",
)  # fmt: skip


def _sparsely_reduced(_: Node, inputs: list[Fact]) -> Shape | None:
    """Return the dense shape without the axes that are reduced, all of them if none is named."""
    sizes, axes = at(inputs, 2).ints, at(inputs, 3).ints
    if sizes is None or not axes:
        return None
    gone = {axis % len(sizes) for axis in axes} if sizes else set()
    return _at_least_one([size for axis, size in enumerate(sizes) if axis not in gone])


def _texts_joined(node: Node, inputs: list[Fact]) -> Shape | None:
    """Return the shape without the axes that are joined."""
    given, axes = at(inputs, 0).shape, at(inputs, 1).ints
    if given is None or axes is None:
        return None
    gone = {axis % len(given) for axis in axes} if given else set()
    keeps = _is_set(node, "keep_dims")
    return tuple([1 if axis in gone else n for axis, n in enumerate(given) if keeps or axis not in gone])


def _encoded(_: Node, inputs: list[Fact]) -> Shape | None:
    splits = at(inputs, 1).shape
    return (max(0, splits[0] - 1),) if splits else (1,)


SHAPES: dict[str, Callable[[Node, list[Fact]], Shape | None]] = {
    **dict.fromkeys(MULTIPLYING, _broadcast),
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"), _matrix_product),
    **dict.fromkeys(("Gather", "GatherV2"), _gathered),
    "MatrixDiag": _matrix_diagonal,
    **dict.fromkeys(("MatrixDiagV2", "MatrixDiagV3"), _on_diagonals),
    **dict.fromkeys(("Empty", "Fill", "RandomStandardNormal", "RandomUniform"), _valued(0)),
    "BroadcastTo": _valued(1),
    **dict.fromkeys(("Conv2D", "Conv3D", "DepthwiseConv2dNative"), _convolved),
    "Diag": _diagonal,
    "Einsum": _einsum,
    "ExpandDims": _expanded,
    "ExtractImagePatches": _patched,
    "OneHot": _one_hot,
    "ReduceJoin": _texts_joined,
    "Reshape": _reshaped,
    **dict.fromkeys(("SparseReduceMax", "SparseReduceSum"), _sparsely_reduced),
    **dict.fromkeys(("SerializeTensor", "StringFormat"), lambda _, __: ()),
    **dict.fromkeys(("StringSplit", "StringSplitV2", "UnicodeDecode", "UnicodeDecodeWithOffsets"), lambda _, __: (1,)),
    "StringJoin": _broadcast,
    **dict.fromkeys(("TensorArrayGather", "TensorArrayGatherV2", "TensorArrayGatherV3"), _array_items),
    "TensorListConcatV2": _rejoined,
    "TensorListGather": _items,
    "TensorListGetItem": _item,
    "TensorListReserve": _reserved,
    "TensorListSetItem": _same,
    "TensorListStack": _stacked,
    **dict.fromkeys(("RandomGamma", "RandomPoissonV2"), _sampled),
    "UnicodeEncode": _encoded,
    **dict.fromkeys((f"UnsortedSegment{kind}" for kind in ("Join", "Max", "Min", "Prod", "Sum")), _segmented),
}
"""How the shape of each op follows from its inputs; what `_exact` computes is asked first.

Source: op definitions of TensorFlow 2.21.
"""

_DECIDED = frozenset({"Maximum", "Mul", "SelectV2", "StringJoin"})
"""Ops whose output other inputs than the first one may decide."""
_READING = frozenset(
    [
        "Cumprod", "Cumsum", "GatherNd", "ListDiff", "Max", "Mean", "Min", "Prod", "Slice", "SplitV", "StridedSlice",
        "Sum", "TensorScatterUpdate", "TopKV2", "Transpose",
    ]
)  # fmt: skip
LED = _READING | (
    frozenset(op for op, rule in SHAPES.items() if rule in {_broadcast, _expanded, _gathered, _matrix_product, _same})
    - _DECIDED
    - {"TensorListSetItem"}
)
"""Ops of whose output nothing is known where nothing is known of their first input."""
