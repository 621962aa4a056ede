"""Whether a class of the caller's can be made from a config, told without a call. Layer: runtime."""

from __future__ import annotations

import inspect
from typing import Any

from safeload.runtime._keras._package import keywords_of

_LAYER_KEYWORDS = frozenset(
    {"name", "trainable", "dtype", "batch_shape", "batch_input_shape", "input_shape", "input_dim"}
)
"""Keywords that every Layer takes through ``**kwargs``. Source: keras 3.15.1 ``Layer.__init__``."""

_PLAIN = frozenset(
    {"Constraint", "Initializer", "Layer", "Loss", "Metric", "Model", "Operation", "Optimizer", "Regularizer"}
)
"""Classes of Keras whose ``from_config`` calls the constructor with the config; others may change it before."""


def misfit(cls: Any, config: dict[str, Any]) -> str | None:
    """Say why *cls* cannot be made from *config*, if that can be told without calling it."""
    if inspect.isabstract(cls):
        return f"is abstract: it does not define {', '.join(sorted(cls.__abstractmethods__))}"
    if not hasattr(cls, "from_config"):
        return "has no from_config, so it is no class of Keras"
    if not is_default_from_config(cls) or {"layers", "input_layers"} <= config.keys():
        return None
    accepted = keywords_of(cls)
    unknown = sorted(config.keys() - (accepted or config.keys()) - _LAYER_KEYWORDS - _popped(cls))
    if unknown:
        return f"does not take {', '.join(unknown)}, which the file records"
    missing = [name for name in _required_keywords(cls) if name not in config]
    return f"needs {', '.join(missing)}, which the file does not record" if missing else None


def refused(cls: Any, config: dict[str, Any]) -> list[str]:
    """Return what of *config* every layer records, and the caller's constructor refuses, for want of ``**kwargs``."""
    owner = next(base for base in inspect.getmro(cls) if "__init__" in vars(base))
    parameters = inspect.signature(vars(owner)["__init__"]).parameters
    if (
        _is_of_keras(owner)
        or not is_default_from_config(cls)
        or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    ):
        return []
    return sorted({"name", "trainable", "dtype"} & config.keys() - parameters.keys())


def _popped(cls: Any) -> set[str]:
    """Return what constructors of *cls* and above may take out of their ``**kwargs``: their code names it."""
    bases = (base for base in inspect.getmro(cls) if not (_is_of_keras(base) and base.__name__ in _PLAIN))
    constructors = (inspect.unwrap(vars(base)["__init__"]) for base in bases if "__init__" in vars(base))
    codes = (constructor.__code__ for constructor in constructors if inspect.isfunction(constructor))
    return {constant for code in codes for constant in code.co_consts if isinstance(constant, str)}


def _required_keywords(cls: Any) -> list[str]:
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    named = (p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    return [p.name for p in named if p.default is p.empty]


def is_default_from_config(cls: Any) -> bool:
    defined = next((base for base in inspect.getmro(cls) if "from_config" in vars(base)), None)
    return defined is not None and _is_of_keras(defined) and defined.__name__ in _PLAIN


def _is_of_keras(cls: Any) -> bool:
    return cls.__module__.partition(".")[0] in ("keras", "tf_keras")
