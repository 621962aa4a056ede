"""Load any TensorFlow or Keras model file as a plain function, after looking before running.

The public names are imported on first use, so that ``import safeload`` costs
next to nothing and loads neither TensorFlow nor numpy nor h5py.
"""

from __future__ import annotations

from safeload import _fork  # noqa: F401 - before anybody forks

__version__ = "0.1.0"
"""The release; the build takes it from here, so that asking for it looks nothing up."""

TYPE_CHECKING = False  # type checkers take it for true; importing typing would be all that this module costs

if TYPE_CHECKING:
    from safeload import errors
    from safeload._limits import Limits
    from safeload._load import (
        as_callable,
        custom_objects_for,
        explain,
        inspect_model,
        load_callable,
        wrap_loader,
    )
    from safeload._report import InspectionReport
    from safeload._save import save_callable
    from safeload.errors import SafeloadError
    from safeload.formats import Format
    from safeload.policy import Finding
    from safeload.registry import register, register_module
    from safeload.runtime import ModelCallable

# Where each public name is defined; the order is that of the documentation.
_HOMES = {
    "load_callable": "safeload._load",
    "inspect_model": "safeload._load",
    "as_callable": "safeload._load",
    "wrap_loader": "safeload._load",
    "register_module": "safeload.registry",
    "register": "safeload.registry",
    "custom_objects_for": "safeload._load",
    "save_callable": "safeload._save",
    "explain": "safeload._load",
    "ModelCallable": "safeload.runtime",
    "InspectionReport": "safeload._report",
    "Finding": "safeload.policy",
    "Limits": "safeload._limits",
    "Format": "safeload.formats",
    "SafeloadError": "safeload.errors",
}

__all__ = [
    "Finding",
    "Format",
    "InspectionReport",
    "Limits",
    "ModelCallable",
    "SafeloadError",
    "as_callable",
    "custom_objects_for",
    "errors",
    "explain",
    "inspect_model",
    "load_callable",
    "register",
    "register_module",
    "save_callable",
    "wrap_loader",
]


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: TID251 - of the table above alone

    if name == "errors":
        return import_module("safeload.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'safeload' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
