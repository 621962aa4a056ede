"""Rules about what windows over pictures and sequences declare. Layer: policy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity
from safeload.policy.graph._subject import subjects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection import ModelInfo
    from safeload.inspection.graph.info import Node

_WINDOWED = re.compile(r"Conv|Pool|Dilation2D|Extract(?:Image|Volume)Patches")
"""Names of ops with windows. Source: op definitions of TensorFlow 2.21."""
_LEAST = {
    "dilations": 1, "explicit_paddings": 0, "ksize": 1, "ksizes": 1, "padding_list": 0, "rates": 1, "strides": 1,
    "window_strides": 1,
}  # fmt: skip
"""Attributes of these that are lists of numbers, and the least that a number may be."""
_MOST = (1 << 31) - 1
"""TensorFlow takes the numbers for int32, and ends the process where they are none, or where it divides by zero.

Source: tensorflow/core/common_runtime/mkl_layout_pass.cc (2.21), ``CopyAttrsConv``.
"""


def impossible_windows(info: ModelInfo) -> Iterator[Finding]:
    """Find convolutions and the like with numbers that TensorFlow does not survive."""
    for subject in subjects(info):
        for node in subject.graph.nodes(*filter(_WINDOWED.search, subject.graph.by_op)):
            key = _impossible(node)
            if key is not None:
                numbers = list(node.proto.attr[key].list.i[:_SHOWN])
                message = f"declares {key} that no window can have, which ends the process"
                yield subject.finding(
                    node,
                    rule="impossible-window",
                    severity=Severity.DANGEROUS,
                    message=message,
                    evidence=f"{key}={numbers}",
                )


_SHOWN = 6


def _impossible(node: Node) -> str | None:
    attributes = node.proto.attr
    for key, least in _LEAST.items():
        if key in attributes and any(not least <= number <= _MOST for number in attributes[key].list.i):
            return key
    return None
