"""Graphs that repeat, built by hand: loops of TensorFlow 1 and 2, towers of functions, datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hostile.nodes import BOOL, FLOAT, INT64, Func, Type, call, function, ints, meta_graph, node, simple, tensor

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    names = "start limit Enter Merge Bound Less LoopCond Switch Identity one add Next Exit".split()
    n = {key: f"{name}/{key}" for key in names}
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
