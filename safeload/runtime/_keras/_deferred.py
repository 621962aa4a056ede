"""Variables that wait for their values, so that no initialisation runs for what the file sets.

Owns the one variable creator that is installed while a model is built: TensorFlow keeps creators for each thread, and
what this one does not understand is created as always. Layer: runtime.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops.handle_data_util import create_handle_data
from tensorflow.python.ops.resource_variable_ops import (
    BaseResourceVariable,
    ResourceVariable,
    _variable_handle_from_shape_and_dtype,
)

from safeload.runtime._log import LOG
from safeload.runtime._variable_function import filled

_KEPT = ("trainable", "name", "dtype", "constraint", "synchronization", "aggregation")
"""Arguments of a creator that a variable without a value takes.

Source: tensorflow/python/ops/resource_variable_ops.py (TensorFlow 2.21).
"""


class _Waiting(ResourceVariable):  # type: ignore[misc]
    """A variable that is made when something asks for it, with what it was assigned before or its initial value."""

    @property
    def _handle(self) -> Any:
        """The resource, made and filled."""
        initialise(self)
        return self.__dict__["_handle"]

    @_handle.setter
    def _handle(self, handle: Any) -> None:
        self.__dict__["_handle"] = handle

    def assign(self, value: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:  # noqa: FBT001, FBT002
        """Take *value* in place of the initial one, without making the variable if it fits as it is."""
        if tf.executing_eagerly() and _fits(self, value):
            self.__dict__["_safeload_value"] = value
            return self if read_value else None
        initial = self.__dict__["_safeload_initial"] if "_safeload_value" not in self.__dict__ else None
        _make(self)
        try:
            return self.assign(value, use_locking, name, read_value)
        except BaseException:
            if initial is not None:
                _assign_initial(self, initial)
            raise


def _fits(variable: _Waiting, value: Any) -> bool:
    return type(value) is ops.EagerTensor and value.dtype == variable.dtype and value.shape == variable.shape


def initialise(variable: Any) -> None:
    """Make *variable* and give it its value if it still waits."""
    if type(variable) is _Waiting:
        value, initial = variable.__dict__.get("_safeload_value"), variable.__dict__["_safeload_initial"]
        _make(variable)
        if value is None:
            _assign_initial(variable, initial)


def _make(variable: _Waiting) -> None:
    """Make the resource of one variable, and assign what it was given."""
    with tf.init_scope():
        handle = _variable_handle_from_shape_and_dtype(variable.shape, variable.dtype, None, variable.name, False)
        value = variable.__dict__.get("_safeload_value")
        _complete(variable, handle)
        if value is not None:
            variable.assign(value, read_value=False)


def _complete(variable: _Waiting, handle: Any) -> None:
    """Give *variable* its resource: from now on it is any variable of TensorFlow.

    Source: ``UninitializedVariable`` of tensorflow/python/ops/resource_variable_ops.py (TensorFlow 2.21).
    """
    handle._parent_trackable = weakref.ref(variable)  # noqa: SLF001
    handle._name, handle._unique_id = variable._handle_name, variable._unique_id  # noqa: SLF001
    variable._handle = handle  # noqa: SLF001
    for name in ("_safeload_initial", "_safeload_value"):
        variable.__dict__.pop(name, None)
    variable.__class__ = ResourceVariable


def _assign_initial(variable: Any, initial: Callable[[], Any]) -> None:
    with tf.init_scope():
        variable.assign(tf.convert_to_tensor(initial(), dtype=variable.dtype), read_value=False)


def _waiting(shape: Any, initial: Callable[[], Any], options: dict[str, Any]) -> _Waiting:
    variable = _Waiting.__new__(_Waiting)
    variable.__dict__["_safeload_initial"] = initial
    with tf.init_scope(), ops.name_scope(options.pop("name", None), "Variable", skip_on_eager=False) as scope:
        name = ops.name_from_scope_name(scope)
    BaseResourceVariable.__init__(
        variable,
        shape=shape,
        handle=None,
        handle_name=name,
        unique_id=f"{name}_{ops.uid()}",
        in_graph_mode=False,
        **options,
    )
    return variable


def _make_together(variables: Sequence[_Waiting]) -> None:
    """Make variables that were assigned."""
    with tf.init_scope():
        handles = filled([variable.__dict__["_safeload_value"] for variable in variables])
        for variable, handle in zip(variables, handles, strict=True):
            handle._handle_data = create_handle_data(variable.shape, variable.dtype)  # noqa: SLF001
            _complete(variable, handle)


class Deferral:
    """The variables of one build.

    Attributes:
        deferred: How many variables waited.
        ordinary: How many were created as always.
    """

    def __init__(self) -> None:
        self.deferred = 0
        self.ordinary = 0
        self._made: list[weakref.ref[Any]] = []

    def create(self, next_creator: Callable[..., Any], **options: Any) -> Any:
        """Create a variable without a value if its initial value is that of an initializer of Keras's own."""
        wanted = _wanted(options.get("initial_value"))
        if wanted is None or options.get("caching_device") is not None:
            self.ordinary += 1
            return next_creator(**options)
        kept = {name: options[name] for name in _KEPT if name in options}
        variable = _waiting(wanted.shape, options["initial_value"], kept)
        self.deferred += 1
        self._made.append(weakref.ref(variable))
        return variable

    def finish(self) -> None:
        """Make all that wait; initialise what no array was for, such as variables that belong to no layer."""
        waiting = [variable for reference in self._made if type(variable := reference()) is _Waiting]
        _make_together([variable for variable in waiting if "_safeload_value" in variable.__dict__])
        for variable in waiting:
            initialise(variable)


@contextmanager
def deferred_variables(where: str) -> Iterator[Deferral]:
    """Create variables without values in this thread; leave none of them waiting at the end.

    The ordinary way is taken inside a graph, under `tf.distribute`, and where the caller has installed a creator.
    """
    deferral = Deferral()
    if not defers_variables():
        LOG.info("%s: variables built with initial values", where)
        yield deferral
        return
    with tf.variable_creator_scope(deferral.create):
        yield deferral
    deferral.finish()
    LOG.info("%s: %d variables built without initial values, %d with", where, deferral.deferred, deferral.ordinary)


def defers_variables() -> bool:
    """Tell whether variables may be made in another way than by the calls that somebody may listen to."""
    has_creators = bool(tf.compat.v1.get_default_graph()._variable_creator_stack)  # noqa: SLF001
    return tf.executing_eagerly() and not tf.distribute.has_strategy() and not has_creators


class _Wanted(NamedTuple):
    shape: Any


def _wanted(initial_value: Any) -> _Wanted | None:
    """Return the shape that an initializer of Keras would fill, or None for any other initial value.

    Keras 3 passes a closure over the initializer and the variable, tf_keras a partial.
    Source: ``_initialize_with_initializer`` of keras 3.15.1 ``backend/tensorflow/core.py``; ``make_variable`` of
    tf_keras 2.21 ``engine/base_layer_utils.py``.
    """
    if isinstance(initial_value, functools.partial):
        named, shape = {"initializer": initial_value.func}, next(iter(initial_value.args), None)
    elif isinstance(initial_value, FunctionType) and initial_value.__closure__:
        cells = (cell.cell_contents for cell in initial_value.__closure__)
        named = dict(zip(initial_value.__code__.co_freevars, cells, strict=True))
        shape = getattr(named.pop("self", None), "shape", None)
    else:
        return None
    if named.keys() != {"initializer"} or shape is None or not _is_pure(named["initializer"]):
        return None
    return _Wanted(shape)


def _is_pure(initializer: Any) -> bool:
    """Tell whether *initializer* is a class of Keras's own that changes nothing but what it returns."""
    cls = type(initializer)
    is_own = cls.__module__.startswith(("keras.src.initializers.", "tf_keras.src.initializers."))
    return is_own and isinstance(getattr(initializer, "seed", None), (int, type(None)))
