"""Objects of any era: built in or custom, and every value inside them."""

from __future__ import annotations

import pytest

from safeload.dialects import BUILT_BEFORE, COMPAT_MODULE, Flavour, Writer, named_activations, with_activations
from safeload.dialects._objects import Normaliser

KERAS_1 = Writer(Flavour.KERAS_1, (1, 2, 2))
KERAS_2 = Writer(Flavour.KERAS_2, (2, 2, 4))
TF_2 = Writer(Flavour.TF_KERAS_1X, (2, 4, 0))
TF_KERAS = Writer(Flavour.TF_KERAS, (2, 21, 0))
KERAS_3 = Writer(Flavour.KERAS_3, (3, 15, 1))
HARD_SIGMOID = {
    "module": COMPAT_MODULE,
    "class_name": "function",
    "config": "hard_sigmoid",
    "registered_name": "hard_sigmoid",
}
NORM = {"name": "n", "trainable": True, "dtype": "float32"}


def normaliser(writer):
    """A normaliser that meets no models."""
    return Normaliser(writer, lambda value: None)


def builtin(module, name, config):
    """A built-in object in normal form."""
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


ALL_OF_NORM = {
    **dict.fromkeys(("axis", "center", "epsilon", "scale")),
    **{
        f"{weight}_{part}": None
        for weight in ("beta", "gamma")
        for part in ("constraint", "initializer", "regularizer")
    },
    **NORM,
}


@pytest.mark.parametrize(
    ("writer", "config", "module"),
    [
        (KERAS_2, {"name": "n", "trainable": True}, None),
        (TF_2, NORM, None),
        (KERAS_3, NORM, None),
        (TF_2, ALL_OF_NORM, "keras.layers"),
        (TF_2, {**ALL_OF_NORM, "mine": None}, None),
    ],
)
def test_a_name_alone_is_built_in_only_with_the_keys_of_its_time(writer, config, module):
    """A class that has the name of a built-in layer of its time or of a later one, and not its keys, is the user's."""
    found = normaliser(writer).object({"class_name": "LayerNormalization", "config": config}, "layer")
    assert found["module"] == module


def test_a_layer_for_an_activation():
    """TensorFlow records it by its name alone; with other keys it is the user's."""
    config = {"name": "l", "trainable": True, "dtype": "float32", "alpha": 0.3}
    value = {"class_name": "LeakyReLU", "config": config}
    found = normaliser(TF_2).object(value, "activation")
    assert (found["module"], found["config"]["negative_slope"]) == ("keras.layers", 0.3)
    assert normaliser(TF_2).object({**value, "config": {"mine": 1}}, "activation")["module"] is None


def test_keys_that_tensorflow_2_3_spelt_otherwise():
    """It calls itself Keras 2.4.0 as TensorFlow 2.4 does; the layers are those of Keras all the same."""
    config = {"name": "n", "trainable": True, "dtype": "float32", "sparse": False}
    config |= {"max_tokens": 5, "output_mode": "binary"}
    writer = Writer(Flavour.TF_KERAS_1X, (2, 4, 0))
    found = normaliser(writer).object({"class_name": "CategoryEncoding", "config": config}, "layer")
    assert found["module"] == "keras.layers"
    assert (found["config"]["num_tokens"], found["config"]["output_mode"]) == (5, "multi_hot")


def test_unknown_keys_of_a_newer_writer_do_not_make_a_layer_custom():
    """The tables do not know what a newer release records."""
    newer = Writer(Flavour.KERAS_3, (3, 99, 0))
    config = {"rate": 0.1, "seed": None, "noise_shape": None, "brand_new": 1, **NORM}
    assert normaliser(newer).object({"class_name": "Dropout", "config": config}, "layer")["module"] == "keras.layers"
    assert normaliser(KERAS_3).object({"class_name": "Dropout", "config": config}, "layer")["module"] is None


@pytest.mark.parametrize("module", ["custom.shadow", "keras_nlp.layers", "src.mine"])
def test_a_recorded_module_decides(module):
    """A class of another package stays custom whatever its name."""
    found = normaliser(KERAS_3).object(
        {"module": module, "class_name": "Dense", "config": {"units": 1}, "registered_name": "Dense"}
    )
    assert (found["module"], found["registered_name"]) == (module, "Dense")


def test_a_registered_name_makes_an_object_custom():
    """``package>Name`` is the user's even beside a module of Keras."""
    found = normaliser(TF_2).object(
        {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": "pkg>Dense"}
    )
    assert found["registered_name"] == "pkg>Dense"
    assert found["module"] == "keras.layers"


@pytest.mark.parametrize("name", ["Dense", "InputLayer", "Mean", "GlorotUniform"])
@pytest.mark.parametrize("writer", [TF_2, TF_KERAS, KERAS_3])
def test_a_class_of_the_script_that_saved(writer, name):
    """Keras writes null for the module ``__main__``, and the name under which it is registered, not so of its own."""
    value = {"module": None, "class_name": name, "config": {"name": "d"}, "registered_name": name}
    assert normaliser(writer).object(value, "layer") == value


def test_a_registered_class_of_hdf5_keeps_its_registration():
    """HDF5 files record ``package>Name`` as the class name."""
    found = normaliser(TF_2).object({"class_name": "pkg>Scale", "config": {"factor": 2}}, "layer")
    assert found == {"module": None, "class_name": "Scale", "config": {"factor": 2}, "registered_name": "pkg>Scale"}


@pytest.mark.parametrize(
    "module",
    [
        "keras.layers.core.dense",
        "keras.src.layers.core.dense",
        "tf_keras.src.layers.core",
        "tensorflow.python.keras.layers.core",
    ],
)
def test_private_modules_of_keras_become_public(module):
    """Where a class lay in some release is not what it is."""
    found = normaliser(TF_2).object(
        {"module": module, "class_name": "Dense", "config": {"units": 1}, "registered_name": None}, "layer"
    )
    assert found == builtin("keras.layers", "Dense", {"units": 1, "dtype": "float32"})


def test_initializers_of_private_modules():
    """The module says whose they are; the names are those of their time."""
    value = {"class_name": "GlorotUniformV2", "module": "keras.src.initializers.initializers", "config": {"seed": None}}
    found = normaliser(TF_2).config({"kernel_initializer": value})["kernel_initializer"]
    assert (found["module"], found["class_name"]) == ("keras.initializers", "GlorotUniform")


def test_an_unknown_class_of_keras_keeps_its_module():
    """What the tables do not know is left for the policy to refuse."""
    value = {"module": "keras.layers", "class_name": "Brandnew", "config": {}, "registered_name": None}
    assert normaliser(KERAS_3).object(value) == value


@pytest.mark.parametrize("writer", [KERAS_1, KERAS_2, TF_2, TF_KERAS])
def test_hard_sigmoid_of_keras_2_is_the_old_function(writer):
    """Keras 3 gave the name to another function."""
    assert normaliser(writer).config({"activation": "hard_sigmoid"}) == {"activation": HARD_SIGMOID}


def test_hard_sigmoid_of_keras_3_is_the_new_function():
    """What Keras 3 wrote means the function of Keras 3."""
    assert normaliser(KERAS_3).config({"activation": "hard_sigmoid"}) == {"activation": "hard_sigmoid"}


@pytest.mark.parametrize("place", ["layer", "cell", "cells", "backward_layer"])
def test_hard_sigmoid_is_found_at_every_depth(place):
    """Wrappers and cells hold layers whose activations count too."""
    inner = {"class_name": "LSTMCell", "module": "keras.layers", "config": {"recurrent_activation": "hard_sigmoid"}}
    found = normaliser(TF_2).config({place: [inner]})
    assert found[place][0]["config"]["recurrent_activation"] == HARD_SIGMOID


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", "relu"),
        ("softmax_v2", "softmax"),
        ("swishy", {"module": None, "class_name": "function", "config": "swishy", "registered_name": "swishy"}),
        ("LeakyReLU", builtin("keras.layers", "LeakyReLU", {})),
    ],
)
def test_activations_by_name(name, expected):
    """A built-in function stays a string; another is a function of the user's."""
    assert normaliser(TF_2).config({"activation": name}) == {"activation": expected}


@pytest.mark.parametrize("writer", [TF_2, KERAS_3])
def test_texts_of_a_custom_class(writer):
    """What no Keras has for an activation is its own affair, at every depth; objects inside are as elsewhere."""
    texts = {"activation": "seven", "att_activation": "LeakyReLU", "parts": {"activation": ["quantized_relu(4,2)"]}}
    config = {"name": "m", **texts, "known": {"activation": ["relu", "softmax_v2"]}}
    dense = {"class_name": "Dense", "module": "keras.layers", "config": {"activation": "seven"}}
    mine = {"class_name": "Mine", "module": "mine", "config": {**config, "layer": dense}}
    found = normaliser(writer).object(mine, "layer")["config"]
    assert found == {**config, "known": {"activation": ["relu", "softmax"]}, "layer": found["layer"]}
    assert found["layer"]["config"]["activation"]["config"] == "seven"


def test_texts_of_a_custom_class_that_keras_had_not_yet():
    """A class that looks one up meant a function of the user's: TensorFlow 2.3, taken for 2.4, has no ``mish``."""
    found = normaliser(TF_2).object({"class_name": "Mine", "config": {"activation": "mish"}}, "layer")["config"]
    assert found["activation"]["config"] == "mish"
    found = normaliser(TF_2).object({"class_name": "Mine", "config": {"activation": "hard_sigmoid"}}, "layer")["config"]
    assert found["activation"] == HARD_SIGMOID


def test_activations_by_name_in_a_config():
    """At every depth, but not those of other objects in it."""
    inner = {"class_name": "Dense", "config": {"activation": "tanh"}}
    config = {"activation": "relu", "parts": [inner, 1, {"my_activation": ["elu", 2]}], "words": ["a"], "layer": inner}
    assert list(named_activations(config)) == [(".activation", "relu"), (".parts[2].my_activation[0]", "elu")]
    assert with_activations(config, str.upper) == {
        **config,
        "activation": "RELU",
        "parts": [inner, 1, {"my_activation": ["ELU", 2]}],
    }
    assert list(named_activations(None)) == []


@pytest.mark.parametrize(
    ("name", "flavour", "first", "before"),
    [
        ("elu", Flavour.KERAS_1, (1, 1, 2), (1, 0, 8)),
        ("gelu", Flavour.KERAS_2, None, (2, 3, 1)),
        ("relu6", Flavour.KERAS_2, (2, 0, 6), (2, 0, 5)),
        ("exponential", Flavour.TF_KERAS_1X, (2, 2, 4), (2, 1, 6)),
        ("swish", Flavour.TF_KERAS_1X, (2, 3, 0), (2, 2, 4)),
        ("gelu", Flavour.TF_KERAS_1X, (2, 4, 0), (2, 3, 0)),
        ("leaky_relu", Flavour.TF_KERAS_1X, (2, 6, 0), (2, 5, 0)),
        ("mish", Flavour.TF_KERAS_1X, (2, 13, 1), (2, 12, 0)),
        ("celu", Flavour.TF_KERAS, None, (2, 21, 0)),
        ("mish", Flavour.KERAS_3, (3, 0, 0), None),
        ("celu", Flavour.KERAS_3, (3, 7, 0), (3, 6, 0)),
        ("sparsemax", Flavour.KERAS_3, (3, 8, 0), (3, 7, 0)),
        ("sparse_sigmoid", Flavour.KERAS_3, (3, 10, 0), (3, 9, 2)),
    ],
)
def test_activations_that_the_writer_did_not_know(name, flavour, first, before):
    """A name that Keras has given to a function since then is that of the user's; who wrote it, as a dict or alone."""
    function = {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
    users = {"module": None, "class_name": "function", "config": name, "registered_name": name}
    for version, meant in ((first, name), (before, users), ((), name)):
        written = () if version is None else (name, function)
        found = [normaliser(Writer(flavour, version or ())).config({"activation": each}) for each in written]
        assert found == [{"activation": meant} for _ in written]


def test_functions_of_keras_3():
    """A serialized function is normal too: a built-in one a string, another with its own name."""
    mine = {"module": "builtins", "class_name": "function", "config": "pkg>mine", "registered_name": "function"}
    relu = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
    found = normaliser(KERAS_3).config({"activation": relu, "function": mine, "other_activation": HARD_SIGMOID})
    assert found["activation"] == "relu"
    assert found["function"] == {
        "module": None,
        "class_name": "function",
        "config": "pkg>mine",
        "registered_name": "pkg>mine",
    }
    assert found["other_activation"] == HARD_SIGMOID
    assert normaliser(KERAS_3).value({"class_name": "function", "config": 3}) == {"class_name": "function", "config": 3}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "float32"),
        ("float64", "float64"),
        (
            {"class_name": "Policy", "config": {"name": "mixed_float16"}},
            builtin("keras", "DTypePolicy", {"name": "mixed_float16"}),
        ),
        ({"class_name": "PolicyV1", "config": {"name": "infer"}}, "float32"),
    ],
)
def test_dtypes_of_keras_2(value, expected):
    """Policies have the name and module of Keras 3; a missing one is explicit."""
    assert normaliser(TF_2).config({"dtype": value}) == {"dtype": expected}


def test_the_dtype_of_an_old_layer_is_explicit():
    """The process's own policy must not decide; the integer dtype of an Embedding was that of its input."""
    embedding = {"input_dim": 2, "output_dim": 3, "embeddings_initializer": "zeros", "dtype": "int32"}
    old = normaliser(KERAS_2)
    assert (
        old.object({"module": "keras.layers", "class_name": "Embedding", "config": embedding})["config"]["dtype"]
        == "float32"
    )
    assert old.object({"module": "keras.layers", "class_name": "Flatten", "config": {}})["config"]["dtype"] == "float32"


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("Flatten", "int32", "float32"),
        ("Lambda", "string", "float32"),
        ("Flatten", "float16", "float16"),
        ("Flatten", "mixed_bfloat16", "mixed_bfloat16"),
        ("Rescaling", "uint8", "uint8"),
        ("RandomFlip", "int32", "int32"),
        ("HashedCrossing", "int64", "int64"),
        ("InputLayer", "int32", "int32"),
    ],
)
def test_dtypes_that_are_none_of_floats(name, dtype, expected):
    """Those of inputs and results stay; in others Keras 2 cast nothing to them."""
    found = normaliser(TF_2).object({"module": "keras.layers", "class_name": name, "config": {"dtype": dtype}})
    assert found["config"]["dtype"] == expected


@pytest.mark.parametrize("name", ["ReLU", "LocallyConnected1D"])
def test_dtypes_of_layers_that_are_those_of_safeload(name):
    """The dtype is no other one where a layer has a class of safeload's: for its masks, or as Keras 3 lacks it."""
    old = Normaliser(Writer(Flavour.TF_KERAS_1X, (2, 2, 4)), lambda value: None, has_masks=True)
    found = old.object({"module": "keras.layers", "class_name": name, "config": {"dtype": "int32"}})
    assert (found["module"], found["config"]["dtype"]) == (COMPAT_MODULE, "float32")


def test_initializers_of_earlier_releases():
    """Initializers lose what Keras 3 does not know, at whatever place."""
    config = {
        "kernel_initializer": {
            "class_name": "VarianceScaling",
            "config": {"distribution": "normal", "dtype": "float32", "scale": 1.0},
        },
        "bias_initializer": {"class_name": "ZerosV2", "config": {"dtype": "float32"}},
        "alpha_initializer": {"class_name": "RandomUniform", "config": {"minval": 0, "maxval": None}},
    }
    found = normaliser(TF_2).config(config)
    assert found == {
        "kernel_initializer": builtin(
            "keras.initializers", "VarianceScaling", {"distribution": "truncated_normal", "scale": 1.0}
        ),
        "bias_initializer": builtin("keras.initializers", "Zeros", {}),
        "alpha_initializer": builtin("keras.initializers", "RandomUniform", {"minval": 0, "maxval": 1.0}),
    }


@pytest.mark.parametrize("name", ["glorot_uniform", "GlorotUniform", "ZerosV2", "normal", "one", "identity"])
def test_names_of_initializers(name):
    """A built-in one stays a text; another is a function of which Keras 2 wrote the name alone."""
    mine = {"module": None, "class_name": "function", "config": "mine", "registered_name": None}
    assert normaliser(TF_2).config({"kernel_initializer": name}) == {"kernel_initializer": name}
    for part in ("kernel_initializer", "activity_regularizer", "bias_constraint"):
        assert normaliser(TF_2).config({part: "mine"}) == {part: mine}
        assert normaliser(KERAS_3).config({part: "mine"}) == {part: "mine"}
    assert normaliser(KERAS_1).config({"kernel_constraint": "maxnorm"}) == {"kernel_constraint": "maxnorm"}


@pytest.mark.parametrize(
    ("part", "name", "config", "module"),
    [
        ("kernel_constraint", "Clip", {"min_value": -1, "max_value": 1}, None),
        ("kernel_constraint", "Abs", {}, None),
        ("kernel_constraint", "L2", {"l2": 0.1}, None),
        ("kernel_constraint", "MaxNorm", {"max_value": 2, "axis": 0}, "keras.constraints"),
        ("bias_regularizer", "Square", {}, None),
        ("bias_regularizer", "L2", {"mine": 1.0}, None),
        ("bias_regularizer", "L2", {"l2": 0.1}, "keras.regularizers"),
        ("bias_regularizer", "L2", None, "keras.regularizers"),
        ("kernel_initializer", "Tanh", {}, None),
        ("kernel_initializer", "RandomUniform", {"width": 1}, None),
        ("kernel_initializer", "Uniform", {"maxval": None, "dtype": "float32"}, "keras.initializers"),
        ("part", "Clip", {"min_value": -1, "max_value": 1}, None),
    ],
)
def test_parts_with_the_names_of_other_things(part, name, config, module):
    """A class that has the name of an operation, of a part of another kind, or other keys, is the user's."""
    found = normaliser(TF_2).config({part: {"class_name": name, "config": config}})[part]
    assert found["module"] == module


@pytest.mark.parametrize(
    "value",
    [{"type": "ndarray", "value": 6.0}, {"class_name": "__numpy__", "config": {"value": 6.0, "dtype": "float32"}}],
)
def test_numbers_of_numpy_are_numbers(value):
    """Keras 2 wrote numpy scalars in two ways."""
    assert normaliser(TF_2).config({"max_value": value}) == {"max_value": 6.0}


def test_tuples_of_hdf5_are_lists():
    """JSON of tf.keras marks tuples; Keras 3 takes lists."""
    assert normaliser(TF_2).value({"class_name": "__tuple__", "items": [1, 2]}) == [1, 2]


def test_markers_of_keras_3_are_kept():
    """Tensors, slices and Lambda bytecode keep their markers."""
    value = {"class_name": "__lambda__", "config": {"code": "YQ=="}}
    assert normaliser(KERAS_3).value(value) == value


def test_operations_of_keras_3_hdf5_get_their_module():
    """HDF5 files of Keras 3 record operations by name; a layer of the same name has the keys of layers."""
    found = normaliser(KERAS_3)
    assert found.object({"class_name": "Einsum", "config": {"name": "e"}}, "layer")["module"] == "keras.src.ops.numpy"
    assert found.object({"class_name": "Add", "config": {"name": "a"}}, "layer")["module"] == "keras.src.ops.numpy"
    assert found.object({"class_name": "Add", "config": NORM}, "layer")["module"] == "keras.layers"


def test_objects_of_safeload_are_normal_already():
    """Normalising twice changes nothing."""
    value = {**HARD_SIGMOID, "class_name": "MaxoutDense", "config": {"units": 2}}
    assert normaliser(TF_2).object(value) == value


def test_bookkeeping_of_old_releases_goes():
    """Build shapes of Keras 2 and shared identifiers of initializers mean nothing to Keras 3; shared layers do."""
    value = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {},
        "build_config": {},
        "shared_object_id": 3,
        "name": "d",
    }
    found = normaliser(TF_2).object(value)
    assert ("build_config" in found, found["shared_object_id"], found["name"]) == (False, 3, "d")
    zeros = {"module": "keras.initializers", "class_name": "Zeros", "config": None, "shared_object_id": 3}
    assert normaliser(TF_2).object(zeros) == builtin("keras.initializers", "Zeros", {})


@pytest.mark.parametrize("writer", [TF_2, KERAS_3])
@pytest.mark.parametrize("name", ["Mine", "ReLU"])
def test_objects_to_build_before_keep_their_mark(writer, name):
    """Keras hands them over as objects, other configs as they are."""
    part = {"module": "keras.layers", "class_name": name, "config": {}}
    config = {"a": {**part, BUILT_BEFORE: True}, "b": part}
    found = normaliser(writer).object({"class_name": "Holding", "config": config})["config"]
    assert [found[key].get(BUILT_BEFORE, False) for key in "ab"] == [True, False]


def test_a_gone_layer_of_keras_1_has_an_explicit_dtype_too():
    """Layers of safeload are built like others."""
    value = {"module": "keras.layers", "class_name": "Highway", "config": {"activation": "hard_sigmoid"}}
    found = normaliser(KERAS_1).object(value)
    assert found["module"] == COMPAT_MODULE
    assert found["config"]["activation"] == HARD_SIGMOID


def test_a_config_that_is_no_dict_is_a_value():
    """Functions have their name as config."""
    assert normaliser(Writer(Flavour.KERAS_3, (3, 8, 0))).config("relu") == "relu"


@pytest.mark.parametrize(
    ("record", "module"),
    [
        ({}, COMPAT_MODULE),
        ({"module": "keras.src.applications.convnext", "registered_name": "LayerScale"}, COMPAT_MODULE),
        ({"module": None, "registered_name": "LayerScale"}, None),
        ({"module": None, "registered_name": "someone>LayerScale"}, None),
        ({"module": "someone.layers", "registered_name": "LayerScale"}, "someone.layers"),
    ],
    ids=["hdf5", "keras", "without-module", "registered", "another-module"],
)
def test_layers_of_applications(record, module):
    """They are Keras's by their module, or by their keys in HDF5, whose layers have none."""
    config = {**NORM, "init_values": 0.5, "projection_dim": 3}
    found = normaliser(KERAS_3 if record else TF_KERAS).object({"class_name": "LayerScale", "config": config, **record})
    assert (found["module"], found["class_name"]) == (module, "LayerScale")


@pytest.mark.parametrize(("name", "kind"), [("Dense", None), ("Mine", "layer"), ("Mine", None)])
def test_a_slash_in_the_name_of_a_layer_inside_another(name, kind):
    """Keras 3 takes none; what else has a name keeps it."""
    entry = {"class_name": name, "config": {"name": "a/b", "units": 2}, "module": "keras.layers"}
    entry = entry if name == "Dense" else {**entry, "module": "mine"}
    found = normaliser(TF_2).object(entry, kind)
    assert found["config"]["name"] == ("a/b" if (name, kind) == ("Mine", None) else "a_b")
