"""Arrays that a layer of an old release held in another arrangement.

Owns the axes of Keras 1 kernels, Theano's flipped ones, and the fused weights of cuDNN layers. Layer: runtime.

Source: tf_keras 2.21 ``saving/legacy/hdf5_format.py`` and keras 2.2.4 ``engine/saving.py``, read for the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safeload.runtime._weights._match import Slot
from safeload.runtime._weights._saved import Saved

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_KERAS_1_AXES = {
    ("Conv2D", "channels_first"): (2, 3, 1, 0),
    ("Conv3D", "channels_first"): (2, 3, 4, 1, 0),
    ("ConvLSTMCell", "channels_first"): (2, 3, 1, 0),
    ("SeparableConv2D", "channels_first"): (2, 3, 1, 0),
    ("Conv2DTranspose", "channels_last"): (0, 1, 3, 2),
    ("Conv2DTranspose", "channels_first"): (2, 3, 0, 1),
    ("Deconvolution2D", "channels_last"): (0, 1, 3, 2),
    ("Deconvolution2D", "channels_first"): (2, 3, 0, 1),
}
"""(class, data_format) → axes of a Keras 1 kernel, or of that of a gate, in today's order."""

_FLIPPED = frozenset(
    {
        "Conv1D",
        "Conv2D",
        "Conv2DTranspose",
        "Conv3D",
        "Conv3DTranspose",
        "ConvLSTM2D",
        "ConvLSTM2DCell",
        "ConvLSTMCell",
        "Deconvolution2D",
    }
)
"""Layers whose kernels Theano, which convolves where TensorFlow correlates, held mirrored."""

_SHARING = frozenset({"PReLU", "ParametricSoftplus", "SReLU"})
"""Layers of Keras 1 that do not record their ``shared_axes``: keras/layers/advanced_activations.py of 1.2.2."""

_GATES = {"LSTMCell": 4, "GRUCell": 3}


def converted(pairs: Sequence[tuple[Saved, Slot]], *, backend: str | None) -> list[tuple[Saved, Slot]]:
    """Return *pairs* with every array in today's arrangement, still unread."""
    cudnn = {id(slot.layer) for item, slot in pairs if _is_cudnn_bias(item, slot)}
    return [(_convert(item, slot, is_cudnn=id(slot.layer) in cudnn, backend=backend), slot) for item, slot in pairs]


def is_reordered(layer: Any, saved: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether *saved* is the shape *wanted* of a weight of *layer*, with its axes in another order or more of one.

    Keras 2 made the weights of a LayerNormalization over several axes in the order in which these were given, and
    reshaped them to the order of the input: the numbers are where Keras 3, which sorts the axes, has them.

    Those of a BatchNormalization of virtual batches had all axes of its input, and one more for the batches.

    Source: ``build`` and ``call`` in ``layers/normalization/layer_normalization.py`` of keras 2.15.0 and 3.15.1, and in
    ``batch_normalization.py`` of keras 2.10.0.
    """
    name = type(layer).__name__
    is_permuted = saved != wanted and sorted(saved) == sorted(wanted)
    return (is_permuted and name == "LayerNormalization") or (
        name == "BatchNormalization" and _of_virtual_batches(getattr(layer, "axis", None), saved) == wanted
    )


def _of_virtual_batches(axis: Any, saved: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape without the axes of one, if *axis* of the input is the one that *saved* has."""
    single = axis[0] if isinstance(axis, (list, tuple)) else axis
    if not isinstance(single, int):
        return None
    place = single + 1 if single >= 0 else len(saved) + single
    is_alone = all(size == 1 for index, size in enumerate(saved) if index != place)
    return (saved[place],) if is_alone and 1 < place < len(saved) else None


def is_scale_of_one_row(layer: Any, saved: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether *saved* is the shape that the scale *wanted* of a quantized Dense *layer* has in Keras 3.1.

    Source: ``quantize`` in keras/src/layers/core/dense.py of 3.1.1, and of 3.2.0, which takes the first axis off.
    """
    return type(layer).__name__ == "Dense" and len(wanted) == 1 and saved == (1, *wanted)


def in_order(array: Array, layer: Any, wanted: tuple[int, ...]) -> Array:
    """Return *array* in the shape *wanted*, if it is that of a weight of *layer* but for the order of its axes."""
    return array.reshape(wanted) if is_reordered(layer, array.shape, wanted) else array


def _convert(item: Saved, slot: Slot, *, is_cudnn: bool, backend: str | None) -> Saved:
    kind = type(slot.layer).__name__
    is_row = slot.path[-1] == "kernel_scale" and is_scale_of_one_row(slot.layer, item.shape, slot.shape)
    if is_row or is_reordered(slot.layer, item.shape, slot.shape):
        return _with(item, slot.shape, lambda a: a.reshape(slot.shape))
    if is_cudnn:
        return _from_cudnn(item, slot, _GATES[kind])
    if item.era_1 and _is_shared(kind, item.shape, slot.shape):
        return _with(item, slot.shape, lambda a: _repeated(a, slot.shape))
    if item.era_1 and slot.path[-1].endswith("kernel"):
        item = _from_keras_1(item, kind, getattr(slot.layer, "data_format", "channels_last"))
    if backend == "theano" and kind in _FLIPPED and len(item.shape) > 2:
        item = _with(item, item.shape, _mirror)
    return item


def _is_shared(kind: str, saved: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether *saved* is *wanted* but for axes along which all share one number, which Keras 1 does not record."""
    sizes = zip(saved, wanted, strict=False)
    return kind in _SHARING and len(saved) == len(wanted) and saved != wanted and all(a in (1, b) for a, b in sizes)


def _repeated(array: Array, shape: tuple[int, ...]) -> Array:
    import numpy as np

    return np.ascontiguousarray(np.broadcast_to(array, shape))


def _from_keras_1(item: Saved, kind: str, data_format: str) -> Saved:
    if kind == "Conv1D" and len(item.shape) == 4 and item.shape[1] == 1:
        return _with(item, (item.shape[0], *item.shape[2:]), lambda a: a[:, 0])
    axes = _KERAS_1_AXES.get((kind, data_format))
    if axes is None or len(axes) != len(item.shape):
        return item
    gates = 4 if kind == "ConvLSTMCell" else 1
    one = (*item.shape[:-1], item.shape[-1] // gates)
    shape = [one[axis] for axis in axes]
    return _with(item, (*shape[:-1], shape[-1] * gates), lambda a: _transposed(a, axes, gates))


def _transposed(array: Array, axes: tuple[int, ...], gates: int) -> Array:
    """Transpose each gate: they were joined along the last axis, which stays so."""
    import numpy as np

    return np.concatenate([part.transpose(axes) for part in np.split(array, gates, axis=-1)], axis=-1)


def _is_cudnn_bias(item: Saved, slot: Slot) -> bool:
    gates = _GATES.get(type(slot.layer).__name__)
    if gates is None or slot.path[-1] != "bias" or item.shape == slot.shape:
        return False
    return item.shape == (2 * gates * slot.layer.units,)


def _from_cudnn(item: Saved, slot: Slot, gates: int) -> Saved:
    change = {"kernel": _input_kernel, "recurrent_kernel": _recurrent_kernel, "bias": _bias}[slot.path[-1]]
    shape = slot.shape if slot.path[-1] == "bias" else item.shape
    return _with(item, shape, lambda a: change(a, gates))


def _input_kernel(array: Array, gates: int) -> Array:
    import numpy as np

    parts = np.split(array, gates, axis=1)
    return np.concatenate([part.T.reshape(part.shape, order="F") for part in parts], axis=1)


def _recurrent_kernel(array: Array, gates: int) -> Array:
    import numpy as np

    return np.concatenate([part.T for part in np.split(array, gates, axis=1)], axis=1)


def _bias(array: Array, gates: int) -> Array:
    halves: Array = array.reshape(2, -1)
    return halves.sum(axis=0) if gates == _GATES["LSTMCell"] else halves


def _mirror(array: Array) -> Array:
    import numpy as np

    return np.flip(array, tuple(range(array.ndim - 2)))


def _with(item: Saved, shape: tuple[int, ...], change: Any) -> Saved:
    read = item.read
    return Saved(item.owner, item.leaf, shape, lambda: change(read()), item.source, item.era_1)
