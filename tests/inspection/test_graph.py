"""Tests of the facts about graphs."""

from __future__ import annotations

from typing import Any

import pytest
from hostile.graphs import benign
from hostile.nodes import Func, bodies, call, function, meta_graph, node, simple, text

from safeload.errors import MalformedArtifactError
from safeload.inspection.graph.bodies import MAX_ALIKE
from safeload.inspection.graph.info import MAIN, Capture, EntryKind, inspect_graph
from safeload.readers.protobuf import message_class


def _kinds(made: Any, function_name: str) -> set[str]:
    return {kind.value for kind in inspect_graph(made).function_reach.get(function_name, ())}


def test_bodies_hold_every_node() -> None:
    """The graph itself and every function are bodies, with all of their nodes."""
    graph = inspect_graph(benign())
    assert {name: len(body.nodes) for name, body in graph.bodies.items()} == {
        name: len(nodes) for name, nodes in bodies(benign()).items()
    }
    assert graph.bodies["call"].arguments == ("x", "v")
    assert graph.bodies["body"].returns == ("add:z:0", "x")


def test_functions_are_reached_by_who_starts_them() -> None:
    """Signatures, objects, initialisers and the saver reach what they call, however deep."""
    made = benign()
    assert _kinds(made, "deep") == {"signature", "function"}
    assert _kinds(made, "wrapper") == {"signature"}
    assert _kinds(made, "initializer") == {"initializer"}
    assert _kinds(made, "creator") == {"initializer"}
    assert _kinds(made, "traced_save") == {"save"}
    assert _kinds(made, "traced_restore") == {"restore"}
    assert _kinds(made, "forgotten") == set()


def test_nodes_of_the_main_graph_are_reached_from_fetches_to_feeds() -> None:
    """What computes a tensor that a signature feeds does not run."""
    made = meta_graph([node("file", "Const"), node("x", "ReadFile", "file"), node("y", "Relu", "x"), node("z", "NoOp")])
    graph = inspect_graph(made)
    reached = {n.name: bool(graph.reached(n)) for n in graph.nodes(*graph.by_op)}
    assert reached == {"file": False, "x": False, "y": True, "z": False}


def test_other_outputs_of_a_fed_node_make_it_run() -> None:
    """Feeding one output of a node does not stop it when another one is used."""
    made = meta_graph([node("x", "IteratorGetNext"), node("y", "AddV2", "x", "x:1")])
    graph = inspect_graph(made)
    assert graph.reached(graph.bodies[MAIN].by_name["x"])


def test_signatures_with_many_sets_of_inputs() -> None:
    """Beyond a bound, signatures are taken to feed nothing, which reaches more and not less."""
    made = meta_graph([node("x", "Placeholder"), node("y", "Relu", "x")])
    for index in range(70):
        made.signature_def[f"s{index}"].inputs["a"].name = f"a{index}:0"
        made.signature_def[f"s{index}"].outputs["y"].name = "y:0"
    assert set(inspect_graph(made).main_reach) == {"x", "y"}


def test_composite_tensors_are_entries() -> None:
    """The parts of sparse and composite tensors are fetched."""
    made = meta_graph([node(n, "NoOp") for n in ("v", "i", "s", "c")])
    outputs = made.signature_def["serving_default"].outputs
    outputs["sparse"].coo_sparse.values_tensor_name = "v:0"
    outputs["sparse"].coo_sparse.indices_tensor_name = "i:0"
    outputs["sparse"].coo_sparse.dense_shape_tensor_name = "s:0"
    outputs["ragged"].composite_tensor.components.add().name = "c:0"
    outputs["nothing"].SetInParent()
    assert set(inspect_graph(made).main_reach) == {"v", "i", "s", "c"}


def test_init_signature_is_an_initialiser() -> None:
    """The bookkeeping signature of TensorFlow 2 runs at loading."""
    made = meta_graph([node("init", "NoOp")])
    made.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    assert inspect_graph(made).main_reach == {"init": frozenset({EntryKind.INITIALIZER})}


def test_calls_are_found_in_attributes_at_any_depth() -> None:
    """Functions in lists, in attributes of functions, and functions used as ops are calls; others are absent."""
    made = simple(
        node("n", "Case", "x", branches=[Func("a", {"deeper": Func("b")}), Func("nowhere"), Func("")]),
        node("f", "c", "x"),
        functions=[function(name, ["x"], ["x"]) for name in "abc"],
    )
    nodes = inspect_graph(made).bodies["serve"].by_name
    assert nodes["n"].calls == ("a", "b")
    assert nodes["n"].absent == ("nowhere",)
    assert nodes["f"].calls == ("c",)


def test_related_functions_are_reached() -> None:
    """Gradients, forward and backward functions, and other implementations of an interface may run."""
    made = simple(
        functions=[
            function("gradient", [], []),
            function("registered", [], []),
            function("outer", [], [], forward_function_name="forward", api_implements="i"),
            function("forward", [], []),
            function("other", [], [], forward_function_name="forward", api_implements="i"),
        ]
    )
    bodies(made)["serve"].append(call("o", "outer"))
    made.graph_def.library.gradient.add(function_name="serve", gradient_func="gradient")
    made.graph_def.library.registered_gradients.add(gradient_func="registered", registered_op_type="g")
    for name in ("gradient", "registered", "forward", "other"):
        assert _kinds(made, name)


def test_calls_of_implementations() -> None:
    """A call is one of each function that TensorFlow may call instead; those of gradients are told apart."""
    parts = {"other": {}, "forward": {"backward_function_name": "b"}, "backward": {"forward_function_name": "f"}}
    alike = [function(name, [], [], api_implements="i", **attributes) for name, attributes in parts.items()]
    made = simple(call("c", "called"), functions=[function("called", [], [], api_implements="i"), *alike])
    graph = inspect_graph(made)
    assert graph.bodies["serve"].by_name["c"].calls == ("called", "other")
    assert [node.name for node in graph.callers["other"]] == ["c"]
    assert not graph.callers.keys() & {"forward", "backward"}
    assert not graph.duplicates
    made.graph_def.library.function.extend(function(f"f{i}", [], [], api_implements="i") for i in range(MAX_ALIKE))
    graph = inspect_graph(made)
    assert graph.bodies["serve"].by_name["c"].calls == ("called",)
    assert graph.duplicates == ("i",)


def test_saveable_objects_are_savers() -> None:
    """The functions of a saveable object are started by saving and restoring, which saves first, and by nobody else."""
    made = meta_graph(functions=[function("s", [], []), function("r", [], [])])
    objects = made.object_graph_def
    objects.nodes.add().saveable_objects["k"].save_function = 1
    objects.nodes[0].saveable_objects["k"].restore_function = 2
    for name in "sr":
        objects.nodes.add().function.concrete_functions.append(name)
        objects.concrete_functions[name].SetInParent()
    objects.nodes.add().bare_concrete_function.concrete_function_name = "s"
    objects.nodes[1].children.add(node_id=3, local_name="trace_0")
    assert (_kinds(made, "s"), _kinds(made, "r")) == ({"save", "restore"}, {"restore"})


@pytest.mark.parametrize(("owner", "is_offered"), [("layer", False), ("signatures", True), (None, True)])
def test_steps_of_learning_are_offered_to_nobody(owner: str | None, is_offered: bool) -> None:
    """What a layer inside of the model learned with is no entry, unless the model or its signatures have it as well."""
    made = meta_graph(functions=[function("step", [], [])])
    objects = made.object_graph_def
    objects.nodes.add().user_object.identifier = "model"
    objects.nodes.add().user_object.identifier = "_tf_keras_layer"
    objects.nodes.add().function.concrete_functions.append("step")
    objects.concrete_functions["step"].SetInParent()
    if owner is not None:
        objects.nodes[0].children.add(node_id=1, local_name=owner)
    objects.nodes[1 if owner else 0].children.add(node_id=2, local_name="_adapt_function")
    assert _kinds(made, "step") == ({"function"} if is_offered else set())
    objects.nodes[0].children.add(node_id=2, local_name="f")
    assert _kinds(made, "step") == {"function"}


def test_function_that_many_objects_have() -> None:
    """The traces of a function are not gone through again for each object that it is an attribute of."""
    made = meta_graph(functions=[function("f29999", [], [])])
    objects = made.object_graph_def
    objects.nodes.add()
    objects.nodes.add().function.concrete_functions.extend(f"f{index}" for index in range(30_000))
    for index in range(30_000):
        objects.nodes[0].children.add(node_id=1, local_name=f"a{index}")
        objects.nodes.add().saveable_objects["k"].save_function = 1
    assert _kinds(made, "f29999") == {"function", "save", "restore"}


def test_captures_name_assets_and_constants() -> None:
    """The last arguments of a function are bound to objects, of which assets and constants are known."""
    made = meta_graph(functions=[function("f", ["x", "asset", "constant", "variable", "nothing"], [])])
    objects = made.object_graph_def
    objects.nodes.add().asset.asset_file_def_index = 0
    objects.nodes.add().constant.operation = "Const"
    objects.nodes.add().variable.name = "v"
    objects.concrete_functions["f"].bound_inputs.extend([0, 1, 2, 9])
    made.asset_file_def.add(filename="vocab.txt")
    graph = inspect_graph(made)
    assert {name: graph.capture("f", name) for name in ("x", "asset", "constant", "variable", "nothing")} == {
        "x": None,
        "asset": Capture(asset="vocab.txt"),
        "constant": Capture(node="Const"),
        "variable": Capture(),
        "nothing": Capture(),
    }


def test_captures_are_bound_to_objects_that_exist() -> None:
    """An asset without a definition is none."""
    made = meta_graph(functions=[function("f", ["a"], [])])
    made.object_graph_def.nodes.add().asset.asset_file_def_index = 3
    made.object_graph_def.nodes[0].children.add(node_id=77, local_name="nothing")
    made.object_graph_def.concrete_functions["f"].bound_inputs.append(0)
    assert inspect_graph(made).capture("f", "a") == Capture()


def test_functions_with_list_arguments_have_no_known_arguments() -> None:
    """An argument that stands for several tensors shifts all others, so none is known."""
    made = simple(functions=[function("f", ["many", "file"], [])])
    made.graph_def.library.function[1].signature.input_arg[0].number_attr = "N"
    assert inspect_graph(made).bodies["f"].arguments == ()


def test_assets_of_old_releases_are_found() -> None:
    """TensorFlow 1 kept assets in a collection; what is no asset in there is left out."""
    made = meta_graph([text("path", "x")])
    asset = message_class("AssetFileDef")(filename="vocab.txt")
    asset.tensor_info.name = "path:0"
    values = made.collection_def["saved_model_assets"].any_list.value
    values.add().Pack(asset)
    values.add(type_url="type.googleapis.com/tensorflow.Other")
    assert inspect_graph(made).assets == {"path:0": "vocab.txt"}
    values.add(type_url="type.googleapis.com/tensorflow.AssetFileDef", value=b"\xff")
    with pytest.raises(MalformedArtifactError, match="collection saved_model_assets"):
        inspect_graph(made)
    made.asset_file_def.add(filename="newer.txt").tensor_info.name = "path:0"
    assert inspect_graph(made).assets == {"path:0": "newer.txt"}
