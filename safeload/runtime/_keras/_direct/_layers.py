"""What layers of convolutional networks compute, as nodes of a graph: those that Keras's own trace has.

Each function takes the settings of a layer that change what it computes, and refuses values that it does not know.
What is left over must be among the settings that only matter for training.

Source: ``call`` of the layers in keras/src/layers and ``keras/src/backend/tensorflow/nn.py`` of keras 3.3.3 to 3.15.1;
the tests hold each against the function that Keras traces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from safeload.runtime._keras._direct._graph import Graph, NotUnderstoodError, Shape, Tensor

_TRAINING = ("_initializer", "_regularizer", "_constraint")
"""Ends of the names of settings that only matter before and during training."""


class Layer:
    """One call of a layer.

    Attributes:
        name: Its name.
        inputs: What it is called on.
    """

    def __init__(self, graph: Graph, name: str, config: Mapping[str, Any], inputs: Sequence[Tensor]) -> None:
        self.name = name
        self.inputs = inputs
        self._graph = graph
        self._left = dict(config)
        self._require_floats()

    def take(self, setting: str, default: Any, *allowed: Any) -> Any:
        """Return the value of *setting*, which is one of *allowed* if any are given.

        Raises:
            NotUnderstoodError: It is none of them.
        """
        value = self._left.pop(setting, default)
        if allowed and not any(type(value) is type(known) and value == known for known in allowed):
            raise NotUnderstoodError(f"{self.name} has {setting}={value!r:.80}")
        return value

    def drop(self, *settings: str) -> None:
        """Leave out what only matters for training."""
        for setting in settings:
            self._left.pop(setting, None)

    def finish(self) -> None:
        """Check that no setting is left that may change what the layer computes."""
        self.drop("name", "trainable")
        left = [setting for setting in self._left if not setting.endswith(_TRAINING)]
        if left:
            raise NotUnderstoodError(f"{self.name} has {left[0]}")

    def only(self, rank: int) -> Tensor:
        """Return the one input, of *rank* axes."""
        if len(self.inputs) != 1 or len(self.inputs[0].shape) != rank:
            raise NotUnderstoodError(f"{self.name} has other inputs")
        return self.inputs[0]

    def pair(self, setting: str, default: Any = None) -> tuple[int, int]:
        """Return two positive integers."""
        found = self.take(setting, default)
        if not isinstance(found, list | tuple) or len(found) != 2 or not all(type(n) is int and n > 0 for n in found):
            raise NotUnderstoodError(f"{self.name} has {setting}={found!r:.80}")
        return found[0], found[1]

    def windows(self, shape: Shape, size: Sequence[int]) -> tuple[dict[str, Any], list[int | None]]:
        """Return the attributes of an op that moves a window of *size* over *shape*, and the sizes of the result."""
        strides = self.pair("strides", size)
        padding = self.take("padding", "valid", "valid", "same")
        sizes = []
        for length, width, stride in zip(shape[1:3], size, strides, strict=True):
            taken = None if length is None else length if padding == "same" else length - width + 1
            if taken is not None and taken < 1:
                raise NotUnderstoodError(f"{self.name} has a window larger than its input")
            sizes.append(None if taken is None else -(-taken // stride))
        attributes = {"strides": [1, *strides, 1], "padding": padding.upper().encode(), "data_format": b"NHWC"}
        return attributes, sizes

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; see `Graph.add`."""
        return self._graph.add(op, *inputs, **attributes)

    def constant(self, value: Any, dtype: Any = np.int32) -> str:
        """Add a constant; see `Graph.constant`."""
        return self._graph.constant(value, dtype)

    def variable(self, name: str, shape: Sequence[int | None]) -> str:
        """Read a variable of the layer; see `Graph.variable`."""
        return self._graph.variable(self.name, name, shape)

    def activated(self, tensor: str) -> str:
        """Apply what the layer has as its activation."""
        op = _ACTIVATIONS[self.take("activation", "linear", *_ACTIVATIONS)]
        return self.add(op, tensor) if op else tensor

    def _require_floats(self) -> None:
        dtype = self._left.pop("dtype", "float32")
        policy = dtype.get("config") if isinstance(dtype, dict) and dtype.get("class_name") == "DTypePolicy" else None
        if dtype != "float32" and not (isinstance(policy, dict) and policy.get("name") == "float32"):
            raise NotUnderstoodError(f"{self.name} has dtype={dtype!r:.80}")
        self.take("data_format", "channels_last", "channels_last", None)


_ACTIVATIONS = {
    "linear": "",
    "relu": "Relu",
    "relu6": "Relu6",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "tanh": "Tanh",
}


def _with_bias(layer: Layer, tensor: str, channels: int) -> str:
    if not layer.take("use_bias", True, True, False):
        return tensor
    bias = layer.variable("bias", (channels,))
    bias = layer.add("Reshape", bias, layer.constant([1, 1, 1, channels]))
    return layer.add("BiasAdd", tensor, layer.add("Squeeze", bias), data_format=b"NHWC")


def _undilated(layer: Layer) -> None:
    if layer.pair("dilation_rate", (1, 1)) != (1, 1):
        raise NotUnderstoodError(f"{layer.name} is dilated")
    layer.take("groups", 1, 1)


def _conv2d(layer: Layer) -> Tensor:
    x = layer.only(4)
    _undilated(layer)
    kernel_size, channels = layer.pair("kernel_size"), _count(layer, "filters")
    attributes, sizes = layer.windows(x.shape, kernel_size)
    kernel = layer.variable("kernel", (*kernel_size, x.shape[3], channels))
    y = _with_bias(layer, layer.add("Conv2D", x.name, kernel, **attributes), channels)
    return Tensor(layer.activated(y), (None, *sizes, channels))


def _depthwise(layer: Layer, leaf: str) -> tuple[str, list[int | None], int]:
    """Add a depthwise convolution; return its result, the sizes of that, and the number of its channels."""
    x = layer.only(4)
    _undilated(layer)
    kernel_size, multiplier = layer.pair("kernel_size"), _count(layer, "depth_multiplier")
    attributes, sizes = layer.windows(x.shape, kernel_size)
    if len(set(attributes["strides"][1:3])) > 1:
        raise NotUnderstoodError(f"{layer.name} has two strides")
    kernel = layer.variable(leaf, (*kernel_size, x.shape[3], multiplier))
    channels = x.shape[3] or 0
    return layer.add("DepthwiseConv2dNative", x.name, kernel, **attributes), sizes, channels * multiplier


def _depthwise_conv2d(layer: Layer) -> Tensor:
    y, sizes, channels = _depthwise(layer, "kernel")
    return Tensor(layer.activated(_with_bias(layer, y, channels)), (None, *sizes, channels))


def _separable_conv2d(layer: Layer) -> Tensor:
    y, sizes, between = _depthwise(layer, "depthwise_kernel")
    channels = _count(layer, "filters")
    kernel = layer.variable("pointwise_kernel", (1, 1, between, channels))
    y = layer.add("Conv2D", y, kernel, strides=[1, 1, 1, 1], padding=b"VALID", data_format=b"NHWC")
    return Tensor(layer.activated(_with_bias(layer, y, channels)), (None, *sizes, channels))


def _batch_normalization(layer: Layer) -> Tensor:
    x = layer.only(4)
    is_reshaped = layer.take("axis", -1, -1, 3) == 3
    layer.take("renorm", False, False)
    layer.drop("momentum", "synchronized", "renorm_clipping", "renorm_momentum")
    scale, center = (layer.take(setting, True, True, False) for setting in ("scale", "center"))
    channels = x.shape[3:]

    def variable(name: str) -> str:
        found = layer.variable(name, channels)
        return layer.add("Reshape", found, layer.constant([1, 1, 1, *channels])) if is_reshaped else found

    gamma = variable("gamma") if scale else ""
    beta = variable("beta") if center else ""
    mean, variance = variable("moving_mean"), variable("moving_variance")
    # ``batch_normalization`` in tensorflow/python/ops/nn_impl.py (2.21)
    factor = layer.add("AddV2", variance, layer.constant(_number(layer, "epsilon", 1e-3), np.float32))
    factor = layer.add("Rsqrt", factor)
    factor = layer.add("Mul", factor, gamma) if scale else factor
    product = layer.add("Mul", x.name, factor)
    if center:
        shift = layer.add("Sub", beta, layer.add("Mul", mean, factor))
    else:
        shift = layer.add("Mul", layer.add("Neg", mean), factor)
    return Tensor(layer.add("AddV2", product, shift), x.shape)


def _relu(layer: Layer) -> Tensor:
    (x,) = layer.inputs
    layer.take("threshold", 0.0, 0.0, 0, None)
    layer.take("negative_slope", 0.0, 0.0, 0, None)
    op = "Relu" if layer.take("max_value", None, None, 6.0, 6) is None else "Relu6"
    return Tensor(layer.add(op, x.name), x.shape)


def _activation(layer: Layer) -> Tensor:
    (x,) = layer.inputs
    return Tensor(layer.activated(x.name), x.shape)


def _merged(op: str) -> Callable[[Layer], Tensor]:
    def merge(layer: Layer) -> Tensor:
        first, *others = layer.inputs
        if not others or any(other.shape != first.shape for other in others):
            raise NotUnderstoodError(f"{layer.name} merges tensors of several shapes")
        y = first.name
        for other in others:
            y = layer.add(op, y, other.name)
        return Tensor(y, first.shape)

    return merge


def _concatenate(layer: Layer) -> Tensor:
    axis = layer.take("axis", -1, -1, 3)
    shapes = [x.shape for x in layer.inputs]
    if len(shapes) < 2 or {len(shape) for shape in shapes} != {4} or len({shape[:3] for shape in shapes}) > 1:
        raise NotUnderstoodError(f"{layer.name} joins tensors of several shapes")
    inputs = [x.name for x in layer.inputs]
    y = layer.add("ConcatV2", *inputs, layer.constant(axis), N=len(inputs))
    return Tensor(y, (*shapes[0][:3], sum(shape[3] or 0 for shape in shapes)))


def _zero_padding2d(layer: Layer) -> Tensor:
    x = layer.only(4)
    found = layer.take("padding", None)
    try:
        (top, bottom), (left, right) = found
    except (TypeError, ValueError) as error:
        raise NotUnderstoodError(f"{layer.name} has padding={found!r:.80}") from error
    if not all(type(n) is int and n >= 0 for n in (top, bottom, left, right)):
        raise NotUnderstoodError(f"{layer.name} has padding={found!r:.80}")
    y = layer.add("Pad", x.name, layer.constant([[0, 0], [top, bottom], [left, right], [0, 0]]))
    _, height, width, channels = x.shape
    sizes = None if height is None else height + top + bottom, None if width is None else width + left + right
    return Tensor(y, (None, *sizes, channels))


def _pooling2d(op: str) -> Callable[[Layer], Tensor]:
    def pool(layer: Layer) -> Tensor:
        x = layer.only(4)
        size = layer.pair("pool_size")
        attributes, sizes = layer.windows(x.shape, size)
        return Tensor(layer.add(op, x.name, ksize=[1, *size, 1], **attributes), (None, *sizes, x.shape[3]))

    return pool


def _global_pooling2d(op: str) -> Callable[[Layer], Tensor]:
    def pool(layer: Layer) -> Tensor:
        x = layer.only(4)
        keeps = layer.take("keepdims", False, True, False)
        y = layer.add(op, x.name, layer.constant([1, 2]), keep_dims=keeps)
        return Tensor(y, (None, 1, 1, x.shape[3]) if keeps else (None, x.shape[3]))

    return pool


def _dense(layer: Layer) -> Tensor:
    x = layer.only(2)
    units = _count(layer, "units")
    layer.take("quantization_config", None, None)
    y = layer.add("MatMul", x.name, layer.variable("kernel", (x.shape[1], units)))
    if layer.take("use_bias", True, True, False):
        y = layer.add("BiasAdd", y, layer.variable("bias", (units,)), data_format=b"NHWC")
    return Tensor(layer.activated(y), (None, units))


def _flatten(layer: Layer) -> Tensor:
    (x,) = layer.inputs
    size = 1
    for length in x.shape[1:]:
        if length is None:
            raise NotUnderstoodError(f"{layer.name} flattens an unknown number of values")
        size *= length
    return _reshaped(layer, x, (size,))


def _reshape(layer: Layer) -> Tensor:
    (x,) = layer.inputs
    target = layer.take("target_shape", None)
    is_known = isinstance(target, list | tuple) and all(type(n) is int and n > 0 for n in target)
    if not is_known or None in x.shape[1:] or np.prod(target) != np.prod([n or 0 for n in x.shape[1:]]):
        raise NotUnderstoodError(f"{layer.name} has target_shape={target!r:.80}")
    return _reshaped(layer, x, tuple(target))


def _reshaped(layer: Layer, x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    shape = layer.add("Shape", x.name)
    zero, one = layer.constant([0]), layer.constant([1])
    rows = layer.add("StridedSlice", shape, zero, one, one, T=tf.int32, Index=tf.int32, shrink_axis_mask=1)
    sizes_of = [layer.constant(size) for size in sizes]
    target = layer.add("Pack", rows, *sizes_of, N=1 + len(sizes), T=tf.int32)
    return Tensor(layer.add("Reshape", x.name, target), (None, *sizes))


def _dropout(layer: Layer) -> Tensor:
    layer.drop("rate", "seed", "noise_shape")
    (x,) = layer.inputs
    return x


def _rescaling(layer: Layer) -> Tensor:
    (x,) = layer.inputs
    y = layer.add("Mul", x.name, layer.constant(_number(layer, "scale"), np.float32))
    return Tensor(layer.add("AddV2", y, layer.constant(_number(layer, "offset", 0.0), np.float32)), x.shape)


def _count(layer: Layer, setting: str) -> int:
    found = layer.take(setting, None)
    if type(found) is not int or found < 1:
        raise NotUnderstoodError(f"{layer.name} has {setting}={found!r:.80}")
    return found


def _number(layer: Layer, setting: str, default: Any = None) -> float:
    found = layer.take(setting, default)
    if type(found) not in (int, float):
        raise NotUnderstoodError(f"{layer.name} has {setting}={found!r:.80}")
    return float(found)


LAYERS: dict[str, Callable[[Layer], Tensor]] = {
    "Activation": _activation,
    "Add": _merged("AddV2"),
    "AveragePooling2D": _pooling2d("AvgPool"),
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": _conv2d,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "GlobalAveragePooling2D": _global_pooling2d("Mean"),
    "GlobalMaxPooling2D": _global_pooling2d("Max"),
    "MaxPooling2D": _pooling2d("MaxPool"),
    "Multiply": _merged("Mul"),
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SeparableConv2D": _separable_conv2d,
    "SpatialDropout2D": _dropout,
    "ZeroPadding2D": _zero_padding2d,
}
"""Class of Keras → what adds its nodes."""
