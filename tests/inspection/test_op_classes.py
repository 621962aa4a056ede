"""Tests of the op table."""

from __future__ import annotations

import subprocess
import sys

import pytest

from safeload.inspection.op_classes import op_class, op_package, op_table

_LIST_OPS = """
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session
ops = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
for op in ops.op:
    print(op.name, any("func" in attr.type for attr in op.attr), op.is_stateful)
"""


@pytest.fixture(scope="module")
def registered() -> dict[str, tuple[bool, bool]]:
    """Return every op of the installed TensorFlow: whether it calls functions, whether it is stateful."""
    output = subprocess.run([sys.executable, "-c", _LIST_OPS], check=True, capture_output=True, text=True).stdout
    lines = (line.split() for line in output.splitlines())
    return {name: (calls == "True", stateful == "True") for name, calls, stateful in lines}


def test_table_is_complete(registered: dict[str, tuple[bool, bool]]) -> None:
    """Every op that TensorFlow registers has a class, and no other has."""
    assert set(op_table().classes) == set(registered)


def test_callers_are_complete(registered: dict[str, tuple[bool, bool]]) -> None:
    """Every op that can call a function is known to."""
    assert op_table().callers == {name for name, (calls, _) in registered.items() if calls}


def test_pure_ops_are_stateless(registered: dict[str, tuple[bool, bool]]) -> None:
    """TensorFlow declares none of the pure ops stateful."""
    assert not [op for op, kind in op_table().classes.items() if kind == "pure" and registered[op][1]]


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
    """Ops of other packages are known by name or by prefix."""
    found = {op: op_package(op) for op in ("CaseFoldUTF8", "TFText>New", "IO>ReadX", "SomebodysOp")}
    assert {op: (p.package, p.is_pure) if p else None for op, p in found.items()} == {
        "CaseFoldUTF8": ("tensorflow-text", True),
        "TFText>New": ("tensorflow-text", True),
        "IO>ReadX": ("tensorflow-io", False),
        "SomebodysOp": None,
    }
