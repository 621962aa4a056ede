"""The padding of transposed convolutions is found in the shapes that a file records beside them."""

from __future__ import annotations

import pytest

from safeload.dialects import normalise
from safeload.dialects._eras._transposed import with_output_padding
from safeload.formats import Format

CONFIG = {
    "name": "up",
    "filters": 2,
    "kernel_size": [3, 3],
    "strides": [2, 2],
    "dilation_rate": [1, 1],
    "padding": "valid",
    "data_format": "channels_last",
}


def tensor(shape, layer):
    return {"class_name": "__keras_tensor__", "config": {"shape": shape, "keras_history": [layer, 0, 0]}}


def sequential(build):
    up = {"class_name": "Conv2DTranspose", "config": CONFIG, "build_config": {"input_shape": [None, 5, 6, 3]}}
    flat = {"class_name": "Flatten", "config": {"name": "flat"}, "build_config": build}
    return [up, flat]


def functional(before, after, **config):
    up = {"class_name": "Conv2DTranspose", "config": {**CONFIG, **config}, "name": "up"}
    up["inbound_nodes"] = [{"args": [tensor(before, "in")], "kwargs": {}}]
    flat = {"class_name": "Flatten", "config": {"name": "flat"}, "name": "flat"}
    flat["inbound_nodes"] = [{"args": [], "kwargs": {"inputs": tensor(after, "up")}}]
    return [up, flat]


def padding(layers):
    return with_output_padding(layers)[0]["config"].get("output_padding", "none")


@pytest.mark.parametrize(
    ("after", "config", "expected"),
    [
        ([None, 12, 14, 2], {}, [1, 1]),
        ([None, 11, 14, 2], {}, [0, 1]),
        ([None, 11, 13, 2], {}, "none"),
        ([None, 10, 12, 2], {"padding": "same"}, "none"),
        ([None, 9, 11, 2], {"padding": "same"}, [0, 0]),
        ([None, 14, 16, 2], {"dilation_rate": [2, 2]}, [1, 1]),
        ([None, None, 14, 2], {}, [0, 1]),
        ([None, 13, 15, 2], {}, "none"),
        ([None, 10, 12, 2], {}, "none"),
        ([None, 12, 14], {}, "none"),
        (["?", 12, 14, 2], {}, "none"),
        ([None, 12, 14, 2], {"strides": [2, None]}, "none"),
        ([None, 12, 14, 2], {"kernel_size": 3}, "none"),
        ([None, 12, 14, 2], {"output_padding": None}, None),
    ],
)
def test_the_size_of_the_output_tells(after, config, expected):
    """Of 5 x 6 steps; what Keras does by default, and what no padding leads to, is left as it is."""
    assert padding(functional([None, 5, 6, 3], after, **config)) == expected


def test_channels_first():
    """Sizes are behind the channels."""
    layers = functional([None, 3, 5, 6], [None, 2, 12, 14], data_format="channels_first")
    assert padding(layers) == [1, 1]


def test_a_layer_that_nothing_follows():
    """No shape of its output is recorded: it stays as it is."""
    assert padding(functional([None, 5, 6, 3], [None, 12, 14, 2])[:1]) == "none"


@pytest.mark.parametrize("history", [None, "up", ["up", 0], [["up"], 0, 0]])
def test_damaged_nodes_tell_nothing(history):
    """What is no tensor of a layer is passed over."""
    layers = functional([None, 5, 6, 3], [None, 12, 14, 2])
    layers[1]["inbound_nodes"][0]["kwargs"]["inputs"]["config"]["keras_history"] = history
    assert padding(layers) == "none"
    layers[1]["inbound_nodes"][0]["kwargs"]["inputs"]["config"] = None
    assert padding(layers) == "none"


@pytest.mark.parametrize(
    ("build", "expected"),
    [({"input_shape": [None, 12, 14, 2]}, [1, 1]), ({"input_shape": "?"}, "none"), (None, "none")],
)
def test_sequential(build, expected):
    """The next layer records the shape that it was built for."""
    assert padding(sequential(build)) == expected


def whole_functional():
    source = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 5, 6, 3]}, "name": "in"}
    layers = [{**source, "inbound_nodes": []}, *functional([None, 5, 6, 3], [None, 12, 14, 2])]
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [["flat", 0, 0]]}
    return {"module": "keras", "class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}


def whole_sequential():
    layers = sequential({"input_shape": [None, 12, 14, 2]})
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": layers}}


@pytest.mark.parametrize(
    ("model", "version", "expected"),
    [
        (whole_functional(), "3.13.0", [1, 1]),
        (whole_sequential(), "3.13.0", [1, 1]),
        (whole_sequential(), "2.13.1", "none"),
    ],
    ids=["functional", "sequential", "Keras 2"],
)
def test_only_keras_3_left_it_out(model, version, expected):
    """In a whole model: Keras 2 records it."""
    normal = normalise(model, {"keras_version": version}, Format.KERAS_ARCHIVE)
    (layer,) = (each for each in normal.config["config"]["layers"] if each["class_name"] == "Conv2DTranspose")
    assert layer["config"].get("output_padding", "none") == expected
