"""Convolutions whose kernel differs at every place. Gone since Keras 3.

Source: tf_keras 2.21 ``layers/locally_connected``, ``backend.py`` (local_conv), ``utils/conv_utils.py``
(conv_kernel_mask).
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from safeload.errors import IncompatibleVersionError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LocallyConnected1D", "LocallyConnected2D"]

_LOOP, _DENSE = 1, 2  # values of ``implementation``: how the kernel is stored


class _LocallyConnected(keras.layers.Layer):  # type: ignore[misc]
    """An unshared convolution over *rank* axes.

    Weights: kernel, then bias (places…, filters) if *use_bias*.
    The kernel is (places, window · channels, filters) for implementation 1, and
    (input places…, channels, output places…, filters) for implementation 2, channels first:
    (channels, input places…, filters, output places…).
    """

    rank = 0

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        *,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        implementation: int = _LOOP,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        # What only training would need.
        del (
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
        )
        super().__init__(**kwargs)
        self.filters, self.padding, self.use_bias, self.implementation = filters, padding, use_bias, implementation
        self.kernel_size, self.strides = _tuple(kernel_size, self.rank), _tuple(strides, self.rank)
        self.is_channels_first = data_format == "channels_first"
        self.activation = keras.activations.get(activation)
        if implementation not in (_LOOP, _DENSE):
            raise IncompatibleVersionError(
                self.name,
                problem=f"a locally connected layer of implementation {implementation}",
                hint="load it with tf_keras and set implementation=1",
            )

    def build(self, input_shape: Any) -> None:
        """Make the weights for the size of the input, which must be known."""
        spatial = tuple(input_shape[2:] if self.is_channels_first else input_shape[1:-1])
        self.channels = input_shape[1 if self.is_channels_first else -1]
        self.places = self._places(spatial)
        if self.implementation == _LOOP:
            shape: tuple[int, ...] = (math.prod(self.places), math.prod(self.kernel_size) * self.channels, self.filters)
        elif self.is_channels_first:
            shape = (self.channels, *spatial, self.filters, *self.places)
        else:
            shape = (*spatial, self.channels, *self.places, self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel")
        self.bias = self.add_weight(shape=(*self.places, self.filters), name="bias") if self.use_bias else None
        self.mask = self._mask(spatial) if self.implementation == _DENSE else None

    def _places(self, spatial: Sequence[int]) -> tuple[int, ...]:
        windows = self.kernel_size if self.padding == "valid" else (1,) * self.rank
        return tuple((n - k + s) // s for n, k, s in zip(spatial, windows, self.strides, strict=True))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Places of the window, with the filters for channels."""
        places = self._places(input_shape[2:] if self.is_channels_first else input_shape[1:-1])
        if self.is_channels_first:
            return (input_shape[0], self.filters, *places)
        return (input_shape[0], *places, self.filters)

    def call(self, inputs: Any) -> Any:
        """Convolve."""
        outputs = self._by_windows(inputs) if self.implementation == _LOOP else self._by_matrix(inputs)
        if self.is_channels_first:
            outputs = tf.transpose(outputs, (0, self.rank + 1, *range(1, self.rank + 1)))
        if self.bias is not None:
            # Channels first, Keras 2 reads the array of (places…, filters) as (filters, places…): ``bias_add``.
            shape = (self.filters, *self.places) if self.is_channels_first else self.bias.shape
            outputs = outputs + tf.reshape(self.bias, shape)
        return self.activation(outputs)

    def _by_windows(self, inputs: Any) -> Any:
        """Gather the window of every place, then multiply each with its own kernel."""
        axes = range(2, 2 + self.rank) if self.is_channels_first else range(1, 1 + self.rank)
        windows = inputs
        for axis in reversed(axes):
            number = axis - axes[0]
            starts = np.arange(self.places[number])[:, None] * self.strides[number]
            windows = tf.gather(windows, starts + np.arange(self.kernel_size[number]), axis=axis)
        # Each spatial axis is now two: place, offset in the window. Places go first.
        place_axes = [axes[0] + 2 * i for i in range(self.rank)]
        others = [axis for axis in range(1, windows.shape.rank) if axis not in place_axes]
        windows = tf.transpose(windows, (0, *place_axes, *others))
        windows = tf.reshape(windows, (-1, self.kernel.shape[0], self.kernel.shape[1]))
        outputs = tf.einsum("bpf,pfo->bpo", windows, tf.convert_to_tensor(self.kernel))
        return tf.reshape(outputs, (-1, *self.places, self.filters))

    def _by_matrix(self, inputs: Any) -> Any:
        """Multiply with one matrix that is zero outside the windows; the result has its channels last."""
        kernel = tf.convert_to_tensor(self.kernel) * self.mask
        size = math.prod(inputs.shape[1:])
        outputs = tf.matmul(tf.reshape(inputs, (-1, size)), tf.reshape(kernel, (size, -1)))
        if self.is_channels_first:
            outputs = tf.reshape(outputs, (-1, self.filters, *self.places))
            return tf.transpose(outputs, (0, *range(2, 2 + self.rank), 1))
        return tf.reshape(outputs, (-1, *self.places, self.filters))

    def _mask(self, spatial: Sequence[int]) -> Any:
        """Ones where an input place lies in the window of an output place, of the rank of the kernel."""
        mask = np.zeros((*spatial, *self.places), "float32")
        for place in itertools.product(*map(range, self.places)):
            window: tuple[Any, ...] = tuple(
                self._window(axis, index, spatial[axis]) for axis, index in enumerate(place)
            )
            mask[window + place] = 1
        if self.is_channels_first:
            return mask[None].reshape((1, *spatial, 1, *self.places))
        return mask.reshape((*spatial, 1, *self.places, 1))

    def _window(self, axis: int, place: int, size: int) -> slice:
        before = self.kernel_size[axis] // 2
        centre = place * self.strides[axis] + (before if self.padding == "valid" else 0)
        return slice(max(0, centre - before), min(size, centre + self.kernel_size[axis] - before))


def _tuple(value: Any, length: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,) * length


class LocallyConnected1D(_LocallyConnected):
    """An unshared convolution over time."""

    rank = 1


class LocallyConnected2D(_LocallyConnected):
    """An unshared convolution over images."""

    rank = 2
