"""Ops that are registered between judging and loading are refused as if they had been there."""

from __future__ import annotations

import pytest
from hostile.nodes import model, node, simple

from safeload import load_callable
from safeload.errors import UnsafeModelError
from safeload.policy import examine, judge
from safeload.policy.graph import _verdicts
from safeload.runtime._ops import refuse_new_ops


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch):
    """Graphs are judged as if neither TensorFlow nor the table had any op."""
    monkeypatch.setattr(_verdicts, "is_registered", lambda _: False)
    monkeypatch.setattr(_verdicts, "op_class", lambda _: None)


def judged(op, trusted=()):
    """Judge a graph with the op *op*."""
    artifact, info = model(simple(node("n", op, "x")))
    findings = examine(artifact, info)
    return judge(artifact, info, findings, [f.identifier for f in findings if f.evidence in trusted])


def test_an_op_that_appeared_is_refused():
    """An op that TensorFlow has after all was never examined."""
    with pytest.raises(UnsafeModelError, match="WriteFile is an op that safeload does not know"):
        refuse_new_ops(judged("WriteFile", trusted=["StatefulPartitionedCall"]))


def test_a_load_looks_again(saved):
    """What TensorFlow turns out to have when it is imported is refused by the load itself."""
    with pytest.raises(UnsafeModelError, match="is an op that safeload does not know"):
        load_callable(saved("signatures"))


def test_an_op_that_is_absent_passes():
    """An op that nobody registers cannot run; which package has it is another error's business."""
    refuse_new_ops(judged("NobodyRegistersThis", trusted=["StatefulPartitionedCall", "Placeholder"]))


def test_a_trusted_op_passes():
    """What the caller permitted by name is not refused later."""
    refuse_new_ops(judged("WriteFile", trusted=["WriteFile", "StatefulPartitionedCall", "Placeholder"]))
