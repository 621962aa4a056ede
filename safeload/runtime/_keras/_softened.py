"""Softmax where there are masks, as earlier releases computed it. Layer: runtime.

From 3.10 on, Keras makes all zero where all is masked. Before, it added a large negative number to what is masked, so
that where all is masked all counts alike: so do padded steps that attend in MultiHeadAttention, which has a Softmax
inside. The first releases looked at no mask.

Source: ``call`` in keras/src/layers/activations/softmax.py of 3.9.2 and 3.10.0; tf_keras 2.21
``layers/activation/softmax.py``; ``layers/advanced_activations.py`` of Keras 2.3.1, and of TensorFlow 2.3 and 2.4,
which both call themselves 2.4.0.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.dialects import Flavour, NormalForm, may_mask_attention
from safeload.runtime._keras._package import flat_layers, is_own_class

_TAKES_MASKS, _SURELY_TAKES_MASKS = (2, 4), (2, 5)
_MAKES_ZERO = (3, 10)
_MASKED = {"float16": -3e4}
_MASKED_ELSE = -1e9


def add_masks_to_softmax(model: Any, normal: NormalForm | None) -> None:
    """Let Softmax layers of *model* take masks as the writer did.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It is not known which release that is.
    """
    if normal is None or not normal.writer.may_be_before(_MAKES_ZERO) or _needs_no_release(normal):
        return
    call = _call_of(normal.writer.flavour, normal.writer.version)
    for layer in flat_layers(model):
        is_softmax = type(layer).__name__ == "Softmax" and is_own_class(layer)
        if is_softmax and normal.writer.is_before(_MAKES_ZERO, layer.name):
            layer.call = MethodType(call, layer)


def _needs_no_release(normal: NormalForm) -> bool:
    """Tell whether the release is not known, and there are no masks for which it would matter."""
    writer = normal.writer
    is_unknown = writer.flavour is Flavour.KERAS_3 and not writer.version
    return is_unknown and not may_mask_attention(normal.config, writer)


def _call_of(flavour: Flavour, version: tuple[int, ...]) -> Any:
    is_tensorflow = flavour is Flavour.TF_KERAS_1X
    if flavour in {Flavour.KERAS_1, Flavour.KERAS_2} or (is_tensorflow and version and version < _TAKES_MASKS):
        return _without_mask
    return _with_fitting_mask_added if is_tensorflow and version < _SURELY_TAKES_MASKS else _with_mask_added


def _without_mask(self: Any, inputs: Any, mask: Any = None) -> Any:
    del mask
    return type(self).call(self, inputs)


def _with_fitting_mask_added(self: Any, inputs: Any, mask: Any = None) -> Any:
    """With a mask that has fewer axes TensorFlow 2.4 fails, so it was 2.3."""
    return _with_mask_added(self, inputs, None if mask is None or len(mask.shape) < len(inputs.shape) else mask)


def _with_mask_added(self: Any, inputs: Any, mask: Any = None) -> Any:
    if mask is not None:
        inputs += (1 - tf.cast(mask, inputs.dtype)) * _MASKED.get(inputs.dtype.name, _MASKED_ELSE)
    return type(self).call(self, inputs)
