"""Object graphs that no release writes: they load without harm to the process, or are refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from saved_models import load, rewritten
from tensorflow.core.framework import attr_value_pb2

from safeload.errors import LoadFailedError


class Doubled(tf.Module):
    """A variable, a list, and a constant inside of the function."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(2.0)
        self.parts = [tf.Variable(3.0)]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def __call__(self, x: Any) -> Any:
        return x * self.w + tf.constant([1.0]) * self.parts[0]


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    path, module = tmp_path / "model", Doubled()
    tf.saved_model.save(module, str(path), signatures=module.__call__)
    return path


def _edit(path: Path, edit: Callable[[Any], None]) -> None:
    with rewritten(path) as message:
        edit(message.meta_graphs[0])


def _child(graph: Any, name: str) -> int:
    return next(child.node_id for child in graph.nodes[0].children if child.local_name == name)


def _answers(model: Any) -> bool:
    return np.asarray(model(np.float32([1, 2]))).tolist() == [5.0, 7.0]


def test_no_class_of_tensorflow_becomes_callable(doubled: Path) -> None:
    """Calling a variable would be calling any: TensorFlow sets such an attribute on the class."""

    def call_variable(meta_graph: Any) -> None:
        graph = meta_graph.object_graph_def
        for owner in (_child(graph, "w"), _child(graph, "parts")):
            graph.nodes[owner].children.add(local_name="__call__", node_id=_child(graph, "__call__"))

    _edit(doubled, call_variable)
    model = load(doubled)
    assert _answers(model)
    assert callable(model.model)
    assert not callable(model.model.w)
    assert not callable(model.model.parts)


@pytest.mark.parametrize("position", ["20000000", "9" * 5000, "-1", "first"])
def test_positions_of_lists_are_bounded(doubled: Path, position: str) -> None:
    """A short name does not make a long list; what is called has no need of it."""

    def move(meta_graph: Any) -> None:
        graph = meta_graph.object_graph_def
        graph.nodes[_child(graph, "parts")].children[0].local_name = position

    _edit(doubled, move)
    model = load(doubled)
    with pytest.raises(LoadFailedError, match="a list has an object at position"):
        _ = model.model


@pytest.mark.parametrize("op", ["Const", "ReadVariableOp"])
def test_missing_attributes_do_not_end_the_process(doubled: Path, op: str) -> None:
    """TensorFlow's optimizer takes it for granted that a node is complete."""

    def forget(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == op:
                    node.attr.pop({"Const": "value"}.get(op, "dtype"))

    _edit(doubled, forget)
    with pytest.raises(LoadFailedError, match="NodeDef missing attr"):
        load(doubled)


def test_wrong_attributes_do_not_end_the_process(doubled: Path) -> None:
    """Kernels take it for granted that their types are among those that the op allows."""

    def change(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "Mul":
                    node.attr["T"].type = tf.string.as_datatype_enum

    _edit(doubled, change)
    with pytest.raises(LoadFailedError, match="not in the list of allowed values"):
        load(doubled)


@pytest.mark.parametrize(
    ("op", "key", "value", "message"),
    [
        ("Pack", "N", {"i": 0}, "must be at least minimum 1"),
        ("Softplus", "T", {"type": tf.string.as_datatype_enum}, "not in the list of allowed values"),
        ("MaxPool", "padding", {"s": b"x"}, "not in the list of allowed values"),
        ("MaxPool", "ksize", {"list": {"i": [1]}}, "must be at least minimum 4"),
    ],
)
def test_attributes_out_of_bounds_do_not_end_the_process(
    doubled: Path, op: str, key: str, value: Any, message: str
) -> None:
    """The optimizer takes it for granted that attributes are what the op allows."""
    window = attr_value_pb2.AttrValue.ListValue(i=[1, 1, 1, 1])

    def add(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            for node in [node for node in function.node_def if node.op == "Mul"]:
                odd = function.node_def.add(name=f"{node.name}_odd", op=op, input=node.input[: op != "Pack"])
                odd.attr["T"].CopyFrom(node.attr["T"])
                if op == "MaxPool":
                    odd.attr["padding"].s = b"SAME"
                    odd.attr["ksize"].list.CopyFrom(window)
                    odd.attr["strides"].list.CopyFrom(window)
                odd.attr[key].CopyFrom(attr_value_pb2.AttrValue(**value))

    _edit(doubled, add)
    with pytest.raises(LoadFailedError, match=message):
        load(doubled)


@pytest.mark.parametrize("key", ["serving_default", "__call__"])
def test_root_that_is_a_function(doubled: Path, key: str) -> None:
    """Where the root is none, the graph answers; what only objects could answer fails with an explanation."""

    def turn(meta_graph: Any) -> None:
        root = meta_graph.object_graph_def.nodes[0]
        wrapper = next(n for n in meta_graph.object_graph_def.nodes if n.bare_concrete_function.argument_keywords)
        root.bare_concrete_function.CopyFrom(wrapper.bare_concrete_function)
        for node in meta_graph.object_graph_def.nodes:
            node.saveable_objects["k"].SetInParent()  # so that nothing is left to the direct route

    _edit(doubled, turn)
    if key == "serving_default":
        assert _answers(load(doubled, signature=key))
    else:
        with pytest.raises(LoadFailedError):
            load(doubled, signature=key)


def test_signatures_that_are_no_map(doubled: Path) -> None:
    """An attribute of that name may be anything."""

    def turn(meta_graph: Any) -> None:
        graph = meta_graph.object_graph_def
        graph.nodes[_child(graph, "signatures")].user_object.identifier = "_generic_user_object"
        graph.nodes[_child(graph, "w")].saveable_objects["k"].SetInParent()

    _edit(doubled, turn)
    assert _answers(load(doubled))


@pytest.mark.parametrize("name", ["w", "parts", "__call__"])
def test_signature_that_is_none(doubled: Path, name: str) -> None:
    """An entry of the map may be a variable, a list, or a function that returns no dict."""

    def turn(meta_graph: Any) -> None:
        graph = meta_graph.object_graph_def
        graph.nodes[_child(graph, "signatures")].children[0].node_id = _child(graph, name)

    _edit(doubled, turn)
    model = load(doubled)
    assert model.model is not None  # loads the objects, after which nothing is left to the direct route
    assert _answers(model)


@pytest.mark.parametrize("has_objects", [False, True])
def test_signature_of_other_names(doubled: Path, *, has_objects: bool) -> None:
    """The SignatureDef says how inputs are called, whatever the function in the map takes."""

    def rename(meta_graph: Any) -> None:
        inputs = meta_graph.signature_def["serving_default"].inputs
        inputs["other name"].CopyFrom(inputs.pop("x"))

    _edit(doubled, rename)
    model = load(doubled)
    assert not has_objects or model.model is not None
    assert np.asarray(model({"other name": np.float32([1, 2])})).tolist() == [5.0, 7.0]
