"""Which array of a group belongs to which variable of a layer.

Pure: works on names and shapes. Layer: runtime.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from safeload.runtime._weights._saved import Saved

_SAME_LEAF = {
    "depthwise_kernel": "kernel",
    "sn_u": "vector_u",
    "W": "kernel",
    "b": "bias",
    "p": "alpha",
    "variable": "gamma",
}
"""Leaf names that changed → today's.

Source: ``add_weight`` of DepthwiseConv, SpectralNormalization and LayerScale (whose weight Keras 3 gives no name) in
keras 2.15 and 3.15.
"""

_OF_KERAS_1 = {"embeddings": "kernel"}
"""Leaf names of today → that of another weight that Keras 1 called the same: both are its ``W``."""

_COUNTER = re.compile(r"_\d+$")


@dataclass(frozen=True)
class Slot:
    """A variable that waits for its array.

    Attributes:
        path: Names from the layer down to the leaf.
        shape: Its shape.
        is_known: True if its layer is Keras's own, so that the leaf name is certain.
        variable: The variable.
        layer: The layer that holds it.
    """

    path: tuple[str, ...]
    shape: tuple[int, ...]
    is_known: bool
    variable: Any
    layer: Any


Fits = Callable[[Sequence[tuple[Saved, Slot]]], bool]


def pair(saved: Sequence[Saved], orders: Sequence[Sequence[Slot]], fits: Fits) -> list[tuple[Saved, Slot]] | None:
    """Pair arrays with variables.

    Full names decide where both sides have the same ones; then the recorded
    order, in each order that a release may have had, if leaf names agree; then leaf
    names alone. For the caller's own layers, whose names may depend on the
    process, the order is enough.

    Args:
        saved: The arrays in the recorded order.
        orders: The variables in each order that a release may have used, the likeliest first.
        fits: Tells whether the shapes of a pairing agree, conversions included.

    Returns:
        The pairs, or None if no pairing agrees.
    """
    candidates = [_by_names(saved, orders[0]), *(_in_order(saved, order, _same_leaf) for order in orders)]
    candidates += [_by_leaves(saved, orders[0]), *(_in_order(saved, order, _may_differ) for order in orders)]
    return next((pairs for pairs in candidates if pairs is not None and fits(pairs)), None)


def _by_names(saved: Sequence[Saved], slots: Sequence[Slot]) -> list[tuple[Saved, Slot]] | None:
    """Pair by the last names, layer and leaf, or as many above them as tell all arrays apart, if both sides agree.

    As they are first: a layer of the caller's may have both a ``gamma`` and a ``variable``.
    """
    for above, said in itertools.product((1, 2, 3), (_bare, leaf_name)):
        ours = {(*slot.path[:-1][-above:], said(slot.path[-1])): slot for slot in slots}
        theirs = {(*item.owner[-above:], said(item.leaf)): item for item in saved}
        if len(ours) == len(slots) and len(theirs) == len(saved) and ours.keys() == theirs.keys():
            return [(item, ours[key]) for key, item in theirs.items()]
    return None


def _by_leaves(saved: Sequence[Saved], slots: Sequence[Slot]) -> list[tuple[Saved, Slot]] | None:
    ours = {leaf_name(slot.path[-1]): slot for slot in slots}
    theirs = {leaf_name(item.leaf): item for item in saved}
    if len(ours) != len(slots) or len(theirs) != len(saved) or ours.keys() != theirs.keys():
        return None
    return [(item, ours[leaf]) for leaf, item in theirs.items()]


def _in_order(
    saved: Sequence[Saved], slots: Sequence[Slot], agrees: Callable[[Saved, Slot], bool]
) -> list[tuple[Saved, Slot]] | None:
    if len(saved) != len(slots):
        return None
    pairs = list(zip(saved, slots, strict=True))
    return pairs if all(agrees(item, slot) for item, slot in pairs) else None


def _same_leaf(item: Saved, slot: Slot) -> bool:
    ours = leaf_name(slot.path[-1])
    return leaf_name(item.leaf) == (_OF_KERAS_1.get(ours, ours) if item.era_1 else ours)


def _may_differ(item: Saved, slot: Slot) -> bool:
    return _same_leaf(item, slot) or not slot.is_known


def leaf_name(name: str) -> str:
    """Return *name* without the counter that a TensorFlow graph adds, as today's layers say it."""
    return _SAME_LEAF.get(_bare(name), _bare(name))


def _bare(name: str) -> str:
    return _COUNTER.sub("", name)
