"""Layers that the models of ``keras.applications`` define for themselves."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safeload import load_callable
from safeload.runtime.compat import compat_objects

X = np.random.default_rng(3).normal(size=(2, 3)).astype("float32")


def _model(package: str) -> Any:
    keras = pytest.importorskip(package)
    convnext = importlib.import_module(f"{package}.src.applications.convnext")
    inception = importlib.import_module(f"{package}.src.applications.inception_resnet_v2")
    inputs = keras.Input((3,))
    scaled = convnext.LayerScale(0.5, 3, name="a")(inputs)
    scaled = convnext.LayerScale(0.5, 3, name="b")(convnext.StochasticDepth(0.9)(scaled))
    model = keras.Model(inputs, inception.CustomScaleLayer(0.25)([inputs, scaled]))
    model.set_weights([np.array([1, 2, 3], "float32"), np.array([-1, 0, 4], "float32")])
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_they_need_no_code_of_the_callers(package: str, suffix: str, tmp_path: Path) -> None:
    """They are found by their module, and in HDF5 by their keys."""
    path = tmp_path / f"m{suffix}"
    _model(package).save(path)
    found = load_callable(path)(X)
    np.testing.assert_allclose(found, X + X * np.array([1, 2, 3]) * np.array([-1, 0, 4]) * 0.25, rtol=1e-6)


def test_each_load_takes_the_same_classes() -> None:
    """They would stay in memory otherwise, a set for each load."""
    assert compat_objects("keras")["LayerScale"] is compat_objects("keras")["LayerScale"]


def test_a_class_of_the_callers_is_taken_where_no_module_is_recorded(tmp_path: Path) -> None:
    """Public models copy these classes and may change them."""
    import keras

    class LayerScale(keras.layers.Layer):
        def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.init_values, self.projection_dim = init_values, projection_dim
            self.gamma = self.add_weight(shape=(projection_dim,), name="gamma")

        def call(self, inputs: Any) -> Any:
            return inputs - self.gamma

        def get_config(self) -> dict[str, Any]:
            config = {"init_values": self.init_values, "projection_dim": self.projection_dim}
            return {**super().get_config(), **config}

    model = keras.Sequential([keras.Input((3,)), LayerScale(1.0, 3)])
    model.set_weights([np.array([1, 2, 3], "float32")])
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    for path in (tmp_path / "m.h5", tmp_path / "m.keras"):
        found = load_callable(path, custom_objects={"LayerScale": LayerScale})(X)
        np.testing.assert_allclose(found, X - np.array([1, 2, 3]), rtol=1e-6)
