"""Layers of Keras 1 in the words of Keras 2."""

from __future__ import annotations

import pytest

from safeload.dialects import COMPAT_MODULE, normalise
from safeload.dialects._eras._keras1 import modernise, with_orderings
from safeload.errors import IncompatibleVersionError
from safeload.formats import Format

CASES = [
    (
        "Dense",
        {"output_dim": 3, "init": "uniform", "bias": False, "input_dim": 2},
        "Dense",
        {"units": 3, "kernel_initializer": "random_uniform", "use_bias": False},
    ),
    ("TimeDistributedDense", {"output_dim": 3}, "Dense", {"units": 3}),
    (
        "Convolution1D",
        {"nb_filter": 2, "filter_length": 3, "subsample_length": 1, "border_mode": "same"},
        "Conv1D",
        {"filters": 2, "kernel_size": 3, "strides": 1, "padding": "same"},
    ),
    (
        "Convolution2D",
        {"nb_filter": 2, "nb_row": 3, "nb_col": 4, "subsample": [1, 1], "dim_ordering": "th"},
        "Conv2D",
        {"filters": 2, "kernel_size": [3, 4], "strides": [1, 1], "data_format": "channels_first"},
    ),
    (
        "AtrousConvolution2D",
        {"nb_row": 3, "nb_col": 3, "atrous_rate": [2, 2]},
        "Conv2D",
        {"kernel_size": [3, 3], "dilation_rate": [2, 2]},
    ),
    (
        "Convolution3D",
        {"kernel_dim1": 1, "kernel_dim2": 2, "kernel_dim3": 3, "dim_ordering": "tf"},
        "Conv3D",
        {"kernel_size": [1, 2, 3], "data_format": "channels_last"},
    ),
    (
        "SeparableConvolution2D",
        {"nb_row": 3, "nb_col": 3, "init": "zero"},
        "SeparableConv2D",
        {"kernel_size": [3, 3], "depthwise_initializer": "zeros", "pointwise_initializer": "zeros"},
    ),
    ("SeparableConvolution2D", {"nb_row": 3, "nb_col": 3}, "SeparableConv2D", {"kernel_size": [3, 3]}),
    ("MaxPooling1D", {"pool_length": 2, "stride": 2}, "MaxPooling1D", {"pool_size": 2, "strides": 2}),
    ("Dropout", {"p": 0.5}, "Dropout", {"rate": 0.5}),
    ("GaussianNoise", {"sigma": 0.1}, "GaussianNoise", {"stddev": 0.1}),
    ("UpSampling1D", {"length": 2}, "UpSampling1D", {"size": 2}),
    ("UpSampling2D", {"size": [2, 2]}, "UpSampling2D", {"size": [2, 2], "interpolation": "nearest"}),
    (
        "Embedding",
        {"input_dim": 5, "output_dim": 2, "init": "uniform", "dropout": 0.1, "input_length": 4},
        "Embedding",
        {"input_dim": 5, "output_dim": 2, "embeddings_initializer": "random_uniform"},
    ),
    (
        "LSTM",
        {
            "output_dim": 3,
            "inner_init": "orthogonal",
            "inner_activation": "hard_sigmoid",
            "forget_bias_init": "one",
            "dropout_W": 0.1,
            "dropout_U": 0.2,
            "consume_less": "cpu",
        },
        "LSTM",
        {
            "units": 3,
            "recurrent_initializer": "orthogonal",
            "recurrent_activation": "hard_sigmoid",
            "unit_forget_bias": True,
            "dropout": 0.1,
            "recurrent_dropout": 0.2,
        },
    ),
    (
        "ConvLSTM2D",
        {"nb_filter": 2, "nb_row": 3, "nb_col": 4, "forget_bias_init": "one", "dim_ordering": "th"},
        "ConvLSTM2D",
        {"filters": 2, "kernel_size": [3, 4], "unit_forget_bias": True, "data_format": "channels_first"},
    ),
    ("LSTM", {"forget_bias_init": "zero"}, "LSTM", {"unit_forget_bias": False}),
    ("GRU", {"output_dim": 3}, "GRU", {"units": 3, "reset_after": False}),
    ("PReLU", {"init": "zero"}, "PReLU", {"alpha_initializer": "zeros"}),
    (
        "BatchNormalization",
        {"mode": 0, "axis": 1, "gamma_init": "one"},
        "BatchNormalization",
        {"axis": 1, "gamma_initializer": "ones"},
    ),
    (
        "Dense",
        {"b_constraint": {"name": "MinMaxNorm", "low": 0, "high": 1.0, "rate": 1.0, "axis": 0}},
        "Dense",
        {
            "bias_constraint": {
                "class_name": "MinMaxNorm",
                "config": {"min_value": 0, "max_value": 1.0, "rate": 1.0, "axis": 0},
            }
        },
    ),
    ("ZeroPadding2D", {"padding": [1, 1]}, "ZeroPadding2D", {"padding": [1, 1]}),
    ("ZeroPadding2D", {"padding": [1, 2, 3, 4]}, "ZeroPadding2D", {"padding": [[1, 2], [3, 4]]}),
    ("ZeroPadding2D", {"padding": {"top_pad": 1, "left_pad": 2}}, "ZeroPadding2D", {"padding": [[1, 0], [2, 0]]}),
    (
        "Dense",
        {
            "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.1},
            "b_constraint": None,
            "W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0},
        },
        "Dense",
        {
            "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.1}},
            "bias_constraint": None,
            "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}},
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "config", "new_name", "expected"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_layers_take_the_names_of_keras_2(name, config, new_name, expected):
    """Classes, keys and values get the names that Keras 2 gave them."""
    before = repr(config)
    assert modernise(name, config) == (None, new_name, expected)
    assert repr(config) == before


@pytest.mark.parametrize("name", ["Deconvolution2D", "MaxoutDense", "Highway", "SReLU", "ParametricSoftplus"])
def test_layers_that_are_gone_become_safeloads_own(name):
    """A layer without a counterpart in Keras 3 is an object of safeload."""
    assert modernise(name, {"name": "x"})[:2] == (COMPAT_MODULE, name)


def test_what_parametric_softplus_calls_beta_is_no_part_of_a_normalization():
    """Its arguments keep their names."""
    assert modernise("ParametricSoftplus", {"alpha_init": 0.2, "beta_init": 5.0})[2] == {
        "alpha_init": 0.2,
        "beta_init": 5.0,
    }


def test_deconvolution_keeps_the_shape_that_decides_its_output():
    """The output shape of a deconvolution is an argument of its own."""
    config = {"nb_filter": 2, "nb_row": 3, "nb_col": 3, "output_shape": [None, 9, 9, 2]}
    assert modernise("Deconvolution2D", config)[2] == {
        "filters": 2,
        "kernel_size": [3, 3],
        "output_shape": [None, 9, 9, 2],
    }


@pytest.mark.parametrize("mode", [1, 2])
def test_batch_normalisation_over_other_axes_is_safeloads_own(mode):
    """Modes 1 and 2 compute their statistics in inference."""
    assert modernise("BatchNormalization", {"mode": mode}) == (COMPAT_MODULE, "BatchNormalization", {"mode": mode})


def test_regularizers_written_by_later_releases_are_kept():
    """What already names a class is of Keras 2."""
    penalty = {"class_name": "L1L2", "config": {"l1": 0.1, "l2": 0.0}}
    config = modernise("Dense", {"output_dim": 2, "W_regularizer": penalty})[2]
    assert config["kernel_regularizer"] == penalty


def _entry(name, **config):
    return {"class_name": name, "config": {"name": name.lower(), **config}}


def _with(*layers):
    return {"class_name": "Sequential", "config": list(layers)}


POOLING = {"pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid"}
PADDING = _entry("ZeroPadding2D", padding=[1, 2], trainable=True)


@pytest.mark.parametrize(("ordering", "expected"), [("th", "channels_first"), ("tf", "channels_last")])
def test_layers_that_do_not_record_their_ordering_have_that_of_the_others(ordering, expected):
    """A release had one setting for all layers, which these six leave out of their configs."""
    first = {**PADDING, "config": {**PADDING["config"], "batch_input_shape": [None, 4, 5, 6]}}
    pooling = _entry("MaxPooling2D", **POOLING, dim_ordering=ordering, trainable=True)
    config = _with(first, pooling, _entry("TimeDistributed", trainable=True, layer=PADDING))
    before = repr(config)
    normal = normalise(config, {"keras_version": "1.1.2"}, Format.KERAS_HDF5)
    _, padding, _, wrapper = normal.config["config"]["layers"]
    assert padding["config"]["data_format"] == wrapper["config"]["layer"]["config"]["data_format"] == expected
    assert repr(config) == before


def test_an_ordering_that_nothing_tells_is_not_guessed():
    """Layers that disagree, or none: the setting of the process that saved the file is unknown."""
    pooling = [_entry("MaxPooling2D", dim_ordering=ordering) for ordering in ("tf", "th")]
    with pytest.raises(IncompatibleVersionError, match="differ in it"):
        with_orderings(_with(PADDING, *pooling), (1, 2, 2))
    for version in ((), (1, 0, 8)):
        with pytest.raises(IncompatibleVersionError, match="no other layer tells"):
            with_orderings(_with(PADDING), version)
    recorded = _with(_entry("UpSampling2D", dim_ordering="th"), *pooling)
    assert with_orderings(recorded, (1, 0, 8)) is recorded


def test_an_ordering_that_no_other_layer_has_is_the_default():
    """It is that of TensorFlow since 1.1."""
    alone = _with(PADDING)
    assert with_orderings(alone, (1, 1, 0)) is alone
