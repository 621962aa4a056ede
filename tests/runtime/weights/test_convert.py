"""Arrays that old layers held in another arrangement."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from safeload.runtime._weights._convert import converted
from safeload.runtime._weights._match import Slot
from safeload.runtime._weights._saved import Saved


def _item(leaf: str, array: np.ndarray[Any, Any], *, era_1: bool = False) -> Saved:
    return Saved(("layer",), leaf, array.shape, lambda: array, leaf, era_1)


def _slot(kind: str, leaf: str, shape: tuple[int, ...], **attributes: Any) -> Slot:
    layer = type(kind, (SimpleNamespace,), {})(**attributes)
    return Slot(("layer", leaf), shape, True, None, layer)


def test_a_conv1d_kernel_of_keras_1_loses_its_second_axis() -> None:
    """Keras 1 computed it as a convolution of height 1."""
    array = np.arange(24.0).reshape(3, 1, 2, 4)
    ((item, _),) = converted([(_item("kernel", array, era_1=True), _slot("Conv1D", "kernel", (3, 2, 4)))], backend=None)
    assert item.shape == (3, 2, 4)
    np.testing.assert_array_equal(item.read(), array[:, 0])


@pytest.mark.parametrize(
    ("kind", "data_format", "axes"),
    [("Conv2D", "channels_first", (2, 3, 1, 0)), ("Deconvolution2D", "channels_last", (0, 1, 3, 2))],
)
def test_kernels_of_keras_1_are_transposed(kind: str, data_format: str, axes: tuple[int, ...]) -> None:
    """Axes follow the class and the data format, also where the shape would fit as it is."""
    array = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
    slot = _slot(kind, "kernel", (3, 3, 3, 3), data_format=data_format)
    ((item, _),) = converted([(_item("kernel", array, era_1=True), slot)], backend=None)
    np.testing.assert_array_equal(item.read(), array.transpose(axes))


@pytest.mark.parametrize("leaf", ["depthwise_kernel", "pointwise_kernel"])
def test_both_kernels_of_a_separable_convolution_are_transposed(leaf: str) -> None:
    """With channels first, Keras 1 had them in the order of Theano."""
    array = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    slot = _slot("SeparableConv2D", leaf, (4, 5, 3, 2), data_format="channels_first")
    ((item, _),) = converted([(_item(leaf, array, era_1=True), slot)], backend=None)
    assert item.shape == (4, 5, 3, 2)
    np.testing.assert_array_equal(item.read(), array.transpose(2, 3, 1, 0))


def test_each_gate_of_a_convolution_that_recurs_is_transposed() -> None:
    """Keras 1 had an array for each; joined along the last axis, they stay apart."""
    gates = np.random.default_rng(0).normal(size=(4, 2, 3, 5, 6))
    slot = _slot("ConvLSTMCell", "recurrent_kernel", (5, 6, 3, 8), data_format="channels_first")
    item = _item("recurrent_kernel", np.concatenate(gates, axis=-1), era_1=True)
    ((found, _),) = converted([(item, slot)], backend=None)
    assert found.shape == (5, 6, 3, 8)
    np.testing.assert_array_equal(found.read(), np.concatenate([g.transpose(2, 3, 1, 0) for g in gates], axis=-1))


@pytest.mark.parametrize(("shape", "wanted"), [((1, 1, 2), (3, 4, 2)), ((1, 5, 2), (3, 4, 2)), ((1, 2), (3, 4, 2))])
def test_weights_of_shared_axes_are_repeated(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Keras 1 does not record the axes, but the shape tells them; another one fits nowhere."""
    array = np.random.default_rng(0).normal(size=shape)
    ((item, _),) = converted([(_item("t_left", array, era_1=True), _slot("SReLU", "t_left", wanted))], backend=None)
    assert item.shape == (wanted if shape == (1, 1, 2) else shape)
    np.testing.assert_array_equal(item.read(), np.broadcast_to(array, item.shape))


def test_kernels_of_theano_that_recur_are_mirrored() -> None:
    """Under the name that the layer inside has in Keras 3."""
    array = np.random.default_rng(0).normal(size=(2, 3, 1, 4))
    ((item, _),) = converted([(_item("kernel", array), _slot("ConvLSTMCell", "kernel", array.shape))], backend="theano")
    np.testing.assert_array_equal(item.read(), array[::-1, ::-1])


def _cudnn(kind: str, gates: int, bias: tuple[int, ...]) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(1)
    layer = type(kind, (SimpleNamespace,), {})(units=3)
    arrays = [rng.normal(size=(2, 3 * gates)), rng.normal(size=(3, 3 * gates)), rng.normal(size=(6 * gates,))]
    shapes = [(2, 3 * gates), (3, 3 * gates), bias]
    leaves = ("kernel", "recurrent_kernel", "bias")
    pairs = [
        (_item(leaf, array), Slot(("layer", leaf), shape, True, None, layer))
        for leaf, array, shape in zip(leaves, arrays, shapes, strict=True)
    ]
    return [*arrays, *(item.read() for item, _ in converted(pairs, backend=None))]


def test_weights_of_cudnn_lstm() -> None:
    """Both biases are added, and each gate's kernel is laid out anew."""
    kernel, recurrent, bias, new_kernel, new_recurrent, new_bias = _cudnn("LSTMCell", 4, (12,))
    np.testing.assert_allclose(new_bias, bias[:12] + bias[12:])
    np.testing.assert_array_equal(new_recurrent[:, :3], recurrent[:, :3].T)
    np.testing.assert_array_equal(new_kernel[:, :3].T.ravel(), kernel[:, :3].ravel())


def test_weights_of_cudnn_gru() -> None:
    """The two biases become the two rows of ``reset_after``."""
    *_, bias, _, _, new_bias = _cudnn("GRUCell", 3, (2, 9))
    np.testing.assert_array_equal(new_bias, bias.reshape(2, 9))


def test_weights_of_today_are_left_alone() -> None:
    """Nothing is converted without a reason."""
    item, slot = _item("kernel", np.ones((2, 12))), _slot("LSTMCell", "kernel", (2, 12), units=3)
    assert converted([(item, slot)], backend="tensorflow") == [(item, slot)]
