"""Tests of the op table."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from releases import IS_OLDER, of_the_tables

from safeload.inspection.graph.bodies import NEVER_CALL
from safeload.inspection.op_classes import op_class, op_package, op_table
from safeload.policy.graph import _handles
from safeload.policy.graph._costs._findings import _LENGTHS
from safeload.policy.graph._ops import _EXCEPTIONS
from safeload.policy.graph._verdicts import HARMLESS, op_verdict

_LIST_OPS = """
import re
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session
ops = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
lengths = {
    "beam_width", "desired_samples", "filterbank_channel_count", "initial_num_buckets", "max_attempts", "max_iter",
    "num_bins", "num_inner_iterations", "num_negative_samples", "num_sampled", "parallel_iterations", "precision",
    "range_max", "rounds", "width",
}
named = re.compile("file|pattern|path|director|address|url|shared_name|driver|database")
for op in ops.op:
    texts = [arg.name for arg in op.input_arg if arg.type == 7] + [a.name for a in op.attr if "string" in a.type]
    functions = "/".join(attr.name for attr in op.attr if "func" in attr.type)
    counts = "/".join({arg.number_attr for arg in (*op.input_arg, *op.output_arg)} - {""})
    has_length = bool(counts) or any(attr.name in lengths and attr.type == "int" for attr in op.attr)
    given = {arg.type_attr or arg.type_list_attr for arg in op.input_arg}
    free = {arg.type_attr or arg.type_list_attr for arg in op.output_arg} - given - {""}
    is_free = any(attr.name in free and not attr.allowed_values.list.type for attr in op.attr)
    references = sum(arg.is_ref and arg.type == 7 for arg in op.input_arg)
    refers = any(arg.is_ref and arg.type == 7 for arg in op.output_arg)
    is_made_of_texts = is_free and not references and any(
        arg.type == 7 or 7 in attr.allowed_values.list.type
        for arg in op.input_arg for attr in op.attr if not arg.type_attr or arg.type_attr == attr.name
    )
    passes = any(arg.is_ref for arg in op.output_arg) and op.name.partition("Ref")[0] in ("", "DebugGradient")
    print(op.name, f"/{functions}", f"/{counts}", references, op.is_stateful, has_length,
          any(map(named.search, texts)), refers, is_made_of_texts, passes)
"""


class Registered(NamedTuple):
    """An op of the installed TensorFlow.

    Attributes:
        functions: Attributes that are functions, which it calls.
        counts: Attributes that are the number of tensors that it takes or makes.
        references: How many of its inputs are references to texts.
        is_stateful: TensorFlow never leaves it out, nor merges it with another one.
        has_length: It has an attribute for a length.
        is_told_a_name: A text that it takes is called as files, addresses and objects of the process are.
        refers: It makes a reference to texts.
        is_made_of_texts: It takes texts, and makes tensors of any dtype that an attribute says.
        passes: It passes references on.
    """

    functions: list[str]
    counts: list[str]
    references: int
    is_stateful: bool
    has_length: bool
    is_told_a_name: bool
    refers: bool
    is_made_of_texts: bool
    passes: bool


@pytest.fixture(scope="module")
def registered() -> dict[str, Registered]:
    """Return every op of the installed TensorFlow."""
    output = subprocess.run([sys.executable, "-c", _LIST_OPS], check=True, capture_output=True, text=True).stdout
    lines = (line.split() for line in output.splitlines())
    return {
        name: Registered(_listed(functions), _listed(counts), int(references), *(flag == "True" for flag in flags))
        for name, functions, counts, references, *flags in lines
    }


def _listed(names: str) -> list[str]:
    return [name for name in names.split("/") if name]


def _known(registered: dict[str, Registered]) -> Iterable[tuple[str, Registered]]:
    """Yield the ops that have a class: what has none is refused."""
    return ((name, op) for name, op in registered.items() if op_class(name))


@of_the_tables
def test_table_is_complete(registered: dict[str, Registered]) -> None:
    """Every op that TensorFlow registers has a class, and no other has; older releases have some that are gone."""
    assert set(op_table().classes) == set(registered)


def test_callers_are_complete(registered: dict[str, Registered]) -> None:
    """Every op that can call a function is known to."""
    assert op_table().callers & set(registered) == {name for name, op in _known(registered) if op.functions}


def test_attributes_that_never_call(registered: dict[str, Registered]) -> None:
    """What is not looked at for functions is a function of no op."""
    assert NEVER_CALL.isdisjoint({name for op in registered.values() for name in op.functions})


def test_lists_are_complete(registered: dict[str, Registered]) -> None:
    """Every op with an attribute that may declare a long list is known to have it; one has it since 2.17."""
    declared = {name for name, op in _known(registered) if op.has_length}
    assert declared ^ (op_table().lists & set(registered)) <= ({"CustomAggregator"} if IS_OLDER else set())


def test_counts_are_complete(registered: dict[str, Registered]) -> None:
    """Every attribute that says how many tensors an op of models has is bounded."""
    usual = [op.counts for name, op in _known(registered) if op_verdict(name) is None or op_class(name) in _EXCEPTIONS]
    assert {name for counts in usual for name in counts} <= _LENGTHS.keys()


def test_pure_ops_are_stateless(registered: dict[str, Registered]) -> None:
    """TensorFlow declares none of the pure ops stateful, but before 2.17 one that counts for a calibration."""
    stateful = {name for name, op in registered.items() if op.is_stateful and op_class(name) == "pure"}
    assert stateful <= ({"CustomAggregator"} if IS_OLDER else set())


def test_harmless_ops_are_told_no_names(registered: dict[str, Registered]) -> None:
    """Whatever takes the name of a file, an address or a shared object may reach it; patterns of texts are no names.

    Batches inside of a graph are named as well: every model that has them names them by a scope of its functions.
    """
    found = {name for name, op in _known(registered) if op.is_told_a_name and op_class(name) in HARMLESS}
    patterns = {"RegexFullMatch", "RegexReplace", "StaticRegexFullMatch", "StaticRegexReplace"}
    assert found == patterns | {"Batch", "BatchFunction", "Unbatch", "UnbatchGrad"}


def test_references_are_complete(registered: dict[str, Registered]) -> None:
    """Every op that makes, takes or passes on a handle as a reference to texts is known to."""
    known = {name: op for name, op in _known(registered) if op_class(name) != "test-only"}
    assert {name: op.references for name, op in known.items() if op.references} == _handles._TAKING
    assert {name for name, op in known.items() if op.refers} == _handles._MAKING
    assert {name for name, op in known.items() if op.passes} == _handles._PASSING.keys()


def test_objects_are_made_of_bytes(registered: dict[str, Registered]) -> None:
    """Every op that may make objects of texts is known to.

    Fields of a message have no such type. A tensor array of TensorFlow 1 is found by its text among those of the call.
    """
    ops = {name for name, op in _known(registered) if op.is_made_of_texts and not op.functions}
    usual = {name for name in ops if op_verdict(name) is None or op_class(name) in _EXCEPTIONS}
    arrays = {"TensorArrayConcatV2", "TensorArrayGatherV2", "TensorArrayReadV2"}
    assert usual == _handles._MADE_OF_BYTES.keys() | arrays | {"DecodeProtoV2"}


def test_classes_of_known_ops() -> None:
    """A few ops of each kind stand where they belong, so that a slip in the table's text shows."""
    expected = {
        "MatMul": "pure",
        "ReadFile": "file-read",
        "SaveV2": "checkpoint-write",
        "PyFunc": "python",
        "If": "control-flow",
    }
    assert {op: op_class(op) for op in expected} == expected
    assert op_class("SomebodysOp") is None


def test_packages() -> None:
    """Ops of other packages are known by name or by prefix, the name first."""
    ops = ("CaseFoldUTF8", "TFText>Utf8Binarize", "TFText>New", "IO>ReadX", "GatherTree", "SomebodysOp")
    found = {op: op_package(op) for op in ops}
    assert {op: (p.package, p.is_pure) if p else None for op, p in found.items()} == {
        "CaseFoldUTF8": ("tensorflow-text", True),
        "TFText>Utf8Binarize": ("tensorflow-text", True),
        "TFText>New": ("tensorflow-text", False),
        "IO>ReadX": ("tensorflow-io", False),
        "GatherTree": ("tf.contrib", False),
        "SomebodysOp": None,
    }
