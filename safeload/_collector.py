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
    """How many loads are under way, if the collector was running before them, and how many modules there were last."""

    lock = threading.Lock()
    count = 0
    was_enabled = False
    modules = 0


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
                _spare_imports()
                gc.enable()


def _spare_imports() -> None:
    """Count all objects that there are among the oldest if modules were imported, TensorFlow or others.

    What imports make stays, and mostly what is loaded first, but each of the next two collections would look at all of
    it. Models that come and go are looked at like anything else. Nothing is done where somebody has frozen objects,
    which this would thaw.
    """
    if len(sys.modules) > _Pauses.modules and not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
    _Pauses.modules = len(sys.modules)
