"""Bidirectional of Keras 1 and 2."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["Bidirectional"]

_ZEROES = "zero_output_for_mask"


class Bidirectional(keras.layers.Bidirectional):  # type: ignore[misc]
    """``keras.layers.Bidirectional`` whose layers give zeros for masked steps if they are told to. Weights as there.

    Source: ``layers/wrappers.py`` of TensorFlow 1.13, which tells all layers to, and of Keras 2.3.1, which tells none;
    Keras 3 tells those that return sequences.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        told = [getattr(one, _ZEROES, None) for one in (layer, kwargs.get("backward_layer") or layer)]
        super().__init__(layer, **kwargs)
        for direction, zeroes in zip((self.forward_layer, self.backward_layer), told, strict=True):
            if zeroes is not None:
                setattr(direction, _ZEROES, zeroes)
