"""Biases along another axis than the last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from releases import IS_KERAS_3_3

from safeload import load_callable
from safeload.errors import IncompatibleVersionError

tf_keras = pytest.importorskip("tf_keras")
layers = tf_keras.layers
FIRST = {"data_format": "channels_first"}
MODELS = {
    "separable": (layers.SeparableConv2D(4, 3, activation="tanh", **FIRST), (2, 5, 6)),
    "depthwise": (layers.DepthwiseConv2D(3, depth_multiplier=2, **FIRST), (2, 6, 6)),
    "transposed": (layers.Conv1DTranspose(4, 2, **FIRST), (2, 3)),
    "einsum of an open size": (layers.EinsumDense("abc,cd->adb", output_shape=(4, None), bias_axes="d"), (4, 3)),
    "einsum": (layers.EinsumDense("abc,bcd->abd", output_shape=(4, 4), bias_axes="b", activation="tanh"), (4, 4)),
}


def test_a_convolution_that_recurs_adds_its_bias_itself(tmp_path: Path) -> None:
    """Its cell has an activation, and a bias for each gate, as long as the last axis here."""
    model = tf_keras.Sequential([layers.Input((3, 2, 5, 4)), layers.ConvLSTM2D(4, 2, padding="same", **FIRST)])
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-1, 1, weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / "m.h5")
    x = rng.normal(size=(2, 3, 2, 5, 4)).astype("float32")
    found = load_callable(tmp_path / "m.h5")(x)
    last = tf_keras.Sequential([layers.Input((3, 5, 4, 2)), layers.ConvLSTM2D(4, 2, padding="same")])
    last.set_weights(model.get_weights())
    expected = np.moveaxis(np.asarray(last(np.moveaxis(x, 2, -1))), -1, 1)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", MODELS)
def test_a_bias_as_long_as_the_last_axis(tmp_path: Path, name: str, suffix: str) -> None:
    """Keras 3 takes it for one of the last axis; what is trained, and saved again, is the same variable."""
    layer, shape = MODELS[name]
    model = tf_keras.Sequential([layers.Input(shape), layer])
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / f"m{suffix}")
    x = rng.normal(size=(2, *shape)).astype("float32")
    loaded = load_callable(tmp_path / f"m{suffix}")
    for call in (loaded, loaded.model):
        np.testing.assert_allclose(np.asarray(call(x)), np.asarray(model(x)), rtol=1e-5, atol=1e-6)
    trained: Any = loaded.model
    trained.compile("sgd", "mse")
    before = trained.layers[-1].bias.numpy().copy()
    trained.fit(x, np.asarray(model(x)) + 1, verbose=0)
    assert not np.allclose(before, trained.layers[-1].bias.numpy())
    trained.save(tmp_path / "again.keras")
    if type(trained.layers[-1]).__module__.startswith("safeload."):
        return  # Keras cannot load it
    assert keras.models.load_model(tmp_path / "again.keras").count_params() == model.count_params()


_LATER = {"ragged", "optional"}


def _convolution(filters: int) -> Any:
    return (3, 5, 7), keras.layers.Conv2D(filters, 3, data_format="channels_first", bias_initializer="normal")


def _product(equation: str, shape: tuple[int, ...]) -> Any:
    return (5, 7), keras.layers.EinsumDense(equation, shape, bias_axes="d", bias_initializer="normal")


@pytest.mark.skipif(IS_KERAS_3_3, reason="Keras 3.3 names dtypes, which tells that it is before 3.4")
@pytest.mark.parametrize(
    ("made", "is_clear"),
    [
        (_convolution(2), True),
        (_convolution(5), False),
        (_product("abc,cd->adb", (2, 5)), True),
        (_product("abc,cd->adb", (5, 5)), False),
        (_product("abc,cde->abde", (5, 2, 3)), True),
        (_product("abc,cde->abde", (5, 5, 3)), False),
    ],
)
def test_release_that_is_not_known(made: Any, is_clear: bool, tmp_path: Path) -> None:
    """It matters where Keras from 3.7 on takes another axis, the first or last one, for that of the bias."""
    shape, layer = made
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    weights, architecture = tmp_path / "m.weights.h5", tmp_path / "m.json"
    model.save_weights(weights)
    config = json.loads(model.to_json())
    config.pop("compile_config", None)
    first = config["config"]["layers"][0]
    first["config"] = {key: value for key, value in first["config"].items() if key not in _LATER}
    architecture.write_text(json.dumps(config))
    if not is_clear:
        with pytest.raises(IncompatibleVersionError, match="it changed in Keras 3.7"):
            load_callable(weights, architecture=architecture)
        return
    x = np.ones((2, *shape), "float32")
    np.testing.assert_allclose(load_callable(weights, architecture=architecture)(x), model(x), atol=1e-5)
