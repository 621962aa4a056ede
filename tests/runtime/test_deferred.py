"""Variables that are created without a value end up as those of the ordinary loader, to the bit."""

from __future__ import annotations

import logging
from itertools import product
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from releases import makes_variables_without_values, what_this_keras_can
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

import safeload
from safeload.errors import LoadFailedError, SafeloadError
from safeload.runtime._keras._deferred import deferred_variables, initialise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUILDS: list[str] = []


def _noting(shape: Any, dtype: Any) -> Any:
    BUILDS.append("own")
    return tf.ones(shape, dtype)


@keras.saving.register_keras_serializable("tests", name="Busy")
class Busy(layers.Layer):
    """Reads its weights while it is built, keeps a constant of them, counts its builds, and holds a layer."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = layers.Dense(3, kernel_initializer="orthogonal")

    def build(self, shape: Any) -> None:
        BUILDS.append(self.name)
        self.ones = self.add_weight(shape=(shape[-1],), initializer="ones", name="ones")
        self.noted = self.add_weight(shape=(), initializer=_noting, name="noted")
        self.total = float(np.sum(self.ones.numpy()))
        self.changed = self.add_weight(shape=(2,), initializer="zeros", trainable=False, name="changed")
        self.changed.assign_add([1.0, 2.0])
        self.inner.build(shape)

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs * self.ones) * self.total + self.changed[1] + self.noted


def _conv() -> Any:
    x = keras.Input((8, 8, 3))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3)(x))
    y = layers.SeparableConv2D(3, 2)(layers.DepthwiseConv2D(2)(y))
    return keras.Model(x, layers.Dense(2)(layers.Dropout(0.5, seed=1)(layers.Flatten()(y))))


def _recurrent() -> Any:
    x = keras.Input((5, 3))
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    y = layers.MultiHeadAttention(2, 3, dropout=0.1, seed=1)(y, y)
    return keras.Model(x, layers.GRU(2)(layers.LayerNormalization()(y)))


def _stateful() -> Any:
    x = keras.Input(batch_shape=(2, 5, 3))
    return keras.Model(x, layers.LSTM(4, stateful=True)(x))


def _half(policy: str) -> Any:
    x = keras.Input((6,))
    y = layers.Dense(7, dtype=policy, activation="gelu")(x)
    return keras.Model(x, layers.Dense(2, dtype=keras.DTypePolicy("float32"))(y))


def _words() -> Any:
    x = keras.Input((4,), dtype="int32")
    shared = layers.Embedding(9, 5)
    other = keras.Input((4,), dtype="int32")
    y = layers.Add()([shared(x), shared(other)])
    return keras.Model([x, other], layers.Dense(2)(layers.GlobalAveragePooling1D()(y)))


def _shared() -> Any:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()])
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], layers.Concatenate()([inner(a), inner(inner(b))]))


def _prepared() -> Any:
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(3, 2, (20, 4)))
    x = keras.Input((4,))
    sorted_in = layers.Discretization(bin_boundaries=[0.0, 1.0], output_mode="one_hot")
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(sorted_in(norm(x)))))


MODELS: dict[str, Callable[[], Any]] = {
    "conv": _conv,
    "recurrent": _recurrent,
    "stateful": _stateful,
    "bfloat16": lambda: _half("bfloat16"),
    "float16": lambda: _half("float16"),
    "mixed": lambda: _half("mixed_bfloat16"),
    "words": _words,
    "shared": _shared,
    "prepared": _prepared,
    "busy": lambda: keras.Sequential([keras.Input((3,)), Busy(), layers.GaussianNoise(0.1, seed=1)]),
}


def _inputs(model: Any) -> list[Any]:
    rng = np.random.default_rng(1)
    shapes = [(2, *tensor.shape[1:]) for tensor in model.inputs]
    return [
        rng.integers(0, 9, shape) if "int" in tensor.dtype else rng.normal(size=shape).astype("float32")
        for tensor, shape in zip(model.inputs, shapes, strict=True)
    ]


def _same(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        left, right = np.asarray(a), np.asarray(b)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes()


def _gradients(model: Any, x: Any) -> list[Any]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(model(x), "float32") ** 2)
    found = tape.gradient(loss, [v.value for v in model.trainable_variables])
    return [tf.convert_to_tensor(gradient) for gradient in found if gradient is not None]


def _fitted(model: Any, x: Any) -> list[Any]:
    keras.utils.set_random_seed(3)
    model.compile("adam", "mse")
    model.fit(x, np.zeros(model(x).shape, "float32"), batch_size=2, epochs=1, verbose=0, shuffle=False)
    return list(model.get_weights())


CELLS = [cell for cell in product(MODELS, (".keras", ".h5")) if cell != ("bfloat16", ".h5")]
"""All but the one that Keras itself cannot load."""


@pytest.mark.parametrize(("name", "suffix"), CELLS)
def test_the_model_is_that_of_the_ordinary_loader(tmp_path: Path, name: str, suffix: str) -> None:
    """Outputs, weights, gradients, trained weights and a copy saved again agree to the bit; it clones and exports."""
    path = tmp_path / f"m{suffix}"
    with what_this_keras_can():
        MODELS[name]().save(path)
        tried = keras.models.load_model(path, compile=False)
        x = _inputs(tried)
        x = x[0] if len(x) == 1 else x
        tried(x)
        tried.export(str(tmp_path / "tried"))
    theirs = keras.models.load_model(path, compile=False)
    ours = safeload.load_callable(path, modules=[__name__]).model
    assert {type(v.value) for v in ours.variables} <= {type(v.value) for v in theirs.variables}
    assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]
    _same(ours.get_weights(), theirs.get_weights())
    _same([ours(x)], [theirs(x)])
    if name != "prepared":
        _same(_gradients(ours, x), _gradients(theirs, x))
    ours.save(tmp_path / "again.keras")
    _same(keras.models.load_model(tmp_path / "again.keras").get_weights(), theirs.get_weights())
    ours.export(str(tmp_path / "exported"))
    assert len(keras.models.clone_model(ours).weights) == len(ours.weights)
    _same(_fitted(ours, x), _fitted(theirs, x))
    ours.summary(print_fn=lambda _: None)


def test_layers_that_read_and_write_while_they_are_built_see_ordinary_values(tmp_path: Path) -> None:
    """A value that is asked for is there; an initializer of the caller runs once, where it always ran."""
    keras.Sequential([keras.Input((3,)), Busy()]).save(tmp_path / "m.keras")
    BUILDS.clear()
    model = safeload.load_callable(tmp_path / "m.keras", modules=[__name__]).model
    assert model.layers[0].total == 3.0
    assert BUILDS.count("own") == 1
    assert len(BUILDS) == 2


@makes_variables_without_values
def test_no_initializer_of_keras_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file sets is never made up first."""
    _conv().save(tmp_path / "m.keras")

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an initializer ran")

    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", fail)
    predict = safeload.load_callable(tmp_path / "m.keras")
    assert predict.model.built
    assert predict.report.route == predict.route == "deferred"


@makes_variables_without_values
def test_a_layer_too_large_for_its_weights_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """Shapes are compared with the weight index while no variable has a value."""
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save_weights(tmp_path / "w.weights.h5")

    def huge() -> Any:
        return keras.Sequential([keras.Input((4,)), layers.Dense(10**11)])

    with pytest.raises(LoadFailedError, match="does not fit"):
        safeload.load_callable(tmp_path / "w.weights.h5", architecture=huge)


@makes_variables_without_values
def test_variables_of_no_layer_get_their_initial_values() -> None:
    """A variable that nothing sets is initialised at the end, and reads are right before."""
    with deferred_variables("m") as deferral:
        layer = layers.Dense(3, bias_initializer="ones")
        layer.build((None, 2))
        left = layers.Dense(2, kernel_initializer="ones")
        left.build((None, 2))
        assert deferral.deferred == 4
        assert layer.bias.numpy().tolist() == [1.0, 1.0, 1.0]
        with pytest.raises(ValueError, match="hape"):
            left.kernel.value.assign(np.zeros((5, 5), "float32"))
        assert left.kernel.numpy().tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert type(layer.kernel.value) is ResourceVariable
    assert type(left.bias.value) is ResourceVariable
    initialise(layer.kernel.value)
    assert np.abs(layer.kernel.numpy()).sum() > 0


@pytest.mark.parametrize("case", ["distribute", "creator", "graph"])
def test_what_is_not_understood_is_created_as_always(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """A strategy, a creator of the caller's, or a graph keep their say."""
    caplog.set_level(logging.INFO, "safeload")
    seen: list[Any] = []

    def creator(next_creator: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return next_creator(**kwargs)

    scopes = {
        "distribute": lambda: tf.distribute.OneDeviceStrategy("/cpu:0").scope(),
        "creator": lambda: tf.variable_creator_scope(creator),
        "graph": lambda: tf.Graph().as_default(),
    }
    with scopes[case](), deferred_variables("m") as deferral:
        if case != "graph":
            layers.Dense(3).build((None, 2))
    assert deferral.deferred == 0
    assert "built with initial values" in caplog.text
    assert bool(seen) is (case == "creator")


def test_training_one_load_leaves_another_alone(tmp_path: Path) -> None:
    """Two loads of one file share no memory, and updates never reach the file's bytes."""
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((600,)), layers.Dense(600)]).save(path)
    content = path.read_bytes()
    first, second = (safeload.load_callable(path).model for _ in range(2))
    before = second.get_weights()
    for variable in first.weights:
        variable.assign_add(tf.ones(variable.shape))
    _same(second.get_weights(), before)
    assert path.read_bytes() == content


def test_a_load_that_fails_leaves_the_thread_as_it_was(tmp_path: Path) -> None:
    """Afterwards variables are created as always."""
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(SafeloadError):
        safeload.load_callable(tmp_path / "w.weights.h5", architecture=_conv)
    layer = layers.Dense(2)
    layer.build((None, 2))
    assert type(layer.kernel.value) is ResourceVariable


@pytest.mark.parametrize("together", [1, 3, 100])
def test_variables_made_together_are_those_made_alone(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one function or several, they hold what they were assigned, apart from one another and from the source."""
    monkeypatch.setattr("safeload.runtime._variable_function._TOGETHER", together)
    values = [tf.ones([2, 3]), tf.zeros([3])]
    with deferred_variables("m") as deferral:
        stack = [layers.Dense(3) for _ in range(2)]
        for layer in stack:
            layer.build((None, 2))
            for variable, value in zip(layer.weights, values, strict=True):
                variable.assign(value + 1.0)
                variable.value.assign(value)
        assert deferral.deferred in (0, 4)
    first, second = stack
    first.kernel.assign_add(tf.ones([2, 3]))
    _same([first.kernel, second.kernel, second.bias], [values[0] * 2.0, *values])
    _same(values, [tf.ones([2, 3]), tf.zeros([3])])
    graph = tf.function(second).get_concrete_function(tf.TensorSpec([None, 2])).graph
    assert {type(v.value) for v in second.weights} == {ResourceVariable}
    assert [tuple(v.shape) for v in graph.variables] == [(2, 3), (3,)]
    assert graph.outputs[0].shape.as_list() == [None, 3]
