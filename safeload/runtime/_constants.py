"""Constants of traced functions as TensorFlow's own objects. Layer: runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from safeload.errors import InputMismatchError
from safeload.inspection import TypedConstant


def as_tensorflow(constant: TypedConstant) -> Any:
    """Return the dtype, shape, tensor or array that *constant* describes.

    Raises:
        InputMismatchError: ``input-mismatch``. The file holds bytes that are no tensor.
    """
    try:
        return _MAKERS[constant.kind](constant.value)
    except Exception as error:
        raise InputMismatchError(
            f"a default that the file records cannot be read: {type(error).__name__}",
            hint="pass a value for each input",
        ) from error


def _array(data: bytes) -> Any:
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(data))


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "dtype": tf.as_dtype,
    "shape": tf.TensorShape,
    "tensor": lambda data: tf.constant(_array(data)),
    "array": _array,
}


def constants_in(tree: Any) -> Any:
    """Return the argument tree *tree* with TensorFlow's own objects in place of what describes them."""
    return tf.nest.map_structure(lambda leaf: as_tensorflow(leaf) if isinstance(leaf, TypedConstant) else leaf, tree)
