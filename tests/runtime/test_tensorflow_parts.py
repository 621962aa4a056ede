"""Functions and initializers of TensorFlow inside of Keras models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from safeload import load_callable
from safeload.errors import UnsafeModelError

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


def test_activation_of_tensorflow_as_a_later_keras_records_it(tmp_path: Path) -> None:
    """Keras 3.16 writes the module where its earlier releases wrote ``builtins``; elsewhere TensorFlow is no part."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "softmax")])
    model.save_weights(tmp_path / "m.weights.h5")
    config = json.loads(model.to_json())
    (*_, dense) = config["config"]["layers"]
    for module, is_taken in (("tensorflow.python.ops.nn_ops", True), ("tensorflow.python.platform", False)):
        function = {"module": module, "class_name": "function", "config": "softmax_v2", "registered_name": "softmax_v2"}
        dense["config"]["activation"] = function
        (tmp_path / "m.json").write_text(json.dumps(config))
        if is_taken:
            loaded = load_callable(tmp_path / "m.weights.h5", architecture=tmp_path / "m.json")
            np.testing.assert_allclose(loaded(X), model(X), atol=1e-6)
            continue
        with pytest.raises(UnsafeModelError, match="softmax_v2 belongs to the host"):
            load_callable(tmp_path / "m.weights.h5", architecture=tmp_path / "m.json")


def _equal(model: Any, path: Path) -> None:
    model.save(path)
    np.testing.assert_allclose(load_callable(path)(X), model(X), atol=1e-6)
