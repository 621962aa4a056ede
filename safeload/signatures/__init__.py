"""Which signature answers a call, and how arguments bind to it. Layer: above inspection; pure, standard library alone.

Nothing here touches a tensor: values pass through untouched, and what is checked
about them (shape, dtype) is passed in as plain data.
"""

from __future__ import annotations

from safeload.signatures._bind import bind, closest, for_inference, pack, with_defaults
from safeload.signatures._check import Cast, check_dtype, check_shape
from safeload.signatures._choose import (
    KERAS_KEYS,
    answering,
    candidates,
    choose,
    choose_in,
    is_training_switch,
)

__all__ = [
    "KERAS_KEYS",
    "Cast",
    "answering",
    "bind",
    "candidates",
    "check_dtype",
    "check_shape",
    "choose",
    "choose_in",
    "closest",
    "for_inference",
    "is_training_switch",
    "pack",
    "with_defaults",
]
