"""The garbage collector waits for loads, and for nothing else."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from safeload._collector import _Pauses, paused_collector


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_runs_again_after_an_error() -> None:
    """It is off inside and on again afterwards, also where loading fails."""
    with paused_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(RuntimeError), paused_collector():
        raise RuntimeError
    assert gc.isenabled()


def test_leaves_a_disabled_collector_alone() -> None:
    """Somebody who has switched it off finds it off."""
    gc.disable()
    with paused_collector():
        pass
    assert not gc.isenabled()


def test_waits_for_the_last_thread() -> None:
    """The load that ends first does not switch it on for the others."""
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with paused_collector():
            entered.set()
            leave.wait(10)

    with paused_collector():
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(10)
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_imports_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is after modules were imported counts as old; what other loads make is young."""
    monkeypatch.setattr(_Pauses, "modules", len(sys.modules) - 1)
    for has_imported in (True, False):
        with paused_collector():
            made: list[Any] = [[]]
        assert any(each is made for each in gc.get_objects(2)) == has_imported


def test_what_somebody_has_frozen_stays_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thawing it would make later collections look at it."""
    monkeypatch.setattr(_Pauses, "modules", 0)
    gc.freeze()
    with paused_collector():
        pass
    assert gc.get_freeze_count()
    gc.unfreeze()
