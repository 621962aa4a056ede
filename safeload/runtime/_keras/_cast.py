"""Masks of inputs that a layer casts to its own dtype, which Keras 3.5 to 3.13 lose. Layer: runtime.

Earlier releases wrote the dtype into the symbolic tensor, which kept its mask; later ones take the mask along. In files
of 3.5 to 3.9 most casts are operations of their own; those of a Sequential, and all of later files, are part of a call.

Source:
    ``convert_input`` in keras/src/dtype_policies/dtype_policy.py of 3.4.1 and 3.5.0; ``__call__`` in
    keras/src/layers/layer.py of 3.9.2, 3.10.0, 3.13.2 and 3.14.0; tf_keras 2.21 ``engine/base_layer.py``, which reads
    masks before it casts, as Keras 2 did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from safeload.dialects import NormalForm, Writer, may_mask
from safeload.errors import IncompatibleVersionError
from safeload.runtime._keras._package import flat_layers, package_of

_LOSES, _KEEPS_AGAIN = (3, 5), (3, 14)
_CASTS_IN_CALLS = (3, 10)


def cast_masks_as_written(model: Any, normal: NormalForm | None) -> None:
    """Let layers of *model* lose the masks of what they cast, or keep them, as the writer did.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It is not known which release that is, or the installed
            one has cast while the model was built.
    """
    keras = package_of(model)
    if normal is None or keras.__name__ != "keras":
        return
    layers = [layer for layer in flat_layers(model) if type(layer).__name__ != "InputLayer"]
    if len(set(_dtypes(layers))) < 2 or not may_mask(normal.config, normal.writer):
        return
    loses = _loses(normal.writer, model.name)
    installed = tuple(int(number) for number in keras.__version__.split(".")[:2])
    if loses is (_LOSES <= installed < _KEEPS_AGAIN):
        return
    if installed < _CASTS_IN_CALLS:
        raise IncompatibleVersionError(
            model.name,
            problem=f"Keras {keras.__version__} {'keeps' if loses else 'loses'} masks where a layer has another dtype "
            f"than its input, and the release that wrote this model {'lost' if loses else 'kept'} them",
            hint="install Keras 3.10 or later, with which safeload does as that release",
        )
    for layer in layers if loses else ():
        _read_masks_when_called(layer)
    for layer in filter(_casts, layers):
        object.__setattr__(layer, "__class__", _casting(type(layer), keeps=not loses))


def _casts(layer: Any) -> bool:
    """Tell whether *layer* is one of Keras 3 that casts what it is given."""
    return getattr(layer, "_convert_input_args", False) is True and layer.autocast is True


def _read_masks_when_called(layer: Any) -> None:
    """Take from the calls of *layer* the masks that Keras found while it built the model; a call finds its own."""
    for node in layer._inbound_nodes:  # noqa: SLF001
        found = {id(getattr(tensor, "_keras_mask", None)) for tensor in node.input_tensors} | {id(None)}
        kwargs = node.arguments.kwargs
        for name in [name for name in kwargs if name.endswith("mask")]:
            if all(id(mask) in found for mask in tf.nest.flatten(kwargs[name])):
                del kwargs[name]


def _dtypes(layers: Iterable[Any]) -> Iterable[str]:
    """Yield the floating dtypes that *layers* compute in or give."""
    for layer in layers:
        outputs = [tensor for node in layer._inbound_nodes for tensor in node.output_tensors]  # noqa: SLF001
        yield from (d for d in (layer.compute_dtype, *(each.dtype for each in outputs)) if "float" in str(d))


def _loses(writer: Writer, name: str) -> bool:
    return writer.is_before(_KEEPS_AGAIN, name) and not writer.is_before(_LOSES, name)


def _casting(cls: type, *, keeps: bool) -> type:
    """Return *cls* with calls that cast, and keep masks or do not; Python looks for ``__call__`` in the class alone."""

    def cast(self: Any, value: Any) -> Any:
        mask = getattr(value, "_keras_mask", None)
        result = value if mask is None else self.dtype_policy.convert_input(value, self.autocast, self.input_dtype)
        if keeps and result is not value:
            result._keras_mask = mask  # noqa: SLF001
        return result

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tf.nest.map_structure(lambda value: cast(self, value), (args, kwargs))
        return cls.__call__(self, *args, **kwargs)

    return type(cls.__name__, (cls,), {"__module__": cls.__module__, "__call__": call})
