"""Values inside configs that the eras write differently: functions, initializers, dtypes, numbers. Layer: dialects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from safeload.dialects._catalogue import classes_of, functions_of, module_of
from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._normal import Flavour, Writer

# What the configs of keras/src/layers (Keras 3.15.1, tf_keras 2.21) call their parts.
_KINDS = {
    "layer": "layer",
    "layers": "layer",
    "cell": "layer",
    "cells": "layer",
    "activation": "activation",
    "dtype": "dtype policy",
}
_KIND_SUFFIXES = frozenset({"layer", "initializer", "regularizer", "constraint", "activation", "quantizer"})
"""What follows the last ``_`` of a key, where that is the kind."""

# Names of functions of TensorFlow, which Keras 2 wrote down otherwise and Keras 3 as they are: keras/src/activations.py
# (2.15.0), _TF_ACTIVATIONS_V2.
_ACTIVATION_ALIASES = {
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "swish_v2": "swish",
    "gelu_v2": "gelu",
    "relu_v2": "relu",
}
_EXTRA_ACTIVATIONS = frozenset({"swish", "hard_swish", "sparse_plus"})
_IN_EVERY_KERAS = frozenset({"hard_sigmoid", "linear", "relu", "sigmoid", "softmax", "softplus", "softsign", "tanh"})
_ACTIVATIONS_SINCE: Mapping[Flavour, Mapping[str, tuple[int, ...]]] = {
    Flavour.KERAS_1: {"elu": (1, 1, 2)},
    Flavour.KERAS_2: {"elu": (2,), "selu": (2, 0, 6), "relu6": (2, 0, 6), "exponential": (2, 2, 3)},
    Flavour.TF_KERAS_1X: {
        **dict.fromkeys(("elu", "selu", "relu6"), (2,)),
        "exponential": (2, 2, 4),
        "swish": (2, 3),
        "gelu": (2, 4),
        **dict.fromkeys(("leaky_relu", "log_softmax", "silu"), (2, 6)),
        "mish": (2, 13),
    },
    Flavour.TF_KERAS: dict.fromkeys(
        [
            "elu", "exponential", "gelu", "leaky_relu", "log_softmax", "mish", "relu6", "selu", "silu", "swish",
        ],
        (2,),
    ),
    Flavour.KERAS_3: {
        **dict.fromkeys(("hard_silu", "hard_swish"), (3, 0, 5)),
        **dict.fromkeys(("celu", "glu", "hard_shrink", "hard_tanh", "log_sigmoid"), (3, 7)),
        **dict.fromkeys(("soft_shrink", "squareplus", "tanh_shrink"), (3, 7)),
        **dict.fromkeys(("sparse_plus", "sparsemax", "threshold"), (3, 8)),
        "sparse_sigmoid": (3, 10),
    },
}  # fmt: skip
"""The first release read whose activations have a name: a function of the user's has it in files of those before.

Source: keras/activations.py (1.0.8, 1.1.2; 2.0.5, 2.0.6; 2.2.0, 2.2.3), tensorflow/python/keras/activations.py (1.4,
1.12, 1.15, 2.1 to 2.3, 2.5; 2.4 records the version of 2.3, and is the first with ``gelu``), keras/activations.py
(2.6, 2.12, 2.13), tf_keras/src/activations.py (2.16), keras/src/activations/__init__.py (3.0.0, 3.0.5, 3.6.0 to
3.10.0). ``relu6`` is that of applications/mobilenet.py, by which the models of Keras 2.0.6 and TensorFlow 1.4 name it.
"""
# Classes of tensorflow/python/ops/init_ops.py (1.15) and keras 2.x, by the name that Keras 3 has.
_INITIALIZER_ALIASES = {
    "Normal": "RandomNormal",
    "Uniform": "RandomUniform",
    "UniformUnitScaling": "VarianceScaling",
    "ConvolutionOrthogonal": "Orthogonal",
}
_INITIALIZERS = "keras.initializers"
# Where TensorFlow has its own, with the names and the keys of Keras 2, which record the module from 2.13 on.
_TENSORFLOW_INITIALIZERS = frozenset({"tensorflow.python.ops.init_ops", "tensorflow.python.ops.init_ops_v2"})
_POLICIES = ("Policy", "PolicyV1")
_INFERRED_POLICIES = ("_infer", "infer", "infer_with_float32_vars")
PLAIN_DTYPE = "float32"
TRAINED_PARTS = frozenset({"initializer", "regularizer", "constraint"})
"""Kinds of what matters in training alone."""
ACTIVATIONS = "keras.activations"
"""Where the functions are that layers name by a text."""
NESTED: frozenset[type] = frozenset({dict, list})
_TEXTS = NESTED | {str}


def kind_at(key: str) -> str | None:
    """Return the kind of object that stands at *key* of a config, or None where the key does not tell."""
    if key in _KINDS:
        return _KINDS[key]
    return suffix if "_" in key and (suffix := key.rpartition("_")[2]) in _KIND_SUFFIXES else None


def named_activations(config: Any, kind: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield the texts that stand for activations in *config*, that of one object: where, and the text."""
    if type(config) is list:
        steps: Iterable[tuple[str, Any, str | None]] = (
            (f"[{i}]", x, kind) for i, x in enumerate(config) if type(x) in _TEXTS
        )
    elif type(config) is dict and "class_name" not in config:
        steps = ((f".{k}", item, kind_at(k) or kind) for k, item in config.items() if type(item) in _TEXTS)
    else:
        return
    for step, item, place in steps:
        if type(item) is not str:
            yield from ((step + path, name) for path, name in named_activations(item, place))
        elif place == "activation":
            yield step, item


def with_activations(config: Any, change: Callable[[str], Any], kind: str | None = None) -> Any:
    """Return *config*, that of one object, with what *change* makes of each text that stands for an activation."""
    if isinstance(config, str):
        return change(config) if kind == "activation" else config
    if isinstance(config, list):
        is_plain = kind != "activation"
        return [
            item if is_plain and type(item) not in NESTED else with_activations(item, change, kind) for item in config
        ]
    if isinstance(config, dict) and "class_name" not in config:
        return {key: with_activations(item, change, kind_at(key) or kind) for key, item in config.items()}
    return config


def legal_name(name: str) -> str:
    """Return *name* without the character that Keras 3 forbids: keras/src/ops/operation.py."""
    return name.replace("/", "_")


def without_version(name: str) -> str:
    """Return the name of a class of TensorFlow without the version that it may end in: ``BatchNormalizationV1``."""
    return name.removesuffix("V1").removesuffix("V2")


def function_object(name: str, *, module: str | None = None) -> dict[str, Any]:
    """Return the serialized form of a function that is not built in."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def is_of_a_script(value: Mapping[str, Any]) -> bool:
    """Tell whether *value*, a serialized object, is of a class that the script defined which saved the model.

    Keras writes null for the module ``__main__``, and a registered name for no class of its own that has a public
    module: ``serialize_with_public_class`` and ``record_object_after_serialization`` of keras/src/saving/
    serialization_lib.py (2.12 to 3.15.1, tf_keras 2.21).
    """
    return value.get("module") is None and isinstance(value.get("registered_name"), str)


def activation(name: str, writer: Writer, *, is_own: bool = False) -> Any:
    """Return what *writer* meant by the activation *name*.

    A class of the user's (*is_own*) may mean anything by a text that no Keras has for an activation, such as
    ``dice`` or ``quantized_relu(4,2)``; one that its Keras did not have yet is a function of the user's there, too.
    """
    if name == "hard_sigmoid" and writer.flavour is not Flavour.KERAS_3:
        return function_object(name, module=COMPAT_MODULE)
    if is_activation(name, writer):
        return _ACTIVATION_ALIASES.get(name, name)
    if is_own and not has_activation(name):
        return name
    is_layer = name[:1].isupper() and module_of(name, "layer") == "keras.layers"
    if is_layer and writer.flavour is not Flavour.KERAS_3:
        return {"module": "keras.layers", "class_name": name, "config": {}, "registered_name": None}
    return function_object(name)


def trained_part(name: str, kind: str) -> Any:
    """Return what Keras 2 meant by the text *name* where a part of *kind* stands: a built-in, or a function by name.

    Source: ``serialize`` of ``initializers``, ``regularizers`` and ``constraints`` in keras 2.10 and tensorflow 1.15,
    which write the ``__name__`` of a function.
    """
    plain = initializer_class(name) if kind == "initializer" else name
    is_known = plain.replace("_", "").lower() in _known_parts(kind)
    return name if is_known else {**function_object(name), "registered_name": None}


@cache
def _known_parts(kind: str) -> frozenset[str]:
    """Return the names of built-in parts in lower case, without what parts ``glorot_uniform``."""
    aliases = {*_INITIALIZER_ALIASES, "one", "zero"} if kind == "initializer" else set()
    return frozenset(name.lower() for name in classes_of(kind) | aliases)


def is_activation(name: str, writer: Writer) -> bool:
    """Tell whether *name* is an activation that Keras 3 has and *writer* had, or one of TensorFlow by its own name."""
    if name in _ACTIVATION_ALIASES:
        return True
    is_since = not writer.version or name in _IN_EVERY_KERAS or _had_activation(name, writer)
    return is_since and has_activation(name)


def has_activation(name: str) -> bool:
    """Tell whether Keras 3 has the activation *name*."""
    return name in functions_of("activation") or name in _EXTRA_ACTIVATIONS


def _had_activation(name: str, writer: Writer) -> bool:
    since = _ACTIVATIONS_SINCE[writer.flavour].get(name, (3,) if writer.flavour is Flavour.KERAS_3 else None)
    return since is not None and writer.version >= since


def initializer_class(name: str) -> str:
    """Return the name that Keras 3 has for an initializer class of Keras 2 or TensorFlow 1."""
    name = without_version(name)
    return _INITIALIZER_ALIASES.get(name, name)


def initializer_config(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a built-in initializer without what Keras 3 does not have; it decides no output."""
    kept = {key: value for key, value in config.items() if key not in {"dtype", "partition_info", "verify_shape"}}
    if name == "VarianceScaling" and kept.get("distribution") == "normal":
        kept["distribution"] = "truncated_normal"
    if name == "RandomUniform" and kept.get("maxval", 0) is None:
        # tensorflow/python/ops/init_ops.py: None means 1 for floats.
        kept["maxval"] = 1.0
    return kept


def is_tensorflow_initializer(module: Any, name: str) -> bool:
    """Tell whether *name* is an initializer of TensorFlow's own, `tf.random_normal_initializer` or the like."""
    is_theirs = isinstance(module, str) and module in _TENSORFLOW_INITIALIZERS
    return is_theirs and module_of(initializer_class(name), "initializer") == _INITIALIZERS


def is_tensorflow_activation(module: Any, name: str) -> bool:
    """Tell whether *name* is an activation that TensorFlow defines, where Keras from 3.16 on records its module.

    Source: ``serialize_with_public_fn`` in keras/src/saving/serialization_lib.py of keras-nightly 3.16.0.dev2026102704;
    3.15.1 writes ``builtins``.
    """
    is_theirs = isinstance(module, str) and module.startswith("tensorflow.python.ops.")
    return is_theirs and (name in _ACTIVATION_ALIASES or has_activation(name))


def of_keras(initializer: dict[str, Any]) -> dict[str, Any]:
    """Return an initializer of TensorFlow's as that of Keras which does the same."""
    name, config = initializer_class(initializer["class_name"]), initializer.get("config")
    kept = initializer_config(name, config) if isinstance(config, dict) else config
    return {"module": _INITIALIZERS, "class_name": name, "config": kept, "registered_name": None}


def is_policy(value: Any) -> bool:
    """Tell whether *value* is a dtype policy of Keras 2."""
    return isinstance(value, dict) and value.get("class_name") in _POLICIES and isinstance(value.get("config"), dict)


def dtype_policy(value: Any) -> Any:
    """Return a dtype or policy of Keras 2 as Keras 3 writes it."""
    name = value["config"].get("name") if is_policy(value) else value
    if name is None or name in _INFERRED_POLICIES:
        return PLAIN_DTYPE
    if is_policy(value):
        return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}
    return value


def recorded_dtype(dtype: Any) -> str:
    """Return the name of a dtype or of a policy, as any release records it; that of the default where it has none."""
    if isinstance(dtype, dict):
        policy = dtype.get("config")
        dtype = policy.get("name") if isinstance(policy, dict) else None
    return dtype if isinstance(dtype, str) else "float32"


def is_floating(dtype: Any) -> bool:
    """Tell whether *dtype*, as a layer records it, is one of floats, or a policy."""
    return not (isinstance(dtype, str) and dtype.startswith(("int", "uint", "bool", "string")))


def scalar(value: dict[str, Any]) -> tuple[bool, Any]:
    """Return whether *value* is a number or array that JSON has no type for, and the number or nested list."""
    if value.get("type") == "ndarray" and "value" in value:
        return True, value["value"]
    if value.get("class_name") == "__numpy__" and isinstance(value.get("config"), dict):
        return True, value["config"].get("value")
    return False, None
