"""Ops that are registered between judging and loading are refused as if they had been there."""

from __future__ import annotations

import pytest
from hostile.nodes import model, node, simple

from safeload.errors import UnsafeModelError
from safeload.policy import examine, judge
from safeload.policy.graph import _verdicts
from safeload.runtime._ops import refuse_new_ops


@pytest.fixture
def judged(monkeypatch):
    """Return a function that judges a graph with the op *op* as if neither TensorFlow nor the table had it."""
    monkeypatch.setattr(_verdicts, "_is_registered", lambda _: False)
    monkeypatch.setattr(_verdicts, "op_class", lambda _: None)

    def make(op, trusted=()):
        artifact, info = model(simple(node("n", op, "x")))
        findings = examine(artifact, info)
        return judge(artifact, info, findings, [f.identifier for f in findings if f.evidence in trusted])

    return make


def test_an_op_that_appeared_is_refused(judged):
    """An op that TensorFlow has after all was never examined."""
    with pytest.raises(UnsafeModelError, match="WriteFile is an op that safeload does not know"):
        refuse_new_ops(judged("WriteFile", trusted=["StatefulPartitionedCall"]))


def test_an_op_that_is_absent_passes(judged):
    """An op that nobody registers cannot run; which package has it is another error's business."""
    refuse_new_ops(judged("NobodyRegistersThis", trusted=["StatefulPartitionedCall", "Placeholder"]))


def test_a_trusted_op_passes(judged):
    """What the caller permitted by name is not refused later."""
    refuse_new_ops(judged("WriteFile", trusted=["WriteFile", "StatefulPartitionedCall", "Placeholder"]))
