"""Variables that a config declares and the weights do not hold: a line of JSON can ask for a lot. Layer: policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from safeload.dialects import COMPAT_MODULE
from safeload.inspection import is_marker, is_object, own_values
from safeload.policy._finding import Finding, Severity
from safeload.policy.keras_names import SYMBOL_KEYS

if TYPE_CHECKING:
    from safeload.inspection import KerasInfo

# A model that was saved before it was built has no weights yet, quantised weights are packed two in a byte, and a layer
# that two wrappers share is written twice and stored once. So small declarations pass (2**22 elements are 16 MiB of
# float32), and larger ones may exceed the stored weights by a small factor, which bounds the harm all the same.
_FREE_ELEMENTS = 1 << 22
_SLACK = 4
_MAX_UNROLLED = 4096
"""Steps of a recurrent layer that are written out one by one; each takes milliseconds while the model is built."""
_SPLITTERS = frozenset({"ArraySplit", "Split", "Unstack"})
_PARTS = frozenset({"indices_or_sections", "num", "num_or_size_splits"})
"""Operations of keras/src/ops (3.15.1) that return a list, and what they and TensorFlow call its length."""
_REPEATED: Mapping[str, str] = {"CTCDecode": "top_paths", "Diff": "n", "TextVectorization": "ngrams"}
"""Keys that say how many operations, one after another, a layer is; in a list each number stands for itself.

Source: ``diff`` and ``ctc_decode`` of keras/src/backend/tensorflow (3.15.1), text_vectorization.py.
"""
_HINT = "ask the author for a file whose weights fit its configuration"
_ENLARGING = "ask the author for a model without it"
_MOST = 1 << 62
"""Where counting ends."""
_MAX_MADE = 1 << 29
"""Elements that a layer may make of a single one; as numbers of four bytes, what the graph rules give a tensor."""
_MADE: Mapping[str, tuple[str, ...]] = {
    "Bincount": ("minlength",),
    "BroadcastTo": ("shape",),
    "CategoryEncoding": ("num_tokens",),
    "CenterCrop": ("height", "width"),
    "Conv1DTranspose": ("strides",),
    "Conv2DTranspose": ("strides",),
    "Conv3DTranspose": ("strides",),
    "GaussianBlur": ("kernel_size",),
    "ISTFT": ("fft_length",),
    "Linspace": ("num",),
    "MelSpectrogram": ("fft_length",),
    "MultiHot": ("num_classes",),
    "OneHot": ("num_classes",),
    "RandomCrop": ("height", "width"),
    "Repeat": ("repeats",),
    "RepeatVector": ("n",),
    "Resize": ("size",),
    "Resizing": ("height", "width"),
    "STFT": ("fft_length",),
    "STFTSpectrogram": ("fft_length",),
    "SegmentMax": ("num_segments",),
    "SegmentSum": ("num_segments",),
    "Tile": ("repeats",),
    "UpSampling1D": ("size",),
    "UpSampling2D": ("size",),
    "UpSampling3D": ("size",),
    "Vander": ("N",),
}
"""Keys whose product is the least number of elements that a layer makes of any input.

Source: keras/src/layers and keras/src/ops (3.15.1).
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
_ONE_AXIS = frozenset({"Pad", "ZeroPadding1D"})
"""Where two numbers mean before and behind, and not one axis each."""

_WINDOW = ("dilation_rate", "kernel_size", "output_padding", "padding", "pool_size", "size", "strides")
_MAX_WINDOW = 1 << 24
"""Numbers of windows over pictures and sequences: some take minutes, and what is no int32 ends the process.

Source: keras/src/layers and keras/src/ops/nn.py (3.15.1); tensorflow/core/common_runtime/mkl_layout_pass.cc (2.21).
"""

_INPUT = "input"
"""Stands among keys for the last axis of the input."""
_LAYER_MODULES = frozenset({"keras.layers", COMPAT_MODULE})

# Keys whose product is the least number of elements of a variable of the layer.
# Source: ``build`` of the layers in keras/src/layers of Keras 3.15.1 and keras/layers of Keras 2.15.
_SIZES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Dense": ((_INPUT, "units"),),
    "EinsumDense": (("output_shape",),),
    "Embedding": (("input_dim", "output_dim"),),
    "ReversibleEmbedding": (("input_dim", "output_dim"),),
    "LSTM": (("units", "units"), (_INPUT, "units")),
    "LSTMCell": (("units", "units"),),
    "GRU": (("units", "units"), (_INPUT, "units")),
    "GRUCell": (("units", "units"),),
    "SimpleRNN": (("units", "units"), (_INPUT, "units")),
    "SimpleRNNCell": (("units", "units"),),
    "ConvLSTM1D": (("filters", "filters", "kernel_size"),),
    "ConvLSTM2D": (("filters", "filters", "kernel_size"),),
    "ConvLSTM3D": (("filters", "filters", "kernel_size"),),
    "Conv1D": ((_INPUT, "filters", "kernel_size"),),
    "Conv2D": ((_INPUT, "filters", "kernel_size"),),
    "Conv3D": ((_INPUT, "filters", "kernel_size"),),
    "Conv1DTranspose": (("filters", "kernel_size"),),
    "Conv2DTranspose": (("filters", "kernel_size"),),
    "Conv3DTranspose": (("filters", "kernel_size"),),
    "DepthwiseConv1D": (("depth_multiplier", "kernel_size"),),
    "DepthwiseConv2D": (("depth_multiplier", "kernel_size"),),
    "SeparableConv1D": (("filters", "depth_multiplier"), ("depth_multiplier", "kernel_size")),
    "SeparableConv2D": (("filters", "depth_multiplier"), ("depth_multiplier", "kernel_size")),
    "LocallyConnected1D": (("filters", "kernel_size"),),
    "LocallyConnected2D": (("filters", "kernel_size"),),
    "MultiHeadAttention": (("num_heads", "key_dim"),),
    "UnmaskedMultiHeadAttention": (("num_heads", "key_dim"),),
    "GroupQueryAttention": (("num_query_heads", "head_dim"),),
    "GroupedQueryAttention": (("num_query_heads", "head_dim"),),
    "RandomFourierFeatures": (("output_dim",),),
    "MaxoutDense": (("units", "nb_feature"),),
}
# Layers with a value per step of the last axis of their input.
_PER_FEATURE = frozenset(
    {"BatchNormalization", "LayerNormalization", "RMSNormalization", "PReLU", "SyncBatchNormalization"}
)
# The key that says how long the last axis of the output is, and layers that leave it as it is.
_OUTPUT_WIDTH = {"Dense": "units", "Embedding": "output_dim", "LSTM": "units", "GRU": "units", "SimpleRNN": "units"}
_KEEPS_WIDTH = (
    frozenset({"Activation", "Dropout", "ReLU", "LeakyReLU", "ELU", "Softmax", "GaussianNoise"}) | _PER_FEATURE
)


def oversized_layers(keras: KerasInfo) -> Iterator[Finding]:
    """Yield a finding if the layers declare more than the weights hold.

    The sum of lower bounds over all layers of the normal form must not exceed the elements that are
    stored by more than a small factor. It bounds what building allocates only as far as configs tell; what
    layers make of shapes that no config records is for whoever builds them to compare with the weight index.
    """
    places = keras.object_places
    tensors = {id(p.value): _tensors(p.value) for p in places}
    layers = [(size, p) for p in places for size in _declared(p.value, tensors)]
    batch_shapes = [shape for p in places if (shape := _batch_shape(p.value))]
    # A sequence of images has a state for each pixel: the time and the channels are left out.
    pixels = max((_product([*shape[:1], *shape[2:-1]]) for shape in batch_shapes), default=0)
    states = sum(_state_elements(p.value, pixels) for p in places)
    declared = sum(size for size, _ in layers) + states
    stored = keras.parameter_count or 0
    if declared <= allowed_elements(stored):
        return
    size, place = max(layers, key=lambda layer: layer[0])
    yield Finding(
        "oversized-layer",
        Severity.DANGEROUS,
        place.where,
        f"{declared:,} declared, {stored:,} stored",
        f"the layers declare at least {declared:,} weights ({size:,} in {place.value['class_name']}); "
        f"the file holds {stored:,}",
        _HINT,
    )


def enlarging_layers(keras: KerasInfo) -> Iterator[Finding]:
    """Yield layers that make more of any input, or of their config, than any host should give."""
    for place in keras.object_places:
        for evidence, made in _enlargements(place.value):
            message = f"{place.value['class_name']} {made}"
            yield Finding("oversized-layer", Severity.DANGEROUS, place.where, evidence, message, _ENLARGING)


def _enlargements(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield how large something is that a layer makes, and what it is."""
    made, characters = _made(value), _characters(value)
    if made > _MAX_MADE:
        yield f"{made:,} made", f"would make {made:,} numbers of any input"
    if characters > _MAX_MADE:
        yield f"{characters:,} characters", "would give each word of its vocabulary the room of the longest one"
    window = max(_largest(_config(value).get(key)) for key in _WINDOW) if _is_of_keras(value) else 0
    if window > _MAX_WINDOW:
        yield f"a window of {window:,}", f"has a window of {window:,}, which nothing fills"


def _is_of_keras(value: Mapping[str, Any]) -> bool:
    return str(value.get("module")).partition(".")[0] == "keras"


def _largest(value: Any) -> int:
    numbers = value if isinstance(value, list) else [value]
    return max((min(abs(n), _MOST) for n in numbers if isinstance(n, int)), default=0)


def _characters(value: Mapping[str, Any]) -> int:
    words = _config(value).get("vocabulary") if value["class_name"] in _LOOKUPS else None
    return len(words) * max((len(str(word)) for word in words), default=0) if isinstance(words, list) else 0


def _made(value: Mapping[str, Any]) -> int:
    config, name = _config(value), value["class_name"]
    if name in _PADS:
        padding = config.get(_PADS[name])
        return _padded([padding] if name in _ONE_AXIS and _is_numbers(padding) else padding)
    if name in _ENCODERS:
        is_wide = "num_bins" in config or config.get("pad_to_max_tokens") is True
        return _size(config.get(_ENCODERS[name])) if is_wide and config.get("output_mode") not in _NUMBERS else 0
    return _product(_size(config.get(key)) for key in _MADE.get(name, ()))


def _padded(padding: Any) -> int:
    """Return the size that paddings alone make, of an input with one element; a number holds for every axis."""
    axes = padding if isinstance(padding, list) else [padding]
    widths = [axis if isinstance(axis, list) else [axis] for axis in axes]
    return _product(1 + sum(n for n in axis if isinstance(n, int) and n > 0) for axis in widths)


def _is_numbers(padding: Any) -> bool:
    return isinstance(padding, list) and all(isinstance(n, int) for n in padding)


def allowed_elements(stored: int | None) -> int:
    """Return how many elements the variables of a model may have whose file holds *stored*."""
    return _SLACK * max(stored or 0, _FREE_ELEMENTS)


def unrolled_layers(keras: KerasInfo) -> Iterator[Finding]:
    """Yield layers that are written out step by step, in more steps than anybody writes out."""
    places = keras.object_places
    longest = max((size for p in places for size in (*_batch_shape(p.value)[1:], _repeats(p.value))), default=0)
    yield from _many_outputs(keras)
    yield from _many_operations(keras)
    for place in places if longest > _MAX_UNROLLED else ():
        if _config(place.value).get("unroll") is True:
            message = f"{place.value['class_name']} would be unrolled {longest:,} times"
            yield Finding("unrolled-layer", Severity.UNEXAMINED, place.where, str(longest), message, _HINT)


def _many_outputs(keras: KerasInfo) -> Iterator[Finding]:
    """Yield operations that are split into more tensors than anybody splits into."""
    for place in keras.places:
        value = place.value
        if not isinstance(value, dict) or _PARTS.isdisjoint(value):
            continue
        counts = [min(value[key], _MOST) for key in _PARTS if isinstance(value.get(key), int)]
        if max(counts, default=0) > _MAX_UNROLLED and _splits(place.owner):
            message = f"{place.owner['class_name']} would make {max(counts):,} tensors"
            yield Finding("unrolled-layer", Severity.UNEXAMINED, place.where, str(max(counts)), message, _HINT)


def _many_operations(keras: KerasInfo) -> Iterator[Finding]:
    """Yield layers that are more operations than anybody writes down."""
    for place in keras.object_places:
        name = place.value["class_name"]
        count = _config(place.value).get(_REPEATED.get(name, ""))
        if isinstance(count, int) and count > _MAX_UNROLLED:
            shown = f"{_REPEATED[name]} {min(count, _MOST):,}"
            message = f"{name} would be written out with {shown}"
            yield Finding("unrolled-layer", Severity.UNEXAMINED, place.where, shown, message, _HINT)


def _splits(owner: Any) -> bool:
    return is_object(owner) and (owner["class_name"] in _SPLITTERS or owner["class_name"] in SYMBOL_KEYS)


def _state_elements(value: Mapping[str, Any], places: int) -> int:
    """Return how much a layer that keeps its state between calls allocates for it, whatever its weights.

    Args:
        value: The layer.
        places: The rows of a batch times the pixels of a picture, as the model declares them.
    """
    config = _config(value)
    if config.get("stateful") is not True:
        return 0
    units = max(_size(config.get("units")), _size(config.get("filters")))
    return units * places


def _batch_shape(value: Mapping[str, Any]) -> list[int]:
    shape = _config(value).get("batch_shape")
    sizes = shape if isinstance(shape, list) else []
    return [min(size, _MOST) if isinstance(size, int) and size > 0 else 1 for size in sizes]


def _repeats(value: Mapping[str, Any]) -> int:
    return _size(_config(value).get("n")) if value["class_name"] == "RepeatVector" else 0


_Tensors = Mapping[int, list[Mapping[str, Any]]]
"""What the nodes of every layer record, by the `id` of the layer."""


def _declared(value: Mapping[str, Any], tensors: _Tensors) -> Iterator[int]:
    """Yield what the object itself declares, and what its layers declare on top by their order."""
    yield least_elements(value, _recorded_width(value, tensors[id(value)]))
    config = value.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    if isinstance(layers, list):
        yield from _declared_by_order([layer for layer in layers if is_object(layer)], tensors)


def _declared_by_order(layers: list[Any], recorded_tensors: _Tensors) -> Iterator[int]:
    """Follow the last axis from layer to layer, where a file records no shapes or wrong ones."""
    widths: dict[str, int] = {}
    before = ""
    for layer in layers:
        name = str(layer.get("name") or _config(layer).get("name"))
        tensors = recorded_tensors[id(layer)]
        width = max((widths.get(source, 1) for source in _sources(layer, tensors, before)), default=1)
        recorded = _recorded_width(layer, tensors)
        if width > recorded:
            yield least_elements(layer, width) - least_elements(layer, recorded)
        widths[name] = _output_width(layer, max(width, recorded))
        before = name


def _sources(layer: Mapping[str, Any], tensors: list[Mapping[str, Any]], before: str) -> list[str]:
    """Return the layers that *layer* is called on: those that its nodes name, else the one before it."""
    if not isinstance(layer.get("inbound_nodes"), list):
        return [before]
    histories = (tensor.get("keras_history") for tensor in tensors)
    return [str(history[0]) for history in histories if isinstance(history, list) and history]


def _output_width(layer: Mapping[str, Any], width: int) -> int:
    name = layer["class_name"]
    if name in _OUTPUT_WIDTH:
        return _size(_config(layer).get(_OUTPUT_WIDTH[name]))
    if name == "InputLayer":
        return _last(_config(layer).get("batch_shape"))
    return width if name in _KEEPS_WIDTH else 1


def has_kernel(value: Mapping[str, Any]) -> bool:
    """Tell whether a serialized object is a layer of Keras that has a kernel once it is built."""
    return value["class_name"] in _SIZES and str(value.get("module")) in _LAYER_MODULES


def least_elements(layer: Mapping[str, Any], width: int) -> int:
    """Return a lower bound on the elements of *layer*'s variables, for a last input axis of *width*."""
    config, name = _config(layer), layer["class_name"]
    if name in _PER_FEATURE:
        return width
    is_plain = config.get("data_format") != "channels_first" and config.get("groups") in (None, 1)
    known = {_INPUT: width if is_plain else 1, "output_shape": _kernel_axes(config)}
    sizes = (_product(_size(known.get(key, config.get(key))) for key in keys) for keys in _SIZES.get(name, ()))
    return max(sizes, default=0)


def _kernel_axes(config: Mapping[str, Any]) -> Any:
    """Return the axes of the output of an EinsumDense that its kernel has; all of them if the equation tells nothing.

    The last letters of the output stand for `output_shape`: in ``abc,cd->abd`` its last axis alone is the kernel's.
    """
    shape, equation = config.get("output_shape"), config.get("equation")
    if not (isinstance(shape, list) and isinstance(equation, str) and "," in equation):
        return shape
    kernel, _, output = equation.rpartition(",")[2].partition("->")
    return [size for letter, size in zip(reversed(output), reversed(shape), strict=False) if letter in kernel]


def _config(value: Mapping[str, Any]) -> Mapping[str, Any]:
    config = value.get("config")
    return config if isinstance(config, dict) else {}


def _size(value: Any) -> int:
    """Return the number of elements that a size or a shape stands for; unknown dimensions count once."""
    numbers = value if isinstance(value, list) else [value]
    return _product(n for n in numbers if isinstance(n, int) and n > 0)


def _product(numbers: Iterable[int]) -> int:
    """Multiply, up to `_MOST`: a config may hold numbers of thousands of digits, and thousands of them."""
    found = 1
    for number in numbers:
        found = min(found * min(number, _MOST), _MOST)
    return found


def _last(shape: Any) -> int:
    return _size(shape[-1]) if isinstance(shape, list) and shape else 1


def _recorded_width(layer: Mapping[str, Any], tensors: list[Mapping[str, Any]]) -> int:
    """Return the last dimension of the recorded input, 1 where none is recorded."""
    build = layer.get("build_config")
    if isinstance(build, dict) and build.get("input_shape") is not None:
        shape = build["input_shape"]
        several = [part for part in shape if isinstance(part, list)] if isinstance(shape, list) else []
        return max(map(_last, several or [shape]))
    return max((_last(tensor.get("shape")) for tensor in tensors), default=1)


def _tensors(layer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the nodes of *layer* record of the tensors that it is called on."""
    nodes = layer.get("inbound_nodes")
    return [_config(marker) for marker in filter(is_marker, own_values(nodes))] if nodes else []
