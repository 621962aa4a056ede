"""Layers of Keras 3 that also work inside ``tf.data``, and compute something else once they are traced.

Layer: runtime.

Source:
    ``__call__`` of keras 3.15.1 ``src/layers/preprocessing/data_layer.py`` (``tf_data_layer.py`` up to 3.12), and
    ``call`` of ``image_preprocessing/center_crop.py`` and ``random_crop.py``.
"""

from __future__ import annotations

from typing import Any

from safeload.runtime._keras._package import flat_layers

_CROPS = frozenset({"CenterCrop", "RandomCrop"})
"""Layers that resize what is too small to crop, and do not look where the size is only known when they run."""


class _KeepsFloats:
    """A layer's ``backend`` that leaves floats alone, which a graph would cast to the layer's own integer dtype."""

    def __init__(self, backend: Any) -> None:
        self._wrapped = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def convert_to_tensor(self, x: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Return *x* as a tensor; floats keep their dtype."""
        tensor = self._wrapped.convert_to_tensor(x, **kwargs)
        return tensor if tensor.dtype.is_floating else self._wrapped.convert_to_tensor(x, dtype=dtype, **kwargs)


def keep_floats(model: Any) -> None:
    """Let the layers of *model* see in a graph what they see without one."""
    for layer in flat_layers(model):
        if _casts_floats(layer):
            layer.backend = _KeepsFloats(layer.backend)


def is_traceable(model: Any) -> bool:
    """Tell whether one trace for all shapes computes what *model* computes."""
    layers = list(flat_layers(model))
    is_cropped = any(type(layer).__name__ in _CROPS for layer in layers)
    return not (is_cropped and _has_unknown_sizes(model)) and not any(_casts_floats(layer) for layer in layers)


def _casts_floats(layer: Any) -> bool:
    is_data_layer = type(getattr(layer, "backend", None)).__name__ == "DynamicBackend"
    return is_data_layer and "int" in str(layer.compute_dtype)


def _has_unknown_sizes(model: Any) -> bool:
    return any(None in tuple(tensor.shape)[1:] for tensor in getattr(model, "inputs", None) or ())
