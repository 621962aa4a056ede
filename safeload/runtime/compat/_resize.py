"""Resizing as earlier releases did it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from safeload.runtime.compat._casts import CastsAsWritten, Crops, Resizes

__all__ = ["CenterCrop", "RandomCrop", "Resizing", "UpSampling2D"]


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


class Resizing(Resizes, keras.layers.Layer):  # type: ignore[misc]
    """``keras.layers.Resizing`` that casts as an earlier release. No weights."""

    def __init__(self, height: int, width: int, *, interpolation: str = "bilinear", **kwargs: Any) -> None:
        options = {key: kwargs.pop(key) for key in _OPTIONS & kwargs.keys()}
        super().__init__(height, width, **kwargs)
        self.interpolation, self.options = interpolation, options

    def resized(self, images: Any) -> Any:
        """Resize *images*."""
        size = self.height, self.width
        return keras.ops.image.resize(images, size, interpolation=self.interpolation, **self.options)


_OPTIONS = frozenset({"crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value", "data_format"})


class CenterCrop(Crops, keras.layers.Layer):  # type: ignore[misc]
    """``keras.layers.CenterCrop`` that casts as an earlier release. No weights."""

    def __init__(self, height: int, width: int, *, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(height, width, **kwargs)
        self.data_format = data_format
        self.rows = -2 if data_format == "channels_first" else -3

    def resized(self, images: Any) -> Any:
        """Resize *images* to cover the size, and crop them."""
        size = self.height, self.width
        return keras.ops.image.resize(images, size, crop_to_aspect_ratio=True, data_format=self.data_format)


class RandomCrop(CastsAsWritten, keras.layers.Layer):  # type: ignore[misc]
    """Resizes images to cover *height* and *width*, then takes the centre: RandomCrop in inference. No weights.

    Source: TensorFlow 2.6 ``python/keras/layers/preprocessing/image_preprocessing.py`` (RandomCrop).
    """

    def __init__(self, height: int, width: int, *, seed: Any = None, data_format: Any = None, **kwargs: Any) -> None:
        del seed, data_format  # which its releases do not have
        super().__init__(height, width, **kwargs)

    def transformed(self, images: Any) -> Any:
        """Resize and crop *images*."""
        rows, columns = tf.unstack(tf.shape(images)[1:3])
        is_tall = rows / columns > self.height / self.width
        resized_rows = tf.where(is_tall, tf.cast(self.width * rows / columns, tf.int32), self.height)
        resized_columns = tf.where(is_tall, self.width, tf.cast(self.height * columns / rows, tf.int32))
        resized = tf.image.resize(images, tf.stack([resized_rows, resized_columns]))
        top, left = (resized_rows - self.height) // 2, (resized_columns - self.width) // 2
        return tf.image.crop_to_bounding_box(resized, top, left, self.height, self.width)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Replace the spatial axes."""
        return (input_shape[0], self.height, self.width, input_shape[3])
