"""Where custom layers and functions are found: declared modules and objects, by name. Layer: beside policy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from safeload.errors import CustomObjectConflictError, CustomObjectNotFoundError
from safeload.inspection import ObjectInfo
from safeload.registry._modules import (
    bare,
    described,
    imported,
    imported_if_possible,
    is_of_keras,
    is_own,
    may_be_activation,
    name_of,
    names_of,
    offered,
    qualified,
    with_parts,
)

if TYPE_CHECKING:
    from safeload.inspection import ModelInfo

T = TypeVar("T")

CustomObjects = Mapping[str, object] | ModuleType | Iterable[object] | None
"""What ``custom_objects=`` takes: a mapping, a module, or classes and functions."""

# What of an ObjectInfo decides which object is found for it.
_ASKED_FOR = attrgetter(*(part.name for part in fields(ObjectInfo) if part.name not in ("where", "config")))


@dataclass(frozen=True)
class _Declared:
    """An object that the caller or a decorator registered under a name."""

    value: object
    name: str
    package: str | None

    def replaces(self, other: _Declared) -> bool:
        """Tell whether this is *other*, or made by the same lines that ran again: a cell of a notebook, a reload."""
        place = _place(self.value)
        is_again = self.value is other.value or (place is not None and place == _place(other.value))
        return is_again and (self.name, self.package) == (other.name, other.package)


def _place(value: object) -> tuple[str | None, str] | None:
    """Return where the code of a class or function stands; None for one that a call makes, or that has no name."""
    name = getattr(value, "__qualname__", "<none>")
    return None if "<" in name else (getattr(value, "__module__", None), name)


@dataclass
class _Registered:
    """What `register` and `register_module` have declared in this process."""

    objects: list[_Declared] = field(default_factory=list)
    modules: list[ModuleType | str] = field(default_factory=list)
    packages: list[ModuleType | str] = field(default_factory=list)


_REGISTERED = _Registered()


def register_module(module: ModuleType | str, *, submodules: bool = False) -> None:
    """Declare that *module* defines custom objects, for every later load.

    Args:
        module: A module, or its import name; a name is imported when a model needs custom objects, or may mean one by
            the name of a built-in class or activation, for which a module that cannot be imported is passed over.
        submodules: True to take every module of a package too. All are then imported when a model needs custom
            objects, except ``__main__``; one that cannot be imported is an error.
    """
    if not (module and isinstance(module, (ModuleType, str))):
        raise CustomObjectConflictError(
            repr(module),
            problem="is neither a module nor a module's name",
            hint="use register() for classes and functions",
        )
    known = _REGISTERED.packages if submodules else _REGISTERED.modules
    if module not in known:
        known.append(module)


@overload
def register(obj: T, *, name: str | None = None, package: str | None = None) -> T: ...
@overload
def register(obj: None = None, *, name: str | None = None, package: str | None = None) -> Callable[[T], T]: ...
def register(obj: Any = None, *, name: str | None = None, package: str | None = None) -> Any:
    """Declare a custom class or function, for every later load; also a decorator.

    One that is defined anew, in a notebook's cell that runs again or a module that is reloaded, takes the place of the
    former.

    Args:
        obj: The class or function. Left out when used as a decorator with options.
        name: Name in the model files; that of *obj* by default. Give the old name of what was renamed.
        package: Package under which the files have it registered, as in ``package>name``.

    Returns:
        *obj* itself, or a decorator when it was left out.
    """
    if obj is None:
        return lambda decorated: register(decorated, name=name, package=package)
    if not callable(obj) or isinstance(obj, ModuleType):
        raise CustomObjectConflictError(
            name or repr(obj), problem="is neither a class nor a function", hint="use register_module() for modules"
        )
    declared = _Declared(obj, name or name_of(obj), package)
    _REGISTERED.objects[:] = [other for other in _REGISTERED.objects if not declared.replaces(other)]
    _REGISTERED.objects.append(declared)
    return obj


class Registry:
    """Sources of custom objects: those of one call before those that were registered.

    Args:
        named: Objects by name.
        modules: Modules, or names of modules, that define objects.
    """

    def __init__(self, *, named: Mapping[str, object], modules: Iterable[ModuleType | str] = ()) -> None:
        self._named = dict(named)
        self._modules = tuple(modules)

    @classmethod
    def of_call(cls, custom_objects: CustomObjects = None, modules: Iterable[ModuleType | str] = ()) -> Registry:
        """Make the registry of one call.

        Args:
            custom_objects: A mapping of names to classes and functions (a module as a value stands for its attribute
                of that name), a module, or an iterable of classes and functions.
            modules: Modules, or names of modules, that define custom objects.

        Returns:
            A registry that looks in *custom_objects*, then in *modules*, then at what was registered
            with `register` and `register_module`, then in Keras's own registries.

        Raises:
            CustomObjectConflictError: ``custom-object-conflict``. A value of *modules* is no module.
            TypeError: An argument is of a type that it does not take.
        """
        is_one = isinstance(modules, (str, ModuleType)) or callable(modules)
        if not (is_one or isinstance(modules, Iterable)):
            raise TypeError(
                f"modules must be a list of modules or of their names, not of type {type(modules).__name__}"
            )
        listed: list[Any] = [modules] if is_one else list(modules)
        _require_modules(listed)
        if isinstance(custom_objects, Mapping):
            return cls(named=custom_objects, modules=listed)
        values = _listed(custom_objects)
        own = [value for value in values if isinstance(value, ModuleType)]
        named = {name_of(value): value for value in values if not isinstance(value, ModuleType)}
        return cls(named=named, modules=[*own, *listed])

    @property
    def named(self) -> Mapping[str, object]:
        """What the call gave by name."""
        return self._named

    def options(self) -> dict[str, Any]:
        """Return ``custom_objects=`` and ``modules=`` that make this registry again in another process.

        Modules are given by name, for they cannot be pickled; classes and functions are pickled by name themselves.
        """
        named = {name: _of_module(value, name) for name, value in self._named.items()}
        return {"custom_objects": named, "modules": [getattr(m, "__name__", m) for m in self._modules]}

    def resolve_all(self, info: ModelInfo) -> dict[str, object]:
        """Find every custom object that calling the model needs.

        Returns:
            The objects by the name under which the config looks them up: the registered name where one
            is recorded, else the class or function name; with the recorded module before it, where the file
            has that name from several modules. Objects that only training needs are left out; parts
            of a layer that its own default can stand for are in it if they are found.

        Raises:
            CustomObjectNotFoundError: ``custom-object-not-found``. Names all that are missing.
            CustomObjectConflictError: ``custom-object-conflict``. Two objects answer to a name, or
                what was given cannot stand for it.
        """
        found: dict[str, object] = {}
        missing: dict[str, ObjectInfo] = {}
        objects = [o for o in (info.keras.objects if info.keras else ()) if not o.is_training_only or o.is_replaceable]
        homes = _homes(objects)
        distinct: dict[tuple[object, ...], ObjectInfo] = {}
        for needed in objects:  # most layers of a model are of a few classes, of which each is looked for once
            distinct.setdefault(_ASKED_FOR(needed), needed)
        for needed in distinct.values():
            value = self.resolve(needed)
            several = homes.get(key_of(needed), ())
            key = qualified(needed) if len(several) > 1 else key_of(needed)
            if value is not None:
                self._require_its_own(needed, value, several)
                _put(found, key, needed, value)
            elif not needed.is_builtin and not needed.is_replaceable:
                missing.setdefault(key, needed)
        if missing:
            raise CustomObjectNotFoundError(info.where, missing=tuple(missing.values()), near=self._near(missing))
        return found

    def _require_its_own(self, needed: ObjectInfo, value: object, homes: Collection[str]) -> None:
        """Refuse one object for several of a name, unless the caller gave it for this very one."""
        if len(homes) < 2 or qualified(needed) in self._named or getattr(value, "__module__", None) == needed.module:
            return
        wanted = ", ".join(f"'{home}.{needed.name}': …" for home in sorted(homes))
        raise CustomObjectConflictError(
            needed.name,
            problem=f"the file means several objects of this name, of {' and '.join(sorted(homes))}",
            hint=f"give each: custom_objects={{{wanted}}}",
        )

    def resolve(self, needed: ObjectInfo) -> object | None:
        """Find the object that *needed* names.

        Returns:
            The object, or None if there is none or the built-in is meant.

        Raises:
            CustomObjectConflictError: ``custom-object-conflict``. Two candidates, one of the wrong kind, or one that
                may be meant by the name of a built-in, and may not.
        """
        if needed.is_builtin and needed.is_module_recorded:
            return None
        given = self._from_mapping(needed)
        if needed.is_builtin and needed.kind == "function":
            return self._in_place_of_function(needed, given)
        own = given or self._from_modules(needed)
        if own:
            return _fitting(needed, _chosen(needed, own))
        registered = _from_registered(needed) or _from_keras(needed)
        if registered and needed.is_builtin:
            raise _shadowing(needed, registered[0])
        return _fitting(needed, _chosen(needed, registered)) if registered else None

    def _in_place_of_function(self, needed: ObjectInfo, given: list[object]) -> object | None:
        """Return what the call gave by the name of a function of Keras, if it is another.

        A function in a module is no answer, other than a class that Keras can save: code has helpers of such names,
        and the ``hard_sigmoid`` of qkeras is not that of Keras.
        """
        if given:
            value = _fitting(needed, given[0])
            return None if is_of_keras(value, needed.name) else value
        found = (*self._from_modules(needed), *_from_registered(needed), *_from_keras(needed))
        for value in filter(may_be_activation, found):
            raise _shadowing(needed, value, f", or keras.activations.{needed.name} for Keras's own")
        return None

    def _from_mapping(self, needed: ObjectInfo) -> list[object]:
        for name in names_of(needed):
            if name in self._named:
                return [_of_module(self._named[name], name)]
        return []

    def _from_modules(self, needed: ObjectInfo) -> list[object]:
        return offered(map(imported, self._modules), needed)

    def _near(self, missing: Iterable[str]) -> dict[str, str]:
        """Return a known name that is spelled nearly as one of *missing*, for each that has one."""
        known = {*self._named, *(declared.name for declared in _REGISTERED.objects)}
        for module in (*map(imported, self._modules), *_registered_modules()):
            known.update(name for name, value in vars(module).items() if is_own(value, module))
        matches = {name: [other for other in sorted(known) if _is_near(bare(name), other)] for name in missing}
        return {name: match[0] for name, match in matches.items() if match}


def _is_near(name: str, other: str) -> bool:
    """Tell whether two names differ by one letter, case and underscores aside; words and numbers tell classes apart."""
    pair = [text.replace("_", "").casefold() for text in (name, other)]
    begin = len(os.path.commonprefix(pair))
    turned = [text[begin:][::-1] for text in pair]
    end = len(os.path.commonprefix(turned))
    return all(len(rest) - end <= 1 and not rest[end:].isdigit() for rest in turned)


def key_of(needed: ObjectInfo) -> str:
    """Return the name under which a config looks up *needed*: the registered name, else the bare one.

    What takes the place of a built-in class is looked up with its module: ``"keras.layers.LayerNormalization"``.
    """
    return f"{needed.module}.{needed.name}" if needed.is_builtin else needed.registered_name or needed.name


def _homes(objects: Iterable[ObjectInfo]) -> dict[str, set[str]]:
    """Return the modules that a file records for each name of a custom object."""
    homes: dict[str, set[str]] = {}
    for needed in objects:
        if not needed.is_builtin and needed.module is not None and needed.registered_name is None:
            homes.setdefault(key_of(needed), set()).add(needed.module)
    return homes


def _of_module(value: object, name: str) -> object:
    """Return the attribute *name* of a module, and anything else as it is."""
    return getattr(value, bare(name).rpartition(".")[2], value) if isinstance(value, ModuleType) else value


def _listed(values: Any) -> list[object]:
    if values is None:
        return []
    if isinstance(values, ModuleType) or callable(values):
        return [values]
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        kind = f"{type(values).__name__}{_elsewhere(values)}"
        raise TypeError(f"custom_objects must be a dict, a module or a list, not of type {kind}")
    listed = list(values)
    for value in listed:
        if not (isinstance(value, ModuleType) or callable(value)):
            kind = type(value).__name__
            raise TypeError(f"custom_objects=[…] holds {kind}, not classes, functions or modules{_elsewhere(value)}")
    return listed


def _elsewhere(value: object) -> str:
    return "; names of modules go into modules=" if isinstance(value, str) else ""


def _require_modules(values: Iterable[object]) -> None:
    for value in values:
        if not isinstance(value, (str, ModuleType)):
            raise CustomObjectConflictError(
                name_of(value),
                problem="was given in modules=, and is neither a module nor a module's name",
                hint=f"pass classes and functions in custom_objects=, such as custom_objects=[{name_of(value)}]",
            )


def _registered_modules(load: Callable[[ModuleType | str], ModuleType | None] = imported) -> Iterator[ModuleType]:
    listed = (*_REGISTERED.modules, *(name for package in _REGISTERED.packages for name in with_parts(package, load)))
    yield from (module for module in map(load, listed) if module is not None)


def _from_registered(needed: ObjectInfo) -> list[object]:
    names = names_of(needed)
    declared = [d for d in _REGISTERED.objects if d.name in names or f"{d.package}>{d.name}" in names]
    exact = [d for d in declared if d.package and f"{d.package}>{d.name}" == needed.registered_name]
    # A built-in that the file names without its module needs none of them, if it is no class of the caller's.
    modules = _registered_modules(imported_if_possible if needed.is_builtin else imported)
    return [d.value for d in exact or declared] or offered(modules, needed)


def _from_keras(needed: ObjectInfo) -> list[object]:
    """Look into the registries of the Keras packages that the caller's code has already imported."""
    found: list[object] = []
    for package in ("keras", "tf_keras"):
        look_up = getattr(getattr(sys.modules.get(package), "saving", None), "get_registered_object", _nothing)
        values = (look_up(name) for name in names_of(needed))
        found += [value for value in values if value is not None][:1]
    return found


def _nothing(_: str) -> None:
    return None


def _chosen(needed: ObjectInfo, candidates: list[object]) -> object:
    distinct = [c for i, c in enumerate(candidates) if not any(c is other for other in candidates[:i])]
    recorded = [c for c in distinct if getattr(c, "__module__", None) == needed.module]
    for choice in (distinct, recorded):
        if len(choice) == 1:
            return choice[0]
    raise CustomObjectConflictError(
        needed.name,
        problem=f"several objects have this name: {'; '.join(map(described, distinct))}",
        hint=f"say which one: custom_objects={{{_asked(needed)!r}: …}}",
    )


def _asked(needed: ObjectInfo) -> str:
    return needed.registered_name or needed.name


def _fitting(needed: ObjectInfo, value: object) -> object:
    """Return *value* if it can stand for *needed*."""
    wanted = "function" if needed.kind == "function" else "class"
    is_class = isinstance(value, type)
    if is_class and needed.is_mere_text:
        return value  # a class of the caller's looks up what it calls so, if it does
    if is_class if wanted == "class" else callable(value) and not is_class:
        return value
    named = {ModuleType: "module", type: "class"}
    kind = next((kind for of, kind in named.items() if isinstance(value, of)), None)
    given = f"the {kind} {name_of(value)!r}" if kind else f"an object of type {type(value).__name__!r}"
    raise CustomObjectConflictError(
        needed.name,
        problem=f"{given} was given where a {wanted} is needed",
        hint=f"pass the {wanted} itself: custom_objects={{{_asked(needed)!r}: …}}",
    )


def _shadowing(needed: ObjectInfo, value: object, more: str = "") -> CustomObjectConflictError:
    return CustomObjectConflictError(
        needed.name,
        problem=f"the file does not say whether it means Keras's own {needed.kind} or {described(value)}",
        hint=f"say which one: custom_objects={{{needed.name!r}: …}}{more}",
    )


def _put(found: dict[str, object], key: str, needed: ObjectInfo, value: object) -> None:
    if found.setdefault(key, value) is not value:
        raise CustomObjectConflictError(
            needed.name,
            problem=f"the file means {described(found[key])} here and {described(value)} there",
            hint="rename one of the two classes, and give both under the names in the file",
        )
