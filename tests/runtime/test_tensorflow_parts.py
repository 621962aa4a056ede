"""Functions and initializers of TensorFlow inside of Keras models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from safeload import load_callable

X = np.random.default_rng(3).normal(size=(2, 3)).astype("float32")
INITIALIZERS = [
    tf.random_normal_initializer(0.0, 0.02),
    tf.constant_initializer(0.5),
    tf.constant_initializer(np.eye(3)),
    tf.compat.v1.truncated_normal_initializer(stddev=0.1),
    tf.compat.v1.random_uniform_initializer(),
]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_initializers_of_tensorflow_need_no_code(package: str, suffix: str, tmp_path: Path) -> None:
    """As in many a tutorial on GANs, and in EfficientNetV2: Keras records the module from 2.13 on."""
    keras = pytest.importorskip(package)
    layers = [keras.layers.Dense(3, kernel_initializer=initializer) for initializer in INITIALIZERS]
    _equal(keras.Sequential([keras.Input((3,)), *layers]), tmp_path / f"m{suffix}")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_softmax_of_tensorflow_needs_no_code(package: str, suffix: str, tmp_path: Path) -> None:
    """Keras 3 records it as ``softmax_v2``, and does not know it again."""
    keras = pytest.importorskip(package)
    _equal(keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, tf.nn.softmax)]), tmp_path / f"m{suffix}")


def _equal(model: Any, path: Path) -> None:
    model.save(path)
    np.testing.assert_allclose(load_callable(path)(X), model(X), atol=1e-6)
