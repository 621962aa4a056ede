"""What a layer makes of any input, or of its own config, however little it is given. Layer: policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from safeload.inspection import own_values
from safeload.policy._finding import Finding, Severity
from safeload.policy.keras_names import SYMBOL_KEYS
from safeload.policy.keras_sizes import MOST, area_of, config_of, product, size_of

if TYPE_CHECKING:
    from safeload.inspection import KerasInfo

_HINT = "ask the author for a model without it"
_MAX_MADE = 1 << 29
"""Elements that a layer may make of a single one; as numbers of four bytes, what the graph rules give a tensor."""
_MADE: Mapping[str, tuple[str, ...]] = {
    "AdaptiveAveragePool": ("output_size",),
    "AdaptiveAveragePooling1D": ("output_size",),
    "AdaptiveAveragePooling2D": ("output_size",),
    "AdaptiveAveragePooling3D": ("output_size",),
    "AdaptiveMaxPool": ("output_size",),
    "AdaptiveMaxPooling1D": ("output_size",),
    "AdaptiveMaxPooling2D": ("output_size",),
    "AdaptiveMaxPooling3D": ("output_size",),
    "Bincount": ("minlength",),
    "BroadcastTo": ("shape",),
    "CategoryEncoding": ("num_tokens",),
    "CenterCrop": ("height", "width"),
    "Conv1DTranspose": ("strides",),
    "Conv2DTranspose": ("strides",),
    "Conv3DTranspose": ("strides",),
    "Equalization": ("bins",),
    "Geomspace": ("num",),
    "Histogram": ("bins",),
    "IRFFT": ("fft_length",),
    "ISTFT": ("fft_length",),
    "Linspace": ("num",),
    "Logspace": ("num",),
    "MaxNumBoundingBoxes": ("max_number",),
    "MelSpectrogram": ("fft_length", "num_mel_bins"),
    "MultiHot": ("num_classes",),
    "OneHot": ("num_classes",),
    "RFFT": ("fft_length",),
    "RandomCrop": ("height", "width"),
    "Repeat": ("repeats",),
    "RepeatVector": ("n",),
    "Resize": ("size",),
    "Resizing": ("height", "width"),
    "STFT": ("fft_length",),
    "STFTSpectrogram": ("fft_length",),
    "ScaleAndTranslate": ("output_shape",),
    "SegmentMax": ("num_segments",),
    "SegmentMin": ("num_segments",),
    "SegmentProd": ("num_segments",),
    "SegmentSum": ("num_segments",),
    "Tile": ("repeats",),
    "Unique": ("size",),
    "UpSampling1D": ("size",),
    "UpSampling2D": ("size",),
    "UpSampling3D": ("size",),
    "Vander": ("N",),
}
"""Keys whose product is the least number of elements that a layer makes of any input.

Source: keras/src/layers and keras/src/ops (3.15.1).
"""
_AREAS: Mapping[str, tuple[str, int, int]] = {
    "Diag": ("k", 2, 1),
    "Diagflat": ("k", 2, 1),
    "ElasticTransform": ("sigma", 2, 1),
    "ExtractPatches": ("size", 2, 2),
    "ExtractPatches3D": ("size", 3, 2),
    "GaussianBlur": ("kernel_size", 2, 1),
    "RandomElasticTransform": ("scale", 2, 1),
    "RandomGaussianBlur": ("kernel_size", 2, 1),
    "SSIM": ("filter_size", 2, 1),
}
"""Keys that say how large a picture or a matrix is that an operation makes, how many sides are meant by one number, and
the power of all: ExtractPatches multiplies with an identity matrix of as many rows as a patch has pixels.

Source: as for `_MADE`, and keras/src/backend/tensorflow.
"""
_COPIES: Mapping[str, int] = {
    "ElasticTransform": 36 << 11,
    "Equalization": 1 << 5,
    "ExtractPatches": 1 << 3,
    "ExtractPatches3D": 1 << 3,
    "Fold": 1 << 5,
    "GaussianBlur": 1 << 11,
    "Histogram": 1 << 5,
    "IRFFT": 1 << 5,
    "ISTFT": 1 << 5,
    "MelSpectrogram": 1 << 5,
    "RFFT": 1 << 5,
    "RandomElasticTransform": 36 << 13,
    "RandomGaussianBlur": 1 << 11,
    "SSIM": 1 << 5,
    "STFT": 1 << 5,
    "STFTSpectrogram": 1 << 5,
    "Unfold": 1 << 5,
}
"""How many numbers of memory one number takes that is made (measured, 2.21): what is made is made in steps.

A depthwise convolution lays its kernel out for each pixel. The kernel of ElasticTransform has six `sigma` to a side,
and `sigma` is the `scale` times a twentieth of the picture.
"""
_ENCODERS: Mapping[str, str] = {
    "HashedCrossing": "num_bins",
    "Hashing": "num_bins",
    "IntegerLookup": "max_tokens",
    "StringLookup": "max_tokens",
    "TextVectorization": "max_tokens",
}
"""Keys that say how wide the output is where `output_mode` is no number for each input."""
_NUMBERS = (None, "int")
_LOOKUPS = frozenset({"IntegerLookup", "StringLookup", "TextVectorization"})
"""Layers that make one array of the words in their config, each as wide as the longest.

Source: ``set_vocabulary`` of keras/src/layers/preprocessing/index_lookup.py (3.15.1).
"""
_PADS: Mapping[str, str] = {
    "Pad": "pad_width",
    "ZeroPadding1D": "padding",
    "ZeroPadding2D": "padding",
    "ZeroPadding3D": "padding",
}
"""Keys that say how much is put before and behind each axis."""
_SIDES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Fold": (("padding", "padding"), ("padding", "padding")),
    "PadImages": (
        ("top_padding", "bottom_padding", "target_height"),
        ("left_padding", "right_padding", "target_width"),
    ),
    "Unfold": (("padding", "padding"), ("padding", "padding")),
}
"""Keys that say how large each axis becomes at least, together."""
_LENGTHS: Mapping[str, tuple[str, int]] = {
    "IntegerLookup": ("num_oov_indices", 64),
    "StringLookup": ("num_oov_indices", 64),
    "TextVectorization": ("output_sequence_length", 1),
}
"""Keys that say how long a list is that a layer makes, whatever it is for, and what each entry counts for.

Keras makes a Python list of the words that stand for unknown ones. Source: ``set_vocabulary``, as for `_LOOKUPS`.
"""
_ASKED = frozenset(
    ["block_shape", "block_size", "depth", "dims", "multiples", "num", "output_shape", "paddings", "repeats", "shape",
     "size"]
)  # fmt: skip
"""Arguments with which functions of TensorFlow are asked for sizes. Source: their signatures (TensorFlow 2.21)."""
_MAKERS = frozenset({*_MADE, *_AREAS, *_ENCODERS, *_LOOKUPS, *_PADS, *_SIDES, *SYMBOL_KEYS})
_ONE_AXIS = frozenset({"Pad", "ZeroPadding1D"})
"""Where two numbers mean before and behind, and not one axis each."""

_WINDOW = frozenset(
    ["dilation", "dilation_rate", "filter_size", "kernel_size", "output_padding", "padding", "pool_size",
     "sequence_stride", "size", "stride", "strides"]
)  # fmt: skip
_MAX_WINDOW = 1 << 24
"""Numbers of windows over pictures and sequences: some take minutes, and what is no int32 ends the process.

Source: keras/src/layers and keras/src/ops/nn.py (3.15.1); tensorflow/core/common_runtime/mkl_layout_pass.cc (2.21).
"""
_OPERATIONS = "keras.src.ops."
_LARGEST: Mapping[str, int] = {
    "decimals": 300,
    "k": MOST - 1,
    "kth": MOST - 1,
    "offset": MOST - 1,
    "shift": MOST - 1,
}
"""Keys of operations and the largest number, of either sign, that they count with: ten to the power of `decimals` must
be a float, and others are int64. Source: keras/src/backend/tensorflow/numpy.py (3.15.1).
"""
_BOUNDED = _WINDOW | _LARGEST.keys()
_TRANSPOSED = frozenset({"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "ConvTranspose"})
_MAX_TRANSPOSED = 1 << 12
"""Strides of transposed convolutions: time grows with the square, from 0.25 s here to minutes (measured, 2.21)."""
_MAX_DILATED = 1 << 23
"""Dilations of all axes multiplied: the picture grows by each, and memory takes 40 bytes of it (measured, 2.21)."""
_LENGTH = "fft_length"


def empty_transforms(keras: KerasInfo) -> Iterator[Finding]:
    """Yield Fourier transforms of no length, wherever a layer or a call of a function asks for one.

    Source: ``DoFFT`` in tensorflow/core/kernels/fft_ops.cc (2.21) ends the process.
    """
    for place in keras.object_places:
        value = place.value
        asking = own_values(value) if value["class_name"] in SYMBOL_KEYS else [config_of(value)]
        lengths = [found[_LENGTH] for found in asking if isinstance(found, dict) and _LENGTH in found]
        if any(isinstance(n, int) and n < 1 for length in lengths for n in _numbers(length)):
            message = f"{value['class_name']} transforms to a length of zero, at which TensorFlow ends the process"
            yield Finding("empty-transform", Severity.UNEXAMINED, place.where, _LENGTH, message, _HINT)


def enlarging_layers(keras: KerasInfo) -> Iterator[Finding]:
    """Yield layers that make more of any input, or of their config, than any host should give."""
    for place in keras.object_places:
        value = place.value
        if value["class_name"] not in _MAKERS and _BOUNDED.isdisjoint(config_of(value)):
            continue  # as most parts of layers
        for evidence, made in _enlargements(value):
            message = f"{value['class_name']} {made}"
            yield Finding("oversized-layer", Severity.DANGEROUS, place.where, evidence, message, _HINT)


def _enlargements(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield how large something is that a layer makes, and what it is."""
    made = min(_made(value) * _COPIES.get(value["class_name"], 1), MOST)
    characters = _characters(value)
    if made > _MAX_MADE:
        yield f"{made:,} made", f"would make {made:,} numbers of any input"
    if characters > _MAX_MADE:
        yield f"{characters:,} characters", "would give each word of its vocabulary the room of the longest one"
    config = config_of(value)
    if str(value.get("module")).startswith(_OPERATIONS):
        for key in sorted(_LARGEST.keys() & config.keys()):
            if _largest(config[key]) > _LARGEST[key]:
                number = f"{key} {_largest(config[key]):,}"
                yield number, f"has {number}, or more, which TensorFlow does not count with"
    keys = _WINDOW.intersection(config)  # most objects have none
    window = max(_largest(config[key]) for key in keys) if keys and _is_of_keras(value) else 0
    if window > _MAX_WINDOW:
        yield f"a window of {window:,}", f"has a window of {window:,}, which nothing fills"
    stride = _largest(config.get("strides")) if window and value["class_name"] in _TRANSPOSED else 0
    if stride > _MAX_TRANSPOSED:
        yield f"a stride of {stride:,}", f"has a stride of {stride:,}, with which it computes for minutes"
    dilated = area_of(config.get("dilation_rate")) if window else 0
    if dilated > _MAX_DILATED:
        yield f"dilated by {dilated:,}", f"has dilations of {dilated:,} pixels, which nothing fills"


def _is_of_keras(value: Mapping[str, Any]) -> bool:
    return str(value.get("module")).partition(".")[0] == "keras"


def _numbers(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _largest(value: Any) -> int:
    return max((min(abs(n), MOST) for n in _numbers(value) if isinstance(n, int)), default=0)


def _characters(value: Mapping[str, Any]) -> int:
    words = config_of(value).get("vocabulary") if value["class_name"] in _LOOKUPS else None
    return len(words) * max((len(str(word)) for word in words), default=0) if isinstance(words, list) else 0


def _made(value: Mapping[str, Any]) -> int:
    config, name = config_of(value), value["class_name"]
    if name in SYMBOL_KEYS:
        return max(_sizes_asked_for(value), default=0)
    if name in _SIDES:
        return product(1 + sum(_largest(config.get(key)) for key in keys) for keys in _SIDES[name])
    if name in _PADS:
        padding = config.get(_PADS[name])
        return _padded([padding] if name in _ONE_AXIS and _is_numbers(padding) else padding)
    if name in _LENGTHS:
        key, room = _LENGTHS[name]
        return max(_largest(config.get(key)) * room, _encoded(name, config))
    if name in _AREAS:
        key, sides, power = _AREAS[name]
        return product([area_of(config.get(key), sides)] * power)
    return max(product([size_of(config.get(key)) for key in _MADE.get(name, ())]), _encoded(name, config))


def _encoded(name: str, config: Mapping[str, Any]) -> int:
    is_wide = "num_bins" in config or config.get("pad_to_max_tokens") is True
    is_encoded = name in _ENCODERS and config.get("output_mode") not in _NUMBERS
    return size_of(config.get(_ENCODERS[name])) if is_wide and is_encoded else 0


def _sizes_asked_for(value: Mapping[str, Any]) -> Iterator[int]:
    """Yield the sizes that the calls of a function of TensorFlow ask for."""
    for found in own_values(value.get("inbound_nodes")):
        for key in _ASKED.intersection(found) if isinstance(found, dict) else ():
            size = found[key]
            if key == "paddings":
                yield _padded(size)
            elif key == "repeats" and isinstance(size, list):  # one for each element
                yield min(sum(n for n in size if isinstance(n, int) and n > 0), MOST)
            else:
                yield size_of(size)


def _padded(padding: Any) -> int:
    """Return the size that paddings alone make, of an input with one element; a number holds for every axis."""
    axes = padding if isinstance(padding, list) else [padding]
    widths = [axis if isinstance(axis, list) else [axis] for axis in axes]
    return product(1 + sum(n for n in axis if isinstance(n, int) and n > 0) for axis in widths)


def _is_numbers(padding: Any) -> bool:
    return isinstance(padding, list) and all(isinstance(n, int) for n in padding)
