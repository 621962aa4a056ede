"""Transposed convolutions of Keras 3, whose ``output_padding`` only the shapes beside them tell. Layer: dialects.

Source:
    ``get_config`` in keras/src/layers/convolutional/base_conv_transpose.py, of which 3.15.1 is the first to record it;
    ``_get_output_shape_given_tf_padding`` in keras/src/backend/common/backend_utils.py of 3.3.3 and 3.15.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Any
Shape = list[Any]
Key = tuple[str, int, int]

_TRANSPOSED = frozenset({"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"})
_NOT_SPATIAL = 2


def with_output_padding(layers: list[Json]) -> list[Json]:
    """Return the *layers* of a model with the padding that the shapes of their inputs and outputs ask for.

    What follows a layer records the shape of what it takes. The last layer of a model has nothing behind it, and keeps
    what Keras gives it by default, as when Keras itself loads the file.
    """
    if not any(map(_is_without_padding, layers)):
        return layers
    taken = {key: shape for layer in layers for key, shape in _tensors(layer.get("inbound_nodes"))}
    following = [*layers[1:], {}]
    return [
        _padded(layer, *_shapes(layer, after, taken)) if _is_without_padding(layer) else layer
        for layer, after in zip(layers, following, strict=True)
    ]


def _is_without_padding(layer: Json) -> bool:
    config = layer.get("config")
    return layer.get("class_name") in _TRANSPOSED and isinstance(config, dict) and "output_padding" not in config


def _shapes(layer: Json, after: Json, taken: Mapping[Key, Shape]) -> tuple[Shape | None, Shape | None]:
    """Return the shapes of the first input and output of *layer*, from its calls or its neighbours in a Sequential."""
    if "inbound_nodes" not in layer:
        return _built(layer), _built(after)
    name = layer.get("name") or layer["config"].get("name")
    inputs = next(_tensors(layer["inbound_nodes"]), (None, None))
    return inputs[1], taken.get((name, 0, 0))


def _built(layer: Json) -> Shape | None:
    build = layer.get("build_config")
    shape = build.get("input_shape") if isinstance(build, dict) else None
    return shape if _is_shape(shape) else None


def _tensors(value: Json) -> Iterator[tuple[Key, Shape]]:
    """Yield the tensors that nodes take, with the shapes that they record."""
    if isinstance(value, list):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        if isinstance(config, dict) and _is_history(config.get("keras_history")) and _is_shape(config.get("shape")):
            yield tuple(config["keras_history"]), config["shape"]
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _is_shape(value: Json) -> bool:
    return isinstance(value, list) and all(size is None or type(size) is int for size in value)


def _is_row(value: Json) -> bool:
    return isinstance(value, list) and all(type(size) is int for size in value)


def _is_history(value: Json) -> bool:
    return isinstance(value, list) and [type(part) for part in value] == [str, int, int]


def _padded(layer: Json, before: Shape | None, after: Shape | None) -> Json:
    config = layer["config"]
    spatial = [_spatial(shape, config) for shape in (before, after) if shape is not None]
    rows = [config.get(key) for key in ("kernel_size", "strides", "dilation_rate")]
    if len(spatial) != 2 or not all(_is_row(row) and len(row) == len(spatial[0]) == len(spatial[1]) for row in rows):
        return layer
    is_valid = config.get("padding") == "valid"
    axes = [_padding(*axis, is_valid=is_valid) for axis in zip(*spatial, *rows, strict=True)]
    if None in axes or all(found == default for found, default in axes):
        return layer
    return {**layer, "config": {**config, "output_padding": [found for found, _ in axes]}}


def _spatial(shape: Shape, config: Json) -> Shape:
    return shape[_NOT_SPATIAL:] if config.get("data_format") == "channels_first" else shape[1:-1]


def _padding(before: Any, after: Any, kernel: int, stride: int, dilation: int, *, is_valid: bool) -> Any:
    """Return the padding of one axis and that of Keras's default, or None if no padding leads to the size *after*."""
    kernel = (kernel - 1) * dilation + 1
    size = kernel if is_valid else kernel % 2
    default = max(kernel, stride) - kernel if is_valid else stride - size
    found = default if before is None or after is None else after - (before - 1) * stride - size
    return (found, default) if found == default or 0 <= found < stride else None
