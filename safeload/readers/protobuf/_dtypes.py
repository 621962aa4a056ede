"""Names of TensorFlow dtypes by their number in `DataType`. Layer: readers."""

from __future__ import annotations

from functools import lru_cache

from safeload.readers.protobuf._pool import enum_names

_RENAMED = {"float": "float32", "double": "float64", "half": "float16"}
"""Lower-case names that differ from ``tf.DType.name``. Source: tensorflow/python/framework/dtypes.py (2.21)."""

_BYTES = {
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16, "bool": 1,
    "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "qint8": 1, "quint8": 1, "qint16": 2, "quint16": 2, "qint32": 4,
    "int4": 1, "uint4": 1, "int2": 1, "uint2": 1, "float4_e2m1fn": 1,
    "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e4m3b11fnuz": 1, "float8_e5m2fnuz": 1,
}  # fmt: skip
"""Bytes per element in memory and in a checkpoint.

Source: DataTypeSize in tensorflow/core/framework/types.cc, TensorFlow 2.21.
"""


@lru_cache(maxsize=256)
def dtype_name(number: int) -> str | None:
    """Return the TensorFlow dtype name of a `DataType`, ``"float32"`` for 1.

    Reference types keep their suffix (``"float32_ref"``), as in ``tf.DType.name``.

    Args:
        number: Value of the enum.

    Returns:
        The name; None for ``DT_INVALID`` (not recorded) and for numbers that TensorFlow 2.21 does not know.
    """
    constant = enum_names("DataType").get(number)
    if constant is None or number == 0:
        return None
    base, is_reference, _ = constant.removeprefix("DT_").lower().partition("_ref")
    return _RENAMED.get(base, base) + is_reference


def dtype_bytes(name: str) -> int | None:
    """Return the bytes of one element of the dtype *name*; None where they differ (strings, variants)."""
    return _BYTES.get(name.removesuffix("_ref"))
