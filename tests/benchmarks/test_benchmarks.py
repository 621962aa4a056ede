"""Every case of the benchmarks runs on a tiny model, and both sides compute the same. Nothing here is timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import run, worker
from benchmarks.models import make

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@pytest.mark.parametrize("case", run.CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_case(case: run.Case, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides of the case can be measured, and return equal results."""
    pytest.importorskip("keras")
    if case.form == "tf_keras":
        pytest.importorskip("tf_keras")
    path = str(make(case.model, case.form, directory, tiny=True))
    worker.write_inputs(path)
    results: list[list[np.ndarray]] = []
    monkeypatch.setattr(worker, "_digest", lambda result: results.append(_leaves(result)) or "")
    for side in ("safeload", case.peer):
        worker.measure(case.quantity, side, path)
    if case.quantity != "share":
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, **TOLERANCE)


def _leaves(result: object) -> list[np.ndarray]:
    import tensorflow as tf

    return [np.asarray(leaf) for leaf in tf.nest.flatten(result)]


def test_table_between_markers(tmp_path: Path) -> None:
    """The table replaces what stood between the markers of a document."""
    document = tmp_path / "note.md"
    document.write_text(f"before\n{run.START}\nold\n{run.END}\nafter\n")
    result = {"case": "load x", "ratio": 2.0, "spread": [1.5, 2.5], "peak": [1e6, 3e6], "is_identical": True}
    run.write_document(document, run.table([{**result, "floor": 1, "aim": 3}]))
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| load x | 2.00 | 1.50 … 2.50 | 3 → 1 | 1 | 3 | identical |" in text
