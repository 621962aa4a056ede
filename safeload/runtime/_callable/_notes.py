"""What errors that are Python's or TensorFlow's own mean here. Layer: runtime."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safeload.inspection import SignatureInfo
    from safeload.runtime._callable._model_callable import ModelCallable

_REASONS = {
    r"cross-replica context": "It was called in strategy.scope(): call it in strategy.run, or outside of the scope.",
    r"\bOOM\b|[Oo]ut of memory": "Memory is exhausted: pass fewer rows at once, as predict(x, batch_size=…) does.",
    r"No OpKernel was registered|No registered '\w+' OpKernel|only supports NHWC|[Cc]annot assign a device": (
        "An op has no implementation for this device: the model was made for another, such as a GPU."
    ),
}
"""Meanings by the texts of errors; the first match counts.

Source: `_unused_handle` in python/saved_model/load.py, bfc_allocator.cc, op_kernel.cc, conv_ops.cc, placer.cc
(TensorFlow 2.21).
"""

_ANY_OTHER = (
    "The arguments fit this signature, so the graph refuses what they hold: an index out of range, lengths that must "
    "agree, …"
)


def add_note(error: Exception, signature: SignatureInfo, where: str) -> None:
    """Say which model an error of TensorFlow is of, and what to do. Exceptions take notes from Python 3.11 on."""
    if hasattr(error, "add_note") and not hasattr(error, "__notes__"):
        text = str(error)
        reason = next((reason for pattern, reason in _REASONS.items() if re.search(pattern, text)), _ANY_OTHER)
        error.add_note(f"safeload: {where!r} raised this while {signature} ran. {reason}")


def missing_attribute(fn: ModelCallable, name: str) -> str:
    """Say where to look for *name*, which a `ModelCallable` does not have: most often it is one of Keras models."""
    problem = f"{type(fn).__name__!r} object has no attribute {name!r}"
    if name.startswith("_"):  # looked for by Python itself and by libraries, also before there is a signature
        return problem
    public = [known for known in dir(type(fn)) if not known.startswith("_")]
    if near := difflib.get_close_matches(name, public, 1):
        return f"{problem}; did you mean {near[0]!r}?"
    if fn.signature.kind == "keras":
        return f"{problem}; the Keras model, with all that such models have, is f.model"
    return f"{problem}; what it loads is at f.model, and what is known of the file in f.report"
