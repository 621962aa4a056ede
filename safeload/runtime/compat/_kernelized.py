"""The kernel approximation of ``tf.keras.layers.experimental``."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["RandomFourierFeatures"]


class RandomFourierFeatures(keras.layers.Layer):  # type: ignore[misc]
    """``cos(x · W / scale + b)``.

    Weights, in the order of the file: kernel_scale (1,), unscaled_kernel (input, output), bias (output,).

    Source: tf_keras 2.21 ``layers/kernelized.py``.
    """

    def __init__(
        self,
        output_dim: int,
        kernel_initializer: Any = "gaussian",
        scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_dim = output_dim
        self.kernel_initializer = kernel_initializer
        self.scale = scale

    def build(self, input_shape: Any) -> None:
        """Make the weights; their initial values are replaced by those of the file."""
        shape = (input_shape[-1], self.output_dim)
        self.unscaled_kernel = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="unscaled_kernel"
        )
        self.bias = self.add_weight(shape=(self.output_dim,), initializer="zeros", trainable=False, name="bias")
        self.kernel_scale = self.add_weight(shape=(1,), initializer="ones", name="kernel_scale")

    def call(self, inputs: Any) -> Any:
        """Map the inputs to random features."""
        return ops.cos(ops.matmul(inputs, self.unscaled_kernel / self.kernel_scale) + self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Replace the last axis."""
        return (*input_shape[:-1], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        own = {"output_dim": self.output_dim, "kernel_initializer": self.kernel_initializer, "scale": self.scale}
        return {**super().get_config(), **own}
