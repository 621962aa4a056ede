"""TensorFlow Lite models: what the flatbuffer declares. Layer: readers.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (TensorFlow 2.21); the numbers are those of its fields.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format
from safeload.readers._artifact import MAX_DIMENSIONS, TFLiteArtifact
from safeload.readers.tflite.flatbuffer import Budget, FlatbufferError, Table
from safeload.readers.tflite.model import (
    TENSOR_TYPES,
    TFLiteModel,
    TFLiteOp,
    TFLiteSignature,
    TFLiteSubgraph,
    TFLiteTensor,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from safeload._limits import Limits
    from safeload.formats import Detection

_BEFORE = -1
"""Stands for the operators before the first one."""

_NO_TENSOR = -1
"""Stands for an optional input of an operator that is left out."""

_QUANTIZED = ("int8", "int16")
"""Types of which activations are after quantization."""


def read_tflite(detection: Detection, limits: Limits) -> TFLiteArtifact:
    """Read a TensorFlow Lite model.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. An offset, a length or an index leads outside.
        UnsupportedFormatError: ``unsupported-format``. It keeps its weights in other files.
        LimitExceededError: ``limit-exceeded``. The file is larger than ``max_graph_bytes``.

    Guarantees:
        The whole file is in memory afterwards; what was read is what is loaded.
    """
    content = detection.file.read_whole(detection.where, limit="max_graph_bytes", allowed=limits.max_graph_bytes)
    try:
        model = _model(content, detection.where)
    except FlatbufferError as error:
        problem = f"the TensorFlow Lite model is broken: {error}"
        raise MalformedArtifactError(detection.where, problem=problem) from error
    return TFLiteArtifact(
        format=Format.TFLITE,
        where=detection.where,
        content=content,
        model=model,
        size=len(content),
        digest=hashlib.sha256(content).hexdigest(),
    )


def _model(content: bytes, where: str) -> TFLiteModel:
    root = Table.root(content, Budget(len(content)))
    if root.length(8, 4) or root.length(9, 4):
        raise UnsupportedFormatError(
            where, kind="a TensorFlow Lite model whose weights lie in other files", remedy="convert it into one file"
        )
    codes = [_op(table) for table in root.tables(1)]
    buffers = sum(1 for table in root.tables(4) if _is_inside(table, len(content)))
    subgraphs = tuple(_subgraph(table, codes, buffers) for table in root.tables(2))
    if not subgraphs:
        raise FlatbufferError("it has no subgraph")
    signatures = tuple(_signature(table, subgraphs) for table in root.tables(7))
    _require_unique(signatures)
    return TFLiteModel(root.scalar(0, "I"), root.text(3), subgraphs, signatures)


def _op(code: Table) -> TFLiteOp:
    # Numbers above 127 do not fit the first field, which old writers filled alone.
    builtin = max(code.scalar(3, "i"), code.scalar(0, "b"))
    return TFLiteOp(builtin, code.text(1), code.scalar(2, "i", 1))


def _is_inside(buffer: Table, size: int) -> bool:
    """Return True; the data of a buffer lies in it or, in large files, behind the flatbuffer."""
    buffer.length(0, 1)
    if buffer.scalar(1, "Q") + buffer.scalar(2, "Q") > size:
        raise FlatbufferError("a buffer ends outside of the file")
    return True


def _subgraph(table: Table, codes: Sequence[TFLiteOp], buffers: int) -> TFLiteSubgraph:
    tensors = tuple(_tensor(tensor, buffers) for tensor in table.tables(0))
    inputs = _positions(table, 1, tensors)
    _require(len(set(inputs)) == len(inputs), "a subgraph takes one tensor twice")
    operators = list(table.tables(3))
    steps = tuple((_positions(op, 1, tensors, optional=True), _positions(op, 2, tensors)) for op in operators)
    _require_order(steps, inputs)
    return TFLiteSubgraph(
        name=table.text(4),
        tensors=tensors,
        inputs=inputs,
        outputs=_positions(table, 2, tensors),
        ops=tuple(_operator(operator, codes, tensors) for operator in operators),
        steps=steps,
    )


def _require_order(steps: Iterable[tuple[Sequence[int], Sequence[int]]], inputs: Sequence[int]) -> None:
    """Refuse tensors that are computed twice or used before they are computed: the interpreter crashes on them."""
    made = dict.fromkeys(inputs, _BEFORE)
    for index, (_, outputs) in enumerate(steps):
        for position in outputs:
            _require(position not in made, "a tensor is computed twice")
            made[position] = index
    for index, (used, _) in enumerate(steps):
        is_made = all(made.get(position, _BEFORE) < index for position in used)
        _require(is_made, "a tensor is used before it is computed")


def _tensor(table: Table, buffers: int) -> TFLiteTensor:
    _require(table.scalar(2, "I") < buffers, "a tensor has a buffer that is not there")
    room, signature = table.scalars(0, "i") or (), table.scalars(7, "i")
    dims = signature or room
    for rank in (len(room), len(dims)):
        _require(rank <= MAX_DIMENSIONS, f"a tensor has {rank:,} dimensions")
    kind = table.scalar(1, "b")
    return TFLiteTensor(
        name=table.text(3),
        dtype=TENSOR_TYPES[kind] if 0 <= kind < len(TENSOR_TYPES) else None,
        # Writers before 2.9 did not record the rank, and wrote an unknown one as that of a scalar.
        shape=tuple(None if dim < 0 else dim for dim in dims) if dims or table.scalar(8, "?", False) else None,
        room=room,
        is_variable=table.scalar(5, "?", False),
    )


def _operator(table: Table, codes: Sequence[TFLiteOp], tensors: Sequence[TFLiteTensor]) -> TFLiteOp:
    code: int = table.scalar(0, "I")
    _require(code < len(codes), "an operator has a code that is not there")
    _positions(table, 8, tensors, optional=True)
    return codes[code]


def _positions(
    table: Table, vector: int, tensors: Sequence[TFLiteTensor], *, optional: bool = False
) -> tuple[int, ...]:
    found: tuple[int, ...] = table.scalars(vector, "i") or ()
    least = _NO_TENSOR if optional else 0
    _require(all(least <= position < len(tensors) for position in found), "a tensor is named that is not there")
    return found


def _signature(table: Table, subgraphs: Sequence[TFLiteSubgraph]) -> TFLiteSignature:
    index = table.scalar(4, "I")
    _require(index < len(subgraphs), "a signature names a subgraph that is not there")
    subgraph = subgraphs[index]
    declared = [tuple((t.text(0), t.scalar(1, "I")) for t in table.tables(vector)) for vector in (0, 1)]
    is_there = all(position < len(subgraph.tensors) for side in declared for _, position in side)
    _require(is_there, "a signature names a tensor that is not there")
    inputs, outputs = declared
    if index == 0:
        inputs = _outermost(inputs, subgraph.inputs, subgraph.tensors)
        outputs = _outermost(outputs, subgraph.outputs, subgraph.tensors)
    # The interpreter computes on whatever lies in the memory of inputs that are not named, and shares that of tensors
    # that are not outputs among several.
    is_whole = sorted(position for _, position in inputs) == sorted(subgraph.inputs)
    _require(is_whole, "a signature does not name each input of its subgraph once")
    is_given = {position for _, position in outputs} <= set(subgraph.outputs)
    _require(is_given, "a signature names an output that its subgraph does not give")
    return TFLiteSignature(table.text(2), index, inputs, outputs, is_moved=[inputs, outputs] != declared)


def _outermost(
    side: tuple[tuple[str, int], ...], border: Sequence[int], tensors: Sequence[TFLiteTensor]
) -> tuple[tuple[str, int], ...]:
    """Return one side of a signature at the tensors that the subgraph takes or gives.

    The quantizer of TensorFlow 2.5 gives each input and output an op of its own, whose new tensor takes over the name;
    the old one is called by that name and its type, and the signature stays there.
    """
    moved = {f"{tensors[position].name}_{dtype}": position for position in border for dtype in _QUANTIZED}
    return tuple((n, p if p in border else moved.get(tensors[p].name, p)) for n, p in side)


def _require(condition: bool, problem: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not condition:
        raise FlatbufferError(problem)


def _require_unique(signatures: Sequence[TFLiteSignature]) -> None:
    """Refuse names that two readers could take for different things."""
    # SignatureRunner in tensorflow/lite/python/interpreter.py (TensorFlow 2.21) takes no empty key.
    _require(all(found.key for found in signatures), "a signature has no name")
    sides = [[name for name, _ in side] for found in signatures for side in (found.inputs, found.outputs)]
    for names in ([found.key for found in signatures], *sides):
        _require(len(set(names)) == len(names), "two signatures, or two inputs or outputs of one, have the same name")
        # The interpreter reads a name up to its first zero.
        _require(not any("\0" in name for name in names), "the name of a signature, an input or an output has a zero")
