"""Values of a call against the constants that a function was traced with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeload.inspection._info import TypedConstant
from safeload.signatures._choose import TRAINING_NAMES

if TYPE_CHECKING:
    from safeload.inspection._info import CallStructure


def is_left_out(structure: CallStructure, name: str, constant: Any) -> bool:
    """Tell whether a call that leaves *name* out reaches the trace for *constant*."""
    defaults = dict(structure.defaults)
    return name in TRAINING_NAMES or (name in defaults and same_constant(constant, defaults[name]))


def same_constant(tree: Any, value: Any) -> bool:
    """Tell whether *value* is the constant *tree*, and of its type."""
    value = _typed(value) if isinstance(tree, TypedConstant) else _plain(value)
    return type(tree) is type(value) and bool(tree == value)


def _plain(value: Any) -> Any:
    """Return a scalar of numpy as the Python value that it is, and anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def is_off(value: Any) -> bool:
    """Tell whether *value* says no to training, as code around Keras models does: False, 0, a scalar, a tensor."""
    try:
        plain = _plain(value.numpy() if hasattr(value, "numpy") else value)
    except NotImplementedError:  # of a variable, while a graph is built
        return False
    return isinstance(plain, int) and not plain


def _typed(value: Any) -> Any:
    """Describe a dtype or a shape of TensorFlow; return anything else as it is."""
    if hasattr(value, "as_datatype_enum"):
        return TypedConstant("dtype", value.name)
    if hasattr(value, "as_list") and hasattr(value, "rank"):
        return TypedConstant("shape", None if value.rank is None else tuple(value.as_list()))
    return value
