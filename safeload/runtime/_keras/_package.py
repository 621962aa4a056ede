"""The one place that touches what Keras 3 and tf_keras do not document.

Owns reading symbols, layers and variables of either package. Layer: runtime.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, cast

from safeload.dialects import KerasTarget
from safeload.errors import MissingDependencyError

_OPERATIONS = "keras.src.ops."
"""Where Keras 3 keeps the operation classes of Functional models (``keras.src.ops.numpy.Einsum``), not exported."""

_UNEXPORTED = dict.fromkeys(("TFDConcat", "TFDIdentity"), "keras.src.layers.preprocessing.feature_space")
"""Layers of Keras 3 that FeatureSpace makes, and where they are: not among its layers."""


def import_keras(package: str) -> ModuleType:
    """Import ``keras`` or ``tf_keras``.

    Raises:
        MissingDependencyError: ``missing-dependency``. tf_keras is not installed.
    """
    if package == "keras":
        import keras

        return cast("ModuleType", keras)
    try:
        import tf_keras
    except ImportError as error:
        raise MissingDependencyError("this model", package="tf_keras (Keras 2)", install="safeload[keras2]") from error
    return cast("ModuleType", tf_keras)


def without_safe_mode() -> AbstractContextManager[None]:
    """Return a context in which layers of tf_keras unmarshal the bytecode of their configs."""
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    return cast("AbstractContextManager[None]", SafeModeScope(safe_mode=False))


def package_of(model: Any) -> ModuleType:
    """Return the Keras package whose Model class *model* extends."""
    names = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    return import_keras("tf_keras" if "tf_keras" in names else "keras")


def symbol(keras: ModuleType, module: str, name: str) -> Any:
    """Return the attribute *name* of the public *module* of Keras, or None.

    Guarantees:
        Imports nothing: only attributes of the package, which its own import has loaded, are followed.
    """
    if name == "Functional":
        return _functional_class(keras)
    owner: Any = keras
    if module.startswith(_OPERATIONS) and keras.__name__ == "keras":
        return getattr(sys.modules.get(module), name, None)
    if name in _UNEXPORTED and (module, keras.__name__) == ("keras.layers", "keras"):
        return getattr(sys.modules.get(_UNEXPORTED[name]), name, None)
    for part in module.split(".")[1:]:
        owner = getattr(owner, part, None)
    return getattr(owner, name, None)


def _functional_class(keras: ModuleType) -> Any:
    found = (
        sys.modules.get(f"{keras.__name__}.src.models.functional")
        or sys.modules[f"{keras.__name__}.src.engine.functional"]
    )
    return found.Functional


def installed_target(keras: ModuleType, compat: dict[str, Any]) -> KerasTarget:
    """Describe the installed *keras* for `dialects.lower`; *compat* are safeload's own objects by name."""

    def accepts(module: str, class_name: str) -> frozenset[str] | None:
        found = compat.get(class_name) if module == "safeload.compat" else symbol(keras, module, class_name)
        if found is None:
            raise KeyError((module, class_name))
        return keywords_of(found)

    numbers = tuple(int(part) for part in keras.__version__.split(".")[:3] if part.isdigit())
    return KerasTarget(package=keras.__name__, version=numbers, accepts=accepts)


def keywords_of(cls: Any) -> frozenset[str] | None:
    """Return the keywords that the constructor of *cls* takes, or None if it takes any.

    ``**kwargs`` is followed up to Keras's ``Layer``, which refuses what it does not know.
    """
    return _keywords(cls) if inspect.isclass(cls) and _is_of_package(cls) else _read_keywords(cls)


def _is_of_package(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in ("keras", "tf_keras", "safeload")


def _read_keywords(cls: Any) -> frozenset[str] | None:
    names: set[str] = set()
    for base in inspect.getmro(cls) if inspect.isclass(cls) else ():
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {"self"}
        if base.__name__ == "Layer" or not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return frozenset(names)
    return None


_keywords: Callable[[Any], frozenset[str] | None] = functools.cache(_read_keywords)
"""For classes that live as long as the process; holding on to those of a caller would keep them alive."""


def own_variables(layer: Any) -> list[Any]:
    """Return the variables that *layer* itself holds, trainable ones first, without its sublayers."""
    trainable = getattr(layer, "_trainable_variables", None)
    if trainable is not None and not callable(trainable):
        return [*trainable, *layer._non_trainable_variables]  # noqa: SLF001
    return [*getattr(layer, "_trainable_weights", ()), *getattr(layer, "_non_trainable_weights", ())]


def set_value(variable: Any, value: Any) -> None:
    """Set *variable* to the tensor *value*, of its shape and dtype."""
    inner = getattr(variable, "_value", variable)  # Keras 3 wraps the variable of TensorFlow
    inner.assign(value, read_value=False)


def has_own_loader(layer: Any) -> bool:
    """Tell whether the caller's class, not Keras, decides how *layer* takes its arrays."""
    owner = next(base for base in type(layer).__mro__ if "load_own_variables" in vars(base))
    return owner.__module__.partition(".")[0] not in ("keras", "tf_keras")


def is_quantized(layer: Any) -> bool:
    """Tell whether Keras computes *layer* with int4, int8 or float8 weights."""
    return getattr(getattr(layer, "dtype_policy", None), "quantization_mode", None) is not None


def flat_layers(layer: Any) -> Iterator[Any]:
    """Yield *layer* and every layer inside it."""
    return iter(layer._flatten_layers())  # noqa: SLF001


def sublayers(layer: Any) -> list[Any]:
    """Return the layers directly inside *layer*."""
    return list(layer._flatten_layers(recursive=False, include_self=False))  # noqa: SLF001


def is_container(layer: Any) -> bool:
    """Tell whether *layer* is a model that lists its layers: Sequential or Functional."""
    names = {base.__name__ for base in type(layer).__mro__}
    return bool(names & {"Sequential", "Functional"})


def is_trackable(thing: Any) -> bool:
    """Tell whether Keras saves the state of *thing*: a layer, a metric, a seed generator."""
    return hasattr(thing, "load_own_variables") and not inspect.isclass(thing)


def is_own_class(layer: Any) -> bool:
    """Tell whether the class of *layer* belongs to Keras or safeload, not to the caller."""
    return _is_of_package(type(layer))
