"""The short way of a call: arguments of a form that was bound before. Layer: runtime.

`bind` answers the same questions for every call of one form (so many positions, these keywords). Once it has, and
where values are arrays or tensors of exactly the dtype and shape that are wanted, nothing is left to ask. Anything
else goes the long way, which explains what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context, record
from tensorflow.python.framework import ops

from safeload.runtime._callable._tensors import from_array
from safeload.runtime._eager_function import Flat

if TYPE_CHECKING:
    from safeload.inspection import SignatureInfo, TensorInfo

Function = Callable[[Mapping[str, Any]], Any]
Form = tuple[Any, ...]
"""How many values are passed by position, and the keywords of the others."""

_PLAIN = (np.ndarray, ops.EagerTensor)
"""Types that no nesting of arguments looks into. Compared exactly: subclasses may mean something else."""


class FastCall:
    """A call of one form: which input each argument is, and what it must be.

    Args:
        inputs: The inputs, in the order in which the form passes them.
        function: What answers.
    """

    def __init__(self, inputs: Sequence[TensorInfo], function: Function) -> None:
        self._checks = tuple((_numpy_dtype(info), tf.as_dtype(info.dtype), info.shape) for info in inputs)
        self._names = [info.name for info in inputs]
        self._function = function
        self._plain: Callable[[Flat], Any] | None = getattr(function, "plain", None)
        self._order = [self._names.index(name) for name in sorted(self._names)]

    def __call__(self, values: Sequence[Any]) -> Any:
        """Run the function; NotImplemented for values that need the long way."""
        running = context.context()
        if not running.executing_eagerly():
            return NotImplemented
        tensors = []
        for value, (numpy_dtype, tensor_dtype, shape) in zip(values, self._checks, strict=True):
            kind = type(value)
            if kind is np.ndarray:
                if value.dtype != numpy_dtype or not _fits(value.shape, shape):
                    return NotImplemented
                tensors.append(from_array(value))
            elif kind is ops.EagerTensor and value.dtype == tensor_dtype and _fits(value.shape, shape):
                tensors.append(value)
            else:
                return NotImplemented
        if self._plain is not None and not record.could_possibly_record():
            return self._plain([tensors[index] for index in self._order])
        return self._function(dict(zip(self._names, tensors, strict=True)))


def learned(
    trace: SignatureInfo, args: Sequence[Any], kwargs: Mapping[str, Any], bound: Mapping[str, Any], function: Function
) -> FastCall | None:
    """Return the short way for calls of the form of this one, if there is one.

    Args:
        trace: What was called.
        args: Positional arguments of a call that succeeded.
        kwargs: Its keyword arguments.
        bound: Input name → value, as `bind` assigned them.
        function: What answered, given exactly these inputs.
    """
    values = [*args, *kwargs.values()]
    names = {id(value): name for name, value in bound.items()}
    inputs = {info.name: info for info in trace.inputs if info.kind == "tensor" and info.dtype is not None}
    is_plain = all(type(value) in _PLAIN and names.get(id(value)) in inputs for value in values)
    # Parts of a composite tensor have to fit one another.
    if trace.composites or not is_plain or not len(names) == len(bound) == len(values):
        return None
    return FastCall([inputs[names[id(value)]] for value in values], function)


def _fits(have: Any, want: tuple[int | None, ...] | None) -> bool:
    if want is None:
        return True
    return len(have) == len(want) and all(w is None or h == w for h, w in zip(have, want, strict=True))


def _numpy_dtype(info: TensorInfo) -> Any:
    """Return the numpy dtype that needs no cast; for strings, whose arrays have many dtypes, one that nothing has."""
    return np.dtype("V") if info.dtype == "string" else np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype)
