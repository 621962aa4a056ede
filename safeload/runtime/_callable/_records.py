"""Features by name → the serialized ``tf.Example`` records that estimators take. Layer: runtime.

Source: tensorflow/core/example/{example,feature}.proto (TensorFlow 2.21).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from safeload.errors import InputMismatchError

if TYPE_CHECKING:
    from safeload.inspection import SignatureInfo, TensorInfo

_LISTS = {"string": "bytes_list", "int64": "int64_list", "float32": "float_list"}
"""Field of a `Feature` by the dtype that is parsed from it."""

_KINDS = {"string": "SUO", "int64": "iub", "float32": "fiub"}
"""Kinds of numpy dtypes that go into it without loss."""


def as_records(
    signature: SignatureInfo, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call with one column of records in place of features by name.

    Args:
        signature: What is called.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Returns:
        The same arguments where they are no features, or *signature* takes none.

    Raises:
        InputMismatchError: ``input-mismatch``. A feature is missing or unknown, or its values do not fit.
    """
    given = args[0] if len(args) == 1 and not kwargs and isinstance(args[0], Mapping) else kwargs if not args else {}
    features = signature.inputs[0].features if len(signature.inputs) == 1 else ()
    known = {info.name: info for info in features}
    if not any(name in known for name in given):
        return args, kwargs
    if unknown := [name for name in given if name not in known]:
        raise _mismatch(signature, features, f"there is no feature {unknown[0]!r}")
    if missing := [info.name for info in features if info.name not in given and not info.optional]:
        raise _mismatch(signature, features, f"missing {', '.join(map(repr, missing))}")
    columns = {name: _rows(name, column) for name, column in given.items()}
    if len(counts := set(map(len, columns.values()))) > 1:
        raise _mismatch(signature, features, f"columns of {' and '.join(map(str, sorted(counts)))} rows")
    rows = zip(*columns.values(), strict=True)
    records = [_record({name: _feature(known[name], row) for name, row in zip(columns, r, strict=True)}) for r in rows]
    return (np.array(records, object),), {}


def _rows(name: str, column: Any) -> list[Any]:
    """Return what each record holds of a feature."""
    if tf.is_tensor(column):
        if not hasattr(column, "numpy"):
            raise InputMismatchError(
                f"feature {name!r} is a {type(column).__name__}, which cannot be serialized here",
                hint="pass arrays, lists or eager tensors; inside tf.function pass serialized records",
            )
        column = column.numpy()
    try:
        rows = [] if isinstance(column, (str, bytes)) else list(column)
    except TypeError:
        rows = []
    if not rows:
        raise InputMismatchError(f"feature {name!r} has no rows", hint="pass one value, or one list, for each record")
    return rows


def _feature(info: TensorInfo, row: Any) -> tf.train.Feature:
    """Make the feature *info* of one record."""
    dtype = info.dtype or ""
    try:
        values = _values(row, dtype)
        feature = tf.train.Feature(**{_LISTS[dtype]: {"value": values}})
    except (TypeError, ValueError) as error:
        raise InputMismatchError(f"feature {info.name!r} cannot be {dtype}: {error}", hint=f"it is {info}") from error
    size = None if info.shape is None or None in info.shape else math.prod(d for d in info.shape if d is not None)
    if info.kind == "tensor" and size not in (None, len(values)):
        raise InputMismatchError(
            f"feature {info.name!r} has {len(values)} values in a record, expected {size}", hint=f"it is {info}"
        )
    return feature


def _values(row: Any, dtype: str) -> list[Any]:
    """Return what one record holds of a feature, as its list takes it."""
    values = np.asarray([] if row is None else row).reshape(-1)
    if values.size and values.dtype.kind not in _KINDS[dtype]:
        raise TypeError(f"it holds {values.dtype}")
    return [value.encode() if isinstance(value, str) else value for value in values.tolist()]


def _record(features: dict[str, tf.train.Feature]) -> bytes:
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())


def _mismatch(signature: SignatureInfo, features: Sequence[TensorInfo], problem: str) -> InputMismatchError:
    names = ", ".join(map(str, features))
    return InputMismatchError(f"{signature.key}: {problem}", hint=f"pass serialized records, or features: {names}")
