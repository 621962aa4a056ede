"""Loads and calls while somebody else builds a graph: outside of it, or an error that says so."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from safeload import _load, as_callable, inspect_model, load_callable
from safeload.errors import InputMismatchError, LoadFailedError, SafeloadError
from safeload.formats import detect
from safeload.runtime._outside_graphs import outside_graphs, require_eager

X = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)
KERNEL = np.arange(8, dtype="float32").reshape(4, 2)


@pytest.fixture(scope="module", params=["keras", "h5", "saved-model", "tf1", "frozen"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a model of each road that computes ``X @ KERNEL``."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in {"keras", "h5"}:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.set_weights([KERNEL, np.zeros(2)])
        model.save(folder / f"m.{request.param}")
        return str(folder / f"m.{request.param}")
    if request.param == "saved-model":
        module = tf.Module()
        module.kernel = tf.Variable(KERNEL)
        spec = tf.TensorSpec([None, 4])
        module.f = tf.function(lambda x: x @ module.kernel, input_signature=[spec])
        tf.saved_model.save(module, str(folder / "m"), signatures=module.f)
        return str(folder / "m")
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        if request.param == "frozen":
            tf.identity(x @ tf.constant(KERNEL), name="y")
            (folder / "m.pb").write_bytes(graph.as_graph_def().SerializeToString())
            return str(folder / "m.pb")
        y = x @ v1.get_variable("w", initializer=KERNEL)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "m"), {"x": x}, {"y": y})
    return str(folder / "m")


def _same(got: Any) -> None:
    np.testing.assert_allclose(got, X @ KERNEL, rtol=1e-5, atol=1e-6)


def test_a_load_inside_a_graph_of_tensorflow_1(path: str) -> None:
    """The callable is that of a load outside: it computes eagerly, in functions and under tapes."""
    with tf.Graph().as_default() as graph:
        predict = load_callable(path).warmup()
    assert not graph.get_operations()
    assert predict.route == load_callable(path).route
    _same(predict(X))
    _same(predict.predict(X))
    _same(tf.function(predict)(X))
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        y = predict(x)
    _same(y)
    np.testing.assert_allclose(tape.gradient(y, x), np.tile(KERNEL.sum(1), (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("is_lifted", [False, True], ids=["inside", "init-scope"])
def test_a_load_inside_a_function(path: str, is_lifted: bool) -> None:
    """However often TensorFlow traces the function, each trace may load."""
    loaded = []

    @tf.function
    def f(x: Any) -> Any:
        if is_lifted:
            with tf.init_scope():
                loaded.append(load_callable(path))
        else:
            loaded.append(load_callable(path))
        return loaded[-1](x)

    _same(f(tf.constant(X)))
    _same(f(tf.constant(X[:, None])[:, 0]))
    _same(loaded[-1](X))


def test_autograph_converts_nothing_of_a_load(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take seconds, and warn of what it cannot convert."""
    callers = []

    def spied(*args: Any, **kwargs: Any) -> Any:
        callers.extend(frame.name for frame in traceback.extract_stack())
        return detect(*args, **kwargs)

    monkeypatch.setattr(_load, "detect", spied)

    @tf.function
    def f(x: Any) -> Any:
        inspect_model(path)
        return load_callable(path)(x)

    _same(f(tf.constant(X)))
    assert {"inspect_model", "load_callable"} < set(callers)
    assert {name for name in callers if name.startswith("tf__")} == {"tf__f"}


def test_a_call_inside_a_graph_of_tensorflow_1(path: str) -> None:
    """It becomes operations where there are no variables, an error elsewhere, and harms no later call."""
    predict = load_callable(path)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        if path.endswith(".pb"):
            _same(session.run(predict(X)))
        else:
            with pytest.raises(LoadFailedError, match=r"a graph of TensorFlow 1 is built\n  hint: .*tf\.Graph"):
                predict(X)
        with pytest.raises(InputMismatchError, match="while a graph is built"):
            predict.predict(X)
        assert predict.model is not None
        again = predict.with_signature(predict.key).warmup()
    _same(predict(X))
    _same(again(X))
    _same(tf.function(predict)(X))


def test_other_errors_of_a_call_are_left_alone() -> None:
    """What else is a RuntimeError has nothing to do with graphs."""

    class Fails(keras.Model):
        def call(self, x: Any) -> Any:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine") as caught:
        as_callable(Fails())(X)
    assert not isinstance(caught.value, SafeloadError)


def test_the_strategy_of_the_caller_stays() -> None:
    """It is noted in the graph, so a load inside of both is an error."""
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope(), outside_graphs():
        assert tf.distribute.get_strategy() is strategy
        require_eager("m")
    with tf.Graph().as_default(), strategy.scope(), outside_graphs():
        assert tf.distribute.get_strategy() is strategy
        with pytest.raises(LoadFailedError, match="eager"):
            require_eager("m")


def test_eager_execution_is_off(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded then."""
    monkeypatch.setattr(context, "default_execution_mode", context.GRAPH_MODE)
    with context.graph_mode(), pytest.raises(LoadFailedError, match=r"eager execution is off .*\n.*disable_eager"):
        load_callable(path)


def test_eager_execution_is_switched_off(tmp_path: Path) -> None:
    """TensorFlow's own function does it as the test above has it, also after a load."""
    path = str(tmp_path / "m.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    script = f"""
        import numpy as np, tensorflow as tf
        from safeload import SafeloadError, load_callable
        fn = load_callable({path!r})
        tf.compat.v1.disable_eager_execution()
        for work in (lambda: load_callable({path!r}), lambda: fn.predict(np.ones((2, 4), "float32"))):
            try:
                work()
            except SafeloadError as error:
                print(error.code)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["load-failed", "input-mismatch"], done.stderr[-2000:]
