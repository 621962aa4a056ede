"""Layers that resize images, whose dtypes went other ways in earlier releases. Layer: dialects.

Source:
    ``Resizing``, ``CenterCrop`` and ``RandomCrop`` of TensorFlow 2.2 to 2.5 ``python/keras/layers/preprocessing/
    image_preprocessing.py``, of keras 2.6.0, 2.7.0, 2.8.0, 2.10.0, 2.13.1 and tf_keras 2.21 in the file of that name,
    of keras 3.0.5 to 3.6.0 ``src/layers/preprocessing``, with ``resize`` in ``src/backend/tensorflow/image.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.dialects._normal import Flavour, Writer
from safeload.dialects._values import recorded_dtype

_CASTS_AS_TOLD = (2, 8)
"""First tf.keras whose layers give the dtype they are told to; before, that of what they are given or of the result."""
_RESIZES_SMALL = (2, 7)
"""First tf.keras whose crops are those of ``smart_resize``."""
_ROUNDS = (3, 6)
"""First Keras 3 that rounds to integers, and whose CenterCrop casts nothing that it resizes."""

_RESIZES = frozenset({"Resizing", "CenterCrop", "RandomCrop"})
_OWN, _READ = "own", "read"


def cast_as_written(name: str, config: Mapping[str, Any], writer: Writer) -> dict[str, Any] | None:
    """Return how the layer *name* of *writer* cast, as keys of safeload's own Resizing and CenterCrop.

    Returns:
        ``casts_first``: whether images are cast to the layer's dtype before they are resized; ``gives``: the dtype of
        the result, ``"own"``, ``"read"`` for that of the images, or None for that of ``tf.image.resize``. None instead
        of these where Keras 3 does the same.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It depends on the release, which is not known.
    """
    if name not in _RESIZES:
        return None
    if writer.flavour is not Flavour.KERAS_3 and writer.version < _CASTS_AS_TOLD:
        return _as_given(name, config, writer)
    dtype = recorded_dtype(config.get("dtype"))
    if dtype == "float32" or (name != "CenterCrop" and not dtype.startswith(("int", "uint", "bool"))):
        return None
    if writer.flavour is not Flavour.KERAS_3:
        return {"casts_first": name != "Resizing" or config.get("interpolation") == "nearest", "gives": _OWN}
    return {"casts_first": True, "gives": _OWN} if writer.is_before(_ROUNDS, name) else None


def _as_given(name: str, config: Mapping[str, Any], writer: Writer) -> dict[str, Any] | None:
    if name == "Resizing":
        is_same = recorded_dtype(config.get("dtype")) == "float32" and config.get("interpolation") != "nearest"
        return None if is_same else {"casts_first": False, "gives": None}
    is_resized = name == "CenterCrop" or writer.version >= _RESIZES_SMALL
    return {"casts_first": False, "gives": _READ} if is_resized else None
