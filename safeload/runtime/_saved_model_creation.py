"""Tables created and filled by one function. Layer: runtime.

TensorFlow takes milliseconds to prepare the first operation of each name and dtype, and each function. So the functions
that create tables and those that fill them are called by one function, in their order.

Source: TensorFlow 2.21, `_recreate_saveable_objects` and `_setup_remaining_functions` in load.py;
MklLayoutRewritePass, which looks through all kernels for each operation and dtype that it has not met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from safeload.runtime._saved_model_library import FunctionLibrary, NotUnderstoodError
from safeload.runtime._variable_function import new_definition, run_once

_RESOURCE = tf.resource.as_datatype_enum


class Creation:
    """Calls that run as one.

    Args:
        library: The functions that can be called.
        known: Tensors by the number of the object that they stand for.
    """

    def __init__(self, library: FunctionLibrary, known: Mapping[int, Any]) -> None:
        self._library = library
        self._known = known
        self._definition = new_definition()
        self._calls: list[str] = []
        self._passed: list[Any] = []
        self._references: dict[int, str] = {}
        self._made: list[int] = []

    def create(self, node_id: int, function: str, captures: Sequence[int]) -> None:
        """Call *function* to make the table that is the object *node_id*."""
        if [output.type for output in self._library.definition(function).signature.output_arg] != [_RESOURCE]:
            raise NotUnderstoodError("the creator of a resource returns something else")
        self.call(function, captures)
        result = self._definition.signature.output_arg.add(name=f"table_{node_id}", type=_RESOURCE)
        self._references[node_id] = self._definition.ret[result.name] = f"{self._calls[-1]}:output:0"
        self._made.append(node_id)

    def call(self, function: str, captures: Sequence[int]) -> None:
        """Call *function* after the calls before it, with the objects *captures*."""
        signature = self._library.definition(function).signature
        if len(signature.input_arg) != len(captures):
            raise NotUnderstoodError("a function of a resource takes arguments")
        references = [self._reference(node_id) for node_id in captures]
        order = [f"^{name}" for name in self._calls[-1:]]
        self._calls.append(f"call_{len(self._calls)}")
        node = self._definition.node_def.add(name=self._calls[-1], op="StatefulPartitionedCall")
        node.input.extend(references + order)
        node.attr["Tin"].list.type.extend(argument.type for argument in signature.input_arg)
        node.attr["Tout"].list.type.extend(output.type for output in signature.output_arg)
        node.attr["f"].func.name = self._library.register(function)

    def run(self) -> dict[int, Any]:
        """Make all calls; return the tables that they made."""
        return dict(zip(self._made, run_once(self._definition, self._passed, after=self._calls), strict=True))

    def _reference(self, node_id: int) -> str:
        """Return how the function names an object: a result of one of its calls, or an argument."""
        if node_id not in self._references:
            tensor = self._known[node_id]
            argument = self._definition.signature.input_arg.add(
                name=f"known_{node_id}", type=tensor.dtype.as_datatype_enum
            )
            self._references[node_id] = argument.name
            self._passed.append(tensor)
        return self._references[node_id]


def on_host(value: Any) -> Any:
    """Make an eager tensor in the memory of the host, without an operation that copies it to where others would be."""
    return ops.EagerTensor(value, None, None)
