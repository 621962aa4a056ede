"""Calls of Keras models that record no inputs: only their own ``call`` tells what they take. Layer: runtime."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from safeload._explain import first_line
from safeload.errors import InputMismatchError

_OF_KERAS = frozenset({"self", "training", "mask"})
"""Parameters of ``call`` that are no inputs: Keras fills them in. Source: ``Layer.__call__`` (keras 3.15, tf_keras)."""

_REFUSALS = (TypeError, ValueError, LookupError, AttributeError)
"""What Keras and the code of a model raise for arguments that they do not take."""

_PLAIN = (bool, int, float, complex, str, bytes)


def call_unrecorded(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call *model* for inference with what its ``call`` takes.

    Several values for a model of one input are passed as one list or dict; one list or mapping for a model of several
    inputs is taken apart. Lists of plain values become arrays, which Keras asks for.

    Raises:
        InputMismatchError: ``input-mismatch``. ``call`` does not take the arguments, or fails on them.
    """
    parameters = inspect.signature(model.call).parameters
    first, others = _bound(model, parameters, args, kwargs)
    try:
        required = _required(parameters)  # what has a default may be an option, such as a list of axes
        named = {name: _with_arrays(value) if name in required else value for name, value in others.items()}
        return model(*map(_with_arrays, first), **{**named, "training": False})
    except _REFUSALS as error:
        raise _mismatch(
            model, parameters, f"it fails on these arguments: {type(error).__name__}: {first_line(error)}"
        ) from error


def _with_arrays(value: Any) -> Any:
    """Return *value* with arrays in place of lists of plain values; lists of arrays are what ``call`` nests."""
    if isinstance(value, Mapping):
        return {key: _with_arrays(branch) for key, branch in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    is_plain = all(isinstance(leaf, _PLAIN) for leaf in tf.nest.flatten(value))
    return np.asarray(value) if is_plain else [_with_arrays(branch) for branch in value]


def takes_one_input(model: Any) -> bool:
    """Tell whether one input is enough for ``call`` of *model*."""
    return len(_required(inspect.signature(model.call).parameters)) <= 1


def _bound(
    model: Any, parameters: Mapping[str, inspect.Parameter], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return the positional arguments, one where the model does not take any number of them, and the others by name."""
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return args, dict(kwargs)
    names = _inputs(parameters)
    args, kwargs = _repacked(names, _required(parameters), args, kwargs)
    if len(args) > len(names):
        raise _mismatch(model, parameters, f"{len(args)} arguments are given")
    given = dict(zip(names, args, strict=False))
    if twice := sorted(given.keys() & kwargs.keys()):
        raise _mismatch(model, parameters, f"{', '.join(twice)} given twice")
    unknown = sorted(kwargs.keys() - parameters.keys())
    if unknown and not _takes_any_name(parameters):
        raise _mismatch(model, parameters, f"{', '.join(unknown)} unknown")
    given = {**given, **kwargs}
    if missing := [name for name in _required(parameters) if given.get(name) is None]:
        raise _mismatch(model, parameters, f"{', '.join(missing)} missing")
    first = [given.pop(name) for name in names[:1] if name in given]
    return first, given


def _repacked(
    names: Sequence[str], required: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if len(names) == 1:
        if len(args) > 1:
            return [list(args)], kwargs
        inputs = {name: value for name, value in kwargs.items() if name not in _OF_KERAS}
        if not args and inputs and names[0] not in inputs:
            return [inputs], {name: value for name, value in kwargs.items() if name not in inputs}
    elif len(args) == 1 and not kwargs and len(required) > 1:
        only = args[0]
        if isinstance(only, Mapping) and set(required) <= only.keys() <= set(names):
            return [], only
        if isinstance(only, (list, tuple)) and len(required) <= len(only) <= len(names):
            return only, kwargs
    return args, kwargs


def _inputs(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    return [name for name, p in parameters.items() if name not in _OF_KERAS and p.kind is not p.VAR_KEYWORD]


def _required(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    return [name for name in _inputs(parameters) if _has_no_default(parameters[name])]


def _has_no_default(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL


def _takes_any_name(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _mismatch(model: Any, parameters: Mapping[str, inspect.Parameter], problem: str) -> InputMismatchError:
    named = ", ".join(name for name in parameters if name not in _OF_KERAS)
    return InputMismatchError(
        f"{type(model).__name__}.call takes ({named}); {problem}",
        hint="no inputs of this model are recorded: pass what its call takes, by position or by name",
    )
