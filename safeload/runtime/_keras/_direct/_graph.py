"""A function of TensorFlow that is put together node by node. Layer: runtime."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.python.framework import op_def_registry, ops

Shape = tuple[int | None, ...]


class NotUnderstoodError(Exception):
    """Raised for what is left to Keras."""


class Tensor(NamedTuple):
    """A tensor of floats.

    Attributes:
        name: How a node names it as its input: ``"conv:output:0"``.
        shape: Its shape, as Keras declares it.
    """

    name: str
    shape: Shape


class Variable(NamedTuple):
    """A variable of float32 that a layer holds.

    Attributes:
        layer: Name of the layer.
        name: Its name in the layer: ``"kernel"``.
        shape: Its shape.
    """

    layer: str
    name: str
    shape: tuple[int, ...]


class Graph:
    """A function of one tensor and of variables.

    Attributes:
        definition: The function, without a result until `finish`.
        variables: The variables that it takes after the tensor, in order.
        input: The tensor.
    """

    def __init__(self, shape: Shape) -> None:
        self.definition = function_pb2.FunctionDef()
        self.definition.signature.name = f"safeload_network_{ops.uid()}"
        self.definition.signature.is_stateful = True
        self.definition.signature.input_arg.add(name="input", type=tf.float32.as_datatype_enum)
        # TensorFlow optimizes by what is known of shapes.
        known = self.definition.arg_attr[0].attr["_output_shapes"].list.shape
        known.append(tf.TensorShape(shape).as_proto())
        self.variables: list[Variable] = []
        self.input = Tensor("input", shape)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; attributes that are not given have their defaults, types of tensors that of floats."""
        template, result = _template(op)
        name = f"{op}_{len(self.definition.node_def)}"
        node = self.definition.node_def.add()
        node.CopyFrom(template)
        node.name = name
        node.input.extend(inputs)
        for key, value in attributes.items():
            _set(node.attr[key], value)
        return f"{name}:{result}:0"

    def constant(self, value: Any, dtype: Any = np.int32) -> str:
        """Add a constant."""
        array = np.asarray(value, dtype)
        return self.add("Const", value=array, dtype=tf.as_dtype(array.dtype))

    def variable(self, layer: str, name: str, shape: Sequence[int | None]) -> str:
        """Take a variable, and read it.

        Raises:
            NotUnderstoodError: Its shape is not known.
        """
        known = tuple(size for size in shape if size is not None)
        if len(known) != len(shape):
            raise NotUnderstoodError(f"{layer} has a {name} of unknown shape")
        argument = f"variable_{len(self.variables)}"
        self.variables.append(Variable(layer, name, known))
        self.definition.signature.input_arg.add(name=argument, type=tf.resource.as_datatype_enum)
        return self.add("ReadVariableOp", argument, dtype=tf.float32)

    def finish(self, result: Tensor) -> None:
        """Return *result* from the function."""
        self.definition.signature.output_arg.add(name="output", type=tf.float32.as_datatype_enum)
        self.definition.ret["output"] = self.add("Identity", result.name)


@functools.cache
def _template(op: str) -> tuple[Any, str]:
    """Return a node of *op* with the defaults of its attributes, and the name of its result."""
    definition = op_def_registry.get(op)
    node = node_def_pb2.NodeDef(op=op)
    for attribute in definition.attr:
        if attribute.HasField("default_value"):
            node.attr[attribute.name].CopyFrom(attribute.default_value)
        elif attribute.type == "type":
            node.attr[attribute.name].type = tf.float32.as_datatype_enum
    return node, definition.output_arg[0].name


def _set(attribute: Any, value: Any) -> None:
    if isinstance(value, tf.DType):
        attribute.type = value.as_datatype_enum
    elif isinstance(value, np.ndarray):
        attribute.tensor.CopyFrom(tf.make_tensor_proto(value))
    elif isinstance(value, list):
        attribute.list.i.extend(value)
    elif isinstance(value, bytes):
        attribute.s = value
    elif isinstance(value, bool):
        attribute.b = value
    else:
        attribute.i = value
