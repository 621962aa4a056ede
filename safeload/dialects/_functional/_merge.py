"""The ``Merge`` layer of Keras 1: what its modes are called since Keras 2.

Source:
    keras 1.2.2 ``keras/engine/topology.py`` (class Merge), keras 2.0.8 ``keras/legacy/layers.py`` (Merge).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.errors import IncompatibleVersionError

Json = Any

MERGE_CLASSES = MappingProxyType(
    {
        "sum": "Add",
        "mul": "Multiply",
        "ave": "Average",
        "max": "Maximum",
        "concat": "Concatenate",
        "dot": "Dot",
        "cos": "CosineMerge",
    }
)
"""Mode of a Keras 1 Merge → layer of Keras 2, or of safeload."""


def merge_layer(layer: Json, where: str) -> Json:
    """The layer that does what a Keras 1 ``Merge`` does.

    A mode that is code becomes a Lambda layer, for the policy to judge.

    Raises:
        IncompatibleVersionError: the mode has no counterpart.
    """
    config = layer["config"]
    name, mode = config.get("name"), config.get("mode")
    if config.get("mode_type", "raw") != "raw":
        function = {"function": mode, "function_type": config["mode_type"], "arguments": config.get("arguments") or {}}
        return {**layer, "module": "keras.layers", "class_name": "Lambda", "config": {"name": name, **function}}
    class_name = MERGE_CLASSES.get(mode) if isinstance(mode, str) else None
    if class_name is None:
        raise IncompatibleVersionError(
            where,
            problem=f"Merge mode {mode!r} of Keras 1 has no counterpart",
            hint="rebuild the model with the layers of Keras 2",
        )
    return {
        **layer,
        "module": COMPAT_MODULE if class_name == "CosineMerge" else "keras.layers",
        "class_name": class_name,
        "config": {"name": name, "trainable": True, **_options(class_name, config)},
    }


def _options(class_name: str, config: Json) -> dict[str, Json]:
    if class_name == "Concatenate":
        return {"axis": config.get("concat_axis", -1)}
    if class_name == "CosineMerge":
        return {"axes": config.get("dot_axes", -1)}
    if class_name == "Dot":
        return {"axes": config.get("dot_axes", -1), "normalize": False}
    return {}
