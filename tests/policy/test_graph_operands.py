"""Constants of shapes that no tensor has, or that their op does not take: TensorFlow ends the process over some."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from hostile.nodes import FLOAT, INT32, INT64, Type, call, function, ints, node, refusing, simple, tensor
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework import op_def_registry

from safeload.policy.graph import _operands

_NUMBERS = (FLOAT, INT32, INT64)
_HELD_BY_KERNELS = {("SplitV", 1), ("Transpose", 1)}


def _with_unknown_rank() -> Any:
    made = tensor(FLOAT)
    made.tensor_shape.unknown_rank = True
    return made


@pytest.mark.parametrize(
    "value",
    [
        tensor(FLOAT, (2, -1)),
        tensor(FLOAT, (1 << 32, 1 << 31)),
        tensor(FLOAT, (0, 1 << 32, 1 << 32)),
        tensor(FLOAT, (1,) * 257),
        _with_unknown_rank(),
    ],
    ids=["negative", "too many", "none of too many", "too many axes", "no rank"],
)
def test_impossible_constants(value: Any) -> None:
    """No tensor has a shape that is not known, or more elements than are counted."""
    found = refusing(simple(node("n", "Const", value=value)))
    assert "constant-shape" in {finding.rule for finding in found}


@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (0, 5)], ids=str)
def test_possible_constants(shape: Any) -> None:
    """Scalars, and tensors without elements, are none of these."""
    assert not refusing(simple(node("n", "Const", value=tensor(FLOAT, shape))))


def _concatenated(*nodes: Any, axis: str = "c:output:0", functions: Any = ()) -> list[str]:
    found = refusing(simple(*nodes, node("n", "ConcatV2", "x", "x", axis, "^x"), functions=functions))
    return [finding.rule for finding in found]


_AXIS = ints("c", 0, shape=(1,))
_WAYS = {
    "at once": ([], "c:output:0"),
    "copied": ([node("i", "Identity", "c:output:0"), node("k", "Cast", "i:output:0", DstT=Type(INT32))], "k:y:0"),
    "reshaped": (
        [ints("f", 0, shape=()), ints("s", 1, 1), node("r", "Reshape", "f:output:0", "s:output:0")],
        "r:output:0",
    ),
    "passed to a function": ([call("k", "same", "c:output:0")], "k:output:0"),
}


@pytest.mark.parametrize("way", _WAYS)
def test_axis_that_is_no_number(way: str) -> None:
    """The rank of an operand is found through copies and calls."""
    nodes, axis = _WAYS[way]
    assert _concatenated(_AXIS, *nodes, axis=axis, functions=[function("same", ["f"], ["f"])]) == ["constant-shape"]


def test_axis_that_may_be_one() -> None:
    """Numbers pass, and what depends on data or is missing is left to TensorFlow."""
    assert not _concatenated(ints("c", 0, shape=()))
    assert not _concatenated(node("c", "Relu", "x"))
    assert not _concatenated()
    sizes = [node("p", "Pack", "x", "x"), ints("f", 0, shape=()), node("c", "Reshape", "f:output:0", "p:output:0")]
    assert not _concatenated(*sizes)
    assert not refusing(simple(node("n", "Split")))


@pytest.mark.parametrize(("begin", "end", "expected"), [([0], [1], 0), ([0, 0], [1], 1), ([], [1], 1)], ids=str)
def test_lengths_of_slices(begin: list[int], end: list[int], expected: int) -> None:
    """Begin and size of a slice are as long as each other."""
    operands = [ints("b", *begin), ints("e", *end)]
    found = refusing(simple(*operands, node("n", "Slice", "x", "b:output:0", "e:output:0")))
    assert [finding.rule for finding in found] == ["constant-shape"] * expected


@pytest.mark.parametrize(("axis", "expected"), [(-1, 2), (None, 2), (0, 0)])
def test_ranges_of_quantization(axis: int | None, expected: int) -> None:
    """Along an axis there is a range for each place, and one number without."""
    attributes = {} if axis is None else {"axis": axis}
    range_ = node("r", "Const", value=tensor(FLOAT, (2,), float_val=[1.0]))
    made = node("n", "QuantizeAndDequantizeV2", "x", "r:output:0", "r:output:0", **attributes)
    assert len(refusing(simple(range_, made))) == min(expected, 1)


def _refused_by_tensorflow(op: str, place: int, rank: int, producer: int) -> bool:
    """Tell whether TensorFlow refuses *op* with a constant of *rank* at *place*, all other inputs being unknown."""
    definition = op_def_registry.get(op)
    assert definition is not None
    graph = graph_pb2.GraphDef()
    graph.versions.producer = producer
    made = graph.node.add(name="n", op=op)
    types = {a.name: a.default_value.type for a in definition.attr}
    for attr in definition.attr:
        if attr.HasField("default_value"):
            continue
        value, allowed = made.attr[attr.name], attr.allowed_values.list
        if attr.type == "type":
            value.type = types[attr.name] = next(t for t in _NUMBERS if not allowed.type or t in allowed.type)
        elif attr.type == "int":
            value.i = max(2, attr.minimum)
        elif attr.type == "list(int)":
            value.list.i.extend([1] * 4)
        else:
            value.s = allowed.s[0]
    inputs = [
        argument.type or types[argument.type_attr]
        for argument in definition.input_arg
        for _ in range(made.attr[argument.number_attr].i if argument.number_attr else 1)
    ]
    for index, kind in enumerate(inputs):
        is_constant = index == place % len(inputs)
        below = graph.node.add(name=f"i{index}", op="Const" if is_constant else "Placeholder")
        below.attr["dtype"].type = kind
        if is_constant:
            value = tf.make_tensor_proto(1, tf.dtypes.as_dtype(kind), shape=(1,) * rank)
            below.attr["value"].tensor.CopyFrom(value)
        made.input.append(below.name)
    with tf.Graph().as_default():
        try:
            tf.import_graph_def(graph)
        except ValueError:
            return True
    return False


@pytest.mark.parametrize("producer", [10, 1_000])
@pytest.mark.parametrize("op", sorted(_operands._RANKS))
def test_tensorflow_refuses_other_ranks(op: str, producer: int) -> None:
    """Nothing is refused that TensorFlow lets through where it infers shapes, in graphs of any release."""
    for place, taken in _operands._RANKS[op]:
        for rank in {0, 1, 2, 3} - {taken}:
            assert (op, place) in _HELD_BY_KERNELS or _refused_by_tensorflow(op, place, rank, producer), place


@pytest.mark.parametrize("rank", [0, 2])
def test_kernels_refuse_other_ranks(rank: int) -> None:
    """So do kernels where shape inference says nothing."""
    sizes = tf.reshape(tf.constant([2]), (1,) * rank)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        tf.raw_ops.SplitV(value=[1.0, 2.0], size_splits=sizes, axis=0, num_split=1)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        tf.raw_ops.Transpose(x=[1.0], perm=sizes - 2)


@pytest.mark.parametrize(
    "nodes", [[ints("l", 4), node("n", "RFFT", "x", "l:output:0")], [node("n", "RFFT", "x")]], ids=["length", "none"]
)
def test_transforms_of_some_length(nodes: list[Any]) -> None:
    """Other lengths pass, and what is missing is left to TensorFlow."""
    assert not refusing(simple(*nodes))


SOUNDS: dict[str, tuple[bool, dict[str, Any]]] = {
    "as they are": (False, {}),
    "of words": (False, {"window_size": 30, "window_step": 20, "num_channels": 40, "lower_band_limit": 20.0}),
    "with gaps": (True, {"window_size": 30, "window_step": 40}),
    "with gaps by default": (True, {"window_step": 30}),
    "far around": (True, {"right_context": 1 << 22}),
    "of no pitch": (True, {"upper_band_limit": float("nan")}),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_spectra_of_sounds(name: str) -> None:
    """Numbers that models have pass, and others with which the op may end the process do not."""
    is_refused, attributes = SOUNDS[name]
    found = refusing(simple(node("n", "AudioMicrofrontend", "x", **attributes)))
    assert [finding.rule for finding in found] == ["impossible-window"] * is_refused
