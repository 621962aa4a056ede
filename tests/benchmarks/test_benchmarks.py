"""Every case of the benchmarks runs on a tiny model, and all sides compute the same. Nothing here is timed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import growth, looking, run, tables, worker
from benchmarks.cases import CASES, LOOKS, ROWS, Case, Look
from benchmarks.models import make

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_case(case: Case, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sides of the case can be measured, return equal results, and tell what its rows need."""
    if case.form == "tf_keras":
        pytest.importorskip("tf_keras")
    path = str(make(case.model, case.form, directory, tiny=True))
    worker.write_inputs(path)
    results: list[list[np.ndarray]] = []
    monkeypatch.setattr(worker, "_digest", lambda result: results.append(_leaves(result)) or "")
    measured = {side: worker.measure(case.quantity, side, path) for side in ("safeload", *case.peers)}
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_allclose(one, other, **TOLERANCE)
    for row in ROWS:
        if row.case == case and case.quantity != "cold":
            assert measured["safeload"][row.field] > 0 < measured[row.peer][row.field]


def _leaves(result: object) -> list[np.ndarray]:
    import tensorflow as tf

    return [np.asarray(leaf) for leaf in tf.nest.flatten(result)]


@pytest.mark.parametrize("name", growth.SERIES)
def test_series(name: str, directory: Path) -> None:
    """The models of a series load with both sides."""
    for _, path in growth.make(name, directory, tiny=True)[:1]:
        assert growth.seconds("safeload", path, repeats=1) > 0 < growth.seconds(growth.SERIES[name].peer, path, 1)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name.replace(" ", "-"))
def test_look(look: Look, directory: Path) -> None:
    """A large model can be inspected and loaded."""
    path = make(look.model, look.form, directory, tiny=True)
    assert all(seconds > 0 for seconds in looking.measure(look.peer, str(path)).values())


def test_line_through_points() -> None:
    """Slope and start of a line are found, and growth with the square shows."""
    line = growth.fitted([(size, 1.0 + 0.5 * size) for size in (10, 20, 40, 80)])
    assert (line["slope"], line["start"]) == pytest.approx((0.5, 1.0))
    assert line["exponent"] < 1
    assert growth.fitted([(size, float(size**2)) for size in (1, 2, 4)])["exponent"] == pytest.approx(2)


def _found() -> dict[str, Any]:
    """Made-up results of every case: safeload took a second, its peers two."""
    fields = {row.field for row in ROWS}
    found: dict[str, Any] = {}
    for case in CASES:
        runs = {
            side: [{**dict.fromkeys(fields, seconds), "peak": seconds * 1e8, "inspection": 0.05}]
            for side, seconds in (("safeload", 1.0), *((peer, 2.0) for peer in case.peers))
        }
        found[case.name] = {"sides": runs, "is_identical": case.quantity == "load", "weight_bytes": 10**8}
    fit = {"slope": 2e-3, "start": 0.1, "exponent": 0.9, "points": []}
    found["growth layers"] = {"unit": "layer", "sides": {"safeload": fit, "keras": fit}}
    found["inspect"] = {look.name: {"inspection": 0.01, "load": 3.0} for look in LOOKS}
    found["show"] = {".h5": [0.1], "import tensorflow": [2.0]}
    found["import"] = {"times": {"import": [0.02], "nothing": [0.01]}, "modules": []}
    return found


def test_tables() -> None:
    """Ratios, memory, inspection, growth and import are shown, all in the direction that their heads say."""
    text = tables.document(json.loads(json.dumps(_found())))
    assert "| load, bert .keras | 2.00 | 2.00 … 2.00 | 1 s | 2 s | 2.4 | 4 | bit for bit |" in text
    assert "| bert .keras | 100 MB | 1.00 | 2.00 | 1.15 | 1.02 |" in text
    assert "| mobilenet export | 50 ms | 5% | 100 ms | 2 % |" in text
    assert "| layers | 2e+03 µs per layer | 0.90 | 2e+03 µs per layer | 0.90 |" in text
    assert "| mlp-1gb .keras | 10.0 ms | 20 ms | 3 s |" in text
    assert "| .h5 | 100 ms | 2 s | 20.0 | 8 |" in text
    assert "| 20.0 ms | 10.0 ms | 15 ms | 3 ms | none |" in text


def test_table_between_markers(tmp_path: Path) -> None:
    """The tables replace what stood between the markers of a document."""
    document = tmp_path / "note.md"
    document.write_text(f"before\n{run.START}\nold\n{run.END}\nafter\n")
    run.write_document(document, "new")
    assert document.read_text() == f"before\n{run.START}\nnew\n{run.END}\nafter\n"
