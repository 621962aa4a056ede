"""Memory stays flat over loads and over calls of many threads; what threads get is what one thread gets.

The long versions are property tests; the short ones run with every change.
"""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import safeload

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

STATM = Path("/proc/self/statm")
WIDTH = 512
"""Weights of a model are a megabyte: one that stays behind after each load would show."""

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


class Scale(tf_keras.layers.Layer):
    """A custom layer, which makes its model one of Keras 2."""

    def call(self, x: Any) -> Any:
        return 2 * x


def model(package: Any) -> Any:
    x = package.Input((4,), name="x")
    wide = package.layers.Dense(WIDTH, activation="relu")(x)
    return package.Model(x, package.layers.Dense(2)(package.layers.Dense(WIDTH)(wide)))


def old_model() -> Any:
    x = tf_keras.Input((4,), name="x")
    return tf_keras.Model(x, tf_keras.layers.Dense(2)(Scale()(tf_keras.layers.Dense(WIDTH)(x))))


def save_tf1(path: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
        y = x @ tf.compat.v1.get_variable("w", [4, WIDTH]) @ tf.compat.v1.get_variable("v", [WIDTH, WIDTH])
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})


def save_tflite(path: Path) -> None:
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model(keras)).convert())


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "keras3.keras": lambda path: model(keras).save(path),
    "keras3.h5": lambda path: model(keras).save(path),
    "keras2.h5": lambda path: model(tf_keras).save(path),
    "keras2.keras": lambda path: model(tf_keras).save(path),
    "tf_keras.h5": lambda path: old_model().save(path),
    "keras3_export": lambda path: model(keras).export(str(path)),
    "keras2_saved_model": lambda path: model(tf_keras).save(path),
    "tensorflow1": save_tf1,
    "tflite": save_tflite,
}


@pytest.fixture(scope="module", params=FAMILIES)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each family."""
    target = tmp_path_factory.mktemp("family") / request.param
    FAMILIES[request.param](target)
    return target


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
def test_loads_and_drops(path: Path, first: int, more: int) -> None:
    """Memory is flat within 5 % after the first loads."""
    load_and_drop(path, first)
    before = memory()
    load_and_drop(path, more)
    assert memory() < 1.05 * before


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("calls", [100, pytest.param(10_000, marks=pytest.mark.property)], ids=["short", "long"])
def test_eight_threads(path: Path, calls: int) -> None:
    """Mixed calls of two callables give what they give one by one; the second half takes no more memory."""
    fns = [load(path), load(path)]
    rows = [X * (number + 1) for number in range(12)]
    forms: list[Callable[[Any, Any], Any]] = [
        lambda fn, x: fn(x),
        lambda fn, x: fn(x=tf.constant(x)) if fn.inputs[0].name == "x" else fn(tf.constant(x)),
        lambda fn, x: fn({fn.inputs[0].name: x}),
        lambda fn, x: fn(x.tolist()),
    ]

    def call(number: int) -> Any:
        return np.asarray(forms[number % 4](fns[number % 2], rows[number % 12]))

    expected = [call(number) for number in range(48)]
    wrong: list[Any] = []

    def work(thread: int) -> None:
        try:
            for number in range(calls // 2):
                index = (7 * number + 5 * thread) % 48
                if not np.allclose(call(index), expected[index], rtol=1e-5, atol=1e-5):
                    wrong.append(index)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            wrong.append(error)

    def run() -> None:
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run()
    half = memory()
    run()
    assert not wrong
    assert memory() < 1.01 * half
