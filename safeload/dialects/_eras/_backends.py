"""What Keras 3 computes otherwise on other backends than TensorFlow, which HDF5 files record. Layer: dialects.

Source:
    ``conv_transpose``, ``average_pool``, ``median``, ``resize``, ``affine_transform``, ``gaussian_blur``, ``istft`` and
    ``unravel_index`` in nn.py, numpy.py, image.py and math.py below keras/src/backend/torch, jax, numpy, tensorflow
    (3.3.3 to 3.15.1; outputs of 3.13.2 were compared); ``_convert_conv_transpose_padding_args_from_keras_to_torch`` in
    backend/common/backend_utils.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from safeload.dialects._normal import Writer
from safeload.errors import IncompatibleVersionError

_FILLS_WITH_THE_VALUE = (3, 15)
"""First Keras whose torch backend pads an image on the left with ``fill_value``, too, and not with ones."""

_FILLS_WITH_THE_EDGE = (3, 6)
"""First Keras known to pool on torch what it pads with copies of the edge; 3.3.3 counts a zero."""

_Condition = Callable[[Mapping[str, Any], Writer], bool]


def require_same_on_tensorflow(name: str, config: Mapping[str, Any], writer: Writer) -> None:
    """Refuse what the backend of *writer* computed otherwise than TensorFlow.

    Args:
        name: Class of a built-in layer or operation of Keras 3.
        config: Its config.
        writer: The release that recorded it, and its backend.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It did.
    """
    backend = writer.backend
    for names, backends, is_other, what in _OTHERWISE:
        if backend in backends and name in names and is_other(config, writer):
            raise IncompatibleVersionError(
                str(config.get("name") or name),
                problem=f"it was saved by Keras on {backend}, which {what}, otherwise than on TensorFlow",
                hint=f"KERAS_BACKEND={backend} computes it; if what Keras computes on TensorFlow will do, "
                "load it with that and save it again",
            )


def _axes(config: Mapping[str, Any], **defaults: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the values of the keys in *defaults* for each axis; one number is that of all."""
    values = [config.get(key, default) for key, default in defaults.items()]
    count = max((len(value) for value in values if isinstance(value, list)), default=1)
    return zip(*(value if isinstance(value, list) else [value] * count for value in values), strict=False)


def _pads_same(config: Mapping[str, Any]) -> bool:
    return str(config.get("padding")).lower() == "same"  # operations record it as it was given


def _crops_unevenly(config: Mapping[str, Any], _: Writer) -> bool:
    """Tell whether an odd number of rows may be cropped; an operation does not record the size of its kernel."""
    axes = _axes(config, kernel_size=None, strides=1, dilation_rate=1, output_padding=None)
    return _pads_same(config) and any(size is None or _cropped(size, *axis) % 2 for size, *axis in axes)


def _cropped(size: int, stride: int, rate: int, padding: int | None) -> int:
    width = (size - 1) * rate + 1
    return max(0, width - (stride if padding is None else width % 2 + padding))


def _counts_padding(config: Mapping[str, Any], writer: Writer) -> bool:
    """Tell whether an odd number of rows may be padded, and with more than one copy of the other row in a window."""
    axes = list(_axes(config, pool_size=None, strides=None))
    is_even = all(size == 1 or (stride == 1 and size % 2) for size, stride in axes)
    is_harmless = all(size in {1, 2} for size, _ in axes) and not writer.may_be_before(_FILLS_WITH_THE_EDGE)
    return _pads_same(config) and not is_even and not is_harmless


def _pads_with_ones(config: Mapping[str, Any], writer: Writer) -> bool:
    is_filled = bool(config.get("pad_to_aspect_ratio")) and config.get("fill_value", 0) != 1
    return is_filled and writer.may_be_before(_FILLS_WITH_THE_VALUE)


def _is_bicubic(config: Mapping[str, Any], _: Writer) -> bool:
    return config.get("interpolation") == "bicubic" and not config.get("antialias")


def _is_wrapped(config: Mapping[str, Any], _: Writer) -> bool:
    return config.get("fill_mode") in {"wrap", "mirror"}


def _is_nearest(config: Mapping[str, Any], _: Writer) -> bool:
    return config.get("interpolation") == "nearest"


def _is_not_square(config: Mapping[str, Any], _: Writer) -> bool:
    sizes = {size for (size,) in _axes(config, kernel_size=3)}
    return len(sizes) > 1 or any(size % 2 == 0 for size in sizes)


def _always(_: Mapping[str, Any], __: Writer) -> bool:
    return True


_TORCH = frozenset({"torch"})
_OTHERS = frozenset({"torch", "jax", "numpy"})

# Classes, the backends that compute them otherwise, when, and what these do.
_OTHERWISE: tuple[tuple[frozenset[str], frozenset[str], _Condition, str], ...] = (
    (
        frozenset({"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "ConvTranspose"}),
        _TORCH,
        _crops_unevenly,
        'crops an odd number of rows for padding="same" first at the beginning',
    ),
    (
        frozenset({"AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AveragePool"}),
        _TORCH,
        _counts_padding,
        'may count what it pads for padding="same"',
    ),
    (frozenset({"Median"}), _TORCH, _always, "takes the lesser of two values in the middle"),
    (frozenset({"Resizing", "Resize"}), _TORCH, _pads_with_ones, "pads with ones on the left"),
    (frozenset({"Resizing", "Resize", "UpSampling2D"}), _OTHERS, _is_bicubic, "weighs pixels for bicubic"),
    (frozenset({"AffineTransform"}), _OTHERS, _is_wrapped, "takes other pixels beyond the edge"),
    (frozenset({"AffineTransform"}), _TORCH, _is_nearest, "takes other pixels for the nearest"),
    (frozenset({"GaussianBlur"}), _OTHERS, _is_not_square, "makes another kernel of these sizes"),
    (frozenset({"ISTFT"}), _OTHERS, _always, "weighs the first and the last frames"),
    (frozenset({"UnravelIndex"}), _OTHERS, _always, "takes apart indices along several axes"),
)
