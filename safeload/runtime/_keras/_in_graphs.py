"""Layers of Keras 3 that compute something else once they are traced. Layer: runtime.

Source:
    ``__call__`` of keras 3.15.1 ``src/layers/preprocessing/data_layer.py`` (``tf_data_layer.py`` up to 3.12),
    ``call`` of ``image_preprocessing/center_crop.py`` and ``random_crop.py``, and ``call`` of
    ``rnn/time_distributed.py``, which up to 3.13 asks for the number of steps, and since for that of examples.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.runtime._keras._package import flat_layers

_CROPS = frozenset({"CenterCrop", "RandomCrop"})
"""Layers that resize what is too small to crop, and do not look where the size is only known when they run."""


class _KeepsFloats:
    """A layer's ``backend`` that leaves floats alone, which a graph would cast to the layer's own integer dtype."""

    def __init__(self, backend: Any) -> None:
        self._wrapped = backend

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        return _KeepsFloats(found) if name == "ops" else found  # where Keras 3.16 has `convert_to_tensor`

    def convert_to_tensor(self, x: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Return *x* as a tensor; floats keep their dtype."""
        tensor = self._wrapped.convert_to_tensor(x, **kwargs)
        return tensor if tensor.dtype.is_floating else self._wrapped.convert_to_tensor(x, dtype=dtype, **kwargs)


def mend(model: Any) -> None:
    """Let the layers of *model* compute in a graph what they compute without one."""
    for layer in flat_layers(model):
        if _casts_floats(layer):
            layer.backend = _KeepsFloats(layer.backend)
        if _repeated_by(layer) is type(layer).call or _ignores_mask(layer):
            layer.call = MethodType(_each_step, layer)


def is_traceable(model: Any) -> bool:
    """Tell whether one trace for all shapes computes what *model* computes."""
    layers = list(flat_layers(model))
    is_cropped = any(type(layer).__name__ in _CROPS for layer in layers)
    if is_cropped and _has_unknown_sizes(model):
        return False
    return not any(_casts_floats(layer) or _loses_steps(layer) for layer in layers)


def _casts_floats(layer: Any) -> bool:
    """Tell whether *layer* casts floats to integers in a graph alone: most layers cast whatever they are given."""
    is_data_layer = type(getattr(layer, "backend", None)).__name__ == "DynamicBackend"
    return is_data_layer and "int" in str(layer.compute_dtype) and not _casts_always(layer)


def _casts_always(layer: Any) -> bool:
    """Tell whether a call casts floats to integers, too.

    Source: ``__call__`` of keras 3.15.1 ``src/layers/layer.py``; ``input_dtype`` of Discretization in 3.3.3.
    """
    is_cast = getattr(layer, "_convert_input_args", True) is True and layer.autocast is True
    return is_cast and "int" in str(layer.input_dtype)


def _has_unknown_sizes(model: Any) -> bool:
    inputs = getattr(model, "inputs", None)
    return not inputs or any(None in tuple(tensor.shape)[1:] for tensor in inputs)


def _repeated_by(layer: Any) -> Any:
    """Return the ``call`` of Keras's own TimeDistributed if *layer* is one, else None."""
    named = (base for base in type(layer).__mro__ if base.__name__ == "TimeDistributed")
    return next((vars(base).get("call") for base in named if base.__module__.startswith("keras.")), None)


def _ignores_mask(layer: Any) -> bool:
    """Tell whether *layer* is safeload's own TimeDistributed that masks no step."""
    return getattr(layer, "ignores_mask", False) is True


def _loses_steps(layer: Any) -> bool:
    """Tell whether *layer*, which is not mended, may be called on a number of steps that a graph does not know."""
    if _repeated_by(layer) is None or "call" in vars(layer):
        return False
    given = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]  # noqa: SLF001
    return not given or any(tensor.shape[1] is None for tensor in given)


def _each_step(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    """Call the layer inside on each step, as many as there are when the graph runs."""
    if inputs.shape[1] is not None:
        return type(self).call(self, inputs, training=training, mask=mask)
    inside = self.layer
    inputs, mask = _swapped(inputs), None if mask is None or _ignores_mask(self) else _swapped(mask)

    def step(index: Any) -> Any:
        given = {"training": training} if inside._call_has_training_arg else {}  # noqa: SLF001
        if mask is not None and inside._call_has_mask_arg:  # noqa: SLF001
            given["mask"] = mask[index]
        return inside.call(inputs[index], **given)

    return _swapped(tf.vectorized_map(step, tf.range(tf.shape(inputs)[0])))


def _swapped(tensor: Any) -> Any:
    """Return *tensor* with its first two axes exchanged."""
    return tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])
