"""Bounds on what is read from an artifact. Layer: bottom; standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral

_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds that hold while an artifact is read, before anything is built.

    The defaults are far above every public model that was measured and far
    below what exhausts a small host. Raise one by name for a file that you know.

    Attributes:
        max_config_bytes: Bytes of JSON in one Keras config or metadata file.
        max_graph_bytes: Bytes of one ``saved_model.pb``.
        max_entries: Members of an archive, files of a directory, objects of an HDF5 file or a checkpoint, nodes of a
            config.
        max_nesting_depth: Levels of a JSON tree, of HDF5 groups, of protobuf messages.
        max_weight_bytes: Total bytes that the weights declare, whatever is stored.
        max_expansion_ratio: Declared bytes divided by stored bytes, over a whole file.
        max_asset_bytes: Total bytes of assets read into memory.

    Raises:
        TypeError: A bound is no whole number.
        ValueError: A bound is negative.
    """

    max_config_bytes: int = 64 * _MIB
    max_graph_bytes: int = 2 * _GIB - 1
    max_entries: int = 100_000
    max_nesting_depth: int = 200
    max_weight_bytes: int = 64 * _GIB
    max_expansion_ratio: int = 100
    max_asset_bytes: int = _GIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"{field.name} must be a whole number, not of type {type(value).__name__}")
            if value < 0:
                raise ValueError(f"{field.name} must be 0 or more, not {value}")
