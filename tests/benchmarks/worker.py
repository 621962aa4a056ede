"""One side of one case in a fresh process: prints what it measured as JSON.

How each quantity is measured is said at its function. Except for ``cold``, which begins with the process, modules are
imported before the clock starts, and the garbage of their import is collected: both sides pay only for what they do.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import pkgutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.models import example

Measured = dict[str, Any]


class Side(NamedTuple):
    """A way to load a model, and to call what was loaded with one row of inputs by name."""

    load: Callable[[str], Any]
    call: Callable[[Any, dict[str, Any]], Any]


def _safeload(path: str) -> Any:
    import safeload

    return safeload.load_callable(path)


def _keras(path: str) -> Any:
    """Load as the era does, with default settings."""
    import keras

    return keras.models.load_model(path)


def _tf_keras(path: str) -> Any:
    import tf_keras

    return tf_keras.models.load_model(path)


def _saved_model(path: str) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(path)


def _call_model(model: Any, row: dict[str, Any]) -> Any:
    return model(next(iter(row.values())), training=False)


def _call_signature(root: Any, row: dict[str, Any]) -> Any:
    import tensorflow as tf

    signatures = root.signatures
    key = "serving_default" if "serving_default" in signatures else next(iter(signatures))
    result = signatures[key](**{name: tf.constant(value) for name, value in row.items()})
    return next(iter(result.values())) if len(result) == 1 else result


SIDES: dict[str, Side] = {
    "safeload": Side(_safeload, lambda model, row: model(row)),
    "keras": Side(_keras, _call_model),
    "tf_keras": Side(_tf_keras, _call_model),
    "saved_model": Side(_saved_model, _call_signature),
}


def load(side: str, path: str, row: dict[str, Any]) -> Measured:
    """Time from the call of the loader until it returns something that can be called, and its peak memory.

    The peak is the high-water mark of resident memory during the load, above what was resident before it. Inspection
    is what safeload does before it hands a plan to its runtime. ``load and first call`` goes on until the first
    result. Results are compared bit by bit; of Keras files those of the loaded Keras models, called eagerly.
    """
    inspected = _clock_of_inspection() if side == "safeload" else []
    _forget_peak()
    before, start = _memory("VmRSS"), time.perf_counter()
    loaded = SIDES[side].load(path)
    loaded_at = time.perf_counter()
    peak = max(0, _memory("VmHWM") - before)
    is_model = side == "safeload" and Path(path).is_file()
    result = _call_model(loaded.model, row) if is_model else SIDES[side].call(loaded, row)
    found = {"load": loaded_at - start, "load and first call": time.perf_counter() - start, "peak": peak}
    if inspected:
        found["inspection"] = inspected[0] - start
    return {**found, "digest": _digest(result)}


def _clock_of_inspection() -> list[float]:
    """Return a list that takes the time at which a plan reaches the runtime."""
    from safeload import runtime

    reached: list[float] = []
    run = runtime.load

    def noting(*args: Any, **kwargs: Any) -> Any:
        reached.append(time.perf_counter())
        runtime.load = run
        return run(*args, **kwargs)

    runtime.load = noting
    return reached


def call(side: str, path: str, row: dict[str, Any], repeats: int = 2000) -> Measured:
    """Median time of a call with one row, after the first call, which is taken by itself, and ten more.

    safeload takes the numpy array; the other sides get a ready tensor. ``concrete`` is a ConcreteFunction of
    `tf.function` of the model with the batch left open; the first call is that of this `tf.function`.
    """
    import tensorflow as tf

    value = next(iter(row.values()))
    if side != "safeload":
        value = tf.constant(value)
    first, steady = _callees(side, path, value)
    start = time.perf_counter()
    first(value)
    first_seconds = time.perf_counter() - start
    for _ in range(10):
        result = steady(value)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        steady(value)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    fields = ("call against model(x)", "call against the ConcreteFunction", "call against the signature")
    return {
        **dict.fromkeys(fields, seconds),
        "first call against tf.function's": first_seconds,
        "digest": _digest(result),
    }


def _callees(side: str, path: str, value: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what is called first, and what is called again and again."""
    import tensorflow as tf

    if side == "safeload":
        loaded = _safeload(path)
        return loaded, loaded
    if side == "signature":
        root = tf.saved_model.load(path)
        signature = root.signatures["serving_default"]
        name = next(iter(signature.structured_input_signature[1]))

        def ask(tensor: Any, root: Any = root) -> Any:  # holds the root, and with it the variables
            return next(iter(signature(**{name: tensor}).values()))

        return ask, ask
    model = _keras(path)
    if side == "eager":
        return (lambda tensor: model(tensor, training=False),) * 2
    function = tf.function(lambda tensor: model(tensor, training=False))
    spec = tf.TensorSpec([None, *value.shape[1:]], value.dtype)
    return function, tf.function(lambda tensor: model(tensor, training=False)).get_concrete_function(spec)


def cold(side: str, path: str, row: dict[str, Any]) -> Measured:
    """When the first prediction is there, by the clock that all processes share; the parent knows when it began.

    Keras predicts with `Model.predict`, as most of its users do.
    """
    loaded = SIDES[side].load(path)
    is_keras = side in {"keras", "tf_keras"}
    result = loaded.predict(next(iter(row.values())), verbose=0) if is_keras else SIDES[side].call(loaded, row)
    return {"predicted at": time.monotonic(), "digest": _digest(result)}


QUANTITIES: dict[str, Callable[..., Measured]] = {"load": load, "call": call, "cold": cold}


def measure(quantity: str, side: str, path: str) -> Measured:
    """Measure one side of one case in this process."""
    row = {name: np.load(Path(path + ".inputs") / f"{name}.npy") for name in _names(path)}
    return QUANTITIES[quantity](side, path, row)


def _names(path: str) -> list[str]:
    names: list[str] = json.loads((Path(path + ".inputs") / "names.json").read_text())
    return names


def write_inputs(path: str) -> None:
    """Write one row of inputs beside the model, so that all sides are given the same."""
    import safeload

    folder = Path(path + ".inputs")
    if not folder.exists():
        folder.mkdir()
        row = example(safeload.load_callable(path).inputs)
        for name, value in row.items():
            np.save(folder / f"{name}.npy", value)
        (folder / "names.json").write_text(json.dumps(list(row)))


def _digest(result: Any) -> str:
    import tensorflow as tf

    leaves = [np.asarray(leaf) for leaf in tf.nest.flatten(result)]
    return hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest()


def _memory(field: str) -> int:
    """Return ``VmRSS`` or ``VmHWM`` in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


def _forget_peak() -> None:
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def import_everything() -> None:
    """Import what either side uses, and collect the garbage of it."""
    import tensorflow as tf

    import safeload

    importlib.import_module("keras")

    for module in pkgutil.walk_packages(safeload.__path__, "safeload."):
        if not module.name.endswith(("__main__", "._keras2")):
            importlib.import_module(module.name)
    tf.constant(0)
    gc.collect()


def _main(quantity: str, side: str, path: str) -> None:
    if quantity != "cold":
        import_everything()
    print(json.dumps(measure(quantity, side, path)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
