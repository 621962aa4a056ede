"""What looking costs: the whole command against importing TensorFlow, inspection in process against the loaders.

Run as a program; prints one row per measurement. Times are medians; those in process are after import.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GIGABYTE = 1 << 30
DATASETS, NODES, FUNCTIONS = 400, 3000, 600
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def cpu_seconds(*command: str, runs: int = 5) -> float:
    """Return the median CPU time of a process, user and system."""
    times = []
    for _ in range(runs):
        before = os.times()
        subprocess.run([sys.executable, *command], check=False, capture_output=True, env={**os.environ, **QUIET})
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(times)


def median_ms(call: Callable[[], Any], runs: int = 7) -> float:
    """Return the median time of *call* in milliseconds, the first call left out."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def small_models(folder: Path) -> dict[str, Path]:
    """Write one small model of each format."""
    import keras
    from keras import layers

    model = keras.Sequential([layers.Input((4,)), layers.Dense(8), layers.Dense(3)])
    model.save(folder / "model.h5")
    model.save(folder / "model.keras")
    model.export(folder / "saved_model", verbose=False)
    return {name: folder / name for name in ("model.h5", "model.keras", "saved_model")}


def large_keras_files(folder: Path) -> dict[str, Path]:
    """Write models of a gigabyte in `DATASETS` arrays, whose zeros take no time to write."""
    import keras
    from keras import layers

    width = int((GIGABYTE / 4 / (DATASETS // 2)) ** 0.5)
    inputs = hidden = layers.Input((width,))
    for _ in range(DATASETS // 2):
        hidden = layers.Dense(width, kernel_initializer="zeros")(hidden)
    model = keras.Model(inputs, hidden)
    model.save(folder / "large.h5")
    model.save(folder / "large.keras")
    return {name: folder / name for name in ("large.h5", "large.keras")}


def large_saved_model(folder: Path) -> Path:
    """Write a SavedModel with `FUNCTIONS` functions and `NODES` nodes in its graph."""
    import tensorflow as tf

    class Many(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(1.0)

    def step(index: int) -> Any:
        return tf.function(lambda x: x * tf.cast(index, tf.float32) + 1.0, autograph=False)

    module = Many()
    steps = [step(index) for index in range(FUNCTIONS - 20)]

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def run(x: Any) -> Any:
        for function in steps:
            x = function(x)
        for _ in range(NODES):
            x = tf.tanh(x)
        return x * module.weight

    module.__class__.__call__ = run
    module.run = run
    tf.saved_model.save(module, str(folder / "large"), signatures=run)
    return folder / "large"


def commands(folder: Path) -> None:
    """Print the CPU time of ``safeload show`` per format beside that of importing TensorFlow."""
    baseline = cpu_seconds("-c", "import tensorflow")
    print(f"import tensorflow         {baseline * 1000:8.0f} ms CPU")
    for name, path in small_models(folder).items():
        shown = cpu_seconds("-m", "safeload", "show", str(path))
        print(f"safeload show {name:<12}{shown * 1000:8.0f} ms CPU, {baseline / shown:5.1f} times cheaper")


def in_process(folder: Path) -> None:
    """Print the time of inspecting large models beside that of their loaders."""
    import keras
    import tensorflow as tf

    from safeload import inspect_model

    keras_files = {name: (path, keras.models.load_model) for name, path in large_keras_files(folder).items()}
    large = {**keras_files, "saved_model": (large_saved_model(folder), lambda p: tf.saved_model.load(str(p)))}
    for name, (path, load) in large.items():
        taken = median_ms(lambda path=path: inspect_model(path))
        loaded = median_ms(lambda path=path, load=load: load(path), runs=1)
        facts = json.dumps(inspect_model(path).to_json()["weights"])
        print(f"inspect {name:<12} {taken:8.1f} ms; its loader {loaded:8.0f} ms ({loaded / taken:5.0f}x); {facts}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        commands(Path(home))
        in_process(Path(home))
