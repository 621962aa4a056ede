"""The objects of Keras, release by release, as data. Layer: dialects.

Owns reading ``catalogue/*.json``; says what exists and which keys it has, and nothing about what they mean.

Source:
    ``tests/producers/make_catalogue.py`` over the sources of the releases that the file lists (Keras 1.2.2 to 3.15.1,
    TensorFlow 1.4 to 2.15, tf_keras 2.16 and 2.21).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from safeload.dialects._compat_names import COMPAT_MODULE, COMPAT_OBJECTS
from safeload.dialects._normal import Flavour, Writer
from safeload.errors import EXPERIMENTAL_CLASSES

# Kinds whose classes and functions a config may name without a module, in the order in which a name is looked up.
_SEARCHED_KINDS = ("layer", "initializer", "regularizer", "constraint", "dtype policy", "quantizer", "model")


class KerasClass(NamedTuple):
    """A public class of Keras 3.

    Attributes:
        module: Its public module.
        name: Its public name.
        kind: ``"layer"``, ``"initializer"`` …
        first_release: The first of the releases read that has it.
        keys: Constructor keywords: name → first release that has it, and its default where that is a literal.
    """

    module: str
    name: str
    kind: str
    first_release: str
    keys: Mapping[str, tuple[str, tuple[Any, ...]]]

    def is_neutral(self, key: str, value: Any) -> bool:
        """Tell whether leaving *key* out means the same as *value*."""
        return key in self.keys and value in [d for d in self.keys[key][1] if type(d) is type(value)]


@cache
def _table(name: str) -> Any:
    """Return ``names``, ``classes`` or ``layers``: files of today need the first, and reading it is soon done."""
    return json.loads((Path(__file__).with_name("catalogue") / f"{name}.json").read_text(encoding="utf-8"))


class _Names(NamedTuple):
    """What a module has of one kind."""

    kind: str
    classes: frozenset[str]
    functions: frozenset[str]


@cache
def _modules() -> dict[str, list[_Names]]:
    found: dict[str, list[_Names]] = {}
    for kind, modules in _table("names")["objects"].items():
        for module, (classes, functions) in modules.items():
            names = _Names(kind, frozenset(classes.split()), frozenset(functions.split()))
            found.setdefault(module, []).append(names)
    return found


def numbers_of(release: str) -> tuple[int, ...]:
    """Return the numbers of *release*, such as ``"3.15.1"``."""
    return tuple(map(int, release.split(".")))


def _releases(flavour: Flavour) -> list[str]:
    found: list[str] = _table("names")["releases"][flavour.value]
    return found


def newest_release() -> str:
    """Return the newest Keras 3 that the tables know."""
    return _releases(Flavour.KERAS_3)[-1]


def find_class(module: str, name: str) -> KerasClass | None:
    """Return the class *name* of the public module *module*, or None."""
    kinds = [names.kind for names in _modules().get(module, ()) if name in names.classes]
    return _class(module, name, kinds[0]) if kinds else None


@cache
def _class(module: str, name: str, kind: str) -> KerasClass:
    # Only for classes that there are: remembering names of files would let them fill the memory of a service.
    first, _, _, keys = _table("classes")[kind][module][name]
    releases = _releases(Flavour.KERAS_3)
    described = {k: (releases[v[0]], tuple(v[1:])) for k, v in keys.items()}
    return KerasClass(module, name, kind, releases[first], described)


def module_of(name: str, kind: str | None = None) -> str | None:
    """Return the public module of the class *name* in Keras 3, looked for among those of *kind* first."""
    kinds = (kind, *_SEARCHED_KINDS) if kind else _SEARCHED_KINDS
    return next((modules[name] for modules in map(_modules_by_name, kinds) if name in modules), None)


_CLASSES, _FUNCTIONS = 0, 1
"""Columns of what a module has of one kind."""


@cache
def _modules_by_name(kind: str, column: int = _CLASSES) -> dict[str, str]:
    """Return the first public module of each class or function of *kind*."""
    found: dict[str, str] = {}
    for module, names in _table("names")["objects"].get(kind, {}).items():
        for name in names[column].split():
            found.setdefault(name, module)
    return found


def classes_of(kind: str) -> frozenset[str]:
    """Return the names of the built-in classes of *kind*."""
    return frozenset(_modules_by_name(kind))


def operation_module(name: str) -> str | None:
    """Return the module of the class behind a symbol of ``keras.ops``, such as ``keras.src.ops.nn`` for ``Relu``."""
    return _modules_by_name("operation", _FUNCTIONS).get(name)


@cache
def functions_of(kind: str) -> frozenset[str]:
    """Return the names of the built-in functions of *kind*: ``"activation"``, ``"loss"``, ``"metric"``, ``"op"``."""
    return frozenset(_modules_by_name(kind, _FUNCTIONS))


def kind_of(module: str | None, name: str) -> str | None:
    """Return the kind of the built-in *name* of *module*, as the normal form spells them, or None."""
    if module == COMPAT_MODULE:
        return ("activation" if name[0].islower() else "layer") if name in COMPAT_OBJECTS else None
    for names in _modules().get(module or "", ()):
        if name in names.functions or name in names.classes:
            return names.kind
    # Keras 3 has none of these, and safeload builds none: whoever loads a model with one gives it, as any other class.
    is_of_any_release = name in _table("layers") and name not in EXPERIMENTAL_CLASSES
    return "layer" if module == "keras.layers" and is_of_any_release else None


def is_builtin(module: str | None, name: str) -> bool:
    """Tell whether Keras or safeload itself defines *name* in *module*, as the normal form spells them.

    Layers of earlier releases count: what Keras 3 does not have is refused when the model is built.
    """
    return kind_of(module, name) is not None


class EraLayer(NamedTuple):
    """A layer as one Keras had it.

    Attributes:
        recorded: Keys that its configs have in every release of the flavour.
        possible: Keys that they may have.
    """

    recorded: frozenset[str]
    possible: frozenset[str]


def era_layer(name: str, writer: Writer) -> EraLayer | None:
    """Return the layer *name* as *writer* had it, or None if it had none of this name that safeload knows."""
    return _era_layer(name, writer) if name in _table("layers") and name not in EXPERIMENTAL_CLASSES else None


@lru_cache(maxsize=1024)
def _era_layer(name: str, writer: Writer) -> EraLayer | None:
    first, last, recorded, possible = _table("layers")[name].get(writer.flavour.value, (1, 0, "", ""))
    if not first <= _index(writer) <= last:
        return None
    names = frozenset(recorded.split())
    return EraLayer(names, names | frozenset(possible.split()))


def _index(writer: Writer) -> int:
    """Return the index of the first release read that is not older than that of *writer*, or of the newest."""
    releases, version = _releases(writer.flavour), writer.version
    return next((i for i, v in enumerate(releases) if version and numbers_of(v) >= version), len(releases) - 1)


def is_known_release(writer: Writer) -> bool:
    """Tell whether the tables know *writer*'s release: its version is recorded and not newer than the newest read."""
    return bool(writer.version) and writer.version <= numbers_of(_releases(writer.flavour)[-1])
