"""Layers of early Keras 3 → the layers that compute the same in every Keras 3. Layer: dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.dialects._normal import Writer

_CROPS_BY_CHANCE_ONLY = (3, 6)
"""First Keras 3 whose RandomCrop no longer resizes in inference.

Source: keras/src/layers/preprocessing/random_crop.py of 3.5.0; image_preprocessing/random_crop.py of 3.6.0.
"""


def modernise(name: str, config: Mapping[str, Any], writer: Writer) -> tuple[str, Mapping[str, Any]]:
    """Return the class and the config that compute what the layer *name* of *writer* did.

    Args:
        name: Class of a built-in layer of Keras 3.
        config: Its config; not changed.
        writer: The release that recorded it.
    """
    if name == "RandomCrop" and writer.version and writer.version < _CROPS_BY_CHANCE_ONLY:
        return "Resizing", resized({key: value for key, value in config.items() if key != "seed"})
    return name, config


def resized(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a Resizing that does what RandomCrop does in inference.

    Source: ``RandomCrop`` of keras 2.7 to 2.15 and 3.0 to 3.5, which call ``smart_resize``.
    """
    return {**config, "interpolation": "bilinear", "crop_to_aspect_ratio": True}
