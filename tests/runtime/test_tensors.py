"""How Python, numpy and TensorFlow values become tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from safeload.errors import InputMismatchError
from safeload.inspection import TensorInfo
from safeload.runtime._callable._tensors import example, to_tensor, to_tensors

STRINGS = np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else object
"""numpy's own type for text, from numpy 2 on."""


def info(dtype: str | None, shape: tuple[int | None, ...] | None = None, **more: Any) -> TensorInfo:
    return TensorInfo("x", dtype, shape, **more)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1, "float32", 1.0),
        (1.5, "float32", 1.5),
        (True, "bool", True),
        ([True], "float32", [1.0]),
        ([1, 2], "int32", [1, 2]),
        ([1, 2], "uint8", [1, 2]),
        (np.float64(1.5), "float16", 1.5),
        ([[1.5]], "bfloat16", [[1.5]]),
        (np.array([1, 2], ">i4"), "int32", [1, 2]),
        (np.array([1, 2], ">f4"), "float32", [1, 2]),
        (np.array([1, 2], object), "float32", [1, 2]),
        (np.array([], float), "int32", []),
        ([], "float32", []),
        ("a", "string", b"a"),
        (b"a\0", "string", b"a\0"),
        (np.array(b"a\0", object), "string", b"a\0"),
        ([b"a\0", "b"], "string", [b"a\0", b"b"]),
        (np.array(["é"]), "string", ["é".encode()]),
        (np.array([b"a", "b"], object), "string", [b"a", b"b"]),
        (tf.constant([1], tf.int32), "int64", [1]),
        (tf.constant([1], tf.uint8), "float32", [1]),
        ([tf.constant(1.0), 2.0], "float32", [1, 2]),
        (tf.Variable([1.0]), "float32", [1]),
        (keras.Variable([1.0]), "float32", [1]),
        (["a\0", b"\xff\0"], "string", [b"a\0", b"\xff\0"]),
        (np.array(["é"], STRINGS), "string", ["é".encode()]),
        (3.5, None, 3.5),
        (tf.constant([1.0, np.inf], tf.float64), "float32", [1, np.inf]),
    ],
)
def test_converted(value: Any, dtype: str | None, expected: Any) -> None:
    """Values arrive with the dtype of the input and unchanged."""
    tensor, _ = to_tensor(info(dtype), value)
    assert dtype is None or tensor.dtype.name == dtype
    assert np.asarray(tensor).tolist() == expected


@pytest.mark.parametrize(
    ("value", "dtype", "problem"),
    [
        ([300], "uint8", "holds 300 … 300, which does not fit uint8"),
        ([-1], "uint8", "holds -1 … -1, which does not fit uint8"),
        (1e300, "float32", "too large for float32"),
        (tf.constant([1.0, 1e300], tf.float64), "float32", "holds float64 that is too large for float32"),
        (tf.constant(70_000), "float16", "holds int32 that is too large for float16"),
        ([1], "string", "is int64, expected string"),
        (np.array(["a", None], object), "string", "is object, expected string"),
        (np.array(["2020"], "datetime64[D]"), "int64", "is datetime64[D], expected int64"),
        (tf.constant([1.0]), "int32", "is float32, expected int32"),
        (tf.constant([True]), "float32", "is bool, expected float32"),
        (tf.sparse.from_dense([1.0]), "float32", "is a SparseTensor, expected tensor float32"),
    ],
)
def test_refused(value: Any, dtype: str, problem: str) -> None:
    """What would lose something is an error; `matrix/test_call_errors.py` has the rest, with whole texts."""
    with pytest.raises(InputMismatchError) as caught:
        to_tensor(info(dtype), value)
    assert problem in caught.value.problem


RAGGED = info("float32", (None, None), kind="ragged", ragged_rank=1)
SPARSE = info("float32", (None, 2), kind="sparse")


@pytest.mark.parametrize(
    "value",
    [
        [[1.0, 2.0], [3.0]],
        [[1, 2], [3]],
        tf.ragged.constant([[1.0, 2.0], [3.0]]),
        tf.ragged.constant([[1, 2], [3]]),
        tf.compat.v1.ragged.constant_value([[1.0, 2.0], [3.0]], np.float32),
        [np.array([1, 2]), np.array([3])],
        np.array([[1, 2], [3]], object),
        np.array([np.array([1, 2]), np.array([3])], object),
        [tf.constant([1.0, 2.0]), tf.constant([3.0])],
    ],
)
def test_ragged(value: Any) -> None:
    """Nested lists, ragged tensors and their values in sessions are taken."""
    tensor, _ = to_tensor(RAGGED, value)
    assert tensor.dtype == tf.float32
    assert tensor.to_list() == [[1.0, 2.0], [3.0]]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(
    "value",
    [
        [[1.0, 2.0], [3.0]],
        tf.ragged.constant([[1.0, 2.0], [3.0]]),
        tf.ragged.constant([[1.0, 2.0], [3.0]], row_splits_dtype=tf.int32),
        [tf.constant([1.0, 2.0]), tf.constant([3.0])],
    ],
    ids=["list", "int64", "int32", "tensors"],
)
def test_row_splits_are_cast(value: Any, dtype: str) -> None:
    """Row splits are of the dtype that was traced; what has it already is the better fit."""
    tensors, casts = to_tensors((replace(RAGGED, row_splits_dtype=dtype),), {"x": value})
    assert tensors["x"].row_splits.dtype == dtype
    assert tensors["x"].to_list() == [[1.0, 2.0], [3.0]]
    if isinstance(value, tf.RaggedTensor):
        assert bool(casts) == (value.row_splits.dtype != dtype)


def test_ragged_from_dense() -> None:
    """A rectangular array is a ragged tensor too; an empty list has no rows."""
    assert to_tensor(RAGGED, np.ones((1, 2), np.float32))[0].to_list() == [[1.0, 1.0]]
    assert to_tensor(RAGGED, [[]])[0].to_list() == [[]]


@pytest.mark.parametrize("value", [[["a"]], [[[1.0]], 2.0]])
def test_ragged_refused(value: Any) -> None:
    """Rows of another kind or another depth are errors."""
    with pytest.raises(InputMismatchError):
        to_tensor(RAGGED, value)
    with pytest.raises(InputMismatchError, match="does not fit uint8"):
        to_tensor(info("uint8", kind="ragged"), [[300]])


class Coordinates:
    """The parts of a scipy sparse matrix that matter."""

    row, col, data, shape = np.array([1, 0]), np.array([0, 1]), np.array([3.0, 2.0]), (2, 2)

    def tocoo(self) -> Coordinates:
        return self


@pytest.mark.parametrize(
    "value",
    [
        tf.sparse.from_dense([[0.0, 2.0], [3.0, 0.0]]),
        tf.compat.v1.SparseTensorValue([[0, 1], [1, 0]], [2.0, 3.0], [2, 2]),
        [[0, 2], [3, 0]],
        Coordinates(),
    ],
)
def test_sparse(value: Any) -> None:
    """Sparse tensors, their values in sessions, scipy matrices and dense arrays are taken."""
    tensor, _ = to_tensor(SPARSE, value)
    assert tensor.dtype == tf.float32
    assert tf.sparse.to_dense(tensor).numpy().tolist() == [[0, 2], [3, 0]]


def test_other_composites() -> None:
    """Composite tensors of other kinds pass as they are; anything else does not."""
    slices = tf.IndexedSlices(tf.ones([1]), tf.constant([0]))
    assert to_tensor(info("float32", kind="indexed-slices"), slices)[0] is slices
    with pytest.raises(InputMismatchError, match="expected indexed-slices"):
        to_tensor(info("float32", kind="indexed-slices"), np.ones(1))


def test_training_switch_is_off() -> None:
    """A switch that was left out is False, other optional inputs stay absent."""
    inputs = (TensorInfo("training", "bool", (), optional=True), TensorInfo("scale", "float32", (), optional=True))
    tensors, casts = to_tensors(inputs, {})
    assert (list(tensors), bool(tensors["training"]), casts) == (["training"], False, ())


@pytest.mark.parametrize("kind", ["tensor", "ragged", "sparse"])
def test_example(kind: str) -> None:
    """The example of an input is accepted by it."""
    to_tensor(info("float32", (None, 2), kind=kind), example(info("float32", (None, 2), kind=kind)))
    assert example(info("string", (None,))).numpy().tolist() == [b""]


def _in_itself() -> Any:
    value: list[Any] = [1.0]
    value.append(value)
    return value


def _nested(depth: int) -> Any:
    value: list[Any] = [1.0]
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("dtype", ["float32", "string"])
@pytest.mark.parametrize("value", [_in_itself(), _nested(20_000)], ids=["in itself", "deep"])
def test_lists_without_an_end(value: Any, dtype: str) -> None:
    """A list that is in itself, or in more lists than Python follows, is no array."""
    with pytest.raises(InputMismatchError, match="nested deeper"):
        to_tensor(info(dtype), value)
