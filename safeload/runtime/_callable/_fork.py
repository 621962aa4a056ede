"""What is left of TensorFlow in a forked process. Layer: runtime.

A fork copies memory and no threads: an operation in the child waits for ever for the thread pools of the parent. As
long as the parent has run nothing, the child starts its own.
"""

from __future__ import annotations

import os

from tensorflow.python.eager import context

from safeload.errors import LoadFailedError


class _Process:
    """Whether TensorFlow works in this process."""

    is_usable = True


def _note_fork() -> None:
    # Source: tensorflow/python/eager/context.py (2.21); the handle is made when the first operation runs.
    used = context._context  # noqa: SLF001 - asking for the context by its function would make one
    if used is not None and used._context_handle is not None:  # noqa: SLF001
        _Process.is_usable = False


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_note_fork)


def require_usable(where: str) -> None:
    """Check that TensorFlow can run in this process.

    Raises:
        LoadFailedError: ``load-failed``. The process was forked after TensorFlow had run in its parent.
    """
    if not _Process.is_usable:
        raise LoadFailedError(
            where,
            problem="this process was forked after TensorFlow had run in its parent, and would wait for ever",
            hint='start it with multiprocessing.get_context("spawn"), or load the first model in the child',
        )
