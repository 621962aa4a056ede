"""Files that TensorFlow would open while it imports a graph. Layer: runtime.

To infer shapes, TensorFlow computes what follows from constants as it imports a graph, whether anything reaches it or
not; two ops that read files are stateless, and computed as well. What is left of a training pipeline is allowed to hold
them, so they are made to wait for an input that never comes.

Source: `EvaluateConstantTensor` in tensorflow/core/common_runtime/eval_const_tensor.cc (TensorFlow 2.21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from safeload.inspection.graph.info import MAIN, GraphInfo, reference_producer

if TYPE_CHECKING:
    from collections.abc import Iterator

STATELESS_READERS = ("MatchingFiles", "ReadFile")
"""Stateless ops of the class ``file-read`` that the policy may leave in a graph."""


def close_files(definition: meta_graph_pb2.MetaGraphDef, graph: GraphInfo) -> None:
    """Make *definition*, of which *graph* are the facts, open no file when it is imported."""
    readers = list(graph.nodes(*STATELESS_READERS))
    if not readers:
        return
    unreached = {(node.body, node.name) for node in readers if not graph.reached(node)}
    for name, nodes in bodies(definition):
        for node in list(nodes):
            if (name, node.name) in unreached:
                waiting = nodes.add(name=f"{node.name}/left_behind", op="Placeholder")
                waiting.attr["dtype"].type = types_pb2.DT_STRING
                node.input[:1] = [waiting.name if name == MAIN else f"{waiting.name}:output:0"]
    _empty_paths(definition, {reference_producer(tensor) for tensor in graph.assets})


def bodies(definition: meta_graph_pb2.MetaGraphDef) -> Iterator[tuple[str, Any]]:
    """Yield the nodes of the graph, under the name `MAIN`, and of each function."""
    yield MAIN, definition.graph_def.node
    yield from ((function.signature.name, function.node_def) for function in definition.graph_def.library.function)


def _empty_paths(definition: meta_graph_pb2.MetaGraphDef, names: set[str]) -> None:
    """Forget the paths that stood for assets when the graph was saved; loading feeds others."""
    for node in definition.graph_def.node:
        if node.name in names and node.op == "Const":
            node.attr["value"].tensor.ClearField("tensor_content")
            node.attr["value"].tensor.string_val[:] = [b""]
