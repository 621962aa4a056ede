"""Lambda functions that the caller trusted by name. Layer: runtime."""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Mapping
from types import FunctionType
from typing import Any, cast

from safeload.errors import IncompatibleVersionError, LoadFailedError, UnsafeModelError
from safeload.policy.keras_bytecode import read_bytecode

_HINT = "load it with the Python that saved it, or rebuild the architecture in code and pass architecture="


def trusted_function(config: Any, *, trusted: frozenset[str], names: Mapping[str, Any], where: str) -> FunctionType:
    """Make the function of a ``__lambda__`` entry.

    Args:
        config: Its ``code``, ``defaults`` and ``closure``.
        trusted: Identifiers that the caller permitted; without one for a Lambda nothing is made.
        names: What the function may refer to as globals, beside ``tf``, ``np``, ``K`` and ``keras``.
        where: How messages name the model.

    Raises:
        UnsafeModelError: ``unsafe-model``. No Lambda was trusted: the policy was not asked.
        IncompatibleVersionError: ``incompatible-version``. The bytecode is of another Python.
        LoadFailedError: ``load-failed``. It refers to what nobody gave.
    """
    require_trust(config["code"], trusted=trusted, where=where)
    import keras
    import numpy as np
    import tensorflow as tf
    from keras.src.utils.python_utils import func_load

    known = {"tf": tf, "np": np, "keras": keras, "K": keras.backend, **names}
    try:
        function = func_load(config["code"], config.get("defaults"), config.get("closure"), known)
    except (ValueError, EOFError, TypeError) as error:
        problem = f"the bytecode of a Lambda is of another Python: {error}"
        raise IncompatibleVersionError(where, problem=problem, hint=_HINT) from error
    _require_names(function, where)
    return cast("FunctionType", function)


def require_trust(code: Any, *, trusted: frozenset[str], where: str) -> None:
    """Refuse to let *code* be unmarshalled that nobody trusted, or that another Python wrote.

    Raises:
        UnsafeModelError: ``unsafe-model``. No Lambda was trusted: the policy was not asked.
        IncompatibleVersionError: ``incompatible-version``. The bytecode is of another Python.
    """
    if not any(identifier.startswith("lambda:") for identifier in trusted):
        raise UnsafeModelError(where, findings=())
    _require_own_python(code, where)


def _require_names(function: FunctionType, where: str) -> None:
    """Refuse a function that refers to what is not there: it would fail when it is called."""
    loaded = (i.argval for i in dis.get_instructions(function) if i.opname in {"LOAD_GLOBAL", "LOAD_NAME"})
    unknown = [
        name for name in dict.fromkeys(loaded) if name not in function.__globals__ and not hasattr(builtins, name)
    ]
    if unknown:
        given = ", ".join(f"{name!r}: …" for name in unknown)
        problem = f"a Lambda refers to {', '.join(map(repr, unknown))}, which its file does not hold"
        raise LoadFailedError(where, problem=problem, hint=f"custom_objects={{{given}}} gives what the project had")


def _require_own_python(code: Any, where: str) -> None:
    """Refuse bytecode that another Python wrote before it is unmarshalled: running it can crash the process."""
    found = read_bytecode(code) if isinstance(code, str) else None
    if found is not None and not found.fits(sys.version_info[:2]):
        problem = f"the bytecode of a Lambda is of another Python: {found.python}"
        raise IncompatibleVersionError(where, problem=problem, hint=_HINT)
