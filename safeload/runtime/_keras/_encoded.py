"""What layers that look words and numbers up gave out in Keras 2, where Keras 3 gives another dtype. Layer: runtime.

Keras 3 declares the dtype of Keras 2 for all of these, and computes another one; for Discretization it does so from
3.12 on.

Source:
    ``__init__`` of tf_keras 2.21 ``layers/preprocessing/index_lookup.py`` and ``discretization.py``; ``_encode`` and
    ``compute_output_spec`` of keras 3.15.1 ``src/layers/preprocessing/index_lookup.py``; ``output_dtype`` of keras
    3.12.0 ``src/layers/preprocessing/discretization.py``, which 3.11.3 has not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.dialects import Flavour, NormalForm, Writer
from safeload.readers import KerasArtifact
from safeload.runtime._keras._package import flat_layers

_ENCODED = ("count", "multi_hot", "one_hot")
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_NUMBERS = _INTEGERS | {"bfloat16", "float16", "float32", "float64"}
_OUTPUTS = {
    "Discretization": (("int",), _INTEGERS, "int64"),
    "IntegerLookup": (_ENCODED, _NUMBERS, "float32"),
    "StringLookup": (_ENCODED, _NUMBERS, "float32"),
}
"""Class → values of ``output_mode``; dtypes of the layer that are those of its output; what it is for others.

A TextVectorization has a StringLookup inside.
"""


_BUCKETS_ARE_INT32 = (3, 12)
"""First Keras 3 whose Discretization computes int32 whatever its dtype."""


def give_recorded_dtypes(model: Any, artifact: KerasArtifact, normal: NormalForm | None) -> None:
    """Let layers of *model* give the dtypes that they gave where it was written."""
    names = _otherwise(normal.writer) if normal is not None else ()
    layers = [layer for layer in flat_layers(model) if type(layer).__name__ in names and _is_of_keras_3(layer)]
    recorded = dict(_recorded_dtypes(artifact.config)) if layers else {}
    for layer in layers:
        modes, dtypes, usual = _OUTPUTS[type(layer).__name__]
        if layer.output_mode in modes:
            dtype = recorded.get(layer.name)
            layer.call = MethodType(_casting(dtype if dtype in dtypes else usual), layer)


def _otherwise(writer: Writer) -> Collection[str]:
    """Return the layers that gave other dtypes for *writer*."""
    if writer.flavour is not Flavour.KERAS_3:
        return _OUTPUTS
    return ("Discretization",) if writer.may_be_before(_BUCKETS_ARE_INT32) else ()


def _recorded_dtypes(config: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the dtype of each of these layers, as the file has them."""
    if isinstance(config, dict):
        inner = config.get("config")
        if config.get("class_name") in _OUTPUTS and isinstance(inner, dict):
            yield str(inner.get("name")), _name_of(inner.get("dtype"))
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _recorded_dtypes(part)


def _name_of(policy: Any) -> str:
    """Return the dtype of a policy, which Keras 3 records as an object."""
    config = policy.get("config") if isinstance(policy, dict) else None
    return str(config.get("name") if isinstance(config, dict) else policy)


def _is_of_keras_3(layer: Any) -> bool:
    return type(layer).__module__.startswith("keras.")


def _casting(dtype: str) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return tf.cast(type(self).call(self, *args, **kwargs), dtype)

    return call
