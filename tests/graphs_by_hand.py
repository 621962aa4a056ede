"""Graphs as TensorFlow 1 left them behind, from a line of text for each node."""

from __future__ import annotations

from safeload.readers.protobuf import message_class

NODES = ("x Placeholder", "y Relu x")


def graph(*nodes, producer=100):
    """Make a MetaGraph of nodes written as ``"name Op input input"``; floats everywhere."""
    meta_graph = message_class("MetaGraphDef")()
    meta_graph.graph_def.versions.producer = producer
    for text in nodes:
        name, op, *inputs = text.split()
        node = meta_graph.graph_def.node.add(name=name, op=op, input=inputs)
        node.attr["T"].type = 1
        if op.startswith("Placeholder"):
            node.attr["dtype"].type = 1
    return meta_graph


def frozen(*nodes):
    """Make a GraphDef."""
    return graph(*(nodes or NODES)).graph_def


def meta(*nodes, version="1.15.5"):
    """Make a MetaGraph of a release of TensorFlow."""
    meta_graph = graph(*(nodes or NODES))
    meta_graph.meta_info_def.tensorflow_version = version
    return meta_graph
