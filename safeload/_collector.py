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
    """How many loads are under way, whether the collector was running before them, and whether there were others."""

    lock = threading.Lock()
    count = 0
    was_enabled = False
    are_first = True


@contextmanager
def paused_collector() -> Iterator[None]:
    """Collect no garbage inside; afterwards go on as before, once no other thread is inside.

    Most processes keep what they load first, so the collector does not look at it at once; models that come and go are
    looked at like anything else.
    """
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
                if _Pauses.are_first:
                    _count_among_oldest()
                _Pauses.are_first = False
                gc.enable()


@contextmanager
def spared_imports() -> Iterator[None]:
    """Count what imports inside make among the oldest objects: it stays."""
    before = len(sys.modules)
    yield
    if len(sys.modules) > before:
        _count_among_oldest()


def _count_among_oldest() -> None:
    """Count every object that there is among the oldest, at which the collector looks least, unlooked at.

    Each of the next two collections would look at all of the young ones. Nothing is done where somebody has frozen
    objects, which this would thaw.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
