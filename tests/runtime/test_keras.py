"""Keras files become models with exactly their weights, and with what the file means by its names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

import safeload
from safeload.errors import CustomObjectConflictError, LoadFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = (".keras", ".h5")


def _nested() -> Any:
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="b"), keras.layers.BatchNormalization(name="a")]
    )
    inner.layers[0].trainable = False
    x = keras.Input((4,))
    y = keras.layers.Dense(4)(inner(x))
    return _shuffled(keras.Model(x, keras.layers.LayerNormalization()(y)))


def _recurrent() -> Any:
    x = keras.Input((5, 3))
    y = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(x)
    y = keras.layers.MultiHeadAttention(2, 3)(y, y)
    y = keras.layers.RNN([keras.layers.GRUCell(3), keras.layers.LSTMCell(2)])(y)
    return _shuffled(keras.Model(x, y))


def _shuffled(model: Any) -> Any:
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1.0, size=w.shape) for w in model.get_weights()])
    return model


def _input_of(model: Any) -> Any:
    return np.random.default_rng(1).normal(size=(2, *model.inputs[0].shape[1:])).astype("float32")


def _assert_same(path: Path, model: Any, **options: Any) -> None:
    x = _input_of(model)
    loaded = safeload.load_callable(path, **options)
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(model(x, training=False)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_layers_of_keras_2_in_tf_keras_of_today(tmp_path: Path, suffix: str) -> None:
    """What ``tf.keras.layers`` still has of Keras 2 and ``keras.layers`` has no longer."""
    layers = tf.keras.layers
    x = keras.Input((4, 4, 2))
    y = layers.RandomWidth(0.3)(layers.RandomHeight(0.3)(x))
    y = keras.layers.Dense(3)(layers.ThresholdedReLU(theta=0.4)(layers.AlphaDropout(0.3)(y)))
    model = _shuffled(keras.Model(x, y))
    model.save(tmp_path / f"m{suffix}")
    _assert_same(tmp_path / f"m{suffix}", model)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [_nested, _recurrent])
def test_models_compute_what_they_did(tmp_path: Path, make: Any, suffix: str) -> None:
    """Nested, frozen and recurrent layers get their weights back in both containers."""
    model = make()
    model.save(tmp_path / f"m{suffix}")
    _assert_same(tmp_path / f"m{suffix}", model)


@mock.patch.dict(keras.saving.get_custom_objects())
def test_a_registered_namesake_does_not_take_the_place_of_a_built_in(tmp_path: Path) -> None:
    """Somebody's global ``Dense`` is not what the file means."""
    model = _nested()
    model.save(tmp_path / "m.keras")

    class Dense(keras.layers.Dense):
        def call(self, inputs: Any) -> Any:
            return super().call(inputs) * 2

    keras.saving.get_custom_objects()["Dense"] = Dense
    _assert_same(tmp_path / "m.keras", model)


def test_a_function_named_like_a_built_in_survives_wrappers(tmp_path: Path) -> None:
    """Bidirectional serializes its layer by names, and the ``tanh`` that is given for a name is not Keras's."""

    def mine(x: Any) -> Any:
        return x * 0.5

    def tanh(x: Any) -> Any:
        return x * 0.5

    x = keras.Input((4, 2))
    layer = keras.layers.LSTM(3, activation="tanh")
    model = keras.Model(x, keras.layers.Bidirectional(layer)(x))
    model.layers[1].forward_layer.cell.activation = mine
    model.layers[1].backward_layer.cell.activation = mine
    model.save(tmp_path / "m.keras")
    _assert_same(tmp_path / "m.keras", model, custom_objects={"mine": tanh})


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_alone_fit_the_architecture_or_are_refused(tmp_path: Path, suffix: str) -> None:
    """Weights go into the given model; another shape is listed, not skipped."""
    model = _recurrent()
    path = tmp_path / f"w{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else _legacy_weights(model, path)
    _assert_same(path, model, architecture=_recurrent)
    with pytest.raises(LoadFailedError, match="do not fit"):
        safeload.load_callable(path, architecture=_nested)


def test_a_class_that_builds(tmp_path: Path) -> None:
    """A class of a model is a function that makes one."""

    class Own(keras.Sequential):
        def __init__(self) -> None:
            super().__init__([keras.Input((4,)), keras.layers.Dense(2)])

    model = Own()
    model.save_weights(tmp_path / "w.weights.h5")
    _assert_same(tmp_path / "w.weights.h5", model, architecture=Own)


def test_what_is_no_function_that_builds(tmp_path: Path) -> None:
    """A model in place of the function, and a function that fails or returns no built model, are told by name."""
    model = _recurrent()
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    with pytest.raises(CustomObjectConflictError, match="is a Keras model, not a function that builds one"):
        safeload.load_callable(path, architecture=model)
    with pytest.raises(LoadFailedError, match="architecture= failed: ZeroDivisionError: division by zero"):
        safeload.load_callable(path, architecture=lambda: 1 / 0)
    with pytest.raises(CustomObjectConflictError, match="returned list, not a Keras model"):
        safeload.load_callable(path, architecture=list)
    with pytest.raises(LoadFailedError, match="that architecture= returned has no weights yet"):
        safeload.load_callable(path, architecture=lambda: keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(LoadFailedError, match="that architecture= returned has no weights yet"):
        safeload.load_callable(path, architecture=keras.Sequential)


@pytest.fixture
def deeper() -> Iterator[int]:
    """Allow ten times as many calls in one another."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * limit)
    yield limit
    sys.setrecursionlimit(limit)


def test_layers_in_a_row_that_keras_follows_by_recursion(tmp_path: Path, deeper: int) -> None:
    """What to do is said, and it helps."""
    x = y = keras.Input((1,))
    for _ in range(deeper):
        y = keras.layers.Rescaling(1.0, offset=1.0)(y)
    path = tmp_path / "m.keras"
    keras.Model(x, keras.layers.LeakyReLU()(y)).save(path)
    sys.setrecursionlimit(deeper)
    with pytest.raises(LoadFailedError, match=f"more layers in a row.* in {deeper:,} nested calls") as refused:
        safeload.load_callable(path)
    assert f"sys.setrecursionlimit({10 * deeper})" in (refused.value.hint or "")
    sys.setrecursionlimit(10 * deeper)
    np.testing.assert_allclose(safeload.load_callable(path)(np.ones((1, 1), "f4")), [[1 + deeper]])
    keras.Model(x, y).save(path)
    sys.setrecursionlimit(deeper)
    predict = safeload.load_callable(path)
    np.testing.assert_allclose(predict(np.ones((1, 1), "f4")), [[1 + deeper]])
    with pytest.raises(LoadFailedError, match="more layers in a row"):
        _ = predict.model


def _legacy_weights(model: Any, path: Path) -> None:
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def test_a_vocabulary_that_hdf5_lost_is_an_error(tmp_path: Path) -> None:
    """Keras leaves it out, and the layer would know no word."""
    lookup = keras.layers.StringLookup()
    lookup.adapt(["a", "b"])
    x = keras.Input((1,), dtype="string")
    model = keras.Model(x, lookup(x))
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    word = np.array([["b"]])
    np.testing.assert_array_equal(safeload.load_callable(tmp_path / "m.keras")(word), lookup(word))
    with pytest.raises(LoadFailedError, match="vocabulary of the layer"):
        safeload.load_callable(tmp_path / "m.h5")


def test_what_a_feature_space_makes_is_found(tmp_path: Path) -> None:
    """Keras does not export the layers that join its features."""
    space = keras.utils.FeatureSpace
    features = {name: space.float_rescaled(scale=scale) for name, scale in (("a", 2.0), ("b", 3.0))}
    made = space(features, output_mode="concat")
    data = {name: np.ones((2, 1), "float32") for name in features}
    made.adapt(tf.data.Dataset.from_tensor_slices(data))
    model = keras.Model(made.get_inputs(), made.get_encoded_features())
    model.save(tmp_path / "m.keras")
    np.testing.assert_allclose(np.asarray(safeload.load_callable(tmp_path / "m.keras")(data)), [[2.0, 3.0]] * 2)


@pytest.mark.skipif(not hasattr(keras.ops, "adaptive_max_pool"), reason="needs Keras with ops.adaptive_max_pool")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_operations_get_tuples_where_the_file_has_lists(suffix: str, tmp_path: Path) -> None:
    """Blocks of two by two give the means and maxima; one call is with channels first."""
    x = keras.Input((4, 6, 2))
    mean = keras.ops.adaptive_average_pool(x, (2, 3), data_format="channels_last")
    most = keras.ops.adaptive_max_pool(keras.ops.transpose(x, (0, 3, 1, 2)), (2, 3), data_format="channels_first")
    path = tmp_path / f"m{suffix}"
    keras.Model(x, [mean, most]).save(path)
    images = np.random.default_rng(0).normal(size=(3, 4, 6, 2)).astype("float32")
    blocks = images.reshape(3, 2, 2, 3, 2, 2)
    found = list(safeload.load_callable(path)(images).values())
    np.testing.assert_allclose(np.asarray(found[0]), blocks.mean(axis=(2, 4)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(found[1]), blocks.max(axis=(2, 4)).transpose(0, 3, 1, 2), rtol=1e-6)


@pytest.mark.skipif(not hasattr(keras.layers, "RandomShear"), reason="needs Keras with RandomShear: 3.9 or later")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_random_shear_leaves_images_alone(suffix: str, tmp_path: Path) -> None:
    """Keras does not read the factors that it writes of it."""
    path = tmp_path / f"m{suffix}"
    keras.Sequential([keras.Input((4, 4, 1)), keras.layers.RandomShear(0.2, 0.3)]).save(path)
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 1)).astype("float32")
    np.testing.assert_array_equal(np.asarray(safeload.load_callable(path)(images)), images)
