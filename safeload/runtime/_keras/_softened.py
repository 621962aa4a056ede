"""Softmax of what is masked in whole, which Keras 3 from 3.10 on makes zero. Layer: runtime.

Earlier releases add a large negative number to what is masked, so that where all is masked all counts alike: so do
padded steps that attend in MultiHeadAttention, which has a Softmax inside.

Source: ``call`` in keras/src/layers/activations/softmax.py of 3.9.2 and 3.10.0; tf_keras 2.21
``layers/activation/softmax.py``.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.dialects import NormalForm
from safeload.runtime._keras._package import flat_layers, is_own_class

_MAKES_ZERO = (3, 10)
_MASKED = {"float16": -3e4}
_MASKED_ELSE = -1e9


def add_masks_to_softmax(model: Any, normal: NormalForm | None) -> None:
    """Let Softmax layers of *model* take masks as the writer did."""
    if normal is not None and normal.writer.is_before(_MAKES_ZERO):
        for layer in flat_layers(model):
            if type(layer).__name__ == "Softmax" and is_own_class(layer):
                layer.call = MethodType(_with_mask_added, layer)


def _with_mask_added(self: Any, inputs: Any, mask: Any = None) -> Any:
    if mask is not None:
        inputs += (1 - tf.cast(mask, inputs.dtype)) * _MASKED.get(inputs.dtype.name, _MASKED_ELSE)
    return type(self).call(self, inputs)
