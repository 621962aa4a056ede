"""Shapes of what TensorFlow functions return in Keras 3 models. Layer: runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

__all__ = ["output_spec"]

_KNOWN = "_safeload_known"
_MAX_RANK = 254
"""Dimensions of a tensor: tensorflow/core/framework/tensor_shape.h (2.21)."""


def output_spec(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Trace *function*, and return what it returns as KerasTensors.

    Keras traces each layer by itself, and ``tf.reshape(x, [tf.shape(x)[0], 12])`` may be several: of one that returns a
    shape, what is known of the shape itself goes with its KerasTensor to the next.

    Source: tensorflow/python/keras/engine/keras_tensor.py (2.5.0), ``KerasTensor.from_tensor`` and ``_to_placeholder``;
    in releases before, all layers were in one graph.
    """
    known = [getattr(tensor, _KNOWN, None) for tensor in tf.nest.flatten((args, kwargs))]
    found: list[list[int | None] | None] = []

    def trace(*args: Any, **kwargs: Any) -> Any:
        tensors = tf.nest.flatten((args, kwargs))
        tensors = [t if shape is None else _shape_tensor(t, shape) for t, shape in zip(tensors, known, strict=True)]
        args, kwargs = tf.nest.pack_sequence_as((args, kwargs), tensors)
        outputs = function(*args, **kwargs)
        found.extend(map(_known, tf.nest.flatten(outputs)))
        return outputs

    spec = keras.src.backend.compute_output_spec(trace, *args, **kwargs)
    for tensor, shape in zip(tf.nest.flatten(spec), found, strict=True):
        if shape is not None:
            setattr(tensor, _KNOWN, shape)
    return spec


def _shape_tensor(tensor: tf.Tensor, shape: list[int | None]) -> tf.Tensor:
    """Return a tensor of the type of *tensor* that TensorFlow knows to be *shape*, or its one element."""
    values = tf.shape(tf.compat.v1.placeholder(tf.bool, shape), out_type=tensor.dtype)
    return values if tensor.shape.rank else values[0]


def _known(tensor: Any) -> list[int | None] | None:
    """Return what TensorFlow can tell of *tensor* as a shape, or None."""
    if not isinstance(tensor, tf.Tensor) or tensor.dtype not in (tf.int32, tf.int64):
        return None
    size = tensor.shape.num_elements()
    if tensor.shape.rank not in (0, 1) or size is None or size > _MAX_RANK:
        return None
    try:
        shape = tf.zeros(tensor if tensor.shape.rank else tensor[None], tf.bool).shape
    except ValueError:  # is no shape: has a negative element
        return None
    return None if shape.rank is None else shape.as_list()
