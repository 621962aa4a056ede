"""Integers of shapes, operands and attributes. Layer: policy."""

from __future__ import annotations

import math
from typing import Any

from safeload.policy.graph._constants._fact import MAX_RANK

Ints = tuple[int, ...]


def product(dims: Ints) -> int:
    """Return how many elements a shape has."""
    return math.prod([max(0, dim) for dim in dims[:MAX_RANK]])


def largest(counts: Ints) -> int:
    """Return the greatest of *counts*, or 0."""
    return max((0, *counts))


def numbers(attributes: Any, key: str, default: int = 0) -> Ints:
    """Return the integers of an attribute, or *default* where it is not written."""
    value = attributes.get(key)
    return (default,) if value is None else tuple(value.list.i) or (value.i,)


def length(attributes: Any, key: str) -> int:
    """Return how many bytes the text of an attribute has."""
    return len(attributes[key].s) if key in attributes else 0


def padded(pairs: Ints) -> int:
    """Return the size that paddings alone make, of an input with one element."""
    pairs = pairs[: 2 * MAX_RANK]
    return math.prod(1 + max(0, before) + max(0, after) for before, after in zip(pairs[::2], pairs[1::2], strict=False))
