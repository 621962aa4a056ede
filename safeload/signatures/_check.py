"""Whether a value's shape and dtype fit an input. Pure: shapes are tuples, dtypes are TensorFlow dtype names."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from safeload.errors import InputMismatchError
from safeload.inspection._info import dims_text

if TYPE_CHECKING:
    from safeload.inspection._info import TensorInfo


class Cast(IntEnum):
    """What must happen to a value before it fits; the less, the better the input is the one that was meant."""

    NOTHING = 0
    OF_KIND = 1
    """To a wider type of the same kind, or to another float."""
    IF_IN_RANGE = 2
    """To an integer type narrower than the value's: only where every element fits."""
    TO_KIND = 3
    """To another kind, as from int to float."""


_BITS = {
    **{f"int{n}": ("int", n - 1) for n in (4, 8, 16, 32, 64)},
    **{f"uint{n}": ("uint", n) for n in (4, 8, 16, 32, 64)},
    **{name: ("float", n) for name, n in (("float16", 16), ("bfloat16", 16), ("float32", 32), ("float64", 64))},
    "complex64": ("complex", 64),
    "complex128": ("complex", 128),
    "bool": ("bool", 1),
    "string": ("string", 0),
}
"""Kind and magnitude bits of each dtype that is ever cast. Source: tensorflow/python/framework/dtypes.py (2.21)."""

_WIDENING = {
    ("bool", "int"), ("bool", "uint"), ("bool", "float"), ("int", "float"), ("uint", "float"), ("float", "float"),
    ("float", "complex"), ("complex", "complex"),
}  # fmt: skip
"""Kinds between which Python and numpy values are cast, because nothing of the kind is lost."""

_TENSOR_WIDENING = {("int", "float"), ("uint", "float"), ("float", "float")}
"""The same for tensors: few, so that a call never makes a device synchronise or hides a mistake."""


def check_dtype(info: TensorInfo, dtype: str, *, is_tensor: bool) -> Cast:
    """Return how a value of *dtype* becomes what *info* wants.

    Args:
        info: The input; a dtype of None accepts everything.
        dtype: TensorFlow dtype name of the value.
        is_tensor: True for a tensor, which is cast only from float to float and from int to a wider int or to float.

    Raises:
        InputMismatchError: ``input-mismatch``. The cast would lose information of the kind.
    """
    if info.dtype is None or info.dtype == dtype:
        return Cast.NOTHING
    (kind, bits), (to_kind, to_bits) = _BITS.get(dtype, (dtype, 0)), _BITS.get(info.dtype, (info.dtype, 0))
    if (kind, to_kind) in (_TENSOR_WIDENING if is_tensor else _WIDENING):
        return Cast.OF_KIND if kind == to_kind else Cast.TO_KIND
    if {kind, to_kind} <= {"int", "uint"}:
        if bits <= to_bits and not (kind == "int" and to_kind == "uint"):
            return Cast.OF_KIND
        if not is_tensor:
            return Cast.IF_IN_RANGE
    raise InputMismatchError(
        f"input {info.name!r} is {dtype}, expected {info.dtype}", hint=_dtype_hint(info, dtype, is_tensor=is_tensor)
    )


def _dtype_hint(info: TensorInfo, dtype: str, *, is_tensor: bool) -> str:
    if dtype == "object":
        return f"it holds Python objects, such as None; pass {info.dtype} values"
    if "string" in (dtype, info.dtype):
        return f"pass {info.dtype} values"
    if dtype.startswith(("void", "record")):
        return "it has named fields; pass numpy.lib.recfunctions.structured_to_unstructured(value)"
    call = f"tf.cast(value, {info.dtype!r})" if is_tensor else f"np.asarray(value, {info.dtype!r})"
    return f"if that loses nothing that matters, convert it: {call}"


def check_shape(info: TensorInfo, shape: Sequence[int | None] | None) -> None:
    """Check rank and every dimension that both sides know.

    Args:
        info: The input; a shape of None accepts everything.
        shape: Shape of the value; None for unknown rank.

    Raises:
        InputMismatchError: ``input-mismatch``. They differ; the message names the axes.
    """
    if info.shape is None or shape is None:
        return
    shape = tuple(shape)
    problem = f"input {info.name!r} has shape {dims_text(shape)}, expected {dims_text(info.shape)}"
    if len(shape) != len(info.shape):
        raise InputMismatchError(problem, hint=_rank_hint(info.shape, shape))
    wrong = [axis for axis, (have, want) in enumerate(zip(shape, info.shape, strict=True)) if not _fits(have, want)]
    if wrong:
        axes = ", ".join(f"axis {axis} is {shape[axis]}, not {info.shape[axis]}" for axis in wrong)
        raise InputMismatchError(problem, hint=axes)


def _fits(have: int | None, want: int | None) -> bool:
    return have is None or want is None or have == want


_MISSING = {
    (1, 0): "the batch dimension is missing: pass [value] for a batch of one",
    (0, 1): "the last dimension is missing: pass np.expand_dims(value, -1)",
    (1, 1): "the batch and the last dimension are missing: pass np.expand_dims([value], -1)",
}
"""What to do where dimensions of one are missing, by how many in front and how many at the end."""


def _rank_hint(want: tuple[int | None, ...], have: Sequence[int | None]) -> str:
    for (front, back), hint in _MISSING.items():
        is_one = want[:front] in ((), (None,), (1,)) and want[len(want) - back :] in ((), (1,))
        inner = want[front : len(want) - back]
        if is_one and len(have) == len(inner) == len(want) - front - back and _all_fit(have, inner):
            return hint
    if len(have) == len(want) + 1 and have[0] == 1 and _all_fit(have[1:], want):
        return "there is a dimension too many in front, as of a list around the value: pass value[0]"
    if len(have) == len(want) + 1 and have[-1] == 1 and _all_fit(have[:-1], want):
        return "there is a dimension too many at the end, as of a table with one column: pass np.asarray(value)[..., 0]"
    return f"it has {len(have)} dimension{'s' if len(have) != 1 else ''} instead of {len(want)}"


def _all_fit(have: Sequence[int | None], want: Sequence[int | None]) -> bool:
    return all(map(_fits, have, want))
