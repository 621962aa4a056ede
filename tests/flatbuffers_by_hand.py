"""TensorFlow Lite models made field by field, so that every number in them can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import flatbuffers

Field = Any
"""A number with its type for the struct module, text, bytes, a list of numbers with theirs, or a list of tables."""


def table(**fields: Field) -> dict[int, Field]:
    """Describe a table: ``f0=("I", 3)``, ``f3="name"``, ``f1=[table(…)]``, ``f2=("i", [1, 2])``."""
    return {int(name[1:]): value for name, value in fields.items()}


def serialize(root: dict[int, Field]) -> bytes:
    """Return the flatbuffer with the root *root* and the identifier of TensorFlow Lite."""
    builder = flatbuffers.Builder(0)
    builder.Finish(_table(builder, root), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _table(builder: Any, fields: dict[int, Field]) -> int:
    offsets = {slot: _offset(builder, value) for slot, value in fields.items() if not _is_number(value)}
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, value in fields.items():
        if slot in offsets:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
        else:
            _prepend(builder, slot, *value)
    return int(builder.EndObject())


def _is_number(value: Field) -> bool:
    return isinstance(value, tuple) and not isinstance(value[1], Sequence)


def _offset(builder: Any, value: Field) -> int:
    if isinstance(value, (str, bytes)):
        return int(builder.CreateString(value) if isinstance(value, str) else builder.CreateByteVector(value))
    if isinstance(value, tuple):
        code, numbers = value
        size = struct.calcsize(f"<{code}")
        builder.StartVector(size, len(numbers), size)
        for number in reversed(numbers):
            getattr(builder, _PREPEND[code])(number)
        return int(builder.EndVector())
    inner = [_table(builder, fields) for fields in value]
    builder.StartVector(4, len(inner), 4)
    for offset in reversed(inner):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


_PREPEND = {"i": "PrependInt32", "I": "PrependUint32", "b": "PrependInt8", "Q": "PrependUint64", "?": "PrependBool"}


def _prepend(builder: Any, slot: int, code: str, number: Any) -> None:
    getattr(builder, f"{_PREPEND[code]}Slot")(slot, number, None)


def tensor(name: str = "x", shape: Sequence[int] = (1, 2), **more: Field) -> dict[int, Field]:
    """Describe a float32 tensor without data."""
    return {**table(f0=("i", list(shape)), f3=name), **table(**more)}


def model(**changes: Field) -> dict[int, Field]:
    """Describe a model that computes ``y = relu(x)``: one subgraph ``main`` with one operator."""
    operator = table(f0=("I", 0), f1=("i", [0]), f2=("i", [1]))
    subgraph = table(
        f0=[tensor("serving_default_x:0"), tensor("y")], f1=("i", [0]), f2=("i", [1]), f3=[operator], f4="main"
    )
    plain = table(f0=("I", 3), f1=[table(f0=("b", 19), f3=("i", 19))], f2=[subgraph], f3="by hand", f4=[table()])
    return {**plain, **table(**changes)}


def signature(key: str = "serving_default", subgraph: int = 0) -> dict[int, Field]:
    """Describe a signature ``a -> b`` of the model."""
    inputs, outputs = [table(f0="a", f1=("I", 0))], [table(f0="b", f1=("I", 1))]
    return table(f0=inputs, f1=outputs, f2=key, f4=("I", subgraph))
