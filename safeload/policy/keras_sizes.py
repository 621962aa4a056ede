"""Variables that a config declares and the weights do not hold: a line of JSON can ask for a lot. Layer: policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safeload.dialects import COMPAT_MODULE
from safeload.inspection import Place, is_marker, is_object, own_values
from safeload.policy._finding import Finding, Severity
from safeload.policy.keras_names import SYMBOL_KEYS

if TYPE_CHECKING:
    from safeload.inspection import KerasInfo

# A model that was saved before it was built has no weights yet, quantised weights are packed two in a byte, and a layer
# that two wrappers share is written twice and stored once. So small declarations pass (2**22 elements are 16 MiB of
# float32), and larger ones may exceed the stored weights by a small factor, which bounds the harm all the same.
_FREE_ELEMENTS = 1 << 22
_SLACK = 4
MAX_UNROLLED = 4096
"""Steps of a recurrent layer that are written out one by one; each takes milliseconds while the model is built."""
_MAX_CALLS = 100_000
"""Calls of layers that building a model comes to, each a millisecond: those of nested models count at every call."""
_SPLITTERS = frozenset({"ArraySplit", "Split", "Unstack"})
_PARTS = frozenset({"indices_or_sections", "num", "num_or_size_splits"})
"""Operations of keras/src/ops (3.15.1) that return a list, and what they and TensorFlow call its length."""
_REPEATED: Mapping[str, tuple[str, ...]] = {
    "AugMix": ("num_chains", "chain_depth"),
    "CTCDecode": ("top_paths",),
    "Diff": ("n",),
    "RandAugment": ("num_ops",),
    "TextVectorization": ("ngrams",),
}
"""Keys that say how many operations, one after another, a layer is; in a list each number stands for itself.

Source: ``diff`` and ``ctc_decode`` of keras/src/backend/tensorflow (3.15.1), text_vectorization.py, aug_mix.py and
rand_augment.py.
"""
_FOLDED: Mapping[str, str] = {"Fold": "kernel_size"}
"""Keys that say how large a window is, of which each pixel is an operation. Source: ``fold`` of its nn.py."""
_HINT = "ask the author for a file whose weights fit its configuration"
MOST = 1 << 62
"""Where counting ends."""
_LAYERS = "layers"
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

_SIZED_CLASSES = frozenset({*_SIZES, *_PER_FEATURE, *_REPEATED, *_FOLDED, "RepeatVector"})
_SIZED_KEYS = frozenset({"batch_shape", "layers", "stateful", "unroll"})
"""What the rules below ask about: classes of which they know sizes, and keys that they look for in all others."""


def oversized_layers(keras: KerasInfo) -> Iterator[Finding]:
    """Yield a finding if the layers declare more than the weights hold.

    The sum of lower bounds over all layers of the normal form must not exceed the elements that are
    stored by more than a small factor. It bounds what building allocates only as far as configs tell; what
    layers make of shapes that no config records is for whoever builds them to compare with the weight index.
    """
    places = _sized(keras)
    tensors = _recorded_tensors(keras.places)
    batch_shapes = [shape for p in places if (shape := _batch_shape(p.value))]
    # A sequence of images has a state for each pixel: the time and the channels are left out.
    pixels = max((product([*shape[:1], *shape[2:-1]]) for shape in batch_shapes), default=0)
    layers = [(size, p) for p in places for size in _declared(p.value, tensors)]
    layers += [(_state_elements(p.value, pixels), p) for p in places if config_of(p.value).get("stateful") is True]
    declared = sum([size for size, _ in layers])
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


def allowed_elements(stored: int | None) -> int:
    """Return how many elements the variables of a model may have whose file holds *stored*."""
    return _SLACK * max(stored or 0, _FREE_ELEMENTS)


def unrolled_layers(keras: KerasInfo) -> Iterator[Finding]:
    """Yield layers that are written out step by step, in more steps than anybody writes out."""
    places = _sized(keras)
    longest = max((size for p in places for size in (*_batch_shape(p.value)[1:], _repeats(p.value))), default=0)
    for place in keras.object_places:
        if _splits(place.value["class_name"]):
            yield from _many_outputs(place)
    yield from _many_operations(places)
    yield from _many_calls(keras.object_places)
    for place in places if longest > MAX_UNROLLED else ():
        if config_of(place.value).get("unroll") is True:
            message = f"{place.value['class_name']} would be unrolled {longest:,} times"
            yield Finding("unrolled-layer", Severity.UNEXAMINED, place.where, str(longest), message, _HINT)


def _sized(keras: KerasInfo) -> list[Place]:
    """Return the objects whose class or config says something of sizes: most parts of layers say nothing."""
    return [
        place
        for place in keras.object_places
        if place.value["class_name"] in _SIZED_CLASSES or not _SIZED_KEYS.isdisjoint(config_of(place.value))
    ]


def _many_outputs(place: Place) -> Iterator[Finding]:
    """Yield the splits into more tensors than anybody splits into that the operation at *place* declares."""
    for value in own_values(place.value):
        keys = _PARTS.intersection(value) if isinstance(value, dict) else ()
        count = max((min(value[key], MOST) for key in keys if isinstance(value[key], int)), default=0)
        if count > MAX_UNROLLED:
            message = f"{place.value['class_name']} would make {count:,} tensors"
            yield Finding("unrolled-layer", Severity.UNEXAMINED, place.where, str(count), message, _HINT)


def _many_operations(places: Iterable[Place]) -> Iterator[Finding]:
    """Yield layers that are more operations than anybody writes down."""
    for place in places:
        name = place.value["class_name"]
        config, keys = config_of(place.value), _REPEATED.get(name, ())
        count = product(number for key in keys if isinstance(number := config.get(key), int) and number > 0)
        if name in _FOLDED:
            keys = (_FOLDED[name],)
            count = area_of(config.get(*keys))
        if count > MAX_UNROLLED:
            shown = f"{' times '.join(keys)} {count:,}"
            message = f"{name} would be written out with {shown}"
            yield Finding("unrolled-layer", Severity.UNEXAMINED, place.where, shown, message, _HINT)


def _many_calls(places: Sequence[Place]) -> Iterator[Finding]:
    """Yield the outermost model if models are called within models more often than anybody waits for.

    Each model is called layer by layer when it is built, and again at each node that calls it.
    """
    inside: defaultdict[int, int] = defaultdict(int)
    found = 0
    for place in reversed(places):  # what stands in a model comes behind it
        calls = inside[id(place.value)]
        found = min(found + calls * (place.key == _LAYERS or place is places[0]), MOST)
        nodes = place.value.get("inbound_nodes")
        times = len(nodes) if isinstance(nodes, list) and nodes else 1
        inside[id(place.owner)] = min(inside[id(place.owner)] + times * (calls + (place.key == _LAYERS)), MOST)
    if found > _MAX_CALLS:
        message = f"layers would be called {found:,} times, as models are called within models"
        yield Finding("unrolled-layer", Severity.UNEXAMINED, places[0].where, str(found), message, _HINT)


def _splits(name: str) -> bool:
    return name in _SPLITTERS or name in SYMBOL_KEYS


def _state_elements(value: Mapping[str, Any], places: int) -> int:
    """Return how much a layer that keeps its state between calls allocates for it, whatever its weights.

    Args:
        value: The layer.
        places: The rows of a batch times the pixels of a picture, as the model declares them.
    """
    config = config_of(value)
    units = max(size_of(config.get("units")), size_of(config.get("filters")))
    return units * places


def _batch_shape(value: Mapping[str, Any]) -> list[int]:
    shape = config_of(value).get("batch_shape")
    if not isinstance(shape, list):
        return []  # as almost everywhere
    return [min(size, MOST) if isinstance(size, int) and size > 0 else 1 for size in shape]


def _repeats(value: Mapping[str, Any]) -> int:
    return size_of(config_of(value).get("n")) if value["class_name"] == "RepeatVector" else 0


_Tensors = Mapping[int, list[Mapping[str, Any]]]
"""What the nodes of every layer record, by the `id` of the layer."""


def _declared(value: Mapping[str, Any], tensors: _Tensors) -> Iterator[int]:
    """Yield what the object itself declares, and what its layers declare on top by their order."""
    name = value["class_name"]
    if name in _SIZES or name in _PER_FEATURE:
        yield least_elements(value, _recorded_width(value, tensors[id(value)]))
    layers = config_of(value).get("layers")
    if isinstance(layers, list):
        yield from _declared_by_order([layer for layer in layers if is_object(layer)], tensors)


def _declared_by_order(layers: list[Any], recorded_tensors: _Tensors) -> Iterator[int]:
    """Follow the last axis from layer to layer, where a file records no shapes or wrong ones."""
    widths: dict[str, int] = {}
    before = ""
    for layer in layers:
        name = str(layer.get("name") or config_of(layer).get("name"))
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
        return size_of(config_of(layer).get(_OUTPUT_WIDTH[name]))
    if name == "InputLayer":
        return _last(config_of(layer).get("batch_shape"))
    return width if name in _KEEPS_WIDTH else 1


def has_kernel(value: Mapping[str, Any]) -> bool:
    """Tell whether a serialized object is a layer of Keras that has a kernel once it is built."""
    return value["class_name"] in _SIZES and str(value.get("module")) in _LAYER_MODULES


def least_elements(layer: Mapping[str, Any], width: int) -> int:
    """Return a lower bound on the elements of *layer*'s variables, for a last input axis of *width*."""
    config, name = config_of(layer), layer["class_name"]
    if name in _PER_FEATURE:
        return width
    is_plain = config.get("data_format") != "channels_first" and config.get("groups") in (None, 1)
    known = {_INPUT: width if is_plain else 1, "output_shape": _kernel_axes(config)}
    sizes = (product(size_of(known.get(key, config.get(key))) for key in keys) for keys in _SIZES.get(name, ()))
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


def config_of(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the constructor arguments of a serialized object, none if it has others than named ones."""
    config = value.get("config")
    return config if isinstance(config, dict) else {}


def size_of(value: Any) -> int:
    """Return the number of elements that a size or a shape stands for; unknown dimensions count once."""
    numbers = value if isinstance(value, list) else [value]
    return product(n for n in numbers if isinstance(n, int) and n > 0)


def area_of(value: Any, sides: int = 2) -> int:
    """Return the number of elements of a picture of this size, at least; one number stands for all its *sides*."""
    return product(max(1, _whole(side)) for side in (value if isinstance(value, list) else [value] * sides))


def _whole(number: Any) -> int:
    """Return a number without its sign and fraction, up to `MOST`, which what is not a number is too; 0 for others."""
    return int(min(MOST, abs(number))) if isinstance(number, (int, float)) else 0


def product(numbers: Iterable[int]) -> int:
    """Multiply, up to `MOST`: a config may hold numbers of thousands of digits, and thousands of them."""
    found = 1
    for number in numbers:
        found = min(found * min(number, MOST), MOST)
    return found


def _last(shape: Any) -> int:
    return size_of(shape[-1]) if isinstance(shape, list) and shape else 1


def _recorded_width(layer: Mapping[str, Any], tensors: list[Mapping[str, Any]]) -> int:
    """Return the last dimension of the recorded input, 1 where none is recorded."""
    build = layer.get("build_config")
    if isinstance(build, dict) and build.get("input_shape") is not None:
        shape = build["input_shape"]
        several = [part for part in shape if isinstance(part, list)] if isinstance(shape, list) else []
        return max(map(_last, several or [shape]))
    return max((_last(tensor.get("shape")) for tensor in tensors), default=1)


def _recorded_tensors(places: Iterable[Place]) -> _Tensors:
    """Return what each layer records of the tensors that it is called on."""
    found: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for place in places:
        value = place.value
        if not place.is_object and is_marker(value):
            found[id(place.owner)].append(config_of(value))
    return found
