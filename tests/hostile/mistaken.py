"""MetaGraphs with a part that passes for a harmless one: one name for two tensors, one place for two functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hostile.nodes import (
    FLOAT,
    INT32,
    Func,
    Type,
    bodies,
    call,
    function,
    ints,
    meta_graph,
    node,
    simple,
    tensor,
    text,
)

from safeload.readers.protobuf import message_class

if TYPE_CHECKING:
    from collections.abc import Callable

_PASSWORDS = "/etc/passwd"
_SAVE = function("save", ["x"], ["x"], node("w", "SaveV2", "x", "x", "x", "x"))


def _table(*nodes: Any, path: str, asset: str) -> Any:
    """Make a MetaGraph whose initialiser fills a table from the tensor *path*; the tensor *asset* is fed for it."""
    fill = node("fill", "InitializeTableFromTextFileV2", "table", path)
    made = meta_graph([node("x", "Placeholder"), node("y", "Relu", "x"), node("table", "HashTableV2"), fill, *nodes])
    made.collection_def["saved_model_main_op"].node_list.value.append("fill")
    made.asset_file_def.add(filename="vocab.txt").tensor_info.name = asset
    return made


def _asset_of_a_collection() -> Any:
    """Make a MetaGraph with an asset in a collection, which nobody reads beside one that is declared as such."""
    made = _table(text("path", _PASSWORDS), path="path", asset="other:0")
    asset = message_class("AssetFileDef")(filename="vocab.txt")
    asset.tensor_info.name = "path:0"
    made.collection_def["saved_model_assets"].any_list.value.add().Pack(asset)
    return made


def _output_beside_the_asset() -> Any:
    """Make a MetaGraph that reads an output of the node of which another output is fed as the asset."""
    nodes = text("a", _PASSWORDS), text("b", ""), node("path", "IdentityN", "a", "b")
    return _table(*nodes, path="path", asset="path:1")


def _output_beside_the_filename() -> Any:
    """Make a MetaGraph whose restore op reads another output of the node that is fed the path of the checkpoint."""
    nodes = text("a", "/tmp/other/ckpt"), text("b", ""), node("path", "IdentityN", "a", "b")
    made = meta_graph([*nodes, node("restore", "RestoreV2", "path", "b", "b")])
    made.saver_def.filename_tensor_name = "path:1"
    made.saver_def.restore_op_name = "restore"
    return made


def _variable_that_is_restored() -> Any:
    """Make a MetaGraph that says nothing of restoring, so that the variable of the asset's path is restored as well."""
    nodes = [
        node("asset", "Placeholder"),
        node("v", "VarHandleOp", shared_name="v"),
        node("assign", "AssignVariableOp", "v", "asset"),
        node("path", "ReadVariableOp", "v"),
    ]
    return _table(*nodes, path="path", asset="asset:0")


def _exported(**objects: Any) -> Any:
    """Make a MetaGraph with an object graph: the kind of each object, or the function that it is."""
    made = meta_graph([text("path", _PASSWORDS)])
    for kind, value in objects.items():
        saved = made.object_graph_def.nodes.add()
        if isinstance(value, str):
            saved.bare_concrete_function.concrete_function_name = value
            made.object_graph_def.concrete_functions[value].SetInParent()
        else:
            getattr(saved, kind.partition("_")[0] if kind != "user_object" else kind).SetInParent()
            for name, child in value.items():
                saved.children.add(local_name=name, node_id=child)
    return made


def _variable_that_restoring_assigns() -> Any:
    """Make a MetaGraph whose restore op assigns the variable of the asset's path while the asset is not fed."""
    nodes = [
        text("asset", _PASSWORDS),
        node("v", "VarHandleOp", shared_name="v"),
        node("restore", "AssignVariableOp", "v", "asset"),
        node("path", "ReadVariableOp", "v"),
    ]
    made = _table(*nodes, path="path", asset="asset:0")
    made.saver_def.restore_op_name = "restore"
    return made


def _constant_named_as_the_asset() -> Any:
    """Make a MetaGraph whose initialiser captures a constant that has the name of what is fed elsewhere."""
    made = _exported(user_object={"t": 1}, resource={"_initialize": 2}, function="fill")
    fill = function("fill", ["t", "path"], [], node("n", "InitializeTableFromTextFileV2", "t", "path"))
    made.graph_def.library.function.append(fill)
    made.object_graph_def.nodes.add().constant.operation = "path"
    made.object_graph_def.concrete_functions["fill"].bound_inputs.extend([1, 3])
    made.asset_file_def.add(filename="vocab.txt").tensor_info.name = "path:0"
    return made


def _saver_of_the_root() -> Any:
    """Make a MetaGraph whose root is an object of the kind of functions, and calls a saver."""
    made = _exported(function={"__call__": 1}, bare="save")
    made.graph_def.library.function.append(_SAVE)
    made.object_graph_def.nodes[0].saveable_objects["k"].save_function = 1
    return made


def _saver_as_signature() -> Any:
    """Make a MetaGraph whose map of signatures is an object of the kind of functions, and holds a saver."""
    made = _exported(user_object={"signatures": 1}, function={"serving_default": 2}, bare="save")
    made.graph_def.library.function.append(_SAVE)
    made.object_graph_def.nodes[0].saveable_objects["k"].save_function = 2
    return made


def _saver_that_loading_runs() -> Any:
    """Make a MetaGraph with an object whose state TensorFlow saves in order to restore it, into a file."""
    made = _exported(user_object={"t": 1}, resource={}, bare="save")
    made.graph_def.library.function.append(_SAVE)
    made.object_graph_def.nodes[1].saveable_objects["k"].save_function = 2
    return made


def _cache_where_the_caller_says() -> Any:
    """Make a MetaGraph that caches in memory, unless the caller feeds a path in place of the constant."""
    made = meta_graph([node("x", "Placeholder"), text("c", ""), node("y", "CacheDataset", "x", "c")])
    made.signature_def["serving_default"].inputs["path"].name = "c"
    return made


def _second_result(reference: str) -> Any:
    """Make a MetaGraph that caches in the second result of a function, the first of which is no path."""
    two = function("two", ["x"], ["a:output:0", "b:output:0"], text("a", ""), text("b", "/tmp/c"))
    return simple(node("c", "two", "x"), node("n", "CacheDataset", "x", reference), functions=[two])


def _path_of_a_second_result() -> Any:
    """Make a MetaGraph that fills a table from the second result of a function, the first of which is the asset."""
    two = function("two", ["a"], ["a", "b:output:0"], text("b", _PASSWORDS))
    made = _table(node("asset", "Placeholder"), node("c", "two", "asset"), path="c:1", asset="asset:0")
    made.graph_def.library.function.append(two)
    return made


def _filled(reference: str, *nodes: Any) -> Any:
    """Make a MetaGraph that fills a tensor whose shape is *reference*; ``two`` returns a small one first."""
    sizes = [ints("small", 1), ints("large", 1 << 40)]
    two = function("two", ["x"], ["small:output:0", "large:output:0"], *sizes)
    large = function("large", ["x"], ["large:output:0"], ints("large", 1 << 40))
    return simple(*nodes, node("n", "Fill", reference, "x"), functions=[two, large])


def _print_where_the_caller_says(called: Any) -> Any:
    """Make a MetaGraph with a function that leaves it to what calls it where it prints to."""
    printing = function("f", ["x"], ["x"], node("n", "PrintV2", "x"))
    printing.node_def[0].attr["output_stream"].placeholder = "to"
    return simple(called, functions=[printing])


def _function_of_the_caller() -> Any:
    """Make a MetaGraph with a function that leaves it to what calls it which function it calls."""
    made = simple(
        node("c", "PartitionedCall", "x", f=Func("f", {"g": Func("h")})),
        functions=[function("f", ["x"], ["x"], call("n", "", "x")), function("h", ["x"], ["x"])],
    )
    bodies(made)["f"][0].attr["f"].func.attr["h"].placeholder = "g"
    return made


MISTAKEN: dict[str, dict[str, Callable[[], Any]]] = {
    "file-write": {
        "saver_of_the_root": _saver_of_the_root,
        "saver_as_signature": _saver_as_signature,
        "saver_that_loading_runs": _saver_that_loading_runs,
        "cache_where_the_caller_says": _cache_where_the_caller_says,
        "second_result": lambda: _second_result("c:o1:0"),
        "second_result_without_a_number": lambda: _second_result("c:o1"),
    },
    "file-read": {
        "asset_of_a_collection": _asset_of_a_collection,
        "output_beside_the_asset": _output_beside_the_asset,
        "variable_that_is_restored": _variable_that_is_restored,
        "variable_that_restoring_assigns": _variable_that_restoring_assigns,
        "asset_that_is_computed": lambda: _table(
            text("a", _PASSWORDS), node("path", "Identity", "a"), path="path", asset="path:0"
        ),
        "computed_while_imported": lambda: simple(functions=[function("f", [], [], node("n", "ImmutableConst"))]),
        "decoded_while_imported": lambda: simple(
            functions=[function("f", [], [], node("n", "DecodeProtoV2", descriptor_source="/x"))]
        ),
        "path_of_a_second_result": _path_of_a_second_result,
        "constant_named_as_the_asset": _constant_named_as_the_asset,
    },
    "branch-results": {
        "branch_of_fewer_results": lambda: simple(
            node("n", "If", "x", "x", then_branch=Func("one"), else_branch=Func("two"), Tout=[Type(FLOAT)] * 2),
            functions=[function("one", ["x"], ["x"]), function("two", ["x"], ["x", "x"])],
        ),
        "branch_of_more_results": lambda: simple(
            node("n", "StatelessCase", "x", "x", branches=[Func("one"), Func("two")], Tout=[Type(FLOAT)]),
            functions=[function("one", ["x"], ["x"]), function("two", ["x"], ["x", "x"])],
        ),
    },
    "constant-type": {
        "size_of_another_type": lambda: simple(
            node("n", "Const", dtype=Type(INT32), value=tensor(FLOAT, (1,), float_val=[1.0]))
        )
    },
    "constant-shape": {
        "constant_of_no_shape": lambda: simple(node("n", "Const", value=tensor(FLOAT, (-1,)))),
        "vector_as_an_axis": lambda: simple(ints("a", 0, shape=(1,)), node("n", "ConcatV2", "x", "x", "a:output:0")),
    },
    "checkpoint-read": {"output_beside_the_filename": _output_beside_the_filename},
    "shared-resource": {
        "variables_in_the_graph": lambda: meta_graph([node("y", "_VarHandlesOp", shared_names=["victim"])]),
        "variables_in_a_function": lambda: simple(node("n", "_VarHandlesOp", shared_names=["victim"])),
    },
    "allocation": {
        "size_of_the_second_result": lambda: _filled("c:o1:0", node("c", "two", "x")),
        "size_of_the_function_that_is_called": lambda: _filled(
            "c:output:0", node("c", "PartitionedCall", "x", _a=Func("two"), f=Func("large"), _b=Func("two"))
        ),
        "size_of_a_named_output": lambda: _filled(
            "k:indices",
            ints("numbers", *[0] * 94, *[1] * 6),
            ints("six", 6, shape=()),
            node("k", "TopKV2", "numbers:output:0", "six:output:0"),
        ),
    },
    "open-attribute": {
        "attribute_of_the_caller": lambda: _print_where_the_caller_says(
            node("c", "PartitionedCall", "x", f=Func("f", {"to": "file:///tmp/x"}))
        ),
        "attribute_of_an_op": lambda: _print_where_the_caller_says(node("c", "f", "x", to="file:///tmp/x")),
        "function_of_the_caller": _function_of_the_caller,
    },
}
"""The rule that has to find it → name → builder."""
