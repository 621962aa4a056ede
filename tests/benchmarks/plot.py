"""The ratios of a run as a picture."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tables import Results, ratios


def draw(found: Results, path: Path) -> None:
    """Write bars of the ratios, with their spreads, floors and aims; the ending of *path* chooses the format."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "safeload"  # the same picture for the same figures
    from matplotlib import pyplot as plt

    measured = ratios(found)[::-1]
    values = [entry.ratio for entry in measured]
    spreads = [[max(0.0, e.ratio - e.low) for e in measured], [max(0.0, e.high - e.ratio) for e in measured]]
    figure, axes = plt.subplots(figsize=(9, 1 + 0.3 * len(measured)), layout="constrained")
    axes.barh([entry.row.name for entry in measured], values, xerr=spreads, color="#4c78a8", ecolor="#999999")
    for name, marker in (("floor", "|"), ("aim", "*")):
        known = [(limit, place) for place, e in enumerate(measured) if (limit := getattr(e.row, name)) is not None]
        if known:
            axes.scatter(*zip(*known, strict=True), marker=marker, color="#e45756", label=name, zorder=3)
            axes.legend()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("the peer's time divided by that of safeload")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
