"""Rules about constants of a shape that no tensor has, or that no operand of their op has. Layer: policy.

TensorFlow infers no shapes in functions before its optimizer folds constants there, and that takes for granted what
inference would have held: of others it ends the process.

Source: tensorflow/core/grappler/optimizers/constant_folding.cc (2.21).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from safeload.policy._finding import Finding, Severity
from safeload.policy.graph._constants._fact import MAX_RANK, NOTHING, SURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._fact import Fact
    from safeload.policy.graph._subject import Subject

_MOST_ELEMENTS = (1 << 63) - 1
_SAME_RANK = frozenset({"Cast", "Identity", "Neg", "PreventGradient", "Snapshot", "StopGradient"})
_TELLING = frozenset({"BroadcastTo", "Const", "Fill", "Reshape"})
"""Ops whose output has the rank that its fact says, wherever there is one."""
_RANKS: dict[str, tuple[tuple[int, int], ...]] = {
    **dict.fromkeys(("Concat", "Split"), ((0, 0),)),
    **dict.fromkeys(
        [
            "AvgPoolGrad", "Conv2DBackpropInput", "DepthwiseConv2dNativeBackpropInput", "Empty", "InvertPermutation",
            "RandomStandardNormal", "RandomUniform", "TruncatedNormal",
        ],
        ((0, 1),),
    ),
    **dict.fromkeys(("ArgMax", "ArgMin", "OneHot", "TopKV2"), ((1, 0),)),
    **dict.fromkeys(
        [
            "BatchToSpaceND", "BroadcastTo", "Conv2DBackpropFilter", "DepthwiseConv2dNativeBackpropFilter", "IRFFT",
            "IRFFT2D", "IRFFT3D", "RFFT", "RFFT2D", "RFFT3D", "Reshape", "ResizeBicubic", "ResizeBilinear",
            "ResizeNearestNeighbor", "ReverseV2", "SpaceToBatchND", "Tile", "Transpose", "UnravelIndex",
        ],
        ((1, 1),),
    ),
    **dict.fromkeys(("BroadcastArgs", "BroadcastGradientArgs"), ((0, 1), (1, 1))),
    **dict.fromkeys(
        ("FakeQuantWithMinMaxVars", "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4"), ((1, 0), (2, 0))
    ),
    **dict.fromkeys(("LinSpace", "Range"), ((0, 0), (1, 0), (2, 0))),
    **dict.fromkeys(("MirrorPad", "Pad", "PadV2"), ((1, 2),)),
    "ConcatV2": ((-1, 0),),
    "Fill": ((0, 1), (1, 0)),
    "GatherV2": ((2, 0),),
    "QuantizeAndDequantizeV3": ((1, 0), (2, 0), (3, 0)),
    "ScatterNd": ((2, 1),),
    "Slice": ((1, 1), (2, 1)),
    "SplitV": ((1, 1), (2, 0)),
    "StridedSlice": ((1, 1), (2, 1), (3, 1)),
}  # fmt: skip
"""Operands that have one rank alone: their places and ranks.

Source: shape functions in tensorflow/core/ops (2.21), and kernels of ``SplitV`` and ``Transpose``.
"""
_AS_LONG = frozenset({"Slice", "StridedSlice"})
"""Ops whose operands of one rank are as long as each other."""


def impossible_constants(subject: Subject) -> Iterator[Finding]:
    """Find constants whose shape is that of no tensor.

    Source: ``CompressTensorProtoInPlace`` in tensorflow/core/framework/tensor_util.cc (2.21).
    """
    for node, tensor in subject.constants:
        if not _is_possible(tensor.tensor_shape):
            yield _finding(subject, node, "has a shape that no tensor has")


def _is_possible(shape: Any) -> bool:
    if not shape.dim:  # most are scalars
        return not shape.unknown_rank
    if shape.unknown_rank or len(shape.dim) > MAX_RANK:
        return False
    sizes: list[int] = [dim.size for dim in shape.dim]
    return min(sizes) >= 0 and math.prod(filter(None, sizes)) <= _MOST_ELEMENTS


def mistaken_operands(subject: Subject) -> Iterator[Finding]:
    """Find operands that follow from constants, and have a rank that they cannot have."""
    for node in subject.graph.nodes(*filter(_RANKS.__contains__, subject.graph.by_op)):
        attributes, ranks = node.proto.attr, dict(_RANKS[node.op])
        if "axis" in attributes and attributes["axis"].i >= 0:
            continue  # what is quantized along an axis has a range for each place
        found = {place: _known(subject, node, place) for place in ranks}
        shapes = {place: fact.shape for place, fact in found.items() if fact.shape is not None}
        wrong = [place for place, shape in shapes.items() if len(shape) != ranks[place]]
        lengths = {fact.shape for fact in found.values() if fact.is_whole}
        if wrong:
            rank = len(shapes[wrong[0]])
            yield _finding(subject, node, f"has an operand of rank {rank} where it takes one of {ranks[wrong[0]]}")
        elif node.op in _AS_LONG and len(lengths) > 1:
            yield _finding(subject, node, "has operands that are not as long as each other")


def _known(subject: Subject, node: Node, place: int) -> Fact:
    """Return what is known for certain of an operand of *node*."""
    references = [reference for reference in node.inputs if not reference.startswith("^")][place:][:1]
    sites = subject.facts.sites
    found = [sites.through(sites.find(node.body, reference), _SAME_RANK) for reference in references]
    facts = [subject.facts.of(site) for site in found if site is not None and site.node.op in _TELLING]
    return facts[0] if facts and facts[0].doubt == SURE else NOTHING


def _finding(subject: Subject, node: Node, message: str) -> Finding:
    return subject.finding(node, rule="constant-shape", severity=Severity.UNEXAMINED, message=message)
