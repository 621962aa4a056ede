"""What a graph provably needs: sizes, decoded constants and counted loops, beyond the cases of `hostile.graphs`."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hostile.loops import (
    count_functions,
    count_nodes,
    counted,
    dataset,
    doubled,
    frame,
    frame_variable,
    framed,
    grown,
    nested_frames,
    tower,
)
from hostile.nodes import (
    BOOL,
    FLOAT,
    INT64,
    STRING,
    Func,
    Ints,
    Type,
    bodies,
    call,
    function,
    ints,
    model,
    node,
    packed,
    simple,
    tensor,
    text,
)

from safeload.inspection.graph.info import inspect_graph
from safeload.policy import Severity, examine
from safeload.policy.graph._constants import _counted, _facts, _sites
from safeload.policy.graph._constants._fact import NOTHING
from safeload.policy.graph._constants._facts import Facts
from safeload.policy.graph._constants._sites import Site
from safeload.policy.graph._costs import _conditions, _encoded, _findings


def _rules(made: Any) -> set[str]:
    return {finding.rule for finding in examine(*model(made))}


def _graph(*nodes: Any, functions: Any = ()) -> Any:
    return inspect_graph(simple(*nodes, functions=functions))


def _shape(*nodes: Any, functions: Any = ()) -> tuple[int, ...] | None:
    """Return the least shape of the node ``n`` among *nodes*."""
    graph = _graph(*nodes, functions=functions)
    return Facts(graph).of(Site(graph.bodies["serve"].by_name["n"])).shape


A = ints("a", 0, shape=(2, 3))
B = ints("b", 0, shape=(3, 4))
LIST = node("r", "TensorListReserve", "s", "s")
TRUE = {"transpose_a": True}
UNKNOWN = tensor(INT64)
UNKNOWN.tensor_shape.unknown_rank = True

IMAGE = ints("i", 0, shape=(1, 5, 4, 4))
PATCHES = {"ksizes": Ints((1, 3, 3, 1)), "strides": Ints((1, 1, 2, 1))}

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
    "segments": ([A, ints("i", 0, 0), ints("c", 9), node("n", "UnsortedSegmentSum", "a", "i", "c")], (9, 3)),
    "segments of data": ([A, ints("c", 9), node("n", "UnsortedSegmentMax", "a", "x", "c")], None),
    "samples": ([A, ints("s", 5), node("n", "RandomGamma", "s", "a")], (5, 2, 3)),
    "samples of data": ([ints("s", 5), node("n", "RandomPoissonV2", "s", "x")], (5,)),
    "samples by data": ([A, node("n", "RandomGamma", "x", "a")], None),
    "patches": ([IMAGE, node("n", "ExtractImagePatches", "i", padding=b"SAME", **PATCHES)], (1, 5, 2, 36)),
    "patches inside": ([IMAGE, node("n", "ExtractImagePatches", "i", padding=b"VALID", **PATCHES)], (1, 3, 1, 36)),
    "patches of anything": ([A, node("n", "ExtractImagePatches", "a", padding=b"SAME", **PATCHES)], None),
    "patches of no size": ([IMAGE, node("n", "ExtractImagePatches", "i")], None),
    "too many axes": ([ints("s", *[1] * 300), node("n", "Fill", "s", "x")], None),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_least_shapes(name: str) -> None:
    """Shapes follow from constants as far as the rules go, and are unknown beyond."""
    nodes, expected = SHAPES[name]
    assert _shape(*nodes) == expected


@pytest.mark.parametrize("op", sorted(_facts.LED))
def test_nothing_is_known_without_the_first_input(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out because the first input is unknown would have told nothing."""
    monkeypatch.setattr(_facts, "LED", frozenset())
    graph = _graph(ints("c", 7, 9), *(node(f"n{i}", op, "x", *("c",) * i) for i in range(4)))
    facts = Facts(graph)
    assert {facts.of(Site(graph.bodies["serve"].by_name[f"n{i}"])) for i in range(4)} == {NOTHING}


def test_control_dependencies_do_not_lead() -> None:
    """TensorFlow refuses them in front of the others; what is known of those counts all the same."""
    assert _shape(A, node("n", "Add", "^a", "a")) == (2, 3)


@pytest.mark.parametrize("op", ["Add", "Fill", "Identity", "Shape"])
def test_references_without_a_name(op: str) -> None:
    """An empty input refers to nothing; TensorFlow refuses it."""
    assert _shape(A, node("n", op, "", "a")) is None


def test_shapes_go_through_functions() -> None:
    """Arguments and results are followed, whoever else calls the function."""
    doubled = function("f", ["v"], ["t:output:0"], ints("s", 2, 2), node("t", "Tile", "v", "s:output:0"))
    assert _shape(A, call("c", "f", "a"), node("n", "Identity", "c:output:0"), functions=[doubled]) == (4, 6)
    twice = [call("c", "f", "a"), call("d", "f", "a")]
    assert _shape(A, *twice, node("n", "Identity", "c:output:0"), functions=[doubled]) == (4, 6)
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
    "choice of many": ([ints("z", 0, 1), ints("v", 5), ints("w", 6), node("n", "SelectV2", "z", "v", "w")], (6, 5)),
    "choice of unequal many": ([ints("z", 0, 1), ints("v", 5, 6, 7), node("n", "SelectV2", "z", "v", "v")], None),
    "comparison": ([ints("v", 5), ints("w", 6), node("n", "LessEqual", "v", "w")], (1,)),
    "quotient": ([ints("v", 7), ints("w", 2), node("n", "FloorDiv", "v", "w")], (3,)),
    "division": ([ints("v", 7), ints("w", 2), node("n", "RealDiv", "v", "w")], (3.5,)),
    "division by zero": ([ints("v", 7), ints("w", 0), node("n", "RealDiv", "v", "w")], None),
    "fraction that is shifted": (
        [node("v", "Const", value=tensor(FLOAT, (1,), float_val=[1.5])), node("n", "LeftShift", "v", "v")],
        None,
    ),
    "sum": ([ints("v", 7, 3), node("n", "Sum", "v", "v")], (10,)),
    "square": ([ints("v", 7, 3), node("n", "Square", "v")], (49, 9)),
    "truth of two": ([ints("v", 1, 0), node("n", "LogicalAnd", "v", "v")], (1, 0)),
    "truth of one": ([ints("v", 1, 0), node("n", "LogicalOr", "v", "v")], (1, 0)),
    "untruth": ([ints("v", 1, 0), node("n", "LogicalNot", "v")], (0, 1)),
    "quotient by zero": ([ints("v", 7), ints("w", 0), node("n", "FloorDiv", "v", "w")], (0,)),
    "truth": ([node("n", "Const", value=tensor(BOOL, (1,), bool_val=[True]))], (1,)),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_of_constants(name: str) -> None:
    """What sizes are computed with is computed."""
    nodes, expected = VALUES[name]
    graph = _graph(*nodes, node("user", "Identity", "n"))
    assert Facts(graph).of(Site(graph.bodies["serve"].by_name["user"])).numbers == expected


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
    monkeypatch.setattr(_findings, "_DECODED_BUDGET", 1 << 20)
    decoder = node("n", "DecodeCompressed", "i:output:0")
    assert "allocation" in _rules(simple(decoder, node("i", "Identity", "t:output:0"), packed("t", *BOMBS[name])))


def test_decoders_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many decoders of one constant take what one decoder of many would."""
    monkeypatch.setattr(_findings, "_DECODED_BUDGET", 1 << 20)
    one = packed("t", zlib.compress(bytes(600_000)))
    assert not _rules(simple(one, node("n", "DecodeCompressed", "t")))
    assert "allocation" in _rules(simple(one, *(node(f"n{i}", "DecodeCompressed", "t") for i in range(2))))


def test_constants_that_are_compressed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder of what a decoder makes is followed."""
    monkeypatch.setattr(_findings, "_DECODED_BUDGET", 1 << 20)
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
    "away": _loop("Less", -1),
    "not at all": _loop("Less", 1, op="Mul"),
    "past its end": _loop("NotEqual", 3),
    "by subtraction": _loop("GreaterEqual", 1, start=10**12, stop=0, op="Sub"),
}
ENDING = {
    "few times": _loop("Less", 1, stop=100),
    "large steps": _loop("Less", 10**9),
    "never": _loop("Less", 1, start=10**13),
    "equal at first": _loop("Equal", 1, stop=0),
    "unequal": _loop("Equal", 1),
    "to its end": _loop("NotEqual", 3, stop=9),
    "more and more": _loop("Less", 2, start=1, op="Mul"),
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


CONDITIONS = {
    "not": ("endless-loop", ["LogicalNot", "end"]),
    "not yet": (None, ["LogicalNot", "few"]),
    "this or that": ("endless-loop", ["LogicalOr", "less", "few"]),
    "this and that": (None, ["LogicalAnd", "less", "few"]),
    "neither": ("endless-loop", ["LogicalNot", "LogicalOr", "end", "end"]),
    "not both": ("endless-loop", ["LogicalNot", "LogicalAnd", "end", "enough"]),
    "by data": (None, ["LogicalAnd", "less", "x"]),
    "a number": ("endless-loop", ["stop:output:0"]),
    "itself": ("endless-loop", ["Identity", "o0:z:0"]),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_of_several(name: str) -> None:
    """What conditions are put together of is counted one by one; an operand that is not known ends the loop."""
    expected, words = CONDITIONS[name]
    made = _loop("Less", 1)
    condition = next(f for f in made.graph_def.library.function if f.signature.name == "c")
    few, enough = ints("three", 3, shape=()), node("enough", "GreaterEqual", "i", "three:output:0")
    condition.node_def.extend(
        [few, enough, node("few", "Less", "i", "three:output:0"), node("end", "GreaterEqual", "i", "stop:output:0")]
    )
    operands = [w if ":" in w else f"{w}:z:0" for w in words if not w.startswith(("Logical", "Identity"))]
    for index, op in enumerate(reversed([w for w in words if w.startswith(("Logical", "Identity"))])):
        condition.node_def.append(node(f"o{index}", op, *operands))
        operands = [f"o{index}:z:0"]
    condition.ret["o0"] = operands[0]
    assert ("endless-loop" if "endless-loop" in _rules(made) else None) == expected


def test_conditions_of_very_many_parts() -> None:
    """A condition of parts that have parts of their own is looked at once for each part."""
    made = _loop("Less", 1)
    condition = next(f for f in made.graph_def.library.function if f.signature.name == "c")
    condition.node_def.extend(
        node(f"a{i}", "LogicalAnd", *[f"a{i - 1}:z:0" if i else "less:z:0"] * 2) for i in range(150)
    )
    condition.ret["o0"] = "a149:z:0"
    assert "endless-loop" in _rules(made)


def test_bounds_of_very_many_parts() -> None:
    """Sums of sums are looked at once for each of them, too."""
    sums = [node(f"a{i}", "AddV2", *[f"a{i - 1}:z:0" if i else "x"] * 2) for i in range(40)]
    assert not _rules(
        simple(
            node("w", "While", "x", cond=Func("c"), body=Func("b")),
            functions=[
                function("c", ["x"], ["g:z:0"], node("g", "Greater", "x", "x")),
                function("b", ["x"], ["a29:z:0"], *sums),
            ],
        )
    )


FRAMES = {
    "few times": framed(*frame("w", 0, 100)),
    "never": framed(*frame("w", 100, 10)),
    "few times few": nested_frames(1000, 1000),
    "doubling a few times": framed(*frame("w", 0, 10), *frame_variable("w", "some", doubled("w/new", "w/old"))),
    "after unknown times": framed(
        *frame("w", 0, 9, around="x"), *frame_variable("w", "some", doubled("w/new", "w/old")), doubled("n", "w/vExit")
    ),
    "condition of TensorFlow 1": framed(
        node("s", "Switch", "some", "x"), node("m", "Merge", "s", "s:1"), doubled("n", "m")
    ),
    "without Enter": simple(*frame("w", 0, 9), *frame_variable("w", "w/start", node("w/new", "AddV2", "w/old", "x"))),
    "broken": framed(
        *frame("w", 0, 100),
        node("e", "Enter", frame_name="w"),
        node("f", "Enter", "some"),
        node("m", "Merge", "f", "next"),
        node("next", "NextIteration"),
        *(doubled(f"d{name}", name) for name in "mstuv"),
        node("s", "Switch"),
        node("t", "Exit"),
        node("u", "Exit", "w/Exit"),
        node("v", "Exit", "missing"),
        node("l", "LoopCond", "m"),
        node("k", "LoopCond"),
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_end(name: str) -> None:
    """Loops of TensorFlow 1 that end soon, that depend on data, and what no writer makes."""
    assert not _rules(FRAMES[name])


def test_calls_in_frames_are_inside_of_them() -> None:
    """Iterations multiply through functions that a loop of TensorFlow 1 calls."""
    called = function("f", ["v"], ["v"], *count_nodes("inner", 10**6))
    nodes = [*frame("w", 0, 10**6), call("call", "f", "w/Identity")]
    made = framed(*nodes)
    made.graph_def.library.function.extend([called, *count_functions("inner")])
    assert "endless-loop" in _rules(made)
    again = framed(*frame("w", 0, 10**6), *count_nodes("inner", 10**6))
    again.graph_def.library.function.extend(count_functions("inner"))
    assert "endless-loop" not in _rules(again)


def test_growth_that_ends() -> None:
    """What doubles ten times is small, and so is what does not grow at all."""
    assert not _rules(grown(10, doubled("new", "v")))
    assert not _rules(grown(10**6, node("new", "Identity", "v")))
    assert not _rules(grown(10**6, node("new", "Unique", "v")))
    assert not _rules(grown(10**6))
    assert "allocation" in _rules(
        grown(6, node("new", "Mul", "v", "v"), node("n", "Fill", "v", "v"), start=ints("some", 2))
    )


LONG_LOOPS = {
    "sum": (65, node("new", "AddV2", "v", "some:output:0"), 1 << 30, True),
    "small sum": (1000, node("new", "AddV2", "v", "some:output:0"), 1, False),
    "product": (65, node("new", "AddV2", "v", "v"), 1 << 10, True),
    "product beyond numbers": (10_000, node("new", "AddV2", "v", "v"), 1 << 10, False),
    "square": (100, node("new", "Mul", "v", "v"), 3, False),
    "data": (100, node("new", "Unknown", "v"), 1 << 40, False),
    "nothing": (100, node("new", "Mul", "v", "v"), 0, False),
}


@pytest.mark.parametrize("times", [6, 65])
def test_what_loops_return_is_known(times: int) -> None:
    """Sizes that a loop computes are followed to where they are used, however often it runs."""
    made = grown(times, node("new", "AddV2", "v", "v"), start=ints("some", 1 << 40))
    bodies(made)["serve"].append(node("n", "Fill", "loop:output:1", "x"))
    assert "allocation" in _rules(made)


@pytest.mark.parametrize("name", LONG_LOOPS)
def test_what_long_loops_return_is_extrapolated(name: str) -> None:
    """The first three iterations show by what sum or factor a loop changes what it returns."""
    times, new, start, is_known = LONG_LOOPS[name]
    inside = [ints("some", start), ints("zero", 0, shape=())]
    made = grown(times, *inside, new, start=ints("some", start))
    bodies(made)["serve"].append(node("n", "Fill", "loop:output:1", "x"))
    found = {f.where for f in examine(*model(made)) if f.rule == "allocation"}
    assert ("function_library/serve/n" in found) is is_known


def test_what_long_loops_join_is_large() -> None:
    """Tensors without known values have sizes all the same."""
    made = grown(10_000, node("new", "ConcatV2", "v", "some", "zero"), start=ints("some", 1, shape=(2000, 1000)))
    constants = [ints("some", 1, shape=(2000, 1000)), ints("zero", 0, shape=())]
    next(f for f in made.graph_def.library.function if f.signature.name == "grow").node_def.extend(constants)
    bodies(made)["serve"].append(node("n", "Tile", "loop:output:1", "twice"))
    bodies(made)["serve"].append(ints("twice", 2, 1))
    assert "function_library/serve/n" in {f.where for f in examine(*model(made)) if f.rule == "allocation"}


@pytest.mark.parametrize("times", [6, 100])
def test_what_frames_return_is_known(times: int) -> None:
    """Loops of TensorFlow 1 are followed as those of TensorFlow 2 are."""
    leaving = [node("leave", "Switch", "w/Merge", "w/LoopCond"), node("exit", "Exit", "leave:0")]
    made = framed(*frame("w", 0, times), *leaving, ints("unit", 1 << 40), node("by", "Mul", "unit", "exit"))
    made.graph_def.node.append(node("n", "Fill", "by", "x"))
    assert "allocation" in _rules(made)


@pytest.mark.parametrize("inputs", [(), ("absent",), ("alone",)])
@pytest.mark.parametrize("op", ["Exit", "While"])
def test_names_that_a_loop_has_too(op: str, inputs: tuple[str, ...]) -> None:
    """Another rule finds names that several nodes share; until then they are nodes like others."""
    made = framed(*frame("w", 0, 6), node("alone", "Switch"), node("w/LoopCond", op, *inputs))
    made.graph_def.node.append(node("n", "Fill", "w/LoopCond", "x"))
    assert "repeated-name" in _rules(made)


@pytest.mark.parametrize("inputs", [(), ("alone",), ("absent",)])
def test_exits_of_nothing(inputs: tuple[str, ...]) -> None:
    """What leaves no loop has no value; TensorFlow refuses it."""
    made = framed(node("alone", "Switch"), node("exit", "Exit", *inputs), node("n", "Fill", "exit", "x"))
    assert "allocation" not in _rules(made)


def _branches(first: Any, second: Any, *nodes: Any) -> Any:
    branches = [function("one", ["v"], ["r:output:0"], first), function("other", ["v"], ["r:output:0"], second)]
    chosen = node("c", "If", "x", "x", then_branch=Func("one"), else_branch=Func("other"))
    return simple(chosen, *nodes, functions=branches)


@pytest.mark.parametrize("other", [ints("r", 1 << 40), ints("r", 1), node("r", "Unknown", "v")])
def test_what_branches_return_is_known(other: Any) -> None:
    """Any branch may be executed: the largest result counts."""
    fill = node("n", "Fill", "c:output:0", "x")
    assert "allocation" in _rules(_branches(other, ints("r", 1 << 40), fill))
    assert "allocation" in _rules(_branches(ints("r", 1 << 40), other, fill))


def test_branches_in_loops() -> None:
    """A counter that one branch leaves as it is does not stand still, and one that both increase counts."""
    for other, is_endless in ((ints("r", 0, shape=()), False), (ints("r", 1, shape=()), True)):
        branches = [
            function("one", ["v"], ["r:output:0"], ints("r", 1, shape=())),
            function("other", ["v"], ["r:output:0"], other),
        ]
        step = node("new", "If", "v", "v", then_branch=Func("one"), else_branch=Func("other"))
        made = grown(1 << 40, step, node("sum", "AddV2", "i", "new:output:0"))
        made.graph_def.library.function.extend(branches)
        grow = next(f for f in made.graph_def.library.function if f.signature.name == "grow")
        grow.ret[grow.signature.output_arg[0].name] = "sum:z:0"
        assert ("endless-loop" in _rules(made)) is is_endless


@pytest.mark.parametrize("rule", [_findings.provable_allocations, _findings.endless_loops])
def test_too_many_constants_are_refused(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed is bounded, and what is beyond the bound is no reason to let a graph through."""
    monkeypatch.setattr(_facts, "_MAX_WORK", 100)
    many, big = ints("many", *range(30)), ints("big", 1 << 40)
    sums = [node(f"s{i}", "AddV2", "many", "many") for i in range(3)]
    users = [node(f"f{i}", "Fill", f"s{i}", "x") for i in range(3)]
    users += [node(f"t{i}", "TakeDataset", "x", f"s{i}") for i in range(3)]
    users += [node(f"r{i}", "ReduceDataset", f"t{i}") for i in range(3)]
    found = [*rule(model(simple(many, big, *sums, *users))[1])]
    assert [f.message for f in found if "more from its constants" in f.message]


def test_long_texts_are_counted() -> None:
    """A text that is repeated takes its length each time; comparing it, or counting the copies, does not."""
    value = tensor(STRING, (), string_val=[b"a" * 100_000])
    long, many = node("t", "Const", value=value), ints("m", 1 << 16)
    copies = node("n", "Fill", "m", "t", T=Type(STRING))
    assert "allocation" in _rules(simple(long, many, copies))
    short = node("t", "Const", value=tensor(STRING, (), string_val=[b"a"]))
    assert "allocation" not in _rules(simple(short, many, copies))
    equal = node("n", "Equal", "w", "t", T=Type(STRING))
    assert "allocation" not in _rules(simple(long, node("w", "Const", value=tensor(STRING, (1 << 16,))), equal))


@pytest.mark.parametrize("op", ["Maximum", "SelectV2"])
def test_steps_that_may_be_larger(op: str) -> None:
    """How often a loop runs does not follow from a step that is at least one, or one of two."""
    made = grown(1 << 40, node("new", "AddV2", "v", "v"), node("sum", "AddV2", "i", "v"))
    grow = next(f for f in made.graph_def.library.function if f.signature.name == "grow")
    grow.ret[grow.signature.output_arg[0].name] = "sum:z:0"
    grow.ret[grow.signature.output_arg[1].name] = "v"
    for name, is_endless in (("some", True), ("step", False)):
        step = node("step", op, "x", "some", "some")
        next(n for n in bodies(made)["serve"] if n.name == "loop").input[1] = name
        if name == "step":
            bodies(made)["serve"].append(step)
        else:
            next(n for n in bodies(made)["serve"] if n.name == "some").CopyFrom(ints("some", 1, shape=()))
        assert ("endless-loop" in _rules(made)) is is_endless


def test_operands_that_decide_alone() -> None:
    """What is at least a constant is large, what is multiplied by zero is not, whatever the other operand is."""
    big, nothing = ints("big", 1 << 40), ints("nothing", 0)
    fill = node("n", "Fill", "d", "x")
    assert "allocation" in _rules(simple(big, node("d", "Maximum", "x", "big"), fill))
    assert "allocation" not in _rules(simple(big, node("d", "Maximum", "x", "x"), fill))
    assert "allocation" not in _rules(simple(big, node("d", "Mul", "x", "big"), fill))
    assert "allocation" in _rules(simple(big, node("d", "SelectV2", "x", "big", "x"), fill))
    zero = node("z", "Mul", "x", "nothing")
    assert "allocation" in _rules(simple(big, nothing, zero, node("d", "AddV2", "z", "big"), fill))


EXACT_CASES = {
    "slice by strides": (
        [ints("v", *range(10)), ints("b", 8), ints("e", 1), ints("s", -3),
         node("n", "StridedSlice", "v", "b", "e", "s")], (8, 5, 2), (3,)),
    "slice of one": (
        [ints("v", *range(6), shape=(2, 3)), ints("b", 1, 2), ints("e", 0, 0), ints("s", 1, 1),
         node("n", "StridedSlice", "v", "b", "e", "s", shrink_axis_mask=3)], (5,), ()),
    "slice with masks": (
        [ints("v", *range(6), shape=(2, 3)), ints("b", 9, 9, 1), ints("e", 9, 9, 0), ints("s", 1, 1, 1),
         node("n", "StridedSlice", "v", "b", "e", "s", ellipsis_mask=1, new_axis_mask=2, end_mask=4)],
        (1, 2, 4, 5), (2, 1, 2)),
    "slice from the start": (
        [ints("v", *range(6), shape=(2, 3)), ints("b", 9), ints("e", 1), ints("s", 1),
         node("n", "StridedSlice", "v", "b", "e", "s", begin_mask=1)], (0, 1, 2), (1, 3)),
    "slice by data": ([ints("v", 1, 2), node("n", "StridedSlice", "v", "x", "x", "x")], None, None),
    "slice of data": ([ints("b", 1), node("n", "StridedSlice", "x", "b", "b", "b")], None, None),
    "slice of nothing": ([ints("v", 1), ints("b", 5), ints("s", 1),
                          node("n", "StridedSlice", "v", "b", "b", "s", shrink_axis_mask=1)], None, None),
    "slice of much": ([ints("v", 0, shape=(5000,)), ints("b", 2000), ints("e", -1), ints("s", 1),
                       node("n", "StridedSlice", "v", "b", "e", "s")], None, (2999,)),
    "slice of too much": ([ints("v", 1, shape=((1 << 63) - 1,)), ints("b", 1), ints("e", -1), ints("s", 1),
                           node("n", "StridedSlice", "v", "b", "e", "s")], None, ((1 << 62) - 2,)),
    "part": ([ints("v", *range(6), shape=(2, 3)), ints("b", 0, 1), ints("s", -1, 1), node("n", "Slice", "v", "b", "s")],
             (1, 4), (2, 1)),
    "gathered": ([ints("v", *range(6), shape=(2, 3)), ints("i", 2, 0), ints("a", -1),
                  node("n", "GatherV2", "v", "i", "a")], (2, 0, 5, 3), (2, 2)),
    "gathered outside": ([ints("v", 1, 2), ints("i", 7), node("n", "Gather", "v", "i")], None, (1,)),
    "gathered along no axis": ([ints("v", 1, 2), ints("i", 1), ints("a", 5),
                                node("n", "GatherV2", "v", "i", "a")], None, None),
    "reversed": ([ints("v", 1, 2, 3), ints("a", 0), node("n", "ReverseV2", "v", "a")], (3, 2, 1), (3,)),
    "reversed along another": ([ints("v", 1, 2, 3, 4, shape=(2, 2)), ints("a", 1), node("n", "ReverseV2", "v", "a")],
                               (2, 1, 4, 3), (2, 2)),
    "rolled": ([ints("v", 1, 2, 3), ints("b", 1), ints("a", 0), node("n", "Roll", "v", "b", "a")], (3, 1, 2), (3,)),
    "rolled nothing": ([ints("v", shape=(0,)), node("n", "Roll", "v", "v", "v")], (), (0,)),
    "rolled much": ([ints("v", 0, shape=(5000,)), ints("b", 1), node("n", "Roll", "v", "b", "b")], None, (5000,)),
    "transposed": ([ints("v", *range(6), shape=(2, 3)), ints("o", 1, 0), node("n", "Transpose", "v", "o")],
                   (0, 3, 1, 4, 2, 5), (3, 2)),
    "tiled": ([ints("v", 1, 2), ints("t", 2), node("n", "Tile", "v", "t")], (1, 2, 1, 2), (4,)),
    "tiled often": ([ints("v", 1, 2), ints("t", 1 << 50), node("n", "Tile", "v", "t")], None, (1 << 51,)),
    "broadcast": ([ints("v", 1, 2), ints("t", 2, 2), node("n", "BroadcastTo", "v", "t")], (1, 2, 1, 2), (2, 2)),
    "broadcast both": ([ints("v", 1, 2), ints("w", 5, 3, 1), node("n", "BroadcastArgs", "v", "w")], (5, 3, 2), (3,)),
    "broadcast one": ([ints("v", 7, shape=()), ints("t", 3), node("n", "BroadcastTo", "v", "t")], (7, 7, 7), (3,)),
    "broadcast far": ([ints("v", 1), ints("t", 9999), node("n", "BroadcastTo", "v", "t")], None, (9999,)),
    "padded": ([ints("v", 5, 6), ints("p", 1, 2), node("n", "Pad", "v", "p")], (0, 5, 6, 0, 0), (5,)),
    "padded with": ([ints("v", 5, 6), ints("p", 1, 0), ints("w", 9), node("n", "PadV2", "v", "p", "w")],
                    (9, 5, 6), (3,)),
    "padded far": ([ints("v", 5, 6), ints("p", 1, 5000), node("n", "Pad", "v", "p")], None, (5003,)),
    "split": ([ints("v", *range(6)), ints("a", 0), node("s", "Split", "a", "v", num_split=3),
               node("n", "Identity", "s:output:2")], (4, 5), (2,)),
    "split by sizes": ([ints("v", *range(6)), ints("a", 0), ints("z", 1, 2, 3), node("s", "SplitV", "v", "z", "a"),
                        node("n", "Identity", "s:output:1")], (1, 2), (2,)),
    "taken apart": ([ints("v", *range(6), shape=(2, 3)), node("u", "Unpack", "v", axis=1),
                     node("n", "Identity", "u:output:2")], (2, 5), (2,)),
    "taken apart in the middle": ([ints("v", 1, 2), node("u", "Unpack", "v"), node("n", "Identity", "u:1")], (2,), ()),
    "sum of rows": ([ints("v", *range(6), shape=(2, 3)), ints("a", 1), node("n", "Sum", "v", "a")], (3, 12), (2,)),
    "sum that keeps axes": ([ints("v", *range(6), shape=(2, 3)), ints("a", 0), node("n", "Max", "v", "a",
                            keep_dims=True)], (3, 4, 5), (1, 3)),
    "mean": ([ints("v", 2, 4), ints("a", 0), node("n", "Mean", "v", "a")], (3,), ()),
    "mean of nothing": ([ints("v", shape=(0,)), ints("a", 0), node("n", "Mean", "v", "a")], None, None),
    "running sum": ([ints("v", 1, 2, 3), ints("a", 0), node("n", "Cumsum", "v", "a")], (1, 3, 6), (3,)),
    "running product before": ([ints("v", 2, 3, 4), ints("a", 0), node("n", "Cumprod", "v", "a", exclusive=True)],
                               (1, 2, 6), (3,)),
    "running sum from behind": ([ints("v", 1, 2, 3), ints("a", 0), node("n", "Cumsum", "v", "a", reverse=True)],
                                (6, 5, 3), (3,)),
    "running sum of rows": ([ints("v", 1, 2, shape=(1, 2)), ints("a", 0), node("n", "Cumsum", "v", "a")], None, (1, 2)),
    "packed": ([ints("v", 1, 2), node("n", "Pack", "v", "v", "^v")], (1, 2, 1, 2), (2, 2)),
    "packed along another": ([ints("v", 1, 2), node("n", "Pack", "v", "v", axis=1)], None, (2, 2)),
    "packed with data": ([ints("v", 1), node("n", "Pack", "v", "x")], None, None),
    "packed of unknown values": ([ints("v", 0, shape=(2000,)), node("n", "Pack", "v", "v")], None, (2, 2000)),
    "joined": ([ints("v", 1, 2), ints("a", 0), node("n", "ConcatV2", "v", "v", "a")], (1, 2, 1, 2), (4,)),
    "joined along another": ([ints("v", 1, 2, shape=(2, 1)), ints("a", 1), node("n", "ConcatV2", "v", "v", "a")],
                             None, (2, 2)),
    "range": ([ints("b", 3), ints("e", 10), ints("s", 3), node("n", "Range", "b", "e", "s")], (3, 6, 9), (3,)),
    "long range": ([ints("b", 0), ints("e", 5000), ints("s", 1), node("n", "Range", "b", "e", "s")], None, (5000,)),
    "filled": ([ints("d", 2), ints("v", 7, shape=()), node("n", "Fill", "d", "v")], (7, 7), (2,)),
    "one hot": ([ints("i", 1, 0), ints("d", 2), ints("on", 5), ints("off", 1),
                 node("n", "OneHot", "i", "d", "on", "off")], (1, 5, 5, 1), (2, 2)),
    "one hot of many": ([ints("i", 1), ints("d", 2000), ints("on", 5), node("n", "OneHot", "i", "d", "on", "on")],
                        None, (1, 2000)),
    "one hot along the first": ([ints("i", 1, 0), ints("d", 2), node("n", "OneHot", "i", "d", "d", "d", axis=0)],
                                None, (2, 2)),
    "spaced": ([ints("b", 2), ints("e", 6), ints("c", 3), node("n", "LinSpace", "b", "e", "c")], (2, 4, 6), (3,)),
    "spaced often": ([ints("b", 2), ints("c", 5000), node("n", "LinSpace", "b", "b", "c")], None, (5000,)),
    "zeros": ([ints("v", 2, 6), node("n", "ZerosLike", "v")], (0, 0), (2,)),
    "second of two": ([ints("v", 2), ints("w", 3), node("i", "IdentityN", "v", "w"),
                       node("n", "Identity", "i:output:1")], (3,), (1,)),
    "picked": ([ints("v", 4, 5, 6), ints("i", 2, 1, shape=(2, 1)), node("n", "GatherNd", "v", "i")], (6, 5), (2,)),
    "picked of rows": ([ints("v", 4, 5, shape=(1, 2)), ints("i", 0, shape=(1, 1)), node("n", "GatherNd", "v", "i")],
                       None, None),
    "scattered": ([ints("i", 1, 2, shape=(2, 1)), ints("v", 7, 8), ints("s", 3), node("n", "ScatterNd", "i", "v", "s")],
                  (0, 7, 8), (3,)),
    "scattered far": ([ints("i", 1, shape=(1, 1)), ints("v", 7), ints("s", 3000),
                       node("n", "ScatterNd", "i", "v", "s")],
                      None, None),
    "scattered into": ([ints("v", 1, 2), ints("i", 1, shape=(1, 1)), ints("u", 9),
                        node("n", "TensorScatterUpdate", "v", "i", "u")], (1, 9), (2,)),
    "stitched": ([ints("i", 1), ints("j", 0), ints("v", 5), ints("w", 6),
                  node("n", "DynamicStitch", "i", "j", "v", "w", N=2)], (6, 5), (2,)),
    "stitched with holes": ([ints("i", 1), ints("v", 5), node("n", "DynamicStitch", "i", "v")], None, None),
    "largest": ([ints("v", 4, 9, 6), ints("k", 2, shape=()), node("t", "TopKV2", "v", "k"),
                 node("n", "Identity", "t:values:0")], (9, 6), (2,)),
    "places of the largest": ([ints("v", 4, 9, 6), ints("k", 2, shape=()), node("t", "TopKV2", "v", "k"),
                               node("n", "Identity", "t:indices:0")], (1, 2), (2,)),
    "unique": ([ints("v", 4, 9, 4), node("u", "Unique", "v"), node("n", "Identity", "u:y:0")], (4, 9), (2,)),
    "places of the unique": ([ints("v", 4, 9, 4), node("u", "Unique", "v"), node("n", "Identity", "u:idx:0")],
                             (0, 1, 0), (3,)),
    "difference": ([ints("v", 4, 9), ints("w", 4), node("d", "ListDiff", "v", "w"), node("n", "Identity", "d:idx:0")],
                   (1,), (1,)),
    "product of matrices": ([ints("v", 1, 2, shape=(1, 2)), ints("w", 3, 4, shape=(2, 1)),
                             node("n", "MatMul", "v", "w")], (11,), (1, 1)),
    "product of transposed": ([ints("v", 1, 2, shape=(1, 2)), node("n", "MatMul", "v", "v", transpose_b=True)],
                              None, (1, 1)),
    "product of many": ([ints("v", *[1] * 64, shape=(64, 1)), ints("w", *[1] * 64, shape=(1, 64)),
                         node("n", "MatMul", "v", "w")], None, (64, 64)),
    "product of nothing known": ([ints("v", 1, shape=(2000, 1)), ints("w", 1, shape=(1, 1)),
                                  node("n", "MatMul", "v", "w")], None, (2000, 1)),
    "size": ([ints("v", 4, 9, 6), node("n", "Size", "v")], (3,), None),
    "rank": ([ints("v", 4, 9, shape=(1, 2)), node("n", "Rank", "v")], (2,), None),
    "size of what was filled": ([ints("d", 5000), node("f", "Fill", "d", "x"), node("n", "Size", "f")], (5000,), None),
    "size of a lower bound": ([ints("v", 4), node("w", "Relu", "v"), node("n", "Size", "w")], None, None),
    "root": ([ints("v", 4, 9), node("n", "Sqrt", "v")], (2, 3), (2,)),
    "root of less": ([ints("v", -4), node("n", "Sqrt", "v")], None, (1,)),
    "rest": ([ints("v", 7), ints("w", 4), node("n", "FloorMod", "v", "w")], (3,), (1,)),
    "whole quotient": ([ints("v", -7), ints("w", 2), node("n", "TruncateDiv", "v", "w")], (-3,), None),
    "whole quotient of much": ([ints("v", 1 << 60), ints("w", 3), node("n", "TruncateDiv", "v", "w")],
                               ((1 << 60) // 3,), None),
    "sum of all": ([ints("v", 1, 2), ints("w", 3, 4), node("n", "AddN", "v", "w")], (4, 6), None),
    "bits": ([ints("v", 12), ints("w", 2), node("n", "RightShift", "v", "w")], (3,), None),
    "too large a power": ([ints("v", 1 << 60), ints("a", 0), ints("t", 9), node("w", "Tile", "v", "t"),
                           node("n", "Cumprod", "w", "a")], None, (9,)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT_CASES)
def test_small_tensors_are_computed(name: str) -> None:
    """Sizes that are taken out of shapes, turned round and put together are known all the same."""
    nodes, numbers, shape = EXACT_CASES[name]
    graph = _graph(*nodes)
    fact = Facts(graph).of(Site(graph.bodies["serve"].by_name["n"]))
    assert (fact.numbers, fact.shape) == (numbers, shape)


ROOMY = function("f0", ["a"], ["r:activations:0"], node("r", "Relu", "a"))


@pytest.mark.parametrize("bottom", [ROOMY, function("f0", ["a"], ["a"])], ids=["computed", "passed on"])
def test_very_many_calls_are_given_up(bottom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions are followed into so many calls of theirs and no more."""
    monkeypatch.setattr(_sites, "_MAX_STEPS", 5000)
    monkeypatch.setattr(_facts, "_MAX_REPEATED", 1000)
    assert not _rules(tower(18, bottom))


def test_conditions_without_end_are_not_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where conditions are too long to be looked at, nobody knows whether their loops end."""
    made = simple(
        *(node(f"w{i}", "While", "x", cond=Func("c"), body=Func(f"b{i}")) for i in range(3)),
        functions=[
            function("c", ["x"], ["n:y:0"], *(node("n", "Relu", "m:y:0"), node("m", "Relu", "x"))),
            *(function(f"b{i}", ["x"], ["r:y:0"], node("r", "Relu", "x")) for i in range(3)),
        ],
    )
    assert not _rules(made)
    monkeypatch.setattr(_conditions, "_MAX_STEPS", 3)
    (finding,) = examine(*model(made))
    assert (finding.rule, finding.severity) == ("endless-loop", Severity.UNEXAMINED)


def test_conditions_are_counted_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many conditions the last are not counted."""
    monkeypatch.setattr(_counted, "_MAX_CONDITIONS", 0)
    assert "endless-loop" not in _rules(counted(10**12))


def test_loops_of_one_function_are_looked_at_once() -> None:
    """Two loops with the same functions are both endless."""
    twice = [node(f"w{i}", "While", "x", cond=Func("c"), body=Func("b")) for i in range(2)]
    true = node("t", "Const", value=tensor(BOOL, (), bool_val=[True]))
    made = simple(*twice, functions=[function("c", ["x"], ["t:output:0"], true), function("b", ["x"], ["x"])])
    assert [f.rule for f in examine(*model(made))] == ["endless-loop"] * 2


def test_deep_frames() -> None:
    """Frames in frames in frames are counted from the innermost."""
    nodes = frame("w0", 0, 10)
    for depth in range(1, 12):
        first = node(f"w{depth}/first", "Const", f"^w{depth - 1}/Identity", value=tensor(INT64, (), int64_val=[0]))
        nodes += [first, *frame(f"w{depth}", 0, 10, around=f"w{depth}/first")]
    assert "endless-loop" in _rules(framed(*nodes))


def test_deep_calls() -> None:
    """Functions may call each other more deeply than Python's stack is deep."""
    chain = [function(f"p{i}", ["a"], ["c:output:0"], call("c", f"p{i + 1}", "a")) for i in range(2000)]
    assert not _rules(simple(call("c", "p0", "x"), functions=[*chain, function("p2000", ["a"], ["a"])]))


DATASETS = {
    "repeated": (True, dataset(10**6, RepeatDataset=10**6)),
    "batched": (True, dataset(10**15, BatchDatasetV2=100)),
    "without end, batched": (True, dataset(1, RepeatDataset=-1, BatchDataset=100)),
    "without its beginning": (True, dataset(10**15, SkipDataset=5, PrefetchDataset=1, TakeDataset=-1)),
    "its beginning": (False, dataset(10**15, TakeDataset=100)),
    "its end": (False, dataset(10, SkipDataset=5)),
    "a part of an unknown one": (False, dataset(10**15, SkipDataset=-1)),
    "in batches of none": (False, dataset(10**15, BatchDataset=0)),
    "nothing, repeated": (False, dataset(0, RepeatDataset=-1)),
    "of another kind": (False, dataset(10**15, FlatMapDataset=1)),
    "random": (True, simple(node("d", "RandomDatasetV2", "x"), node("all", "InitializeTableFromDataset", "x", "d"))),
    "one, repeated": (
        True,
        simple(
            ints("n", -1, shape=()),
            node("t", "TensorDataset", "x"),
            node("d", "RepeatDataset", "t", "n:output:0"),
            node("all", "ReduceDataset", "d"),
        ),
    ),
    "taken by data": (
        False,
        simple(
            node("r", "RandomDataset", "x"), node("t", "TakeDataset", "r", "x"), node("all", "ReduceDataset", "t", "x")
        ),
    ),
    "to where data says": (False, simple(node("r", "RangeDataset", "x"), node("all", "ReduceDataset", "r", "x"))),
    "nowhere": (False, simple(node("all", "ReduceDataset"))),
}


@pytest.mark.parametrize("name", DATASETS)
def test_datasets_that_are_gone_through(name: str) -> None:
    """A dataset that follows from constants is a loop that counts."""
    is_long, made = DATASETS[name]
    assert ("endless-loop" in _rules(made)) is is_long


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
