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
    from safeload.readers.tflite.model import TFLiteTensor

_BUDGET = 2 << 30
"""Bytes that one tensor may need whatever the input; a flatbuffer itself has at most 2 GiB."""
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
    """Find tensors that need more memory than any host should give."""
    for tensor in info.tflite.tensors if info.tflite is not None else ():
        size = _bytes(tensor)
        if size > _BUDGET:
            message = f"the tensor {tensor.name!r} needs {size:,} bytes of memory whatever the input"
            yield Finding("allocation", Severity.DANGEROUS, "subgraphs", f"{size:,} bytes", message, _HINT)


def _bytes(tensor: TFLiteTensor) -> int:
    elements = math.prod(1 if dim is None else dim for dim in tensor.shape or ())
    return elements * (dtype_bytes(tensor.dtype or "") or 1)


TFLITE_RULES = (tflite_ops, tflite_sizes, tflite_kernels)
"""Every rule about TensorFlow Lite models."""
