"""The garbage collector waits while a model is looked at or loaded. Layer: top of the library.

Both make many objects that stay. Python takes their number for a reason to look for garbage among all objects of
the process, which takes a fifth of a second once TensorFlow is imported, and finds none.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pauses:
    """How many loads are under way, and whether the collector was running before the first of them."""

    lock = threading.Lock()
    count = 0
    was_enabled = False


@contextmanager
def paused_collector() -> Iterator[None]:
    """Collect no garbage inside; afterwards go on as before, once no other thread is inside."""
    with _Pauses.lock:
        if _Pauses.count == 0:
            _Pauses.was_enabled = gc.isenabled()
            gc.disable()
        _Pauses.count += 1
    try:
        yield
    finally:
        with _Pauses.lock:
            _Pauses.count -= 1
            if _Pauses.count == 0 and _Pauses.was_enabled:
                gc.enable()
