"""Tests of the facts about TensorFlow Lite models."""

from __future__ import annotations

import artifacts
import pytest
from flatbuffers_by_hand import model, serialize, signature, table, tensor
from releases import IS_OLDER

from safeload.inspection import TensorInfo
from safeload.inspection.tflite_ops import BUILTIN_OPS, CUSTOM, NO_KERNEL


def inspect(description):
    return artifacts.inspect(serialize(description))


def test_model_without_signatures():
    """The first subgraph is the only signature, named after its tensors."""
    info = inspect(model())
    assert (info.keras, info.saved_model) == (None, None)
    (found,) = info.tflite.signatures
    assert found.key == "main"
    (x,) = found.inputs
    assert (x.name, x.dtype, x.shape, x.aliases) == ("x", "float32", (1, 2), ("serving_default_x:0",))
    assert found.outputs == (TensorInfo("y", "float32", (1, 2), tensor_name="y"),)
    assert info.tflite.ops == ("RELU",)


def test_signatures():
    """Declared signatures come sorted, with their own names."""
    info = inspect(model(f7=[signature("b"), signature("a")]))
    assert [str(s) for s in info.tflite.signatures] == [
        "a(a: float32 [1, 2]) -> (b: float32 [1, 2])",
        "b(a: float32 [1, 2]) -> (b: float32 [1, 2])",
    ]


def test_tensors_of_one_name():
    """Outputs that share a name, or have none, are told apart."""
    graph = {**model()[2][0], **table(f0=[tensor("y"), tensor("y"), tensor("")], f2=("i", [0, 1, 2]))}
    (found,) = inspect(model(f2=[graph])).tflite.signatures
    assert [info.name for info in found.outputs] == ["y", "y_1", "tensor_2"]


def test_custom_ops():
    """Ops that interpreters have of themselves are told from those that they lack, and from TensorFlow's."""
    names = ["TFLite_Detection_PostProcess", "Mine", "FlexReadFile"]
    codes = [table(f0=("b", 32), f1=name) for name in names] + [table(f0=("b", 127), f3=("i", 999))]
    graph = {**model()[2][0], **table(f3=[table(f0=("I", index)) for index in range(4)])}
    info = inspect(model(f1=codes, f2=[graph])).tflite
    assert info.ops == ("#999", "FlexReadFile", "Mine", "TFLite_Detection_PostProcess")
    assert info.missing_ops == (("Mine", None),)
    assert info.flex_ops == ("FlexReadFile",)


def test_ops_are_those_of_the_schema():
    """The table has every op of the schema that TensorFlow ships, in its order."""
    schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
    numbers = {name: value for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    theirs = [name for name, _ in sorted(numbers.items(), key=lambda item: item[1])]
    assert theirs == list(BUILTIN_OPS)[: len(theirs) if IS_OLDER else None]
    assert {CUSTOM} | NO_KERNEL <= set(BUILTIN_OPS)
