"""What is left of TensorFlow in a forked process. Layer: runtime."""

from __future__ import annotations

from safeload._fork import Process
from safeload.errors import LoadFailedError


def require_usable(where: str) -> None:
    """Check that TensorFlow can run in this process.

    Raises:
        LoadFailedError: ``load-failed``. The process was forked after TensorFlow had run in its parent.
    """
    if not Process.is_usable:
        raise LoadFailedError(
            where,
            problem="this process was forked after TensorFlow had run in its parent, and would wait for ever",
            hint='start it with multiprocessing.get_context("spawn"), or load the first model in the child',
        )
