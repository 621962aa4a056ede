"""Runs the benchmarks: pairs of fresh processes, interleaved; prints the table and writes it as JSON.

`python -m benchmarks.run --repeats 5 --out results.json [--document FILE] [--only NAME …]`
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.models import make
from benchmarks.worker import write_inputs

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
"""Between these lines of a document the table is written."""


class Case(NamedTuple):
    """A row of the table.

    Attributes:
        quantity: Key of `worker.QUANTITIES`.
        model: Name of the model.
        form: How it is saved.
        peer: Side that safeload is held against.
        floor: What it must reach: the peer's time divided by that of safeload.
        aim: What it should reach.
    """

    quantity: str
    model: str
    form: str
    peer: str
    floor: float
    aim: float

    @property
    def name(self) -> str:
        return f"{self.quantity} {self.model} {self.form}" + (
            f" against {self.peer}" if self.quantity in ("call", "first-call") else ""
        )


_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
_HEAD = """\
| case | ratio | spread | peak (MB) | floor | aim | results |
| --- | --- | --- | --- | --- | --- | --- |"""

_FLOORS = {"bert": (2.4, 4.0), "mlp-1gb": (1.7, 4.0)}
_LOADED = ("mobilenet", "resnet", "inception", "bert", "mlp-1gb")

CASES: tuple[Case, ...] = (
    *(Case("only-load", m, f, "keras", *_FLOORS.get(m, (1.5, 3.0))) for m in _LOADED for f in (".keras", ".h5")),
    Case("load", "mobilenet", "tf_keras", "saved_model", 15, 40),
    Case("load", "functions", "module", "saved_model", 25, 40),
    Case("load", "mobilenet", "export", "saved_model", 8, 20),
    Case("load", "lstm", "tf_keras", "saved_model", 8, 20),
    Case("load", "mlp", "export", "saved_model", 2, 5),
    Case("load", "table", "module", "saved_model", 2.5, 5),
    Case("call", "mlp", ".keras", "eager", 18, 40),
    Case("call", "mlp", ".keras", "concrete", 0.8, 1.25),
    Case("call", "mlp", "export", "signature", 0.8, 1.25),
    Case("first-call", "mlp", ".keras", "function", 0.9, 1.4),
    Case("cold", "mobilenet", ".keras", "keras", 1.7, 3),
    Case("cold", "mobilenet", "export", "saved_model", 2, 3),
    Case("share", "mobilenet", ".keras", "load", 10, 50),
    Case("share", "mobilenet", "export", "load", 10, 50),
    Case("share", "mobilenet", "tf_keras", "load", 10, 50),
)
"""Every row. Ratios are times of the peer divided by those of safeload; for ``share``, of a load by its inspection."""


def run_case(case: Case, directory: Path, *, repeats: int, tiny: bool = False) -> dict[str, Any]:
    """Make the model and measure both sides *repeats* times, in turn."""
    path = str(make(case.model, case.form, directory, tiny=tiny))
    write_inputs(path)
    sides: dict[str, list[dict[str, Any]]] = {"safeload": [], case.peer: []}
    for _ in range(repeats):
        for side, results in sides.items():
            results.append(_measured(case.quantity, side, path))
    digests = {result["digest"] for results in sides.values() for result in results}
    ours, theirs = ([result["seconds"] for result in results] for results in sides.values())
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return {
        "case": case.name,
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "spread": [min(ratios), max(ratios)],
        "seconds": [statistics.median(ours), statistics.median(theirs)],
        "peak": [max(result.get("peak", 0) for result in results) for results in sides.values()],
        "is_identical": len(digests) == 1,
        "floor": case.floor,
        "aim": case.aim,
    }


def _measured(quantity: str, side: str, path: str) -> dict[str, Any]:
    roots = [str(Path(__file__).parents[1]), *sys.path]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(roots),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.worker", quantity, side, path]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{quantity} {side} {path}: {done.stderr[-2000:]}")
    return {"seconds": seconds, **json.loads(done.stdout.splitlines()[-1])}


def table(results: Iterable[dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    head = [
        "| case | ratio | spread | peak (MB) | floor | aim | results |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *map(_row, results)])


def _row(result: dict[str, Any]) -> str:
    low, high = result["spread"]
    ours, theirs = (peak / 1e6 for peak in result["peak"])
    peaks = f"{theirs:.0f} → {ours:.0f}" if theirs else ""
    outcome = "identical" if result["is_identical"] else "equal within rounding"
    cells = [result["case"], f"{result['ratio']:.2f}", f"{low:.2f} … {high:.2f}", peaks, result["floor"], result["aim"]]
    return "| " + " | ".join(map(str, [*cells, outcome])) + " |"


def write_document(path: Path, text: str) -> None:
    """Put *text* between the two markers of a document."""
    before, _, rest = path.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks.json"))
    parser.add_argument("--document", type=Path)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if any(part in case.name for part in options.only):
                results.append(run_case(case, Path(folder), repeats=options.repeats, tiny=options.tiny))
                print(_row(results[-1]), flush=True)
                options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(table(results))
    if options.document:
        write_document(options.document, table(results))


if __name__ == "__main__":
    main()
