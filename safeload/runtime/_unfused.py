"""Operations that TensorFlow would fuse into one that computes something else, or that it has no kernel for.

Layer: runtime.

With oneDNN, TensorFlow's optimizer of graphs makes one operation of several that follow one another. In some cases it
loses an attribute, or chooses a combination without a kernel. Between these, an operation is put that hands on what it
is given and that the optimizer has to leave where it is.

Source: tensorflow/core/grappler/optimizers/remapper.cc and what TensorFlow 2.16 to 2.21 return with and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, types_pb2

_KEPT = "_grappler_do_not_remove"
"""Attribute of operations that the optimizer neither removes nor fuses. Source: grappler_item.cc."""

_ADDITIONS = frozenset({"Add", "AddV2"})
_BATCH_NORMALIZATIONS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
_ELSEWHERE = frozenset({"", "PartitionedCall", "StatefulPartitionedCall"})
"""Arguments and calls: TensorFlow puts functions into those that call them before it optimizes."""

_FUSED = {
    # convolution + bias + addition: the slope is taken for 0.2
    "LeakyRelu": (_ADDITIONS | _ELSEWHERE,),
    # convolution + normalization, or + bias + addition, of x * tanh(softplus(x)): no kernel
    "Softplus": (_ADDITIONS | _BATCH_NORMALIZATIONS | _ELSEWHERE,),
    # convolution + normalization: no kernel
    "Tanh": (_BATCH_NORMALIZATIONS | _ELSEWHERE,),
    # layer normalization with constants for gamma and beta: epsilon is taken for 0.001
    "Rsqrt": (_ADDITIONS, frozenset({"Mean"})),
    # max(x, a * x) is taken for a LeakyRelu, also if a is greater than 1
    "Maximum": (frozenset({"Mul"}), frozenset({"Const"})),
}
"""Op that a fusion ends with → ops before it, the nearest first."""

_HANDING_ON = frozenset({"Identity", "PreventGradient", "Snapshot", "StopGradient"})
"""Ops that the optimizer removes before it fuses."""


def keep_apart(nodes: Any, *, in_function: bool) -> None:
    """Put an operation between those of *nodes* that are not to be fused.

    Args:
        nodes: The NodeDefs of a graph or of a function; they are changed in place.
        in_function: True for a function, whose nodes take "node:output:0" where those of a graph take "node".
    """
    ends = [node for node in nodes if node.op in _FUSED]
    if not ends:
        return
    by_name = {node.name: node for node in nodes}

    def sources(node: Any) -> list[Any]:
        return [by_name.get(name.partition(":")[0]) for name in node.input if not name.startswith("^")]

    for end in ends:
        for index in _fused_inputs(end, lambda node: node.op, sources):
            name = f"{end.name}/kept_{index}"
            while name in by_name:
                name += "_"
            by_name[name] = kept = nodes.add(name=name, op="Identity", input=[end.input[index]], device=end.device)
            # A LeakyRelu without a type is one of floats.
            kept.attr["T"].type = end.attr["T"].type if "T" in end.attr else types_pb2.DT_FLOAT
            kept.attr[_KEPT].b = True
            end.input[index] = f"{name}:output:0" if in_function else name


def keep_apart_in(graph: Any) -> None:
    """Put an operation between those of *graph*, a FuncGraph that is being traced, that are not to be fused."""
    for end in graph.get_operations():
        if end.type not in _FUSED:
            continue
        for index in _fused_inputs(end, lambda node: node.type, lambda node: [tensor.op for tensor in node.inputs]):
            kept = tf.identity(end.inputs[index])
            kept.op._set_attr(_KEPT, attr_value_pb2.AttrValue(b=True))  # noqa: SLF001 - no public way
            end._update_input(index, kept)  # noqa: SLF001 - no public way


def _fused_inputs(end: Any, kind: Callable[[Any], str], sources: Callable[[Any], Sequence[Any]]) -> Iterator[int]:
    """Yield the inputs of *end* over which it would be fused; a source outside of the body is None."""

    def origin(node: Any) -> Any:
        passed: set[str] = set()
        while node is not None and kind(node) in _HANDING_ON and node.name not in passed:
            passed.add(node.name)
            node = next(iter(sources(node)), None)
        return node

    nearest, *farther = _FUSED[kind(end)]
    for index, node in enumerate(map(origin, sources(end))):
        if ("" if node is None else kind(node)) in nearest:
            before = {kind(source) for source in map(origin, sources(node)) if source is not None} if farther else set()
            if all(before & kinds for kinds in farther):
                yield index
