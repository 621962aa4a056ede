"""Bins as TensorFlow 2.5 had them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

__all__ = ["Discretization"]


class Discretization(keras.layers.Layer):  # type: ignore[misc]
    """Counts the boundaries below each number. The weight ``bins`` has the boundaries, and infinity at the end.

    Source: TensorFlow 2.5 ``python/keras/layers/preprocessing/discretization.py``; its op BoostedTreesBucketize, gone
    since, looks for the first boundary that is not below (``lower_bound`` in boosted_trees/quantile_ops.cc).
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        **kwargs: Any,
    ) -> None:
        del epsilon
        super().__init__(**kwargs)
        size = (num_bins or 0) if bin_boundaries is None else len(bin_boundaries) + 1
        self.bins = self.add_weight(name="bins", shape=(size,), dtype="float32", initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        """Return the number of the bin of each number."""
        numbers = tf.reshape(tf.cast(inputs, tf.float32), [-1])
        bins = tf.searchsorted(tf.convert_to_tensor(self.bins), numbers)
        return tf.reshape(tf.minimum(bins, self.bins.shape[0] - 1), tf.shape(inputs))

    def compute_output_spec(self, inputs: Any) -> Any:
        """Keep the shape."""
        return keras.KerasTensor(inputs.shape, "int32")
