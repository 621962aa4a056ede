"""Signals that come while a model is loaded or called."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from safeload import load_callable

if not hasattr(signal, "SIGUSR1"):
    pytest.skip("signals of this kind are not sent on Windows", allow_module_level=True)

X = np.ones((1, 4), "float32")


class TimeUpError(Exception):
    """What a time limit raises."""


class Slow(keras.layers.Layer):
    """A layer whose code is interrupted once, at the place *when*."""

    when: str | None = None

    def build(self, input_shape: Any) -> None:
        self.reach("build")

    def call(self, inputs: Any) -> Any:
        self.reach("call")
        return 2 * inputs

    def reach(self, place: str) -> None:
        if Slow.when == place:
            Slow.when = None
            signal.raise_signal(signal.SIGUSR1)


@pytest.fixture(autouse=True)
def time_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The handler of a time limit."""

    def ring(number: int, frame: Any) -> None:
        raise TimeUpError

    monkeypatch.setattr(Slow, "when", None)
    before = signal.signal(signal.SIGUSR1, ring)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a model with the layer."""
    keras.Sequential([keras.Input((4,)), Slow()]).save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


def test_while_loading(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who set the limit gets the exception of the limit."""
    monkeypatch.setattr(Slow, "when", "build")
    with pytest.raises(TimeUpError):
        load_callable(path, custom_objects={"Slow": Slow})


def test_while_tracing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first call that was interrupted is no sign that the model cannot be traced."""
    model = load_callable(path, custom_objects={"Slow": Slow})
    monkeypatch.setattr(Slow, "when", "call")
    with pytest.raises(TimeUpError):
        model(X)
    assert np.asarray(model(X)).tolist() == [[2, 2, 2, 2]]
    monkeypatch.setattr(Slow, "when", "call")
    model(X)
    assert Slow.when == "call"  # the trace runs, not the Python code


def test_while_objects_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was interrupted once is tried again."""
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]).export(str(tmp_path / "m"))
    model = load_callable(tmp_path / "m")
    with monkeypatch.context() as patched:
        patched.setattr(tf.saved_model, "load", lambda path: signal.raise_signal(signal.SIGUSR1))
        with pytest.raises(TimeUpError):
            _ = model.model
    assert model.model is not None
