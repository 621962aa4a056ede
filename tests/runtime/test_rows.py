"""Texts that are counted or encoded give a row per example, and the layers after them are built for rows."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import safeload

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = np.array([["a b b"], ["z c"], [""]])
COUNTS = np.array([[0, 1, 2, 0], [1, 0, 0, 1], [0, 0, 0, 0]], "float32")
"""How often the unknown word, a, b and c stand in each."""
NUMBERS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "float32")
WORDS = ["a", "b", "c"]
IDF = [0.1, 0.2, 0.6]
EXPECTED = {
    "count": COUNTS,
    "multi_hot": np.minimum(COUNTS, 1),
    "tf_idf": COUNTS * np.array([np.mean(IDF), *IDF], "float32"),
}


def _layer(package: Any, mode: str) -> Any:
    """Return a layer that, as in Keras 3 before 3.14, declares the shape of what it gives."""
    idf = {"idf_weights": IDF} if mode == "tf_idf" else {}
    layer = package.layers.TextVectorization(vocabulary=WORDS, output_mode=mode, **idf)
    if package is keras:
        layer.compute_output_shape = lambda shape: (shape[0], 4)
    return layer


def _model(package: Any, layer: Any) -> Any:
    texts, numbers = package.Input((1,), dtype="string"), package.Input((2,))
    joined = package.layers.Concatenate()([layer(texts), numbers])
    return package.Model([texts, numbers], package.layers.BatchNormalization(epsilon=3.0)(joined))


def _say(path: Path, version: str) -> None:
    """Let *version* have written the model."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = version
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["metadata.json"] = json.dumps({**json.loads(members["metadata.json"]), "keras_version": version}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("mode", sorted(EXPECTED))
@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_layers_after_texts_are_built_for_rows(tmp_path: Path, package: Any, mode: str, suffix: str) -> None:
    """Keras declares another axis from 3.14 on, for which they are built, and which is not there in a call."""
    path = tmp_path / f"m{suffix}"
    _model(package, _layer(package, mode)).save(path)
    if package is keras:
        _say(path, "3.12.0")
    predict = safeload.load_callable(path)
    assert isinstance(predict.model, keras.Model)
    expected = np.concatenate([EXPECTED[mode], NUMBERS], axis=1) / 2  # the square root of variance and epsilon
    np.testing.assert_allclose(predict(tf.constant(TEXTS), NUMBERS), expected, rtol=1e-6)


def test_they_know_the_words_that_were_learned(tmp_path: Path) -> None:
    """These are in the archive beside the config."""
    layer = keras.layers.TextVectorization(output_mode="count")
    layer.compute_output_shape = lambda shape: (shape[0], 4)
    layer.adapt(["c", "b b", "a a a c b a"])
    path = tmp_path / "m.keras"
    _model(keras, layer).save(path)
    _say(path, "3.13.2")
    predict = safeload.load_callable(path)
    expected = np.concatenate([COUNTS, NUMBERS], axis=1) / 2
    np.testing.assert_allclose(predict(tf.constant(TEXTS), NUMBERS), expected, rtol=1e-6)


@pytest.mark.parametrize("version", ["3.14.0", "3.15.1"])
def test_models_of_later_releases_are_built_as_they_were(tmp_path: Path, version: str) -> None:
    """Layers have the shapes that the installed Keras declares."""
    layers = [keras.Input((1,), dtype="string"), keras.layers.TextVectorization(vocabulary=WORDS, output_mode="count")]
    model = keras.Sequential([*layers, keras.layers.Dense(4, kernel_initializer="identity")])
    model.save(tmp_path / "m.h5")
    _say(tmp_path / "m.h5", version)
    predict = safeload.load_callable(tmp_path / "m.h5")
    assert predict.model.output_shape == model.output_shape
    np.testing.assert_array_equal(predict(tf.constant(TEXTS)), COUNTS)


def test_they_are_saved_as_any_other(tmp_path: Path) -> None:
    """What the layer declares is not in its class."""
    _model(keras, _layer(keras, "count")).save(tmp_path / "m.h5")
    _say(tmp_path / "m.h5", "3.12.0")
    model = safeload.load_callable(tmp_path / "m.h5").model
    layer = next(layer for layer in model.layers if "text" in layer.name)
    assert type(layer) is keras.layers.TextVectorization
    assert layer.get_config() == keras.layers.TextVectorization.from_config(layer.get_config()).get_config()
