"""Activations of Keras 1 and 2 that Keras 3 changed or dropped."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["ThresholdedReLU", "hard_sigmoid", "hard_sigmoid_of_keras_3"]


def hard_sigmoid(x: Any) -> Any:
    """The hard sigmoid of Keras 1 and 2: ``clip(0.2 * x + 0.5, 0, 1)``.

    Source: tf_keras 2.21 ``backend.py`` (hard_sigmoid). Keras 3 computes ``relu6(x + 3) / 6``.
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def hard_sigmoid_of_keras_3(x: Any) -> Any:
    """The hard sigmoid of Keras 3: ``relu6(x + 3) / 6``. tf_keras needs the name; here it is Keras's own."""
    return keras.activations.hard_sigmoid(x)


class ThresholdedReLU(keras.layers.Layer):  # type: ignore[misc]
    """``x`` where it is greater than *theta*, else 0. No weights.

    Source: tf_keras 2.21 ``layers/activation/thresholded_relu.py``.
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.theta = float(theta)

    def call(self, inputs: Any) -> Any:
        """Apply the threshold."""
        return inputs * ops.cast(ops.greater(inputs, ops.cast(self.theta, inputs.dtype)), inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "theta": self.theta}
