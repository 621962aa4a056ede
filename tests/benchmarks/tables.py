"""What the benchmarks measured as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from benchmarks.cases import INSPECTED, LOOKS, MEMORY, ROWS, Row

Results = Mapping[str, Any]
"""Name of a case → what `run.run_case` returned; ``growth NAME`` and ``import`` beside them."""

_MEGABYTE = 1e6


class Ratio(NamedTuple):
    """A row that was measured: the peer's median time divided by that of safeload, and the least and most of pairs."""

    row: Row
    ratio: float
    low: float
    high: float
    ours: float
    theirs: float


def ratios(found: Results) -> list[Ratio]:
    """Return every row of `ROWS` that was measured."""
    return [_ratio(row, found[row.case.name]["sides"]) for row in ROWS if row.case.name in found]


def _ratio(row: Row, sides: Mapping[str, list[Mapping[str, float]]]) -> Ratio:
    ours, theirs = ([run[row.field] for run in sides[side]] for side in ("safeload", row.peer))
    pairs = [other / own for own, other in zip(ours, theirs, strict=True)]
    own, other = statistics.median(ours), statistics.median(theirs)
    return Ratio(row, other / own, min(pairs), max(pairs), own, other)


def document(found: Results) -> str:
    """Return all tables of which something was measured."""
    makers = (_ratio_table, _memory_table, _inspection_table, _look_table, _show_table, _growth_table, _import)
    return "\n\n".join(table for table in (make(found) for make in makers) if table)


def _table(head: str, rows: Iterable[Iterable[Any]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    columns = head.count("|") + 1
    return "\n".join([f"| {head} |", "| " + " | ".join(["---"] * columns) + " |", *lines]) if lines else ""


def _ratio_table(found: Results) -> str:
    head = "times faster | ratio | spread | safeload | peer | floor | aim | results"
    return _table(head, (_ratio_cells(ratio, found) for ratio in ratios(found)))


def _ratio_cells(measured: Ratio, found: Results) -> list[Any]:
    row = measured.row
    outcome = "bit for bit" if found[row.case.name]["is_identical"] else "within rounding"
    limits = ["" if limit is None else f"{limit:g}" for limit in (row.floor, row.aim)]
    spread = f"{measured.low:.2f} … {measured.high:.2f}"
    return [row.name, f"{measured.ratio:.2f}", spread, _time(measured.ours), _time(measured.theirs), *limits, outcome]


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _memory_table(found: Results) -> str:
    rows = []
    for case in MEMORY:
        if case.name in found:
            weights = found[case.name]["weight_bytes"]
            peaks = [statistics.median(run["peak"] for run in runs) for runs in found[case.name]["sides"].values()]
            shares = [f"{peak / weights:.2f}" for peak in peaks]
            rows.append([f"{case.model} {case.form}", f"{weights / _MEGABYTE:.0f} MB", *shares, "1.15", "1.02"])
    return _table("peak memory of a load, times the weights | weights | safeload | peer | at most | aim", rows)


def _inspection_table(found: Results) -> str:
    rows = []
    for case in INSPECTED:
        if case.name in found:
            runs = found[case.name]["sides"]["safeload"]
            inspection, load = (statistics.median(run[field] for run in runs) for field in ("inspection", "load"))
            allowed = f"{max(0.1 * load, 0.05) * 1e3:.0f} ms"
            name = f"{case.model} {case.form}"
            rows.append([name, f"{inspection * 1e3:.0f} ms", f"{inspection / load:.0%}", allowed, "2 %"])
    return _table("inspection and judgement | time | share of the load | at most | aim", rows)


def _look_table(found: Results) -> str:
    rows = []
    for look in LOOKS:
        if look.name in found.get("inspect", {}):
            inspection, load = (found["inspect"][look.name][field] for field in ("inspection", "load"))
            rows.append([look.name, f"{inspection * 1e3:.1f} ms", f"{look.bound * 1e3:.0f} ms", _time(load)])
    return _table("inspection of large models | CPU time | at most | load by the peer", rows)


def _show_table(found: Results) -> str:
    cpu = {name: statistics.median(times) for name, times in found.get("show", {}).items()}
    baseline = cpu.pop("import tensorflow", 0)
    rows = ([form, _time(seconds), _time(baseline), f"{baseline / seconds:.1f}", 8] for form, seconds in cpu.items())
    return _table("`safeload show` | CPU time | `import tensorflow` | times cheaper | at least", rows)


def _growth_table(found: Results) -> str:
    rows = []
    for name, result in found.items():
        if name.startswith("growth "):
            per = f"per {result['unit']}"
            fits = [
                cell
                for fit in result["sides"].values()
                for cell in (f"{fit['slope'] * 1e6:.3g} µs {per}", f"{fit['exponent']:.2f}")
            ]
            rows.append([name.removeprefix("growth "), *fits])
    return _table("growth of load time with | safeload | exponent | peer | exponent", rows)


def _import(found: Results) -> str:
    if "import" not in found:
        return ""
    times = {name: statistics.median(values) for name, values in found["import"]["times"].items()}
    above = (times["import"] - times["nothing"]) * 1e3
    others = ", ".join(found["import"]["modules"]) or "none"
    head = "`import safeload` | above `python -c pass` | at most | aim | modules of others"
    return _table(head, [[f"{times['import'] * 1e3:.1f} ms", f"{above:.1f} ms", "15 ms", "3 ms", others]])
