"""Whether TensorFlow works in this process. Layer: bottom; standard library alone.

A fork copies memory and no threads: an operation in the child waits for ever for the thread pools of the parent. As
long as the parent has run nothing, the child starts its own. The fork itself has to be noted, so `import safeload`
asks for that: who forks may have used TensorFlow without safeload.
"""

from __future__ import annotations

import os
import sys


class Process:
    """What is known of this process."""

    is_usable = True


def _note_fork() -> None:
    # Source: tensorflow/python/eager/context.py (2.21); the handle is made when the first operation runs.
    used = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    handle = getattr(used, "_context_handle", None)
    if handle is not None:
        Process.is_usable = False
        import ctypes  # TensorFlow did

        # At the end of the interpreter the context, too, would wait for the threads of the parent: it is never freed.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_note_fork)
