"""Layers that only Keras 1 had.

Source: keras 1.2.2 ``keras/layers/core.py``, ``advanced_activations.py``, ``normalization.py``, ``convolutional.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BatchNormalization",
    "CosineMerge",
    "Deconvolution2D",
    "Highway",
    "MaxoutDense",
    "ParametricSoftplus",
    "SReLU",
]


class _Keras1Layer(keras.layers.Layer):  # type: ignore[misc]
    """A layer that accepts the regularizers, constraints and initializers of its file: only training needs them."""

    def __init__(
        self,
        *,
        kernel_initializer: Any = None,
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        del kernel_initializer, kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return input_shape


class MaxoutDense(_Keras1Layer):
    """The maximum over *nb_feature* dense layers.

    Weights: W (nb_feature, input, units), b (nb_feature, units) if *use_bias*.
    """

    def __init__(self, units: int, *, nb_feature: int = 4, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.nb_feature, self.use_bias = units, nb_feature, use_bias

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self.kernel = self.add_weight(shape=(self.nb_feature, input_shape[-1], self.units), name="W")
        self.bias = self.add_weight(shape=(self.nb_feature, self.units), name="b") if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        """Compute every feature and keep the largest."""
        outputs = ops.einsum("bi,fio->bfo", inputs, self.kernel)
        return ops.max(outputs if self.bias is None else outputs + self.bias, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Replace the last axis."""
        return (*input_shape[:-1], self.units)


class Highway(_Keras1Layer):
    """A dense layer that a gate mixes with its input.

    Weights: W (input, input), W_carry (input, input), and if *use_bias* b (input,), b_carry (input,).
    """

    def __init__(
        self, *, activation: Any = "linear", use_bias: bool = True, transform_bias: Any = None, **kwargs: Any
    ) -> None:
        del transform_bias
        super().__init__(**kwargs)
        self.activation, self.use_bias = keras.activations.get(activation), use_bias

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        size = input_shape[-1]
        self.kernel = self.add_weight(shape=(size, size), name="W")
        self.carry_kernel = self.add_weight(shape=(size, size), name="W_carry")
        self.bias = self.add_weight(shape=(size,), name="b") if self.use_bias else 0.0
        self.carry_bias = self.add_weight(shape=(size,), name="b_carry") if self.use_bias else 0.0

    def call(self, inputs: Any) -> Any:
        """Transform, carry, mix."""
        gate = ops.sigmoid(ops.matmul(inputs, self.carry_kernel) + self.carry_bias)
        return gate * self.activation(ops.matmul(inputs, self.kernel) + self.bias) + (1 - gate) * inputs


class CosineMerge(_Keras1Layer):
    """The product of two inputs along *axes*, over the root of those with themselves. No weights.

    Source: ``_merge_function`` in keras/engine/topology.py of 1.0.8 to 1.2.2.
    """

    def __init__(self, *, axes: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dot = keras.layers.Dot(axes)

    def call(self, inputs: Any) -> Any:
        """Multiply and divide."""
        left, right = inputs
        squares = self.dot.call([left, left]) * self.dot.call([right, right])
        size = ops.sqrt(ops.maximum(squares, 0))  # as ``sqrt`` of the backend of Keras 1 does
        return ops.expand_dims(self.dot.call(inputs) / ops.maximum(size, 1e-7), 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the product, with an axis of one after the first."""
        first, *rest = self.dot.compute_output_shape(input_shape)
        return (first, 1, *rest)


class _SharedAxesLayer(_Keras1Layer):
    """A layer with weights of the shape of a sample, of size 1 along *shared_axes*."""

    weight_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, shared_axes: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = shared_axes if isinstance(shared_axes, (list, tuple)) else [shared_axes]
        self.shared_axes = [axis for axis in axes if axis is not None]

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        shape = [1 if axis in self.shared_axes else size for axis, size in enumerate(input_shape)][1:]
        for name in self.weight_names:
            setattr(self, name, self.add_weight(shape=shape, name=name))


class SReLU(_SharedAxesLayer):
    """The S-shaped rectified linear unit.

    Weights: t_left, a_left, t_right, a_right, each of the shape of a sample.
    """

    weight_names: ClassVar[tuple[str, ...]] = ("t_left", "a_left", "t_right", "a_right")

    def __init__(
        self,
        *,
        t_left_init: Any = None,
        a_left_init: Any = None,
        t_right_init: Any = None,
        a_right_init: Any = None,
        **kwargs: Any,
    ) -> None:
        del t_left_init, a_left_init, t_right_init, a_right_init
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        """Bend at both thresholds."""
        right = self.t_left + ops.abs(self.t_right)
        shifted = inputs - self.t_left
        centre = ops.minimum(ops.relu(shifted), right - self.t_left) - self.a_left * ops.relu(-shifted)
        return self.t_left + centre + ops.relu(inputs - right) * self.a_right


class ParametricSoftplus(_SharedAxesLayer):
    """``alpha * softplus(beta * x)``.

    Weights: alpha, beta, each of the shape of a sample.
    """

    weight_names: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    def __init__(self, *, alpha_init: Any = None, beta_init: Any = None, **kwargs: Any) -> None:
        del alpha_init, beta_init
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        """Apply the function."""
        return ops.softplus(self.beta * inputs) * self.alpha


class BatchNormalization(_Keras1Layer):
    """Batch normalization of mode 1 (each sample over its last axis) or 2 (each batch, in inference too).

    Weights: gamma, beta, moving_mean, moving_variance, each of the size of *axis*; the last two are not used.
    """

    def __init__(
        self,
        mode: int,
        *,
        axis: int = -1,
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        beta_initializer: Any = None,
        gamma_initializer: Any = None,
        gamma_regularizer: Any = None,
        beta_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        del beta_initializer, gamma_initializer, gamma_regularizer, beta_regularizer
        super().__init__(**kwargs)
        self.mode, self.axis, self.epsilon, self.momentum = mode, axis, epsilon, momentum

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        shape = (input_shape[self.axis],)
        self.gamma = self.add_weight(shape=shape, name="gamma")
        self.beta = self.add_weight(shape=shape, name="beta")
        self.moving_mean = self.add_weight(shape=shape, name="moving_mean", trainable=False)
        self.moving_variance = self.add_weight(shape=shape, name="moving_variance", trainable=False)

    def call(self, inputs: Any) -> Any:
        """Normalise *inputs* by their own statistics."""
        return self._by_sample(inputs) if self.mode == 1 else self._by_batch(inputs)

    def _by_sample(self, inputs: Any) -> Any:
        deviation = ops.sqrt(ops.var(inputs, axis=-1, keepdims=True) + self.epsilon)
        normed = (inputs - ops.mean(inputs, axis=-1, keepdims=True)) / (deviation + self.epsilon)
        return self.gamma * normed + self.beta

    def _by_batch(self, inputs: Any) -> Any:
        kept = self.axis % len(inputs.shape)
        axes = [axis for axis in range(len(inputs.shape)) if axis != kept]
        shape = [-1 if axis == kept else 1 for axis in range(len(inputs.shape))]
        mean, variance = ops.moments(inputs, axes=axes, keepdims=True)
        normed = (inputs - mean) / ops.sqrt(variance + self.epsilon)
        return ops.reshape(self.gamma, shape) * normed + ops.reshape(self.beta, shape)


class Deconvolution2D(keras.layers.Conv2DTranspose):  # type: ignore[misc]
    """A transposed convolution whose output size is stated.

    Weights: kernel (rows, columns, filters, input channels), bias (filters,) if *use_bias*.
    """

    def __init__(self, filters: int, kernel_size: Any, output_shape: Sequence[int | None], **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.stated_shape = tuple(output_shape)

    def call(self, inputs: Any) -> Any:
        """Convolve to the stated size."""
        is_first = self.data_format == "channels_first"
        images = tf.transpose(inputs, (0, 2, 3, 1)) if is_first else inputs
        rows, columns = self.stated_shape[2:4] if is_first else self.stated_shape[1:3]
        shape = tf.stack([tf.shape(images)[0], rows, columns, self.filters])
        outputs = tf.nn.conv2d_transpose(images, self.kernel, shape, self.strides, padding=self.padding.upper())
        if self.use_bias:
            outputs = outputs + self.bias
        outputs = tf.transpose(outputs, (0, 3, 1, 2)) if is_first else outputs
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The stated shape with the batch of the input."""
        spatial = self.stated_shape[2:4] if self.data_format == "channels_first" else self.stated_shape[1:3]
        if self.data_format == "channels_first":
            return (input_shape[0], self.filters, *spatial)
        return (input_shape[0], *spatial, self.filters)

    def compute_output_spec(self, inputs: Any) -> Any:
        """The stated shape; Keras's own would compute it from the strides."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
