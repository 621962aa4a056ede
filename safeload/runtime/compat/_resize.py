"""Resizing as TensorFlow 1 did it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["UpSampling2D"]


class UpSampling2D(keras.layers.UpSampling2D):  # type: ignore[misc]
    """Bilinear upsampling whose grid begins at the corner, without half-pixel centres. No weights.

    Source: keras 2.2.4 ``keras/backend/tensorflow_backend.py`` (resize_images calls ``tf.image.resize_bilinear``).
    """

    def call(self, inputs: Any) -> Any:
        """Resize *inputs*."""
        is_first = self.data_format == "channels_first"
        images = tf.transpose(inputs, (0, 2, 3, 1)) if is_first else inputs
        size = tf.shape(images)[1:3] * tf.constant(self.size)
        resized = tf.compat.v1.image.resize_bilinear(images, size)
        return tf.transpose(resized, (0, 3, 1, 2)) if is_first else resized
