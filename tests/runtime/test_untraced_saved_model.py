"""SavedModels of Keras 2 without traces are built from their configuration, judged like a Keras file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import safeload
from safeload.errors import CustomObjectNotFoundError, UnsafeModelError

tf_keras = pytest.importorskip("tf_keras")

if TYPE_CHECKING:
    from pathlib import Path

layers = tf_keras.layers
X = np.random.default_rng(0).random((2, 4), dtype="float32")


def _two_ends() -> Any:
    a, b = tf_keras.Input((4,), name="b_in"), tf_keras.Input((4,), name="a_in")
    x = layers.BatchNormalization()(layers.Concatenate()([layers.Dense(3)(a), layers.Dense(3)(b)]))
    return tf_keras.Model([a, b], [layers.Dense(2, name="second")(x), layers.Dense(1, name="first")(x)])


def _nested() -> Any:
    inner = tf_keras.Sequential([layers.Dense(3, activation="relu"), layers.LayerNormalization()])
    x = tf_keras.Input((4,))
    return tf_keras.Model(x, layers.Dense(2)(inner(x) + 1.0))


def _normalized() -> Any:
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(1).random((9, 4)))
    return tf_keras.Sequential([tf_keras.Input((4,)), normalization, layers.Dense(1)])


def _recurrent() -> Any:
    row = layers.Reshape((4, 1))
    return tf_keras.Sequential([tf_keras.Input((4,)), row, layers.Bidirectional(layers.LSTM(3)), layers.Dense(1)])


def _saved(model: Any, path: Path) -> str:
    model.save(path / "model", save_traces=False)
    return str(path / "model")


@pytest.mark.parametrize("make", [_two_ends, _nested, _normalized, _recurrent])
def test_the_model_computes_what_it_did(tmp_path: Path, make: Any) -> None:
    """Configuration and checkpoint make the model whole again, with its names and order."""
    model = make()
    expected = model(X if len(model.inputs) == 1 else [X, X])
    predict = safeload.load_callable(_saved(model, tmp_path))
    result = predict(*[X] * len(model.inputs))
    results = list(result.values()) if isinstance(result, dict) else [result]
    for found, wanted in zip(results, expected if isinstance(expected, list) else [expected], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert [info.name for info in predict.inputs] == model.input_names
    assert [info.name for info in predict.outputs] == model.output_names


def test_nothing_is_revived(tmp_path: Path) -> None:
    """A Lambda in the metadata is refused as it is in a Keras file."""
    model = tf_keras.Sequential([tf_keras.Input((4,)), layers.Lambda(lambda x: x * 2)])
    with pytest.raises(UnsafeModelError, match="bytecode"):
        safeload.load_callable(_saved(model, tmp_path))


def test_custom_classes_are_asked_for(tmp_path: Path) -> None:
    """A class that only the saver has is named, with where it is needed."""

    class Own(layers.Dense):
        pass

    path = _saved(tf_keras.Sequential([tf_keras.Input((4,)), Own(2)]), tmp_path)
    with pytest.raises(CustomObjectNotFoundError, match="'Own'"):
        safeload.load_callable(path)
    assert safeload.inspect_model(path).verdict == "custom-object-not-found"
