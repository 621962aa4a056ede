"""From the names of a judged config to the objects that they mean.

Owns the choice of every class and function; Keras's own look-up is not asked. Layer: runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from safeload.errors import IncompatibleVersionError
from safeload.runtime._keras_package import keywords_of, symbol

_EXPLICIT = {"data_format": "channels_last"}
"""Keywords that Keras fills from process-wide settings when a config leaves them out."""


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
        scope: Filled by `rewrite`: what to put into the custom-object scope.
    """

    keras: ModuleType
    custom: Mapping[str, Any]
    compat: Mapping[str, Any]
    where: str
    scope: dict[str, Any] = field(default_factory=dict)

    def rewrite(self, config: Any) -> Any:
        """Return a deep copy of *config* with every object renamed, and fill *scope*."""
        if isinstance(config, list | tuple):
            return [self.rewrite(item) for item in config]
        if not isinstance(config, dict):
            return config
        copied = {key: self.rewrite(value) for key, value in config.items()}
        return self._renamed(copied) if _is_object(copied) else copied

    def _renamed(self, entry: dict[str, Any]) -> dict[str, Any]:
        is_function = entry["class_name"] == "function"
        name = entry["config"] if is_function else entry["class_name"]
        found = self.resolve(entry.get("module"), name, entry.get("registered_name"))
        key = f"safeload>{len(self.scope)}:{name}"
        self.scope[key] = found
        renamed = {**entry, "module": None, "registered_name": key}
        if is_function:
            renamed["config"] = key
        elif isinstance(entry["config"], dict):
            renamed["config"] = {**_defaults(entry, found), **entry["config"]}
        return renamed

    def resolve(self, module: str | None, name: str, registered_name: str | None) -> Any:
        """Return what *name* means here.

        Raises:
            IncompatibleVersionError: ``incompatible-version``. The installed Keras has no such object.
        """
        if module == "safeload.compat":
            return self.compat[name]
        if module and module.partition(".")[0] == "keras" and not registered_name:
            # planning puts a custom class that takes a built-in's place under the full name of the built-in.
            found = self.custom.get(f"{module}.{name}") or symbol(self.keras, module, name)
        else:
            found = next((self.custom[n] for n in (registered_name, name) if n in self.custom), None)
        if found is None:
            raise IncompatibleVersionError(
                self.where,
                problem=f"{module or 'the model'} names {name!r}, which {self.keras.__name__} {self.keras.__version__} does not have",
                hint="upgrade keras, or pass an object of this name in custom_objects=",
            )
        return found


def _is_object(entry: dict[str, Any]) -> bool:
    name = entry.get("class_name")
    return isinstance(name, str) and "config" in entry and "module" in entry and not name.startswith("__")


def _defaults(entry: dict[str, Any], found: Any) -> dict[str, Any]:
    """Return process-wide settings as explicit keywords, so that the process cannot change them."""
    if entry.get("module") != "keras.layers":
        return {}
    accepted = keywords_of(found) or frozenset()
    explicit: dict[str, Any] = {k: v for k, v in _EXPLICIT.items() if k in accepted}
    if entry["class_name"] == "InputLayer":
        explicit["dtype"] = "float32"
    return explicit
