"""What layers of Keras 2 that look words and numbers up give out, where Keras 3 gives another dtype. Layer: runtime.

Keras 3 declares the dtype of Keras 2 for all of these, and computes another one.

Source:
    ``__init__`` of tf_keras 2.21 ``layers/preprocessing/index_lookup.py`` and ``discretization.py``; ``_encode`` and
    ``compute_output_spec`` of keras 3.15.1 ``src/layers/preprocessing/index_lookup.py``.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.dialects import Flavour, NormalForm
from safeload.runtime._keras._package import flat_layers

_ENCODED = dict.fromkeys(("count", "multi_hot", "one_hot"), "float32")
_OUTPUT_DTYPES = {"IntegerLookup": _ENCODED, "StringLookup": _ENCODED, "Discretization": {"int": "int64"}}
"""Class of Keras 3 → ``output_mode`` → dtype; a TextVectorization has a StringLookup inside."""


def give_dtypes_of_keras_2(model: Any, normal: NormalForm | None) -> None:
    """Let layers of *model* give the dtypes that they gave in Keras 2, if it was written there."""
    if normal is None or normal.writer.flavour is Flavour.KERAS_3:
        return
    for layer in flat_layers(model):
        dtypes = _OUTPUT_DTYPES.get(type(layer).__name__, {}) if type(layer).__module__.startswith("keras.") else {}
        dtype = dtypes.get(getattr(layer, "output_mode", ""))
        if dtype is not None:
            layer.call = MethodType(_casting(dtype), layer)


def _casting(dtype: str) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return tf.cast(type(self).call(self, *args, **kwargs), dtype)

    return call
