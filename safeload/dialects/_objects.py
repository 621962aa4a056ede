"""One serialized object of any era → the same object as Keras 3.15 writes it, at every depth. Layer: dialects.

Owns what an object is: built in or custom, and its module. Models and nodes are for `_functional`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from safeload.dialects import _values
from safeload.dialects._catalogue import (
    EraLayer,
    classes_of,
    era_layer,
    find_class,
    is_builtin,
    is_known_release,
    module_of,
    operation_module,
)
from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._eras import _keras1, _keras2, _keras3
from safeload.dialects._eras._applications import application_layer
from safeload.dialects._eras._backends import require_same_on_tensorflow
from safeload.dialects._eras._masks import LAYERS, with_masks_of
from safeload.dialects._normal import BUILT_BEFORE, Flavour, Writer

# Module prefixes under which Keras's own classes were recorded: keras 2.12 keras.engine, 2.13 keras.src, the packages
# tf_keras and keras_core, tensorflow/python/keras up to TensorFlow 2.5.
_KERAS_PACKAGES = frozenset({"keras", "tf_keras"})
_TENSORFLOW_KERAS = ("tensorflow.python.keras", "tensorflow.keras", "tensorflow_core.python.keras")
# Keys of a serialized object beside its config that survive; the rest is bookkeeping of one release.
_ENVELOPE = ("build_config", "shared_object_id", "name", "inbound_nodes", BUILT_BEFORE)
_NUMBERS: frozenset[type] = frozenset({bool, float, int})
"""Types of values that mean the same in every era."""
_SHARED_KINDS = frozenset({"layer", "model"})


@dataclass(frozen=True)
class Normaliser:
    """Rewrites the objects that one Keras wrote.

    Attributes:
        writer: Who wrote the config.
        convert_model: Rewrites a serialized model: `_functional.normalise_model` for this load. None for other objects.
        has_masks: True if some layer may make a mask.
        is_own: True for what a custom class has in its config: its texts are its own affair.
    """

    writer: Writer
    convert_model: Callable[[dict[str, Any]], dict[str, Any] | None]
    has_masks: bool = False
    is_own: bool = False

    def value(self, value: Any, kind: str | None = None) -> Any:
        """Return *value* in normal form; *kind* is what its place asks for, where the place tells."""
        if isinstance(value, dict):
            return self._dict(value, kind)
        if isinstance(value, str):
            return self._string(value, kind)
        if isinstance(value, list):
            return [item if type(item) in _NUMBERS else self.value(item, kind) for item in value]
        return _values.PLAIN_DTYPE if value is None and kind == "dtype policy" and self._is_old else value

    @cached_property
    def _is_old(self) -> bool:
        return self.writer.flavour is not Flavour.KERAS_3

    def _string(self, value: str, kind: str | None) -> Any:
        if kind == "activation":
            return _values.activation(value, self.writer, is_own=self.is_own)
        return _values.dtype_policy(value) if kind == "dtype policy" and self._is_old else value

    def _dict(self, value: dict[str, Any], kind: str | None) -> Any:
        is_scalar, plain = _values.scalar(value) if self._is_old else (False, None)
        if is_scalar:
            return plain
        if self._is_old and _values.is_policy(value):
            return _values.dtype_policy(value)
        name = value.get("class_name")
        if not isinstance(name, str):
            return {key: self.value(item, _values.kind_at(key) or kind) for key, item in value.items()}
        if name.startswith("__"):
            return self._marker(value, kind)
        if name == "function":
            return self._function(value, kind)
        return self.object(value, kind)

    def _marker(self, value: dict[str, Any], kind: str | None) -> Any:
        if "items" in value:  # tuples of HDF5 configs: tensorflow/python/keras/saving/saved_model/json_utils.py
            return self.value(value["items"], kind)
        return {key: self.value(item) if key != "class_name" else item for key, item in value.items()}

    def _function(self, value: dict[str, Any], kind: str | None) -> Any:
        name = value.get("config")
        module = value.get("module")
        if not isinstance(name, str):
            return value
        if module == COMPAT_MODULE:
            return value
        is_bare = module in (None, "builtins") or _values.is_tensorflow_activation(module, name)
        if kind == "activation" and is_bare and _values.is_activation(name, self.writer):
            return _values.activation(name, self.writer)
        registered = value.get("registered_name")
        return {
            **_values.function_object(name, module=None if module == "builtins" else module),
            "registered_name": name if registered in (None, "function") else registered,
        }

    def object(self, value: dict[str, Any], kind: str | None = None) -> dict[str, Any]:
        """Return the serialized class instance *value* in normal form."""
        if self.is_own:
            return replace(self, is_own=False).object(value, kind)
        model = self.convert_model(value)
        if model is not None:
            return model
        if value.get("module") == COMPAT_MODULE:
            return {**value, "config": self.config(value["config"])}
        own_name = application_layer(value)
        if own_name is not None:
            return self._builtin({**value, "class_name": own_name}, COMPAT_MODULE)
        if _values.is_tensorflow_initializer(value.get("module"), value["class_name"]):
            value = _values.of_keras(value)
        module = self._builtin_module(value, kind)
        if module is None:
            return self._custom(value, kind)
        return self._builtin(value, module)

    def config(self, config: Any) -> Any:
        """Return the constructor arguments *config* with every value in normal form."""
        if not isinstance(config, dict):
            return self.value(config)
        return {
            key: item if type(item) in _NUMBERS else self._argument(item, _values.kind_at(key))
            for key, item in config.items()
        }

    def _argument(self, value: Any, kind: str | None) -> Any:
        if kind in _values.TRAINED_PARTS and self._is_old and isinstance(value, str):
            return _values.trained_part(value, kind)
        return self.value(value, kind)

    def _builtin_module(self, value: dict[str, Any], kind: str | None) -> str | None:
        """Return the public module of a built-in object, or None for a custom one."""
        name, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
        if _values.is_of_a_script(value):
            return None
        if isinstance(registered, str) and ">" in registered and not registered.lower().startswith("keras>"):
            return None
        if not isinstance(module, str):
            return None if ">" in name else self._module_by_shape(name, value.get("config"), kind)
        if not _is_keras_module(module):
            return None
        if is_builtin(module, name):
            return module
        return self._module_by_name(name, kind) or module

    def _module_by_name(self, name: str, kind: str | None) -> str | None:
        if kind == "initializer":
            return module_of(_values.initializer_class(name), kind)
        if kind in {None, "layer"} and self._era_name(name):
            return LAYERS
        return module_of(name, kind) or operation_module(name)

    def _part_module(self, name: str, config: Any, kind: str) -> str | None:
        """Return the module of an initializer, regularizer or constraint that has the keys of one of Keras."""
        if kind == "initializer":
            name = _values.initializer_class(name)
            config = _values.initializer_config(name, config) if isinstance(config, dict) else config
        module = module_of(name, kind) if name in classes_of(kind) else None
        known = find_class(module, name) if module is not None else None
        is_possible = known is not None and (not isinstance(config, dict) or config.keys() <= known.keys.keys())
        return module if is_possible else None

    def _era_name(self, name: str) -> bool:
        return era_layer(_values.without_version(name), self.writer) is not None

    def _module_by_shape(self, name: str, config: Any, kind: str | None) -> str | None:
        """Return the module of an object recorded by its name alone, or None if it cannot be the built-in.

        A class of the user's may have the name of a built-in layer of its time or of a later one.
        Then the keys of its config tell: every release records all keys of its own layers, and operations are not
        trainable.
        """
        plain = _values.without_version(name)
        layer = era_layer(plain, self.writer) if kind in {None, "layer", "activation"} else None
        spellings = (config, _keras2.with_later_keys(plain, config)) if isinstance(config, dict) else ()
        if layer is not None and any(self._has_keys_of(layer, spelling) for spelling in spellings):
            return LAYERS
        is_operation = not self._is_old and not (isinstance(config, dict) and "trainable" in config)
        operation = operation_module(name) if is_operation else None
        if operation is not None or layer is not None or kind == "layer":
            return operation
        if kind in _values.TRAINED_PARTS:
            return self._part_module(name, config, kind)
        found = module_of(name, kind)
        return found if found != LAYERS else None

    def _has_keys_of(self, layer: EraLayer, config: Mapping[str, Any]) -> bool:
        is_possible = config.keys() <= layer.possible | _ANY_LAYER or not is_known_release(self.writer)
        return layer.recorded <= config.keys() and is_possible

    def _custom(self, value: dict[str, Any], kind: str | None) -> dict[str, Any]:
        _, separator, name = value["class_name"].rpartition(">")
        registered = value.get("registered_name") or (value["class_name"] if separator else None)
        config = replace(self, is_own=True).config(value.get("config"))
        return {
            "module": value.get("module"),
            "class_name": name,
            "config": _with_legal_name(config) if kind == "layer" else config,
            "registered_name": registered,
            **self._envelope(value, is_builtin_object=False, kind=kind),
        }

    def _builtin(self, value: dict[str, Any], module: str) -> dict[str, Any]:
        name = value["class_name"]
        config = value["config"] if isinstance(value.get("config"), dict) else {}
        if not self._is_old:
            require_same_on_tensorflow(name, config, self.writer)
        is_old_layer = module == LAYERS and self._is_old
        if is_old_layer:
            module, name, config = self._old_layer(name, config)
        elif module == LAYERS:
            module, name, config = _keras3.modernise(name, config, self.writer)
        own_name = None
        if self.has_masks and module == LAYERS:
            own_name = with_masks_of(name, self.writer, config, value.get("inbound_nodes"))
        if own_name is not None:
            module, name = COMPAT_MODULE, own_name
        elif module == "keras.initializers" and self._is_old:
            name = _values.initializer_class(name)
            config = _values.initializer_config(name, config)
        config = _with_legal_name(self.config(config))
        if is_old_layer and name != "InputLayer":
            config["dtype"] = _layer_dtype(name, config)
        known = find_class(module, name) if self._is_old else None
        return {
            "module": module,
            "class_name": name,
            "config": config,
            "registered_name": None,
            **self._envelope(value, is_builtin_object=True, kind=known.kind if known else None),
        }

    def _old_layer(self, name: str, config: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        if self.writer.flavour is Flavour.KERAS_1:
            own_module, name, config = _keras1.modernise(name, config)
            if own_module is not None:
                return own_module, name, config
        return _keras2.modernise(_values.without_version(name), config, self.writer)

    def _envelope(self, value: dict[str, Any], *, is_builtin_object: bool, kind: str | None) -> dict[str, Any]:
        kept = {key: value[key] for key in _ENVELOPE if key in value}
        if is_builtin_object and self._is_old:
            # Keras 3 builds its own layers from their inputs; a shape of Keras 2 may have another nesting.
            kept.pop("build_config", None)
        if is_builtin_object and self._is_old and kind not in _SHARED_KINDS:
            kept.pop("shared_object_id", None)
        return kept


def _with_legal_name(config: Any) -> Any:
    """Return the *config* of a layer, of one inside another, too, with a name that Keras 3 takes."""
    name = config.get("name") if isinstance(config, dict) else None
    return {**config, "name": _values.legal_name(name)} if isinstance(name, str) and "/" in name else config


# Keys that the machinery of any Keras may add to a layer's config.
_ANY_LAYER = frozenset(
    [
        "name",
        "trainable",
        "dtype",
        "batch_input_shape",
        "batch_shape",
        "input_dtype",
        "input_dim",
        "input_length",
        "input_shape",
        "autocast",
        "activity_regularizer",
        "dynamic",
        "experimental_autocast",
        "implementation",
    ]
)


def _is_keras_module(module: str) -> bool:
    return module.partition(".")[0] in _KERAS_PACKAGES or module.startswith(_TENSORFLOW_KERAS)


# Layers whose dtype is that of their result, or that take no floats: tf_keras 2.21 layers/preprocessing.
# That of a Discretization is, and Keras 3 casts the floats that enter one in a graph to it.
_OF_RESULTS = re.compile(
    r"(CategoryEncoding|CenterCrop|HashedCrossing|Hashing|IntegerLookup|Normalization|Random\w+|Rescaling|Resizing"
    r"|StringLookup|TextVectorization)"
)


def _layer_dtype(name: str, config: Mapping[str, Any]) -> Any:
    """Return the dtype in which the layer *name* of Keras 2 computes.

    One of integers or texts is no dtype of computation (in TensorFlow 1 that of its first input, of an Embedding ever
    since), and what enters the layer stays as it is; Keras 3 would cast floats to it.

    Source: ``_maybe_build`` in tensorflow/python/keras/engine/base_layer.py (1.15.5), keras/layers/embeddings.py
    (2.2.4), ``_maybe_cast_inputs`` in tf_keras 2.21 ``engine/base_layer.py``; ``convert_input`` in keras 3.15.1
    ``src/dtype_policies/dtype_policy.py``.
    """
    dtype = config.get("dtype", _values.PLAIN_DTYPE)
    return dtype if _values.is_floating(dtype) or _OF_RESULTS.fullmatch(name) else _values.PLAIN_DTYPE
