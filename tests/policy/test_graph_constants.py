"""What follows from the constants of a graph: the least shapes of tensors, and the values of small ones."""

from __future__ import annotations

from typing import Any

import pytest
from hostile.nodes import BOOL, FLOAT, INT64, Ints, Type, at, call, function, node, nodes_of, of, simple, tensor

from safeload.inspection.graph.info import inspect_graph
from safeload.policy.graph._constants import _facts
from safeload.policy.graph._constants._fact import NOTHING
from safeload.policy.graph._constants._facts import Facts
from safeload.policy.graph._constants._sites import Site


def _fact(*nodes: Any, functions: Any = ()) -> Any:
    """Return what is known of the node ``n`` among *nodes*."""
    graph = inspect_graph(simple(*nodes, functions=functions))
    return Facts(graph).of(Site(graph.bodies["serve"].by_name["n"]))


A = at((2, 3), 0)
B = at((3, 4), 0)
ROWS = at((2, 3), *range(6))
IMAGE = at((1, 5, 4, 4), 0)
KERNEL = at((2, 3, 4, 7), 0)
LIST = of("TensorListReserve", (4, -1), (4, -1))
UNKNOWN = tensor(INT64)
UNKNOWN.tensor_shape.unknown_rank = True
PATCHES = {"ksizes": Ints((1, 3, 3, 1)), "strides": Ints((1, 1, 2, 1))}

SHAPES = {
    "constant": (at((2, -1), 0), (2, 1)),
    "constant of no rank": (UNKNOWN, None),
    "constant without a value": (of("Const"), None),
    "unknown op": (of("Unique", "x"), None),
    "no input": (of("Identity"), None),
    "same": (of("Relu", A), (2, 3)),
    "broadcast": (of("Add", A, at((5, 1, 1), 0), "^x"), (5, 2, 3)),
    "broadcast of nothing": (of("Add", A, at((0, 3))), (0, 3)),
    "broadcast with data": (of("Add", A, "x"), None),
    "matrix product": (of("MatMul", A, B), (2, 4)),
    "transposed product": (of("MatMul", A, at((2, 5), 0), transpose_a=True), (3, 5)),
    "adjoint product": (of("BatchMatMul", A, at((7, 5, 3), 0), adj_y=True), (7, 2, 5)),
    "product of a vector": (of("MatMul", A, 0), None),
    "einsum": (of("Einsum", A, B, equation="ij,jk->ki"), (4, 2)),
    "sparse sum": (of("SparseReduceSum", "x", "x", (7, 5, 3), (-1, 0)), (5,)),
    "sparse sum of all": (of("SparseReduceSum", "x", "x", (7, 5, 3), "x"), None),
    "sparse sum of a number": (of("SparseReduceMax", "x", "x", at((0,)), 0), ()),
    "einsum of other ranks": (of("Einsum", A, B, equation="...,jk->ki"), None),
    "einsum without a result": (of("Einsum", A, equation="ij"), None),
    "einsum without an equation": (of("Einsum", A), None),
    "gather": (of("GatherV2", A, at((9,), 0), 1), (2, 9)),
    "gather of old": (of("Gather", A, at((9,), 0)), (9, 3)),
    "gather in batches": (of("Gather", A, A, batch_dims=1), None),
    "one hot": (of("OneHot", A, at((), 7)), (2, 3, 7)),
    "one hot by data": (of("OneHot", A, "x"), None),
    "diagonals": (of("MatrixDiag", A), (2, 3, 3)),
    "diagonals of data": (of("MatrixDiag", "x"), None),
    "diagonal": (of("Diag", A), (2, 3, 2, 3)),
    "diagonal of data": (of("Diag", "x"), None),
    "fill": (of("Fill", (4, 5), "x"), (4, 5)),
    "fill by data": (of("Fill", "x", "x"), None),
    "reshape": (of("Reshape", A, (3, -1)), (3, 2)),
    "reshape of data": (of("Reshape", "x", (3, -1)), (3, 1)),
    "reshape by data": (of("Reshape", A, "x"), None),
    "tile": (of("Tile", A, (2, 5)), (4, 15)),
    "tile of another rank": (of("Tile", A, 2), None),
    "new axis": (of("ExpandDims", A, -1), (2, 3, 1)),
    "new axis at the front": (of("ExpandDims", A, 0), (1, 2, 3)),
    "new axis outside": (of("ExpandDims", A, 9), None),
    "transposed": (of("Transpose", A, (1, 0)), (3, 2)),
    "transposed wrongly": (of("Transpose", A, (1, 1)), None),
    "range": (of("Range", 0, 10, 3), (4,)),
    "range by data": (of("Range", 0, "x", 0), None),
    "list": (of("TensorListStack", LIST, (4, -1)), (4, 4, 1)),
    "list of rows": (of("TensorListStack", of("TensorListReserve", (5, -1), 4), -1), (4, 5, 1)),
    "items": (of("TensorListGather", of("TensorListReserve", 5, 4), (1, 2)), (2, 5)),
    "items of data": (of("TensorListGather", "x", (1, 2)), None),
    "item of data": (of("TensorListGetItem", "x", 1), None),
    "list by data": (of("TensorListReserve", 5, "x"), None),
    "list of data": (of("TensorListStack", "x", 4), None),
    "segments": (of("UnsortedSegmentSum", A, (0, 0), 9), (9, 3)),
    "segments of data": (of("UnsortedSegmentMax", A, "x", 9), None),
    "samples": (of("RandomGamma", 5, A), (5, 2, 3)),
    "samples of data": (of("RandomPoissonV2", 5, "x"), (5,)),
    "samples by data": (of("RandomGamma", "x", A), None),
    "patches": (of("ExtractImagePatches", IMAGE, padding=b"SAME", **PATCHES), (1, 5, 2, 36)),
    "patches inside": (of("ExtractImagePatches", IMAGE, padding=b"VALID", **PATCHES), (1, 3, 1, 36)),
    "patches of anything": (of("ExtractImagePatches", A, padding=b"SAME", **PATCHES), None),
    "patches of no size": (of("ExtractImagePatches", IMAGE), None),
    "convolution": (of("Conv2D", IMAGE, KERNEL, padding=b"SAME", strides=Ints((1, 1, 2, 1))), (1, 5, 2, 7)),
    "convolution inside": (of("Conv2D", IMAGE, KERNEL, padding=b"VALID"), (1, 4, 2, 7)),
    "convolution with holes": (of("Conv2D", IMAGE, KERNEL, dilations=Ints((1, 2, 1, 1))), (1, 3, 2, 7)),
    "convolution of channels": (of("Conv2D", at((1, 4, 9, 8)), KERNEL, data_format=b"NCHW"), (1, 7, 8, 6)),
    "convolution of each channel": (of("DepthwiseConv2dNative", IMAGE, KERNEL, padding=b"SAME"), (1, 5, 4, 28)),
    "convolution of volumes": (of("Conv3D", at((1, 6, 5, 4, 2)), at((3, 2, 2, 2, 9))), (1, 4, 4, 3, 9)),
    "convolution by data": (of("Conv2D", IMAGE, "x"), None),
    "convolution of anything": (of("Conv2D", A, A), None),
    "too many axes": (of("Fill", [1] * 300, "x"), None),
}


@pytest.mark.parametrize(("made", "expected"), SHAPES.values(), ids=SHAPES)
def test_least_shapes(made: Any, expected: Any) -> None:
    """Shapes follow from constants as far as the rules go, and are unknown beyond."""
    assert _fact(*nodes_of(made)).shape == expected


VALUES = {
    "maximum": (of("Max", (1, 9, 3), 0), (9,)),
    "maximum along no axis": (of("Max", (1, 9, 3)), None),
    "shape": (of("Shape", A), (2, 3)),
    "shape of data": (of("Shape", "x"), None),
    "shape of none": (of("Shape"), None),
    "choice": (of("SelectV2", 0, 5, 6), (6,)),
    "choice of many": (of("SelectV2", (0, 1), 5, 6), (6, 5)),
    "choice of unequal many": (of("SelectV2", (0, 1), (5, 6, 7), (5, 6, 7)), None),
    "comparison": (of("LessEqual", 5, 6), (1,)),
    "quotient": (of("FloorDiv", 7, 2), (3,)),
    "division": (of("RealDiv", 7, 2), (3.5,)),
    "division by zero": (of("RealDiv", 7, 0), None),
    "fraction that is shifted": (of("LeftShift", tensor(FLOAT, (1,), float_val=[1.5]), 1), None),
    "square": (of("Square", (7, 3)), (49, 9)),
    "truth of two": (of("LogicalAnd", (1, 0), (1, 0)), (1, 0)),
    "truth of one": (of("LogicalOr", (1, 0), (1, 0)), (1, 0)),
    "untruth": (of("LogicalNot", (1, 0)), (0, 1)),
    "quotient by zero": (of("FloorDiv", 7, 0), None),
    "truth": (tensor(BOOL, (1,), bool_val=[True]), (1,)),
}


@pytest.mark.parametrize(("made", "expected"), VALUES.values(), ids=VALUES)
def test_values_of_constants(made: Any, expected: Any) -> None:
    """What sizes are computed with is computed."""
    assert _fact(*nodes_of(of("Identity", made))).numbers == expected


EXACT = {
    "slice by strides": (of("StridedSlice", range(10), 8, 1, -3), (8, 5, 2), (3,)),
    "slice of one": (of("StridedSlice", ROWS, (1, 2), (0, 0), (1, 1), shrink_axis_mask=3), (5,), ()),
    "slice with masks": (
        of("StridedSlice", ROWS, (9, 9, 1), (9, 9, 0), (1, 1, 1), ellipsis_mask=1, new_axis_mask=2, end_mask=4),
        (1, 2, 4, 5),
        (2, 1, 2),
    ),
    "slice from the start": (of("StridedSlice", ROWS, 9, 1, 1, begin_mask=1), (0, 1, 2), (1, 3)),
    "slice by data": (of("StridedSlice", (1, 2), "x", "x", "x"), None, None),
    "slice of data": (of("StridedSlice", "x", 1, 1, 1), None, None),
    "slice of nothing": (of("StridedSlice", 1, 5, 5, 1, shrink_axis_mask=1), None, None),
    "slice of much": (of("StridedSlice", at((5000,), 0), 2000, -1, 1), None, (2999,)),
    "slice of too much": (of("StridedSlice", at(((1 << 63) - 1,), 1), 1, -1, 1), None, ((1 << 62) - 2,)),
    "part": (of("Slice", ROWS, (0, 1), (-1, 1)), (1, 4), (2, 1)),
    "gathered": (of("GatherV2", ROWS, (2, 0), -1), (2, 0, 5, 3), (2, 2)),
    "gathered outside": (of("Gather", (1, 2), 7), None, (1,)),
    "gathered along no axis": (of("GatherV2", (1, 2), 1, 5), None, None),
    "reversed": (of("ReverseV2", (1, 2, 3), 0), (3, 2, 1), (3,)),
    "reversed along another": (of("ReverseV2", at((2, 2), 1, 2, 3, 4), 1), (2, 1, 4, 3), (2, 2)),
    "rolled": (of("Roll", (1, 2, 3), 1, 0), (3, 1, 2), (3,)),
    "rolled nothing": (of("Roll", at((0,)), at((0,)), at((0,))), (), (0,)),
    "rolled much": (of("Roll", at((5000,), 0), 1, 1), None, (5000,)),
    "transposed": (of("Transpose", ROWS, (1, 0)), (0, 3, 1, 4, 2, 5), (3, 2)),
    "tiled": (of("Tile", (1, 2), 2), (1, 2, 1, 2), (4,)),
    "tiled often": (of("Tile", (1, 2), 1 << 50), None, (1 << 51,)),
    "broadcast": (of("BroadcastTo", (1, 2), (2, 2)), (1, 2, 1, 2), (2, 2)),
    "broadcast both": (of("BroadcastArgs", (1, 2), (5, 3, 1)), (5, 3, 2), (3,)),
    "broadcast one": (of("BroadcastTo", at((), 7), 3), (7, 7, 7), (3,)),
    "broadcast far": (of("BroadcastTo", 1, 9999), None, (9999,)),
    "padded": (of("Pad", (5, 6), (1, 2)), (0, 5, 6, 0, 0), (5,)),
    "padded with": (of("PadV2", (5, 6), (1, 0), 9), (9, 5, 6), (3,)),
    "padded far": (of("Pad", (5, 6), (1, 5000)), None, (5003,)),
    "split": (of("Identity", of("Split", 0, range(6), output="output:2", num_split=3)), (4, 5), (2,)),
    "split by sizes": (of("Identity", of("SplitV", range(6), (1, 2, 3), 0, output="output:1")), (1, 2), (2,)),
    "taken apart": (of("Identity", of("Unpack", ROWS, output="output:2", axis=1)), (2, 5), (2,)),
    "taken apart in the middle": (of("Identity", of("Unpack", (1, 2), output="1")), (2,), ()),
    "sum of rows": (of("Sum", ROWS, 1), (3, 12), (2,)),
    "sum that keeps axes": (of("Max", ROWS, 0, keep_dims=True), (3, 4, 5), (1, 3)),
    "mean": (of("Mean", (2, 4), 0), (3,), ()),
    "mean of nothing": (of("Mean", at((0,)), 0), None, None),
    "running sum": (of("Cumsum", (1, 2, 3), 0), (1, 3, 6), (3,)),
    "running product before": (of("Cumprod", (2, 3, 4), 0, exclusive=True), (1, 2, 6), (3,)),
    "running sum from behind": (of("Cumsum", (1, 2, 3), 0, reverse=True), (6, 5, 3), (3,)),
    "running sum of rows": (of("Cumsum", at((1, 2), 1, 2), 0), None, (1, 2)),
    "packed": (of("Pack", (1, 2), (1, 2), "^x"), (1, 2, 1, 2), (2, 2)),
    "packed along another": (of("Pack", (1, 2), (1, 2), axis=1), None, (2, 2)),
    "packed with data": (of("Pack", 7, "x"), (7, 1), None),
    "packed of unknown values": (of("Pack", at((2000,), 0), at((2000,), 0)), None, (2, 2000)),
    "joined": (of("ConcatV2", (1, 2), (1, 2), 0), (1, 2, 1, 2), (4,)),
    "joined along another": (of("ConcatV2", at((2, 1), 1, 2), at((2, 1), 1, 2), 1), None, (2, 2)),
    "range": (of("Range", 3, 10, 3), (3, 6, 9), (3,)),
    "long range": (of("Range", 0, 5000, 1), None, (5000,)),
    "filled": (of("Fill", 2, at((), 7)), (7, 7), (2,)),
    "one hot": (of("OneHot", (1, 0), 2, 5, 1), (1, 5, 5, 1), (2, 2)),
    "one hot of many": (of("OneHot", 1, 2000, 5, 5), None, (1, 2000)),
    "one hot along the first": (of("OneHot", (1, 0), 2, 2, 2, axis=0), None, (2, 2)),
    "spaced": (of("LinSpace", 2, 6, 3), (2, 4, 6), (3,)),
    "spaced often": (of("LinSpace", 2, 2, 5000), None, (5000,)),
    "places": (of("Where", (0, 1, 1)), (1, 2), (2, 1)),
    "item": (of("TensorListGetItem", of("TensorListFromTensor", ROWS, 1), 1), (3, 4, 5), (3,)),
    "cast": (of("Cast", tensor(FLOAT, (1,), float_val=[1.9]), DstT=Type(INT64)), (1,), (1,)),
    "cast to what is not followed": (of("Cast", 1, DstT=Type(19)), None, (1,)),
    "cast that goes round": (of("Cast", -1, DstT=Type(22)), None, (1,)),
    "sum that goes round": (of("AddV2", -(1 << 63), -1, T=Type(INT64)), None, (1,)),
    "sum of doubles": (of("AddV2", 1 << 24, 1, T=Type(2)), (16777217,), (1,)),
    "sum that is rounded": (of("AddV2", 1 << 24, 1, T=Type(FLOAT)), (1 << 24,), (1,)),
    "sum of nothing": (of("AddV2", (), 1), (), (0,)),
    "zeros": (of("ZerosLike", (2, 6)), (0, 0), (2,)),
    "second of two": (of("Identity", of("IdentityN", 2, 3, output="output:1")), (3,), (1,)),
    "picked": (of("GatherNd", (4, 5, 6), at((2, 1), 2, 1)), (6, 5), (2,)),
    "picked of rows": (of("GatherNd", at((1, 2), 4, 5), at((1, 1), 0)), None, None),
    "scattered": (of("ScatterNd", at((2, 1), 1, 2), (7, 8), 3), (0, 7, 8), (3,)),
    "scattered far": (of("ScatterNd", at((1, 1), 1), 7, 3000), None, None),
    "scattered into": (of("TensorScatterUpdate", (1, 2), at((1, 1), 1), 9), (1, 9), (2,)),
    "stitched": (of("DynamicStitch", 1, 0, 5, 6, N=2), (6, 5), (2,)),
    "stitched with holes": (of("DynamicStitch", 1, 5), None, None),
    "largest": (of("Identity", of("TopKV2", (4, 9, 6), at((), 2), output="values:0")), (9, 6), (2,)),
    "places of the largest": (of("Identity", of("TopKV2", (4, 9, 6), at((), 2), output="indices:0")), (1, 2), (2,)),
    "unique": (of("Identity", of("Unique", (4, 9, 4), output="y:0")), (4, 9), (2,)),
    "places of the unique": (of("Identity", of("Unique", (4, 9, 4), output="idx:0")), (0, 1, 0), (3,)),
    "difference": (of("Identity", of("ListDiff", (4, 9), 4, output="idx:0")), (1,), (1,)),
    "product of matrices": (of("MatMul", at((1, 2), 1, 2), at((2, 1), 3, 4)), (11,), (1, 1)),
    "product of transposed": (of("MatMul", at((1, 2), 1, 2), at((1, 2), 1, 2), transpose_b=True), None, (1, 1)),
    "product of many": (of("MatMul", at((64, 1), *[1] * 64), at((1, 64), *[1] * 64)), None, (64, 64)),
    "product of nothing known": (of("MatMul", at((2000, 1), 1), at((1, 1), 1)), None, (2000, 1)),
    "size": (of("Size", (4, 9, 6)), (3,), None),
    "rank": (of("Rank", at((1, 2), 4, 9)), (2,), None),
    "size of what was filled": (of("Size", of("Fill", 5000, "x")), (5000,), None),
    "size of an activation": (of("Size", of("Relu", 4)), (1,), None),
    "size of a lower bound": (of("Size", of("Reshape", "x", (4, -1))), None, None),
    "root": (of("Sqrt", (4, 9)), (2, 3), (2,)),
    "root of less": (of("Sqrt", -4), None, (1,)),
    "rest": (of("FloorMod", 7, 4), (3,), (1,)),
    "whole quotient": (of("TruncateDiv", -7, 2), (-3,), None),
    "whole quotient of much": (of("TruncateDiv", 1 << 60, 3), ((1 << 60) // 3,), None),
    "sum of all": (of("AddN", (1, 2), (3, 4)), (4, 6), None),
    "bits": (of("RightShift", 12, 2), (3,), None),
    "too large a power": (of("Cumprod", of("Tile", 1 << 60, 9), 0), None, (9,)),
}


@pytest.mark.parametrize(("made", "numbers", "shape"), EXACT.values(), ids=EXACT)
def test_small_tensors_are_computed(made: Any, numbers: Any, shape: Any) -> None:
    """Sizes that are taken out of shapes, turned round and put together are known all the same."""
    fact = _fact(*nodes_of(made))
    assert (fact.numbers, fact.shape) == (numbers, shape)


@pytest.mark.parametrize("op", sorted(_facts.LED))
def test_nothing_is_known_without_the_first_input(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out because the first input is unknown would have told nothing."""
    monkeypatch.setattr(_facts, "LED", frozenset())
    assert {_fact(*nodes_of(of(op, "x", *[(7, 9)] * count))) for count in range(4)} == {NOTHING}


@pytest.mark.parametrize(
    ("op", "inputs", "shape"),
    [("Add", ("^x", A), (2, 3)), *((op, ("", A), None) for op in ("Add", "Fill", "Identity", "Shape"))],
)
def test_references_to_nothing(op: str, inputs: Any, shape: Any) -> None:
    """Control dependencies before other inputs, and empty names, TensorFlow refuses; they stand for no tensor."""
    assert _fact(*nodes_of(of(op, *inputs))).shape == shape


DOUBLE = function("f", ["v"], ["n:output:0"], *nodes_of(of("Tile", "v", (2, 2))))
CALLED = {
    "once": ([call("c", "f", "a")], "c:output:0", (4, 6)),
    "twice": ([call("c", "f", "a"), call("d", "f", "a")], "c:output:0", (4, 6)),
    "no such output": ([call("c", "f", "a")], "c:output:5", None),
    "no argument": ([call("c", "f")], "c:output:0", None),
}


@pytest.mark.parametrize(("calls", "output", "expected"), CALLED.values(), ids=CALLED)
def test_shapes_go_through_functions(calls: Any, output: str, expected: Any) -> None:
    """Arguments and results are followed, whoever else calls the function."""
    nodes = [node("a", "Const", value=A), *calls, node("n", "Identity", output)]
    assert _fact(*nodes, functions=[DOUBLE]).shape == expected


def test_functions_that_return_each_other_end() -> None:
    """A cycle of calls has another rule; following it ends."""
    ping = function("ping", ["v"], ["c:output:0"], call("c", "pong", "v"))
    pong = function("pong", ["v"], ["c:output:0"], call("c", "ping", "v"))
    nodes = [call("c", "ping", "x"), node("n", "Identity", "c:output:0")]
    assert _fact(*nodes, functions=[ping, pong]).shape is None
