"""What a graph records of the process that saved it: devices, settings of its calls, numbers. Layer: runtime.

In a cluster each node names the process that it ran in: ``/job:worker/replica:0/task:3/device:GPU:1``. TensorFlow takes
another device where there is none of that kind and number, and fails where there is no such process.

Calls hold the settings of the session that saved them, which choose the passes of the optimizer. One of them ends the
process over a number of replicas (``AutoParallel``), and none of them is needed.

Custom gradients are named by numbers, and another process has others by these names, of other models. What the file
holds of them gets new names where it is loaded; TensorFlow before 2.6 saved none.

Source: ``allow_soft_placement`` in tensorflow/core/protobuf/config.proto and what TensorFlow 2.21 does;
tensorflow/core/kernels/partitioned_function_ops.cc, where no settings are the defaults; ``generate_name`` in
tensorflow/python/ops/custom_gradient.py, ``_fix_fdef_in_place`` in saved_model/function_deserialization.py.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Any

_PROCESS = re.compile(r"/(job|replica|task):[^/]*")
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_SETTINGS = ("config", "config_proto")

GRADIENT_ATTRIBUTE = "_gradient_op_type"
"""Attribute that names a custom gradient. Source: ops.py, `override_gradient_function`."""

_NUMBERED = re.compile(rb"CustomGradient-\d+")


def leave_process(nodes: Iterable[Any], gradients: Container[str] = ()) -> None:
    """Let *nodes* run in this process, with its settings, on the device that they name of it.

    Args:
        nodes: NodeDefs of a graph or a function.
        gradients: Names of custom gradients that the loader is going to replace.
    """
    for node in nodes:
        if node.device:
            node.device = device_here(node.device)
        if node.op in _CALLS:
            for key in _SETTINGS:
                node.attr.pop(key, None)
        if GRADIENT_ATTRIBUTE in node.attr:
            name = node.attr[GRADIENT_ATTRIBUTE].s
            if _NUMBERED.fullmatch(name) and name.decode() not in gradients:
                node.attr[GRADIENT_ATTRIBUTE].s = name + b" of another process"


def device_here(device: str) -> str:
    """Return *device* without the process that it belongs to."""
    return _PROCESS.sub("", device)
