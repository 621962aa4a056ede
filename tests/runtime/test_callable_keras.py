"""Built Keras models as callables."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorflow as tf
from releases import skip_unless_lists_nest
from saved_models import X, equal

from safeload import load_callable
from safeload.errors import InputMismatchError
from safeload.runtime._wrap import as_callable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def test_sequential(keras: Any) -> None:
    """One input by position, names of the layers, inference."""
    model = keras.Sequential(
        [keras.layers.Input((4,), name="features"), keras.layers.Dropout(0.9), keras.layers.Dense(3, name="scores")]
    )
    fn = as_callable(model)
    equal(fn(X), X @ np.asarray(model.get_weights()[0]))
    equal(fn(features=X.tolist()), fn(X))
    assert [str(info) for info in fn.inputs] == ["features: float32 [None, 4]"]
    assert [str(info) for info in fn.outputs] == ["scores: float32 [None, 3]"]
    assert str(inspect.signature(fn)) == "(features: 'float32 [None, 4]')"
    assert fn.model is model
    with pytest.raises(InputMismatchError, match="the batch dimension is missing"):
        fn(X[0])


def test_several_inputs_and_outputs(keras: Any) -> None:
    """Inputs by position, name or list; outputs as a dict in declared order."""
    b, a = keras.layers.Input((4,), name="b"), keras.layers.Input((4,), name="a")
    outputs = [keras.layers.Subtract(name=f"output_{i}")([b, a] if i == 2 else [a, b]) for i in (10, 2)]
    fn = as_callable(keras.Model([b, a], outputs))
    for result in (fn(X, X * 3), fn([X, X * 3]), fn(a=X * 3, b=X), fn({"a": X * 3, "b": X})):
        assert list(result) == ["output_10", "output_2"]
        equal(result["output_2"], X * -2)


def test_nested_outputs_keep_their_names(keras: Any) -> None:
    """Lists in a dict whose keys are not sorted: each output has the name of the layer that makes it."""
    skip_unless_lists_nest(keras.__version__)
    x = keras.layers.Input((4,), name="x")
    ends = [keras.layers.Dense(size, name=name)(x) for size, name in ((2, "zz"), (1, "aa"), (3, "mm"))]
    fn = as_callable(keras.Model(x, {"second": ends[:2], "first": ends[2]}))
    shapes = {"zz": (None, 2), "aa": (None, 1), "mm": (None, 3)}
    assert {info.name: info.shape for info in fn.outputs} == shapes
    assert {name: (None, *value.shape[1:]) for name, value in fn(X).items()} == shapes
    assert list(fn(X)) == [info.name for info in fn.outputs]


def test_no_output_is_lost_when_numbered_names_meet(keras: Any) -> None:
    """The second output of ``lstm`` does not take the name of the layer ``lstm_1``."""
    inputs = keras.layers.Input((2, 4))
    _, *states = keras.layers.LSTM(3, return_state=True, name="lstm")(inputs)
    other = keras.layers.LSTM(2, name="lstm_1")(inputs)
    model = keras.Model(inputs, [*states, other])
    result = as_callable(model)(X[:, None].repeat(2, axis=1))
    assert list(result) == ["lstm", "lstm_1", "lstm_1_1"]
    assert [value.shape[1] for value in result.values()] == [3, 3, 2]


def test_a_name_that_tensorflow_refuses_leaves_no_scope_open() -> None:
    """A layer ``dense_é`` is called without a trace, and later variables do not bear its name."""
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, name="dense_é")])
    equal(as_callable(model)(X), X @ np.asarray(model.get_weights()[0]))
    later = keras.layers.Dense(3)
    later.build((None, 4))
    assert "é" not in later.kernel.path


def test_nested_inputs(keras: Any) -> None:
    """A dict of inputs is taken by its keys, and flat by layer names."""
    left, right = keras.layers.Input((4,), name="layer_l"), keras.layers.Input((4,), name="layer_r")
    model = keras.Model({"l": left, "r": right}, {"difference": keras.layers.Subtract()([left, right])})
    fn = as_callable(model)
    equal(fn({"l": X, "r": X * 3}), X * -2)
    equal(fn({"layer_l": X, "layer_r": X * 3}), X * -2)


def test_unknown_inputs(keras: Any) -> None:
    """A subclassed model takes what it takes."""

    class Scale(keras.Model):
        def call(self, x: Any, factor: Any = 2.0, training: Any = None) -> Any:
            return x * factor if not training else x * 0

    fn = as_callable(Scale())
    equal(fn(X), X * 2)
    equal(fn(X, factor=3.0), X * 3)
    assert str(inspect.signature(fn)) == "(*args, **kwargs)"


def test_model_that_cannot_be_traced() -> None:
    """A layer that only works eagerly runs eagerly."""
    import keras

    class Eager(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * float(np.asarray(x).max())

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape, x.dtype)

    inputs = keras.layers.Input((4,))
    fn = as_callable(keras.Model(inputs, Eager()(inputs)))
    for _ in range(2):
        equal(fn(X), X * 7)


def test_gradient_and_graph(keras: Any) -> None:
    """Calls are differentiable and work inside graphs."""
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    fn = as_callable(model)
    x = tf.Variable(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(fn(x))
    equal(tape.gradient(loss, x), np.broadcast_to(np.asarray(model.get_weights()[0]).T, X.shape))
    equal(tf.function(fn)(tf.constant(X)), fn(X))
    for shape in (None, [None, None]):  # what Python functions in a pipeline leave behind
        equal(tf.function(fn, input_signature=[tf.TensorSpec(shape)])(tf.constant(X)), fn(X))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not compatible with expected shape"):
        tf.function(fn, input_signature=[tf.TensorSpec(None)])(tf.constant(X[0]))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_batch_of_the_data_that_built_the_model(tmp_path: Path, suffix: str, keras: Any) -> None:
    """A Sequential model without an Input records the batch that it was trained with, and is called with any other."""
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile(loss="mse")
    model.fit(np.ones((4, 2)), np.ones((4, 3)), batch_size=4, verbose=0)
    model.save(tmp_path / f"m{suffix}")
    loaded = load_callable(tmp_path / f"m{suffix}")
    for rows in (1, 4, 7):
        x = np.ones((rows, 2), "float32")
        np.testing.assert_allclose(loaded(x), model(x), rtol=1e-6)
    assert [str(info).partition(": ")[2] for info in (*loaded.inputs, *loaded.outputs)] == [
        "float32 [None, 2]",
        "float32 [None, 3]",
    ]


def test_stateful_model_keeps_its_batch(tmp_path: Path, keras: Any) -> None:
    """A recurrent layer that keeps a state for each row takes as many rows as it has states."""
    x = keras.Input(batch_shape=(2, 5, 4))
    keras.Model(x, keras.layers.LSTM(1, stateful=True)(x)).save(tmp_path / "m.keras")
    with pytest.raises(InputMismatchError, match=r"shape \[3, 5, 4\], expected \[2, 5, 4\]"):
        load_callable(tmp_path / "m.keras")(np.ones((3, 5, 4), "float32"))


def test_many_models_in_one_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """TensorFlow does not warn of traces that are of different models, or of lengths of ragged rows."""
    tf_keras = pytest.importorskip("tf_keras")
    x = tf_keras.Input((None,), ragged=True, dtype="int64")
    rows = tf_keras.layers.Embedding(9, 3)(x)
    tf_keras.Model(x, tf_keras.layers.GlobalAveragePooling1D()(rows)).save(tmp_path / "m.h5")
    for length in range(1, 9):
        load_callable(tmp_path / "m.h5")([[1] * length, [2]])
    assert "retracing" not in caplog.text
