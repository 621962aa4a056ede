"""Whether shapes and dtypes fit."""

from __future__ import annotations

import pytest

from safeload.errors import InputMismatchError
from safeload.inspection import TensorInfo
from safeload.signatures import Cast, check_dtype, check_shape

N, A, R, K = Cast.NOTHING, Cast.OF_KIND, Cast.IF_IN_RANGE, Cast.TO_KIND


@pytest.mark.parametrize(
    ("have", "want", "from_python", "from_tensor"),
    [
        ("float32", "float32", N, N),
        ("float32", None, N, N),
        ("float64", "float32", A, A),
        ("float32", "bfloat16", A, A),
        ("int64", "int32", R, None),
        ("int32", "int64", A, A),
        ("uint8", "int16", A, A),
        ("uint8", "int8", R, None),
        ("int8", "uint16", R, None),
        ("int64", "float32", K, K),
        ("uint8", "float16", K, K),
        ("bool", "float32", K, None),
        ("float32", "int32", None, None),
        ("float32", "bool", None, None),
        ("float32", "complex64", K, None),
        ("complex64", "float32", None, None),
        ("string", "float32", None, None),
        ("int32", "string", None, None),
        ("object", "float32", None, None),
        ("qint8", "qint8", N, N),
    ],
)
def test_dtype(have: str, want: str | None, from_python: Cast | None, from_tensor: Cast | None) -> None:
    """Nothing of the kind is lost, and tensors are cast less readily than Python values."""
    info = TensorInfo("x", want)
    for is_tensor, expected in ((False, from_python), (True, from_tensor)):
        if expected is None:
            with pytest.raises(InputMismatchError, match=f"input 'x' is {have}, expected {want}"):
                check_dtype(info, have, is_tensor=is_tensor)
        else:
            assert check_dtype(info, have, is_tensor=is_tensor) is expected


@pytest.mark.parametrize(
    ("want", "have"),
    [(None, (1, 2)), ((None, 4), None), ((None, 4), (2, 4)), ((None, 4), (None, None)), ((), ()), ((1, 4), (None, 4))],
)
def test_shape_fits(want: tuple[int | None, ...] | None, have: tuple[int | None, ...] | None) -> None:
    """Unknown dimensions and unknown ranks fit everything."""
    check_shape(TensorInfo("x", "float32", want), have)


@pytest.mark.parametrize(
    ("want", "have", "text"),
    [
        ((None, 4), (4,), "the batch dimension is missing: pass [value] for a batch of one"),
        ((1, 4), (4,), "the batch dimension is missing: pass [value] for a batch of one"),
        ((None, 4), (3,), "it has 1 dimension instead of 2"),
        ((2, 4), (4,), "it has 1 dimension instead of 2"),
        ((None, 5, 1), (3, 5), "the last dimension is missing: pass np.expand_dims(value, -1)"),
        ((None, 1), (3,), "the last dimension is missing: pass np.expand_dims(value, -1)"),
        ((None, 5, 5, 1), (5, 5), "the batch and the last dimension are missing: pass np.expand_dims([value], -1)"),
        ((None, 1), (), "the batch and the last dimension are missing: pass np.expand_dims([value], -1)"),
        ((None,), (), "the batch dimension is missing: pass [value] for a batch of one"),
        ((1,), (), "the batch dimension is missing: pass [value] for a batch of one"),
        ((1,), (2, 2, 2), "it has 3 dimensions instead of 1"),
        ((None, 4), (0,), "it has 1 dimension instead of 2"),
        ((None, 5, 5, 3), (5, 5), "it has 2 dimensions instead of 4"),
        ((None, 5, 1), (3, 6), "it has 2 dimensions instead of 3"),
        (
            (None,),
            (5, 1),
            "there is a dimension too many at the end, as of a table with one column: pass np.asarray(value)[..., 0]",
        ),
        ((None, 4), (1, 2, 4), "there is a dimension too many in front, as of a list around the value: pass value[0]"),
        ((None, 4), (2, 2, 4), "it has 3 dimensions instead of 2"),
        ((None, 4), (1, 2, 5), "it has 3 dimensions instead of 2"),
        ((None, 4, 8), (2, 5, 7), "axis 1 is 5, not 4, axis 2 is 7, not 8"),
    ],
)
def test_shape_differs(want: tuple[int | None, ...], have: tuple[int, ...], text: str) -> None:
    """The hint names the axes; a missing batch dimension is recognised, never added."""
    with pytest.raises(InputMismatchError) as caught:
        check_shape(TensorInfo("x", "float32", want), have)
    assert caught.value.hint == text


def test_whole_text() -> None:
    """The error is a short diff."""
    with pytest.raises(InputMismatchError) as caught:
        check_shape(TensorInfo("image", "float32", (None, 28, 28)), (1, 32, 28))
    assert str(caught.value) == (
        "input 'image' has shape [1, 32, 28], expected [None, 28, 28]\n"
        "  hint: axis 1 is 32, not 28\n  code: input-mismatch"
    )
