"""Softmax over what is masked in whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from safeload import ModelCallable, load_callable
from safeload.errors import IncompatibleVersionError

NOTHING = np.zeros((1, 3), bool)
ONES = np.ones((1, 3), "float32")


def test_the_writer_decides(tmp_path: Path) -> None:
    """Before Keras 3.10 all counted alike where all is masked; a file of this Keras computes what this Keras does."""
    inputs, mask = keras.Input((3,)), keras.Input((3,), dtype="bool")
    model = keras.Model([inputs, mask], keras.layers.Softmax()(inputs, mask=mask))
    model.save(tmp_path / "m.h5")
    np.testing.assert_array_equal(load_callable(tmp_path / "m.h5")(ONES, NOTHING), model([ONES, NOTHING]))
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = "3.9.2"
    np.testing.assert_allclose(load_callable(tmp_path / "m.h5")(ONES, NOTHING), ONES / 3, rtol=1e-6)


def test_padded_steps_attend_as_in_keras_2(tmp_path: Path) -> None:
    """MultiHeadAttention has a Softmax inside; steps that are padded attend to all alike."""
    tf_keras = pytest.importorskip("tf_keras")
    inputs = tf_keras.Input((4,), dtype="int32")
    embedded = tf_keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.MultiHeadAttention(2, 3, dropout=0.1)(embedded, embedded))
    model.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in model.get_weights()])
    x = np.array([[1, 2, 0, 0]], "int32")
    for suffix in (".h5", ".keras"):
        model.save(tmp_path / f"m{suffix}")
        found = np.asarray(load_callable(tmp_path / f"m{suffix}")(x))
        np.testing.assert_allclose(found, np.asarray(model(x)), rtol=1e-5, atol=1e-6)


def of_release(version: str, layers: list[Any], path: Path) -> ModelCallable:
    """Write a model without weights as *version* did, and load it."""
    ends = {"input_layers": [[layers[0][1], 0, 0]], "output_layers": [[layers[-1][1], 0, 0]]}
    ends["input_layers"] += [[name, 0, 0] for kind, name, *_ in layers[1:] if kind == "InputLayer"]
    entries = [
        {
            "class_name": kind,
            "name": name,
            "config": {"name": name, "trainable": True, **config},
            "inbound_nodes": nodes,
        }
        for kind, name, config, nodes in layers
    ]
    model = {"class_name": "Model", "config": {"name": "m", "layers": entries, **ends}}
    with h5py.File(path, "w") as file:
        file.attrs.update(keras_version=version, backend="tensorflow", model_config=json.dumps(model))
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    return load_callable(path)


def entry(name: str, *shape: int, dtype: str = "float32") -> tuple[str, str, dict[str, Any], list[Any]]:
    """Return an input."""
    return "InputLayer", name, {"batch_input_shape": [None, *shape], "dtype": dtype, "sparse": False}, []


def softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(("version", "looks"), [("2.3.1", 0), ("2.2.4-tf", 0), ("2.4.0", 0), ("2.5.0", 1)])
def test_releases_that_looked_at_no_mask(version: str, looks: int, tmp_path: Path) -> None:
    """Up to TensorFlow 2.3. Later ones add what has fewer axes than the inputs to the last axes, where it fits."""
    masking = ("Masking", "k", {"mask_value": 0.0}, [[["x", 0, 0, {}]]])
    layers = [entry("x", 2, 2), masking, ("Softmax", "s", {"axis": -1}, [[["k", 0, 0, {}]]])]
    x = np.array([[[1, 2], [0, 0]], [[3, 1], [1, 1]]], "float32")
    added = -1e9 * np.array([[0, 1], [0, 0]])  # examples x steps, read as steps x features
    found = of_release(version, layers, tmp_path / "m.h5")(x)
    np.testing.assert_allclose(found, softmax(x + looks * added), atol=1e-6)


def test_a_mask_that_only_a_later_release_takes(tmp_path: Path) -> None:
    """TensorFlow 2.3 and 2.4 both call themselves 2.4.0; where the mask fits, it was 2.4."""
    nodes = [[["x", 0, 0, {"mask": ["m", 0, 0]}]]]
    layers = [entry("x", 3), entry("m", 3, dtype="bool"), ("Softmax", "s", {"axis": -1}, nodes)]
    found = of_release("2.4.0", layers, tmp_path / "m.h5")(ONES, np.array([[True, True, False]]))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0]], atol=1e-6)


@pytest.mark.parametrize("mask", ["none", "given"])
def test_a_release_that_json_does_not_tell(mask: str, tmp_path: Path) -> None:
    """It is asked for where there are masks: these keys are those of Keras 3.9 to 3.12."""
    inputs, given = keras.Input((3,), name="x"), keras.Input((3,), dtype="bool")
    outputs = keras.layers.Softmax(name="s")(inputs, *([given] if mask == "given" else []))
    model = keras.Model([inputs, given] if mask == "given" else inputs, outputs)
    config = {**json.loads(model.to_json()), "compile_config": {"loss": "mse"}}
    for layer in config["config"]["layers"]:
        layer["config"] = {key: layer["config"][key] for key in ("name", "batch_shape") if key in layer["config"]}
        if layer["class_name"] == "InputLayer":
            layer["config"] |= {"ragged": False, "dtype": "float32" if layer["name"] == "x" else "bool"}
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    (tmp_path / "m.json").write_text(json.dumps(config))
    if mask == "none":
        np.testing.assert_allclose(load_callable(path, architecture=tmp_path / "m.json")(ONES), ONES / 3, rtol=1e-6)
        return
    with pytest.raises(IncompatibleVersionError, match=r"^s: it changed in Keras 3\.10"):
        load_callable(path, architecture=tmp_path / "m.json")
    (tmp_path / "m.json").write_text(json.dumps({**config, "keras_version": "3.9.2"}))
    found = load_callable(path, architecture=tmp_path / "m.json")(ONES, NOTHING)
    np.testing.assert_allclose(found, ONES / 3, rtol=1e-6)
