"""Biases along another axis than the last, which Keras 3 from 3.7 on may add along the last. Layer: runtime.

Keras 3 takes a bias of one axis for one of ``tf.nn.bias_add``, and guesses that axis by its length: with channels
first, and as many channels as there are columns, it adds along the columns. Files of releases that did not are
computed as those did.

Source: ``add`` in keras/src/backend/tensorflow/numpy.py of 3.6.0, 3.7.0 and 3.15.1.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.dialects import NormalForm
from safeload.runtime._keras._package import flat_layers

_GUESSING = (3, 7)
_OF_KERAS_3 = ("keras.", "safeload.runtime.compat._einsum")


def add_biases_where_they_are(model: Any, normal: NormalForm | None) -> None:
    """Let layers of *model* add their biases along the axis that they belong to, as the writer did.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It is not known which release that is.
    """
    if normal is not None and normal.writer.may_be_before(_GUESSING):
        for layer in flat_layers(model):
            is_biased = type(layer).__module__.startswith(_OF_KERAS_3) and _has_bias_inside(layer)
            is_guessed = is_biased and _may_be_guessed_wrong(layer)
            if is_guessed and normal.writer.is_before(_GUESSING, layer.name):
                layer.call = MethodType(_with_plain_bias(layer), layer)


def _has_bias_inside(layer: Any) -> bool:
    """Tell whether *layer* is one of Keras's convolutions or products whose bias has one axis, and not the last one."""
    bias = getattr(layer, "bias", None)
    if bias is None or hasattr(layer, "recurrent_activation"):  # a ConvLSTM adds its bias by the sign, along its axis
        return False
    if hasattr(layer, "kernel_size"):
        return bool(layer.data_format == "channels_first")
    return type(layer).__name__ == "EinsumDense" and bias.shape[-1] == 1 and len(bias.shape) > 1


def _may_be_guessed_wrong(layer: Any) -> bool:
    """Tell whether Keras may take another axis than that of the bias of *layer*: the last or first one as long as it.

    Source: ``add`` in keras/src/backend/tensorflow/numpy.py (3.15.1).
    """
    sizes = tuple(layer.bias.shape)
    length = max(sizes)
    shapes = [tensor.shape for node in layer._inbound_nodes for tensor in node.output_tensors]  # noqa: SLF001
    for shape in shapes:
        right = 1 if hasattr(layer, "kernel_size") else len(shape) - len(sizes) + sizes.index(length)
        if any(shape[axis] in (None, length) for axis in {1, len(shape) - 1} - {right}):
            return True
    return not shapes


def _with_plain_bias(layer: Any) -> Any:
    bare = object.__new__(type(layer))  # shares all that the layer has, but adds no bias and has no activation
    bare.__dict__.update(layer.__dict__, use_bias=False, bias=None, activation=None)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = type(self).call(bare, *args, **kwargs)
        bias = tf.convert_to_tensor(self.bias)
        if hasattr(self, "kernel_size"):
            bias = tf.reshape(bias, [1, -1] + [1] * (len(outputs.shape) - 2))
        outputs = tf.add(outputs, bias)
        return outputs if self.activation is None else self.activation(outputs)

    return call
