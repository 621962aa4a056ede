"""Runs the benchmarks: pairs of fresh processes, in turn; prints the tables and writes them as JSON and as a plot.

`python -m benchmarks.run [--repeats 5] [--only TEXT …] [--models DIRECTORY] [--out benchmarks.json]
[--plot benchmarks.svg] [--document FILE] [--quick]`

``--only`` takes parts of the names of cases and series: ``"load bert"``, ``growth``, ``import``, ``show``,
``inspect``. ``--quick`` is one repeat, to see whether everything runs. What is measured, and how, is said in `worker`,
`growth`, `looking` and `import_time`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import growth, looking
from benchmarks.cases import CASES, GROWTH, Case
from benchmarks.models import make
from benchmarks.tables import document
from benchmarks.worker import write_inputs

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
"""Between these lines of a document the tables are written."""

_IMPORT = {"import": "import safeload", "nothing": "pass"}
"""What the processes of the row ``import`` run."""

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def run_case(case: Case, directory: Path, *, repeats: int, tiny: bool = False) -> dict[str, Any]:
    """Make the model and measure all sides *repeats* times, in turn.

    Returns:
        The runs of each side, and whether all results were the same, bit by bit.
    """
    path = str(make(case.model, case.form, directory, tiny=tiny))
    write_inputs(path)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in ("safeload", *case.peers)}
    for _ in range(repeats):
        for side, measured in runs.items():
            measured.append(_measured(case.quantity, side, path))
    digests = {run.pop("digest") for measured in runs.values() for run in measured}
    return {"sides": runs, "is_identical": len(digests) == 1, "weight_bytes": _weight_bytes(path)}


def run_growth(name: str, directory: Path, *, tiny: bool = False) -> dict[str, Any]:
    """Measure one series of growing models with both sides."""
    models = growth.make(name, directory, tiny=tiny)
    pairs = [f"{size}={path}" for size, path in models]
    peer = growth.SERIES[name].peer
    points = {side: json.loads(_python("-m", "benchmarks.growth", side, *pairs)) for side in ("safeload", peer)}
    return {"unit": growth.SERIES[name].unit, "sides": {side: growth.fitted(found) for side, found in points.items()}}


def import_time(repeats: int) -> dict[str, Any]:
    """Time of whole processes: ``python -c "import safeload"`` and ``python -c pass``, in turn; what is imported.

    Twenty times as often as other rows, for each takes milliseconds. ``site`` is left out: what it does belongs to
    the installation.
    """
    times: dict[str, list[float]] = {name: [] for name in _IMPORT}
    for _ in range(20 * repeats):
        for name, statement in _IMPORT.items():
            start = time.perf_counter()
            _python("-c", statement)
            times[name].append(time.perf_counter() - start)
    listed = "import safeload, sys; print(*{m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names))"
    before = set(_python("-c", listed.replace("safeload, ", "")).split())
    return {"times": times, "modules": sorted(set(_python("-c", listed).split()) - before - {"safeload"})}


def _measured(quantity: str, side: str, path: str) -> dict[str, Any]:
    start = time.monotonic()
    found = json.loads(_python("-m", "benchmarks.worker", quantity, side, path))
    if "predicted at" in found:
        found["process to first prediction"] = found.pop("predicted at") - start
    return found


def _python(*arguments: str) -> str:
    """Run Python in a fresh process; return the last line that it prints."""
    roots = [str(Path(__file__).parents[1]), *sys.path]
    env = {**os.environ, **_QUIET, "PYTHONPATH": os.pathsep.join(roots)}
    done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr[-2000:]}")
    return next(iter(done.stdout.splitlines()[-1:]), "")


def _weight_bytes(path: str) -> int:
    import safeload

    return int(safeload.inspect_model(path).to_json()["weights"]["nbytes"])


def results(only: Iterable[str], directory: Path, *, repeats: int, tiny: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield (name, result) of everything whose name holds a part of *only*."""
    names = [*(case.name for case in CASES), *(f"growth {name}" for name in GROWTH), "import", "show", "inspect"]
    wanted = [name for name in names if any(part in name for part in only)]
    cases = {case.name: case for case in CASES}
    for name in wanted:
        kind, _, series = name.partition(" ")
        if kind == "growth":
            yield name, run_growth(series, directory, tiny=tiny)
        elif kind == "import":
            yield name, import_time(repeats)
        elif kind == "show":
            yield name, looking.shown(directory, repeats, tiny=tiny)
        elif kind == "inspect":
            yield name, looking.inspected(directory, tiny=tiny)
        else:
            yield name, run_case(cases[name], directory, repeats=repeats, tiny=tiny)


def write_document(path: Path, text: str) -> None:
    """Put *text* between the two markers of a document."""
    before, _, rest = path.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--models", type=Path, help="where models are kept for the next run")
    parser.add_argument("--out", type=Path, default=Path("benchmarks.json"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--document", type=Path)
    parser.add_argument("--quick", action="store_const", dest="repeats", const=1)
    parser.add_argument("--tiny", action="store_true", help="small models, to see whether everything runs")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for."""
    options = _options(arguments)
    found: dict[str, Any] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        directory = options.models or Path(folder)
        directory.mkdir(exist_ok=True)
        for name, result in results(options.only, directory, repeats=options.repeats, tiny=options.tiny):
            found[name] = result
            print(f"{time.monotonic() - started:6.0f} s  {name}", flush=True)
            options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(document(found))
    if options.document:
        picture = f"![Ratios, their spreads, floors and aims]({options.plot.name})\n\n" if options.plot else ""
        write_document(options.document, picture + document(found))
    if options.plot:
        from benchmarks.plot import draw

        draw(found, options.plot)


if __name__ == "__main__":
    main()
