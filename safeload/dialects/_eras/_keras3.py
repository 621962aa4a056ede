"""Layers of early Keras 3 → the layers that compute the same in every Keras 3; what none reads. Layer: dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._eras._masks import LAYERS
from safeload.dialects._eras._resized import cast_as_written
from safeload.dialects._normal import Writer

_CROPS_BY_CHANCE_ONLY = (3, 6)
"""First Keras 3 whose RandomCrop no longer resizes in inference.

Source: keras/src/layers/preprocessing/random_crop.py of 3.5.0; image_preprocessing/random_crop.py of 3.6.0.
"""

_SHRINKS_COLUMNS = (3, 4)
"""First Keras 3 that takes the last axis off a column before it is encoded one-hot.

Source: ``_encode`` in keras/src/layers/preprocessing/category_encoding.py, ``encode_categorical_inputs`` in
keras/src/utils/numerical_utils.py of 3.3.3 and 3.4.1.
"""
_ENCODERS = frozenset({"CategoryEncoding", "Discretization"})
_FACTORS = frozenset({"x_factor", "y_factor"})
"""What RandomShear is given as ``a`` and records as ``[-a, a]``, which it does not take: numbers below 0 are refused.

Source: ``_set_factor_with_name`` in keras/src/layers/preprocessing/image_preprocessing/random_shear.py (3.9.0, 3.15.1).
"""

_PASSES_ON = frozenset({"RandomHeight", "RandomWidth"})
"""Layers of Keras 2 that ``tf.keras`` has from TensorFlow 2.16 on, in ``keras._legacy``: no change in inference.

Source: keras/src/legacy/layers.py of 3.3.3 and 3.15.1, which has ThresholdedReLU as Keras 2 has it, too.
"""
_OF_ANY_LAYER = frozenset({"name", "trainable", "dtype"})


def modernise(name: str, config: Mapping[str, Any], writer: Writer) -> tuple[str, str, Mapping[str, Any]]:
    """Return the module, the class and the config that compute what the layer *name* of *writer* did.

    Args:
        name: Class of a built-in layer of Keras 3.
        config: Its config; not changed.
        writer: The release that recorded it.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It depends on the release, which is not known.
    """
    casts = cast_as_written(name, config, writer)
    if name == "RandomCrop" and writer.is_before(_CROPS_BY_CHANCE_ONLY, name):
        name, config = "Resizing", resized(config)
    if casts is not None:
        return COMPAT_MODULE, name, {**config, **casts}
    if name in _ENCODERS and config.get("output_mode") == "one_hot" and writer.is_before(_SHRINKS_COLUMNS, name):
        return COMPAT_MODULE, f"Column{name}", config
    if name == "ThresholdedReLU":
        return COMPAT_MODULE, name, config
    if name in _PASSES_ON:
        return LAYERS, "Identity", {key: value for key, value in config.items() if key in _OF_ANY_LAYER}
    if name == "RandomShear":
        config = {key: _given(value) if key in _FACTORS else value for key, value in config.items()}
    return LAYERS, name, config


def _given(factor: Any) -> Any:
    """Return the number of which RandomShear makes *factor*, where there is one."""
    is_made = isinstance(factor, list) and len(factor) == 2 and factor[0] == -factor[1]
    return factor[1] if is_made else factor


def resized(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a Resizing that does what RandomCrop does in inference.

    Source: ``RandomCrop`` of keras 2.7 to 2.15 and 3.0 to 3.5, which call ``smart_resize``.
    """
    kept = {key: value for key, value in config.items() if key != "seed"}
    return {**kept, "interpolation": "bilinear", "crop_to_aspect_ratio": True}
