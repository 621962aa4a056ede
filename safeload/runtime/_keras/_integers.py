"""What is no float and enters layers that compute floats, as earlier releases computed it. Layer: runtime.

Keras 2 and the first releases of Keras 3 make floats of integers to normalise them; later ones cut the mean off, or
fail. Keras 2 cuts the mean of pooling off, where Keras 3 gives floats, and resizes to floats, where Keras 3 gives
integers. It multiplies truths.

Source: ``call`` in keras/src/layers/normalization/layer_normalization.py of 3.10.0 and 3.11.3, unit_normalization.py of
3.5.0 and 3.6.0; ``mean`` and ``resize_images`` in tf_keras 2.21 ``backend.py``, ``layers/merging/multiply.py``.
"""

from __future__ import annotations

from functools import reduce
from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.dialects import NormalForm
from safeload.runtime._keras._package import flat_layers, is_own_class, package_of


def compute_integers_as_written(model: Any, normal: NormalForm | None) -> None:
    """Let layers of *model* compute from integers what they did in the release that wrote it, if that is known."""
    if normal is None or package_of(model).__name__ != "keras":
        return
    for layer in flat_layers(model):
        before, call = _CALLS.get(type(layer).__name__, (None, None))
        if call and is_own_class(layer) and normal.writer.tells(before) and normal.writer.may_be_before(before):
            layer.call = MethodType(call, layer)


def _of_floats(self: Any, inputs: Any) -> Any:
    return type(self).call(self, inputs if inputs.dtype.is_floating else tf.cast(inputs, self.compute_dtype))


def _pooled(self: Any, inputs: Any, **mask: Any) -> Any:
    if not inputs.dtype.is_integer or mask.get("mask") is not None:
        return type(self).call(self, inputs, **mask)
    first = 1 if self.data_format == "channels_last" else 2
    return tf.reduce_mean(inputs, [*range(first, first + len(inputs.shape) - 2)], keepdims=self.keepdims)


def _resized(self: Any, inputs: Any) -> Any:
    is_same = inputs.dtype.is_floating or self.interpolation == "nearest"
    return type(self).call(self, inputs if is_same else tf.cast(inputs, tf.float32))


def _multiplied(self: Any, inputs: Any) -> Any:
    are_truths = all(tensor.dtype == tf.bool for tensor in inputs)
    return reduce(tf.logical_and, inputs) if are_truths else type(self).call(self, inputs)


_CALLS: dict[str, tuple[Any, Any]] = {
    "LayerNormalization": ((3, 11), _of_floats),
    "UnitNormalization": ((3, 6), _of_floats),
    "GlobalAveragePooling1D": ((3,), _pooled),
    "GlobalAveragePooling2D": ((3,), _pooled),
    "GlobalAveragePooling3D": ((3,), _pooled),
    "UpSampling2D": ((3,), _resized),
    "Multiply": ((3,), _multiplied),
}
"""Class → the first release that does otherwise, and what the layer did before."""
