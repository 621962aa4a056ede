"""Graphs built by hand, harmless and hostile. None of them is ever executed.

`benign` makes a MetaGraph like those that TensorFlow 2 writes: a signature, functions in functions, a loop,
a condition, a dataset, a table filled from an asset, a saver. `HOSTILE` is one builder for each class of attack.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from hostile.loops import (
    counted,
    dataset,
    doubled,
    endless,
    endless_upwards,
    frame,
    frame_variable,
    framed,
    grown,
    nested_frames,
    tower,
)
from hostile.mistaken import MISTAKEN
from hostile.nodes import (
    BOOL,
    FLOAT,
    INT64,
    RESOURCE,
    STRING,
    VARIANT,
    Dims,
    Func,
    Ints,
    Type,
    bodies,
    call,
    function,
    functions_of,
    ints,
    meta_graph,
    node,
    packed,
    simple,
    tensor,
    text,
)

from safeload.readers.protobuf import message_class

if TYPE_CHECKING:
    from collections.abc import Callable


def benign() -> Any:
    """Make a MetaGraph that uses what ordinary models use, and nothing else."""
    made = meta_graph(
        [
            node("x", "Placeholder"),
            node("v", "VarHandleOp", shared_name="dense/kernel"),
            node("table", "HashTableV2", shared_name="table_1"),
            call("y", "wrapper", "x", "v"),
            node("asset", "Placeholder"),
            node("path", "VarHandleOp", shared_name="path"),
            node("path/Assign", "AssignVariableOp", "path", "asset"),
            node("path/Read", "ReadVariableOp", "path", "^path/Assign"),
            call("fill", "initializer", "path/Read", "table"),
            node("init", "NoOp", "^fill"),
            node("saver_filename", "Placeholder"),
            call("save", "traced_save", "saver_filename", "v"),
            call("restore", "traced_restore", "saver_filename", "v"),
        ],
        [
            function("wrapper", ["x", "v"], ["c:output:0"], call("c", "call", "x", "v")),
            function(
                "call",
                ["x", "v"],
                ["l:output:1"],
                ints("zero", 0),
                node("p", "PrintV2", "x", output_stream="stderr"),
                node("l", "While", "zero:output:0", "x", cond=Func("cond"), body=Func("body")),
                node("i", "If", "zero:output:0", "x", then_branch=Func("then"), else_branch=Func("else")),
                node("d", "MapDataset", "x", f=Func("map")),
            ),
            function("cond", ["n", "x"], ["less:z:0"], ints("ten", 10), node("less", "Less", "n", "ten:output:0")),
            function(
                "body",
                ["n", "x"],
                ["add:z:0", "x"],
                ints("one", 1),
                node("add", "AddV2", "n", "one:output:0"),
            ),
            function("then", ["x"], ["x"], node("f", "Fill", "dims:output:0", "x"), ints("dims", 2, 3)),
            function("else", ["x"], ["x"], node("case", "Case", "x", branches=[Func("deep")])),
            function("deep", ["x"], ["x"], node("r", "Relu", "x")),
            function("map", ["x"], ["x"], node("cast", "Cast", "x")),
            function("creator", [], ["t:table_handle:0"], node("t", "HashTableV2", shared_name="table_1")),
            function("initializer", ["file", "t"], [], node("fill", "InitializeTableFromTextFileV2", "t", "file")),
            function(
                "traced_save",
                ["prefix", "v"],
                ["prefix"],
                node("shard", "ShardedFilename", "prefix"),
                node("w", "SaveV2", "shard:filename:0", "v"),
                node("m", "MergeV2Checkpoints", "shard:filename:0", "prefix"),
            ),
            function("traced_restore", ["prefix", "v"], ["prefix"], node("r", "RestoreV2", "prefix")),
            function("forgotten", ["x"], ["x"], node("read", "ReadFile", "x")),
        ],
    )
    made.saver_def.filename_tensor_name = "saver_filename:0"
    made.saver_def.save_tensor_name = "save:0"
    made.saver_def.restore_op_name = "restore"
    made.collection_def["saved_model_main_op"].node_list.value.append("init")
    made.asset_file_def.add(filename="vocab.txt").tensor_info.name = "asset:0"
    objects = made.object_graph_def
    objects.nodes.add().user_object.identifier = "_generic_user_object"
    objects.nodes.add().resource.device = ""
    objects.nodes.add().asset.asset_file_def_index = 0
    for name in ("creator", "initializer", "call"):
        objects.nodes.add().function.concrete_functions.append(name)
        objects.concrete_functions[name].SetInParent()
    objects.concrete_functions["initializer"].bound_inputs.extend([2, 1])
    for owner, child, label in ((0, 1, "t"), (1, 3, "_create_resource"), (1, 4, "_initialize"), (0, 5, "__call__")):
        objects.nodes[owner].children.add(node_id=child, local_name=label)
    return made


_PASSWORDS = text("p", "/etc/passwd")


def in_loop(*nodes: Any) -> Any:
    """Make a MetaGraph with *nodes* two functions deep inside of a loop."""
    made = benign()
    bodies(made)["deep"].extend(nodes)
    return made


def constant_handle() -> Any:
    """Make a Const that holds the handle of another model's variable."""
    handle = message_class("ResourceHandleProto")(container="localhost", name="victim")
    return node("h", "Const", value=tensor(RESOURCE, (), resource_handle_val=[handle]))


def _own_table() -> tuple[Any, ...]:
    """Make a table that no other model finds, with a reference to it."""
    return (node("h", "HashTable", shared_name="cd2c89b7-88b7-44c8-ad83-06c2a9158347"),)


def hidden_handle() -> Any:
    """Make a Const variant that holds such a Const."""
    variant = message_class("VariantTensorDataProto")(type_name="tensorflow::TensorList")
    variant.tensors.append(constant_handle().attr["value"].tensor)
    return node("h", "Const", value=tensor(VARIANT, (), variant_val=[variant]))


def asset_outside() -> Any:
    """Make a MetaGraph whose asset is another file of the host."""
    made = benign()
    made.asset_file_def[0].filename = "../../etc/passwd"
    return made


def stale_asset() -> Any:
    """Make a MetaGraph whose signature reads the path that stood in for an asset when the model was saved."""
    made = meta_graph([node("x", "Placeholder"), text("asset", "/etc/passwd"), node("y", "ReadFile", "asset")])
    made.asset_file_def.add(filename="vocab.txt").tensor_info.name = "asset:0"
    return made


def default_read() -> Any:
    """Make a MetaGraph whose signature reads a file where the caller leaves an input out."""
    default = node("x", "PlaceholderWithDefault", "read")
    return meta_graph([text("p", "/etc/passwd"), node("read", "ReadFile", "p"), default, node("y", "Identity", "x")])


def recorded_default() -> Any:
    """Make a MetaGraph with a signature that feeds what a file holds, unless it is left out as the defaults allow."""
    made = meta_graph([text("p", "/etc/passwd"), node("x", "ReadFile", "p"), node("y", "Identity", "x")])
    made.signature_def["serving_default"].defaults["x"].dtype = STRING
    return made


def collected_table() -> Any:
    """Make a MetaGraph without an initialiser, so that loaders run what is collected: a table filled from a file."""
    fill = node("fill", "InitializeTableFromTextFileV2", "table", "p")
    made = meta_graph([node("x", "Placeholder"), node("y", "Identity", "x"), text("p", "/etc/passwd"), fill])
    made.collection_def["table_initializer"].node_list.value.append("fill")
    return made


def collected_variable() -> Any:
    """Make a MetaGraph with a local variable whose value is a file."""
    read = node("read", "ReadFile", "p")
    made = meta_graph([node("x", "Placeholder"), node("y", "Identity", "x"), text("p", "/etc/passwd"), read])
    variable = message_class("VariableDef")(variable_name="v", initializer_name="read")
    made.collection_def["local_variables"].bytes_list.value.append(variable.SerializeToString())
    return made


def through_variable(*nodes: Any) -> Any:
    """Make a MetaGraph whose initialiser gets the asset through a variable of the graph; *nodes* are added to it."""
    made = meta_graph(
        [
            node("asset", "Placeholder"),
            node("path", "VarHandleOp"),
            node("path/Assign", "AssignVariableOp", "path", "asset"),
            node("path/Read", "ReadVariableOp", "path", "^path/Assign"),
            call("fill", "initializer", "path/Read"),
            *nodes,
        ],
        [
            function("initializer", ["file"], [], node("n", "InitializeTableFromTextFileV2", "table", "file")),
            function("assign", ["v"], [], text("p", "/etc/passwd"), node("a", "AssignVariableOp", "v", "p:output:0")),
        ],
    )
    made.collection_def["legacy_init_op"].node_list.value.append("fill")
    made.saver_def.restore_op_name = "restore"
    asset = message_class("AssetFileDef")(filename="vocab.txt")
    asset.tensor_info.name = "asset:0"
    made.collection_def["saved_model_assets"].any_list.value.add().Pack(asset)
    return made


def restore_elsewhere() -> Any:
    """Make a MetaGraph whose restore function reads a checkpoint of its own choice."""
    made = benign()
    nodes = bodies(made)["traced_restore"]
    nodes[0].input[0] = "elsewhere:output:0"
    nodes.append(text("elsewhere", "/tmp/other/ckpt"))
    return made


def restore_saves() -> Any:
    """Make a MetaGraph that names its save function as the restore op."""
    made = benign()
    made.saver_def.restore_op_name = "save"
    return made


def serving_saves() -> Any:
    """Make a MetaGraph whose signature calls the save function."""
    made = benign()
    bodies(made)["call"].append(call("leak", "traced_save", "x", "v"))
    return made


def repeated_node() -> Any:
    """Make a MetaGraph with two nodes of one name."""
    return simple(node("n", "NoOp"), node("n", "NoOp"))


def wide_operands() -> list[Any]:
    """Make a column and a row of a million numbers each."""
    return [ints("column", 0, shape=(1 << 20, 1)), ints("row", 0, shape=(1, 1 << 20))]


def internal_argument() -> Any:
    """Make a MetaGraph with a function whose argument has an attribute that no file has."""
    made = benign()
    functions_of(made)["call"].arg_attr[0].attr["_composite_device"].s = b"/device:COMPOSITE:0"
    return made


def called_bomb() -> Any:
    """Make a MetaGraph that doubles a tensor in one function after the other."""
    body = [
        function(f"f{i}", ["a"], ["c:output:0"], node("c", "ConcatV2", "a", "a", "a", T=Type(INT64))) for i in range(32)
    ]
    calls = [call(f"c{i}", f"f{i}", f"c{i - 1}:output:0" if i else "one:output:0") for i in range(32)]
    return simple(ints("one", 1, shape=(16,)), *calls, functions=body)


def calls_that_double() -> Any:
    """Make a MetaGraph with functions each of which calls the next one twice."""
    names = [f"f{i}" for i in range(30)]
    body = [
        function(name, ["a"], ["c:output:0"], call("c", following, "a"), call("d", following, "a"))
        for name, following in zip(names, names[1:], strict=False)
    ]
    last = function(names[-1], ["a"], ["a"], node("n", "NoOp"))
    return simple(call("c", names[0], "x"), functions=[*body, last])


def one_function_often(times: int) -> Any:
    """Make a MetaGraph that calls one function that doubles on its own result, again and again."""
    calls = [call(f"c{i}", "f", f"c{i - 1}:output:0" if i else "some:output:0") for i in range(times)]
    twice = function("f", ["a"], ["c:output:0"], doubled("c", "a"))
    return simple(ints("some", 1, shape=(16,)), *calls, functions=[twice])


def asset_by_name() -> Any:
    """Make a MetaGraph whose initialiser fills the table from a constant that is named as the asset is."""
    made = benign()
    bodies(made)["initializer"][0].input[1] = "asset"
    bodies(made)["initializer"].append(text("asset", "/etc/passwd"))
    return made


def restore_by_name() -> Any:
    """Make a MetaGraph whose restore function reads a constant that is named as what the loader feeds."""
    made = benign()
    bodies(made)["traced_restore"][0].input[0] = "saver_filename"
    bodies(made)["traced_restore"].append(text("saver_filename", "/tmp/other/ckpt"))
    return made


def variable_by_argument() -> Any:
    """Make a MetaGraph with a table that is filled from an argument named as the variable that holds the asset."""
    assigned = [node("other", "VarHandleOp", shared_name="other"), node("a", "AssignVariableOp", "other", "p")]
    made = through_variable(_PASSWORDS, *assigned, call("again", "reader", "other"))
    fill = node("n", "InitializeTableFromTextFileV2", "table", "r:value:0")
    reader = function("reader", ["path"], [], node("r", "ReadVariableOp", "path"), fill)
    made.graph_def.library.function.append(reader)
    made.collection_def["legacy_init_op"].node_list.value.append("again")
    return made


def exchanged(*functions: Any, alike: str) -> Any:
    """Make a MetaGraph whose initialiser takes the asset through a function; one of *functions* may be called instead.

    It implements the interface that the function *alike* does.
    """
    made = through_variable(_PASSWORDS, call("named", "name", "path/Read"), call("again", "other", "p"))
    made.graph_def.library.function.extend([function("name", ["file"], ["file"]), *functions])
    bodies(made)[""][4].input[0] = "named"
    made.collection_def["legacy_init_op"].node_list.value.append("again")
    for name in (alike, "other"):
        functions_of(made)[name].attr["api_implements"].s = b"interface"
    return made


def captured_path(*, is_gradient: bool = False) -> Any:
    """Make a MetaGraph that fills a table from the asset that a function captured, or what it is called with.

    TensorFlow calls it where a function for callers is called, as the same interface, or as its gradient.
    """
    made = exported()
    fill = function("fill", ["x"], ["x"], node("n", "InitializeTableFromTextFileV2", "t", "x"))
    made.graph_def.library.function.append(fill)
    if is_gradient:
        made.graph_def.library.gradient.add(function_name="f", gradient_func="fill")
    for found in functions_of(made).values() if not is_gradient else ():
        found.attr["api_implements"].s = b"interface"
    objects, asset = made.object_graph_def, made.asset_file_def.add(filename="vocab.txt")
    asset.tensor_info.name = "asset:0"
    objects.nodes.add().asset.asset_file_def_index = 0
    objects.concrete_functions["f"].SetInParent()
    objects.concrete_functions["fill"].bound_inputs.append(2)
    objects.nodes.add().function.concrete_functions.append("fill")
    objects.nodes[0].children.add(node_id=3, local_name="_initialize")
    return made


def exported(*nodes: Any) -> Any:
    """Make a MetaGraph with *nodes* in a function that is an attribute of its object."""
    made = meta_graph(functions=[function("f", ["x"], ["x"], *nodes)])
    made.object_graph_def.nodes.add().children.add(node_id=1, local_name="__call__")
    made.object_graph_def.nodes.add().function.concrete_functions.append("f")
    return made


def variable_in_creator() -> Any:
    """Make a MetaGraph where what makes a table finds a variable of the process."""
    made = benign()
    bodies(made)["creator"].append(node("victim", "VarHandleOp", shared_name="victim"))
    return made


def read_gradient() -> Any:
    """Make a MetaGraph whose function has a gradient that reads a file."""
    made = simple(functions=[function("g", ["x"], ["x"], node("n", "ReadFile", "x"))])
    made.graph_def.library.gradient.add(function_name="serve", gradient_func="g")
    return made


def _serving(*made: Any) -> Any:
    """Make a MetaGraph whose signature calls a function of the nodes in *made*, beside the functions in it."""
    nodes, functions = ([m for m in made if m.DESCRIPTOR.name == name] for name in ("NodeDef", "FunctionDef"))
    return simple(*nodes, functions=functions)


def sums_without_end() -> Any:
    """Make a graph that computes very much from constants to come to nothing."""
    sums = [node(f"s{i}", "AddV2", f"s{i - 1}" if i else "many", "many") for i in range(600)]
    users = [node("d", "TakeDataset", "x", "s599"), node("n", "ReduceDataset", "d")]
    return simple(ints("many", *[0] * 600), *sums, *users)


_TRUE = node("t", "Const", value=tensor(BOOL, (), bool_val=[True]))

_SERVED: dict[str, dict[str, list[Any]]] = {
    "internal-attribute": {
        "changes_its_input": [node("n", "Maximum", "x", "x", _forward_input=Ints((0, 0)))],
        "allocates_elsewhere": [node("n", "Maximum", "x", "x", _scoped_allocator=Ints((0, 5)))],
        "internal_attribute_of_a_function": [function("f", ["x"], ["x"], _XlaCompiledKernel=True)],
    },
    "file-write": {
        "write": [node("n", "WriteFile", "x", "x")],
        "write_unreached": [function("f", ["x"], [], node("n", "WriteFile", "x"))],
        "write_nested_attribute": [
            node("n", "MapDataset", "x", f=Func("f", {"g": Func("g")})),
            function("f", ["x"], ["x"]),
            function("g", ["x"], ["x"], node("n", "WriteFile", "x", "x")),
        ],
        "dataset_cache": [node("n", "CacheDatasetV2", "x", "p:output:0"), text("p", "/tmp/c")],
        "dataset_cache_in_content": [
            node("n", "CacheDatasetV2", "x", "p:output:0"),
            node("p", "Const", value=tensor(STRING, (), tensor_content=b"\x06/tmp/c")),
        ],
        "dataset_cache_in_a_branch": [
            node("p", "If", "x", "x", then_branch=Func("memory"), else_branch=Func("file")),
            node("n", "CacheDatasetV2", "x", "p:output:0"),
            function("memory", ["x"], ["m:output:0"], text("m", "")),
            function("file", ["x"], ["f:output:0"], text("f", "/tmp/c")),
        ],
        "print_to_file": [node("n", "PrintV2", "x", output_stream="file:///tmp/x")],
    },
    "file-read": {
        "read_nested_type": [
            node("n", "MapDataset", "x", f=Func("f", {"T": Func("g")})),
            function("f", ["x"], ["x"]),
            function("g", ["x"], ["x"], node("n", "ReadFile", "x")),
        ],
        "dataset_from_file": [node("n", "TextLineDataset", "x")],
        "vocabulary_attribute": [node("n", "FixedUnigramCandidateSampler", vocab_file="/x")],
        "descriptor_attribute": [node("n", "DecodeProtoV2", descriptor_source="/x")],
        "descriptor_url": [node("n", "DecodeProtoV2", descriptor_source="file:///x")],
        "table_from_argument": [
            call("f", "fill", "p:output:0"),
            _PASSWORDS,
            function("fill", ["file"], [], node("t", "InitializeTableFromTextFileV2", "table", "file")),
        ],
    },
    "checkpoint-read": {"serving_restores": [node("n", "RestoreV2", "x")]},
    "debug-dump": {
        "debug": [node("n", "DebugIdentityV2", "x", debug_urls=["file:///tmp/x"])],
        "debug_of_a_copy": [node("n", "Copy", "x", debug_ops_spec=["DebugIdentity;file:///tmp/x;0"])],
    },
    "network": {"network": [node("n", "RpcClient", "x")]},
    "process-control": {
        "sleep": [node("n", "SleepDataset", "x")],
        "threads": [node("n", "OptionsDataset", "x", serialized_options=b"\x2a\x03\x10\xf4\x03")],
        "broken_options": [node("n", "OptionsDataset", "x", serialized_options=b"\x2a\x03")],
    },
    "python-callback": {"python": [node("n", "EagerPyFunc", "x")]},
    "hidden-graph": {"hidden_graph": [node("n", "DatasetFromGraph", "x")]},
    "native-code": {
        "custom_call": [node("n", "XlaCallModule", "x", module=b"ML\xefR\0custom_call_v1")],
        "text_module": [node("n", "XlaCallModule", "x", module=b"module {}")],
        "no_module": [node("n", "XlaCallModule", "x")],
    },
    "accelerator-op": {"tpu": [node("n", "TPUExecute", "x")]},
    "shared-resource": {"variable_by_name": [node("n", "VarHandleOp", shared_name="victim")]},
    "forged-handle": {
        "forged_handle": [constant_handle()],
        "hidden_handle": [hidden_handle()],
        "variant": [node("c", "Const", value=tensor(VARIANT, ()))],
        "parsed_handle": [node("n", "ParseTensor", "x", out_type=Type(RESOURCE))],
        "restored_variant": [node("n", "RestoreV2", "x", "x", "x", dtypes=[Type(VARIANT)])],
        "sparse_handles": [node("n", "DeserializeSparse", "x", dtype=Type(RESOURCE))],
        "handle_in_two_strings": [
            node("v", "TemporaryVariable"),
            node("h", "Assign", "v:ref:0", "x"),
            node("n", "LookupTableFind", "h:output_ref:0", "x", "x"),
        ],
        "handle_of_an_argument": [node("n", "QueueDequeue", "x")],
        "one_handle_of_two": [
            *_own_table(),
            node("v", "TemporaryVariable"),
            node("s", "RefSelect", "x", "h:table_handle:0", "v:ref:0"),
        ],
        "handle_that_is_changed": [
            *_own_table(),
            node("i", "RefIdentity", "h:table_handle:0"),
            node("a", "Assign", "i:output:0", "x"),
        ],
        "handle_that_is_given_away": [*_own_table(), call("c", "serve", "h:table_handle:0")],
        "places_in_no_batch": [ints("c", 2), node("n", "Unbatch", "x", "c:output:0", "x", timeout_micros=1)],
        "places_without_an_input": [node("n", "Unbatch")],
        "numbers_of_a_batch_as_places": [
            node("b", "Batch", "x"),
            node("n", "UnbatchGrad", "x", "b:batched_tensors:0", "x", "b:id:0"),
        ],
    },
    "uninitialised-memory": {
        "parameter_that_is_none": [node("n", "FakeParam")],
        "memory": [node("n", "Empty", "x", init=False)],
        "variable_without_a_value": [node("v", "TemporaryVariable"), node("n", "AssignAdd", "v:ref:0", "x")],
        "value_of_a_variable_without_one": [
            node("v", "TemporaryVariable"),
            node("w", "TemporaryVariable"),
            node("n", "Assign", "w:ref:0", "v:ref:0"),
        ],
        "result_without_a_value": [
            function("f", ["x"], ["v:ref:0"], node("v", "TemporaryVariable")),
            node("c", "StatefulPartitionedCall", "x", f=Func("f")),
        ],
    },
    "in-place": {
        "change_of_an_input": [node("n", "InplaceUpdate", "x", "x", "x")],
        "change_of_a_sum": [node("s", "AddV2", "x", "x"), node("n", "InplaceAdd", "s:z:0", "x", "x")],
        "change_of_nothing": [node("n", "InplaceSub")],
    },
    "absent-function": {"absent_function": [call("c", "__inference_of_another_model")]},
    "repeated-name": {
        "repeated_function": [function("serve", ["x"], ["x"])],  # readers may see either
        "function_named_like_an_op": [node("n", "ReadFile", "x"), function("ReadFile", ["x"], ["x"])],
    },
    "impossible-window": {
        "strides_of_zero": [node("n", "Conv2D", "x", "x", strides=Ints((1, 0, 0, 1)))],
        "strides_beyond_int32": [node("n", "MaxPool", "x", strides=Ints((1, 1 << 31, 1, 1)))],
        "strides_of_a_transposed_convolution": [
            node("n", "Conv2DBackpropInput", "x", strides=Ints((1, 1 << 17, 1, 1)))
        ],
        "transform_of_no_length": [ints("l", 2, 0), node("n", "RFFT2D", "x", "l:output:0")],
        "spectra_of_no_windows": [node("n", "AudioMicrofrontend", "x", window_step=0)],
        "negative_padding": [node("n", "Conv2D", "x", "x", explicit_paddings=Ints((0, -1)))],
    },
    "allocation": {
        "constant_bomb": [node("c", "Const", value=tensor(FLOAT, (1 << 37,), float_val=[0.0]))],
        "many_constants": [  # small one by one
            node(f"c{i}", "Const", value=tensor(FLOAT, (1 << 28,), float_val=[0.0])) for i in range(3)
        ],
        "fill_bomb": [
            ints("d", 1 << 20, shape=()),
            node("s", "Pack", "d:output:0", "d:output:0"),
            node("f", "Fill", "s:output:0", "x", T=Type(FLOAT)),
        ],
        "outputs_bomb": [node("u", "Unpack", "x", num=1 << 31)],
        "ragged_bomb": [ints("s", 1 << 20, 1 << 20), node("r", "RaggedTensorToTensor", "s:output:0", "x", "x")],
        "place_bomb": [ints("i", 1 << 31, shape=()), node("w", "TensorArrayWriteV3", "x", "i:output:0", "x", "x")],
        "features_bomb": [node("n", "ParseExampleV2", "x", dense_shapes=[Dims((1 << 28,))], Tdense=[Type(STRING)])],
        "segments_bomb": [ints("n", 1 << 40, shape=()), node("r", "SegmentSumV2", "x", "x", "n:output:0")],
        "rows_bomb": [ints("s", 1 << 40, 1), node("r", "SparseFillEmptyRows", "x", "x", "s:output:0")],
        "doubling_bomb": [
            ints("a", 1, shape=(64,)),
            node("c0", "ConcatV2", "a:output:0", "a:output:0", "x", T=Type(INT64)),
            *(node(f"c{i}", "ConcatV2", *[f"c{i - 1}:output:0"] * 2, "x", T=Type(INT64)) for i in range(1, 40)),
        ],
        "range_bomb": [
            ints("a", 0, shape=()),
            ints("b", 1 << 40, shape=()),
            ints("c", 1, shape=()),
            node("r", "Range", "a:output:0", "b:output:0", "c:output:0"),
        ],
        "outer_product_bomb": [*wide_operands(), node("n", "Mul", "column:output:0", "row:output:0")],
        "matrix_product_bomb": [*wide_operands(), node("n", "MatMul", "column:output:0", "row:output:0")],
        "convolution_bomb": [
            ints("image", 0, shape=(1, 1 << 10, 1 << 10, 1)),
            ints("kernel", 0, shape=(1, 1, 1, 1 << 10)),
            node("n", "Conv2D", "image:output:0", "kernel:output:0", padding=b"SAME", T=Type(FLOAT)),
        ],
        "factors_bomb": [
            ints("column", 0, shape=(1 << 16, 1)),
            node("n", "Svd", "column:output:0", full_matrices=True),
        ],
        "einsum_bomb": [
            *wide_operands(),
            node("n", "Einsum", "column:output:0", "row:output:0", equation="ab,cd->ad"),
        ],
        "identity_bomb": [*wide_operands(), node("n", "MatrixDiagV3", "row:output:0")],
        "gather_bomb": [
            *wide_operands(),
            ints("first", 0, shape=()),
            node("n", "GatherV2", "row:output:0", "index:output:0", "first:output:0"),
            ints("index", 0, shape=(1 << 20,)),
        ],
        "list_bomb": [
            ints("size", 1 << 20),
            ints("many", 1 << 20, shape=()),
            node("list", "TensorListReserve", "size:output:0", "many:output:0"),
            node("n", "TensorListStack", "list:handle:0", "size:output:0"),
        ],
        "string_bomb": [
            text("s0", "aaaa"),
            *(node(f"s{i}", "StringJoin", f"s{i - 1}", f"s{i - 1}") for i in range(1, 40)),
        ],
        "attribute_bomb": [node("n", "Mfcc", "x", dct_coefficient_count=1 << 40)],
        "padding_bomb": [node("n", "Conv2D", "x", explicit_paddings=Ints((0, 0, 1 << 20, 0, 1 << 20, 0, 0, 0)))],
        "parsed_bomb": [  # a terabyte that is written down as one number
            node("n", "ParseTensor", "t:output:0"),
            packed("t", tensor(FLOAT, (1 << 38,), float_val=[1.0]).SerializeToString()),
        ],
        "values_of_shared_functions": [
            ints("two", 2, shape=(1,)),
            *(call(f"c{i}", "square", f"c{i - 1}:output:0" if i else "two:output:0") for i in range(6)),
            node("n", "Fill", "c5:output:0", "x"),
            function("square", ["a"], ["m:z:0"], node("m", "Mul", "a", "a")),
        ],
        "allocation_in_shared_function": [
            ints("many", 1 << 16),
            call("a", "f", "many:output:0"),
            call("b", "f", "many:output:0"),
            function("f", ["a"], ["s:output:0"], node("n", "Fill", "m:z:0", "a"), node("m", "Mul", "a", "a")),
        ],
        "doubling_backwards": [
            *(doubled(f"d{i}", f"d{i - 1}:output:0" if i else "some:output:0") for i in range(83, -1, -1)),
            ints("some", 1),
        ],
    },
    "endless-loop": {"counted_frame_in_a_function": frame("w", 0, 10**12)},
    "recursion": {
        "recursion": [
            call("c", "ping", "x"),
            function("ping", ["x"], ["x"], call("c", "pong", "x")),
            function("pong", ["x"], ["x"], call("c", "ping", "x")),
        ],
    },
}
"""What is hostile about a function that a signature calls: the rule that has to find it → name → nodes, functions."""

_BUILT: dict[str, dict[str, Callable[[], Any]]] = {
    "internal-attribute": {"internal_attribute_of_an_argument": internal_argument},
    "file-write": {
        "write_nested": lambda: in_loop(node("n", "WriteFile", "x", "x")),
        "restore_saves": restore_saves,
        "serving_saves": serving_saves,
    },
    "file-read": {
        "read": lambda: in_loop(node("n", "ReadFile", "x")),
        "read_gradient": read_gradient,
        "read_implementation": lambda: meta_graph(
            [node("x", "Placeholder"), call("y", "a", "x")],
            [
                function("a", ["x"], ["x"], api_implements="lstm"),
                function("b", ["x"], ["x"], node("n", "ReadFile", "x"), api_implements="lstm"),
            ],
        ),
        "exchanged_for_a_reader": lambda: exchanged(function("other", ["file"], []), alike="initializer"),
        "exchanged_for_a_name": lambda: exchanged(function("other", ["x"], ["p:output:0"], _PASSWORDS), alike="name"),
        "exchanged_entry": captured_path,
        "gradient_of_an_entry": lambda: captured_path(is_gradient=True),
        "stale_asset": stale_asset,
        "default_read": default_read,
        "recorded_default": recorded_default,
        "collected_table": collected_table,
        "collected_variable": collected_variable,
        "second_assignment": lambda: through_variable(call("again", "assign", "path")),
        "second_caller": lambda: through_variable(_PASSWORDS, call("again", "initializer", "p")),
        "asset_by_name": asset_by_name,
        "variable_by_argument": variable_by_argument,
    },
    "checkpoint-read": {"restore_elsewhere": restore_elsewhere, "restore_by_name": restore_by_name},
    "shared-resource": {
        "variable_in_creator": variable_in_creator,
        "table_of_an_attribute": lambda: exported(node("n", "HashTableV2", shared_name="victim")),
    },
    "asset-path": {"asset_outside": asset_outside},
    "repeated-name": {"repeated_node": repeated_node},
    "allocation": {
        "called_bomb": called_bomb,
        "function_that_doubles": lambda: one_function_often(32),
        "tower_of_functions": lambda: tower(6, function("f0", ["a"], ["c:output:0"], doubled("c", "a"))),
        "loop_that_doubles": lambda: grown(40, doubled("new", "v")),
        "loop_that_appends": lambda: grown(
            10**6, ints("row", 0, shape=(1 << 14,)), node("new", "ConcatV2", "v", "row:output:0", "zero")
        ),
        "loop_that_joins": lambda: grown(40, node("new", "StringJoin", "v", "v"), start=text("some", "a")),
        "frame_that_doubles": lambda: framed(
            *frame("w", 0, 40), *frame_variable("w", "some", doubled("w/new", "w/old"))
        ),
        "frame_that_computes_a_size": lambda: framed(
            *frame("w", 0, 6),
            ints("two", 2, shape=(1,)),
            *frame_variable("w", "two", node("w/new", "Mul", "w/old", "w/old")),
            node("n", "Fill", "w/vExit", "x"),
        ),
        "padded_bomb": lambda: simple(
            *[ints("two", 2, shape=()), ints("shape", 1 << 20, 1 << 20), text("pad", "none")],
            node("n", "PaddedBatchDataset", "x", "two:output:0", "shape:output:0", "pad:output:0", N=1),
        ),
        "shuffled_bomb": lambda: dataset(10, ShuffleDatasetV3=1 << 40),
        "sums_without_end": sums_without_end,
    },
    "endless-loop": {
        "long_dataset": lambda: dataset(10**12),
        "dataset_without_end": lambda: dataset(10, RepeatDataset=-1),
        "counted_frame": lambda: framed(*frame("w", 0, 10**12)),
        "counted_frames": lambda: nested_frames(10**5, 10**5),
        "frame_that_counts_away": lambda: framed(*frame("w", 0, 10, step=-1)),
        "frame_that_steps_over_its_end": lambda: framed(*frame("w", 0, 7, step=2, compare="NotEqual")),
        "counted_loop": lambda: counted(10**12),
        "counted_loops": lambda: counted(10**5, 10**5),
        "loop_on_constant": lambda: endless([_TRUE], "t:output:0"),
        "loop_on_invariant": lambda: endless([ints("o", 1), node("e", "Less", "n", "o:output:0")], "e:z:0"),
        "loop_on_positive_numbers": lambda: endless_upwards("Greater", "s:z:0"),
        "queue_that_nothing_fills": lambda: simple(node("n", "QueueDequeueV2", "x")),
        "rate_that_is_no_number": lambda: simple(
            node("r", "Const", value=tensor(FLOAT, (), float_val=[float("nan")])),
            node("n", "RandomPoissonV2", "x", "r"),
        ),
        "loop_v1": lambda: meta_graph([_TRUE, node("e", "Enter", "t"), node("y", "LoopCond", "e")]),
    },
    "recursion": {"calls_that_double": calls_that_double},
}
"""What is hostile about a whole MetaGraph."""

HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    **{name: (partial(_serving, *made), rule) for rule, rows in _SERVED.items() for name, made in rows.items()},
    **{name: (build, rule) for rule, rows in _BUILT.items() for name, build in rows.items()},
    **{name: (build, rule) for rule, rows in MISTAKEN.items() for name, build in rows.items()},
}
"""What is hostile about a MetaGraph: its builder, and the rule that has to find it."""
