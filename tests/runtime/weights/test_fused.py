"""Checkpoints with the weights of CuDNNLSTM and CuDNNGRU, which have no cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from safeload import load_callable
from safeload.errors import LoadFailedError

UNITS = 3
X = np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32")


def _weights(gates: int) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(gates)
    shapes = {"kernel": (2, gates * UNITS), "recurrent_kernel": (UNITS, gates * UNITS), "bias": (2 * gates * UNITS,)}
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def _saved(path: Path, weights: dict[str, Any]) -> Path:
    layer = tf.train.Checkpoint(**{name: tf.Variable(array) for name, array in weights.items()})
    return Path(tf.train.Checkpoint(**{"layer_with_weights-0": layer}).write(str(path / "ck")))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _parts(weights: dict[str, Any], gates: int) -> Any:
    """Return the matrices and biases that cuDNN takes, which are the columns of a gate read as rows of units."""
    inputs = [part.ravel().reshape(UNITS, 2) for part in np.split(weights["kernel"], gates, axis=1)]
    states = np.split(weights["recurrent_kernel"], gates, axis=1)
    biases = np.split(weights["bias"], 2 * gates)
    return inputs, states, biases[:gates], biases[gates:]


def _lstm(weights: dict[str, Any]) -> Any:
    w, r, b, c = _parts(weights, 4)
    h, state = np.zeros((2, UNITS)), np.zeros((2, UNITS))
    for x in X.transpose(1, 0, 2):
        i, f, g, o = (x @ w[k].T + b[k] + h @ r[k].T + c[k] for k in range(4))
        state = _sigmoid(f) * state + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(state)
    return h


def _gru(weights: dict[str, Any]) -> Any:
    w, r, b, c = _parts(weights, 3)
    h = np.zeros((2, UNITS))
    for x in X.transpose(1, 0, 2):
        z, reset = (_sigmoid(x @ w[k].T + b[k] + h @ r[k].T + c[k]) for k in range(2))
        new = np.tanh(x @ w[2].T + b[2] + reset * (h @ r[2].T + c[2]))
        h = (1 - z) * new + z * h
    return h


@pytest.mark.parametrize(("kind", "gates", "computed"), [("LSTM", 4, _lstm), ("GRU", 3, _gru)])
def test_they_are_those_of_a_cell(tmp_path: Path, kind: str, gates: int, computed: Any) -> None:
    """The equations are those of the documentation of cuDNN."""
    weights = _weights(gates)
    path = _saved(tmp_path, weights)
    layer = getattr(keras.layers, kind)(UNITS)
    predict = load_callable(path, architecture=lambda: keras.Sequential([keras.Input((4, 2)), layer]))
    np.testing.assert_allclose(predict(X), computed(weights), rtol=1e-4, atol=1e-5)


def test_other_weights_beside_a_cell_are_refused(tmp_path: Path) -> None:
    """A bias of any other length is not of cuDNN, and nobody knows how the kernels are laid out."""
    path = _saved(tmp_path, {**_weights(4), "bias": np.zeros(4 * UNITS, "float32")})
    with pytest.raises(LoadFailedError):
        load_callable(path, architecture=lambda: keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(UNITS)]))
