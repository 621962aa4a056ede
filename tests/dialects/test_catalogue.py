"""The catalogue of built-in objects."""

from __future__ import annotations

import pytest

from safeload.dialects import (
    COMPAT_MODULE,
    Flavour,
    Writer,
    find_class,
    functions_of,
    is_builtin,
    kind_of,
)
from safeload.dialects._catalogue import (
    era_layer,
    is_known_release,
    module_of,
    newest_release,
    numbers_of,
    operation_module,
)


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        ("keras.layers", "Dense", "layer"),
        ("keras.layers", "Convolution2D", "layer"),
        ("keras.layers", "LocallyConnected1D", "layer"),
        ("keras.initializers", "GlorotUniform", "initializer"),
        ("keras.activations", "relu", "activation"),
        ("keras.ops.numpy", "sum", "op"),
        ("keras.src.ops.nn", "Relu", "operation"),
        ("keras", "Sequential", "model"),
        ("keras.src.models.functional", "Functional", "model"),
        ("keras", "DTypePolicy", "dtype policy"),
        (COMPAT_MODULE, "hard_sigmoid", "activation"),
        (COMPAT_MODULE, "MaxoutDense", "layer"),
    ],
)
def test_kind_of_built_in_objects(module, name, kind):
    """A built-in object has a kind, whether Keras, an earlier Keras or safeload has it."""
    assert kind_of(module, name) == kind
    assert is_builtin(module, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.utils", "get_file"),
        ("keras.saving", "load_model"),
        ("keras.models", "load_model"),
        ("keras.layers", "Mine"),
        ("keras.layers", "deserialize"),
        ("keras.activations", "get"),
        ("builtins", "eval"),
        (None, "Dense"),
        (COMPAT_MODULE, "system"),
    ],
)
def test_what_is_not_part_of_a_model_is_not_built_in(module, name):
    """Helpers of Keras, other modules and names without a module are not built in."""
    assert not is_builtin(module, name)


def test_keys_carry_their_first_release_and_default():
    """The constructor's keywords are those of the sources, with what leaving them out means."""
    dense = find_class("keras.layers", "Dense")
    assert dense.keys["units"] == ("3.0.5", ())
    assert dense.keys["quantization_config"] == ("3.13.0", (None,))
    assert dense.is_neutral("quantization_config", None)
    assert not dense.is_neutral("units", 3)
    assert not find_class("keras.layers", "BatchNormalization").is_neutral("renorm", 0)
    assert find_class("keras.layers", "Mine") is None


def test_layers_of_an_era():
    """A layer exists for a writer from its first release to its last, with the keys that it records."""
    assert era_layer("LayerNormalization", Writer(Flavour.KERAS_2, (2, 2, 4))) is None
    assert era_layer("LayerNormalization", Writer(Flavour.TF_KERAS_1X, (2, 1, 6))) is None
    assert "epsilon" in era_layer("LayerNormalization", Writer(Flavour.TF_KERAS_1X, (2, 4, 0))).recorded
    assert era_layer("CuDNNLSTM", Writer(Flavour.KERAS_2, (2, 2, 4))) is not None
    assert era_layer("LinearModel", Writer(Flavour.TF_KERAS_1X, (2, 3, 0))) is None
    assert not is_builtin("keras.layers", "PeepholeLSTMCell")
    assert {"unroll", "cell"}.isdisjoint(era_layer("CuDNNLSTM", Writer(Flavour.KERAS_2, (2, 2, 0))).recorded)
    assert era_layer("MaxoutDense", Writer(Flavour.KERAS_1, (1, 2, 2))).recorded >= {"nb_feature", "output_dim"}


def test_known_releases():
    """A version that is not recorded, or newer than the newest read, is not known."""
    assert is_known_release(Writer(Flavour.KERAS_3, numbers_of(newest_release())))
    assert not is_known_release(Writer(Flavour.KERAS_3, (99, 0)))
    assert not is_known_release(Writer(Flavour.KERAS_2))


def test_modules_by_name():
    """A class that is recorded without a module is looked for where its place asks for it."""
    assert module_of("Dense") == "keras.layers"
    assert module_of("Identity", "initializer") == "keras.initializers"
    assert module_of("Identity", "layer") == "keras.layers"
    assert module_of("Mine") is None
    assert operation_module("Einsum") == "keras.src.ops.numpy"
    assert operation_module("Mine") is None


def test_functions_of_a_kind():
    """Functions are listed by what they are for."""
    assert {"relu", "softmax"} <= functions_of("activation")
    assert functions_of("nothing") == frozenset()
