"""Layers of Keras 3 before 3.11 that a call gives a mask: they use it, and pass on that of their input."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from safeload.dialects import TAKES_GIVEN_MASKS


class _InputMasked:
    """Takes the mask that goes on from the inputs, as a layer does to which no call gives one.

    Source: ``previous_mask`` in keras/src/layers/layer.py of 3.10.0.
    """

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002
        """Compute the mask of the output."""
        own = tf.nest.map_structure(lambda each: getattr(each, "_keras_mask", None), inputs)
        return super().compute_mask(inputs, own)  # type: ignore[misc]


def _layer(name: str) -> Any:
    # Archives find weights by the name of the class, which is that of Keras.
    return type(name, (_InputMasked, getattr(keras.layers, name)), {"__module__": __name__})


OBJECTS = {f"InputMasked{name}": _layer(name) for name in TAKES_GIVEN_MASKS}
"""Name in `dialects.COMPAT_OBJECTS` → class."""
