"""Layers of object graphs that no Keras writes: contradictions are left out, what has no end is not described."""

from __future__ import annotations

import json

import pytest
from artifacts import described

from safeload.inspection.saved_model import layers
from safeload.readers.protobuf import message_class

ROOT = 0


class Graph:
    """An object graph of Keras layers, built by hand."""

    def __init__(self):
        self.message = message_class("SavedModel")()
        self.nodes = self.message.meta_graphs.add().object_graph_def.nodes
        self.layer("root", "Functional")

    def layer(self, name, class_name="Dense", **record):
        return self.node(json.dumps({"name": name, "class_name": class_name, **record}), "_tf_keras_layer")

    def node(self, text="", identifier="_generic_user_object"):
        node = self.nodes.add()
        node.user_object.identifier, node.user_object.metadata = identifier, text
        return len(self.nodes) - 1

    def variable(self, *shape):
        node = self.nodes.add()
        node.variable.SetInParent()
        for size in shape:
            node.variable.shape.dim.add(size=size)
        return len(self.nodes) - 1

    def track(self, parent, kind, numbers):
        """Track *numbers* as the saver of Keras tracks layers and variables."""
        found = {child.local_name: child.node_id for child in self.nodes[parent].children}
        if "keras_api" not in found:
            found["keras_api"] = self.node()
            self.nodes[parent].children.add(local_name="keras_api", node_id=found["keras_api"])
        listed = self.node()
        self.nodes[found["keras_api"]].children.add(local_name=kind, node_id=listed)
        for position, number in enumerate(numbers):
            self.nodes[listed].children.add(local_name=str(position), node_id=number)
        return listed

    @property
    def root(self):
        return described(self.message).saved_model.root


def names(layer):
    return [(below.name, names(below)) for below in layer.layers]


@pytest.fixture
def graph():
    return Graph()


def test_names_and_classes(graph):
    """The name under which a class was registered is kept; a record without a class goes by the kind of the object."""
    scale = graph.layer("s", "pkg>Scale")
    unknown = graph.node("no json", "_tf_keras_rnn_layer")
    graph.track(ROOT, "layers", [scale, unknown])
    first, second = graph.root.layers
    assert (first.name, first.class_name, first.registered_name) == ("s", "Scale", "pkg>Scale")
    assert (second.name, second.class_name) == ("_tf_keras_rnn_layer", "_tf_keras_rnn_layer")
    assert (first.where, second.where) == ("root.layers[0]", "root.layers[1]")


def test_what_is_no_layer(graph):
    """Other objects in a list, other names than positions and references out of the graph are left out."""
    dense = graph.layer("d")
    listed = graph.track(ROOT, "layers", [graph.node(), 1000, -1, dense, dense])
    graph.nodes[listed].children.add(local_name="x", node_id=graph.layer("e"))
    assert names(graph.root) == [("d", [])]


def test_positions_are_numbers(graph):
    """The eleventh layer stands behind the third."""
    numbers = [graph.layer(f"l{position}") for position in range(12)]
    graph.track(ROOT, "layers", numbers)
    assert [layer.name for layer in graph.root.layers] == [f"l{position}" for position in range(12)]


def test_parameters(graph):
    """Variables count once; a shape that is not known leaves the count open, and so does a layer that tracks none."""
    weight = graph.variable(3, 4)
    graph.track(ROOT, "variables", [weight, weight, graph.variable(), graph.node()])
    inner, unknown = graph.layer("i"), graph.layer("u")
    graph.track(ROOT, "layers", [inner, unknown])
    graph.track(unknown, "variables", [graph.variable(-1, 2)])
    assert graph.root.parameter_count == 13
    assert [layer.parameter_count for layer in graph.root.layers] == [None, None]
    graph.nodes[weight].variable.shape.unknown_rank = True
    assert graph.root.parameter_count is None


def test_cycles(graph):
    """A layer that holds the model that holds it is not entered twice."""
    inner = graph.layer("inner")
    graph.track(ROOT, "layers", [inner, ROOT])
    graph.track(inner, "layers", [ROOT, inner])
    assert names(graph.root) == [("inner", [])]


def test_too_deep(graph):
    """Layers in layers without end are no tree."""
    above = ROOT
    for _ in range(200):
        inner = graph.layer("inner")
        graph.track(above, "layers", [inner])
        above = inner
    assert graph.root is None


@pytest.mark.parametrize("bound", ["_MAX_LAYERS", "_MAX_REFERENCES"])
def test_too_many(graph, monkeypatch, bound):
    """Layers that double at every level are no tree either, nor are lists without end."""
    monkeypatch.setattr(layers, bound, 100)
    above = ROOT
    for _ in range(30):
        pair = [graph.layer("a"), graph.layer("b")]
        graph.track(above, "layers", pair)
        below = graph.layer("c")
        for number in pair:
            graph.track(number, "layers", [below])
        above = below
    assert graph.root is None


@pytest.mark.parametrize(("text", "identifier"), [("", "_tf_keras_model"), ("{}", "_generic_user_object"), ("[", "x")])
def test_nothing_recorded(graph, text, identifier):
    """A root that is no layer of Keras, or without a record, has no tree."""
    root = graph.nodes[ROOT].user_object
    root.identifier, root.metadata = identifier, text
    assert graph.root is None


def test_no_objects():
    """A SavedModel of TensorFlow 1 has no object graph."""
    graph = Graph()
    del graph.nodes[:]
    assert graph.root is None
