"""What a graph records of the process that saved it: devices, and settings of its calls. Layer: runtime.

In a cluster each node names the process that it ran in: ``/job:worker/replica:0/task:3/device:GPU:1``. TensorFlow takes
another device where there is none of that kind and number, and fails where there is no such process.

Calls hold the settings of the session that saved them, which choose the passes of the optimizer. One of them ends the
process over a number of replicas (``AutoParallel``), and none of them is needed.

Source: ``allow_soft_placement`` in tensorflow/core/protobuf/config.proto and what TensorFlow 2.21 does;
tensorflow/core/kernels/partitioned_function_ops.cc, where no settings are the defaults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_PROCESS = re.compile(r"/(job|replica|task):[^/]*")
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_SETTINGS = ("config", "config_proto")


def leave_process(nodes: Iterable[Any]) -> None:
    """Let *nodes* run in this process, with its settings, on the device that they name of it."""
    for node in nodes:
        if node.device:
            node.device = device_here(node.device)
        if node.op in _CALLS:
            for key in _SETTINGS:
                node.attr.pop(key, None)


def device_here(device: str) -> str:
    """Return *device* without the process that it belongs to."""
    return _PROCESS.sub("", device)
