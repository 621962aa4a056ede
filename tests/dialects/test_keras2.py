"""Built-in layers of Keras 2 as Keras 3 has them."""

from __future__ import annotations

import pytest

from safeload.dialects import COMPAT_MODULE, Flavour, Writer
from safeload.dialects._eras._keras2 import LAYERS, modernise
from safeload.errors import IncompatibleVersionError

KERAS_2 = Writer(Flavour.KERAS_2, (2, 2, 4))
TF_1 = Writer(Flavour.TF_KERAS_1X, (2, 2, 4))
TF_2 = Writer(Flavour.TF_KERAS_1X, (2, 4, 0))
TF_KERAS = Writer(Flavour.TF_KERAS, (2, 21, 0))
RATE = {"filters": 2, "dilation_rate": [2, 2], "data_format": "channels_last"}

TURNED = {"class_name": "RNN", "config": {"name": "r", "go_backwards": True, "cell": [{"shared_object_id": 3}]}}
AHEAD = {"class_name": "RNN", "config": {**TURNED["config"], "go_backwards": False}}

CASES = [
    (
        "Bidirectional",
        {"layer": {**TURNED, "shared_object_id": 2}},
        KERAS_2,
        "Bidirectional",
        {
            "layer": {**TURNED, "shared_object_id": 2},
            "backward_layer": {**AHEAD, "config": {**AHEAD["config"], "name": "backward_r", "cell": [{}]}},
        },
    ),
    ("Bidirectional", {"layer": AHEAD}, KERAS_2, "Bidirectional", {"layer": AHEAD}),
    ("Bidirectional", {"layer": None}, KERAS_2, "Bidirectional", {"layer": None}),
    (
        "Bidirectional",
        {"layer": TURNED, "backward_layer": AHEAD},
        TF_2,
        "Bidirectional",
        {"layer": TURNED, "backward_layer": AHEAD},
    ),
    ("Dense", {"units": 2, "input_dim": 3, "batch_input_shape": [None, 3]}, TF_2, "Dense", {"units": 2}),
    ("LSTM", {"units": 2, "time_major": False, "implementation": 0, "input_length": None}, TF_2, "LSTM", {"units": 2}),
    ("LSTM", {"units": 2}, KERAS_2, "LSTM", {"units": 2, "recurrent_activation": "hard_sigmoid"}),
    ("LSTM", {"zero_output_for_mask": True}, TF_2, "LSTM", {"zero_output_for_mask": True}),
    ("EinsumDense", {"output_shape": [3, 2]}, TF_2, "EinsumDense", {"output_shape": [3, 2]}),
    ("SeparableConv2D", RATE, Writer(Flavour.KERAS_2, (2, 0, 8)), "SeparableConv2D", {**RATE, "dilation_rate": [1, 1]}),
    ("SeparableConv2D", RATE, Writer(Flavour.KERAS_2, (2, 0, 9)), "SeparableConv2D", RATE),
    ("SeparableConv2D", RATE, Writer(Flavour.KERAS_2), "SeparableConv2D", RATE),
    ("SeparableConv2D", RATE, Writer(Flavour.TF_KERAS_1X, (2, 0, 8)), "SeparableConv2D", RATE),
    (
        "GRU",
        {"units": 2, "recurrent_activation": "tanh"},
        TF_1,
        "GRU",
        {"units": 2, "recurrent_activation": "tanh", "reset_after": False},
    ),
    (
        "CuDNNLSTM",
        {"units": 2, "unit_forget_bias": False},
        KERAS_2,
        "LSTM",
        {
            "units": 2,
            "unit_forget_bias": False,
            "activation": "tanh",
            "recurrent_activation": "sigmoid",
            "use_bias": True,
        },
    ),
    (
        "CuDNNGRU",
        {"units": 2},
        TF_1,
        "GRU",
        {"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True},
    ),
    ("LeakyReLU", {"alpha": 0.1}, KERAS_2, "LeakyReLU", {"negative_slope": 0.1}),
    ("LeakyReLU", {}, KERAS_2, "LeakyReLU", {"negative_slope": 0.3}),
    ("BatchNormalization", {"axis": [3], "fused": True, "adjustment": None}, TF_2, "BatchNormalization", {"axis": 3}),
    (
        "Hashing",
        {"num_bins": 7, "dtype": "float32", "salt": [0xDECAFCAFFE, 0xDECAFCAFFE]},
        TF_2,
        "Hashing",
        {"num_bins": 7, "dtype": "int64", "salt": None},
    ),
    ("Hashing", {"salt": [1, 2], "dtype": "int64"}, TF_2, "Hashing", {"salt": [1, 2], "dtype": "int64"}),
    ("LayerNormalization", {"axis": [1, 2]}, TF_2, "LayerNormalization", {"axis": [1, 2]}),
    (
        "DepthwiseConv2D",
        {"filters": None, "kernel_initializer": {}, "groups": 1, "data_format": None},
        TF_2,
        "DepthwiseConv2D",
        {"data_format": "channels_last"},
    ),
    (
        "SeparableConv2D",
        {"filters": 2, "kernel_constraint": None, "data_format": "channels_first"},
        TF_2,
        "SeparableConv2D",
        {"filters": 2, "data_format": "channels_first"},
    ),
    (
        "MultiHeadAttention",
        {"num_heads": 2, "query_shape": [None, 3], "key_shape": None, "value_shape": None},
        TF_2,
        "MultiHeadAttention",
        {"num_heads": 2},
    ),
    ("Attention", {"use_scale": False, "causal": False}, TF_2, "Attention", {"use_scale": False}),
    (
        "CategoryEncoding",
        {"max_tokens": 3, "output_mode": "binary", "count_weights": None},
        TF_2,
        "CategoryEncoding",
        {"num_tokens": 3, "output_mode": "multi_hot"},
    ),
    (
        "Discretization",
        {"bins": [0.0], "num_bins": None},
        TF_2,
        "Discretization",
        {"bin_boundaries": [0.0], "num_bins": None},
    ),
    (
        "IntegerLookup",
        {"max_values": 3, "oov_value": -1, "mask_value": 0},
        TF_2,
        "IntegerLookup",
        {"max_tokens": 3, "oov_token": -1, "mask_token": 0},
    ),
    (
        "RandomFlip",
        {"mode": "horizontal", "seed": None, "rng_type": "stateful"},
        TF_KERAS,
        "RandomFlip",
        {"mode": "horizontal", "seed": None, "data_format": "channels_last"},
    ),
    (
        "RandomHeight",
        {"name": "r", "factor": 0.1, "interpolation": "bilinear", "seed": 1},
        TF_2,
        "Identity",
        {"name": "r"},
    ),
    (
        "RandomCrop",
        {"height": 2, "width": 3, "seed": None},
        TF_KERAS,
        "Resizing",
        {
            "height": 2,
            "width": 3,
            "interpolation": "bilinear",
            "crop_to_aspect_ratio": True,
            "data_format": "channels_last",
        },
    ),
    (
        "InputLayer",
        {"batch_input_shape": [None, 2], "sparse": False, "dtype": None},
        TF_1,
        "InputLayer",
        {"batch_shape": [None, 2], "sparse": False, "dtype": "float32"},
    ),
    ("SpatialDropout1D", {"rate": 0.1, "noise_shape": None}, TF_2, "SpatialDropout1D", {"rate": 0.1}),
    (
        "UpSampling2D",
        {"interpolation": "bilinear"},
        TF_1,
        "UpSampling2D",
        {"interpolation": "bilinear", "data_format": "channels_last"},
    ),
]


@pytest.mark.parametrize(
    ("name", "config", "writer", "new_name", "expected"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_layers_are_written_as_keras_3_has_them(name, config, writer, new_name, expected):
    """Names are new, neutral keys are gone, and what the writer meant by missing keys is written down."""
    before = repr(config)
    assert modernise(name, config, writer) == (LAYERS, new_name, expected)
    assert repr(config) == before


@pytest.mark.parametrize(
    ("name", "config", "writer", "new_name"),
    [
        ("LocallyConnected1D", {}, TF_2, "LocallyConnected1D"),
        ("EinsumDense", {"output_shape": [None, 2]}, TF_2, "EinsumDense"),
        ("ThresholdedReLU", {"theta": 1.0}, KERAS_2, "ThresholdedReLU"),
        ("RandomFourierFeatures", {"output_dim": 2}, TF_2, "RandomFourierFeatures"),
        ("SyncBatchNormalization", {"axis": [3]}, TF_2, "SyncBatchNormalization"),
        ("UpSampling2D", {"interpolation": "bilinear", "size": [2, 2]}, KERAS_2, "UpSampling2D"),
        ("Attention", {"causal": True}, TF_2, "CausalAttention"),
        ("AdditiveAttention", {"causal": True}, TF_2, "CausalAdditiveAttention"),
        ("RandomCrop", {"height": 2}, TF_2, "RandomCrop"),
        ("Discretization", {"num_bins": 3, "epsilon": 0.01}, TF_2, "Discretization"),
    ],
)
def test_what_keras_3_computes_differently_is_safeloads_own(name, config, writer, new_name):
    """A layer that is gone, or that computes something else today, is an object of safeload."""
    assert modernise(name, config, writer)[:2] == (COMPAT_MODULE, new_name)


def test_bins_of_later_releases_are_those_of_keras_3():
    """From 2.6 on a boundary belongs to the bin above."""
    config = {"bin_boundaries": [0.0], "num_bins": None, "epsilon": 0.01, "output_mode": "int"}
    assert modernise("Discretization", config, TF_KERAS)[:2] == ("keras.layers", "Discretization")


@pytest.mark.parametrize(
    ("writer", "module"),
    [
        (Writer(Flavour.KERAS_1), COMPAT_MODULE),
        (Writer(Flavour.KERAS_2, (2, 2, 4)), COMPAT_MODULE),
        (Writer(Flavour.KERAS_2, (2, 2, 4), backend="theano"), LAYERS),
        (Writer(Flavour.KERAS_2, (2, 2, 5)), LAYERS),
        (Writer(Flavour.KERAS_2), LAYERS),
        (TF_1, COMPAT_MODULE),
        (Writer(Flavour.TF_KERAS_1X, (2, 2, 4)), COMPAT_MODULE),
        (Writer(Flavour.TF_KERAS_1X, (2, 2, 4, 2)), LAYERS),
        (Writer(Flavour.TF_KERAS_1X, (2, 3, 0)), LAYERS),
        (Writer(Flavour.TF_KERAS, (2, 16, 0)), LAYERS),
    ],
)
def test_products_of_stacks_of_matrices(writer, module):
    """TensorFlow up to 1.15 took inputs of Dot for them, as standalone Keras up to 2.2.4 did on it."""
    assert modernise("Dot", {"axes": [2, 3]}, writer) == (module, "Dot", {"axes": [2, 3]})


@pytest.mark.parametrize(("axis", "single"), [([4], 3), ([2], 1), ([1], None), ([2, 3], None), (-1, None)])
def test_virtual_batches_are_of_training_alone(axis, single):
    """The axis that was built is recorded, which counts that of the batches; no other is taken for one."""
    config = {"axis": axis, "virtual_batch_size": 2}
    expected = {**config, "axis": axis[0] if axis == [1] else axis} if single is None else {"axis": single}
    assert modernise("BatchNormalization", config, TF_2)[2] == expected
    assert config == {"axis": axis, "virtual_batch_size": 2}


@pytest.mark.parametrize("most", [None, 9])
def test_nothing_is_filled_up_to_no_number(most):
    """TensorFlow 2.3 fills up to ``max_tokens`` by default, which Keras 3 takes together with a number alone."""
    config = {"max_tokens": most, "pad_to_max_tokens": True}
    kept = modernise("TextVectorization", config, TF_2)[2]
    assert kept == {**config, "pad_to_max_tokens": most is not None}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("LSTM", "time_major", True),
        ("BatchNormalization", "virtual_batch_size", 2),
        ("BatchNormalization", "virtual_batch_size", [2]),
        ("Conv2DTranspose", "groups", 2),
        ("Dense", "wings", 2),
        ("DepthwiseConv2D", "groups", 3),
    ],
)
def test_unknown_keys_that_matter_are_kept(name, key, value):
    """A key that Keras 3 does not know and that is not neutral stays, so that lowering refuses it."""
    assert modernise(name, {key: value}, TF_2)[2][key] == value


def test_the_layout_of_a_locally_connected_kernel_is_kept_where_it_matters():
    """Implementation 1 is what safeload's layer does; another stores other arrays."""
    assert "implementation" not in modernise("LocallyConnected2D", {"implementation": 1}, TF_2)[2]
    assert modernise("LocallyConnected2D", {"implementation": 2}, TF_2)[2]["implementation"] == 2


def test_lambda_bytecode_is_marked_as_keras_3_marks_it():
    """The bytecode of a Lambda layer of HDF5 is found under the marker that policies look for."""
    config = {
        "function": ["YQ==", None, None],
        "function_type": "lambda",
        "module": "m",
        "output_shape": [2],
        "output_shape_type": "raw",
    }
    function = {"class_name": "__lambda__", "config": {"code": "YQ==", "defaults": None, "closure": None}}
    assert modernise("Lambda", config, TF_2)[2] == {"function": function, "output_shape": [2]}
    assert modernise("Lambda", {"function": "YQ==", "function_type": "lambda"}, TF_2)[2] == {"function": function}


def test_a_named_function_of_a_lambda_layer_is_a_custom_function():
    """A function that was saved by name keeps its module as a hint."""
    config = {"function": "scale", "function_type": "function", "module": "mine"}
    function = {"module": "mine", "class_name": "function", "config": "scale", "registered_name": "scale"}
    assert modernise("Lambda", config, TF_2)[2] == {"function": function}


def test_cells_without_their_arguments_are_refused():
    """Before Keras 2.1.3 cells record a name alone."""
    with pytest.raises(IncompatibleVersionError, match="not recorded by Keras before 2.1.3"):
        modernise("LSTMCell", {"name": "lstm_cell_1", "trainable": True}, Writer(Flavour.KERAS_2, (2, 1, 2)))


@pytest.mark.parametrize("name", ["DepthwiseConv2D", "SeparableConv1D"])
def test_dilated_steps(name):
    """Depthwise convolutions that are dilated and leave pixels out left out others."""
    for config in (
        {"strides": [1, 1], "dilation_rate": [2, 2]},
        {"strides": [2, 2]},
        {"strides": 2, "dilation_rate": 1},
    ):
        assert modernise(name, {"name": "c", **config}, TF_2)[1] == name
    with pytest.raises(IncompatibleVersionError, match=f"{name} 'c': strides and dilation_rate are above 1"):
        modernise(name, {"name": "c", "strides": [1, 2], "dilation_rate": [2, 2]}, TF_2)


@pytest.mark.parametrize("is_returned", [True, False])
@pytest.mark.parametrize(
    ("flavour", "version", "is_turned"),
    [
        (Flavour.KERAS_2, (2, 2, 2), True),
        (Flavour.TF_KERAS_1X, (2, 1, 6), True),
        (Flavour.KERAS_2, (2, 2, 3), False),
        (Flavour.KERAS_2, (), False),
        (Flavour.TF_KERAS_1X, (2, 2, 4), False),
        (Flavour.TF_KERAS, (2, 16, 0), False),
    ],
)
def test_states_of_several_cells_that_came_in_another_order(flavour, version, is_turned, is_returned):
    """Before Keras 2.2.3 and TensorFlow 1.13 those of the last cell came first, which matters where they are given."""
    cells = [{"class_name": "GRUCell", "config": {"units": units}} for units in (2, 3)]
    config = {"cell": {"class_name": "StackedRNNCells", "config": {"cells": cells}}, "return_state": is_returned}
    if is_turned and is_returned:
        with pytest.raises(IncompatibleVersionError, match="return the states of the last of several cells first"):
            modernise("RNN", config, Writer(flavour, version))
    else:
        assert modernise("RNN", config, Writer(flavour, version)) == (LAYERS, "RNN", config)
