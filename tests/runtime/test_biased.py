"""Biases along another axis than the last one, in JSON that does not tell which Keras wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from safeload import load_callable
from safeload.errors import IncompatibleVersionError

_LATER = {"ragged", "optional"}


def _convolution(filters: int) -> Any:
    return (3, 5, 7), keras.layers.Conv2D(filters, 3, data_format="channels_first", bias_initializer="normal")


def _product(equation: str, shape: tuple[int, ...]) -> Any:
    return (5, 7), keras.layers.EinsumDense(equation, shape, bias_axes="d", bias_initializer="normal")


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
    del config["compile_config"]
    first = config["config"]["layers"][0]
    first["config"] = {key: value for key, value in first["config"].items() if key not in _LATER}
    architecture.write_text(json.dumps(config))
    if not is_clear:
        with pytest.raises(IncompatibleVersionError, match="it changed in Keras 3.7"):
            load_callable(weights, architecture=architecture)
        return
    x = np.ones((2, *shape), "float32")
    np.testing.assert_allclose(load_callable(weights, architecture=architecture)(x), model(x), atol=1e-5)
