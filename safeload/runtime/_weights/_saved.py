"""One array of an HDF5 file in the legacy layout, as today's layers would name it.

Owns the names and the splitting of Keras 1. Pure: no TensorFlow. Layer: runtime.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

_KERAS_1 = re.compile(
    r"^(?P<owner>.+?)_(?P<leaf>W_carry|b_carry|W|U|b|gamma|beta|running_mean|running_std|alphas|betas|"
    r"t_left|a_left|t_right|a_right|depthwise_kernel|pointwise_kernel)(?:_(?P<gate>[icfozrh]))?(?::0)?$"
)
"""Source: ``name=`` of every ``add_weight`` in keras 1.2.2 ``keras/layers``."""

_KERAS_1_LEAVES = {
    "W": "kernel",
    "U": "recurrent_kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
    "alphas": "alpha",
    "betas": "beta",
}
_GATE_ORDER = {frozenset("icfo"): "ifco", frozenset("zrh"): "zrh"}
"""Order in which LSTM and GRU of Keras 2 and 3 join their gates.

Source: tf_keras 2.21 ``saving/legacy/hdf5_format.py``; running_std has always held the variance.
"""


class Saved(NamedTuple):
    """An array that waits to be read.

    Attributes:
        owner: Names above the leaf: ``("bi", "forward_gru", "gru_cell")``.
        leaf: ``"kernel"``.
        shape: Its shape.
        read: Reads it.
        era_1: True if Keras 1 named it, so that its axes are those of Keras 1.
        source: How messages name it.
    """

    owner: tuple[str, ...]
    leaf: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray[Any, Any]]
    source: str
    era_1: bool = False


def saved_arrays(
    entries: Iterable[tuple[str, tuple[int, ...], Callable[[], Any]]], *, is_era_1: bool = False
) -> list[Saved]:
    """Return the arrays of one group: (weight name, shape, reader) in the recorded order.

    A slash parts a layer from its weight; in a file of Keras 1, *is_era_1*, a layer may have it in its name.
    """
    listed = list(entries)
    matches = [_KERAS_1.match(name) if is_era_1 or "/" not in name else None for name, _, _ in listed]
    if listed and all(matches):
        return _joined([_keras_1(m, *entry) for m, entry in zip(matches, listed, strict=True) if m])
    return [_plain(*entry) for entry in listed]


def _plain(name: str, shape: tuple[int, ...], read: Callable[[], Any]) -> Saved:
    *owner, leaf = name.split("/")
    return Saved(tuple(owner), leaf.partition(":")[0], shape, read, name)


def _keras_1(
    match: re.Match[str], name: str, shape: tuple[int, ...], read: Callable[[], Any]
) -> tuple[str | None, Saved]:
    leaf = _KERAS_1_LEAVES.get(match["leaf"], match["leaf"])
    return match["gate"], Saved((match["owner"],), leaf, shape, read, name, era_1=True)


def _joined(entries: list[tuple[str | None, Saved]]) -> list[Saved]:
    gates: dict[tuple[tuple[str, ...], str], dict[str, Saved]] = {}
    result: dict[tuple[tuple[str, ...], str], Saved] = {}
    for gate, saved in entries:
        key = (saved.owner, saved.leaf)
        if gate is not None:
            gates.setdefault(key, {})[gate] = saved
        result[key] = saved
    result.update({key: _join(parts) for key, parts in gates.items()})
    return list(result.values())


def _join(parts: dict[str, Saved]) -> Saved:
    order = _GATE_ORDER.get(frozenset(parts), "".join(sorted(parts)))
    ordered = [parts[gate] for gate in order]
    first = ordered[0]

    def read() -> np.ndarray[Any, Any]:
        import numpy as np

        return np.concatenate([part.read() for part in ordered], axis=-1)

    shape = (*first.shape[:-1], sum(part.shape[-1] for part in ordered))
    return Saved(first.owner, first.leaf, shape, read, first.source, era_1=True)
