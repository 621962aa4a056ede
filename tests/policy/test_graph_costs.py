"""What a graph provably needs: sizes, decoded constants and counted loops, beyond the cases of `hostile.graphs`."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hostile.graphs import (
    BOOL,
    FLOAT,
    INT64,
    STRING,
    Func,
    Ints,
    call,
    count_functions,
    count_nodes,
    counted,
    function,
    ints,
    model,
    node,
    packed,
    simple,
    tensor,
    text,
)

from safeload.inspection.graph import inspect_graph
from safeload.policy import examine
from safeload.policy.graph import _costs, _encoded
from safeload.policy.graph._shapes import ShapeEvaluator
from safeload.policy.graph._values import ConstantEvaluator


def _rules(made: Any) -> set[str]:
    return {finding.rule for finding in examine(*model(made))}


def _graph(*nodes: Any, functions: Any = ()) -> Any:
    return inspect_graph(simple(*nodes, functions=functions))


def _shape(*nodes: Any, functions: Any = ()) -> tuple[int, ...] | None:
    """Return the least shape of the node ``n`` among *nodes*."""
    graph = _graph(*nodes, functions=functions)
    return ShapeEvaluator(graph, ConstantEvaluator(graph)).least(graph.bodies["serve"].by_name["n"])


A = ints("a", 0, shape=(2, 3))
B = ints("b", 0, shape=(3, 4))
LIST = node("r", "TensorListReserve", "s", "s")
TRUE = {"transpose_a": True}
UNKNOWN = tensor(INT64)
UNKNOWN.tensor_shape.unknown_rank = True

SHAPES = {
    "constant": ([ints("n", 0, shape=(2, -1))], (2, 1)),
    "constant of no rank": ([node("n", "Const", value=UNKNOWN)], None),
    "constant without a value": ([node("n", "Const")], None),
    "unknown op": ([node("n", "Unique", "x")], None),
    "no input": ([node("n", "Identity")], None),
    "same": ([A, node("n", "Relu", "a")], (2, 3)),
    "broadcast": ([A, ints("c", 0, shape=(5, 1, 1)), node("n", "Add", "a", "c", "^c")], (5, 2, 3)),
    "broadcast of nothing": ([A, ints("c", shape=(0, 3)), node("n", "Add", "a", "c")], (0, 3)),
    "broadcast with data": ([A, node("n", "Add", "a", "x")], None),
    "matrix product": ([A, B, node("n", "MatMul", "a", "b")], (2, 4)),
    "transposed product": ([A, ints("c", 0, shape=(2, 5)), node("n", "MatMul", "a", "c", **TRUE)], (3, 5)),
    "adjoint product": ([A, ints("c", 0, shape=(7, 5, 3)), node("n", "BatchMatMul", "a", "c", adj_y=True)], (7, 2, 5)),
    "product of a vector": ([A, ints("c", 0), node("n", "MatMul", "a", "c")], None),
    "einsum": ([A, B, node("n", "Einsum", "a", "b", equation="ij,jk->ki")], (4, 2)),
    "einsum of other ranks": ([A, B, node("n", "Einsum", "a", "b", equation="...,jk->ki")], None),
    "einsum without a result": ([A, node("n", "Einsum", "a", equation="ij")], None),
    "einsum without an equation": ([A, node("n", "Einsum", "a")], None),
    "gather": ([A, ints("i", 0, shape=(9,)), ints("one", 1), node("n", "GatherV2", "a", "i", "one")], (2, 9)),
    "gather of old": ([A, ints("i", 0, shape=(9,)), node("n", "Gather", "a", "i")], (9, 3)),
    "gather in batches": ([A, node("n", "Gather", "a", "a", batch_dims=1)], None),
    "one hot": ([A, ints("d", 7, shape=()), node("n", "OneHot", "a", "d")], (2, 3, 7)),
    "one hot by data": ([A, node("n", "OneHot", "a", "x")], None),
    "diagonals": ([A, node("n", "MatrixDiag", "a")], (2, 3, 3)),
    "diagonals of data": ([node("n", "MatrixDiag", "x")], None),
    "diagonal": ([A, node("n", "Diag", "a")], (2, 3, 2, 3)),
    "diagonal of data": ([node("n", "Diag", "x")], None),
    "fill": ([ints("s", 4, 5), node("n", "Fill", "s", "x")], (4, 5)),
    "fill by data": ([node("n", "Fill", "x", "x")], None),
    "reshape": ([A, ints("s", 3, -1), node("n", "Reshape", "a", "s")], (3, 2)),
    "reshape of data": ([ints("s", 3, -1), node("n", "Reshape", "x", "s")], (3, 1)),
    "reshape by data": ([A, node("n", "Reshape", "a", "x")], None),
    "tile": ([A, ints("s", 2, 5), node("n", "Tile", "a", "s")], (4, 15)),
    "tile of another rank": ([A, ints("s", 2), node("n", "Tile", "a", "s")], None),
    "new axis": ([A, ints("s", -1), node("n", "ExpandDims", "a", "s")], (2, 3, 1)),
    "new axis at the front": ([A, ints("s", 0), node("n", "ExpandDims", "a", "s")], (1, 2, 3)),
    "new axis outside": ([A, ints("s", 9), node("n", "ExpandDims", "a", "s")], None),
    "transposed": ([A, ints("s", 1, 0), node("n", "Transpose", "a", "s")], (3, 2)),
    "transposed wrongly": ([A, ints("s", 1, 1), node("n", "Transpose", "a", "s")], None),
    "range": ([ints("z", 0), ints("m", 10), ints("d", 3), node("n", "Range", "z", "m", "d")], (4,)),
    "range by data": ([ints("z", 0), node("n", "Range", "z", "x", "z")], None),
    "list": ([LIST, ints("s", 4, -1), node("n", "TensorListStack", "r", "s")], (4, 4, 1)),
    "list of data": ([ints("s", 4), node("n", "TensorListStack", "x", "s")], None),
    "too many axes": ([ints("s", *[1] * 300), node("n", "Fill", "s", "x")], None),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_least_shapes(name: str) -> None:
    """Shapes follow from constants as far as the rules go, and are unknown beyond."""
    nodes, expected = SHAPES[name]
    assert _shape(*nodes) == expected


def test_shapes_go_through_functions_that_are_called_once() -> None:
    """Arguments and results are followed; of a function with two callers nothing is known."""
    doubled = function("f", ["v"], ["t:output:0"], ints("s", 2, 2), node("t", "Tile", "v", "s:output:0"))
    assert _shape(A, call("c", "f", "a"), node("n", "Identity", "c:output:0"), functions=[doubled]) == (4, 6)
    twice = [call("c", "f", "a"), call("d", "f", "a")]
    assert _shape(A, *twice, node("n", "Identity", "c:output:0"), functions=[doubled]) is None
    assert _shape(A, call("c", "f", "a"), node("n", "Identity", "c:output:5"), functions=[doubled]) is None
    assert _shape(A, call("c", "f"), node("n", "Identity", "c:output:0"), functions=[doubled]) is None


def test_functions_that_return_each_other_end() -> None:
    """A cycle of calls has another rule; following it ends."""
    ping = function("ping", ["v"], ["c:output:0"], call("c", "pong", "v"))
    pong = function("pong", ["v"], ["c:output:0"], call("c", "ping", "v"))
    assert _shape(call("c", "ping", "x"), node("n", "Identity", "c:output:0"), functions=[ping, pong]) is None


VALUES = {
    "maximum": ([ints("v", 1, 9, 3), node("n", "Max", "v", "v")], (9,)),
    "maximum of nothing": ([ints("v"), node("n", "Max", "v")], None),
    "shape": ([A, node("n", "Shape", "a")], (2, 3)),
    "shape of data": ([node("n", "Shape", "x")], None),
    "shape of none": ([node("n", "Shape")], None),
    "choice": ([ints("z", 0), ints("v", 5), ints("w", 6), node("n", "SelectV2", "z", "v", "w")], (6,)),
    "choice of many": ([ints("z", 0, 1), ints("v", 5), ints("w", 6), node("n", "SelectV2", "z", "v", "w")], None),
    "comparison": ([ints("v", 5), ints("w", 6), node("n", "LessEqual", "v", "w")], (1,)),
    "quotient": ([ints("v", 7), ints("w", 2), node("n", "FloorDiv", "v", "w")], (3,)),
    "quotient by zero": ([ints("v", 7), ints("w", 0), node("n", "FloorDiv", "v", "w")], (0,)),
    "truth": ([node("n", "Const", value=tensor(BOOL, (1,), bool_val=[True]))], (1,)),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_of_constants(name: str) -> None:
    """What sizes are computed with is computed."""
    nodes, expected = VALUES[name]
    graph = _graph(*nodes, node("user", "Identity", "n"))
    assert ConstantEvaluator(graph).input(graph.bodies["serve"].by_name["user"], 0) == expected


def test_masks_count_as_bytes() -> None:
    """A causal mask for 32,768 positions is compared from a column and a row: one byte each."""
    operands = [ints("c", 0, shape=(1 << 15, 1)), ints("r", 0, shape=(1, 1 << 15))]
    assert not _rules(simple(*operands, node("n", "GreaterEqual", "c", "r")))


BOMBS = {
    "zlib": [zlib.compress(bytes(1 << 21))],
    "gzip": [gzip.compress(bytes(1 << 21))],
    "many": [zlib.compress(bytes(1 << 19))] * 3,
}


@pytest.mark.parametrize("name", BOMBS)
def test_compressed_constants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a graph decompresses of its own constants is counted before it does."""
    monkeypatch.setattr(_costs, "_DECODED_BUDGET", 1 << 20)
    decoder = node("n", "DecodeCompressed", "i:output:0")
    assert "allocation" in _rules(simple(decoder, node("i", "Identity", "t:output:0"), packed("t", *BOMBS[name])))


def test_decoders_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many decoders of one constant take what one decoder of many would."""
    monkeypatch.setattr(_costs, "_DECODED_BUDGET", 1 << 20)
    one = packed("t", zlib.compress(bytes(600_000)))
    assert not _rules(simple(one, node("n", "DecodeCompressed", "t")))
    assert "allocation" in _rules(simple(one, *(node(f"n{i}", "DecodeCompressed", "t") for i in range(2))))


def test_constants_that_are_compressed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder of what a decoder makes is followed."""
    monkeypatch.setattr(_costs, "_DECODED_BUDGET", 1 << 20)
    monkeypatch.setattr(_encoded, "_CHUNK", 1 << 12)
    monkeypatch.setattr(_encoded, "_KEPT", 1 << 14)
    inner = node("m", "DecodeCompressed", "t")
    outer = node("n", "DecodeCompressed", "m")
    assert "allocation" in _rules(simple(outer, inner, packed("t", zlib.compress(zlib.compress(bytes(1 << 23))))))


HARMLESS = {
    "no input": [node("n", "DecodeCompressed")],
    "data": [node("n", "DecodeCompressed", "x")],
    "computed": [node("n", "DecodeCompressed", "j"), node("j", "StringJoin", "x")],
    "circle": [node("n", "DecodeCompressed", "i"), node("i", "Identity", "i")],
    "not compressed": [node("n", "DecodeCompressed", "t"), text("t", "plain")],
    "without a value": [node("n", "ParseTensor", "t"), node("t", "Const")],
    "no tensor": [node("n", "ParseTensor", "t"), text("t", "\xff")],
    "small tensor": [node("n", "ParseTensor", "t"), packed("t", tensor(STRING, (2,)).SerializeToString())],
    "spectrum without a window": [node("n", "AudioSpectrogram", "x")],
    "padding of one": [node("n", "Conv2D", "x", explicit_paddings=Ints((0, 0, 1, 1, 1, 1, 0, 0)))],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_constants(name: str) -> None:
    """What cannot be decoded fails in TensorFlow, and what depends on data is not known."""
    assert not _rules(simple(*HARMLESS[name]))


def _loop(compare: str, step: int, *, start: int = 0, stop: int = 10**12, op: str = "AddV2") -> Any:
    """Make a MetaGraph with a loop on constants."""
    operands = [ints("a", start, shape=()), node("w", "While", "a:output:0", cond=Func("c"), body=Func("b"))]
    condition = [ints("stop", stop, shape=()), node("less", compare, "i", "stop:output:0")]
    body = [ints("step", step, shape=()), node("add", op, "i", "step:output:0")]
    return simple(
        *operands,
        functions=[function("c", ["i"], ["less:z:0"], *condition), function("b", ["i"], ["add:z:0"], *body)],
    )


ENDLESS = {
    "upwards": _loop("LessEqual", 1),
    "downwards": _loop("Greater", -1, start=10**12, stop=0),
    "by subtraction": _loop("GreaterEqual", 1, start=10**12, stop=0, op="Sub"),
}
ENDING = {
    "few times": _loop("Less", 1, stop=100),
    "large steps": _loop("Less", 10**9),
    "never": _loop("Less", 1, start=10**13),
    "away": _loop("Less", -1),
    "no step": _loop("Less", 1, op="Mul"),
    "not a comparison": _loop("Equal", 1),
    "few times few": counted(1000, 1000),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_loops_that_count_for_days(name: str) -> None:
    """Counting from one constant to another takes as long as it takes, whatever the input."""
    assert "endless-loop" in _rules(ENDLESS[name])


@pytest.mark.parametrize("name", ENDING)
def test_loops_that_end(name: str) -> None:
    """What ends soon, or may end, is let through."""
    assert "endless-loop" not in _rules(ENDING[name])


def _odd(change: Any) -> set[str]:
    """Return the rules about a loop to 10**12 after *change* of its functions by name."""
    made = counted(10**12)
    change({f.signature.name: f for f in made.graph_def.library.function}, made.graph_def.library.function[0])
    return _rules(made)


def _of(functions: Any, name: str, kind: str) -> Any:
    return next(n for n in functions[name].node_def if n.name == kind)


def test_loops_by_data() -> None:
    """Where start, step or end come from data nothing is known, and broken loops are TensorFlow's."""
    assert "endless-loop" not in _odd(lambda f, s: _loop_of(s).input.__setitem__(0, "x"))
    assert "endless-loop" not in _odd(lambda f, s: _loop_of(s).input.__setitem__(1, "x"))
    assert "endless-loop" not in _odd(lambda f, s: f["outer_body"].ret.__setitem__("o1", "add:z:0"))
    assert "endless-loop" not in _odd(lambda f, s: f["outer_body"].ret.__setitem__("o0", "same:output:0"))
    assert "endless-loop" not in _odd(lambda f, s: _of(f, "outer_body", "add").input.__setitem__(1, "n"))
    assert "endless-loop" not in _odd(lambda f, s: _of(f, "outer_cond", "less").input.pop())
    assert "endless-loop" not in _odd(lambda f, s: _of(f, "outer_cond", "result").input.__setitem__(0, "gone"))
    assert "endless-loop" not in _odd(lambda f, s: f["outer_body"].signature.input_arg.__delitem__(slice(None)))
    assert "endless-loop" not in _odd(lambda f, s: _of(f, "outer_body", "same").input.__setitem__(0, "same"))
    assert "endless-loop" not in _odd(lambda f, s: _loop_of(s).input.__delitem__(slice(None)))
    assert "endless-loop" not in _odd(lambda f, s: _loop_of(s).attr.__delitem__("cond"))


def test_broken_loops() -> None:
    """A body without arguments for the counter, where the end is a constant."""
    made = _loop("Less", 1)
    for found in made.graph_def.library.function:
        if found.signature.name == "b":
            found.signature.input_arg.pop()
    assert "endless-loop" not in _rules(made)


def _loop_of(serve: Any) -> Any:
    return next(n for n in serve.node_def if n.op == "StatelessWhile")


def test_loops_in_functions_of_loops() -> None:
    """Iterations multiply through calls as well."""
    body = [call("call", "called", "i")]
    functions = [
        *count_functions("outer", body),
        function("called", ["x"], ["x"], *count_nodes("inner", 10**6)),
        *count_functions("inner"),
    ]
    assert "endless-loop" in _rules(simple(*count_nodes("outer", 10**6), functions=functions))


def test_swapped_addition() -> None:
    """The step may stand on either side of an addition."""
    add = {"i": "one:output:0"}

    def swap(functions: Any, _: Any) -> None:
        node_def = _of(functions, "outer_body", "add")
        node_def.input[:] = [add["i"], "i"]

    assert "endless-loop" in _odd(swap)


def test_fractions() -> None:
    """A step of less than one is no step of zero."""
    zero = node("z", "Const", value=tensor(FLOAT, (), float_val=[0.0]))
    loop = node("w", "While", "z:output:0", cond=Func("c"), body=Func("b"))
    one = node("one", "Const", value=tensor(FLOAT, (), float_val=[1.0]))
    step = node("step", "Const", value=tensor(FLOAT, (), float_val=[1e-12]))
    condition = function("c", ["i"], ["less:z:0"], one, node("less", "Less", "i", "one:output:0"))
    body = function("b", ["i"], ["add:z:0"], step, node("add", "AddV2", "i", "step:output:0"))
    assert "endless-loop" in _rules(simple(zero, loop, functions=[condition, body]))
