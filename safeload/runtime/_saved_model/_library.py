"""Functions of a judged SavedModel, registered with TensorFlow as they were judged. Layer: runtime.

Registering a FunctionDef costs a fraction of building a Python graph for it. Names of functions and of
shared resources are made unique, so that two loads in one process never meet.

Source: function_deserialization.py and TFE_ContextAddFunctionDef (TensorFlow 2.21).
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from tensorflow.core.framework import function_pb2
from tensorflow.python.eager import context
from tensorflow.python.framework import op_def_registry, ops

from safeload.inspection.op_classes import op_table
from safeload.runtime._saved_model._devices import GRADIENT_ATTRIBUTE, leave_process
from safeload.runtime._unfused import keep_apart


class NotUnderstoodError(Exception):
    """This part of a SavedModel is left to `tf.saved_model.load`."""


class FunctionLibrary:
    """The function library of one MetaGraph; a function is registered when it is first needed.

    Args:
        library: The judged `FunctionDefLibrary`.
    """

    def __init__(self, library: Any) -> None:
        self._functions = {function.signature.name: function for function in library.function}
        self._gradients = {g.registered_op_type: g.gradient_func for g in library.registered_gradients}
        self.uid = ops.uid()
        self._suffix = f"_load_{self.uid}"
        self._registered: list[str] = []
        self._definitions: dict[str, function_pb2.FunctionDef] = {}
        # Not at exit: TensorFlow's context may be gone by then.
        self._finalizer = weakref.finalize(self, _remove, self._registered)
        self._finalizer.atexit = False

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def definition(self, name: str) -> Any:
        """Return the judged FunctionDef *name*."""
        return self._functions[name]

    def register(self, name: str) -> str:
        """Make *name* and what it calls known to TensorFlow.

        Returns:
            The name under which it can be executed.
        """
        for reached in self.reached([name]):
            if reached not in self._definitions:
                self._definitions[reached] = self._renamed(reached)
                context.context().add_function_def(self._definitions[reached])
                self._registered.append(self._unique(reached))
        return self._unique(name)

    def renamed(self, name: str) -> function_pb2.FunctionDef:
        """Make *name* and what it calls known to TensorFlow, and return it as it is known."""
        self.register(name)
        return self._definitions[name]

    def reached(self, names: Iterable[str], *, with_gradients: bool = False) -> list[str]:
        """Return *names* and every function that they call, directly or not.

        Args:
            names: Functions of the library.
            with_gradients: True to count the functions that compute custom gradients.
        """
        found: dict[str, None] = {}
        stack = [name for name in names if name in self._functions]
        while stack:
            name = stack.pop()
            if name not in found:
                found[name] = None
                stack.extend(n for n in self._called(name, with_gradients=with_gradients) if n in self._functions)
        return list(found)

    def close(self) -> None:
        """Remove what was registered."""
        self._finalizer()

    def _called(self, name: str, *, with_gradients: bool) -> Iterator[str]:
        for node in self._functions[name].node_def:
            yield node.op
            yield from (function.name for function in self._functions_of(node))
            if with_gradients and GRADIENT_ATTRIBUTE in node.attr:
                yield self._gradients.get(node.attr[GRADIENT_ATTRIBUTE].s.decode(), "")

    def _functions_of(self, node: Any) -> Iterator[Any]:
        """Yield every function that the attributes of *node* name; those of most stock ops never do."""
        if not op_table().is_plain(node.op) or node.op in self._functions:
            for value in node.attr.values():
                yield from _functions_in(value)

    def _unique(self, name: str) -> str:
        return f"{name}{self._suffix}"

    def _renamed(self, name: str) -> function_pb2.FunctionDef:
        definition = function_pb2.FunctionDef.FromString(self._functions[name].SerializeToString())
        definition.signature.name = self._unique(name)
        definition.attr.pop("_input_shapes", None)  # may contradict the shapes of a call
        for node in definition.node_def:
            self._rename(node)
        leave_process(definition.node_def)
        keep_apart(definition.node_def, in_function=True)
        return definition

    def _rename(self, node: Any) -> None:
        if node.op in self._functions:
            node.op = self._unique(node.op)
            return
        op = _described(node.op)
        if not all(map(node.attr.__contains__, op.required)) or not all(
            bound(node.attr[name]) for name, bound in op.bounds if name in node.attr
        ):
            raise NotUnderstoodError(f"attributes of a {node.op} are missing, or wrong")
        for function in self._functions_of(node):
            function.name = self._unique(function.name) if function.name in self._functions else function.name
        if op.shared_name is not None:
            shared_name = (node.attr["shared_name"].s or op.shared_name or node.name.encode()) + self._suffix.encode()
            node.attr["shared_name"].s = shared_name


def _functions_in(value: Any) -> Iterator[Any]:
    """Yield every function that an attribute names, at any depth."""
    pending = [value]
    while pending:
        value = pending.pop()
        kind = value.WhichOneof("value")
        for function in (value.func,) if kind == "func" else value.list.func if kind == "list" else ():
            yield function
            pending.extend(function.attr.values())


class _Op(NamedTuple):
    """What is to be known of an op.

    Attributes:
        required: Its attributes without a default.
        bounds: Whether a value may be that of an attribute, for those that are bound to some.
        shared_name: The default of its attribute ``shared_name``; None for an op that shares nothing.
    """

    required: tuple[str, ...] = ()
    bounds: tuple[tuple[str, Callable[[Any], bool]], ...] = ()
    shared_name: bytes | None = None


@functools.cache
def _described(op: str) -> _Op:
    """Describe *op*. TensorFlow looks at this while it imports a graph, not when a function is registered.

    Its optimizer and its kernels trust in it all the same: where it is not so, they end the process.
    """
    definition = op_def_registry.get(op)
    attributes = {attribute.name: attribute for attribute in definition.attr} if definition else {}
    shared = attributes.get("shared_name")
    required = tuple(name for name, attribute in attributes.items() if not attribute.HasField("default_value"))
    bounds = tuple((name, bound) for name, attribute in attributes.items() if (bound := _bound(attribute)) is not None)
    return _Op(required, bounds, None if shared is None else shared.default_value.s)


def _bound(attribute: Any) -> Callable[[Any], bool] | None:
    """Return what tells whether a value may be that of *attribute*, an `OpDef.AttrDef`, if not all may."""
    allowed, least = attribute.allowed_values.list, attribute.minimum
    if attribute.type == "type" and allowed.type:
        types = frozenset(allowed.type)
        return lambda value: value.type in types
    if attribute.type == "string" and allowed.s:
        texts = frozenset(allowed.s)
        return lambda value: value.s in texts
    if attribute.type == "int" and attribute.has_minimum:
        return lambda value: bool(value.i >= least)
    if attribute.type.startswith("list") and attribute.has_minimum:
        return lambda value: sum(len(found) for _, found in value.list.ListFields()) >= least
    return None


def _remove(names: list[str]) -> None:
    for name in names:
        context.context().remove_function(name)
    names.clear()
