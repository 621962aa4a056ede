"""Graphs built by hand, harmless and hostile. None of them is ever executed.

`benign` makes a MetaGraph like those that TensorFlow 2 writes: a signature, functions in functions, a loop,
a condition, a dataset, a table filled from an asset, a saver. `HOSTILE` is one builder for each class of attack.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.formats import Format
from safeload.inspection import MetaGraphInfo, ModelInfo, ProducerInfo, SavedModelInfo
from safeload.inspection.graph.info import inspect_graph
from safeload.readers import SavedModelArtifact
from safeload.readers.protobuf import message_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FLOAT, INT32, STRING, INT64, BOOL, RESOURCE, VARIANT = 1, 3, 7, 9, 10, 20, 21


class Func(NamedTuple):
    """An attribute that names a function, with attributes of its own."""

    name: str
    attrs: Mapping[str, Any] = {}


class Type(NamedTuple):
    """An attribute that is a dtype."""

    number: int


class Ints(NamedTuple):
    """An attribute that is a list of numbers."""

    numbers: tuple[int, ...]


def attribute(value: Any) -> Any:
    """Make an AttrValue."""
    attr = message_class("AttrValue")()
    if isinstance(value, Ints):
        attr.list.i.extend(value.numbers)
    elif isinstance(value, (list, tuple)) and not isinstance(value, (Func, Type)):
        attr.list.SetInParent()
        for item in value:
            _add_item(attr.list, item)
    elif isinstance(value, Func):
        _fill_function(attr.func, value)
    elif isinstance(value, Type):
        attr.type = value.number
    elif isinstance(value, (str, bytes)):
        attr.s = value.encode() if isinstance(value, str) else value
    elif isinstance(value, bool):
        attr.b = value
    elif isinstance(value, int):
        attr.i = value
    else:
        attr.tensor.CopyFrom(value)
    return attr


def _add_item(values: Any, item: Any) -> None:
    if isinstance(item, Func):
        _fill_function(values.func.add(), item)
    else:
        values.s.append(item.encode())


def _fill_function(target: Any, func: Func) -> None:
    target.name = func.name
    for key, value in func.attrs.items():
        target.attr[key].CopyFrom(attribute(value))


def node(name: str, op: str, *inputs: str, device: str = "", **attrs: Any) -> Any:
    """Make a NodeDef."""
    made = message_class("NodeDef")(name=name, op=op, input=inputs, device=device)
    for key, value in attrs.items():
        made.attr[key].CopyFrom(attribute(value))
    return made


def tensor(dtype: int, shape: Iterable[int] = (), **values: Any) -> Any:
    """Make a TensorProto; *values* are its fields."""
    made = message_class("TensorProto")(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def text(name: str, *values: str) -> Any:
    """Make a Const of strings."""
    return node(name, "Const", value=tensor(STRING, (), string_val=[v.encode() for v in values]))


def ints(name: str, *values: int, shape: Iterable[int] | None = None) -> Any:
    """Make a Const of int64."""
    shape = (len(values),) if shape is None else shape
    return node(name, "Const", value=tensor(INT64, shape, int64_val=values))


def function(name: str, arguments: Iterable[str], returns: Iterable[str], *nodes: Any, **attrs: Any) -> Any:
    """Make a FunctionDef whose outputs are named ``o0``, ``o1`` and so on."""
    made = message_class("FunctionDef")(node_def=nodes)
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument)
    for index, reference in enumerate(returns):
        made.signature.output_arg.add(name=f"o{index}")
        made.ret[f"o{index}"] = reference
    for key, value in attrs.items():
        made.attr[key].CopyFrom(attribute(value))
    return made


def call(name: str, called: str, *inputs: str) -> Any:
    """Make a StatefulPartitionedCall."""
    return node(name, "StatefulPartitionedCall", *inputs, f=Func(called))


def meta_graph(nodes: Iterable[Any] = (), functions: Iterable[Any] = ()) -> Any:
    """Make a MetaGraphDef with the signature ``x`` to ``y``."""
    made = message_class("MetaGraphDef")()
    made.meta_info_def.tags.append("serve")
    made.graph_def.node.extend(nodes)
    made.graph_def.library.function.extend(functions)
    made.signature_def["serving_default"].inputs["x"].name = "x:0"
    made.signature_def["serving_default"].outputs["y"].name = "y:0"
    return made


def simple(*nodes: Any, functions: Iterable[Any] = ()) -> Any:
    """Make a MetaGraph whose signature calls the function ``serve``, which holds *nodes*."""
    serve = function("serve", ["x"], ["x"], *nodes)
    return meta_graph([node("x", "Placeholder"), call("y", "serve", "x")], [serve, *functions])


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


def bodies(made: Any) -> dict[str, Any]:
    """Return the repeated NodeDefs of each body of *made*."""
    functions = made.graph_def.library.function
    return {"": made.graph_def.node, **{f.signature.name: f.node_def for f in functions}}


def in_loop(*nodes: Any) -> Any:
    """Make a MetaGraph with *nodes* two functions deep inside of a loop."""
    made = benign()
    bodies(made)["deep"].extend(nodes)
    return made


def constant_handle() -> Any:
    """Make a Const that holds the handle of another model's variable."""
    handle = message_class("ResourceHandleProto")(container="localhost", name="victim")
    return node("h", "Const", value=tensor(RESOURCE, (), resource_handle_val=[handle]))


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


def function_named_like_an_op() -> Any:
    """Make a MetaGraph with a function that has the name of an op, so that readers may run either."""
    return simple(node("n", "ReadFile", "x"), functions=[function("ReadFile", ["x"], ["x"])])


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
    asset = message_class("AssetFileDef")(filename="vocab.txt")
    asset.tensor_info.name = "asset:0"
    made.collection_def["saved_model_assets"].any_list.value.add().Pack(asset)
    return made


def table_from_argument() -> Any:
    """Make a MetaGraph with a table that is filled from a file that the caller of a function names."""
    made = simple(call("f", "fill", "p:output:0"), text("p", "/etc/passwd"))
    made.graph_def.library.function.append(
        function("fill", ["file"], [], node("t", "InitializeTableFromTextFileV2", "table", "file"))
    )
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


def repeated_function() -> Any:
    """Make a MetaGraph with two functions of one name, of which readers may see either."""
    return simple(functions=[function("serve", ["x"], ["x"])])


def repeated_node() -> Any:
    """Make a MetaGraph with two nodes of one name."""
    return simple(node("n", "NoOp"), node("n", "NoOp"))


def recursive() -> Any:
    """Make a MetaGraph with two functions that call each other."""
    ping = function("ping", ["x"], ["x"], call("c", "pong", "x"))
    pong = function("pong", ["x"], ["x"], call("c", "ping", "x"))
    return simple(call("c", "ping", "x"), functions=[ping, pong])


def endless(condition: Iterable[Any], returned: str) -> Any:
    """Make a MetaGraph with a loop that returns its second argument changed and its first as it is."""
    return simple(
        node("w", "StatelessWhile", "x", "x", cond=Func("c"), body=Func("b")),
        functions=[
            function("c", ["n", "x"], [returned], *condition),
            function("b", ["n", "x"], ["i:output:0", "a:z:0"], node("i", "Identity", "n"), node("a", "Abs", "x")),
        ],
    )


def endless_upwards(compare: str, returned: str) -> Any:
    """Make a MetaGraph with a loop while x > 0 (or the like) whose body returns |x| + 1, or something else."""
    one = node("o", "Const", value=tensor(FLOAT, (), float_val=[1.0]))
    zero = node("z", "Const", value=tensor(FLOAT, (), float_val=[0.0]))
    step = [node("a", "Abs", "x"), node("s", "AddV2", "a:y:0", "o:output:0")]
    return simple(
        node("w", "StatelessWhile", "x", cond=Func("c"), body=Func("b")),
        functions=[
            function("c", ["x"], ["g:z:0"], zero, node("g", compare, "x", "z:output:0")),
            function("b", ["x"], [returned], one, *step),
        ],
    )


def endless_v1() -> Any:
    """Make a MetaGraph with a loop of TensorFlow 1 on a constant condition."""
    return meta_graph(
        [
            node("t", "Const", value=tensor(BOOL, (), bool_val=[True])),
            node("e", "Enter", "t"),
            node("y", "LoopCond", "e"),
        ]
    )


def many_constants() -> Any:
    """Make a MetaGraph with constants that are small one by one."""
    return simple(*(node(f"c{i}", "Const", value=tensor(FLOAT, (1 << 28,), float_val=[0.0])) for i in range(3)))


def packed(name: str, *values: bytes) -> Any:
    """Make a Const of bytes."""
    return node(name, "Const", value=tensor(STRING, (len(values),), string_val=values))


def serialized_bomb() -> bytes:
    """Serialize a tensor of a terabyte that is written down as one number."""
    made: bytes = tensor(FLOAT, (1 << 38,), float_val=[1.0]).SerializeToString()
    return made


def wide_operands() -> list[Any]:
    """Make a column and a row of a million numbers each."""
    return [ints("column", 0, shape=(1 << 20, 1)), ints("row", 0, shape=(1, 1 << 20))]


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


def counted(times: int, inner: int = 1) -> Any:
    """Make a MetaGraph with a loop that counts to *times*, and in it one that counts to *inner*."""
    return simple(
        *count_nodes("outer", times),
        functions=[*count_functions("outer", count_nodes("inner", inner)), *count_functions("inner")],
    )


def count_nodes(name: str, times: int) -> list[Any]:
    """Make a loop from 0 to *times*, which is passed along as TensorFlow does, and its operands."""
    functions = {"cond": Func(f"{name}_cond"), "body": Func(f"{name}_body")}
    return [
        ints(f"{name}_start", 0, shape=()),
        ints(f"{name}_stop", times, shape=()),
        node(f"{name}_loop", "StatelessWhile", f"{name}_start:output:0", f"{name}_stop:output:0", **functions),
    ]


def count_functions(name: str, nodes: Iterable[Any] = ()) -> list[Any]:
    """Make the functions of such a loop; *nodes* are added to its body."""
    steps = [ints("one", 1, shape=()), node("add", "AddV2", "i", "one:output:0"), node("same", "Identity", "n")]
    true = node("true", "Const", value=tensor(BOOL, (), bool_val=[True]))
    less = [node("less", "Less", "i", "n"), node("and", "LogicalAnd", "less:z:0", "true:output:0"), true]
    result = node("result", "Identity", "and:z:0")
    return [
        function(f"{name}_cond", ["i", "n"], ["result:output:0"], *less, result),
        function(f"{name}_body", ["i", "n"], ["add:z:0", "same:output:0"], *steps, *nodes),
    ]


def frame(name: str, start: int, limit: int, *, step: int = 1, compare: str = "Less", around: str = "") -> list[Any]:
    """Make a loop of TensorFlow 1 on constants; *around* is a tensor of the frame that it is in, which it starts with.

    Source: ``WhileContext`` of tensorflow/python/ops/control_flow_ops.py (2.21).
    """
    names = (
        "start",
        "limit",
        "Enter",
        "Merge",
        "Bound",
        "Less",
        "LoopCond",
        "Switch",
        "Identity",
        "one",
        "add",
        "Next",
    )
    n = {key: f"{name}/{key}" for key in (*names, "Exit")}
    return [
        ints(n["start"], start, shape=()),
        ints(n["limit"], limit, shape=()),
        node(n["Enter"], "Enter", around or n["start"], frame_name=name),
        node(n["Merge"], "Merge", n["Enter"], n["Next"]),
        node(n["Bound"], "Enter", n["limit"], frame_name=name, is_constant=True),
        node(n["Less"], compare, n["Merge"], n["Bound"]),
        node(n["LoopCond"], "LoopCond", n["Less"]),
        node(n["Switch"], "Switch", n["Merge"], n["LoopCond"]),
        node(n["Identity"], "Identity", n["Switch"] + ":1"),
        node(n["one"], "Const", "^" + n["Identity"], value=tensor(INT64, (), int64_val=[step])),
        node(n["add"], "AddV2", n["Identity"], n["one"]),
        node(n["Next"], "NextIteration", n["add"]),
        node(n["Exit"], "Exit", n["Switch"]),
    ]


def frame_variable(name: str, start: str, *nodes: Any) -> list[Any]:
    """Make another variable of the loop *name*: *nodes* make ``<name>/new`` of ``<name>/old``."""
    n = {key: f"{name}/v{key}" for key in ("Enter", "Merge", "Switch", "Next", "Exit")}
    return [
        node(n["Enter"], "Enter", start, frame_name=name),
        node(n["Merge"], "Merge", n["Enter"], n["Next"]),
        node(n["Switch"], "Switch", n["Merge"], f"{name}/LoopCond"),
        node(f"{name}/old", "Identity", n["Switch"] + ":1"),
        *nodes,
        node(n["Next"], "NextIteration", f"{name}/new"),
        node(n["Exit"], "Exit", n["Switch"]),
    ]


def framed(*nodes: Any) -> Any:
    """Make a MetaGraph of TensorFlow 1 with *nodes*, a scalar ``zero`` and sixteen numbers ``some``."""
    constants = [ints("zero", 0, shape=()), ints("some", 1, shape=(16,))]
    return meta_graph([node("x", "Placeholder"), node("y", "Identity", "x"), *constants, *nodes])


def nested_frames(outer: int, inner: int) -> Any:
    """Make a MetaGraph with a loop of TensorFlow 1 in another one."""
    first = node("o/first", "Const", "^o/Identity", value=tensor(INT64, (), int64_val=[0]))
    return framed(*frame("o", 0, outer), first, *frame("i", 0, inner, around="o/first"))


def doubled(name: str, given: str) -> Any:
    """Make a node with twice the elements of *given*."""
    return node(name, "ConcatV2", given, given, "zero", T=Type(INT64))


def grown(times: int, *nodes: Any, start: Any = None) -> Any:
    """Make a MetaGraph with a loop that makes ``new:output:0`` of ``v`` so many times."""
    functions = {"cond": Func("more"), "body": Func("grow")}
    some = ints("some", 1, shape=(16,)) if start is None else start
    stop, one = ints("stop", times, shape=()), ints("one", 1, shape=())
    return simple(
        some,
        ints("i", 0, shape=()),
        node("loop", "StatelessWhile", "i:output:0", "some:output:0", **functions),
        functions=[
            function("more", ["i", "v"], ["less:z:0"], stop, node("less", "Less", "i", "stop:output:0")),
            function(
                "grow", ["i", "v"], ["add:z:0", "new:output:0"], one, node("add", "AddV2", "i", "one:output:0"), *nodes
            ),
        ],
    )


def one_function_often(times: int) -> Any:
    """Make a MetaGraph that calls one function that doubles on its own result, again and again."""
    calls = [call(f"c{i}", "f", f"c{i - 1}:output:0" if i else "some:output:0") for i in range(times)]
    twice = function("f", ["a"], ["c:output:0"], doubled("c", "a"))
    return simple(ints("some", 1, shape=(16,)), *calls, functions=[twice])


def tower(height: int, bottom: Any) -> Any:
    """Make a MetaGraph with functions each of which calls the one below on what it makes; *bottom* is named ``f0``."""
    floors = [
        function(f"f{i}", ["a"], ["d:output:0"], call("c", f"f{i - 1}", "a"), call("d", f"f{i - 1}", "c:output:0"))
        for i in range(1, height)
    ]
    top = call("c", f"f{height - 1}", "some:output:0")
    return simple(ints("some", 1, shape=(16,)), top, functions=[bottom, *floors])


def dataset(stop: int, **steps: int) -> Any:
    """Make a MetaGraph that goes through the numbers up to *stop*, or what datasets with one operand make of them."""
    nodes = [ints("from", 0, shape=()), ints("to", stop, shape=()), ints("by", 1, shape=())]
    nodes.append(node("d0", "RangeDataset", "from:output:0", "to:output:0", "by:output:0"))
    for index, (op, number) in enumerate(steps.items()):
        nodes += [
            ints(f"n{index}", number, shape=()),
            node(f"d{index + 1}", op, f"d{index}:handle:0", f"n{index}:output:0"),
        ]
    add = function("add", ["a", "b"], ["s:z:0"], node("s", "AddV2", "a", "b"))
    return simple(*nodes, node("all", "ReduceDataset", f"d{len(steps)}:handle:0", "x", f=Func("add")), functions=[add])


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "write": (lambda: simple(node("n", "WriteFile", "x", "x")), "file-write"),
    "write_nested": (lambda: in_loop(node("n", "WriteFile", "x", "x")), "file-write"),
    "write_unreached": (
        lambda: simple(functions=[function("f", ["x"], [], node("n", "WriteFile", "x"))]),
        "file-write",
    ),
    "write_nested_attribute": (
        lambda: simple(
            node("n", "MapDataset", "x", f=Func("f", {"g": Func("g")})),
            functions=[function("f", ["x"], ["x"]), function("g", ["x"], ["x"], node("n", "WriteFile", "x", "x"))],
        ),
        "file-write",
    ),
    "read": (lambda: in_loop(node("n", "ReadFile", "x")), "file-read"),
    "read_gradient": (
        lambda: _with_gradient(simple(functions=[function("g", ["x"], ["x"], node("n", "ReadFile", "x"))])),
        "file-read",
    ),
    "read_implementation": (
        lambda: meta_graph(
            [node("x", "Placeholder"), call("y", "a", "x")],
            [
                function("a", ["x"], ["x"], api_implements="lstm"),
                function("b", ["x"], ["x"], node("n", "ReadFile", "x"), api_implements="lstm"),
            ],
        ),
        "file-read",
    ),
    "dataset_from_file": (lambda: simple(node("n", "TextLineDataset", "x")), "file-read"),
    "dataset_cache": (
        lambda: simple(node("n", "CacheDatasetV2", "x", "p:output:0"), text("p", "/tmp/c")),
        "file-write",
    ),
    "dataset_cache_in_content": (
        lambda: simple(
            node("n", "CacheDatasetV2", "x", "p:output:0"),
            node("p", "Const", value=tensor(STRING, (), tensor_content=b"\x06/tmp/c")),
        ),
        "file-write",
    ),
    "vocabulary_attribute": (lambda: simple(node("n", "FixedUnigramCandidateSampler", vocab_file="/x")), "file-read"),
    "descriptor_attribute": (lambda: simple(node("n", "DecodeProtoV2", descriptor_source="/x")), "file-read"),
    "print_to_file": (lambda: simple(node("n", "PrintV2", "x", output_stream="file:///tmp/x")), "file-write"),
    "debug": (lambda: simple(node("n", "DebugIdentityV2", "x", debug_urls=["file:///tmp/x"])), "debug-dump"),
    "network": (lambda: simple(node("n", "RpcClient", "x")), "network"),
    "sleep": (lambda: simple(node("n", "SleepDataset", "x")), "process-control"),
    "python": (lambda: simple(node("n", "EagerPyFunc", "x")), "python-callback"),
    "hidden_graph": (lambda: simple(node("n", "DatasetFromGraph", "x")), "hidden-graph"),
    "custom_call": (lambda: simple(node("n", "XlaCallModule", "x", module=b"ML\xefR\0custom_call_v1")), "native-code"),
    "text_module": (lambda: simple(node("n", "XlaCallModule", "x", module=b"module {}")), "native-code"),
    "no_module": (lambda: simple(node("n", "XlaCallModule", "x")), "native-code"),
    "tpu": (lambda: simple(node("n", "TPUExecute", "x")), "accelerator-op"),
    "variable_by_name": (lambda: simple(node("n", "VarHandleOp", shared_name="victim")), "shared-resource"),
    "forged_handle": (lambda: simple(constant_handle()), "forged-handle"),
    "hidden_handle": (lambda: simple(hidden_handle()), "forged-handle"),
    "parsed_handle": (lambda: simple(node("n", "ParseTensor", "x", out_type=Type(RESOURCE))), "forged-handle"),
    "absent_function": (lambda: simple(call("c", "__inference_of_another_model")), "absent-function"),
    "asset_outside": (asset_outside, "asset-path"),
    "stale_asset": (stale_asset, "file-read"),
    "default_read": (default_read, "file-read"),
    "recorded_default": (recorded_default, "file-read"),
    "collected_table": (collected_table, "file-read"),
    "collected_variable": (collected_variable, "file-read"),
    "function_named_like_an_op": (function_named_like_an_op, "repeated-name"),
    "second_assignment": (lambda: through_variable(call("again", "assign", "path")), "file-read"),
    "table_from_argument": (table_from_argument, "file-read"),
    "restore_elsewhere": (restore_elsewhere, "checkpoint-read"),
    "restore_saves": (restore_saves, "file-write"),
    "serving_saves": (serving_saves, "file-write"),
    "serving_restores": (lambda: simple(node("n", "RestoreV2", "x")), "checkpoint-read"),
    "repeated_function": (repeated_function, "repeated-name"),
    "repeated_node": (repeated_node, "repeated-name"),
    "constant_bomb": (
        lambda: simple(node("c", "Const", value=tensor(FLOAT, (1 << 37,), float_val=[0.0]))),
        "allocation",
    ),
    "many_constants": (many_constants, "allocation"),
    "fill_bomb": (
        lambda: simple(
            ints("d", 1 << 20, shape=()),
            node("s", "Pack", "d:output:0", "d:output:0"),
            node("f", "Fill", "s:output:0", "x", T=Type(FLOAT)),
        ),
        "allocation",
    ),
    "outputs_bomb": (lambda: simple(node("u", "Unpack", "x", num=1 << 31)), "allocation"),
    "ragged_bomb": (
        lambda: simple(ints("s", 1 << 20, 1 << 20), node("r", "RaggedTensorToTensor", "s:output:0", "x", "x")),
        "allocation",
    ),
    "segments_bomb": (
        lambda: simple(ints("n", 1 << 40, shape=()), node("r", "SegmentSumV2", "x", "x", "n:output:0")),
        "allocation",
    ),
    "rows_bomb": (
        lambda: simple(ints("s", 1 << 40, 1), node("r", "SparseFillEmptyRows", "x", "x", "s:output:0")),
        "allocation",
    ),
    "doubling_bomb": (
        lambda: simple(
            ints("a", 1, shape=(64,)),
            node("c0", "ConcatV2", "a:output:0", "a:output:0", "x", T=Type(INT64)),
            *(
                node(f"c{i}", "ConcatV2", f"c{i - 1}:output:0", f"c{i - 1}:output:0", "x", T=Type(INT64))
                for i in range(1, 40)
            ),
        ),
        "allocation",
    ),
    "range_bomb": (
        lambda: simple(
            ints("a", 0, shape=()),
            ints("b", 1 << 40, shape=()),
            ints("c", 1, shape=()),
            node("r", "Range", "a:output:0", "b:output:0", "c:output:0"),
        ),
        "allocation",
    ),
    **{
        name: (lambda nodes=nodes: simple(*nodes), "allocation")
        for name, nodes in {
            "outer_product_bomb": [*wide_operands(), node("n", "Mul", "column:output:0", "row:output:0")],
            "matrix_product_bomb": [*wide_operands(), node("n", "MatMul", "column:output:0", "row:output:0")],
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
            "parsed_bomb": [node("n", "ParseTensor", "t:output:0"), packed("t", serialized_bomb())],
        }.items()
    },
    "called_bomb": (called_bomb, "allocation"),
    "function_that_doubles": (lambda: one_function_often(32), "allocation"),
    "tower_of_functions": (
        lambda: tower(6, function("f0", ["a"], ["c:output:0"], doubled("c", "a"))),
        "allocation",
    ),
    "values_of_shared_functions": (
        lambda: simple(
            ints("two", 2, shape=(1,)),
            *(call(f"c{i}", "square", f"c{i - 1}:output:0" if i else "two:output:0") for i in range(6)),
            node("n", "Fill", "c5:output:0", "x"),
            functions=[function("square", ["a"], ["m:z:0"], node("m", "Mul", "a", "a"))],
        ),
        "allocation",
    ),
    "allocation_in_shared_function": (
        lambda: simple(
            ints("many", 1 << 16),
            call("a", "f", "many:output:0"),
            call("b", "f", "many:output:0"),
            functions=[
                function("f", ["a"], ["s:output:0"], node("n", "Fill", "m:z:0", "a"), node("m", "Mul", "a", "a"))
            ],
        ),
        "allocation",
    ),
    "doubling_backwards": (
        lambda: simple(
            *(doubled(f"d{i}", f"d{i - 1}:output:0" if i else "some:output:0") for i in range(83, -1, -1)),
            ints("some", 1),
        ),
        "allocation",
    ),
    "loop_that_doubles": (lambda: grown(40, doubled("new", "v")), "allocation"),
    "loop_that_appends": (
        lambda: grown(10**6, ints("row", 0, shape=(1 << 14,)), node("new", "ConcatV2", "v", "row:output:0", "zero")),
        "allocation",
    ),
    "loop_that_joins": (lambda: grown(40, node("new", "StringJoin", "v", "v"), start=text("some", "a")), "allocation"),
    "frame_that_doubles": (
        lambda: framed(*frame("w", 0, 40), *frame_variable("w", "some", doubled("w/new", "w/old"))),
        "allocation",
    ),
    "frame_that_computes_a_size": (
        lambda: framed(
            *frame("w", 0, 6),
            ints("two", 2, shape=(1,)),
            *frame_variable("w", "two", node("w/new", "Mul", "w/old", "w/old")),
            node("n", "Fill", "w/vExit", "x"),
        ),
        "allocation",
    ),
    "long_dataset": (lambda: dataset(10**12), "endless-loop"),
    "dataset_without_end": (lambda: dataset(10, RepeatDataset=-1), "endless-loop"),
    "shuffled_bomb": (lambda: dataset(10, ShuffleDatasetV3=1 << 40), "allocation"),
    "counted_frame": (lambda: framed(*frame("w", 0, 10**12)), "endless-loop"),
    "counted_frame_in_a_function": (lambda: simple(*frame("w", 0, 10**12)), "endless-loop"),
    "counted_frames": (lambda: nested_frames(10**5, 10**5), "endless-loop"),
    "frame_that_counts_away": (lambda: framed(*frame("w", 0, 10, step=-1)), "endless-loop"),
    "frame_that_steps_over_its_end": (lambda: framed(*frame("w", 0, 7, step=2, compare="NotEqual")), "endless-loop"),
    "counted_loop": (lambda: counted(10**12), "endless-loop"),
    "counted_loops": (lambda: counted(10**5, 10**5), "endless-loop"),
    "loop_on_constant": (
        lambda: endless([node("t", "Const", value=tensor(BOOL, (), bool_val=[True]))], "t:output:0"),
        "endless-loop",
    ),
    "loop_on_invariant": (
        lambda: endless([ints("o", 1), node("e", "Less", "n", "o:output:0")], "e:z:0"),
        "endless-loop",
    ),
    "loop_on_positive_numbers": (lambda: endless_upwards("Greater", "s:z:0"), "endless-loop"),
    "loop_v1": (endless_v1, "endless-loop"),
    "recursion": (recursive, "recursion"),
    "calls_that_double": (calls_that_double, "recursion"),
}
"""What is hostile about a MetaGraph: its builder, and the rule that has to find it."""


def _with_gradient(made: Any) -> Any:
    made.graph_def.library.gradient.add(function_name="serve", gradient_func="g")
    return made


def model(
    *meta_graphs: Any, anomalies: tuple[Any, ...] = (), digest: str = "d1"
) -> tuple[SavedModelArtifact, ModelInfo]:
    """Return the artifact and the facts of a SavedModel with *meta_graphs*."""
    message = message_class("SavedModel")(meta_graphs=meta_graphs)
    artifact = SavedModelArtifact(
        Format.SAVED_MODEL,
        "model",
        Path("model"),
        message.SerializeToString(),
        message,
        files={},
        digest=digest,
        anomalies=anomalies,
    )
    facts = tuple(
        MetaGraphInfo(index, frozenset(made.meta_info_def.tags), graph=inspect_graph(made))
        for index, made in enumerate(meta_graphs)
    )
    info = ModelInfo(Format.SAVED_MODEL, "model", digest, 0, ProducerInfo(), saved_model=SavedModelInfo(facts))
    return artifact, info
