"""Tests of the rules about graphs, against hand-built models: `hostile.graphs`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlir_by_hand
import pytest
from hostile.graphs import HOSTILE, benign, exported, through_variable
from hostile.nodes import (
    INT32,
    Dims,
    Func,
    Ints,
    Type,
    bodies,
    call,
    findings,
    function,
    ints,
    meta_graph,
    model,
    node,
    refusing,
    rules,
    simple,
    tensor,
    text,
)

from safeload import policy
from safeload.formats import Format
from safeload.inspection import ModelInfo, ProducerInfo
from safeload.inspection.op_classes import op_table
from safeload.policy import CONTAINER_RULES, Severity, examine
from safeload.policy.graph import GRAPH_RULES, _ops, _stablehlo
from safeload.policy.graph._constants import _sizes
from safeload.policy.graph._verdicts import HARMLESS, op_verdict
from safeload.readers import Anomaly, DatasetInfo, KerasArtifact, WeightIndex

MODULES = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_graph_is_refused(name: str) -> None:
    """Each class of attack is found by its own rule, in any MetaGraph, and findings say in which one they are."""
    builder, rule = HOSTILE[name]
    assert rule in {finding.rule for finding in refusing(builder())}
    found = [f for f in refusing(benign(), builder()) if f.rule == rule]
    assert found
    assert all(f.where.startswith("meta_graphs[1]/") for f in found)


@pytest.mark.parametrize("rule", GRAPH_RULES + CONTAINER_RULES, ids=lambda rule: rule.__name__)
def test_no_rule_is_idle(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one rule some attack goes through."""
    for module, name in ((policy.graph, "GRAPH_RULES"), (policy, "CONTAINER_RULES")):
        monkeypatch.setattr(module, name, tuple(r for r in getattr(module, name) if r is not rule))
    link = {"anomalies": (Anomaly("link-out-of-model", "variables", "/etc"),)}
    empty = KerasArtifact(Format.WEIGHTS_HDF5, "m", None, weights=_index((0, 3)))
    stored = dataclasses.replace(model(benign())[0], variables=_VARIANT)
    found = [*(refusing(builder()) for builder, _ in HOSTILE.values()), refusing(benign(), **link)]
    assert not all([*found, _refusing(empty), _refusing(stored)])


_VARIANT = WeightIndex(datasets=(DatasetInfo("a", (), "variant", 0),))


def _index(*shapes: tuple[int, ...]) -> WeightIndex:
    return WeightIndex(datasets=tuple(DatasetInfo(f"a{i}", shape, "float32", 0) for i, shape in enumerate(shapes)))


def _refusing(artifact: Any) -> list[str]:
    info = ModelInfo(artifact.format, "m", "d1", 0, ProducerInfo())
    return [found.rule for found in examine(artifact, info) if found.severity >= Severity.UNEXAMINED]


@pytest.mark.parametrize(
    ("shapes", "expected"), [([(2, 3), (3, 0), (0, 1)], ["empty-matrix"]), ([(0,), (), (1, 1)], [])], ids=str
)
def test_empty_matrices(shapes: list[tuple[int, ...]], expected: list[str]) -> None:
    """A product with one may end the process; an empty list, such as a table without words, is harmless."""
    keras_file = KerasArtifact(Format.WEIGHTS_HDF5, "m", None, weights=_index(*shapes))
    assert _refusing(keras_file) == expected
    saved_model, _ = model(benign())
    assert _refusing(dataclasses.replace(saved_model, variables=_index(*shapes))) == expected


def test_stored_objects() -> None:
    """Objects of a process are no variables of a SavedModel; those of an iterator in a training checkpoint may stay."""
    assert _refusing(KerasArtifact(Format.CHECKPOINT, "m", None, weights=_VARIANT)) == []
    saved_model, _ = model(benign())
    assert _refusing(dataclasses.replace(saved_model, variables=_VARIANT)) == ["forged-handle"]


def test_benign_graph_has_no_refusal() -> None:
    """What ordinary models use is let through; a forgotten function that reads files is mentioned."""
    found = findings(benign())
    assert [(f.rule, f.severity, f.where) for f in found] == [
        ("file-read", Severity.WARNING, "function_library/forgotten/read")
    ]


HARMLESS_NODES = {
    "what tracing writes": node("n", "Relu", "x", _output_shapes=[Dims((1,))], _class=["loc:@x"], _XlaMustCompile=True),
    "print": node("n", "PrintV2", "x", output_stream="log(info)"),
    "typed constant": node("n", "Const", dtype=Type(INT32), value=tensor(INT32, (1,), int_val=[1])),
    "cache in memory": [node("n", "CacheDatasetV2", "x", "p:output:0"), text("p")],
    "debug without target": node("n", "DebugIdentityV2", "x"),
    "proto of the process": node("n", "DecodeProtoV2", "x", descriptor_source="bytes://\x0a"),
    "candidates without file": node("n", "FixedUnigramCandidateSampler", "x"),
    "parameter server": node("n", "NoOp", device="/job:ps/task:0"),
    "local device": node("n", "NoOp", device="/job:localhost/replica:0/task:0/device:GPU:0"),
    "anonymous variable": node("n", "VarHandleOp", shared_name="cd2c89b7-88b7-44c8-ad83-06c2a9158347"),
    "options without threads": node("n", "OptionsDataset", "x", serialized_options=b"\x08\x00\x12\x00\x2a\x00"),
    "options by default": node("n", "OptionsDataset", "x"),
    "rewritten dataset": node("n", "RewriteDataset", "x"),
    "table by reference": [
        node("h", "HashTable", shared_name="cd2c89b7-88b7-44c8-ad83-06c2a9158347"),
        node("w", "RefSwitch", "h:table_handle:0", "x"),
        node("m", "RefMerge", "w:output_false:0", "w:output_true:0"),
        node("f", "LookupTableFind", "m:output:0", "x", "x"),
        node("g", "NoOp", "^h"),
    ],
    "variable with a value": [
        node("v", "TemporaryVariable"),
        node("a", "Assign", "v:ref:0", "x"),
        node("s", "AssignAdd", "a:output_ref:0", "x"),
        node("i", "RefIdentity", "s:output_ref:0"),
        node("d", "DestroyTemporaryVariable", "i:output:0"),
    ],
    "memory with zeros": node("n", "Empty", "x", init=True),
    "change of a copy": [node("c", "DeepCopy", "x"), node("n", "InplaceUpdate", "c:y:0", "x", "x")],
    "sparse numbers": node("n", "DeserializeSparse", "x", dtype=Type(INT32)),
    "parsed numbers": node("n", "ParseTensor", "x", out_type=Type(INT32)),
    "assertion": node("n", "Assert", "x"),
    "image": node("n", "DecodeJpeg", "x"),
    "tokenizer": node("n", "CaseFoldUTF8", "x"),
    "small fill": [ints("d", 8, 8), node("n", "Fill", "d:output:0", "x")],
    "fill by input": node("n", "Fill", "x", "x"),
    "range by input": node("n", "Range", "x", "x", "x"),
    "window": node("n", "Conv2D", "x", "x", strides=Ints((1, 2, 2, 1)), explicit_paddings=Ints((0, 0))),
    "no value": node("n", "Const"),
}


@pytest.mark.parametrize("name", HARMLESS_NODES)
def test_harmless_node_is_let_through(name: str) -> None:
    """What resembles an attack and is none has no finding."""
    nodes = HARMLESS_NODES[name]
    assert not findings(simple(*(nodes if isinstance(nodes, list) else [nodes])))


def test_memory_in_the_main_graph() -> None:
    """What a signature fetches is read, too; what nothing reaches is a warning."""
    made = meta_graph([node("x", "Placeholder"), node("y", "TemporaryVariable")])
    assert [(f.rule, f.severity) for f in findings(made)] == [("uninitialised-memory", Severity.DANGEROUS)]
    left = meta_graph([node("x", "Placeholder"), node("y", "Relu", "x"), node("n", "InplaceAdd", "x", "x", "x")])
    assert [(f.rule, f.severity) for f in findings(left)] == [("in-place", Severity.WARNING)]


def test_asset_through_variable_is_let_through() -> None:
    """The way from an asset to its table may lead through a variable that nothing else touches."""
    assert not refusing(through_variable())


@pytest.mark.parametrize(
    "nodes",
    [[node("w", "AssignVariableOp", "path")], [text("asset2", "/x"), node("w", "AssignVariableOp", "path", "asset2")]],
)
def test_variable_with_other_values_is_no_asset(nodes: list[Any]) -> None:
    """Whatever else is assigned to the variable is a file that the table may be filled from."""
    made = through_variable(*nodes)
    assert any(f.rule == "file-read" for f in refusing(made)) is (len(nodes) == 2)


def test_variable_found_by_two_names_is_no_asset() -> None:
    """Two nodes that find one variable may assign different paths."""
    nodes = [
        node("path2", "VarHandleOp"),
        text("other", "/etc/passwd"),
        node("w", "AssignVariableOp", "path2", "other"),
    ]
    assert any(f.rule == "file-read" for f in refusing(through_variable(*nodes)))


@pytest.mark.parametrize("name", ["", "/etc/passwd", "a/../../b", "a\\..\\b", "C:a", "gs://bucket/a", "a\0b"])
def test_assets_outside(name: str) -> None:
    """An asset whose name leads out of the model, on any system, refuses it."""
    made = benign()
    made.asset_file_def[0].filename = name
    assert {f.rule for f in refusing(made)} == {"asset-path"}


def test_node_without_an_op() -> None:
    """The main graph, whose name is empty, is no function that an op may name."""
    assert rules(simple(node("n", "", "x"))) == {"unknown-op"}


@pytest.mark.parametrize("op", ["ReadFile", "PyFunc"])
def test_unreached_read_is_a_warning(op: str) -> None:
    """What a training pipeline left behind is mentioned and does not refuse the model."""
    made = meta_graph([node("x", op, "file"), node("y", "Relu", "x:0")])
    assert [f.severity for f in findings(made)] == [Severity.WARNING]


def test_evidence_names_the_file() -> None:
    """The finding says which file would be read."""
    (finding,) = findings(simple(node("n", "ReadFile", "p:output:0"), text("p", "/etc/passwd")))
    assert finding.evidence == "ReadFile(constant '/etc/passwd')"
    assert finding.where == "function_library/serve/n"


def test_modules_of_jax() -> None:
    """What calls nothing passes with a warning: nobody bounds its loops and sizes."""
    made = node("n", "XlaCallModule", "x", module=b"ML\xefRStableHLO_v1.9.0\0add_v1")
    (found,) = findings(simple(made))
    assert (found.rule, found.severity, found.where) == (
        "stablehlo-module",
        Severity.WARNING,
        "function_library/serve/n",
    )
    assert not found.identifier


@pytest.mark.parametrize(
    ("module", "is_refused"),
    [
        ((MODULES / "jax-0.8.3-inert.mlirbc").read_bytes(), False),
        ((MODULES / "jax-0.8.3-lapack.mlirbc").read_bytes(), True),
        (mlir_by_hand.module(mlir_by_hand.call(0)), False),
        (mlir_by_hand.module(mlir_by_hand.call(0), mlir_by_hand.call(1)), True),
        (mlir_by_hand.module(mlir_by_hand.operation(mlir_by_hand.CALL)), True),
        (mlir_by_hand.module(mlir_by_hand.call(0), properties=(mlir_by_hand.numbers(2),)), True),
        (mlir_by_hand.module(mlir_by_hand.operation(mlir_by_hand.ADD)), False),
        (mlir_by_hand.module(mlir_by_hand.call(0), version=1), True),
        (b"ML\xefRMLIR22\0stablehlo\0send\0", True),
        (b"ML\xefRMLIR22\0mhlo\0recv\0", True),
    ],
    ids=[
        "of-jax",
        "lapack",
        "assertion",
        "native",
        "nameless",
        "no-string",
        "a-name-that-is-unused",
        "another-version",
        "send-of-stablehlo",
        "recv-of-mhlo",
    ],
)
def test_custom_calls_of_modules(module: bytes, is_refused: bool) -> None:
    """Those that XLA replaces pass, whatever else the module names; those that it looks up are native code."""
    found = findings(simple(node("n", "XlaCallModule", "x", module=module)))
    assert ("native-code" in {f.rule for f in found}) is is_refused


def test_modules_are_looked_at_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what is looked at of the modules of a graph, broken ones included, those with custom calls are refused."""
    module = mlir_by_hand.module(mlir_by_hand.call(0))
    other = mlir_by_hand.module(mlir_by_hand.operation(mlir_by_hand.ADD)).replace(b"custom_call_v1", b"multiply_v1111")
    modules = [module, module + b"\0", module, other]
    made = [node(f"n{i}", "XlaCallModule", "x", module=m) for i, m in enumerate(modules)]
    for most, refused in [(4 * len(module), "1"), (len(module), "12")]:
        monkeypatch.setattr(_stablehlo, "_MOST_BYTES", most)
        found = [f.where for f in findings(simple(*made)) if f.rule == "native-code"]
        assert found == [f"function_library/serve/n{i}" for i in refused], most


def test_op_of_unknown_package_is_refused_once_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that nobody registers cannot run; when a library of this process has it, it is not understood."""
    made = simple(node("n", "SomebodysOp", "x", a=1))
    name = "tensorflow.python.framework.op_def_registry"
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(get=lambda op: None))
    assert [f.severity for f in findings(made)] == [Severity.WARNING]
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(get=lambda op: object()))
    assert [f.severity for f in findings(made)] == [Severity.UNEXAMINED]


def test_container_anomalies_are_judged() -> None:
    """Links out of the model refuse it, links to nothing do not, and what is not known is not examined."""
    kinds = ("link-out-of-model", "broken-link", "something-new")
    found = findings(benign(), anomalies=tuple(Anomaly(kind, kind) for kind in kinds))
    by_rule = {f.rule: f.severity for f in found}
    assert [by_rule[kind] for kind in kinds] == [Severity.DANGEROUS, Severity.WARNING, Severity.UNEXAMINED]


def test_every_class_has_a_verdict() -> None:
    """Every stock op is either of a harmless class or refused with a reason."""
    for op, kind in op_table().classes.items():
        assert (op_verdict(op) is None) is (kind in HARMLESS)


def test_tables_name_ops_of_tensorflow() -> None:
    """The operand tables name stock ops only."""
    named = {*_ops._FILE_OPERANDS, *_sizes._OPERANDS, *_sizes._KEEPS, *_ops._SHARED_VARIABLES}
    assert named <= set(op_table().classes)


def _read_of(*nodes: Any, functions: Any = ()) -> policy.Finding:
    (finding,) = (f for f in findings(simple(*nodes, functions=functions)) if f.rule == "file-read")
    return finding


TRACES = {
    "if": [node("p", "If", "x", "c:output:0", then_branch=Func("same"), else_branch=Func("same"))],
    "call": [call("p", "same", "c:output:0")],
    "function as op": [node("q", "same", "c:output:0"), node("p", "Identity", "q:o0:0")],
    "identity": [node("p", "Identity", "c:output:0")],
    "pack": [node("p", "Pack", "c:output:0", "c:output:0")],
}


@pytest.mark.parametrize("name", TRACES)
def test_path_is_traced(name: str) -> None:
    """A path is found through calls, branches and what leaves it as it is."""
    same = function("same", ["f"], ["f"])
    finding = _read_of(text("c", "/etc/passwd"), *TRACES[name], node("n", "ReadFile", "p:output:0"), functions=[same])
    assert finding.evidence == "ReadFile(constant '/etc/passwd')"


UNKNOWN = {
    "computed": [node("p", "StringJoin", "x", "x")],
    "loop": [node("p", "While", "x", cond=Func("same"), body=Func("same"))],
    "no such output": [call("p", "nothing", "x")],
    "missing": [],
    "variable in function": [node("p", "ReadVariableOp", "x")],
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_path_is_refused(name: str) -> None:
    """What is not understood is no asset."""
    functions = [function("same", ["f"], ["f"]), function("nothing", ["f"], [])]
    finding = _read_of(*UNKNOWN[name], node("n", "ReadFile", "p:output:0"), functions=functions)
    assert "unknown" in finding.evidence


def test_argument_of_an_entry_is_unknown() -> None:
    """Who calls the function passes the path."""
    (finding,) = findings(exported(node("n", "ReadFile", "x")))
    assert "argument x of f" in finding.evidence


def test_captured_constant_is_traced() -> None:
    """A captured constant is a node of the main graph, a captured variable is unknown."""
    made = meta_graph(
        [text("c", "/etc/passwd")],
        [function("f", ["a", "b"], [], node("n", "ReadFile", "a"), node("m", "ReadFile", "b"))],
    )
    objects = made.object_graph_def
    objects.concrete_functions["f"].bound_inputs.extend([0, 1])
    objects.nodes.add().constant.operation = "c"
    objects.nodes.add().variable.name = "v"
    assert [f.evidence for f in findings(made)] == [
        "ReadFile(unknown 'captured value')",
        "ReadFile(constant '/etc/passwd')",
    ]


@pytest.mark.parametrize("reference", ["p", "p:output:0", "p:1"])
def test_result_that_a_function_has_not(reference: str) -> None:
    """What a call by a function's name does not return is unknown, as a path and as a size."""
    same = function("same", ["f"], ["f"])
    called = [text("c", "/etc/passwd"), node("p", "same", "c:output:0")]
    assert "unknown" in _read_of(*called, node("n", "ReadFile", reference), functions=[same]).evidence
    sized = [ints("c", 1 << 40), node("p", "same", "c:output:0"), node("n", "Fill", reference, "x")]
    assert not findings(simple(*sized, functions=[same]))


def test_path_through_loop_argument_is_unknown() -> None:
    """A loop may change what it passes on."""
    body = function("body", ["f", "g"], ["f", "g"], node("n", "ReadFile", "f"))
    loop = node("p", "While", "c:output:0", "c:output:0", cond=Func("body"), body=Func("body"))
    finding = _read_of(text("c", "/x"), loop, functions=[body])
    assert "unknown" in finding.evidence


def test_read_without_operand_is_refused() -> None:
    """A node that lacks its operand reads what nobody knows."""
    assert "no such input" in _read_of(node("n", "ReadFile")).evidence


def test_long_trace_is_given_up() -> None:
    """A chain of very many nodes is not followed to its end."""
    chain = [node(f"p{i}", "Identity", f"p{i + 1}:output:0") for i in range(10_100)]
    assert "too many places" in _read_of(*chain, node("n", "ReadFile", "p0:output:0")).evidence


def _saved_again(**table: Any) -> Any:
    """Make a MetaGraph whose creator calls the creator of an earlier save, which makes *table*."""
    made = benign()
    library = made.graph_def.library.function
    creator = next(f for f in library if f.signature.name == "creator")
    creator.node_def[0].CopyFrom(call("t", "old_creator"))
    library.append(function("old_creator", [], ["t:table_handle:0"], node("t", "HashTableV2", **table)))
    return made


def test_creators_of_creators() -> None:
    """A model that was loaded and saved again has tables two functions deep; each load makes their names its own."""
    assert not refusing(_saved_again(shared_name="table_1_load_7"))


def test_tables_that_serving_finds() -> None:
    """A signature may use a table of a creator of its own model, and no other object by name."""
    made = _saved_again(shared_name="table_1_load_7")
    bodies(made)["call"].append(call("find", "old_creator"))
    assert not refusing(made)
    bodies(made)["old_creator"][0].op = "FIFOQueueV2"
    assert {f.rule for f in refusing(made)} == {"shared-resource"}
    elsewhere = simple(node("n", "HashTableV2", shared_name="victim"))
    assert {f.rule for f in refusing(elsewhere)} == {"shared-resource"}


def test_places_of_a_batch() -> None:
    """What is taken apart by the places that a batch gave is harmless, in functions and in the main graph."""
    batch = node("b", "Batch", "x", "x", "^x")
    assert not refusing(simple(batch, node("n", "Unbatch", "b:batched_tensors:0", "b:batch_index:0", "b:id:0")))
    assert not refusing(meta_graph([node("x", "Placeholder"), batch, node("y", "Unbatch", "b", "b:2", "b:3")]))


@pytest.mark.parametrize(("count", "rules"), [(-1, {"allocation"}), (0, set())])
def test_fewer_tensors_than_none(count, rules):
    """TensorFlow ends the process over a negative number of tensors, which its optimizer trusts."""
    made = simple(node("n", "StringJoin", N=count))
    assert {finding.rule for finding in examine(*model(made))} == rules
