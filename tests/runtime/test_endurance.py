"""Memory stays flat over loads and over calls of many threads; what threads get is what one thread gets.

The long versions are property tests; the short ones run with every change.
"""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from threads import in_threads

import safeload

tf_keras = pytest.importorskip("tf_keras")

STATM = Path("/proc/self/statm")
WIDTH = 512
"""Weights of a model are a megabyte: one that stays behind after each load would show."""

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


class Scale(tf_keras.layers.Layer):
    """A custom layer, which makes its model one of Keras 2."""

    def call(self, x: Any) -> Any:
        return 2 * x


def model(package: Any, ends: int) -> Any:
    """A model of one input and one output, or a different one of two and two."""
    xs = [package.Input((4,), name=name) for name in "xz"[:ends]]
    wide = package.layers.Dense(WIDTH, activation="relu")(xs[0] if ends == 1 else package.layers.Subtract()(xs))
    ys = [package.layers.Dense(2 + end)(package.layers.Dense(WIDTH)(wide)) for end in range(ends)]
    return package.Model(xs, ys)


def old_model(ends: int) -> Any:
    xs = [tf_keras.Input((4,), name=name) for name in "xz"[:ends]]
    return tf_keras.Model(xs, [tf_keras.layers.Dense(2)(Scale()(tf_keras.layers.Dense(WIDTH)(x))) for x in xs])


def graph(ends: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Placeholders and what is computed from them, in the graph of TensorFlow 1 that is being built."""
    xs = {name: tf.compat.v1.placeholder(tf.float32, [None, 4], name=name) for name in "xz"[:ends]}
    w = tf.compat.v1.get_variable("w", [4, WIDTH])
    v = tf.compat.v1.get_variable("v", [WIDTH, WIDTH])
    return xs, {f"y_{name}": tf.identity(sum(xs.values()) @ w @ v + x @ w, name=f"y_{name}") for name, x in xs.items()}


def save_tf1(path: Path, ends: int) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        xs, ys = graph(ends)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(path), xs, ys)


def save_frozen(path: Path, ends: int) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        _, ys = graph(ends)
        session.run(tf.compat.v1.global_variables_initializer())
        frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, session.graph_def, [*ys])
    path.write_bytes(frozen.SerializeToString())


class Module(tf.Module):
    """A model of plain TensorFlow, with a table."""

    def __init__(self, ends: int) -> None:
        super().__init__()
        self.w = tf.Variable(tf.random.stateless_normal([4, WIDTH], [1, ends]))
        words = tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant([2.0, 3.0]))
        self.table = tf.lookup.StaticHashTable(words, 1.0)
        specs = [tf.TensorSpec([None, 4], name=name) for name in "xz"[:ends]]
        self.serve = tf.function(self._sum, input_signature=specs)

    def _sum(self, *xs: Any) -> Any:
        scale = self.table.lookup(tf.cast(xs[0][:, :1], tf.int64))
        return {"y": scale * sum(x @ self.w for x in xs)}


def save_module(path: Path, ends: int) -> None:
    module = Module(ends)
    tf.saved_model.save(module, str(path), signatures=module.serve)


def save_tflite(path: Path, ends: int) -> None:
    model(keras, ends).export(str(path.parent / "exported"))  # from_keras_model of TensorFlow 2.16 ends the process
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(path.parent / "exported")).convert())


FAMILIES: dict[str, Callable[[Path, int], Any]] = {
    "keras3.keras": lambda path, ends: model(keras, ends).save(path),
    "keras3.h5": lambda path, ends: model(keras, ends).save(path),
    "keras2.h5": lambda path, ends: model(tf_keras, ends).save(path),
    "keras2.keras": lambda path, ends: model(tf_keras, ends).save(path),
    "tf_keras.h5": lambda path, ends: old_model(ends).save(path),
    "keras3_export": lambda path, ends: model(keras, ends).export(str(path)),
    "keras2_saved_model": lambda path, ends: model(tf_keras, ends).save(path),
    "tensorflow2": save_module,
    "tensorflow1": save_tf1,
    "frozen.pb": save_frozen,
    "tflite": save_tflite,
}


@pytest.fixture(scope="module", params=FAMILIES)
def paths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two different models of each family: of one input, and of two."""
    targets = tuple(tmp_path_factory.mktemp("family") / request.param for _ in range(2))
    for ends, target in enumerate(targets, 1):
        FAMILIES[request.param](target, ends)
    return targets[0], targets[1]


@pytest.fixture
def path(paths: tuple[Path, Path]) -> Path:
    """One model of each family."""
    return paths[0]


def load(path: Path) -> safeload.ModelCallable:
    return safeload.load_callable(path, custom_objects=[Scale])


def memory() -> int:
    """Return the bytes of this process that are in memory."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def load_and_drop(path: Path, times: int) -> None:
    """Load, call and drop; graphs are cycles, and what waits for the collector would leave gaps between what stays."""
    for number in range(times):
        fn = load(path)
        fn(X)
        del fn
        if number % 5 == 4:
            gc.collect()


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "dropped"])
def test_a_dropped_model_is_gone(path: Path, *, closes: bool) -> None:
    """Nothing in safeload, Keras or TensorFlow holds what was loaded once the callable is closed or dropped."""
    fn = load(path)
    fn(X)
    held = weakref.ref(fn.backend)
    if closes:
        fn.close()
    del fn
    gc.collect()
    assert held() is None


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("first", "more"), [(5, 15), pytest.param(20, 180, marks=pytest.mark.property)], ids=["short", "long"]
)
def test_loads_and_drops(path: Path, first: int, more: int, record_property: Callable[[str, object], None]) -> None:
    """Memory is flat within 5 % after the first loads."""
    load_and_drop(path, first)
    before = memory()
    load_and_drop(path, more)
    growth = memory() / before
    record_property("growth", f"{growth:.4f}")
    assert growth < 1.05


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("calls", [100, pytest.param(10_000, marks=pytest.mark.property)], ids=["short", "long"])
def test_eight_threads(paths: tuple[Path, Path], calls: int, record_property: Callable[[str, object], None]) -> None:
    """Mixed calls of two models, one to three rows each, give what they give one by one; later ones take no memory."""
    fns = [load(path) for path in paths]
    forms: list[Callable[[Any, dict[str, Any]], Any]] = [
        lambda fn, xs: fn(xs),
        lambda fn, xs: fn(**xs),
        lambda fn, xs: fn({name: tf.constant(x) for name, x in xs.items()}),
        lambda fn, xs: fn({name: x.tolist() for name, x in xs.items()}),
    ]

    def call(number: int) -> list[Any]:
        fn = fns[number % 2]
        rows = X[: 1 + number % 3] * (number % 12 + 1)
        xs = {info.name: rows * (end + 1) for end, info in enumerate(fn.inputs)}
        return [np.asarray(y) for y in tf.nest.flatten(forms[number // 2 % 4](fn, xs))]

    def is_right(found: list[Any], wanted: list[Any]) -> bool:
        return all(np.allclose(y, w, rtol=1e-5, atol=1e-5) for y, w in zip(found, wanted, strict=True))

    assert [len(fn.inputs) for fn in fns] == [1, 2]
    expected = [call(number) for number in range(48)]

    def work(thread: int) -> list[int]:
        indices = ((7 * number + 5 * thread) % 48 for number in range(calls // 2))
        return [index for index in indices if not is_right(call(index), expected[index])]

    assert not any(in_threads(work, 8))
    half = memory()
    assert not any(in_threads(work, 8))
    growth = memory() / half
    record_property("growth", f"{growth:.4f}")
    assert growth < 1.01
