"""Which loops provably run for days, whatever the input, and which are let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hostile.loops import (
    count_functions,
    count_nodes,
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
)
from hostile.nodes import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    Func,
    Type,
    at,
    bodies,
    call,
    findings,
    function,
    functions_of,
    ints,
    meta_graph,
    node,
    nodes_of,
    of,
    rules,
    simple,
    tensor,
    text,
)

from safeload.inspection.op_classes import op_table
from safeload.policy import Severity
from safeload.policy.graph._constants import _counted, _facts
from safeload.policy.graph._costs import _conditions, _datasets, _searches, _waits
from safeload.readers.saved_model.queues import TAKING

if TYPE_CHECKING:
    from collections.abc import Callable


WHILE = {"cond": Func("w_cond"), "body": Func("w_body")}
FOR = {"body": Func("once")}
ONCE = [function("once", ["i"], ["i"])]


def _loop(compare: str, step: int, *, start: int = 0, stop: int = 10**12, op: str = "AddV2") -> Any:
    """Make a MetaGraph with a loop on constants."""
    operands = [ints("a", start, shape=()), node("w", "While", "a:output:0", cond=Func("c"), body=Func("b"))]
    condition = [ints("stop", stop, shape=()), node("less", compare, "i", "stop:output:0")]
    body = [ints("step", step, shape=()), node("add", op, "i", "step:output:0")]
    return simple(
        *operands,
        functions=[function("c", ["i"], ["less:z:0"], *condition), function("b", ["i"], ["add:z:0"], *body)],
    )


def _node(made: Any, name: str, found: str) -> Any:
    return next(node for node in bodies(made)[name] if node.name == found)


ENDLESS = {
    "upwards": _loop("LessEqual", 1),
    "downwards": _loop("Greater", -1, start=10**12, stop=0),
    "away": _loop("Less", -1),
    "not at all": _loop("Less", 1, op="Mul"),
    "past its end": _loop("NotEqual", 3),
    "by subtraction": _loop("GreaterEqual", 1, start=10**12, stop=0, op="Sub"),
    "for": simple(
        *(ints(n, v, shape=()) for n, v in (("a", 0), ("b", 1 << 31), ("c", 1))),
        node("f", "For", "a", "b", "c", **FOR),
        functions=ONCE,
    ),
    "dataset: repeated": dataset(10**6, RepeatDataset=10**6),
    "dataset: batched": dataset(10**15, BatchDatasetV2=100),
    "dataset: without end, batched": dataset(1, RepeatDataset=-1, BatchDataset=100),
    "dataset: without its beginning": dataset(10**15, SkipDataset=5, PrefetchDataset=1, TakeDataset=-1),
    "dataset: random": simple(node("d", "RandomDatasetV2", "x"), node("all", "InitializeTableFromDataset", "x", "d")),
    "dataset: one, repeated": simple(
        ints("n", -1, shape=()),
        node("t", "TensorDataset", "x"),
        node("d", "RepeatDataset", "t", "n:output:0"),
        node("all", "ReduceDataset", "d"),
    ),
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
    "on a counter": endless([ints("o", 1), node("e", "Less", "x", "o:output:0")], "e:z:0"),
    "on random numbers": endless([node("r", "RandomUniform", "n")], "r:output:0"),
    "by a bound: Less": endless_upwards("Less", "s:z:0"),
    "by a bound: Equal": endless_upwards("Equal", "s:z:0"),
    "by a bound: LessEqual": endless_upwards("LessEqual", "s:z:0"),
    "frame: on a Merge": meta_graph(
        [node("m", "Merge", "x", "x"), node("l", "Less", "m", "m"), node("y", "LoopCond", "l")]
    ),
    "frame: few times": framed(*frame("w", 0, 100)),
    "frame: never": framed(*frame("w", 100, 10)),
    "frame: few times few": nested_frames(1000, 1000),
    "frame: doubling a few times": framed(*frame("w", 0, 10), *frame_variable("w", "some", doubled("w/new", "w/old"))),
    "frame: after unknown times": framed(
        *frame("w", 0, 9, around="x"), *frame_variable("w", "some", doubled("w/new", "w/old")), doubled("n", "w/vExit")
    ),
    "frame: condition of TensorFlow 1": framed(
        node("s", "Switch", "some", "x"), node("m", "Merge", "s", "s:1"), doubled("n", "m")
    ),
    "frame: without Enter": simple(
        *frame("w", 0, 9), *frame_variable("w", "w/start", node("w/new", "AddV2", "w/old", "x"))
    ),
    "frame: broken": framed(
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
    "for: few times": simple(ints("a", 1, shape=()), node("f", "For", "a", "a", "a", **FOR), functions=ONCE),
    "for: by data": simple(ints("a", 1, shape=()), node("f", "For", "a", "x", "a", **FOR), functions=ONCE),
    "for: of nothing": simple(node("f", "For", **FOR), functions=ONCE),
    "dataset: its beginning": dataset(10**15, TakeDataset=100),
    "dataset: its end": dataset(10, SkipDataset=5),
    "dataset: a part of an unknown one": dataset(10**15, SkipDataset=-1),
    "dataset: in batches of none": dataset(10**15, BatchDataset=0),
    "dataset: nothing, repeated": dataset(0, RepeatDataset=-1),
    "dataset: of another kind": dataset(10**15, FlatMapDataset=1),
    "dataset: taken by data": simple(
        node("r", "RandomDataset", "x"), node("t", "TakeDataset", "r", "x"), node("all", "ReduceDataset", "t", "x")
    ),
    "dataset: to where data says": simple(node("r", "RangeDataset", "x"), node("all", "ReduceDataset", "r", "x")),
    "dataset: nowhere": simple(node("all", "ReduceDataset")),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_loops_that_count_for_days(name: str) -> None:
    """Counting from one constant to another takes as long as it takes, and so do datasets that are gone through."""
    assert "endless-loop" in rules(ENDLESS[name])


@pytest.mark.parametrize("name", ENDING)
def test_loops_that_end(name: str) -> None:
    """What ends soon, or may end, and what no writer makes, is let through."""
    assert not rules(ENDING[name])


def test_loop_without_functions_is_left_to_tensorflow() -> None:
    """A loop whose functions are not in the file is no endless loop, only a call of absent functions."""
    assert rules(simple(node("w", "While", "x", cond=Func("nowhere"), body=Func("nowhere")))) == {"absent-function"}


CONDITIONS = {
    "not": (True, ["LogicalNot", "end"]),
    "not yet": (False, ["LogicalNot", "few"]),
    "this or that": (True, ["LogicalOr", "less", "few"]),
    "this and that": (False, ["LogicalAnd", "less", "few"]),
    "neither": (True, ["LogicalNot", "LogicalOr", "end", "end"]),
    "not both": (True, ["LogicalNot", "LogicalAnd", "end", "enough"]),
    "by data": (False, ["LogicalAnd", "less", "x"]),
    "a number": (True, ["stop:output:0"]),
    "itself": (True, ["Identity", "o0:z:0"]),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_of_several(name: str) -> None:
    """What conditions are put together of is counted one by one; an operand that is not known ends the loop."""
    is_endless, words = CONDITIONS[name]
    made = _loop("Less", 1)
    condition = functions_of(made)["c"]
    few, enough = ints("three", 3, shape=()), node("enough", "GreaterEqual", "i", "three:output:0")
    condition.node_def.extend(
        [few, enough, node("few", "Less", "i", "three:output:0"), node("end", "GreaterEqual", "i", "stop:output:0")]
    )
    operands = [w if ":" in w else f"{w}:z:0" for w in words if not w.startswith(("Logical", "Identity"))]
    for index, op in enumerate(reversed([w for w in words if w.startswith(("Logical", "Identity"))])):
        condition.node_def.append(node(f"o{index}", op, *operands))
        operands = [f"o{index}:z:0"]
    condition.ret["o0"] = operands[0]
    assert ("endless-loop" in rules(made)) is is_endless


def test_conditions_of_very_many_parts() -> None:
    """A condition of parts that have parts of their own is looked at once for each part."""
    made = _loop("Less", 1)
    condition = functions_of(made)["c"]
    condition.node_def.extend(
        node(f"a{i}", "LogicalAnd", *[f"a{i - 1}:z:0" if i else "less:z:0"] * 2) for i in range(150)
    )
    condition.ret["o0"] = "a149:z:0"
    assert "endless-loop" in rules(made)


def test_bounds_of_very_many_parts() -> None:
    """Sums of sums are looked at once for each of them, too."""
    sums = [node(f"a{i}", "AddV2", *[f"a{i - 1}:z:0" if i else "x"] * 2) for i in range(40)]
    assert not rules(
        simple(
            node("w", "While", "x", cond=Func("c"), body=Func("b")),
            functions=[
                function("c", ["x"], ["g:z:0"], node("g", "Greater", "x", "x")),
                function("b", ["x"], ["a29:z:0"], *sums),
            ],
        )
    )


def test_conditions_without_end_are_not_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where conditions are too long to be looked at, nobody knows whether their loops end."""
    made = simple(
        *(node(f"w{i}", "While", "x", cond=Func("c"), body=Func(f"b{i}")) for i in range(3)),
        functions=[
            function("c", ["x"], ["n:y:0"], node("n", "Relu", "m:y:0"), node("m", "Relu", "x")),
            *(function(f"b{i}", ["x"], ["r:y:0"], node("r", "Relu", "x")) for i in range(3)),
        ],
    )
    assert not rules(made)
    monkeypatch.setattr(_conditions, "_MAX_STEPS", 3)
    (finding,) = findings(made)
    assert (finding.rule, finding.severity) == ("allocation", Severity.UNEXAMINED)


def test_conditions_are_counted_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many conditions the last are not counted, and not understood."""
    monkeypatch.setattr(_counted, "_MAX_CONDITIONS", 0)
    found = findings(counted(10**12))
    assert {(f.rule, f.severity) for f in found} == {(r, Severity.UNEXAMINED) for r in ("allocation", "endless-loop")}


def test_what_is_not_understood_and_never_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops that training left behind, as those of gradients, need not be understood."""
    monkeypatch.setattr(_counted, "_MAX_CONDITIONS", 0)
    made = framed(*frame("w", 0, 10**6))
    assert "endless-loop" not in rules(made)
    _node(made, "", "y").input[:] = ["w/Exit"]
    assert _unexamined(made)


def test_calls_in_frames_are_inside_of_them() -> None:
    """Iterations multiply through functions that a loop of TensorFlow 1 calls."""
    called = function("f", ["v"], ["v"], *count_nodes("inner", 10**6))
    nodes = [*frame("w", 0, 10**6), call("call", "f", "w/Identity")]
    made = framed(*nodes)
    made.graph_def.library.function.extend([called, *count_functions("inner")])
    assert "endless-loop" in rules(made)
    again = framed(*frame("w", 0, 10**6), *count_nodes("inner", 10**6))
    again.graph_def.library.function.extend(count_functions("inner"))
    assert "endless-loop" not in rules(again)


def test_loops_in_functions_of_loops() -> None:
    """Iterations multiply through calls as well."""
    body = [call("call", "called", "i")]
    functions = [
        *count_functions("outer", body),
        function("called", ["x"], ["x"], *count_nodes("inner", 10**6)),
        *count_functions("inner"),
    ]
    assert "endless-loop" in rules(simple(*count_nodes("outer", 10**6), functions=functions))


def test_deep_frames() -> None:
    """Frames in frames in frames are counted from the innermost."""
    nodes = frame("w0", 0, 10)
    for depth in range(1, 12):
        first = node(f"w{depth}/first", "Const", f"^w{depth - 1}/Identity", value=tensor(INT64, (), int64_val=[0]))
        nodes += [first, *frame(f"w{depth}", 0, 10, around=f"w{depth}/first")]
    assert "endless-loop" in rules(framed(*nodes))


def test_deep_calls() -> None:
    """Functions may call each other more deeply than Python's stack is deep."""
    chain = [function(f"p{i}", ["a"], ["c:output:0"], call("c", f"p{i + 1}", "a")) for i in range(2000)]
    assert not rules(simple(call("c", "p0", "x"), functions=[*chain, function("p2000", ["a"], ["a"])]))


def test_loops_of_one_function_are_looked_at_once() -> None:
    """Two loops with the same functions are both endless."""
    twice = [node(f"w{i}", "While", "x", cond=Func("c"), body=Func("b")) for i in range(2)]
    true = node("t", "Const", value=tensor(BOOL, (), bool_val=[True]))
    made = simple(*twice, functions=[function("c", ["x"], ["t:output:0"], true), function("b", ["x"], ["x"])])
    assert [f.rule for f in findings(made)] == ["endless-loop"] * 2


def test_branches_in_loops() -> None:
    """A counter that one branch leaves as it is may count, if data choose the branch; one that both increase counts."""
    for other, is_endless in ((ints("r", 0, shape=()), False), (ints("r", 1, shape=()), True)):
        branches = [
            function("one", ["v"], ["r:output:0"], ints("r", 1, shape=())),
            function("other", ["v"], ["r:output:0"], other),
        ]
        step = node("new", "If", "v", "v", then_branch=Func("one"), else_branch=Func("other"))
        made = grown(1 << 40, step, node("sum", "AddV2", "i", "new:output:0"))
        made.graph_def.library.function.extend(branches)
        grow = functions_of(made)["grow"]
        grow.ret[grow.signature.output_arg[0].name] = "sum:z:0"
        assert "endless-loop" in rules(made)
        _node(made, "serve", "loop").input[1] = "x"
        assert ("endless-loop" in rules(made)) is is_endless


@pytest.mark.parametrize("op", ["Maximum", "SelectV2"])
def test_steps_that_may_be_larger(op: str) -> None:
    """How often a loop runs does not follow from a step that is at least one, or one of two."""
    made = grown(1 << 40, node("new", "AddV2", "v", "v"), node("sum", "AddV2", "i", "v"))
    grow = functions_of(made)["grow"]
    grow.ret[grow.signature.output_arg[0].name] = "sum:z:0"
    grow.ret[grow.signature.output_arg[1].name] = "v"
    _node(made, "serve", "some").CopyFrom(ints("some", 1, shape=()))
    assert "endless-loop" in rules(made)
    bodies(made)["serve"].append(node("step", op, "x", "some", "some"))
    _node(made, "serve", "loop").input[1] = "step"
    assert "endless-loop" not in rules(made)


@pytest.mark.parametrize(("limits", "expected"), [((10**12, 5), True), (("x", 10**12), True), ((5, "x"), False)])
def test_loops_of_shared_functions(limits: Any, expected: bool) -> None:
    """A loop that counts to what its function is given runs as often as the largest of all constants says."""
    body = function("f", ["v"], ["v"], ints("start", 0, shape=()), node("w", "While", "start:output:0", "v", **WHILE))
    names = [limit if limit == "x" else f"n{index}" for index, limit in enumerate(limits)]
    nodes = [ints(name, limit, shape=()) for name, limit in zip(names, limits, strict=True) if limit != "x"]
    calls = [call(f"c{index}", "f", name) for index, name in enumerate(names)]
    assert ("endless-loop" in rules(simple(*nodes, *calls, functions=[body, *count_functions("w")]))) is expected


def test_steps_that_are_not_understood() -> None:
    """A loop that counts by what text says is not let through."""
    nodes = [text("t", "1e12"), node("n", "StringToNumber", "t"), ints("a", 0, shape=())]
    for loop in (node("w", "While", "a", "n", **WHILE), node("f", "For", "a", "n", "a", **FOR)):
        (finding,) = findings(simple(*nodes, loop, functions=[*ONCE, *count_functions("w")]))
        assert (finding.rule, finding.severity) == ("endless-loop", Severity.UNEXAMINED)


def test_limits_that_change_later() -> None:
    """What three iterations show tells nothing where more than one sum changes what is compared."""
    made = counted(1000)
    late = nodes_of(of("SelectV2", of("Less", "i", at((), 500)), "n", at((), 10**12)), "late")
    functions_of(made)["outer_body"].node_def.extend(late)
    functions_of(made)["outer_body"].ret["o1"] = "late"
    assert {f.severity for f in findings(made)} == {Severity.UNEXAMINED}


def test_fractions() -> None:
    """A step of less than one is no step of zero."""
    zero = node("z", "Const", value=tensor(FLOAT, (), float_val=[0.0]))
    loop = node("w", "While", "z:output:0", cond=Func("c"), body=Func("b"))
    one = node("one", "Const", value=tensor(FLOAT, (), float_val=[1.0]))
    step = node("step", "Const", value=tensor(FLOAT, (), float_val=[1e-12]))
    condition = function("c", ["i"], ["less:z:0"], one, node("less", "Less", "i", "one:output:0"))
    body = function("b", ["i"], ["add:z:0"], step, node("add", "AddV2", "i", "step:output:0"))
    assert "endless-loop" in rules(simple(zero, loop, functions=[condition, body]))


CHANGES: dict[str, tuple[bool, Callable[[Any], Any]]] = {
    "step on the other side": (
        True, lambda made: _node(made, "outer_body", "add").input.__setitem__(slice(None), ["one:output:0", "i"])
    ),
    "start by data": (False, lambda made: _node(made, "serve", "outer_loop").input.__setitem__(0, "x")),
    "end by data": (False, lambda made: _node(made, "serve", "outer_loop").input.__setitem__(1, "x")),
    "end that counts": (False, lambda made: functions_of(made)["outer_body"].ret.__setitem__("o1", "add:z:0")),
    "counter that rests": (False, lambda made: functions_of(made)["outer_body"].ret.__setitem__("o0", "same:output:0")),
    "step by data": (False, lambda made: _node(made, "outer_body", "add").input.__setitem__(1, "n")),
    "comparison with nothing": (True, lambda made: _node(made, "outer_cond", "less").input.pop()),
    "condition of nothing": (False, lambda made: _node(made, "outer_cond", "result").input.__setitem__(0, "gone")),
    "body without arguments": (False, lambda made: functions_of(made)["outer_body"].signature.ClearField("input_arg")),
    "end that is itself": (True, lambda made: _node(made, "outer_body", "same").input.__setitem__(0, "same")),
    "loop without operands": (False, lambda made: _node(made, "serve", "outer_loop").ClearField("input")),
    "loop without a condition": (False, lambda made: _node(made, "serve", "outer_loop").attr.__delitem__("cond")),
}  # fmt: skip
"""What is changed about a loop to 10**12, and whether it is endless all the same."""


@pytest.mark.parametrize("name", CHANGES)
def test_changed_loops(name: str) -> None:
    """Where start, step or end come from data nothing is known; broken loops are not understood, or TensorFlow's."""
    is_endless, change = CHANGES[name]
    made = counted(10**12)
    change(made)
    assert ("endless-loop" in rules(made)) is is_endless


def test_broken_loops() -> None:
    """A body without arguments for the counter, where the end is a constant."""
    made = _loop("Less", 1)
    functions_of(made)["b"].signature.input_arg.pop()
    assert "endless-loop" not in rules(made)


WHOLE = function("s", [], ["d:handle:0"], *(ints(n, v, shape=()) for n, v in (("a", 0), ("b", 10**6), ("c", 1))))
WHOLE.node_def.append(node("d", "RangeDataset", "a:output:0", "b:output:0", "c:output:0"))
NOTHING = function("s", [], [])
ITSELF = function("s", [], ["d:handle:0"], node("d", "FlatMapDataset", "d:handle:0", f=Func("s")))


def _stepped(stop: int, *steps: Any, **operands: float) -> Any:
    """Make a MetaGraph that goes through the numbers up to *stop* by *steps*, the last of which has the last name."""
    made = dataset(stop)
    numbers = [
        ints(name, value, shape=())
        if isinstance(value, int)
        else node(name, "Const", value=tensor(FLOAT, (), float_val=[value]))
        for name, value in operands.items()
    ]
    last = bodies(made)["serve"][-1]
    last.input[0] = f"{steps[-1].name}:handle:0"
    bodies(made)["serve"].extend([*numbers, *steps])
    return made


def _branches_of_datasets(stop: int) -> Any:
    """Make a MetaGraph that goes through the numbers up to *stop*, or few, as data says."""
    made = dataset(stop)
    few, all_ = function("few", ["d"], ["t"], node("t", "TensorDataset", "d")), function("all", ["d"], ["d"])
    made.graph_def.library.function.extend([few, all_])
    chosen = node("i", "If", "x", "d0:handle:0", then_branch=Func("few"), else_branch=Func("all"))
    bodies(made)["serve"][-1].input[0] = "i:output:0"
    bodies(made)["serve"].append(chosen)
    return made


def _passing(*steps: str, last: str, inner: Any = WHOLE, **attributes: Any) -> Any:
    """Make a MetaGraph in which a dataset without end, of constants, goes through *steps*."""
    nodes = [ints("n", -1, shape=()), ints("t", 1), node("d0", "TensorDataset", "t")]
    nodes.append(node("d1", "RepeatDataset", "d0", "n:output:0"))
    nodes += [node(f"d{i}", op, f"d{i - 1}", f=Func("s"), **attributes) for i, op in enumerate(steps, 2)]
    return simple(*nodes, node("all", last, f"d{len(steps) + 1}"), functions=[inner])


@pytest.mark.parametrize("op", sorted(_datasets._FILTERS))
@pytest.mark.parametrize("last", ["DatasetToSingleElement", "MakeIterator"])
def test_elements_that_may_never_come(op: str, last: str) -> None:
    """Whoever waits for one element of a dataset without end gets none if all are left out."""
    found = findings(_passing(op, "PrefetchDataset", last=last))
    assert {(f.rule, f.severity) for f in found} == {("endless-loop", Severity.UNEXAMINED)}
    assert not rules(_passing("PrefetchDataset", last=last))
    made = _passing(op, last=last)
    bodies(made)["serve"][1].CopyFrom(node("t", "Identity", "x"))
    assert not rules(made)  # what is left out is the caller's


def test_iterators_of_functions() -> None:
    """An iterator of TensorFlow 1 makes its dataset by a function."""
    nodes = [ints("n", -1, shape=()), ints("t", 1), node("d0", "TensorDataset", "t")]
    nodes += [node("d1", "RepeatDataset", "d0:handle:0", "n:output:0"), node("d2", "FilterDataset", "d1:handle:0")]
    factory = function("factory", [], ["d2:handle:0"], *nodes)
    assert "endless-loop" in rules(
        simple(node("i", "OneShotIterator", dataset_factory=Func("factory")), functions=[factory])
    )


def test_elements_that_nobody_takes() -> None:
    """What only training reaches stays behind."""
    made = _passing("FilterDataset", last="MakeIterator")
    made.graph_def.node.extend(bodies(made)["serve"])
    del bodies(made)["serve"][:]
    assert not rules(made)


@pytest.mark.parametrize("op", sorted(_datasets._FLATTENING))
def test_datasets_of_datasets(op: str) -> None:
    """A dataset of many for each element of another one has as many as both multiplied."""
    few = dataset(10**6, SkipDataset=0, Identity=0)
    next(n for n in bodies(few)["serve"] if n.name == "d1").CopyFrom(node("d1", op, "d0:handle:0", f=Func("s")))
    few.graph_def.library.function.extend([WHOLE])
    assert "endless-loop" in rules(few)
    assert "endless-loop" in rules(_passing(op, last="ReduceDataset"))
    assert "endless-loop" in rules(_passing(op, op, last="ReduceDataset"))
    assert "endless-loop" not in rules(_passing(op, last="ReduceDataset", inner=NOTHING))


def test_datasets_of_themselves() -> None:
    """What makes itself has no known length."""
    assert "endless-loop" not in rules(_passing("FlatMapDataset", last="ReduceDataset", inner=ITSELF))


def test_datasets_of_datasets_are_followed_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions in functions are followed to some depth, and steps to some number; what is beyond is refused."""
    with monkeypatch.context() as patch:
        patch.setattr(_datasets, "_MAX_DEPTH", 1)
        assert rules(_passing("FlatMapDataset", last="ReduceDataset")) == {"allocation"}
    long = _passing(*["PrefetchDataset"] * 2000, last="ReduceDataset")
    assert rules(long) == {"endless-loop"}
    monkeypatch.setattr(_facts, "_MAX_WORK", 1000)
    assert rules(long) == {"allocation"}


def test_datasets_of_an_unknown_number_of_datasets() -> None:
    """There may be none, however many elements each of them has, and repeating nothing gives nothing."""
    endless = function("s", [], ["e:handle:0"], *WHOLE.node_def[:3], node("t", "TensorDataset", "a:output:0"))
    endless.node_def.append(node("e", "RepeatDataset", "t:handle:0", "less:output:0"))
    endless.node_def.append(ints("less", -1, shape=()))
    made = _passing("FlatMapDataset", "RepeatDataset", last="ReduceDataset", inner=endless)
    by_name = {n.name: n for n in bodies(made)["serve"]}
    by_name["d3"].input.append("n:output:0")
    assert rules(made) == {"endless-loop"}
    by_name["d1"].op = "OfAnUnknownKindDataset"
    assert _unexamined(made)
    by_name["d0"].input[0] = "x"
    assert "endless-loop" not in rules(made)


def _unexamined(made: Any) -> bool:
    """Tell whether a loop is found that is not understood, and no other one."""
    return {f.severity for f in findings(made) if f.rule == "endless-loop"} == {Severity.UNEXAMINED}


FOLLOWED = {
    "a share": dataset(10**12, ShardDataset=1),
    "a small share": dataset(10**12, ShardDataset=10**6),
    "all with a number": dataset(10**12, AssertCardinalityDataset=10**12),
    "batches of many": dataset(10**12, BatchDataset=10**6),
    "windows": _stepped(10**12, node("d1", "WindowDataset", "d0:handle:0", "x", "size:output:0"), size=3),
    "pairs": _stepped(10**12, node("d1", "ZipDataset", "d0:handle:0", "d0:handle:0", N=2)),
    "itself and itself": _stepped(10**9, node("d1", "ConcatenateDataset", "d0:handle:0", "d0:handle:0")),
    "part of it": _stepped(10**12, node("d1", "SamplingDataset", "d0:handle:0", "rate", "x", "x"), rate=0.5),
    "none of it": _stepped(10**12, node("d1", "SamplingDataset", "d0:handle:0", "rate", "x", "x"), rate=0.0),
    "again, shuffled": _stepped(
        100,
        node("d1", "ShuffleAndRepeatDatasetV2", "d0:handle:0", *["size:output:0"] * 2, "x", "less"),
        size=2,
        less=-1,
    ),
    "in batches of what a function makes": _stepped(
        10**12, node("d1", "MapAndBatchDataset", "d0:handle:0", "size:output:0", "size:output:0", "x"), size=8
    ),
    "rows of a table without any": simple(
        *[ints("i", 0, 0), ints("v", 1), ints("s", 10**12, 1)],
        node("d0", "SparseTensorSliceDataset", "i", "v", "s:output:0"),
        node("all", "ReduceDataset", "d0:handle:0"),
    ),
    "a few, very often": simple(
        *[ints("t", 0, shape=(100, 2)), ints("n", 10**8, shape=())],
        *[node("d0", "TensorSliceDataset", "t"), node("d1", "RepeatDataset", "d0", "n:output:0")],
        node("all", "ReduceDataset", "d1"),
    ),
    "one of two": _branches_of_datasets(10**12),
}
SHORT = {
    "a share of few": dataset(10**6, ShardDataset=1),
    "a share by data": _stepped(10**12, node("d1", "ShardDataset", "d0:handle:0", "x")),
    "pairs with few": _stepped(
        10**12, node("t", "TensorDataset", "x"), node("d1", "ZipDataset", "d0:handle:0", "t", N=2)
    ),
    "part by data": _stepped(10**6, node("d1", "SamplingDataset", "d0:handle:0", "x")),
    "until data says": _stepped(10**6, node("d1", "TakeWhileDataset", "d0:handle:0", "x")),
    "few of what is not understood": _stepped(
        10**12, node("d1", "TakeWhileDataset", "d0:handle:0"), node("d2", "TakeDataset", "d1", "size:output:0"), size=9
    ),
    "so many as data says": _stepped(
        10**12, node("d1", "TakeWhileDataset", "d0:handle:0"), node("d2", "TakeDataset", "d1", "x"), size=9
    ),
    "of the caller": simple(node("d0", "GeneratorDataset", "x"), node("all", "ReduceDataset", "d0:handle:0")),
}
NOT_UNDERSTOOD = {
    "until a function says": _stepped(10**12, node("d1", "TakeWhileDataset", "d0:handle:0")),
    "with data": _stepped(10**12, node("d1", "WeightedFlatMapDataset", "d0:handle:0", "x")),
    "of constants": _stepped(10, node("d1", "WeightedFlatMapDataset", "d0:handle:0")),
    "of nothing": simple(node("d0", "GeneratorDataset"), node("all", "ReduceDataset", "d0:handle:0")),
    "the rest of it": _stepped(
        10**12, node("d1", "TakeWhileDataset", "d0:handle:0"), node("d2", "TakeDataset", "d1", "less"), less=-1
    ),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_datasets_that_are_long(name: str) -> None:
    """Whatever a dataset goes through, its elements are counted: those that are left out, or put together, as well."""
    assert {(f.rule, f.severity) for f in findings(FOLLOWED[name])} == {("endless-loop", Severity.DANGEROUS)}


@pytest.mark.parametrize("name", SHORT)
def test_datasets_that_end(name: str) -> None:
    """Those of which data decides, or few are taken, may be short."""
    assert not rules(SHORT[name])


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_datasets_that_are_not_understood(name: str) -> None:
    """What constants make in a way that nobody follows is not let through."""
    assert _unexamined(NOT_UNDERSTOOD[name])


def test_every_dataset_is_counted() -> None:
    """Of each kind of dataset it is known how many elements it has, or that this is not known."""
    kinds = {op for op, kind in op_table().classes.items() if kind == "dataset" and op.endswith("Dataset")}
    known = _datasets._PASSING | _datasets._SOURCES.keys() | _datasets._TOGETHER.keys() | _datasets.CONSUMERS.keys()
    assert {op for op in kinds if op not in known} == {
        "ChooseFastestBranchDataset", "GeneratorDataset", "IndexFlatMapDataset", "WeightedFlatMapDataset",
    }  # fmt: skip


@pytest.mark.parametrize(("steps", "is_found"), [({"SkipDataset": 10**10}, True), ({"SkipDataset": 5}, False)])
def test_first_elements_that_are_far(steps: dict[str, int], is_found: bool) -> None:
    """Whoever takes one element waits for all that are skipped before it."""
    made = dataset(10**12, **steps)
    bodies(made)["serve"][-1].CopyFrom(node("all", "MakeIterator", "d1:handle:0", "x"))
    assert _unexamined(made) is is_found


def test_datasets_of_empty_datasets() -> None:
    """One after another is asked for an element, and none has any."""
    empty = function("s", [], ["d:handle:0"], ints("a", 0, shape=()), ints("c", 1, shape=()))
    empty.node_def.append(node("d", "RangeDataset", "a:output:0", "a:output:0", "c:output:0"))
    for last in ("MakeIterator", "ReduceDataset"):
        assert _unexamined(_passing("FlatMapDataset", last=last, inner=empty))


RATE = {
    "no number": ("endless-loop", tensor(FLOAT, (), float_val=[float("nan")])),
    "computed": ("endless-loop", of("Sqrt", -1)),
    "a number": (None, tensor(FLOAT, (), float_val=[4.0])),
    "the caller's": (None, "x"),
    "absent": (None, "nowhere"),
}


@pytest.mark.parametrize("name", RATE)
@pytest.mark.parametrize("op", sorted(_searches.RATES))
def test_rates_that_are_no_numbers(op: str, name: str) -> None:
    """Numbers at a rate that is none are looked for without end."""
    rule, rate = RATE[name]
    assert rules(simple(*nodes_of(of(op, *["x"] * _searches.RATES[op], rate)))) == ({rule} if rule else set())


@pytest.mark.parametrize(
    ("dtype", "rate", "is_found"),
    [(INT64, 1e19, True), (INT32, 3e9, True), (INT64, 3e9, False), (FLOAT, 1e19, False), (FLOAT, 1e39, True)],
)
def test_rates_that_no_number_reaches(dtype: int, rate: float, is_found: bool) -> None:
    """Numbers that their dtype cannot hold are drawn again, and so are all at such a rate; of 64 bits by default."""
    number = tensor(DOUBLE, (), double_val=[rate])
    for op, place in _searches.RATES.items():
        found = rules(simple(*nodes_of(of(op, *["x"] * place, number, dtype=Type(dtype)))))
        assert found == ({"endless-loop"} if is_found and "Poisson" in op else set())
    assert bool(rules(simple(*nodes_of(of("RandomPoissonV2", "x", number))))) is (rate > 1e18)


SAMPLED: dict[str, tuple[bool, dict[str, Any]]] = {
    "all": (True, {}),
    "one too many": (False, {"num_sampled": 5}),
    "more than have a weight": (False, {"unigrams": [1.0, 0.0, 0.0, 0.0]}),
    "one that is rare": (False, {"unigrams": [1.0, 1.0, 1.0, 1e-12]}),
    "one that is rather rare": (True, {"unigrams": [1.0, 1.0, 1.0, 1e-6]}),
    "rare by distortion": (False, {"unigrams": [1.0, 1.0, 1.0, 0.1], "distortion": 12.0}),
    "too large by distortion": (False, {"unigrams": [1.0, 1.0, 1.0, 10.0], "distortion": 1e6}),
    "of infinite weight": (False, {"unigrams": [1.0, 1.0, 1.0, float("inf")]}),
    "no number": (False, {"unigrams": [1.0, 1.0, 1.0, float("nan")]}),
    "no root": (False, {"unigrams": [1.0, 1.0, 1.0, -1.0], "distortion": 0.5}),
    "a part": (False, {"num_shards": 2}),
    "all of a part": (True, {"num_shards": 2, "num_sampled": 2}),
    "the other part": (False, {"num_shards": 2, "shard": 1, "num_sampled": 2, "unigrams": [1.0, 0.0, 1.0, 0.0]}),
    "with reserved ones": (True, {"num_reserved_ids": 1}),
    "one of a kind again": (True, {"num_sampled": 5, "unique": False}),
    "of a file": (True, {"unigrams": []}),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_candidates_that_are_never_drawn(name: str) -> None:
    """Different candidates, as many as are asked for, are only found among as many that are drawn at times."""
    is_found, changed = SAMPLED[name]
    attributes = {"unique": True, "num_sampled": 4, "unigrams": [1.0] * 4, **changed}
    graph = simple(node("n", "FixedUnigramCandidateSampler", "x", **attributes))
    assert rules(graph) == (set() if is_found else {"endless-loop"})


@pytest.mark.parametrize(("tries", "found"), [(10**6, set()), (10**10, {"endless-loop"}), ("x", set())])
@pytest.mark.parametrize("op", _searches.RETRIES)
def test_tries_that_take_days(op: str, tries: Any, found: set[str]) -> None:
    """What tries so often is not waited for."""
    assert rules(simple(*nodes_of(of(op, *["x"] * _searches.RETRIES[op], tries)))) == found
    assert not rules(simple(node("n", op)))


@pytest.mark.parametrize(("turns", "is_found"), [(-1.5, False), (1e10, True), (-1e10, True), (None, False)])
def test_hues_that_are_turned_back_for_ever(turns: float | None, is_found: bool) -> None:  # noqa: FBT001
    """A step that a float does not notice leads nowhere."""
    operand = "x" if turns is None else tensor(FLOAT, (), float_val=[turns])
    assert rules(simple(*nodes_of(of("AdjustHue", "x", operand)))) == ({"endless-loop"} if is_found else set())
    assert not rules(simple(node("n", "AdjustHue")))


def test_samplers_that_say_nothing() -> None:
    """A node without attributes is TensorFlow's."""
    assert not rules(simple(node("n", "FixedUnigramCandidateSampler", "x")))


@pytest.mark.parametrize("op", sorted(TAKING))
def test_what_nothing_puts_there(op: str) -> None:
    """Who takes from an empty queue waits for ever, unless what is called fills it as well."""
    taking = node("take", op, "x")
    assert "endless-loop" in rules(simple(taking))
    for putting in TAKING[op]:
        assert "endless-loop" not in rules(simple(taking, node("put", putting, "x")))
        beside = simple(taking)
        beside.graph_def.node.append(node("put", putting, "x"))
        assert "endless-loop" in rules(beside)
    fed = simple()  # the caller gives what training took from the queue
    fed.graph_def.node[0].CopyFrom(node("x", "PlaceholderWithDefault", "take"))
    fed.graph_def.node.append(node("take", op, "queue"))
    assert "endless-loop" not in rules(fed)
    fed.signature_def["other"].outputs["y"].name = "y:0"
    assert "endless-loop" in rules(fed)  # a signature without that input computes it


def test_what_is_taken_for_a_part_of_a_tensor() -> None:
    """The parts of a sparse output are computed; of a node that takes several things, an input feeds one."""
    graph = simple()
    graph.graph_def.node.append(node("take", "QueueDequeueV2", "queue"))
    (signature,) = graph.signature_def.values()
    given, output = signature.inputs["x"], signature.outputs["y"]
    given.name = output.name = "take:0"
    assert "endless-loop" not in rules(graph)
    output.coo_sparse.values_tensor_name = "take:1"
    assert "endless-loop" in rules(graph)
    given.coo_sparse.values_tensor_name = "take:1"
    assert "endless-loop" not in rules(graph)


@pytest.mark.parametrize(("op", "key"), [(op, key) for op, keys in _waits.TIMEOUTS.items() for key in keys])
def test_waiting_for_other_calls(op: str, key: str) -> None:
    """What is put together with the inputs of other calls waits for them; a caller who is alone waits to the end."""
    assert "endless-loop" in rules(simple(node("n", op, "x", **{key: 10**15})))
    assert "endless-loop" not in rules(simple(node("n", op, "x", **{key: 10**6})))
    assert "endless-loop" not in rules(simple(node("n", op, "x")))
