"""Operations that TensorFlow would fuse into one that computes something else, or that it has no kernel for.

Layer: runtime.

With oneDNN, TensorFlow's optimizer of graphs makes one operation of several that follow one another. In some cases it
loses an attribute, or chooses a combination without a kernel. Between these, an operation is put that hands on what it
is given and that the optimizer has to leave where it is.

Source: tensorflow/core/grappler/optimizers/remapper.cc and what TensorFlow 2.16 to 2.21 return with and without it.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    # padding that a convolution has no place for: of examples and channels, and of one that pads itself
    "Conv2D": (frozenset({"Pad"}),),
    "Conv3D": (frozenset({"Pad"}),),
}
"""Op that a fusion ends with → ops before it, the nearest first."""

_HANDING_ON = frozenset({"Identity", "PreventGradient", "Snapshot", "StopGradient"})
"""Ops that the optimizer removes before it fuses."""


_NOT_SPATIAL = {b"NHWC": [0, 3], b"NCHW": [0, 1]}
"""``data_format`` of a Conv2D → the axes that are not spatial."""


class _Nodes:
    """NodeDefs of one graph or function; what comes from outside is None."""

    def __init__(self, nodes: Any) -> None:
        self.by_name = {node.name: node for node in nodes}

    def kind(self, node: Any) -> str:
        return str(node.op)

    def sources(self, node: Any) -> list[Any]:
        return [self.by_name.get(name.partition(":")[0]) for name in node.input if not name.startswith("^")]

    def value(self, constant: Any) -> Any:
        return tf.make_ndarray(constant.attr["value"].tensor)

    def layout(self, node: Any) -> bytes:
        return bytes(node.attr["data_format"].s) if "data_format" in node.attr else b"NHWC"


class _Operations:
    """Operations of a FuncGraph."""

    def kind(self, node: Any) -> str:
        return str(node.type)

    def sources(self, node: Any) -> list[Any]:
        return [tensor.op for tensor in node.inputs]

    def value(self, constant: Any) -> Any:
        return tf.make_ndarray(constant.get_attr("value"))

    def layout(self, node: Any) -> bytes:
        return bytes(node.get_attr("data_format"))


def keep_apart(nodes: Any, *, in_function: bool) -> None:
    """Put an operation between those of *nodes* that are not to be fused.

    Args:
        nodes: The NodeDefs of a graph or of a function; they are changed in place.
        in_function: True for a function, whose nodes take "node:output:0" where those of a graph take "node".
    """
    ends = [node for node in nodes if node.op in _FUSED]
    if not ends:
        return
    graph = _Nodes(nodes)
    for end in ends:
        for index in _fused_inputs(end, graph):
            name = f"{end.name}/kept_{index}"
            while name in graph.by_name:
                name += "_"
            kept = nodes.add(name=name, op="Identity", input=[end.input[index]], device=end.device)
            graph.by_name[name] = kept
            # A LeakyRelu without a type is one of floats.
            kept.attr["T"].type = end.attr["T"].type if "T" in end.attr else types_pb2.DT_FLOAT
            kept.attr[_KEPT].b = True
            end.input[index] = f"{name}:output:0" if in_function else name


def keep_apart_in(graph: Any) -> None:
    """Put an operation between those of *graph*, a FuncGraph that is being traced, that are not to be fused."""
    operations = _Operations()
    for end in graph.get_operations():
        if end.type in _FUSED:
            for index in _fused_inputs(end, operations):
                kept = tf.identity(end.inputs[index])
                kept.op._set_attr(_KEPT, attr_value_pb2.AttrValue(b=True))  # noqa: SLF001 - no public way
                end._update_input(index, kept)  # noqa: SLF001 - no public way


def _fused_inputs(end: Any, graph: _Nodes | _Operations) -> Iterator[int]:
    """Yield the inputs of *end* over which it would be fused, and should not be."""
    nearest, *farther = _FUSED[graph.kind(end)]
    for index, node in enumerate(_origins(end, graph)):
        if ("" if node is None else graph.kind(node)) in nearest:
            before = {graph.kind(source) for source in _origins(node, graph) if source is not None} if farther else ()
            if all(kinds & set(before) for kinds in farther) and not _pads_space_alone(node, end, graph):
                yield index


def _origins(node: Any, graph: _Nodes | _Operations) -> list[Any]:
    """Return the sources of *node*, or what they only hand on."""
    return [_origin(source, graph) for source in graph.sources(node)]


def _origin(node: Any, graph: _Nodes | _Operations) -> Any:
    passed: set[str] = set()
    while node is not None and graph.kind(node) in _HANDING_ON and node.name not in passed:
        passed.add(node.name)
        node = next(iter(graph.sources(node)), None)
    return node


def _pads_space_alone(node: Any, end: Any, graph: _Nodes | _Operations) -> bool:
    """Tell whether *node* pads what a Conv2D may pad itself."""
    if graph.kind(end) != "Conv2D":
        return False
    sizes = _origins(node, graph)[1:2]
    if not sizes or sizes[0] is None or graph.kind(sizes[0]) != "Const":
        return True  # only known sizes are fused
    paddings = graph.value(sizes[0])
    return paddings.shape == (4, 2) and not paddings[_NOT_SPATIAL[graph.layout(end)]].any()
