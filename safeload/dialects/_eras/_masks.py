"""Layers whose masks mean something else in Keras 3. Layer: dialects.

Only where a model has masks; elsewhere these layers compute the same.
"""

from __future__ import annotations

from typing import Any

from safeload.dialects._catalogue import era_layer
from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._normal import Flavour, Writer

LAYERS = "keras.layers"

_MERGING = frozenset({"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"})
"""Keras 2 takes what all masks have, Keras 3 what any has, and none if one input has none.

Source: ``compute_mask`` in keras/layers/merging of 2.9.0 and in keras/src/layers/merging of 3.4.1 and 3.15.1.
"""

_TAKES_MASKS = (2, 10)
"""First Keras 2 whose MultiHeadAttention takes the masks of its inputs.

Source: ``_compute_attention_mask`` in keras/layers/attention/multi_head_attention.py, in 2.10.0 and not in 2.9.0.
Keras 3 takes the masks off the inputs: ``call`` in keras/src/layers/attention/multi_head_attention.py of 3.15.1.
"""


_GATHERS_MASKS = (3, 4)
"""First Keras 3 that gathers the masks of several inputs; before, a merging layer gives none.

Source: ``previous_mask`` in keras/src/layers/layer.py of 3.3.3 and 3.4.1.
"""


def may_mask_otherwise(config: Any, writer: Writer) -> bool:
    """Tell whether *config* may make masks, and *writer* treats some otherwise than today's Keras 3."""
    is_today = writer.flavour is Flavour.KERAS_3 and not (writer.version and writer.version < _GATHERS_MASKS)
    return not is_today and may_mask(config, writer)


def with_masks_of(name: str, writer: Writer) -> str | None:
    """Return safeload's own layer for *name* if Keras 3 treats masks otherwise than *writer* did."""
    if writer.flavour is Flavour.KERAS_3:
        return f"Unmasked{name}" if name in _MERGING else None
    if name == "MultiHeadAttention":
        is_unmasked = writer.flavour is Flavour.TF_KERAS_1X and writer.version < _TAKES_MASKS
        return f"Unmasked{name}" if is_unmasked else name
    return name if name in _MERGING else None


def is_of_keras_2(module: str, name: str) -> bool:
    """Tell whether tf_keras itself has safeload's own layer *name*, masks and all."""
    return module == COMPAT_MODULE and (name in _MERGING or name == "MultiHeadAttention")


def may_mask(config: Any, writer: Writer) -> bool:
    """Tell whether some layer of *config* makes a mask: an Embedding, a Masking, or one of the user's."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            if value.get("class_name") == "Masking" or value.get("mask_zero") is True:
                return True
            layers = value.get("layers")
            if isinstance(layers, list) and any(_is_custom(layer, writer) for layer in layers):
                return True
            pending.extend(value.values())
    return False


def _is_custom(layer: Any, writer: Writer) -> bool:
    name = layer.get("class_name") if isinstance(layer, dict) else None
    return isinstance(name, str) and name not in _MODELS and era_layer(name, writer) is None


_MODELS = frozenset({"Sequential", "Functional", "Model"})
