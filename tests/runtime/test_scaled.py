"""LoRA with a scale of its own."""

from __future__ import annotations

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

from safeload import load_callable
from safeload.errors import IncompatibleVersionError

pytestmark = pytest.mark.skipif(
    "lora_alpha" not in inspect.signature(keras.layers.Dense.enable_lora).parameters,
    reason="this Keras has no lora_alpha to record",
)
RANK = 2


def _tuned(layer: keras.layers.Layer, shape: tuple[int, ...], alpha: float) -> keras.Sequential:
    """Return a model of *layer* with random weights, LoRA included."""
    model = keras.Sequential([keras.Input(shape), layer])
    layer.enable_lora(RANK, lora_alpha=alpha)
    generator = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(generator.normal(size=weight.shape))
    return model


def _delta(layer: keras.layers.Layer, alpha: float) -> np.ndarray:
    return alpha / RANK * np.asarray(layer.lora_kernel_a) @ np.asarray(layer.lora_kernel_b)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_dense(suffix: str, tmp_path: Path) -> None:
    """The product of both kernels is scaled by alpha over rank."""
    layer = keras.layers.Dense(5)
    _tuned(layer, (6,), 8.0).save(tmp_path / f"m{suffix}")
    x = np.arange(12, dtype="float32").reshape(2, 6)
    kernel = np.asarray(layer._kernel) + _delta(layer, 8.0)
    found = load_callable(tmp_path / f"m{suffix}")(x)
    np.testing.assert_allclose(found, x @ kernel + np.asarray(layer.bias), rtol=1e-5)


def test_embedding(tmp_path: Path) -> None:
    """So it is for rows of a table."""
    layer = keras.layers.Embedding(7, 3)
    _tuned(layer, (4,), 6.0).save(tmp_path / "m.h5")
    a, b = np.asarray(layer.lora_embeddings_a), np.asarray(layer.lora_embeddings_b)
    table = np.asarray(layer._embeddings) + 6.0 / RANK * a @ b
    np.testing.assert_allclose(load_callable(tmp_path / "m.h5")([[1, 2, 3, 6]])[0], table[[1, 2, 3, 6]], rtol=1e-5)


def test_names_that_say_too_little(tmp_path: Path) -> None:
    """Layers of nested models may share a name, and then their scales must agree."""
    inner = [_tuned(keras.layers.Dense(3, name="d"), (3,), alpha) for alpha in (4.0, 8.0)]
    keras.Sequential([keras.Input((3,)), *inner]).save(tmp_path / "m.h5")
    with pytest.raises(IncompatibleVersionError, match="layers named 'd' have several values of lora_alpha"):
        load_callable(tmp_path / "m.h5")
