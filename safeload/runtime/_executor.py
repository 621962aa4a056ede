"""Which graphs one thread runs as fast as many do. Layer: runtime.

TensorFlow hands every operation that is ready to its pool of threads, and waking a thread takes longer than a small
model does. Where each operation waits for the one before it, the pool has nothing to share out, and the executor with
one thread does the same in the same order.

Source: tensorflow/core/common_runtime/single_threaded_executor.cc and executor.cc (TensorFlow 2.21).
"""

from __future__ import annotations

import functools
from typing import Any

from tensorflow.python.framework import op_def_registry

ONE_THREAD = "SINGLE_THREADED_EXECUTOR"
"""TensorFlow's name for the executor that runs operations in turn."""

MAX_OPERATIONS = 200
"""Of longer graphs the operations themselves take the time."""

_SMALL = 4096
"""Elements of a tensor that any operation is done with at once."""

_LIGHT = frozenset(
    {
        "Const", "ExpandDims", "Identity", "NoOp", "Pack", "Placeholder", "ReadVariableOp", "Reshape", "Shape",
        "Squeeze", "StridedSlice",
    }
)  # fmt: skip
"""Operations that hand over or describe what they are given."""

_READING = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd"})
"""Operations with access to variables that change nothing."""

_CONTROL_FLOW = frozenset(
    {"Enter", "Exit", "LoopCond", "Merge", "NextIteration", "RefEnter", "RefExit", "RefMerge", "RefNextIteration",
     "RefSelect", "RefSwitch", "Switch"}
)  # fmt: skip
"""Operations that need an executor that follows several branches. Source: control_flow_ops.cc (TensorFlow 2.21)."""


def is_chain(graph: Any) -> bool:
    """Tell whether each operation of *graph* that takes time waits for the one before it, and none has effects.

    Args:
        graph: A FuncGraph.
    """
    operations = graph.get_operations()
    if len(operations) > MAX_OPERATIONS:
        return False
    depths: dict[str, int] = {}
    length = 0
    for operation in operations:
        sources = [tensor.op.name for tensor in operation.inputs]
        if not _is_pure(operation.type) or not all(map(depths.__contains__, sources)):  # some come after what they feed
            return False
        depth = max(map(depths.__getitem__, sources), default=0)
        if not _is_light(operation):
            depth, length = depth + 1, length + 1
            if depth != length:
                return False
        depths[operation.name] = depth
    return True


@functools.cache
def _is_pure(kind: str) -> bool:
    """Tell whether an operation has no effects, calls no functions and decides no branches."""
    definition = op_def_registry.get(kind)
    if definition is None or kind in _CONTROL_FLOW:
        return False
    calls = any(attribute.type in ("func", "list(func)") for attribute in definition.attr)
    return not calls and (kind in _READING or not definition.is_stateful)


def _is_light(operation: Any) -> bool:
    if operation.type in _LIGHT:
        return True
    sizes = [tensor.shape.num_elements() for tensor in (*operation.inputs, *operation.outputs)]
    return all(size is not None and size <= _SMALL for size in sizes)
