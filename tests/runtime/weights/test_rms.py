"""LayerNormalization whose config does not say that it scales by the variance."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from safeload import load_callable
from safeload.errors import IncompatibleVersionError, SafeloadError

X = np.random.default_rng(0).normal(2.0, 1.0, (3, 4)).astype("float32")
GAMMA = np.arange(1, 5, dtype="float32")
EPSILON = 0.1


def _config(**options: Any) -> dict[str, Any]:
    config = {"name": "n", "axis": [-1], "epsilon": EPSILON, "center": True, "scale": True, **options}
    inputs = {"name": "x", "batch_shape": [None, 4], "dtype": "float32", "sparse": False}
    named = [("InputLayer", inputs), ("LayerNormalization", config)]
    layers = [{"module": "keras.layers", "class_name": name, "config": item} for name, item in named]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}


def _hdf5(path: Path, config: Any, arrays: dict[str, Any]) -> Path:
    """Write an HDF5 file as Keras 3.3 does."""
    with h5py.File(path, "w") as file:
        file.attrs.update(keras_version="3.3.3", backend="tensorflow", model_config=json.dumps(config))
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"n"]
        layer = weights.create_group("n")
        layer.attrs["weight_names"] = [name.encode() for name in arrays]
        for name, array in arrays.items():
            layer[name] = array
    return path


def _archive(path: Path, config: Any, *arrays: Any) -> Path:
    """Write an archive as Keras 3.3 does."""
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for index, array in enumerate(arrays):
            file[f"layers/layer_normalization/vars/{index}"] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.3.3"}))
        archive.writestr("model.weights.h5", stored.getvalue())
    return path


def _scaled() -> Any:
    """What ``rms_scaling`` computes: the mean stays, and is left out of the variance alone."""
    return X / np.sqrt(X.var(axis=-1, keepdims=True) + EPSILON) * GAMMA


def _normalised() -> Any:
    return (X - X.mean(axis=-1, keepdims=True)) / np.sqrt(X.var(axis=-1, keepdims=True) + EPSILON)


@pytest.mark.parametrize("scale", [True, False])
def test_gamma_without_the_beta_of_the_config(scale: bool, tmp_path: Path) -> None:
    """HDF5 has names; what is loaded can be saved again, by a Keras that records all of it."""
    loaded = load_callable(_hdf5(tmp_path / "m.h5", _config(scale=scale), {"gamma": GAMMA}))
    np.testing.assert_allclose(np.asarray(loaded(X)), _scaled(), rtol=1e-5)
    model: Any = loaded.model
    if "rms_scaling" not in model.layers[-1].get_config():
        return
    model.save(tmp_path / "again.keras")
    np.testing.assert_allclose(np.asarray(load_callable(tmp_path / "again.keras")(X)), _scaled(), rtol=1e-5)


def test_one_array_of_two(tmp_path: Path) -> None:
    """An archive has positions: one array where two are declared is gamma."""
    found = load_callable(_archive(tmp_path / "m.keras", _config(), GAMMA))(X)
    np.testing.assert_allclose(np.asarray(found), _scaled(), rtol=1e-5)


def test_one_array_of_one(tmp_path: Path) -> None:
    """Only the config can tell then."""
    with pytest.raises(IncompatibleVersionError, match=r"^n: its one weight may be beta, or gamma"):
        load_callable(_archive(tmp_path / "m.keras", _config(scale=False), GAMMA))
    expected = {False: _normalised() + GAMMA, True: _scaled()}
    for rms_scaling, outputs in expected.items():
        path = _archive(tmp_path / "m.keras", _config(scale=False, rms_scaling=rms_scaling), GAMMA)
        np.testing.assert_allclose(np.asarray(load_callable(path)(X)), outputs, rtol=1e-4)


def test_beta_alone_is_what_it_says(tmp_path: Path) -> None:
    """So are both."""
    found = load_callable(_hdf5(tmp_path / "m.h5", _config(scale=False), {"beta": GAMMA}))(X)
    np.testing.assert_allclose(np.asarray(found), _normalised() + GAMMA, rtol=1e-5)
    found = load_callable(_archive(tmp_path / "m.keras", _config(), GAMMA, GAMMA))(X)
    np.testing.assert_allclose(np.asarray(found), _normalised() * GAMMA + GAMMA, rtol=1e-4)


def test_other_axes_are_refused(tmp_path: Path) -> None:
    """Early releases multiplied gamma along the last axes, whatever the axes were."""
    config = _config(axis=[1])
    config["config"]["layers"][0]["config"]["batch_shape"] = [None, 4, 4]
    with pytest.raises(SafeloadError, match="gamma"):
        load_callable(_hdf5(tmp_path / "m.h5", config, {"gamma": GAMMA}))
