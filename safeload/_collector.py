"""The garbage collector waits while a model is looked at or loaded. Layer: top of the library.

Both make many objects that stay. Python takes their number for a reason to look for garbage among all objects of
the process, which takes a fifth of a second once TensorFlow is imported, and finds none.
"""

from __future__ import annotations

import gc
import sys
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


@contextmanager
def spared_imports() -> Iterator[None]:
    """Count what imports inside make among the oldest objects, at which the collector looks least.

    It stays, and each of the first two collections after it would look at all of it. Every object that there is moves
    along, unlooked at. Nothing is done where somebody has frozen objects, which this would thaw.
    """
    before = len(sys.modules)
    yield
    if len(sys.modules) > before and not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
