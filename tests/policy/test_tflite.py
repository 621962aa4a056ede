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


@pytest.mark.parametrize(
    ("shape", "said"), [([1 << 15, 1 << 15], [1, 2]), ([1, 2], [1 << 15, 1 << 15]), ([-1, 1 << 30], [])]
)
def test_memory_by_either_shape(shape, said):
    """The interpreter makes room for the one shape, and readers go by the other."""
    hidden = tensor(shape=shape, f7=("i", said))
    graph = {**model()[2][0], **table(f0=[tensor(), tensor(), hidden])}
    assert findings(model(f2=[graph])) == [("allocation", Severity.DANGEROUS)]


GIGABYTE = [1 << 14, 1 << 14]
VARIABLE = tensor(shape=GIGABYTE, f5=("?", True))


def steps(*operators, inputs=(0,), outputs=(1,), tensors=6):
    """Describe a subgraph of ops (taken, made) on tensors of a gigabyte."""
    ops = [table(f0=("I", 0), f1=("i", taken), f2=("i", made)) for taken, made in operators]
    large = [tensor(shape=GIGABYTE) for _ in range(tensors)]
    return table(f0=large, f1=("i", inputs), f2=("i", outputs), f3=ops)


@pytest.mark.parametrize(
    ("graphs", "is_too_much"),
    [
        ([steps(([0], [2]), ([2], [3]), ([3], [4]), ([4], [5]), ([5], [1]))], False),
        ([steps(([0], [2, 3]), ([2], []), ([3], [4]), ([4], [1]))], False),
        ([steps(([0], [2]), ([0], [3]), ([0], [4]), ([0, 2, 3, 4, -1], [1]))], True),
        ([steps(inputs=[0, 1, 2, 3])], False),
        ([steps(inputs=[0, 1, 2, 3, 4])], True),
        ([steps(([0], [1, 2, 3, 4]))], True),
        ([steps(([0], [1, 2]), ([1, 2], [3, 4]), outputs=[1, 2])], True),
        ([steps(([0], [1])), steps(([0], [1]))], False),
        ([steps(([0], [1])), steps(([0], [1, 2]))], True),
        ([{**model()[2][0], **table(f0=[tensor(), tensor(), *[VARIABLE] * 3])}], False),
        ([{**model()[2][0], **table(f0=[tensor(), tensor(), *[VARIABLE] * 4])}], True),
        ([{**model()[2][0], **table(f0=[tensor(), *[VARIABLE] * 3])}], False),
    ],
)
def test_memory_of_all_at_once(graphs, is_too_much):
    """What exists at one time is counted: variables, inputs and outputs always, others until they were used."""
    assert findings(model(f2=graphs)) == [("allocation", Severity.DANGEROUS)] * is_too_much
