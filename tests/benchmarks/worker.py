"""One side of one case in a fresh process: prints what it measured as JSON.

How each quantity is measured is said at its function. TensorFlow and Keras are imported before the clock starts,
except for ``cold``, whose clock is the parent's.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.models import example

Measured = dict[str, Any]


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


def _safeload(path: str) -> Callable[..., Any]:
    import safeload

    return safeload.load_callable(path)


def _keras(path: str) -> Callable[..., Any]:
    """Load as the era does, with default settings; call the model itself."""
    import keras

    model = keras.models.load_model(path)
    return lambda row: model(next(iter(row.values())), training=False)


def _saved_model(path: str) -> Callable[..., Any]:
    import tensorflow as tf

    root = tf.saved_model.load(path)
    signatures = root.signatures
    key = "serving_default" if "serving_default" in signatures else next(iter(signatures))

    def call(row: dict[str, Any], root: Any = root) -> Any:  # holds the root, and with it the variables
        result = root.signatures[key](**{name: tf.constant(value) for name, value in row.items()})
        return next(iter(result.values())) if len(result) == 1 else result

    return call


LOADERS: dict[str, Callable[[str], Callable[..., Any]]] = {
    "safeload": _safeload,
    "keras": _keras,
    "saved_model": _saved_model,
}


def load(side: str, path: str, row: dict[str, Any]) -> Measured:
    """Time from the call of the loader to the end of the first call of the model, and the peak above the start."""
    _forget_peak()
    before, start = _memory("VmRSS"), time.perf_counter()
    result = LOADERS[side](path)(row)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": max(0, _memory("VmHWM") - before), "digest": _digest(result)}


def only_load(side: str, path: str, row: dict[str, Any]) -> Measured:
    """Time of the loader alone, and its peak above the start."""
    _forget_peak()
    before, start = _memory("VmRSS"), time.perf_counter()
    model = LOADERS[side](path)
    seconds, peak = time.perf_counter() - start, max(0, _memory("VmHWM") - before)
    return {"seconds": seconds, "peak": peak, "digest": _digest(model(row))}


def call(side: str, path: str, row: dict[str, Any], repeats: int = 200) -> Measured:
    """Median time of a call with an array (peer: with a ready tensor), batch 1, after ten calls to warm up."""
    import tensorflow as tf

    value = next(iter(row.values()))
    function = _callee(side, path, value)
    value = value if side == "safeload" else tf.constant(value)
    for _ in range(10):
        result = function(value)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(value)
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times), "digest": _digest(result)}


def first_call(side: str, path: str, row: dict[str, Any]) -> Measured:
    """Time of the first call after loading."""
    value = next(iter(row.values()))
    function = _callee(side, path, value)
    start = time.perf_counter()
    result = function(value)
    return {"seconds": time.perf_counter() - start, "digest": _digest(result)}


def _callee(side: str, path: str, value: Any) -> Callable[..., Any]:
    import keras
    import tensorflow as tf

    if side == "safeload":
        return _safeload(path)
    if side == "signature":
        root = tf.saved_model.load(path)
        name = next(iter(root.signatures["serving_default"].structured_input_signature[1]))
        return lambda tensor: next(iter(root.signatures["serving_default"](**{name: tensor}).values()))
    model = keras.models.load_model(path)
    if side == "eager":
        return lambda tensor: model(tensor, training=False)
    function = tf.function(lambda tensor: model(tensor, training=False))
    spec = tf.TensorSpec([None, *value.shape[1:]], value.dtype)
    return function if side == "function" else function.get_concrete_function(spec)


def cold(side: str, path: str, row: dict[str, Any]) -> Measured:
    """Time of the whole process, from its start to its first prediction; the parent takes it."""
    value = next(iter(row.values()))
    if side == "keras":
        import keras

        return {"digest": _digest(keras.models.load_model(path).predict(value, verbose=0))}
    return {"digest": _digest(LOADERS[side](path)(row))}


def share(side: str, path: str, row: dict[str, Any]) -> Measured:
    """Time of inspection (safeload), or of the whole load (peer)."""
    import safeload

    del row
    safeload.load_callable(path)  # imports everything
    start = time.perf_counter()
    safeload.inspect_model(path) if side == "safeload" else safeload.load_callable(path)
    return {"seconds": time.perf_counter() - start, "digest": ""}


QUANTITIES: dict[str, Callable[..., Measured]] = {
    "load": load,
    "only-load": only_load,
    "call": call,
    "first-call": first_call,
    "cold": cold,
    "share": share,
}


def measure(quantity: str, side: str, path: str) -> Measured:
    """Measure one side of one case in this process."""
    row = {name: np.load(Path(path + ".inputs") / f"{name}.npy") for name in _names(path)}
    return QUANTITIES[quantity](side, path, row)


def _names(path: str) -> list[str]:
    names: list[str] = json.loads((Path(path + ".inputs") / "names.json").read_text())
    return names


def write_inputs(path: str) -> None:
    """Write one row of inputs beside the model, so that both sides are given the same."""
    import safeload

    folder = Path(path + ".inputs")
    if not folder.exists():
        folder.mkdir()
        row = example(safeload.load_callable(path).inputs)
        for name, value in row.items():
            np.save(folder / f"{name}.npy", value)
        (folder / "names.json").write_text(json.dumps(list(row)))


def _main(quantity: str, side: str, path: str) -> None:
    if quantity != "cold":
        import keras  # noqa: F401 - before the clock starts
        import tensorflow as tf

        import safeload.runtime  # noqa: F401 - the same

        tf.constant(0)
    print(json.dumps(measure(quantity, side, path)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
