"""Layers that the models of ``keras.applications`` define for themselves → safeload's own. Layer: dialects.

Source: ``applications/convnext.py`` of keras 2.10 to 3.15.1, ``applications/inception_resnet_v2.py`` of 2.13 to 3.15.1.
"""

from __future__ import annotations

import re
from typing import Any

_KEYS = {
    "CustomScaleLayer": {"scale"},
    "LayerScale": {"init_values", "projection_dim"},
    "StochasticDepth": {"drop_path_rate"},
}
"""Class → the keys of its config beside those of any layer."""

_OF_ANY_LAYER = {"name", "trainable", "dtype"}
_HOME = re.compile(r"(tf_)?keras(\.src)?\.applications\.(convnext|inception_resnet_v2)")


def is_application_layer(module: Any, name: Any) -> bool:
    """Tell whether Keras has the class *name* in *module*, that of an application."""
    return isinstance(name, str) and name in _KEYS and isinstance(module, str) and _HOME.fullmatch(module) is not None


def application_layer(value: dict[str, Any]) -> str | None:
    """Return the name of the layer that *value*, a serialized object, is by its module, or by its keys if it has none.

    Public models copy these classes, with their keys; one that the caller gives is taken before safeload's. Archives
    record a module for each class of Keras; those that have none there are the author's.
    """
    name, config = str(value["class_name"]).removeprefix("Custom>"), value.get("config")
    if name not in _KEYS or not isinstance(config, dict):
        return None
    has_keys = config.keys() == _KEYS[name] | _OF_ANY_LAYER
    is_own = is_application_layer(value["module"], name) if "module" in value else has_keys
    return name if is_own else None
