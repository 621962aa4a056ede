"""Whole configs: the writer decides, the input is not changed, and what is normal stays as it is."""

from __future__ import annotations

import copy

import pytest

from safeload.dialects import Flavour, normalise
from safeload.errors import MalformedArtifactError
from safeload.formats import Format

OLD = {
    "class_name": "Sequential",
    "config": [
        {
            "class_name": "Dense",
            "config": {
                "name": "d",
                "trainable": True,
                "batch_input_shape": [None, 2],
                "units": 1,
                "activation": "hard_sigmoid",
                "use_bias": True,
                "kernel_initializer": {"class_name": "Zeros", "config": {}},
                "bias_initializer": {"class_name": "Zeros", "config": {}},
                "kernel_regularizer": None,
                "bias_regularizer": None,
                "activity_regularizer": None,
                "kernel_constraint": None,
                "bias_constraint": None,
            },
        },
    ],
}


def test_a_config_of_keras_2_becomes_one_of_keras_3():
    """The input shape is a layer, modules are recorded, and the activation is the one that was meant."""
    before = copy.deepcopy(OLD)
    normal = normalise(OLD, {"keras_version": "2.2.4"}, Format.KERAS_HDF5)
    assert before == OLD
    assert normal.writer.flavour is Flavour.KERAS_2
    first, dense = normal.config["config"]["layers"]
    assert (first["class_name"], first["module"], first["config"]["batch_shape"]) == (
        "InputLayer",
        "keras.layers",
        [None, 2],
    )
    assert (dense["module"], dense["config"]["activation"]["module"]) == ("keras.layers", "safeload.compat")


def test_texts_of_a_model_of_the_users():
    """What its class has beside its layers is its own, whether it has inputs or not."""
    layers = OLD["config"]
    for config in ({"layers": layers}, {"layers": [], "input_layers": [], "output_layers": []}):
        own = {"class_name": "Own", "config": {"name": "m", "activation": "seven", **config}}
        found = normalise(own, {"keras_version": "2.2.4"}, Format.KERAS_HDF5).config
        assert (found["module"], found["config"]["activation"]) == (None, "seven")


def test_what_is_not_of_the_model_is_left_out():
    """Training and versions are not part of the normal form."""
    config = {**OLD, "keras_version": "2.2.4", "backend": "tensorflow", "compile_config": {"loss": "mse"}}
    assert {"keras_version", "backend", "compile_config"}.isdisjoint(normalise(config, {}, Format.KERAS_JSON).config)


@pytest.mark.parametrize(
    "config", [None, [], {"config": {}}, {"class_name": "Sequential"}, {"class_name": 3, "config": {}}]
)
def test_what_is_no_model_is_malformed(config):
    """A config that is not a serialized object is an error."""
    with pytest.raises(MalformedArtifactError):
        normalise(config, {}, Format.KERAS_HDF5)


def test_what_is_normal_stays_as_it_is():
    """Normalising a normal form, which is what Keras 3 writes, changes nothing."""
    normal = normalise(OLD, {"keras_version": "2.2.4"}, Format.KERAS_HDF5)
    assert normalise(normal.config, {"keras_version": "3.15.1"}, Format.KERAS_ARCHIVE).config == normal.config
