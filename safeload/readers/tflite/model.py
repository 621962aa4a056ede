"""What a TensorFlow Lite model declares: plain data. Layer: readers.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (TensorFlow 2.21).
"""

from __future__ import annotations

from dataclasses import dataclass, field

TENSOR_TYPES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4",
)  # fmt: skip
"""TensorFlow's names of the values of `TensorType`, in order."""


@dataclass(frozen=True)
class TFLiteTensor:
    """A tensor of a subgraph.

    Attributes:
        name: As recorded; need not be unique.
        dtype: TensorFlow dtype name, or None for a type that the table does not know.
        shape: Its shape, None for an unknown dimension; None where the rank is not known.
        room: The shape that an interpreter makes room for until inputs are resized, whatever *shape* says.
        is_variable: True if it keeps its value between calls.
    """

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None
    room: tuple[int, ...] = ()
    is_variable: bool = False


@dataclass(frozen=True)
class TFLiteOp:
    """An operator code: which op, and for custom ones which.

    Attributes:
        builtin: Number of the `BuiltinOperator`.
        custom: Name of the custom op, or ``""``.
        version: Of the op.
    """

    builtin: int
    custom: str = ""
    version: int = 1


@dataclass(frozen=True)
class TFLiteSubgraph:
    """A function of a model.

    Attributes:
        name: As recorded, often ``"main"``.
        tensors: All of its tensors.
        inputs: Positions of its inputs among *tensors*.
        outputs: Positions of its outputs.
        ops: What its operators are, in order.
        steps: Of each operator, positions of the tensors that it takes, -1 for one that is left out, and makes.
    """

    name: str
    tensors: tuple[TFLiteTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    ops: tuple[TFLiteOp, ...] = field(repr=False, default=())
    steps: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = field(repr=False, default=())


@dataclass(frozen=True)
class TFLiteSignature:
    """A SignatureDef: names for the inputs and outputs of a subgraph.

    Attributes:
        key: Its key.
        subgraph: Position of the subgraph that answers.
        inputs: (name, position of the tensor).
        outputs: The same.
        is_moved: True if the file names other tensors, so that an interpreter that is called by the key computes on
            them. Only of the first subgraph.
    """

    key: str
    subgraph: int
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    is_moved: bool = False


@dataclass(frozen=True)
class TFLiteModel:
    """What a flatbuffer declares."""

    version: int
    description: str
    subgraphs: tuple[TFLiteSubgraph, ...]
    signatures: tuple[TFLiteSignature, ...] = ()
