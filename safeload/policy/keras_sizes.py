"""Variables that a config declares and the weights do not hold: a few bytes of JSON can ask for a terabyte. Layer: policy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from safeload.inspection import is_marker, is_object, walk
from safeload.policy._finding import Finding, Severity

if TYPE_CHECKING:
    from safeload.inspection import KerasInfo

# A model that was saved before it was built has no weights yet, quantised weights are packed two in a byte, and a layer
# that two wrappers share is written twice and stored once. So small declarations pass (2**22 elements are 16 MiB of
# float32), and larger ones may exceed the stored weights by a small factor, which bounds the harm all the same.
_FREE_ELEMENTS = 1 << 22
_SLACK = 4

# Keys whose product is the least number of elements of a variable of the layer, whatever its input.
# Source: ``build`` of the layers in keras/src/layers of Keras 3.15.1 and keras/layers of Keras 2.15.
_SIZES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Dense": (("units",),),
    "EinsumDense": (("output_shape",),),
    "Embedding": (("input_dim", "output_dim"),),
    "ReversibleEmbedding": (("input_dim", "output_dim"),),
    "LSTM": (("units", "units"),),
    "LSTMCell": (("units", "units"),),
    "GRU": (("units", "units"),),
    "GRUCell": (("units", "units"),),
    "SimpleRNN": (("units", "units"),),
    "SimpleRNNCell": (("units", "units"),),
    "ConvLSTM1D": (("filters", "filters", "kernel_size"),),
    "ConvLSTM2D": (("filters", "filters", "kernel_size"),),
    "ConvLSTM3D": (("filters", "filters", "kernel_size"),),
    "Conv1D": (("filters", "kernel_size"),),
    "Conv2D": (("filters", "kernel_size"),),
    "Conv3D": (("filters", "kernel_size"),),
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
    "GroupQueryAttention": (("num_query_heads", "head_dim"),),
    "GroupedQueryAttention": (("num_query_heads", "head_dim"),),
    "RandomFourierFeatures": (("output_dim",),),
    "MaxoutDense": (("units", "nb_feature"),),
}
# Layers whose kernel is their input's last axis times the size above.
_TIMES_INPUT = frozenset({"Dense", "LSTM", "GRU", "SimpleRNN"})


def oversized_layers(keras: KerasInfo) -> Iterator[Finding]:
    """Yield a finding if the layers declare more than the weights hold.

    The sum of lower bounds over all layers of the normal form must not exceed the elements that are
    stored by more than a small factor. It bounds what building allocates only as far as configs tell; the runtime compares the
    shapes of what it builds with the weight index again.
    """
    layers = [(least_elements(p.value), p) for p in walk(keras.normal.config) if is_object(p.value)]
    declared = sum(size for size, _ in layers)
    stored = keras.parameter_count or 0
    if declared <= _SLACK * max(stored, _FREE_ELEMENTS):
        return
    size, place = max(layers, key=lambda layer: layer[0])
    yield Finding(
        "oversized-layer",
        Severity.DANGEROUS,
        place.where,
        f"{declared:,} declared, {stored:,} stored",
        f"the layers declare at least {declared:,} weights ({size:,} in {place.value['class_name']}), the file holds {stored:,}",
        "ask the author for a file whose weights fit its configuration",
    )


def least_elements(layer: Mapping[str, Any]) -> int:
    """Return a lower bound on the elements of the variables that *layer* makes when it is built."""
    config = layer.get("config")
    if not isinstance(config, dict):
        return 0
    sizes = [math.prod(_size(config.get(key)) for key in keys) for keys in _SIZES.get(layer["class_name"], ())]
    least = max(sizes, default=0)
    return least * _input_width(layer) if layer["class_name"] in _TIMES_INPUT and least else least


def _size(value: Any) -> int:
    """Return the number of elements that a size or a shape stands for; unknown dimensions count once."""
    numbers = value if isinstance(value, list) else [value]
    return math.prod(n for n in numbers if isinstance(n, int) and n > 0)


def _input_width(layer: Mapping[str, Any]) -> int:
    """Return the last dimension of the recorded input, 1 where none is recorded."""
    build = layer.get("build_config")
    shape = build.get("input_shape") if isinstance(build, dict) else None
    if shape is None:
        tensors = (p.value for p in walk(layer.get("inbound_nodes")) if is_marker(p.value))
        shape = next((t["config"].get("shape") for t in tensors if isinstance(t.get("config"), dict)), None)
    last = shape[-1] if isinstance(shape, list) and shape else None
    return last if isinstance(last, int) and last > 0 else 1
