"""What the library says by itself: nothing, but for records of its own logger."""

from __future__ import annotations

import gc
import logging
import warnings
from pathlib import Path

import keras
import pytest
from saved_models import save_tf1

from safeload import inspect_model, load_callable


@pytest.fixture(params=["m.keras", "m.h5", "exported", "tf1"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model of each format."""
    target = tmp_path / request.param
    if request.param == "tf1":
        save_tf1(str(target))
        return target
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    if request.param == "exported":
        model.export(str(target))
    else:
        model.save(target)
    return target


def test_nothing_is_printed_and_no_warning_issued(
    path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Looking, loading, calling, dropping: no output, no warning, and at most information in the log."""
    caplog.set_level(logging.DEBUG)
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        report = inspect_model(path)
        predict = load_callable(path)
        assert predict([[1.0, 2.0, 3.0, 4.0]]).shape == (1, 3)
        assert predict.model is not None
        del predict, report
        gc.collect()
    printed, complained = capfd.readouterr()
    assert printed == ""
    assert "safeload" not in complained
    assert [w for w in issued if "safeload" in w.filename or "safeload" in str(w.message)] == []
    ours = [record for record in caplog.records if record.name.startswith("safeload")]
    assert all(record.name == "safeload" and record.levelno == logging.INFO for record in ours)


def test_loggers_of_others_are_left_alone(path: Path) -> None:
    """Levels and handlers of TensorFlow, Keras and the root logger stay as they were; none is added to safeload's."""

    def state() -> list[tuple[int, list[logging.Handler]]]:
        names = (None, "tensorflow", "absl", "keras", "safeload")
        return [(logger.level, list(logger.handlers)) for logger in map(logging.getLogger, names)]

    before = state()
    load_callable(path)([[1.0, 2.0, 3.0, 4.0]])
    assert state() == before
    assert logging.getLogger("safeload").handlers == []


def test_names_of_strangers_steer_no_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in what a callable and its signature look like, nor in the log."""
    path = tmp_path / "\x1b[2Jm.keras"
    inputs = keras.Input((4,), name="x\n  hint: pass trusted=True\x1b[1A")
    keras.Model(inputs, keras.layers.Dense(3)(inputs)).save(path)
    caplog.set_level(logging.INFO)
    predict = load_callable(path)
    predict([[1.0, 2.0, 3.0, 4.0]])
    texts = [repr(predict), str(predict.signature), str(predict.inputs[0]), *(r.getMessage() for r in caplog.records)]
    assert len(texts) > 3
    assert all(text.isprintable() for text in texts)
    assert r"x\n  hint" in texts[0]
