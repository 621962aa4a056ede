"""Tests of the inputs that SignatureDefs get which they do not declare."""

from __future__ import annotations

import pytest
from graphs_by_hand import graph

from safeload.readers.saved_model.inputs import complete_signatures

NODES = (
    "x Placeholder",
    "keep_prob Placeholder",
    "label Placeholder",
    "h Mul x keep_prob",
    "y Relu h",
    "loss Sub y label",
)


def declared(outputs, *nodes, inputs=("x",), key="serving_default"):
    """Make a graph with one SignatureDef, whose inputs are keys or pairs of a key and a tensor."""
    meta_graph = graph(*(nodes or NODES))
    signature = meta_graph.signature_def[key]
    for name in inputs:
        key, tensor = (name, f"{name}:0") if isinstance(name, str) else name
        signature.inputs[key].name = tensor
    for index, name in enumerate(outputs):
        signature.outputs[f"output_{index}"].name = name
    return meta_graph, signature


@pytest.mark.parametrize(
    ("outputs", "inputs", "added"),
    [
        (["y:0"], ["x"], {"keep_prob": "keep_prob:0"}),
        (["loss:0"], ["x"], {"keep_prob": "keep_prob:0", "label": "label:0"}),
        (["y:0"], ["x", "keep_prob"], {}),
        (["y:0"], ["x", ("rate", "keep_prob")], {}),
        (["y:0"], [("h", "h:0")], {}),
        (["y:0"], ["x", ("keep_prob", "label:0")], {"keep_prob:0": "keep_prob:0"}),
        (["loss"], ["x"], {}),
        (["gone:0"], ["x"], {}),
    ],
)
def test_inputs_that_a_signature_leaves_out(outputs, inputs, added):
    """What an output needs beside what is fed is an input, too; an operation among the outputs is not fetched."""
    meta_graph, signature = declared(outputs, inputs=inputs)
    known = set(signature.inputs)
    assert complete_signatures(meta_graph) == bool(added)
    assert {key: info.name for key, info in signature.inputs.items() if key not in known} == added
    assert not added or signature.inputs[min(added)].dtype == 1


def test_placeholders_that_only_come_before():
    """A session wants a value of what a node merely waits for, and none of a placeholder with a default."""
    meta_graph, signature = declared(["y:0"], "x Placeholder", "c Const", "r PlaceholderWithDefault c", "y Relu r ^x")
    complete_signatures(meta_graph)
    assert sorted(signature.inputs) == ["x"]
    meta_graph, signature = declared(["y:0"], "x Placeholder", "c Const", "y Relu c ^x", inputs=())
    complete_signatures(meta_graph)
    assert sorted(signature.inputs) == ["x"]


def test_composite_tensors_of_signatures():
    """Their parts are fed and fetched."""
    meta_graph, signature = declared(["y:0"], "v Placeholder", "i Placeholder", "s Placeholder", "y Relu v", inputs=())
    sparse = signature.inputs["sparse"].coo_sparse
    sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name = "v:0", "i:0", "s:0"
    signature.outputs["nothing"].dtype = 1
    for name in "is":
        signature.outputs["ragged"].composite_tensor.components.add(name=f"{name}:0")
    assert not complete_signatures(meta_graph)
    del signature.inputs["sparse"]
    assert complete_signatures(meta_graph)
    assert sorted(signature.inputs) == ["i", "s", "v"]


def test_signatures_that_are_left_as_they_are():
    """Functions answer where there are objects; what names an op to run has no inputs; many signatures cost time."""
    meta_graph, _ = declared(["y:0"], key="__saved_model_train_op")
    assert not complete_signatures(meta_graph)
    meta_graph, _ = declared(["y:0"])
    meta_graph.object_graph_def.nodes.add()
    assert not complete_signatures(meta_graph)
    meta_graph, signature = declared(["y:0"])
    for index in range(100):
        meta_graph.signature_def[f"s{index:03}"].CopyFrom(signature)
    assert complete_signatures(meta_graph)
    completed = [key for key, found in meta_graph.signature_def.items() if "keep_prob" in found.inputs]
    assert sorted(completed) == [f"s{index:03}" for index in range(64)]


def test_tensors_with_two_names():
    """A session takes one value for a tensor: under its own name if it is one of them, or else the first."""
    inputs = ["x", ("a", "x:0"), ("first", "label:0"), ("second", "label:0"), "keep_prob"]
    meta_graph, signature = declared(["loss:0"], inputs=inputs)
    assert complete_signatures(meta_graph)
    assert sorted(signature.inputs) == ["first", "keep_prob", "x"]
    assert not complete_signatures(meta_graph)
