"""Exceptions that are not of the model, but of a signal that came meanwhile. Layer: runtime; standard library alone."""

from __future__ import annotations

import signal
import traceback


def raise_interruption(error: Exception) -> None:
    """Raise *error* again if a handler of a signal raised it, as time limits do: the caller waits for it as it is."""
    handlers = map(signal.getsignal, signal.valid_signals())
    codes = {getattr(handler, "__code__", None) for handler in handlers}
    if any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__)):
        raise error
