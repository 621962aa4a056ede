"""Tests of the reader of TensorFlow Lite models."""

from __future__ import annotations

import artifacts
import pytest
from flatbuffers_by_hand import model, serialize, signature, table, tensor
from releases import IS_OLDER

from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format
from safeload.readers.tflite.model import TENSOR_TYPES, TFLiteOp, TFLiteSignature, TFLiteTensor


def read(description, **limits):
    return artifacts.read(serialize(description), **limits)


def subgraph(**changes):
    return {**model()[2][0], **table(**changes)}


def test_everything_that_is_read():
    """The artifact owns the bytes and says what they declare."""
    artifact = read(model(f7=[signature()]))
    found = artifact.model
    assert artifact.format is Format.TFLITE
    assert artifact.content == serialize(model(f7=[signature()]))
    assert (artifact.size, len(artifact.digest)) == (len(artifact.content), 64)
    assert (found.version, found.description) == (3, "by hand")
    (main,) = found.subgraphs
    assert (main.name, main.inputs, main.outputs) == ("main", (0,), (1,))
    assert main.tensors[0] == TFLiteTensor("serving_default_x:0", "float32", (1, 2), room=(1, 2))
    assert main.steps == (((0,), (1,)),)
    assert main.ops == (TFLiteOp(19),)
    assert found.signatures == (TFLiteSignature("serving_default", 0, (("a", 0),), (("b", 1),)),)


@pytest.mark.parametrize(
    ("description", "shape", "dtype"),
    [
        (tensor(shape=[3, 2], f7=("i", [-1, 2])), (None, 2), "float32"),
        (tensor(shape=[1, 2], f7=("i", [-1, 2])), (None, 2), "float32"),
        (tensor(shape=[]), None, "float32"),
        (tensor(shape=[], f8=("?", True)), (), "float32"),
        (tensor(f5=("?", True)), (1, 2), "float32"),
        (tensor(f1=("b", 5)), (1, 2), "string"),
        (tensor(f1=("b", 100)), (1, 2), None),
        (tensor(f1=("b", -1)), (1, 2), None),
    ],
)
def test_tensors(description, shape, dtype):
    """Dimensions that may change, ranks that are not recorded, and types."""
    graph = subgraph(f0=[description, description])
    found = read(model(f2=[graph])).model.subgraphs[0].tensors[0]
    assert (found.name, found.shape, found.dtype) == ("x", shape, dtype)
    assert found.room == tuple(description[0][1])
    assert found.is_variable is (5 in description)


def test_ops():
    """Ops above 127 have a wider number; custom ones a name."""
    codes = [table(f0=("b", 127), f3=("i", 150), f2=("i", 2)), table(f0=("b", 32), f1="Mine", f3=("i", 32))]
    operators = [table(f0=("I", 1)), table(f0=("I", 0))]
    found = read(model(f1=codes, f2=[subgraph(f3=operators)]))
    assert found.model.subgraphs[0].ops == (TFLiteOp(32, "Mine"), TFLiteOp(150, "", 2))


def named(inputs, outputs, key="k"):
    """Describe a signature of (name, number of the tensor)."""
    return table(
        **{f"f{side}": [table(f0=n, f1=("I", p)) for n, p in (inputs, outputs)[side]] for side in (0, 1)}, f2=key
    )


# What the quantizer of TensorFlow 2.5 writes with inference_input_type=tf.uint8: x -> QUANTIZE -> x_int8 -> … -> y_int8
# -> QUANTIZE -> y, and the signature names the tensors inside.
QUANTIZED = subgraph(
    f0=[
        tensor("x_int8", f1=("b", 9)),
        tensor("y_int8", f1=("b", 9)),
        tensor("x", f1=("b", 3)),
        tensor("y", f1=("b", 3)),
    ],
    f1=("i", [2]),
    f2=("i", [3]),
    f3=[table(f0=("I", 0), f1=("i", [a]), f2=("i", [b])) for a, b in ((2, 0), (0, 1), (1, 3))],
)
INSIDE = named([("a", 0)], [("b", 1)])

OPERATOR = table(f0=("I", 0), f1=("i", [0]), f2=("i", [1]))

BROKEN = {
    "no subgraph": model(f2=[]),
    "output that is not there": model(f2=[subgraph(f2=("i", [2]))]),
    "input below zero": model(f2=[subgraph(f1=("i", [-1]))]),
    "operator with a tensor that is not there": model(f2=[subgraph(f3=[table(f0=("I", 0), f1=("i", [9]))])]),
    "tensor that is computed twice": model(f2=[subgraph(f3=[OPERATOR, OPERATOR])]),
    "input that is computed": model(f2=[subgraph(f3=[table(f0=("I", 0), f2=("i", [0]))])]),
    "tensor that is computed from itself": model(f2=[subgraph(f3=[table(f1=("i", [1]), f2=("i", [1]))])]),
    "operator without a code": model(f2=[subgraph(f3=[table(f0=("I", 1))])]),
    "tensor with a buffer that is not there": model(f2=[subgraph(f0=[tensor(f2=("I", 1)), tensor()])]),
    "buffer behind the file": model(f4=[table(f1=("Q", 1 << 40), f2=("Q", 9))]),
    "tensor of many dimensions behind those that are said": model(
        f2=[subgraph(f0=[tensor(shape=[1] * 255, f7=("i", [1, 2])), tensor()])]
    ),
    "tensor of many dimensions": model(f2=[subgraph(f0=[tensor(shape=[2**31 - 1] * 255), tensor()])]),
    "signature of a subgraph that is not there": model(f7=[signature(subgraph=1)]),
    "signature of a tensor that is not there": model(f7=[table(f0=[table(f0="a", f1=("I", 5))], f2="k")]),
    "two signatures of one key": model(f7=[signature(), signature()]),
    "signature without a key": model(f7=[signature("")]),
    "name with a zero": model(f7=[table(f1=[table(f0="o\0put", f1=("I", 1))], f2="k")]),
    "two inputs of one name": model(f7=[table(f0=[table(f0="a"), table(f0="a")], f2="k")]),
    "subgraph that takes a tensor twice": model(f2=[subgraph(f1=("i", [0, 0]))]),
    "signature that leaves out an input": model(f7=[named([], [("b", 1)])]),
    "signature of an output as an input": model(f7=[named([("a", 1)], [("b", 1)])]),
    "signature of an input as an output": model(f7=[named([("a", 0)], [("b", 0)])]),
    "two names for one input": model(f7=[named([("a", 0), ("c", 0)], [("b", 1)])]),
    "signature inside of another subgraph": model(f2=[subgraph(), QUANTIZED], f7=[{**INSIDE, 4: ("I", 1)}]),
}


@pytest.mark.parametrize("description", BROKEN.values(), ids=BROKEN)
def test_broken(description):
    """What an index or an offset names must be there, and be one thing."""
    with pytest.raises(MalformedArtifactError, match="is broken"):
        read(description)


def test_signature_that_was_left_inside():
    """Names that the quantizer left behind are those of what the subgraph takes and gives."""
    (found,) = read(model(f2=[QUANTIZED], f7=[INSIDE])).model.signatures
    assert found == TFLiteSignature("k", 0, (("a", 2),), (("b", 3),), is_moved=True)


@pytest.mark.parametrize("outputs", [[("b", 1)], [("b", 1), ("c", 1)], [("b", 0), ("c", 1)]])
def test_outputs_of_a_signature(outputs):
    """Converters give one tensor two names, name fewer outputs than there are, and give inputs back."""
    graph = subgraph(f2=("i", [1, 0, 1]))
    assert read(model(f2=[graph], f7=[named([("a", 0)], outputs)])).model.signatures[0].outputs == tuple(outputs)


def test_optional_inputs():
    """An operator may leave inputs out."""
    operator = table(f0=("I", 0), f1=("i", [0, -1]), f2=("i", [1]))
    assert read(model(f2=[subgraph(f3=[operator])])).model.subgraphs[0].ops


@pytest.mark.parametrize("field", ["f8", "f9"])
def test_weights_elsewhere(field):
    """Weights in other files are not followed."""
    with pytest.raises(UnsupportedFormatError, match="other files"):
        read(model(**{field: [table(f0="weights.bin")]}))


def test_limit():
    """A file above the limit is not read."""
    with pytest.raises(LimitExceededError, match="max_graph_bytes"):
        read(model(), max_graph_bytes=10)


def test_types_are_those_of_the_schema():
    """The table has every type of the schema that TensorFlow ships, in its order."""
    schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
    numbers = {name: value for name, value in vars(schema.TensorType).items() if name.isupper()}
    theirs = [name.lower() for name, _ in sorted(numbers.items(), key=lambda item: item[1])]
    assert theirs == list(TENSOR_TYPES)[: len(theirs) if IS_OLDER else None]


def test_paths(tmp_path):
    """A path works as bytes do."""
    (tmp_path / "model.bin").write_bytes(serialize(model()))
    assert artifacts.read(tmp_path / "model.bin").model.subgraphs
