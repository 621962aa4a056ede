"""Python, numpy and TensorFlow values → the tensors that an input wants. Layer: runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from safeload.errors import InputMismatchError
from safeload.inspection import TypedConstant
from safeload.runtime._constants import as_tensorflow
from safeload.signatures import Cast, check_dtype, check_shape, is_training_switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safeload.inspection import SignatureInfo, TensorInfo

Converted = tuple[Any, Cast]
"""A tensor, and how the value was cast for it."""

Converter = Callable[[Any, Any], Converted]

_NUMPY_TEXT = "T"
"""Kind of numpy's ``StringDType``, which TensorFlow does not read. Source: numpy/dtypes.py (numpy 2)."""

_MOST_ELEMENTS = 1 << 63
"""Source: num_elements in tensorflow/core/framework/tensor_shape.h (2.21)."""

_TEXT_BYTES = 24
"""Of an empty text. Source: tensorflow/core/platform/ctstring_internal.h (2.21)."""

_MOST_ZEROS = 2 << 30

_HOST = "/job:localhost/replica:0/task:0/device:CPU:0"


def to_tensors(inputs: Sequence[TensorInfo], values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Cast, ...]]:
    """Convert bound values to tensors of the dtypes that the inputs want.

    Args:
        inputs: The inputs of a signature.
        values: Input name → value, from `signatures.bind`.

    Returns:
        Input name → tensor, and the casts of values that changed, greatest first. Switches for training that were left
        out are False.

    Raises:
        InputMismatchError: ``input-mismatch``. A shape or a dtype does not fit.
    """
    tensors: dict[str, Any] = {}
    casts: list[Cast] = []
    for info in inputs:
        if info.name in values:
            tensors[info.name], cast = to_tensor(info, values[info.name])
            casts += [cast] if cast else []
        elif is_training_switch(info):
            tensors[info.name] = tf.zeros([1 if d is None else d for d in info.shape or ()], tf.bool)
    return tensors, tuple(sorted(casts, reverse=True))


def require_parts(signature: SignatureInfo, tensors: Mapping[str, Any]) -> None:
    """Refuse parts of a ragged or sparse tensor that do not fit one another, in which kernels of TensorFlow trust.

    They read what lies behind the values of rows, and end the process over shapes.

    Raises:
        InputMismatchError: ``input-mismatch``. Rows begin or end elsewhere than what they are made of, or indices lie
            outside of the shape.
    """
    for composite in signature.composites:
        parts = [tensors[name] for name in composite.parts]
        if all(isinstance(part, ops.EagerTensor) for part in parts):
            require = _require_rows if composite.kind == "ragged" else _require_indices
            require(composite.parts, *parts)


def _require_rows(names: Sequence[str], values: Any, *splits: Any) -> None:
    below = [*(len(split) - 1 for split in splits[1:]), len(values)]
    for name, split, count in zip(names[1:], splits, below, strict=True):
        ends = split.numpy()
        if [*ends[:1], *ends[-1:]] != [0, count] or (ends[1:] < ends[:-1]).any():
            raise InputMismatchError(
                f"input {name!r} does not part {count} values into rows",
                hint=f"it begins with 0, never falls and ends with {count}; or pass the ragged tensor itself",
            )


def _require_indices(names: Sequence[str], indices: Any, values: Any, dense_shape: Any) -> None:
    places, shape = indices.numpy(), dense_shape.numpy()
    is_possible = min(shape, default=0) >= 0 and math.prod(shape.tolist()) < _MOST_ELEMENTS
    is_one_each = places.shape == (len(values), len(shape))
    if not is_possible or not is_one_each or ((places < 0) | (places >= shape)).any():
        raise InputMismatchError(
            f"inputs {', '.join(map(repr, names))} are no sparse tensor: indices lie outside of its shape",
            hint="pass an index within the shape for each value; or pass the sparse tensor itself",
        )


def to_tensor(info: TensorInfo, value: Any) -> Converted:
    """Convert one value; see `to_tensors`."""
    if isinstance(value, TypedConstant):
        value = as_tensorflow(value)
    if type(value).__name__ == "KerasTensor":  # of Keras 3 or tf_keras
        raise InputMismatchError(
            f"input {info.name!r} is a KerasTensor, which holds no values",
            hint="to build a model around it: f.model(x) if that is a Keras model, else keras.layers.Lambda(f)(x)",
        )
    convert: Converter = _CONVERTERS.get(info.kind, _other_composite)
    return convert(info, value)


def from_array(array: np.ndarray[Any, Any]) -> Any:
    """Return a tensor with a copy of *array*, which has a native dtype; as `tf.constant`, in a fifth of its time.

    Source: ``convert_to_eager_tensor`` of tensorflow/python/framework/constant_op.py; without a device scope, asking
    for the host by its full name spares a copy from there to there, ``EagerTensor_init`` of pywrap_tensor.cc (2.21).
    """
    running = context.context()
    running.ensure_initialized()
    return ops.EagerTensor(array.copy(), running.device_name or _HOST, None)


def _dense(info: TensorInfo, value: Any) -> Converted:
    value = _unwrapped(value)
    if isinstance(value, (tf.RaggedTensor, tf.SparseTensor, tf.IndexedSlices)):
        raise _wrong_kind(
            info, value, "pass a dense tensor: value.to_tensor() of a ragged one, tf.sparse.to_dense of a sparse one"
        )
    tensor = value if tf.is_tensor(value) else _stacked(info, value)
    if tensor is None:
        return _from_array(info, _array(info, value))
    shape = _static_shape(tensor)
    check_shape(info, shape)
    if _declares_more(info.shape, shape):
        # Layers cannot be built on an unknown rank, which Python functions in a tf.data pipeline leave behind.
        tensor = tf.ensure_shape(tensor, info.shape)
    return _cast(info, tensor)


def _declares_more(declared: tuple[int | None, ...] | None, shape: tuple[int | None, ...] | None) -> bool:
    """Tell whether an input declares dimensions that a symbolic tensor does not know."""
    if declared is None or shape is None:
        return declared is not None
    return any(have is None and want is not None for have, want in zip(shape, declared, strict=True))


def _unwrapped(value: Any) -> Any:
    """Read a variable of TensorFlow or of Keras 3; return anything else as it is."""
    inner = getattr(value, "value", None)
    if tf.is_tensor(inner):
        value = inner
    return tf.convert_to_tensor(value) if isinstance(value, tf.Variable) else value


def _cast(info: TensorInfo, tensor: Any) -> Converted:
    cast = check_dtype(info, tensor.dtype.name, is_tensor=True)
    if not cast:
        return tensor, cast
    converted = tf.cast(tensor, info.dtype)
    has_values = isinstance(tensor, ops.EagerTensor)  # a symbolic one is not known yet
    if has_values and (np.isinf(converted.numpy()) & np.isfinite(tensor.numpy())).any():
        raise _too_large(info, tensor.dtype.name)
    return converted, cast


def _static_shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def _stacked(info: TensorInfo, value: Any) -> Any:
    """Stack a list that holds tensors, so that gradients flow and graphs can be built; None for any other value."""
    if not isinstance(value, (list, tuple)):
        return None
    try:
        leaves = tf.nest.flatten(value)
    except RecursionError as error:
        raise InputMismatchError(
            f"input {info.name!r} is a {type(value).__name__} that is nested deeper than any array, or in itself",
            hint=_array_hint(info, value),
        ) from error
    if not any(tf.is_tensor(leaf) for leaf in leaves):
        return None
    try:
        return tf.stack(value)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise InputMismatchError(
            f"input {info.name!r} is a list whose items differ in shape or dtype",
            hint="make them equal, or stack them with tf.stack",
        ) from error


def _from_array(info: TensorInfo, array: np.ndarray[Any, Any]) -> Converted:
    name = _dtype_name(array)
    cast = check_dtype(info, name, is_tensor=False)
    check_shape(info, array.shape)
    if cast is Cast.NOTHING:
        return _constant(info, array, name), cast
    target = tf.as_dtype(info.dtype)
    if cast is Cast.IF_IN_RANGE:
        _check_range(info, array, target)
    with np.errstate(over="raise"):
        try:
            return tf.constant(array.astype(target.as_numpy_dtype)), cast
        except FloatingPointError as error:
            raise _too_large(info, name) from error


def _too_large(info: TensorInfo, name: str) -> InputMismatchError:
    return InputMismatchError(
        f"input {info.name!r} holds {name} that is too large for {info.dtype}", hint="scale the values"
    )


def _constant(info: TensorInfo, array: np.ndarray[Any, Any], name: str) -> Any:
    try:
        return tf.constant(_native(array))
    except (ValueError, TypeError) as error:
        raise InputMismatchError(
            f"input {info.name!r} holds {name} values that no tensor can hold",
            hint="text must be valid UTF-8, or bytes" if name == "string" else "pass numbers, text or bytes",
        ) from error


def _array(info: TensorInfo, value: Any) -> np.ndarray[Any, Any]:
    if np.ma.is_masked(value):
        raise InputMismatchError(f"input {info.name!r} holds masked values", hint="fill them: value.filled(…)")
    array = _read(info, value)
    if array.dtype == object and array.ndim == 0 and not isinstance(array.item(), (str, bytes)):
        raise InputMismatchError(
            f"input {info.name!r} is of type {type(value).__name__}, which is no array", hint=_array_hint(info, value)
        )
    if array.size == 0 and array.dtype == np.float64 and info.dtype is not None:
        return array.astype(tf.as_dtype(info.dtype).as_numpy_dtype)  # numpy's dtype for an empty list means nothing
    return array


def _read(info: TensorInfo, value: Any) -> np.ndarray[Any, Any]:
    """Read what numpy can; text as objects, because numpy's own types for it drop trailing zeros."""
    is_text = _holds_text(info, value)
    try:
        array = np.asarray(value, dtype=object if is_text else None)
        if array.dtype == object and info.dtype != "string":
            array = np.asarray(array.tolist())
    except Exception as error:  # arrays of other libraries may raise anything
        if isinstance(value, (list, tuple)) and isinstance(error, ValueError):
            raise _not_rectangular(info, value) from error
        raise InputMismatchError(
            f"input {info.name!r} is of type {type(value).__name__}, which numpy cannot read",
            hint=f"make an array of it; numpy says: {' '.join(str(error).split())[:200]}",
        ) from error
    if is_text and any(isinstance(item, (list, tuple)) for item in array.flat):
        raise _not_rectangular(info, value)
    return array.astype(object) if array.dtype.kind == _NUMPY_TEXT else array


def _not_rectangular(info: TensorInfo, value: Any) -> InputMismatchError:
    return InputMismatchError(
        f"input {info.name!r} is a {type(value).__name__} that is not rectangular",
        hint="rows must have equal lengths: pad or resize them as for the training",
    )


def _array_hint(info: TensorInfo, value: Any) -> str:
    if isinstance(value, (tf.data.Dataset, Iterator)):
        return "pass one of its elements, or pass it to predict, which takes all"
    if hasattr(value, "toarray"):
        return "pass a dense array: value.toarray()"
    return f"pass an array, a tensor, or lists of {info.dtype or 'number'} values"


def _holds_text(info: TensorInfo, value: Any) -> bool:
    is_possible = info.dtype in (None, "string") and isinstance(value, (str, bytes, list, tuple))
    return is_possible and issubclass(_first_leaf(value), (str, bytes))


def _first_leaf(value: Any) -> type:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return type(value)


def _dtype_name(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.kind in "US":
        return "string"
    if array.dtype == object:
        return "string" if all(isinstance(item, (str, bytes)) for item in array.flat) else "object"
    return str(array.dtype.name)


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _check_range(info: TensorInfo, array: np.ndarray[Any, Any], target: tf.DType) -> None:
    if array.size and (array.min() < target.min or array.max() > target.max):
        raise InputMismatchError(
            f"input {info.name!r} holds {array.min()} … {array.max()}, which does not fit {info.dtype}",
            hint=f"values must lie between {target.min} and {target.max}",
        )


def _ragged(info: TensorInfo, value: Any) -> Converted:
    ragged, cast = _partitioned(info, value)
    if info.row_splits_dtype in (None, ragged.row_splits.dtype.name):
        return ragged, cast
    return ragged.with_row_splits_dtype(info.row_splits_dtype), cast or Cast.OF_KIND


def _partitioned(info: TensorInfo, value: Any) -> Converted:
    if isinstance(value, tf.compat.v1.ragged.RaggedTensorValue):  # what sessions return
        value = value.to_list()
    if isinstance(value, tf.RaggedTensor):
        check_shape(info, _static_shape(value))
        return _cast(info, value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        if not any(tf.is_tensor(row) for row in value):
            return _ragged_constant(info, _plain(value))
        return _partitioned(info, _ragged_stack(info, value))
    dense, cast = _dense(info, value)
    return tf.RaggedTensor.from_tensor(dense, ragged_rank=info.ragged_rank or 1), cast


def _plain(rows: Any) -> Any:
    """Return nested lists, of which some levels may be arrays, as lists alone."""
    if isinstance(rows, np.ndarray):
        return rows.tolist()
    return [_plain(row) for row in rows] if isinstance(rows, (list, tuple)) else rows


def _ragged_stack(info: TensorInfo, rows: Sequence[Any]) -> Any:
    try:
        return tf.ragged.stack(rows)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise _wrong_kind(info, rows, "pass tensors of one dtype and rank, or a tf.RaggedTensor") from error


def _ragged_constant(info: TensorInfo, rows: Any) -> Converted:
    leaves, cast = np.asarray(tf.nest.flatten(rows)), Cast.NOTHING
    if leaves.size:
        cast = check_dtype(info, _dtype_name(leaves), is_tensor=False)
        if cast is Cast.IF_IN_RANGE:
            _check_range(info, leaves, tf.as_dtype(info.dtype))
    try:
        ragged = tf.ragged.constant(rows, dtype=info.dtype, ragged_rank=info.ragged_rank)
    except (ValueError, TypeError) as error:
        raise _wrong_kind(
            info, rows, f"pass nested lists with ragged_rank {info.ragged_rank or 1}, or a tf.RaggedTensor"
        ) from error
    check_shape(info, _static_shape(ragged))
    return ragged, cast


def _sparse(info: TensorInfo, value: Any) -> Converted:
    if hasattr(value, "tocoo"):  # scipy
        value = value.tocoo()
        indices = np.stack([value.row, value.col], axis=1).astype(np.int64)
        value = tf.sparse.reorder(tf.SparseTensor(indices, value.data, value.shape))
    if isinstance(value, tf.compat.v1.SparseTensorValue):  # what sessions return
        value = tf.SparseTensor.from_value(value)
    if isinstance(value, tf.SparseTensor):
        check_shape(info, _static_shape(value))
        return _cast(info, value)
    dense, cast = _dense(info, value)
    return tf.sparse.from_dense(dense), cast


def _other_composite(info: TensorInfo, value: Any) -> Converted:
    """Take any composite tensor as it is: TensorFlow compares its type with the one that was traced."""
    if not hasattr(value, "_type_spec"):
        what = "tf.data.Dataset" if info.kind == "dataset" else "composite tensor"
        raise _wrong_kind(info, value, f"pass a {what} of the type that the function was traced with")
    return value, Cast.NOTHING


_CONVERTERS: dict[str, Converter] = {"tensor": _dense, "ragged": _ragged, "sparse": _sparse}


def _wrong_kind(info: TensorInfo, value: Any, hint: str) -> InputMismatchError:
    expected = f"{info.kind} {info.dtype}" if info.dtype else info.kind
    return InputMismatchError(f"input {info.name!r} is a {type(value).__name__}, expected {expected}", hint=hint)


def example(info: TensorInfo) -> Any:
    """Return a tensor of zeros (or empty strings) that fits *info*, with 1 for each unknown dimension.

    Raises:
        InputMismatchError: ``input-mismatch``. The file declares more than should be made for nothing.
    """
    shape, dtype = [1 if d is None else d for d in info.shape or ()], tf.as_dtype(info.dtype or "float32")
    if (nbytes := math.prod(shape) * (dtype.size or _TEXT_BYTES)) > _MOST_ZEROS:
        raise InputMismatchError(
            f"input {info.name!r} declares {nbytes:,} bytes, more than are made of zeros",
            hint="leave warmup() out; the first call with values of your own does the same",
        )
    return to_tensor(info, tf.zeros(shape, dtype))[0]
