"""What Keras 3 and tf_keras both can load, they load to the same numbers."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from releases import IS_KERAS_3_3

import safeload
from safeload import _load, runtime
from safeload.errors import CustomObjectConflictError, IncompatibleVersionError, MissingDependencyError
from safeload.planning import plan_load
from safeload.policy import judge
from safeload.registry import Registry
from safeload.runtime._keras import _package

tf_keras = pytest.importorskip("tf_keras")

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-5


def on_road(path: Path, road: str) -> Any:
    """The callable of *path*, built by the package *road*."""
    with _load._looking(path) as seen:
        judged = judge(seen.artifact, seen.info, seen.findings)
        plan = plan_load(judged, Registry.of_call())
        return runtime.load(replace(plan, road=road))


def sample(*shape: int) -> Any:
    """Inputs that are the same in every run."""
    return np.random.default_rng(5).normal(size=shape).astype("float32") * 2


def graph(package: Any) -> tuple[Any, Any]:
    """Shared layers, a nested model called twice, merges, and several outputs."""
    layers = package.layers
    inner_input = package.Input((4,))
    inner = package.Model(inner_input, layers.Dense(4, activation="tanh")(inner_input), name="inner")
    left, right = package.Input((4,), name="left"), package.Input((4,), name="right")
    a, b = inner(left), inner(right)
    merged = layers.Concatenate()([layers.Dot(1)([a, b]), layers.Add()([a, left]), layers.Multiply()([a, b])])
    outputs = [layers.Dense(3, name="kind")(merged), inner(layers.Dense(4)(merged))]
    return package.Model([left, right], outputs), [sample(2, 4), sample(2, 4) + 1]


def recurrent(package: Any) -> tuple[Any, Any]:
    """Masks, states, wrappers and the hard sigmoid, which is another function in each package."""
    layers = package.layers
    x = package.Input((5, 3))
    masked = layers.Masking(0.0)(x) if package is tf_keras else x  # Keras 3 makes operations of its own of a mask
    y, h, c = layers.LSTM(4, return_state=True, return_sequences=True, recurrent_activation="hard_sigmoid")(masked)
    y = layers.LSTM(4, activation="hard_sigmoid")(y, initial_state=[h, c])
    z = layers.Bidirectional(layers.GRU(3))(masked)
    w = layers.TimeDistributed(layers.Dense(2))(x)
    return package.Model(x, layers.Concatenate()([y, z, layers.Flatten()(w)])), sample(2, 5, 3)


def image(package: Any) -> tuple[Any, Any]:
    """Convolutions and activations with keys of another name."""
    layers = package.layers
    return package.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.SeparableConv2D(4, 3),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.2),
            layers.DepthwiseConv2D(3, activation="swish"),
            layers.GlobalAveragePooling2D(),
            layers.Activation("hard_sigmoid"),
        ]
    ), sample(2, 8, 8, 3)


def attention(package: Any) -> tuple[Any, Any]:
    """A layer of two arguments."""
    layers = package.layers
    x = package.Input((5, 6))
    return package.Model(x, layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(x, x) + x)), sample(2, 5, 6)


def preprocessing(package: Any) -> tuple[Any, Any]:
    """Layers whose dtype is that of what they make."""
    layers = package.layers
    x = package.Input((6,))
    bins = layers.Discretization([0.0, 1.0])(x)
    scaled = layers.Normalization(mean=[1.0] * 6, variance=[2.0] * 6)(layers.Rescaling(0.5, 1.0)(x))
    return package.Model(x, [bins, scaled]), sample(2, 6)


def filled(model: Any) -> Any:
    """*model* with weights that differ from the initial ones, variances included."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1.0, size=w.shape) for w in model.get_weights()])
    return model


def arrays(result: Any) -> list[Any]:
    """The outputs of a call."""
    if isinstance(result, dict):
        return [np.asarray(value) for value in result.values()]
    return [np.asarray(value) for value in result] if isinstance(result, (list, tuple)) else [np.asarray(result)]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("build", [graph, recurrent, image, attention, preprocessing])
def test_both_roads_give_the_numbers_of_the_writer_tf_keras(build: Any, suffix: str, tmp_path: Path) -> None:
    """A file of tf_keras is the same function whichever package builds it."""
    check(tf_keras, build, tmp_path / f"model{suffix}")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("build", [graph, recurrent, image, preprocessing])
def test_both_roads_give_the_numbers_of_the_writer_keras(build: Any, suffix: str, tmp_path: Path) -> None:
    """A file of Keras 3 is the same function whichever package builds it."""
    check(keras, build, tmp_path / f"model{suffix}")


def check(package: Any, build: Any, path: Path) -> None:
    """Compare both roads with the model that *package* saved."""
    model, inputs = build(package)
    filled(model).save(path)
    expected = arrays(model(inputs))
    for road in ("keras", "tf_keras"):
        function = on_road(path, road)
        got = arrays(function(*inputs) if isinstance(inputs, list) else function(inputs))
        assert len(got) == len(expected)
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE, err_msg=road)


@pytest.mark.parametrize("road", ["keras", "tf_keras"])
def test_slices_that_end_at_a_tensor(road: str, tmp_path: Path) -> None:
    """The last two steps of a sequence of any length."""
    x = tf_keras.Input((None, 3))
    model = tf_keras.Model(x, x[:, tf.shape(x)[1] - 2 :, ::2])
    model.save(tmp_path / "m.h5")
    found = on_road(tmp_path / "m.h5", road)(sample(2, 5, 3))
    np.testing.assert_allclose(np.asarray(found), sample(2, 5, 3)[:, 3:, ::2])


class Doubled(tf_keras.layers.Layer):
    """A layer of the caller's for tf_keras."""

    def call(self, x: Any) -> Any:
        """Double."""
        return 2.0 * x


def test_custom_layers_for_tf_keras_decide_the_road(tmp_path: Path) -> None:
    """A class derived from tf_keras takes its model to tf_keras."""
    layers = tf_keras.layers
    model = filled(tf_keras.Sequential([layers.Input((4,)), Doubled(), layers.Dense(3, "hard_sigmoid")]))
    for path in (tmp_path / "model.h5", tmp_path / "model.keras"):
        model.save(path)
        function = safeload.load_callable(path, custom_objects={"Doubled": Doubled})
        assert isinstance(function.model, tf_keras.Model)
        np.testing.assert_allclose(function(sample(2, 4)), model(sample(2, 4)), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_layers_called_as_in_training(tmp_path: Path, suffix: str) -> None:
    """Keras 2 goes by the recorded call: statistics are those of the batch, dropout drops."""
    inputs = tf_keras.Input((4,))
    inner = tf_keras.Sequential([tf_keras.Input((4,)), Doubled(), tf_keras.layers.BatchNormalization()])
    model = tf_keras.Model(inputs, inner(inputs, training=True))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    predict = safeload.load_callable(path, custom_objects={"Doubled": Doubled})
    np.testing.assert_allclose(predict(sample(5, 4)), model.predict(sample(5, 4), verbose=0), rtol=1e-5, atol=1e-6)
    with pytest.raises(CustomObjectConflictError, match="a layer that is called as in training, as only Keras 2"):
        safeload.load_callable(path, custom_objects={"Doubled": keras.layers.Rescaling})


def test_dtypes_that_the_author_gave(tmp_path: Path) -> None:
    """A lookup counts in the dtype of the layer, and buckets have it if it is one of integers."""
    words, numbers = tf_keras.Input((1,), dtype="string"), tf_keras.Input((1,))
    layers = tf_keras.layers
    counted = layers.StringLookup(vocabulary=["a"], output_mode="count", dtype="float64")(words)
    model = tf_keras.Model([words, numbers], [counted, layers.Discretization([0.5], dtype="int32")(numbers)])
    model.save(tmp_path / "model.h5")
    given = [tf.constant([["a"]]), tf.constant([[0.7]])]
    found = safeload.load_callable(tmp_path / "model.h5")(given).values()
    assert [value.dtype for value in found] == [value.dtype for value in model(given)] == ["float64", "int32"]


def test_crossed_features_are_integers(tmp_path: Path) -> None:
    """A crossing gives the dtype of the layer, in either Keras, as a lookup does."""
    words, numbers = tf_keras.Input((1,), dtype="string"), tf_keras.Input((1,), dtype="int64")
    model = tf_keras.Model([words, numbers], tf_keras.layers.HashedCrossing(5)((words, numbers)))
    model.save(tmp_path / "m.keras")
    given = [tf.constant([["a"], ["b"], ["c"]]), tf.constant([[1], [2], [3]], "int64")]
    for road in ("keras", "tf_keras"):
        found = on_road(tmp_path / "m.keras", road)(given)
        assert found.dtype == "int64"
        np.testing.assert_array_equal(found, model(given))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "string"])
def test_layers_of_other_dtypes_than_floats(tmp_path: Path, dtype: str, suffix: str) -> None:
    """They take floats as they are, which Keras 3 would cast, and round, for its own layers."""
    x = keras_input = tf_keras.Input((4, 6))
    for name, arguments in [("Permute", [(2, 1)]), ("Activation", ["tanh"]), ("TimeDistributed", [])]:
        given = arguments or [tf_keras.layers.Dense(3)]
        x = getattr(tf_keras.layers, name)(*given, dtype=dtype)(x)
    model = filled(tf_keras.Model(keras_input, tf_keras.layers.Concatenate(dtype=dtype)([x, x])))
    path = tmp_path / f"m{suffix}"
    model.save(path)
    values = sample(2, 4, 6)
    for road in ("keras", "tf_keras"):
        np.testing.assert_allclose(on_road(path, road)(values), model(values), rtol=TOLERANCE)


def test_results_of_other_dtypes_than_floats(tmp_path: Path) -> None:
    """A layer of preprocessing casts its result, in either Keras."""
    if IS_KERAS_3_3:
        pytest.skip("Keras 3.3 takes the dtype of the layer for that of the input")
    x = tf_keras.Input((4,))
    model = tf_keras.Model(x, tf_keras.layers.Rescaling(3, dtype="int32")(x))
    model.save(tmp_path / "m.keras")
    for road in ("keras", "tf_keras"):
        np.testing.assert_array_equal(on_road(tmp_path / "m.keras", road)(np.full((1, 4), 1.5, "float32")), [[3] * 4])


_OF_KERAS_2 = {
    "UpSampling2D": lambda: tf_keras.layers.UpSampling2D(3, interpolation="gaussian"),
    "Resizing": lambda: tf_keras.layers.Resizing(5, 6, interpolation="mitchellcubic"),
    "SeparableConv1D": lambda: tf_keras.layers.SeparableConv1D(2, 3, padding="causal"),
}


@pytest.mark.parametrize("name", _OF_KERAS_2)
def test_values_that_keras_3_does_not_take(tmp_path: Path, name: str) -> None:
    """The model is built with the package that has them."""
    shape = (4, 3) if name.endswith("1D") else (4, 4, 2)
    model = tf_keras.Sequential([tf_keras.Input(shape), _OF_KERAS_2[name]()])
    model.save(tmp_path / "model.h5")
    predict = safeload.load_callable(tmp_path / "model.h5")
    np.testing.assert_allclose(predict(sample(2, *shape)), model(sample(2, *shape)), rtol=1e-5, atol=1e-6)


_WORDS = {"vocabulary": ["a", "b", "c"]}
_LOOKUPS = {
    "words": lambda mode: tf_keras.layers.StringLookup(output_mode=mode, **_WORDS),
    "text": lambda mode: tf_keras.layers.TextVectorization(output_mode=mode, **_WORDS),
    "numbers": lambda mode: tf_keras.layers.IntegerLookup(vocabulary=[1, 2, 3], output_mode=mode),
    "buckets": lambda mode: tf_keras.layers.Discretization([1.0, 2.0], output_mode=mode),
}


# TextVectorization has no "one_hot".
_ENCODINGS = {(kind, mode) for kind in _LOOKUPS for mode in ("int", "multi_hot", "count", "one_hot")} - {
    ("text", "one_hot")
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(("kind", "mode"), sorted(_ENCODINGS))
def test_encoded_values_have_the_dtype_of_keras_2(tmp_path: Path, kind: str, mode: str, suffix: str) -> None:
    """Keras 3 gives integers for counts, of which a mean is another one."""
    dtype, values = ("string", ["a", "c", "x", "a"]) if kind in ("words", "text") else ("float32", [1.0, 2.0, 3.0, 1.0])
    inputs = tf_keras.Input((1,), dtype="int64" if kind == "numbers" else dtype)
    encoded = _LOOKUPS[kind](mode)(inputs)
    model = tf_keras.Model(inputs, [encoded, tf.reduce_mean(encoded, axis=-1)])
    model.save(tmp_path / f"model{suffix}")
    row = tf.constant(values, dtype)[:, None]
    row = tf.cast(row, "int64") if kind == "numbers" else row
    if IS_KERAS_3_3 and (kind, mode) == ("buckets", "one_hot"):
        with pytest.raises(IncompatibleVersionError, match="last axis of a column"):
            safeload.load_callable(tmp_path / f"model{suffix}")
        return
    predict = safeload.load_callable(tmp_path / f"model{suffix}")
    assert isinstance(predict.model, keras.Model)
    for found, expected in zip(predict(row).values(), model(row), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_ragged_inputs_go_to_tf_keras(tmp_path: Path) -> None:
    """Keras 3 has no ragged LSTM, and no members of ragged tensors."""
    x = tf_keras.Input((None,), ragged=True, dtype="int32")
    embedded = tf_keras.layers.Embedding(9, 4)
    pooled = tf.reduce_max(embedded(x.to_tensor(default_value=0))[:, ::2], axis=1)
    model = tf_keras.Model(x, [tf_keras.layers.LSTM(3)(embedded(x)), tf.math.subtract(1.0, pooled)])
    words = tf.ragged.constant([[1, 2, 3], [4]], dtype=tf.int32)
    for path in (tmp_path / "model.h5", tmp_path / "model.keras"):
        model.save(path)
        for ours, theirs in zip(arrays(safeload.load_callable(path)(words)), model(words), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_without_tf_keras_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only tf_keras will do, its absence is said."""
    x = tf_keras.Input((None,), ragged=True, dtype="int32")
    tf_keras.Model(x, tf_keras.layers.LSTM(3)(tf_keras.layers.Embedding(9, 4)(x))).save(tmp_path / "model.keras")
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(MissingDependencyError, match="keras2"):
        safeload.load_callable(tmp_path / "model.keras")
    with pytest.raises(MissingDependencyError):
        _package.import_keras("tf_keras")


def test_layers_for_activations(tmp_path: Path) -> None:
    """One with weights is for tf_keras alone."""
    layers = tf_keras.layers
    inputs = tf_keras.Input((6,))
    steps = layers.Reshape((3, 2))(inputs)
    outputs = {
        "keras": layers.Dense(3, activation=layers.LeakyReLU(0.3))(inputs),
        "tf_keras": layers.Conv1D(2, 2, activation=layers.PReLU("uniform"))(steps),
    }
    data = sample(2, 6)
    for package, output in outputs.items():
        model = tf_keras.Model(inputs, output)
        model.save(tmp_path / "m.h5")
        loaded = safeload.load_callable(tmp_path / "m.h5")
        assert type(loaded.model).__module__.startswith(f"{package}.")
        np.testing.assert_allclose(loaded(data), model(data), rtol=TOLERANCE, atol=TOLERANCE)


def test_time_on_the_first_axis(tmp_path: Path) -> None:
    """Only tf_keras can: the same as with the axes exchanged."""
    first = tf_keras.Sequential([tf_keras.Input(batch_shape=(5, 2, 3)), tf_keras.layers.LSTM(4, time_major=True)])
    first.save(tmp_path / "m.h5")
    last = tf_keras.Sequential([tf_keras.Input((5, 3)), tf_keras.layers.LSTM(4)])
    last.set_weights(first.get_weights())
    data = sample(5, 2, 3)
    found = safeload.load_callable(tmp_path / "m.h5")(data)
    np.testing.assert_allclose(found, last(data.swapaxes(0, 1)), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_words_beside_what_only_keras_2_has(suffix: str, tmp_path: Path) -> None:
    """A layer that looks words up records the number of its words beside the words."""
    layers = tf_keras.layers
    words = tf_keras.Input((2,), dtype="string")
    embedded = layers.Embedding(4, 3)(layers.StringLookup(vocabulary=["a", "b", "c"])(words))
    model = tf_keras.Model(words, layers.BatchNormalization(axis=[1, 2])(embedded))
    model.save(tmp_path / f"m{suffix}")
    x = np.array([["a", "c"], ["b", "?"]])
    np.testing.assert_allclose(safeload.load_callable(tmp_path / f"m{suffix}")(x), model(tf.constant(x)), rtol=1e-5)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_both_ways_with_states_that_are_kept_and_given(name: str, tmp_path: Path) -> None:
    """Keras 3 cannot build such a layer."""
    layers = tf_keras.layers
    inputs = tf_keras.Input(batch_shape=(2, 4, 3))
    both = layers.Bidirectional(getattr(layers, name)(2, stateful=True, return_state=True))
    model = tf_keras.Model(inputs, both(inputs))
    model.save(tmp_path / "m.h5")
    found = safeload.load_callable(tmp_path / "m.h5")
    x = sample(2, 4, 3)
    for _ in range(2):
        for one, other in zip(found(x).values(), model(x), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
