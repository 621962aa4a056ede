"""Bounds of tensors hold for all data."""

from __future__ import annotations

import math
import struct

import pytest
from hostile.nodes import FLOAT, INT64, function, meta_graph, node, tensor

from safeload.inspection.graph.info import inspect_graph
from safeload.policy.graph._costs._intervals import ANY, interval

A, B = (-2.0, 3.0), (1.0, 4.0)

CASES = {
    "Abs": (0.0, 3.0),
    "Relu": (0.0, 3.0),
    "Square": (0.0, 9.0),
    "Exp": (0.0, math.inf),
    "Neg": (-3.0, 2.0),
    "Identity": A,
    "AddV2": (-1.0, 7.0),
    "Sub": (-6.0, 2.0),
    "Mul": (-8.0, 12.0),
    "Maximum": (1.0, 4.0),
    "Minimum": (-2.0, 3.0),
    "Greater": (0.0, 1.0),
    "LessEqual": (0.0, 1.0),
    "Tan": ANY,
}
ONE_INPUT = {"Abs", "Relu", "Square", "Exp", "Neg", "Identity", "Tan"}


def _body(*nodes):
    return inspect_graph(meta_graph([], [function("f", ["a", "b"], [], *nodes)])).bodies["f"]


@pytest.mark.parametrize("op", CASES)
def test_bounds_of_an_op(op):
    """Each op's bounds are the least and the most that inputs within theirs can make."""
    body = _body(node("n", op, *(["a"] if op in ONE_INPUT else ["a", "b"])))
    assert interval(body, "n:z:0", {"a": A, "b": B}) == CASES[op]


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [
        ("Greater", (2.0, 3.0), (0.0, 1.0), (1.0, 1.0)),
        ("Greater", (0.0, 1.0), (1.0, 2.0), (0.0, 0.0)),
        ("Less", (0.0, 1.0), (2.0, 3.0), (1.0, 1.0)),
        ("GreaterEqual", (1.0, 3.0), (0.0, 1.0), (1.0, 1.0)),
        ("LessEqual", (4.0, 5.0), (0.0, 1.0), (0.0, 0.0)),
        ("Mul", (0.0, 0.0), ANY, (0.0, 0.0)),
        ("Sub", (math.inf, math.inf), (math.inf, math.inf), ANY),
    ],
)
def test_comparisons_and_limits(op, a, b, expected):
    """Comparisons are decided where the bounds do not overlap."""
    assert interval(_body(node("n", op, "a", "b")), "n", {"a": a, "b": b}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (tensor(FLOAT, (), float_val=[0.5]), (0.5, 0.5)),
        (tensor(FLOAT, (), tensor_content=struct.pack("<f", -1.5)), (-1.5, -1.5)),
        (tensor(INT64, (1,)), (0.0, 0.0)),
        (tensor(FLOAT, (2,), float_val=[1.0]), ANY),
        (tensor(FLOAT, (), tensor_content=b"abc"), ANY),
        (tensor(7, ()), ANY),
    ],
)
def test_constants(value, expected):
    """Constants of one number are known exactly, fractions included."""
    assert interval(_body(node("n", "Const", value=value)), "n:output:0", {}) == expected


def test_what_is_not_known_has_no_bounds():
    """Absent nodes, values that are missing and wrong numbers of inputs are unknown."""
    body = _body(node("n", "Abs"), node("c", "Const"))
    assert [interval(body, name, {}) for name in ("n", "c", "absent")] == [ANY] * 3
