"""Layers that treat masks otherwise are safeload's own where a model has masks."""

from __future__ import annotations

import pytest

from safeload.dialects import COMPAT_MODULE, Flavour, KerasTarget, NormalForm, lower, normalise
from safeload.dialects._eras._masks import (
    gives_zeroes,
    may_mask,
    may_mask_attention,
    may_mask_otherwise,
    with_masks_of,
)
from safeload.dialects._normal import Writer
from safeload.errors import IncompatibleVersionError
from safeload.formats import Format

KERAS_3_15 = Writer(Flavour.KERAS_3, (3, 15, 1))
TF_2_9 = Writer(Flavour.TF_KERAS_1X, (2, 9, 0))
MASKING = {"class_name": "Masking", "config": {"name": "m", "mask_value": 0.0}}
FOR_GPUS = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "recurrent_dropout": 0.0,
    "unroll": False,
    "use_bias": True,
    "implementation": 2,
}
DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 1}}


@pytest.mark.parametrize(
    ("name", "flavour", "version", "expected"),
    [
        ("MultiHeadAttention", Flavour.TF_KERAS_1X, (2, 9, 0), "UnmaskedMultiHeadAttention"),
        ("MultiHeadAttention", Flavour.TF_KERAS_1X, (2, 10, 0), "MultiHeadAttention"),
        ("MultiHeadAttention", Flavour.TF_KERAS, (2, 16, 0), "MultiHeadAttention"),
        ("Add", Flavour.TF_KERAS, (2, 16, 0), "Add"),
        ("Concatenate", Flavour.KERAS_2, (2, 0, 8), "Concatenate"),
        ("Dot", Flavour.KERAS_2, (2, 0, 8), None),
        ("Add", Flavour.KERAS_3, (3, 3, 3), "UnmaskedAdd"),
        ("Attention", Flavour.KERAS_3, (3, 3, 3), "UnmaskedAttention"),
        ("Attention", Flavour.KERAS_3, (3, 4, 1), None),
        ("MultiHeadAttention", Flavour.KERAS_3, (3, 7, 0), "MultiHeadAttention"),
        ("MultiHeadAttention", Flavour.KERAS_3, (3, 8, 0), None),
        ("Add", Flavour.KERAS_3, (3, 4, 1), None),
        ("ReLU", Flavour.TF_KERAS_1X, (2, 4, 0), "UnmaskedReLU"),
        ("ReLU", Flavour.TF_KERAS_1X, (2, 5, 0), None),
        ("ReLU", Flavour.KERAS_2, (2, 2, 4), None),
        ("Identity", Flavour.TF_KERAS_1X, (2, 12, 0), "Identity"),
        ("Rescaling", Flavour.TF_KERAS, (2, 21, 0), "Rescaling"),
        ("TimeDistributed", Flavour.KERAS_2, (2, 2, 4), "TimeDistributed"),
        ("TimeDistributed", Flavour.KERAS_2, (), "TimeDistributed"),
        ("TimeDistributed", Flavour.KERAS_2, (2, 1, 6), "MaskPassingTimeDistributed"),
        ("TimeDistributed", Flavour.KERAS_1, (), "MaskPassingTimeDistributed"),
        ("TimeDistributed", Flavour.TF_KERAS_1X, (2, 1, 5), "MaskPassingTimeDistributed"),
        ("TimeDistributed", Flavour.TF_KERAS_1X, (2, 1, 6), "EitherTimeDistributed"),
        ("TimeDistributed", Flavour.TF_KERAS_1X, (2, 2, 4), "TimeDistributed"),
        ("TimeDistributed", Flavour.TF_KERAS, (2, 16, 0), "TimeDistributed"),
    ],
)
def test_what_with_masks_of(name, flavour, version, expected):
    """What Keras 3 and its early releases changed, under the name of what the writer computed."""
    assert with_masks_of(name, Writer(flavour, version), {}) == expected


@pytest.mark.parametrize(
    ("flavour", "version", "name", "config", "expected"),
    [
        (Flavour.KERAS_2, (2, 3, 1), "LSTM", {"return_sequences": True}, True),
        (Flavour.KERAS_2, (2, 3, 1), "LSTM", {"return_sequences": False}, False),
        (Flavour.KERAS_1, (1, 2, 2), "Mine", {"return_sequences": True}, True),
        (Flavour.TF_KERAS_1X, (2, 1, 6), "GRU", {"return_sequences": True}, True),
        (Flavour.TF_KERAS_1X, (2, 9, 0), "Mine", {"return_sequences": True}, False),
        (Flavour.TF_KERAS_1X, (2, 9, 0), "GRU", {"return_sequences": True, "zero_output_for_mask": True}, False),
        (Flavour.TF_KERAS_1X, (2, 2, 4), "GRU", {"return_sequences": True}, False),
        (Flavour.TF_KERAS_1X, (2, 2, 4), "LSTM", {"return_sequences": True, **FOR_GPUS}, True),
        (Flavour.TF_KERAS_1X, (), "LSTM", {"return_sequences": True, **FOR_GPUS}, False),
        (Flavour.TF_KERAS_1X, (2, 2, 4), "GRU", {"return_sequences": False, "zero_output_for_mask": True}, True),
        (Flavour.TF_KERAS, (2, 21, 0), "GRU", {"return_sequences": False}, False),
        (Flavour.TF_KERAS, (2, 21, 0), "GRU", None, False),
    ],
)
def test_directions_that_give_zeros(flavour, version, name, config, expected):
    """Keras 3 has those that return sequences give zeros for masked steps; so did not all."""
    layer = {"layer": {"class_name": name, "config": config}}
    assert (with_masks_of("Bidirectional", Writer(flavour, version), layer) == "Bidirectional") is expected


def test_a_bidirectional_around_nothing():
    """What is damaged is refused elsewhere."""
    assert with_masks_of("Bidirectional", TF_2_9, {"layer": "damaged"}) is None


@pytest.mark.parametrize(
    ("version", "name", "other", "expected"),
    [
        ((2, 2, 4), "LSTM", {}, False),
        ((2, 2, 4), "LSTM", {"zero_output_for_mask": False}, False),
        ((2, 2, 4), "LSTM", {"implementation": 1}, True),
        ((2, 2, 4), "GRU", {"reset_after": False}, True),
        ((2, 2, 4), "SimpleRNN", {}, True),
        ((2, 3, 0), "LSTM", {}, True),
        ((), "LSTM", {}, True),
    ],
)
def test_zeros_that_were_ignored(version, name, other, expected):
    """In TensorFlow 2.0 and 2.1, by what a GPU could compute."""
    config = {"zero_output_for_mask": True, **FOR_GPUS, **other}
    assert gives_zeroes(name, config, Writer(Flavour.TF_KERAS_1X, version)) is expected


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([DENSE], False),
        ([DENSE, MASKING], True),
        ([{"class_name": "TimeDistributed", "config": {"layer": MASKING}}], True),
        ([{"class_name": "Embedding", "config": {"mask_zero": True}}], True),
        ([{"class_name": "Embedding", "config": {"mask_zero": False}}], False),
        ([{"class_name": "Mine", "config": {}}], True),
        ([{"class_name": "LSTM", "config": {}, "inbound_nodes": [[["a", 0, 0, {"mask": ["b", 0, 0]}]]]}], True),
        ([{"class_name": "Sequential", "config": {"layers": [DENSE]}}], False),
        ([{"class_name": "NotEqual", "module": "keras.src.ops.numpy", "config": {}}], False),
        (["damaged"], False),
    ],
)
def test_what_may_make_a_mask(layers, expected):
    """A layer that masks, at any depth, or one that nobody knows."""
    assert may_mask({"class_name": "Sequential", "config": {"layers": layers}}, TF_2_9) is expected


@pytest.mark.parametrize("first", [MASKING, DENSE], ids=["masks", "no masks"])
def test_only_models_with_masks_have_such_layers(first):
    """Elsewhere the layer of Keras computes the same."""
    attention = {
        "class_name": "MultiHeadAttention",
        "module": "keras.layers",
        "registered_name": None,
        "config": {"name": "a", "num_heads": 1, "key_dim": 2},
    }
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [first, attention]}}
    normal = normalise(config, {"keras_version": "2.9.0"}, Format.KERAS_HDF5)
    modules = {layer["class_name"]: layer["module"] for layer in normal.config["config"]["layers"]}
    assert modules.get("UnmaskedMultiHeadAttention") == (COMPAT_MODULE if first is MASKING else None)


def test_tf_keras_gets_its_own_layers_back():
    """It treats masks as the file means it, but for attention before 2.10, whose constructor asks for shapes."""
    names = ("Add", "MultiHeadAttention", "UnmaskedMultiHeadAttention")
    layers = [{"module": COMPAT_MODULE, "class_name": name, "config": {"name": name}} for name in names]
    target = KerasTarget("tf_keras", (2, 21, 0), lambda module, name: frozenset({"name"}))
    lowered = lower(NormalForm({"layers": layers}, TF_2_9), target)["layers"]
    assert [layer["module"] for layer in lowered] == ["keras.layers", "keras.layers", COMPAT_MODULE]
    assert all(layer["config"].keys() >= {"query_shape", "key_shape"} for layer in lowered[1:])


@pytest.mark.parametrize(("version", "expected"), [((3, 10, 0), True), ((3, 11, 0), False), ((), True)])
def test_early_keras_3_treats_masks_otherwise(version, expected):
    """Up to 3.10 layers do not pass on what a call gives; a writer that nobody knows may be so old."""
    config = {"config": {"layers": [MASKING]}}
    assert may_mask_otherwise(config, Writer(Flavour.KERAS_3, version)) is expected


@pytest.mark.parametrize(
    ("name", "version", "nodes", "expected"),
    [
        ("LSTM", (3, 10, 0), [{"args": [], "kwargs": {"mask": {}}}], "InputMaskedLSTM"),
        ("LSTM", (3, 11, 0), [{"args": [], "kwargs": {"mask": {}}}], None),
        ("LSTM", (3, 10, 0), [{"args": [], "kwargs": {"mask": None}}], None),
        ("LSTM", (3, 10, 0), [{"args": []}, "damaged"], None),
        ("LSTM", (3, 10, 0), None, None),
        ("Dense", (3, 10, 0), [{"args": [], "kwargs": {"mask": {}}}], None),
    ],
)
def test_masks_that_calls_give(name, version, nodes, expected):
    """Before 3.11 they did not go on."""
    assert with_masks_of(name, Writer(Flavour.KERAS_3, version), {}, nodes) == expected


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (MASKING, True),
        (DENSE, False),
        ({"class_name": "MultiHeadAttention", "inbound_nodes": [{"kwargs": {"attention_mask": {}}}]}, True),
        ({"class_name": "Softmax", "inbound_nodes": [{"args": ["x", "mask"]}]}, True),
        ({"class_name": "Softmax", "inbound_nodes": [{"args": ["x"]}, "damaged"]}, False),
    ],
)
def test_what_may_mask_attention(layer, expected):
    """What masks, or is given to attention or a softmax."""
    assert may_mask_attention({"config": {"layers": [{"config": {}, **layer}]}}, KERAS_3_15) is expected


@pytest.mark.parametrize(
    ("name", "nodes", "since", "before", "expected"),
    [
        ("MultiHeadAttention", None, (), (3, 4), "MultiHeadAttention"),
        ("MultiHeadAttention", None, (3, 9), (), None),
        ("Add", None, (), (3, 4), "UnmaskedAdd"),
        ("Add", None, (3, 4), (3, 9), None),
        ("LSTM", [{"kwargs": {"mask": {}}}], (3, 4), (3, 9), "InputMaskedLSTM"),
        ("LSTM", None, (), (), None),
        ("LSTM", [{"kwargs": {"mask": {}}}], (3, 10), (3, 13), "EitherMaskedLSTM"),
    ],
)
def test_bounds_of_the_release_may_do(name, nodes, since, before, expected):
    """They are all that JSON tells."""
    assert with_masks_of(name, Writer(Flavour.KERAS_3, (), since, before), {}, nodes) == expected


@pytest.mark.parametrize("name", ["MultiHeadAttention", "Add"])
def test_masks_of_nobody_knows_when_are_refused(name):
    """Either might be meant."""
    with pytest.raises(IncompatibleVersionError, match=f"^{name}: it changed in Keras"):
        with_masks_of(name, Writer(Flavour.KERAS_3), {})
