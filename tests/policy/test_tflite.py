"""Tests of the rules about TensorFlow Lite models."""

from __future__ import annotations

import pytest
from artifacts import read
from flatbuffers_by_hand import model, serialize, table, tensor

from safeload.inspection import inspect_artifact
from safeload.policy import Severity, examine

STANDING = ("tflite-kernels", Severity.WARNING)
"""What is said of every model."""


def findings(description):
    artifact = read(serialize(description))
    found = [(f.rule, f.severity) for f in examine(artifact, inspect_artifact(artifact))]
    found.remove(STANDING)
    return found


def test_harmless():
    """An ordinary model has no findings but the standing one."""
    assert findings(model()) == []


@pytest.mark.parametrize("code", [51, 127, 999], ids=["DELEGATE", "PLACEHOLDER", "unknown"])
def test_ops_that_do_not_belong_in_a_file(code):
    """An op that no table explains refuses the model."""
    assert ("unknown-op", Severity.UNEXAMINED) in findings(model(f1=[table(f0=("b", min(code, 127)), f3=("i", code))]))


def test_custom_ops():
    """A custom op that cannot run is only worth a warning."""
    assert findings(model(f1=[table(f0=("b", 32), f1="Mine")])) == [("unknown-op", Severity.WARNING)]


@pytest.mark.parametrize("dtype", [0, 5, 100], ids=["float32", "string", "unknown type"])
def test_memory(dtype):
    """A tensor that takes gigabytes whatever the input refuses the model."""
    huge = tensor(shape=[1 << 20, 1 << 20], f1=("b", dtype))
    graph = {**model()[2][0], **table(f0=[huge, tensor()])}
    assert findings(model(f2=[graph])) == [("allocation", Severity.DANGEROUS)]
