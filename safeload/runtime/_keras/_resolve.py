"""From the names of a judged config to the objects that they mean.

Owns the choice of every class and function; Keras's own look-up is not asked. Layer: runtime.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import tensorflow as tf

from safeload.dialects import ACTIVATIONS, COMPAT_MODULE, Flavour, Writer, is_builtin, is_floating, with_activations
from safeload.errors import CustomObjectConflictError, IncompatibleVersionError, UnsupportedFormatError
from safeload.inspection import is_mere_name, is_replaceable_part
from safeload.runtime._keras._constructors import misfit, refused
from safeload.runtime._keras._lambda import require_trust, trusted_function
from safeload.runtime._keras._package import keywords_of, symbol
from safeload.runtime._keras._stand_ins import OfRows, Uncast, WithBytecode, WithParts, is_built_before

_NESTED: frozenset[type] = frozenset({dict, list, tuple})
_EXPLICIT = {"data_format": "channels_last"}
"""Keywords that Keras fills from process-wide settings when a config leaves them out."""

_TUPLES = {"AdaptiveAveragePool": "output_size", "AdaptiveMaxPool": "output_size"}
"""Operations that need a tuple, and which: JSON makes a list of it.

Source: ``compute_output_spec`` in keras/src/ops/nn.py of 3.15.1, which fails at what it saved itself.
"""


_KEEPS_AXES = (3, 14)
"""First Keras 3 whose TextVectorization declares that what it counts or encodes of (n, 1) is (n, 1, words).

A call still gives (n, words), which earlier releases declared.

Source: ``compute_output_shape`` in keras/src/layers/preprocessing/text_vectorization.py, and in the index_lookup.py
beside it, which it asks, of 3.13.2, 3.14.0 and 3.15.1; ``_preprocess`` of the former.
"""


@dataclass
class Resolver:
    """Rewrites a config so that each object in it carries a name that only this load knows.

    Keras looks a registered name up in the scope of the thread before anything
    else, so a class that somebody registered under a built-in's name cannot
    take its place and no module is imported.

    Attributes:
        keras: The package to build with.
        custom: The caller's objects by the name that the config uses.
        compat: safeload's objects by name.
        where: How messages name the model.
        trusted: Identifiers that the caller permitted.
        names: What trusted Lambdas may refer to, beside *custom*.
        writer: The release that wrote the config, if that is known.
        scope: Filled by `rewrite`: what to put into the custom-object scope.
    """

    keras: ModuleType
    custom: Mapping[str, Any]
    compat: Mapping[str, Any]
    where: str
    trusted: frozenset[str] = frozenset()
    names: Mapping[str, Any] = field(default_factory=dict)
    writer: Writer | None = None
    scope: dict[str, Any] = field(default_factory=dict)
    _keys: dict[int, str] = field(default_factory=dict)
    _with: dict[tuple[str, int], WithParts | WithBytecode | OfRows | Uncast] = field(default_factory=dict)

    def rewrite(self, config: Any) -> Any:
        """Return a deep copy of *config* with every object renamed, and fill *scope*."""
        if isinstance(config, list | tuple):
            return [self.rewrite(item) if type(item) in _NESTED else item for item in config]
        if not isinstance(config, dict):
            return config
        if config.get("class_name") == "__lambda__":
            names = {**self.names, **self.custom}
            function = trusted_function(config["config"], trusted=self.trusted, names=names, where=self.where)
            return self._function(function)
        if config.get("class_name") == "__typespec__":
            return self._type_spec(config)
        if _is_object(config) and isinstance(config["config"], dict):
            config = {**config, "config": self._without_replaceable(config)}
        copied = {key: self.rewrite(value) if type(value) in _NESTED else value for key, value in config.items()}
        if not _is_object(copied):
            return copied
        if self.custom and isinstance(copied["config"], dict):
            is_own = not is_builtin(copied.get("module"), copied["class_name"])
            copied["config"] = with_activations(copied["config"], lambda name: self._activation(name, is_own=is_own))
        return self._renamed(copied)

    def _activation(self, name: str, *, is_own: bool) -> Any:
        """Return what a layer gets for the *name* of an activation: the caller's function, if there is one.

        A class of the caller's for tf_keras gets the name, and looks it up in the scope if it is to be looked up;
        ``keras.activations.get`` of Keras 3 does not look there.
        """
        names = (f"{ACTIVATIONS}.{name}", f"{COMPAT_MODULE}.{name}", name)
        found = next((self.custom[n] for n in names if n in self.custom), None)
        if found is None or isinstance(found, type):
            return name
        if is_own and self.keras.__name__ == "tf_keras":
            self.scope[name] = found
            return name
        return self._function(found)

    def _without_replaceable(self, owner: dict[str, Any]) -> dict[str, Any]:
        """Return the config of *owner* without initializers and such that nobody gave; its defaults stand for them.

        A class of the caller's gets the names that it recorded, and looks them up itself, as in Keras 2.
        """
        parts: dict[str, Any] = owner["config"]
        if not is_builtin(owner.get("module"), owner["class_name"]):
            return {key: self._name(part["config"]) if is_mere_name(part) else part for key, part in parts.items()}
        return {
            key: part
            for key, part in parts.items()
            if type(part) is not dict or not self._is_replaceable(key, part, owner)
        }

    def _name(self, name: str) -> str:
        found = self.custom.get(name)
        if found is not None and not isinstance(found, type):
            self.scope[name] = _itself_or_called(found)
        return name

    def _is_replaceable(self, key: str, part: Any, owner: dict[str, Any]) -> bool:
        if not (_is_object(part) and is_replaceable_part(key, owner, part)):
            return False
        name = part["config"] if part["class_name"] == "function" else part["class_name"]
        names = (part.get("registered_name"), name, f"{part.get('module')}.{name}")
        if is_builtin(part.get("module"), name):
            return False
        return not any(n in self.custom for n in names) or self._is_refused(key, part)

    def _is_refused(self, key: str, part: Any) -> bool:
        """Tell whether Keras takes no function as this part: variables do from 3.15 on, not in 3.14.1.

        Source: the setters ``regularizer`` and ``constraint`` of keras/src/backend/common/variables.py.
        """
        of_variable = key.endswith(("_regularizer", "_constraint")) and key != "activity_regularizer"
        numbers = [int(number) for number in self.keras.__version__.split(".")[:2]]
        is_old = self.keras.__name__ == "keras" and numbers < [3, 15]
        return is_old and of_variable and part["class_name"] == "function"

    def _function(self, found: Any) -> dict[str, Any]:
        key = f"safeload>{len(self.scope)}"
        self.scope[key] = self._unmistakable(found, key)
        return {"module": None, "class_name": "function", "config": key, "registered_name": key}

    def _type_spec(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return *entry* with the class of TensorFlow that it means, which Keras would import by the recorded name."""
        named = {**entry, "module": "tensorflow", "registered_name": None}
        if self.keras.__name__ == "keras":  # later releases do not look outside of Keras
            named["registered_name"] = self._key_of(getattr(tf, entry["spec_name"]), entry["spec_name"])
        return named

    def _unmistakable(self, found: Any, key: str) -> Any:
        """Return *found*, under another name if Keras would take it for its own.

        Wrappers such as Bidirectional serialize the layer that they get and build it anew, and Keras serializes
        a function that has the name of a built-in activation as this name.
        """
        name = getattr(found, "__name__", "")
        if not isinstance(found, FunctionType) or not hasattr(self.keras.activations, name):
            return found
        if self.keras.saving.get_registered_name(found) != name:
            return found
        twin = FunctionType(found.__code__, found.__globals__, key, found.__defaults__, found.__closure__)
        twin.__kwdefaults__, twin.__module__ = found.__kwdefaults__, found.__module__
        return twin

    def _renamed(self, entry: dict[str, Any]) -> dict[str, Any]:
        if entry["class_name"] == "function":
            return self._function(self.resolve(entry.get("module"), entry["config"], entry.get("registered_name")))
        name = entry["class_name"]
        found = self.resolve(entry.get("module"), name, entry.get("registered_name"))
        self._compare_keywords(found, name, entry)
        made = self._of_rows(self._with_parts(self._with_bytecode(found, entry), entry))
        if self._is_uncast(found, entry):
            made = self._with.setdefault(("uncast", id(made)), Uncast(made))
        key = self._key_of(made, name)
        renamed = {**entry, "module": None, "registered_name": key}
        if isinstance(entry["config"], dict):
            renamed["config"] = {**_defaults(entry, found), **_with_tuples(entry)}
        return renamed

    def _of_rows(self, found: Any) -> Any:
        """Return *found*, or what stands for Keras's own TextVectorization if *writer* declared a row per example."""
        is_row = self.writer is not None and self.writer.may_be_before(_KEEPS_AXES)
        if not is_row or self.keras.__name__ != "keras" or found is not self.keras.layers.TextVectorization:
            return found
        return self._with.setdefault(("rows", id(found)), OfRows(found))

    def _is_uncast(self, cls: Any, entry: dict[str, Any]) -> bool:
        """Tell whether *cls* is a layer of the caller's for which Keras 3 would cast floats that Keras 2 did not."""
        is_old = self.writer is not None and self.writer.flavour is not Flavour.KERAS_3
        if is_builtin(entry.get("module"), entry["class_name"]) or not is_old or self.keras.__name__ != "keras":
            return False
        is_layer = inspect.isclass(cls) and issubclass(cls, self.keras.Layer)
        return is_layer and isinstance(entry["config"], dict) and not is_floating(entry["config"].get("dtype"))

    def _with_bytecode(self, found: Any, entry: dict[str, Any]) -> Any:
        """Return *found*, or what stands for a class derived from Lambda that makes functions of trusted bytecode.

        Lambda layers themselves get functions. Keras 3 knows no such config.
        """
        codes = list(_codes(entry["config"]))
        is_lambda = inspect.isclass(found) and issubclass(found, self.keras.layers.Lambda)
        if not (codes and is_lambda and self.keras.__name__ == "tf_keras"):
            return found
        for code in codes:
            require_trust(code, trusted=self.trusted, where=self.where)
        return self._with.setdefault(("bytecode", id(found)), WithBytecode(found))

    def _with_parts(self, found: Any, entry: dict[str, Any]) -> Any:
        """Return *found*, or what stands for a class of the caller's if some of its arguments are to be built before.

        Layers of Keras 3 build what their configs hold themselves.
        """
        config = entry["config"] if isinstance(entry["config"], dict) else {}
        is_own = is_builtin(entry.get("module"), entry["class_name"])
        if is_own or not inspect.isclass(found) or not any(map(is_built_before, config.values())):
            return found
        return self._with.setdefault(("parts", id(found)), WithParts(found, self.keras))

    def _key_of(self, found: Any, name: str) -> str:
        """Return the key of *found* in the scope: one for all layers of a class, as Keras copies the scope for each."""
        key = self._keys.get(id(found))
        if key is None:
            key = self._keys[id(found)] = f"safeload>{len(self.scope)}:{name}"
            self.scope[key] = found
            if any(found is own for own in (*self.custom.values(), *self.compat.values())):
                # A wrapper that serializes a layer and builds it anew finds its class by this name.
                self.scope.setdefault(getattr(found, "__name__", name), found)
        return key

    def _compare_keywords(self, cls: Any, name: str, entry: dict[str, Any]) -> None:
        """Compare what the constructor of the caller's class takes with what the file holds.

        Raises:
            CustomObjectConflictError: ``custom-object-conflict``. A recorded keyword is not taken, a required one not
                recorded, or the class is abstract.
        """
        config = entry["config"]
        if (
            entry.get("module") == "safeload.compat"
            or not any(cls is own for own in self.custom.values())
            or not isinstance(config, dict)
        ):
            return
        hint = (
            "pass the class that the model was saved with (of a library, install the release of that time), "
            "or give it a get_config and an __init__ that agree"
        )
        problem = misfit(cls, config)
        if not problem and (names := refused(cls, config)):
            problem = f"takes no {', '.join(names)}, which every layer records"
            hint = (
                "let its __init__ take **kwargs, and hand them on: super().__init__(**kwargs); "
                "or pass architecture=, a function that builds the model"
            )
        if problem and self.keras.__name__ == "tf_keras" and "autocast" in config:
            problem = f"is a class for tf_keras (Keras 2), and the file is of Keras 3: it {problem}"
        if problem:
            raise CustomObjectConflictError(
                name,
                problem=f"{cls.__module__}.{cls.__qualname__}() {problem}",
                hint=hint,
            )

    def resolve(self, module: str | None, name: str, registered_name: str | None) -> Any:
        """Return what *name* means here.

        Raises:
            IncompatibleVersionError: ``incompatible-version``. The installed Keras has no such object.
            UnsupportedFormatError: ``unsupported-format``. It is a function of Keras that something is to call.
        """
        if module == "safeload.compat":
            written = f"{ACTIVATIONS}.{name.removesuffix('_of_keras_3')}"  # `dialects.lower` gave it another
            return self.custom.get(f"{module}.{name}") or self.custom.get(written) or self.compat[name]
        if module and module.partition(".")[0] == "keras" and not registered_name:
            # planning puts a custom class that takes a built-in's place under the full name of the built-in.
            found = self.custom.get(f"{module}.{name}") or symbol(self.keras, module, name)
        else:
            # planning puts classes of one name from two modules under their full names.
            names = (f"{module}.{name}", registered_name or name, name)
            found = next((self.custom[n] for n in names if n in self.custom), None)
        if found is None and module and symbol(self.keras, module, name) is not None:
            # Activations and such that layers take are texts in the normal form; what others call may do anything.
            raise UnsupportedFormatError(
                self.where,
                kind=f"a model in which something calls {module}.{name} by its name, which is not examined",
                remedy="pass architecture=, a function that builds the model",
            )
        if found is None:
            raise IncompatibleVersionError(
                self.where,
                problem=f"{module or 'the model'} names {name!r}, "
                f"which {self.keras.__name__} {self.keras.__version__} does not have",
                hint="upgrade keras, or pass an object of this name in custom_objects=",
            )
        return found


def _codes(config: Any) -> Iterator[Any]:
    """Yield the code of each function in *config* that a Lambda of Keras 2 keeps as bytecode."""
    for key, kind in config.items() if isinstance(config, dict) else ():
        if kind == "lambda" and key.endswith("_type"):
            value = config.get(key.removesuffix("_type"))
            yield value[0] if isinstance(value, list) and value else value


def _itself_or_called(function: Any) -> Any:
    """Return *function* so that a call without arguments gives itself.

    ``initializers.get`` and the like take a name for that of a class, of which they make an instance: keras 2.10
    ``initializers/__init__.py``; those of tensorflow 1.15 do not.
    """

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if args or kwargs else function

    return called


def _is_object(entry: dict[str, Any]) -> bool:
    name = entry.get("class_name")
    return isinstance(name, str) and "config" in entry and "module" in entry and not name.startswith("__")


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = entry["config"]
    key = _TUPLES.get(entry["class_name"], "")
    if not isinstance(config.get(key), list) or not is_builtin(entry.get("module"), entry["class_name"]):
        return config
    return {**config, key: tuple(config[key])}


def _defaults(entry: dict[str, Any], found: Any) -> dict[str, Any]:
    """Return process-wide settings as explicit keywords, so that the process cannot change them."""
    if entry.get("module") != "keras.layers":
        return {}
    accepted = keywords_of(found) or frozenset()
    explicit: dict[str, Any] = {k: v for k, v in _EXPLICIT.items() if k in accepted}
    if entry["class_name"] == "InputLayer":
        explicit["dtype"] = "float32"
    return explicit
