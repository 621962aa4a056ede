"""What modules offer that a model can be made of, by name. Layer: beside policy.

This is the one module that imports by name, and only names that the caller gave.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

from safeload.errors import CustomObjectConflictError
from safeload.inspection import ObjectInfo

# Packages whose objects a custom module holds because it imported them, not because it defines them.
_KERAS = frozenset({"keras", "tf_keras"})
_LIBRARIES = _KERAS | {"tensorflow"}


def imported(module: ModuleType | str) -> ModuleType:
    """Return *module*, imported if it is given by its name.

    Raises:
        CustomObjectConflictError: ``custom-object-conflict``. It cannot be imported.
    """
    if isinstance(module, ModuleType):
        return module
    try:
        return importlib.import_module(module)  # noqa: TID251 - the caller named it, never the file
    except (Exception, SystemExit) as error:  # what runs while it is imported is the caller's; a script may exit
        reason = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        raise CustomObjectConflictError(
            module,
            problem=f"this module cannot be imported: {reason}",
            hint="give the module itself, or fix its import name",
        ) from error


def imported_if_possible(module: ModuleType | str) -> ModuleType | None:
    """Return *module*, or None if it cannot be imported."""
    try:
        return imported(module)
    except CustomObjectConflictError:
        return None


def with_parts(
    package: ModuleType | str, load: Callable[[ModuleType | str], ModuleType | None]
) -> Iterator[ModuleType | str]:
    """Yield *package* and the names of its modules at every depth; a package is imported to see what is in it."""
    yield package
    module = load(package)
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{getattr(module, '__name__', '')}."):
        if not found.name.endswith(".__main__"):
            yield from with_parts(found.name, load) if found.ispkg else [found.name]


def offered(modules: Iterable[ModuleType], needed: ObjectInfo) -> list[object]:
    """Return what *modules* offer for *needed*: what models are made of, if there is any.

    Raises:
        CustomObjectConflictError: ``custom-object-conflict``. All that they have is a class that no file can mean, and
            the file needs one.
    """
    found = []
    for module in modules:
        value = next((v for n in names_of(needed) if (v := getattr(module, n, None)) is not None), None)
        if value is not None and is_own(value, module):
            found.append(value)
    serializable = [value for value in found if not isinstance(value, type) or hasattr(value, "get_config")]
    if found and not serializable and not (needed.is_builtin or needed.is_replaceable):
        raise CustomObjectConflictError(
            needed.name,
            problem=f"{described(found[0])} has no get_config, so Keras saves no object of it",
            hint="pass the class that the model was saved with, or derive it from one of Keras",
        )
    return serializable


def is_own(value: object, module: ModuleType) -> bool:
    """Tell whether *value* is a class or function of a project, defined in *module* or re-exported there.

    What a module imports from elsewhere is not offered: the file, not the caller, would choose ``os.system`` from
    ``from os import system``, or ``get`` from ``from requests import get``, and the arguments of the call. Of other
    packages than that of the module there are layers and such, but none of Keras itself, which would be built-in ones.
    """
    home = _root(str(getattr(value, "__module__", "")))
    if home in _LIBRARIES or home in sys.stdlib_module_names:
        return False
    if home == _root(module.__name__):
        return callable(value) and not isinstance(value, ModuleType)
    return isinstance(value, type) and _is_of_keras(value)


def is_of_keras(value: object, name: str) -> bool:
    """Tell whether *value* is the activation *name* of Keras: ``keras.ops.gelu`` is another than its ``gelu``."""
    home = str(getattr(value, "__module__", "")).split(".")
    return name_of(value) == name and home[0] in _KERAS and "activations" in home


def may_be_activation(value: object) -> bool:
    """Tell whether a layer can call *value* on a tensor alone."""
    if isinstance(value, type) or not callable(value):
        return False
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        return False
    except ValueError:  # it does not tell
        return True
    return True


def _root(module: str) -> str:
    return module.partition(".")[0]


def _is_of_keras(value: type) -> bool:
    return any(_root(base.__module__) in _LIBRARIES for base in value.__mro__)


def qualified(needed: ObjectInfo) -> str:
    """Return the name with the recorded module: what tells two classes of one name in one file apart."""
    return f"{needed.module}.{needed.name}"


def bare(name: str) -> str:
    """Return a registered name without its package."""
    return name.rpartition(">")[2]


def names_of(needed: ObjectInfo) -> list[str]:
    """Return the names to look under, the most exact first."""
    exact = qualified(needed) if needed.module else None
    names = [exact, needed.registered_name, needed.name, bare(needed.registered_name or ""), bare(needed.name)]
    return list(dict.fromkeys(name for name in names if name))


def name_of(value: object) -> str:
    """Return what a class or function is called, or the type of anything else."""
    return str(getattr(value, "__name__", None) or type(value).__name__)


def described(value: object) -> str:
    """Return the name of *value* with its module, and where its source is if it has one."""
    name = f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', name_of(value))}"
    try:
        return f"{name} ({inspect.getsourcefile(value)}:{inspect.getsourcelines(value)[1]})"  # type: ignore[arg-type]  # anything callable; TypeError below
    except (OSError, TypeError):
        return name
