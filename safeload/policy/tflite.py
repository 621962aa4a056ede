"""Rules about TensorFlow Lite models. Layer: policy.

Its ops compute: none opens a file, a connection or a program. What is not in the tables is refused, or has no kernel
and is refused when the load is planned.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safeload.inspection.tflite_ops import NO_KERNEL
from safeload.policy._finding import Finding, Severity
from safeload.readers.protobuf import dtype_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection import ModelInfo
    from safeload.readers.tflite.model import TFLiteSubgraph, TFLiteTensor

_BUDGET = 2 << 30
"""Bytes that one tensor may need whatever the input; a flatbuffer itself has at most 2 GiB."""
_BUDGET_OF_ALL = 2 * _BUDGET
"""Bytes that all tensors may need at once: an op takes and makes some."""
_ISOLATE = "load it in a process of its own if you do not know where it comes from"
_HINT = "ask the author for a model without it"


def tflite_ops(info: ModelInfo) -> Iterator[Finding]:
    """Find ops that no table knows, and those that only an interpreter puts in place."""
    for op in info.tflite.ops if info.tflite is not None else ():
        if op in NO_KERNEL or op.startswith("#"):
            message = f"{op} is an op of which it is not known what it does"
            yield Finding("unknown-op", Severity.UNEXAMINED, "operator_codes", op, message, _HINT)
    for op, _ in info.tflite.missing_ops if info.tflite is not None else ():
        message = f"{op} is a custom op that the interpreter does not have"
        yield Finding("unknown-op", Severity.WARNING, "operator_codes", op, message, _HINT)


def tflite_kernels(info: ModelInfo) -> Iterator[Finding]:
    """Say of every model what cannot be examined: the kernels trust the options and constants of their ops."""
    if info.tflite is not None:
        message = "TensorFlow Lite checks little of what its kernels compute with; a hostile file can end the process"
        yield Finding("tflite-kernels", Severity.WARNING, "subgraphs", f"{len(info.tflite.ops)} ops", message, _ISOLATE)


def tflite_sizes(info: ModelInfo) -> Iterator[Finding]:
    """Find tensors that need more memory than any host should give, each by itself or all at once."""
    subgraphs = info.tflite.subgraphs if info.tflite is not None else ()
    each = [tensor for subgraph in subgraphs for tensor in subgraph.tensors if _bytes(tensor) > _BUDGET]
    for tensor in each:
        yield _too_large(f"the tensor {tensor.name!r} needs", _bytes(tensor))
    together = sum(map(_most_at_once, subgraphs))
    if together > _BUDGET_OF_ALL and not each:
        yield _too_large("its tensors need", together)


def _too_large(what: str, size: int) -> Finding:
    message = f"{what} {size:,} bytes of memory whatever the input"
    return Finding("allocation", Severity.DANGEROUS, "subgraphs", f"{size:,} bytes", message, _HINT)


def _bytes(tensor: TFLiteTensor) -> int:
    shapes = (tensor.shape or (), tensor.room)
    elements = max(math.prod(1 if dim is None or dim < 0 else dim for dim in shape) for shape in shapes)
    return elements * (dtype_bytes(tensor.dtype or "") or 1)


def _most_at_once(subgraph: TFLiteSubgraph) -> int:
    """Return the bytes of all tensors that exist at one time; constants lie in the file.

    Source: ArenaPlanner, tensorflow/lite/arena_planner.cc (2.21): inputs, outputs and variables keep their place, and
    others have one from the operator that makes them to the last that takes them.
    """
    sizes = [_bytes(tensor) for tensor in subgraph.tensors]
    variables = (index for index, tensor in enumerate(subgraph.tensors) if tensor.is_variable)
    held = {*subgraph.inputs, *variables}
    last = {position: step for step, sides in enumerate(subgraph.steps) for side in sides for position in side}
    last.update(dict.fromkeys((*held, *subgraph.outputs), len(subgraph.steps)))
    now = most = sum(sizes[position] for position in held)
    made: set[int] = set()
    for step, (taken, outputs) in enumerate(subgraph.steps):
        new = set(outputs) - held
        made |= new
        now += sum(sizes[position] for position in new)
        most = max(most, now)
        done = {position for position in made.intersection((*taken, *new)) if last[position] == step}
        now -= sum(sizes[position] for position in done)
    return most


TFLITE_RULES = (tflite_ops, tflite_sizes, tflite_kernels)
"""Every rule about TensorFlow Lite models."""
