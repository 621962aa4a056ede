"""How load time grows: with bytes of weights, layers, functions, nodes of the graph.

One process per series and side loads models of growing size, each three times after a first one, and takes the least:
what grows with the size shows, what a process pays once does not. A line is fitted through time over size. The
exponent is the slope between the two largest models on logarithmic scales: 1 for time that doubles with the size, less
where a constant part weighs, more for growth that is worse than linear.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.worker import SIDES, import_everything


class Series(NamedTuple):
    """Models of growing size.

    Attributes:
        make: Writes the model of one size.
        sizes: How large, in *unit*.
        unit: What is counted.
        suffix: End of the file name.
        peer: Side of the worker.
    """

    make: Callable[[str, int], None]
    sizes: tuple[int, ...]
    unit: str
    suffix: str
    peer: str


def _weights(path: str, megabytes: int) -> None:
    """Four layers of one size: only the bytes grow."""
    _dense(path, layers=4, width=int((megabytes * 2**20 / 16) ** 0.5))


def _layers(path: str, count: int) -> None:
    _dense(path, layers=count, width=8)


def _dense(path: str, *, layers: int, width: int) -> None:
    import keras

    inputs = hidden = keras.Input((width,))
    for _ in range(layers):
        hidden = keras.layers.Dense(width, kernel_initializer="ones")(hidden)
    keras.Model(inputs, hidden).save(path)


def _functions(path: str, count: int) -> None:
    """As many functions, of which the signature reaches one."""
    import tensorflow as tf

    module = tf.Module()
    module.w = tf.Variable(tf.ones([4, 4]))
    module.parts = [tf.function(lambda x, i=i: x @ module.w + float(i)) for i in range(count)]
    for part in module.parts:
        part.get_concrete_function(tf.TensorSpec([None, 4]))
    module.serve = tf.function(lambda x: x @ module.w, input_signature=[tf.TensorSpec([None, 4], name="x")])
    tf.saved_model.save(module, path, signatures=module.serve)


def _nodes(path: str, count: int) -> None:
    """As many nodes in the function that the signature reaches."""
    import tensorflow as tf

    module = tf.Module()
    module.w = tf.Variable(tf.ones([4, 4]))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")], autograph=False)
    def serve(x: Any) -> Any:
        x = x @ module.w
        for _ in range(count):
            x = tf.tanh(x)
        return x

    module.serve = serve
    tf.saved_model.save(module, path, signatures=serve)


SERIES: dict[str, Series] = {
    "weights": Series(_weights, (32, 64, 128, 256), "MB of weights", ".keras", "keras"),
    "layers": Series(_layers, (50, 100, 200, 400), "layer", ".keras", "keras"),
    "functions": Series(_functions, (50, 100, 200, 400), "function", "", "saved_model"),
    "nodes": Series(_nodes, (500, 1000, 2000, 4000), "node", "", "saved_model"),
}


def make(name: str, directory: Path, *, tiny: bool = False) -> list[tuple[int, str]]:
    """Write the models of a series; return (size, path) of each."""
    series = SERIES[name]
    made = []
    for size in series.sizes:
        size = max(1, size // 50) if tiny else size
        path = directory / f"{name}-{size}{series.suffix}"
        if not path.exists():
            series.make(str(path), size)
        made.append((size, str(path)))
    return made


def seconds(side: str, path: str, repeats: int = 3) -> float:
    """Return the least time of loading, the first one left out."""
    times = []
    for _ in range(repeats + 1):
        gc.collect()
        start = time.perf_counter()
        SIDES[side].load(path)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def fitted(points: list[tuple[int, float]]) -> dict[str, Any]:
    """Return the line through *points* and how much it bends."""
    sizes, times = (np.asarray(values, float) for values in zip(*points, strict=True))
    slope, start = np.polyfit(sizes, times, 1)
    exponent = np.log(times[-1] / times[-2]) / np.log(sizes[-1] / sizes[-2])
    return {"slope": float(slope), "start": float(start), "exponent": float(exponent), "points": points}


def _main(side: str, *pairs: str) -> None:
    models = [(int(size), path) for size, _, path in (pair.partition("=") for pair in pairs)]
    import_everything()
    print(json.dumps([(size, seconds(side, path)) for size, path in models]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
