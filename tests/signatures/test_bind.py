"""How the arguments of a call become one value per input."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from safeload.errors import InputMismatchError
from safeload.inspection import CallStructure, Composite, SignatureInfo, Slot, TensorInfo, TypedConstant
from safeload.signatures import bind, closest, pack, with_defaults

A = TensorInfo("a", "float32", (None, 4), tensor_name="serving_default_a:0", aliases=("dense_input",))
B = TensorInfo("b", "int32", (None,), tensor_name="in_b:1")
ONE = SignatureInfo("serving_default", inputs=(A,))
TWO = SignatureInfo("serving_default", inputs=(A, B))
ORDERED = replace(TWO, key="model", is_positional=True)
ODD = SignatureInfo("s", inputs=(replace(A, name="image:0"), replace(B, name="lambda x")))
NESTED = SignatureInfo(
    "__call__",
    "function",
    (
        TensorInfo("x/a", "float32", (), aliases=("a",)),
        TensorInfo("x/n/0", "float32"),
        TensorInfo("x/n/1", "float32"),
        TensorInfo("t"),
    ),
    is_positional=True,
    structure=CallStructure(
        args=(("x", {"a": Slot("x/a"), "n": [Slot("x/n/0"), Slot("x/n/1")]}), ("training", False)),
        kwargs=(("t", Slot("t")), ("mode", "fast")),
        defaults=(("mode", "fast"),),
    ),
)
PAIR = SignatureInfo(
    "f", "function", (A, B), is_positional=True, structure=CallStructure(args=(("pair", [Slot("a"), 3, Slot("b")]),))
)
DICT_INPUT = SignatureInfo(
    "model",
    "keras",
    (A, B),
    is_positional=True,
    structure=CallStructure(args=(("inputs", {"left": Slot("a"), "right": Slot("b")}),)),
)

KEYWORD = SignatureInfo("f", "function", (A,), structure=CallStructure(kwargs=(("a", Slot("a")),)))
KEYWORDS = replace(KEYWORD, inputs=(A, B), structure=CallStructure(kwargs=(("a", Slot("a")), ("b", Slot("b")))))
SAME_NAMES = replace(KEYWORD, structure=CallStructure(args=(("x", {"x": Slot("a"), "y": Slot("b")}),)))
OF_THREE = replace(KEYWORD, structure=CallStructure(args=(("a", Slot("a")), ("n", 3)), defaults=(("n", 2),)))


class Variable:
    def numpy(self) -> None:
        raise NotImplementedError


NOTHING = replace(KEYWORD, inputs=(), structure=CallStructure())


class Frame:
    """The parts of a pandas DataFrame that matter."""

    def __init__(self, **columns: int) -> None:
        self._columns = columns

    def keys(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> int:
        return self._columns[name]


FRAME = Frame(p=1, q=2)


class Grouped(Frame):
    """As a grouped table of pandas, whose ``keys`` are no function."""

    keys = "p"  # type: ignore[assignment]


GROUPED = Grouped(p=1)


@pytest.mark.parametrize(
    ("signature", "args", "kwargs", "bound"),
    [
        (ONE, (1,), {}, {"a": 1}),
        (ONE, (), {"a": 1}, {"a": 1}),
        (ONE, ({"a": 1},), {}, {"a": 1}),
        (ONE, ({"serving_default_a:0": 1},), {}, {"a": 1}),
        (ONE, ({"serving_default_a": 1},), {}, {"a": 1}),
        (ONE, (), {"dense_input": 1}, {"a": 1}),
        (ONE, (FRAME,), {}, {"a": FRAME}),
        (ONE, (GROUPED,), {}, {"a": GROUPED}),
        (TWO, ({"b": 2, "a": 1},), {}, {"a": 1, "b": 2}),
        (TWO, (), {"b": 2, "a": 1}, {"a": 1, "b": 2}),
        (TWO, ({"a": 1},), {"b": 2}, {"a": 1, "b": 2}),
        (TWO, (Frame(a=1, b=2),), {}, {"a": 1, "b": 2}),
        (TWO, ({"a": 1, "in_b:1": 2},), {}, {"a": 1, "b": 2}),
        (replace(TWO, is_positional=True), (1, 2), {}, {"a": 1, "b": 2}),
        (replace(TWO, is_positional=True), ([1, 2],), {}, {"a": 1, "b": 2}),
        (replace(TWO, is_positional=True), (1,), {"b": 2}, {"a": 1, "b": 2}),
        (SignatureInfo("s", inputs=(A, replace(B, optional=True))), ({"a": 1},), {}, {"a": 1}),
        (SignatureInfo("s", inputs=(replace(B, optional=True), A)), (1,), {}, {"a": 1}),
        (SignatureInfo("s", inputs=(replace(B, optional=True), A)), (1,), {"b": 2}, {"a": 1, "b": 2}),
        (SignatureInfo("s", inputs=(A, replace(B, optional=True))), ({"a": 1, "b": None},), {}, {"a": 1}),
        (SignatureInfo("get_counter"), (), {}, {}),
        (ONE, (1,), {"training": False}, {"a": 1}),
        (TWO, ({"b": 2, "a": 1},), {"training": None}, {"a": 1, "b": 2}),
        (ONE, (1,), {"training": False, "mask": None}, {"a": 1}),
        (ONE, (1,), {"training": np.False_}, {"a": 1}),
        (ONE, (1,), {"training": 0}, {"a": 1}),
        (ONE, (1,), {"training": SimpleNamespace(numpy=lambda: np.False_)}, {"a": 1}),
        (KEYWORDS, (), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (KEYWORD, (1,), {}, {"a": 1}),
        (KEYWORD, (), {"a": 1}, {"a": 1}),
        (KEYWORD, ({"a": 1},), {}, {"a": 1}),
        (
            SignatureInfo("s", inputs=(A, replace(B, name="training"))),
            (),
            {"a": 1, "training": True},
            {"a": 1, "training": True},
        ),
        (ODD, ({"image:0": 1, "lambda x": 2},), {}, {"image:0": 1, "lambda x": 2}),
        (DICT_INPUT, ({"left": 1, "right": 2},), {}, {"a": 1, "b": 2}),
        (DICT_INPUT, ({"a": 1, "b": 2},), {}, {"a": 1, "b": 2}),
        (DICT_INPUT, (), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (NESTED, ({"a": 1, "n": (2, 3)},), {"t": 4}, {"x/a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4}),
        (NESTED, ({"a": 1, "n": (2, 3)}, False), {"t": 4}, {"x/a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4}),
        (NESTED, ({"a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4},), {}, {"x/a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4}),
        (
            NESTED,
            ({"a": 1, "n": (2, 3)}, 0),
            {"t": 4, "mode": np.str_("fast")},
            {"x/a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4},
        ),
        (PAIR, ([1, np.int64(3), 2],), {}, {"a": 1, "b": 2}),
        (PAIR, ({"pair": [1, 3, 2]},), {}, {"a": 1, "b": 2}),
        (DICT_INPUT, ({"inputs": {"left": 1, "right": 2}},), {}, {"a": 1, "b": 2}),
        (DICT_INPUT, (), {"left": 1, "right": 2}, {"a": 1, "b": 2}),
        (DICT_INPUT, (), {"right": 2, "left": 1, "training": False}, {"a": 1, "b": 2}),
        (
            NESTED,
            ({"x": {"a": 1, "n": (2, 3)}, "t": 4},),
            {"mode": "fast"},
            {"x/a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4},
        ),
        (NESTED, (), {"a": 1, "n": (2, 3), "t": 4}, {"x/a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4}),
        (OF_THREE, ({"a": 1},), {"n": 3}, {"a": 1}),
    ],
)
def test_bound(signature: SignatureInfo, args: tuple[Any, ...], kwargs: dict[str, Any], bound: dict[str, Any]) -> None:
    """Positions, names, aliases, tensor names, mappings and nested arguments all end at one value per input."""
    assert bind(signature, args, kwargs) == bound


@pytest.mark.parametrize(
    ("signature", "args", "kwargs", "problem"),
    [
        (ONE, (1, 2), {}, "2 positional arguments for 1 input"),
        (ONE, (), {}, "missing 'a'"),
        (ONE, (None,), {}, "None is no value of 'a'"),
        (TWO, (), {"a": 1, "b": None}, "None is no value of 'b'"),
        (ONE, (1,), {"training": True}, "training=True, and a call is always inference"),
        (ONE, (1,), {"training": np.array([0])}, "and a call is always inference"),
        (ONE, (1,), {"training": Variable()}, "and a call is always inference"),
        (ONE, (1,), {"training": "no"}, "training='no', and a call is always inference"),
        (ONE, (1,), {"a": 2}, "input 'a' is given twice"),
        (PAIR, ([1, np.bool_(True), 2],), {}, "argument 'pair[1]' was traced with the constant 3"),  # noqa: FBT003
        (PAIR, ([1, np.array([3]), 2],), {}, "argument 'pair[1]' was traced with the constant 3"),
        (ONE, ({"aa": 1},), {}, "there is no input 'aa'; did you mean 'a'?"),
        (TWO, (), {"zzz": 1}, "there is no input 'zzz'"),
        (TWO, (Frame(a=1, b=2, label=3),), {}, "there is no input 'label'"),
        (ORDERED, (Frame(a=1, b=2, label=3),), {}, "there is no input 'label'"),
        (ORDERED, (Frame(p=1, q=2),), {}, "missing 'b'"),
        (ORDERED, ([{"a": 1, "b": 2}, {"a": 3, "b": 4}],), {}, "a list of dicts, one for each row"),
        (ONE, ([{"a": 1}],), {}, "a list of dicts, one for each row"),
        (ONE, ([{"a": 1}, 2], 3), {}, "2 positional arguments for 1 input"),
        (ONE, (), {"verbose": 0}, "there is no input 'verbose', which is an option of f.predict"),
        (NESTED, (1,), {"batch_size": 2}, "there is no argument 'batch_size', which is an option of f.predict"),
        (ONE, (1,), {"mask": 2}, "there is no input 'mask'"),
        (ONE, (1,), {"training": False, "mask": 2}, "there is no input 'mask'"),
        (NOTHING, (1,), {}, "1 positional arguments for no parameters"),
        (KEYWORD, (1,), {"a": 2}, "argument 'a' is given twice"),
        (KEYWORD, (1, 2), {}, "2 positional arguments for 'a'"),
        (KEYWORDS, (1,), {}, "1 positional arguments for a function of keywords"),
        (DICT_INPUT, (), {"a": 1, "b": 2, "zzz": 3}, "there is no argument 'zzz'"),
        (TWO, (1, 2), {}, "2 inputs cannot be given by position: the file does not record their order"),
        (TWO, (1,), {}, "2 inputs cannot be given by position: the file does not record their order"),
        (TWO, ({"a": 1},), {}, "missing 'b'"),
        (SignatureInfo("get"), (1,), {}, "1 positional arguments for 0 inputs"),
        (NESTED, (), {}, "missing 'x/a', 'x/n/0', 'x/n/1', 't'"),
        (NESTED, ({"q": 1},), {"t": 1}, "argument 'x' is a dict with 'q', expected a dict with 'a', 'n'"),
        (NESTED, ({"x": {"a": 1, "n": (2, 3)}},), {"x": 4}, "argument 'x' is given twice"),
        (NESTED, ({"a": 1, "n": (2, 3)},), {"a": 1, "n": (2, 3)}, "there is no argument 'n'"),
        (NESTED, (), {"a": 1, "t": 4}, "missing 'x/n/0', 'x/n/1'"),
        (SAME_NAMES, ({"x": 1},), {}, "argument 'x' is a dict with 'x', expected a dict with 'x', 'y'"),
        (NESTED, (Frame(a=1, q=2),), {"t": 1}, "argument 'x' is a Frame with 'a', 'q', expected a dict with 'a', 'n'"),
        (NESTED, (5,), {"t": 1}, "argument 'x' is of type int, expected a dict with 'a', 'n'"),
        (NESTED, ({"a": 1, "n": (2,)},), {"t": 1}, "argument 'x.n' is a sequence of 1, expected a sequence of 2"),
        (NESTED, (1, False, 3), {}, "3 positional arguments for 'x', 'training'"),
        (NESTED, (1,), {"x": 2}, "argument 'x' is given twice"),
        (NESTED, (), {"tt": 2}, "there is no argument 'tt'; did you mean 't'?"),
        (
            NESTED,
            ({"a": 1, "n": (2, 3)}, True),
            {"t": 4},
            "argument 'training' was traced with the constant False and cannot be another value",
        ),
        (
            NESTED,
            ({"a": 1, "n": (2, 3)},),
            {"t": 4, "mode": "slow"},
            "argument 'mode' was traced with the constant 'fast'",
        ),
    ],
)
def test_mismatch(signature: SignatureInfo, args: tuple[Any, ...], kwargs: dict[str, Any], problem: str) -> None:
    """What does not fit is an error that says so."""
    with pytest.raises(InputMismatchError) as caught:
        bind(signature, args, kwargs)
    assert problem in caught.value.problem


@pytest.mark.parametrize("default", [(), (("mode", "slow"),)], ids=["none", "other"])
def test_a_trace_for_other_constants_is_refused(default: tuple[tuple[str, str], ...]) -> None:
    """A trace answers only calls that would have reached it in Python, whichever way tensors are given."""
    assert NESTED.structure is not None
    signature = replace(NESTED, structure=replace(NESTED.structure, defaults=default))
    for args, kwargs in ((({"a": 1, "n": (2, 3)},), {"t": 4}), (({"a": 1, "x/n/0": 2, "x/n/1": 3, "t": 4},), {})):
        with pytest.raises(InputMismatchError, match="'mode'"):
            bind(signature, args, kwargs)


@pytest.mark.parametrize(
    ("signature", "call"),
    [
        (ONE, "f(<float32 [None, 4]>)"),
        (TWO, "f(a=<float32 [None, 4]>, b=<int32 [None]>)"),
        (ODD, "f({'image:0': <float32 [None, 4]>, 'lambda x': <int32 [None]>})"),
        (PAIR, "f(pair=[<float32 [None, 4]>, 3, <int32 [None]>])"),
        (NESTED, "f(x={'a': <float32 []>, 'n': [<float32 […]>, <float32 […]>]}, t=<unknown […]>)"),
    ],
)
def test_hint_shows_the_right_call(signature: SignatureInfo, call: str) -> None:
    """Every mismatch ends in a call that can be pasted."""
    with pytest.raises(InputMismatchError) as caught:
        bind(signature, (1, 2, 3), {})
    assert caught.value.hint == f"call it as {call}"


@pytest.mark.parametrize("part", ["row_splits", "dense_shape"])
def test_a_tensor_that_consists_of_others(part: str) -> None:
    """SignatureDefs take the parts of ragged and sparse tensors; the object's own function takes them whole."""
    whole = SimpleNamespace(**{part: None})
    for args, kwargs in [((whole,), {}), ((), {"a": whole})]:
        with pytest.raises(InputMismatchError, match="takes the parts") as caught:
            bind(TWO, args, kwargs)
        assert "signature='__call__'" in caught.value.hint
    assert bind(replace(TWO, inputs=(replace(A, kind="ragged"),)), (whole,), {}) == {"a": whole}


RAGGED = SimpleNamespace(row_splits=None, flat_values=1, nested_row_splits=(2,))
RAGGED_TWICE = SimpleNamespace(row_splits=None, flat_values=1, nested_row_splits=(2, 3))


class SparseTensor:
    indices, values, dense_shape = 1, 2, 3


class IndexedSlices(SparseTensor):
    pass


def test_a_tensor_is_taken_apart() -> None:
    """Where the file records that the inputs are the parts of one tensor, that tensor is passed whole."""
    ragged = replace(TWO, composites=(Composite("ragged", ("b", "a")),))
    assert bind(ragged, (RAGGED,), {}) == bind(ragged, (), {"b": RAGGED}) == {"a": 2, "b": 1}
    sparse = replace(TWO, inputs=(A, B, replace(A, name="c")), composites=(Composite("sparse", ("a", "b", "c")),))
    twice = replace(sparse, composites=(Composite("ragged", ("a", "b", "c")),))
    for signature, value in ((sparse, SparseTensor()), (twice, RAGGED_TWICE)):
        assert bind(signature, (value,), {}) == {"a": 1, "b": 2, "c": 3}
    assert bind(ragged, (), {"a": 1, "b": 2}) == {"a": 1, "b": 2}
    assert bind(ragged, ({"a": 1, "b": 2},), {}) == {"a": 1, "b": 2}
    for signature, values in (
        (sparse, {"a": RAGGED_TWICE}),
        (sparse, {"a": IndexedSlices()}),
        (twice, {"a": SparseTensor()}),
        (twice, {"a": RAGGED}),
        (ragged, {"a": RAGGED}),
    ):
        with pytest.raises(InputMismatchError, match="takes the parts"):
            bind(signature, (), values)


def test_whole_text() -> None:
    """Several inputs by position: the error shows the keyword call."""
    with pytest.raises(InputMismatchError) as caught:
        bind(TWO, (1, 2), {})
    assert str(caught.value) == (
        "serving_default: 2 inputs cannot be given by position: the file does not record their order\n"
        "  hint: call it as f(a=<float32 [None, 4]>, b=<int32 [None]>)\n"
        "  code: input-mismatch"
    )


def test_ambiguous_alias_is_not_accepted() -> None:
    """An alias that two inputs share names neither."""
    signature = SignatureInfo("s", inputs=(replace(A, aliases=("z",)), replace(B, aliases=("z",))))
    with pytest.raises(InputMismatchError, match="there is no input 'z'"):
        bind(signature, ({"z": 1},), {})


def test_pack() -> None:
    """Packing puts values where the slots are and keeps containers and constants."""
    pair = namedtuple("pair", "p q")  # noqa: PYI024 - the type of a decoded tree
    tree = {"a": Slot("x"), "b": [Slot("y"), None], "c": (True,), "d": pair(Slot("x"), 1)}
    assert pack(tree, {"x": 1}) == {"a": 1, "b": [None, None], "c": (True,), "d": pair(1, 1)}


def test_defaults_of_tensors() -> None:
    """What a call leaves out is what Python passes, and inference stays inference."""
    switch = TensorInfo("training", "bool", (), optional=True)
    signature = replace(
        TWO,
        inputs=(A, replace(B, optional=True), switch),
        defaults=(("b", [7]), ("training", True)),
        is_positional=True,
    )
    assert with_defaults(signature, bind(signature, (1,), {})) == {"a": 1, "b": [7]}
    assert with_defaults(signature, bind(signature, (1, 2), {"training": None})) == {"a": 1, "b": 2}
    assert with_defaults(TWO, {"a": 1}) == {"a": 1}
    assert bind(signature, (1, None), {}) == {"a": 1}  # as `tf.function` passes what inspect.signature tells


@pytest.mark.parametrize(
    ("constant", "same", "other"),
    [
        (TypedConstant("dtype", "int8"), SimpleNamespace(as_datatype_enum=6, name="int8"), "int8"),
        (TypedConstant("shape", (2, None)), SimpleNamespace(rank=2, as_list=lambda: [2, None]), [2, None]),
        (TypedConstant("shape", None), SimpleNamespace(rank=None, as_list=None), None),
    ],
    ids=["dtype", "shape", "unknown-rank"],
)
def test_constants_of_tensorflow(constant: TypedConstant, same: Any, other: Any) -> None:
    """A dtype or a shape is passed as TensorFlow has it."""
    structure = CallStructure(args=(("a", Slot("a")), ("k", constant)))
    signature = SignatureInfo("f", "function", (A,), structure=structure)
    assert bind(signature, (1, same), {}) == {"a": 1}
    with pytest.raises(InputMismatchError, match="argument 'k' was traced with the constant tf"):
        bind(signature, (1, other), {})
    with pytest.raises(InputMismatchError, match="missing argument 'k'"):
        bind(signature, (1,), {})


def trace(**constants: Any) -> SignatureInfo:
    """Return a trace of ``f(x, mode="lin", bias=None)``; a parameter without a constant takes a tensor."""
    slots = {name: Slot(name) for name in ("x", "mode", "bias") if name not in constants}
    structure = CallStructure(
        args=tuple((name, slots.get(name, constants.get(name))) for name in ("x", "mode", "bias")),
        defaults=(("mode", "lin"), ("bias", None)),
    )
    inputs = tuple(TensorInfo(name, "float32", ()) for name in slots)
    return SignatureInfo("f", "function", inputs, is_positional=True, structure=structure)


LINEAR, SQUARE, BIASED = trace(mode="lin", bias=None), trace(mode="sq", bias=None), trace(mode="lin")


@pytest.mark.parametrize(
    ("traces", "args", "kwargs", "problem"),
    [
        ([LINEAR, SQUARE], (1, "cube"), {}, "argument 'mode' was traced with the constants 'lin' and 'sq' and cannot"),
        ([LINEAR, LINEAR], (1,), {"mode": "cube"}, "argument 'mode' was traced with the constant 'lin' and cannot"),
        ([LINEAR, SQUARE, BIASED], (1, "sq"), {"bias": 2}, "no trace has these values of 'mode', 'bias' together"),
        ([LINEAR, SQUARE], (), {"mode": "sq"}, "missing 'x'"),
        ([LINEAR, SQUARE], (1,), {"zzz": 2}, "there is no argument 'zzz'"),
        ([SQUARE, BIASED], (1,), {}, "argument 'mode' is 'lin' by default, traced with 'sq'"),
    ],
)
def test_what_no_trace_takes(
    traces: list[SignatureInfo], args: tuple[Any, ...], kwargs: dict[str, Any], problem: str
) -> None:
    """The trace that comes closest says why, or all say what they were traced with."""
    refusals = []
    for found in traces:
        with pytest.raises(InputMismatchError) as caught:
            bind(found, args, kwargs)
        refusals.append(caught.value)
    assert closest(traces, refusals, args, kwargs).problem.startswith(f"f: {problem}")


def test_calls_that_were_traced() -> None:
    """The hint shows some of them."""
    traces = [trace(mode=f"m{index}", bias=None) for index in range(6)]
    refusals = [InputMismatchError("", hint="")] * 6
    calls = " or ".join(f"f(x=<float32 []>, mode='m{index}')" for index in range(4))
    assert closest(traces, refusals, (1, "no"), {}).hint == f"call it as {calls} or 2 other calls"
    hint = closest(traces[:2], refusals, (1, "no"), {}).hint
    assert hint == "call it as f(x=<float32 []>, mode='m0') or f(x=<float32 []>, mode='m1')"
