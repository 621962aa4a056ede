"""Tests of Keras models and weights in HDF5."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from artifacts import read
from keras_files import hdf5_bytes, model_h5, weights_h5

from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format
from safeload.readers import WeightLayout


def test_model():
    """Config, metadata and the arrays in their recorded order."""
    artifact = read(model_h5(lambda file: file.attrs.update(training_config='{"loss": "mse"}')))
    assert artifact.format is Format.KERAS_HDF5
    assert artifact.config["class_name"] == "Sequential"
    assert artifact.training_config == {"loss": "mse"}
    assert artifact.metadata == {"keras_version": "2.15.0", "backend": "tensorflow"}
    weights = artifact.weights
    assert (weights.layout, weights.root) == (WeightLayout.LEGACY_HDF5, "model_weights")
    assert [layer.layer_name for layer in weights.layers] == ["dense", "activation"]
    assert weights.layers[0].weight_names == ("dense/kernel:0", "dense/bias:0")
    kernel = weights.layers[0].datasets[0]
    assert kernel.path == "model_weights/dense/dense/kernel:0"
    np.testing.assert_array_equal(artifact.weights_file.read(kernel.path), np.arange(6).reshape(2, 3))
    assert len(artifact.digest) == 64


@pytest.mark.parametrize("as_attribute", [str, str.encode, lambda text: np.bytes_(text.encode()), lambda text: [text]])
def test_forms_of_the_config(as_attribute):
    """The config is text or bytes, fixed or variable, as the h5py of the time wrote it."""
    text = json.dumps({"class_name": "Model", "config": {}})
    artifact = read(model_h5(lambda file: file.attrs.__setitem__("model_config", as_attribute(text))))
    assert artifact.config["class_name"] == "Model"


def test_optimizer_and_top_level_weights():
    """State of the optimizer is in the index, and weights of the model itself are its last group."""

    def change(file):
        file.create_dataset("optimizer_weights/iter:0", data=np.int64(3))
        top = file.create_group("model_weights/top_level_model_weights")
        top.attrs["weight_names"] = [b"scale:0"]
        top.create_dataset("scale:0", data=np.ones(2, "f4"))

    weights = read(model_h5(change)).weights
    assert "optimizer_weights/iter:0" in [d.path for d in weights.datasets]
    assert weights.layers[-1].layer_name == "top_level_model_weights"
    assert [layer.layer_name for layer in weights.layers][:-1] == ["dense", "activation"]


@pytest.mark.parametrize("listed", ["dense//kernel:0", "/dense/kernel:0", "dense/./kernel:0"])
def test_names_with_parts_that_say_nothing(listed):
    """HDF5 passes over empty parts and dots of the paths that Keras lists, so the arrays are there."""

    def change(file):
        file["model_weights/dense"].attrs["weight_names"] = [listed.encode()]

    layer = read(model_h5(change)).weights.layers[0]
    assert layer.weight_names == (listed,)
    assert layer.datasets[0].path == "model_weights/dense/dense/kernel:0"


def weights_only(file):
    del file.attrs["model_config"]


def moved_up(file):
    del file.attrs["model_config"]
    for name, value in file["model_weights"].attrs.items():
        file.attrs[name] = value
    for name in list(file["model_weights"]):
        file.move(f"model_weights/{name}", name)
    del file["model_weights"]


@pytest.mark.parametrize(("change", "root"), [(weights_only, "model_weights"), (moved_up, "")])
def test_weights_alone(change, root):
    """Without a config the same file is weights alone, wherever the groups lie."""
    artifact = read(model_h5(change))
    assert (artifact.format, artifact.config) == (Format.WEIGHTS_HDF5, None)
    assert (artifact.weights.layout, artifact.weights.root) == (WeightLayout.LEGACY_HDF5, root)
    assert len(artifact.weights.layers) == 2


def test_object_paths():
    """Keras 3 names weights by their objects."""
    artifact = read(weights_h5())
    assert (artifact.format, artifact.weights.layout) == (Format.WEIGHTS_HDF5, WeightLayout.OBJECT_PATHS)
    assert [d.path for d in artifact.weights.datasets] == ["layers/dense/vars/0", "layers/dense/vars/1"]
    assert artifact.weights.layers == ()


def test_model_without_weights():
    """A config is enough for a model."""
    artifact = read(hdf5_bytes(lambda file: file.attrs.update(model_config='{"class_name": "A"}')))
    assert artifact.weights.layout is WeightLayout.NONE


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({}, "without a Keras model"),
        ({"_NCProperties": "version=2"}, "NetCDF"),
        ({"PYTABLES_FORMAT_VERSION": "2.1"}, "pandas"),
        ({"encoding-type": "anndata"}, "AnnData"),
    ],
)
def test_other_hdf5(attributes, said):
    """HDF5 of other programs is told by its marks."""

    def build(file):
        file.attrs.update(attributes)
        file["data"] = [1, 2, 3]

    with pytest.raises(UnsupportedFormatError, match=said):
        read(hdf5_bytes(build))


def unlisted_group(file):
    file["model_weights"].attrs["layer_names"] = [b"dense", b"gone"]


def missing_array(file):
    file["model_weights/dense"].attrs["weight_names"] = [b"gone:0"]


def layer_twice(file):
    file["model_weights"].attrs["layer_names"] = [b"dense", b"activation", b"./dense"]


def array_twice(file):
    file["model_weights/dense"].attrs["weight_names"] = [b"dense/bias:0"] * 2


def text_as_weight(file):
    file["model_weights/dense/note"] = "text"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (unlisted_group, "'gone' is listed and has no group"),
        (missing_array, "'gone:0' is listed and missing"),
        (layer_twice, "the layer './dense' is listed twice"),
        (array_twice, "the array 'dense/bias:0' is listed twice"),
        (text_as_weight, "text of variable length where weights"),
    ],
)
def test_broken_index(change, problem):
    """Listed and not there, or there and no weight: broken."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read(model_h5(change))


def test_text_among_object_paths():
    """The same by object paths."""
    with pytest.raises(MalformedArtifactError, match="text of variable length"):
        read(weights_h5(lambda file: file.__setitem__("layers/dense/vars/2", "text")))


def test_other_data_beside_a_model():
    """What the author keeps beside the weights is none of ours."""
    assert read(model_h5(lambda file: file.create_dataset("class_names", data=["a"], dtype=h5py.string_dtype()))).config


@pytest.mark.parametrize("config", ["[]", "{", '{"a": 1, "a": 2}'])
def test_broken_config(config):
    """A config that is no strict JSON object is broken."""
    with pytest.raises(MalformedArtifactError, match="@model_config"):
        read(model_h5(config=config))


def test_broken_training_config():
    """Nobody needs the training configuration."""
    assert read(model_h5(lambda file: file.attrs.update(training_config="{"))).training_config is None


def test_long_config():
    """The config is bounded."""
    with pytest.raises(LimitExceededError, match="max_config_bytes"):
        read(model_h5(), max_config_bytes=20)


def test_split_names():
    """Names of very many layers are split over attributes."""

    def change(file):
        root = file["model_weights"]
        del root.attrs["layer_names"]
        root.attrs["layer_names0"] = [b"dense"]
        root.attrs["layer_names1"] = [b"activation"]

    assert len(read(model_h5(change)).weights.layers) == 2


def test_digest():
    """Equal content has equal digests; config, shapes and names count, values and training do not."""
    first = read(model_h5()).digest
    assert read(model_h5()).digest == first
    assert read(model_h5(lambda file: file["model_weights/dense/dense/bias:0"].__setitem__(0, 5))).digest == first
    assert read(model_h5(lambda file: file.attrs.update(training_config="{}"))).digest == first
    assert read(model_h5(config={"class_name": "B", "config": {}})).digest != first
    numbers = [{"class_name": "A", "config": {"n": n}} for n in (1, 1.0, True, "1", -0.0, 0.0)]
    assert len({read(model_h5(config=config)).digest for config in numbers}) == len(numbers)
    assert read(model_h5(lambda file: file.create_dataset("model_weights/dense/x", data=[1.0]))).digest != first
    assert read(model_h5(lambda file: file.attrs.update(keras_version="2.16.0"))).digest != first


def test_broken_attributes_of_other_programs():
    """Which program wrote a file without a model is told by its attributes, of which one may be of no type."""
    content = bytearray(hdf5_bytes(lambda file: file.attrs.update(other=1.0)))
    content[content.index(b"other\0\0\0") + 8] = 0x91
    with pytest.raises(MalformedArtifactError, match="its attributes are broken"):
        read(bytes(content))
