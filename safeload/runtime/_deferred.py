"""Variables that wait for their values, so that no initialisation runs for what the file sets.

Owns the one variable creator that is installed while a model is built: TensorFlow keeps creators for each thread, and
what this one does not understand is created as always. Layer: runtime.
"""

from __future__ import annotations

import functools
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import ResourceVariable, UninitializedVariable

_LOG = logging.getLogger("safeload")

_KEPT = ("trainable", "name", "dtype", "constraint", "synchronization", "aggregation")
"""Arguments of a creator that a variable without a value takes.

Source: tensorflow/python/ops/resource_variable_ops.py (TensorFlow 2.21).
"""


class _Waiting(ResourceVariable):  # type: ignore[misc]
    """A variable that takes its initial value when something asks for it, unless it is assigned before."""

    @property
    def handle(self) -> Any:
        """The resource, initialised."""
        initialise(self)
        return self._handle

    def assign(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Take *value* in place of the initial one."""
        initial = _released(self)
        try:
            return self.assign(value, *args, **kwargs)
        except BaseException:
            _assign_initial(self, initial)
            raise


def initialise(variable: Any) -> None:
    """Give *variable* its initial value if it still waits."""
    if type(variable) is _Waiting:
        _assign_initial(variable, _released(variable))


def _released(variable: Any) -> Callable[[], Any]:
    initial: Callable[[], Any] = variable.__dict__.pop("_safeload_initial")
    variable.__class__ = ResourceVariable
    return initial


def _assign_initial(variable: Any, initial: Callable[[], Any]) -> None:
    with tf.init_scope():
        variable.assign(tf.convert_to_tensor(initial(), dtype=variable.dtype), read_value=False)


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
        variable = UninitializedVariable(shape=wanted.shape, **kept)
        variable.__dict__["_safeload_initial"] = options["initial_value"]
        variable.__class__ = _Waiting
        self.deferred += 1
        self._made.append(weakref.ref(variable))
        return variable

    def finish(self) -> None:
        """Initialise what no array was for: state of metrics, variables that belong to no layer."""
        for reference in self._made:
            initialise(reference())


@contextmanager
def deferred_variables(where: str) -> Iterator[Deferral]:
    """Create variables without values in this thread; leave none of them waiting at the end.

    The ordinary way is taken inside a graph, under `tf.distribute`, and where the caller has installed a creator.
    """
    deferral = Deferral()
    if not tf.executing_eagerly() or tf.distribute.has_strategy() or _has_creators():
        _LOG.info("%s: variables built with initial values", where)
        yield deferral
        return
    with tf.variable_creator_scope(deferral.create):
        yield deferral
    deferral.finish()
    _LOG.info("%s: %d variables built without initial values, %d with", where, deferral.deferred, deferral.ordinary)


def _has_creators() -> bool:
    return bool(tf.compat.v1.get_default_graph()._variable_creator_stack)  # noqa: SLF001


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
