"""Resizing and cropping of images with the dtypes of earlier releases, for layers of either Keras."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class CastsAsWritten:
    """Mixin of a layer that resizes images.

    Args:
        casts_first: Whether images are cast to the layer's dtype first. Otherwise only floats are, to a floating one,
            as Keras casts whatever enters a layer.
        gives: Dtype of the result: ``"own"``, ``"read"`` for that of the images, None for that of ``tf.image.resize``.

    Source: that of ``dialects/_eras/_resized.py``.
    """

    def __init__(
        self, height: int, width: int, *, casts_first: bool = False, gives: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "autocast": False})
        self.height, self.width = height, width
        self.casts_first, self.gives = casts_first, gives

    def call(self, inputs: Any) -> Any:
        """Resize *inputs*; what becomes integers is cut off."""
        images, own = tf.convert_to_tensor(inputs), tf.as_dtype(self.compute_dtype)  # type: ignore[attr-defined]
        if self.casts_first or (images.dtype.is_floating and own.is_floating):
            images = tf.cast(images, own)
        resized = self.transformed(images)
        return resized if self.gives is None else tf.cast(resized, own if self.gives == "own" else images.dtype)

    def transformed(self, images: Any) -> Any:
        """Return what becomes of *images*."""
        raise NotImplementedError


class Resizes(CastsAsWritten):
    """Resizing, with ``resized(images)`` for the rest: of floats, unless it takes the nearest pixels as they are."""

    interpolation: str

    def transformed(self, images: Any) -> Any:
        """Resize."""
        return self.resized(images if self.interpolation == "nearest" else tf.cast(images, tf.float32))  # type: ignore[attr-defined]


class Crops(CastsAsWritten):
    """CenterCrop, with ``resized(images)`` for images that are too small; *rows* is the axis of the height."""

    rows = -3

    def transformed(self, images: Any) -> Any:
        """Crop, or resize."""
        rows, size = self.rows + len(images.shape), (self.height, self.width)
        sizes = tf.shape(images)[rows : rows + 2]

        def cropped() -> Any:
            first = tf.pad((sizes - size) // 2, [[rows, len(images.shape) - rows - 2]])
            lengths = [*[-1] * rows, *size, *[-1] * (len(images.shape) - rows - 2)]
            return tf.slice(images, first, lengths)

        def covered() -> Any:
            return tf.cast(self.resized(tf.cast(images, tf.float32)), images.dtype)  # type: ignore[attr-defined]

        shape = images.shape.as_list()
        shape[rows : rows + 2] = size
        return tf.ensure_shape(tf.cond(tf.reduce_all(sizes >= size), cropped, covered), shape)
