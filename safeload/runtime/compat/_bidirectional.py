"""Bidirectional of TensorFlow 1.13."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["Bidirectional"]


class Bidirectional(keras.layers.Bidirectional):  # type: ignore[misc]
    """``keras.layers.Bidirectional`` whose layers give zeros for masked steps, the last one too. Weights as there.

    Source: TensorFlow 1.13 ``python/keras/layers/wrappers.py``; later releases do so for whole sequences alone.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.forward_layer.zero_output_for_mask = self.backward_layer.zero_output_for_mask = True
