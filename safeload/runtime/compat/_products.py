"""Products of tensors along one axis of each, as Keras computed them that took them for stacks of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

_ROWS_ARE_STACKED = 4
"""Axes from which on the products differ: before, the examples are the only stack."""


class StackedProducts:
    """Mixin of a Dot layer of either Keras; without effect for inputs of fewer axes than `_ROWS_ARE_STACKED`."""

    def _merge_function(self, inputs: Any) -> Any:
        ranks = [len(each.shape) for each in inputs]
        if max(ranks) < _ROWS_ARE_STACKED:
            return super()._merge_function(inputs)  # type: ignore[misc]
        given: Any = self.axes  # type: ignore[attr-defined]
        axes = [axis % rank for axis, rank in zip([given] * 2 if isinstance(given, int) else given, ranks, strict=True)]
        if self.normalize:  # type: ignore[attr-defined]
            inputs = [tf.math.l2_normalize(each, axis=axis) for each, axis in zip(inputs, axes, strict=True)]
        return _product(*inputs, axes=axes)


def _product(left: Any, right: Any, *, axes: Sequence[int]) -> Any:
    """Multiply the matrices in the last two axes; an axis that is not the last one is taken for the one before it.

    Source: ``batch_dot`` in keras/backend/tensorflow_backend.py of 2.2.4, tensorflow/python/keras/backend.py of 1.15.5.
    """
    sizes = len(left.shape), len(right.shape)
    left, right = (_with_rank(each, max(sizes)) for each in (left, right))
    is_last = [axis == max(sizes) - 1 for axis in axes]
    product = tf.matmul(left, right, adjoint_a=not is_last[0], adjoint_b=is_last[1])
    first = sum(sizes) - 3 if sizes[0] > sizes[1] else sizes[0] - 1
    added = range(first, first + abs(sizes[0] - sizes[1]))
    return tf.squeeze(product, list(added)) if added else product


def _with_rank(tensor: Any, rank: int) -> Any:
    missing = rank - len(tensor.shape)
    return tf.reshape(tensor, tf.concat([tf.shape(tensor), [1] * missing], 0)) if missing else tensor
