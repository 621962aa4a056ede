"""Devices that a graph records. Layer: runtime.

In a cluster each node names the process that it ran in: ``/job:worker/replica:0/task:3/device:GPU:1``. TensorFlow takes
another device where there is none of that kind and number, and fails where there is no such process.

Source: ``allow_soft_placement`` in tensorflow/core/protobuf/config.proto and what TensorFlow 2.21 does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_PROCESS = re.compile(r"/(job|replica|task):[^/]*")


def leave_cluster(nodes: Iterable[Any]) -> None:
    """Let *nodes*, anything that has a device, run in this process, on the device that they name of it."""
    for node in nodes:
        if node.device:
            node.device = device_here(node.device)


def device_here(device: str) -> str:
    """Return *device* without the process that it belongs to."""
    return _PROCESS.sub("", device)
