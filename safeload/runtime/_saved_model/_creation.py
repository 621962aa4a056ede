"""Tables created and filled by one function. Layer: runtime.

TensorFlow takes milliseconds to prepare a function, and each operation of a dtype that it has not met. So the bodies of
the functions that create tables, and of those that fill them, are put into one function, in their order, and as little
else as possible.

Source: TensorFlow 2.21, `_setup_remaining_functions` in load.py; MklLayoutRewritePass, which looks through all kernels
for each operation and dtype that it has not met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from safeload.readers.saved_model.references import reference_producer
from safeload.runtime._saved_model._library import FunctionLibrary, NotUnderstoodError
from safeload.runtime._variable_function import new_definition, run_once

_RESOURCE, _STRING = tf.resource.as_datatype_enum, tf.string.as_datatype_enum

_IDLE = frozenset({"Const", "Identity", "NoOp"})
"""Operations that do nothing but for those who wait for them."""


class Creation:
    """Bodies of functions without arguments of their own, run as one.

    Args:
        library: The functions.
        known: Tensors by the number of the object that they stand for.
    """

    def __init__(self, library: FunctionLibrary, known: Mapping[int, Any]) -> None:
        self._library = library
        self._known = known
        self._definition = new_definition()
        self._done: list[str] = []
        self._passed: list[Any] = []
        self._references: dict[int, str] = {}
        self._made: list[int] = []

    def create(self, node_id: int, function: str, captures: Sequence[int]) -> None:
        """Do what *function* does to make the table that is the object *node_id*."""
        if [output.type for output in self._library.definition(function).signature.output_arg] != [_RESOURCE]:
            raise NotUnderstoodError("the creator of a resource returns something else")
        made = self.call(function, captures)
        result = self._definition.signature.output_arg.add(name=f"table_{node_id}", type=_RESOURCE)
        self._references[node_id] = self._definition.ret[result.name] = made[0]
        self._made.append(node_id)

    def call(self, function: str, captures: Sequence[int]) -> list[str]:
        """Do what *function* does with the objects *captures*, after what was done before; return its results."""
        body = self._library.renamed(function)
        arguments = body.signature.input_arg
        if len(arguments) != len(captures) or any(a.number_attr or a.type_list_attr for a in arguments):
            raise NotUnderstoodError("a function of a resource takes arguments")
        before, inside = list(self._done[-1:]), f"call_{len(self._done)}"
        references = {a.name: self._reference(node_id) for a, node_id in zip(arguments, captures, strict=True)}
        # Functions of old releases do not say what to wait for.
        waits = list(body.control_ret.values()) or [node.name for node in body.node_def]
        results = [_without_identities(body, body.ret[output.name]) for output in body.signature.output_arg]
        for node in _awaited(body, [*waits, *results]):
            copy = self._definition.node_def.add()
            copy.CopyFrom(node)
            copy.name = f"{inside}/{node.name}"
            copy.attr.pop("_class", None)  # names other nodes
            copy.input[:] = [_inside(inside, source, references) for source in node.input]
            copy.input.extend(f"^{name}" for name in before)
        self._done.append(f"{inside}/done")
        self._definition.node_def.add(name=self._done[-1], op="NoOp", input=[f"^{inside}/{name}" for name in waits])
        return [_inside(inside, result, references) for result in results]

    def run(self) -> dict[int, Any]:
        """Run it all; return the tables that were made."""
        return dict(zip(self._made, run_once(self._definition, self._passed, after=self._done), strict=True))

    def _reference(self, node_id: int) -> str:
        """Return how the function names an object: what it made, a path, or an argument."""
        if node_id not in self._references:
            tensor, name = self._known[node_id], f"known_{node_id}"
            if tensor.dtype == tf.string and tensor.shape.rank == 0:
                node = self._definition.node_def.add(name=name, op="Const")
                node.attr["dtype"].type = _STRING
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(tensor.numpy()))
                name = f"{name}:output:0"
            else:
                self._definition.signature.input_arg.add(name=name, type=tensor.dtype.as_datatype_enum)
                self._passed.append(tensor)
            self._references[node_id] = name
        return self._references[node_id]


def _inside(prefix: str, source: str, arguments: Mapping[str, str]) -> str:
    """Return what an input of a node in a body is called outside of it."""
    if source.startswith("^"):
        return f"^{prefix}/{source[1:]}"
    return arguments.get(source) or f"{prefix}/{source}"


def _awaited(body: Any, roots: Iterable[str]) -> list[Any]:
    """Return the nodes of *body* without idle ones for which neither *roots* nor another node waits."""
    nodes = {node.name: node for node in body.node_def}
    stack = [*roots, *(node.name for node in body.node_def if node.op not in _IDLE)]
    found: set[str] = set()
    while stack:
        name = reference_producer(stack.pop())
        if name in nodes and name not in found:
            found.add(name)
            stack.extend(nodes[name].input)
    return [node for node in body.node_def if node.name in found]


def _without_identities(body: Any, source: str) -> str:
    """Return what *source* is the same as."""
    identities = {f"{node.name}:output:0": node.input[0] for node in body.node_def if node.op == "Identity"}
    for _ in range(len(identities)):
        source = identities.get(source, source)
    return source


def on_host(value: Any) -> Any:
    """Make an eager tensor in the memory of the host, without an operation that copies it to where others would be."""
    context.ensure_initialized()  # as every operation does; this may be the first thing that a process does
    return ops.EagerTensor(value, None, None)
