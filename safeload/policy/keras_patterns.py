"""Patterns in a config that Keras matches: one line may keep it busy for years. Layer: policy.

Source: ``DTypePolicyMap.__getitem__`` in keras/src/dtype_policies/dtype_policy_map.py (3.15.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity
from safeload.policy.keras_sizes import config_of

if TYPE_CHECKING:
    from safeload.inspection import KerasInfo

_MAPS = frozenset({"DTypePolicyMap"})
_PLAIN = re.compile(r"[\w/ :.-]*(?:\.[*+][\w/ :.-]*)?")
"""A path of layers with at most one part left open: several are tried in all combinations."""
_SHOWN = 80
_HINT = "ask the author for a file that names each layer, or leaves one part of the path open, such as encoder/.*"


def slow_patterns(keras: KerasInfo) -> Iterator[Finding]:
    """Yield maps from layers to dtypes that name the layers by patterns of more than one open part."""
    for place in keras.object_places:
        if place.value["class_name"] not in _MAPS:
            continue
        found = config_of(place.value).get("policy_map")
        for pattern in found if isinstance(found, dict) else ():
            if not _PLAIN.fullmatch(pattern):
                shown = pattern[:_SHOWN]
                message = f"the layers of a dtype are named by the pattern {shown!r}, which may take for ever"
                yield Finding("slow-pattern", Severity.UNEXAMINED, place.where, shown, message, _HINT)
