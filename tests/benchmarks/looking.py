"""What looking costs: ``safeload show`` as a whole process, and inspection in process beside the loader of the format.

As a program it inspects one model again and again in a fresh process, then loads it once, and prints the seconds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cases import LOOKS, SHOWN
from benchmarks.models import make
from benchmarks.worker import SIDES

_INSPECTIONS = 7


def shown(directory: Path, repeats: int, *, tiny: bool = False) -> dict[str, list[float]]:
    """CPU time, user and system, of ``import tensorflow`` and of ``safeload show`` per format, in turn."""
    paths = {form: str(make("mlp", form, directory, tiny=tiny)) for form in SHOWN}
    commands = {form: ["-m", "safeload", "show", path] for form, path in paths.items()}
    commands["import tensorflow"] = ["-c", "import tensorflow"]
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            times[name].append(_cpu_seconds(*command))
    return times


def _cpu_seconds(*arguments: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def inspected(directory: Path, *, tiny: bool = False) -> dict[str, dict[str, float]]:
    """Median CPU time of an inspection, after import and a first one, and time of one load by the peer."""
    found: dict[str, dict[str, float]] = {}
    for look in LOOKS:
        path = make(look.model, look.form, directory, tiny=tiny)
        arguments = [sys.executable, "-m", "benchmarks.looking", look.peer, str(path)]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
        found[look.name] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(peer: str, path: str) -> dict[str, float]:
    """Inspect and load *path* in this process; TensorFlow is not imported before it is loaded."""
    from safeload import inspect_model

    inspect_model(path)
    times = [_seconds(inspect_model, path, time.process_time) for _ in range(_INSPECTIONS)]
    __import__({"keras": "keras", "saved_model": "tensorflow"}[peer])
    return {"inspection": statistics.median(times), "load": _seconds(SIDES[peer].load, path, time.perf_counter)}


def _seconds(call: Callable[[str], Any], path: str, clock: Callable[[], float]) -> float:
    start = clock()
    call(path)
    return clock() - start


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
