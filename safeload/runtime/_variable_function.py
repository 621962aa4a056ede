"""Functions that run once: variables made and filled by few of them. Layer: runtime.

TensorFlow prepares an operation anew for every variable and every shape, which takes most of the time that making a
variable takes. A function that holds many operations is prepared once, and without optimizing a graph that runs but
once.

Source: TensorFlow 2.21, TFE_Execute with `config_proto`; `VarHandleOp` in resource_variable_ops.cc.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.framework import function_pb2
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.eager import context, execute
from tensorflow.python.framework import ops

_TOGETHER = 64
"""Variables of one function (measured, TensorFlow 2.21): more of them take no less time and more memory to prepare."""

_RESOURCE, _STRING = tf.resource.as_datatype_enum, tf.string.as_datatype_enum


class Stored(NamedTuple):
    """A variable that waits in a checkpoint.

    Attributes:
        key: Its name there.
        dtype: Its TensorFlow dtype.
        shape: Its declared shape.
    """

    key: str
    dtype: tf.DType
    shape: tf.TensorShape


def restored(checkpoint: str, variables: Sequence[Stored]) -> list[Any]:
    """Return handles of new variables with the values that *checkpoint* holds for them, in their order.

    Nobody else shares a variable; TensorFlow frees it when its handle is dropped.
    """
    definition = new_definition()
    _strings(definition, "prefix", [checkpoint], is_scalar=True)
    _strings(definition, "keys", [variable.key for variable in variables])
    _strings(definition, "slices", [""] * len(variables))
    inputs = [f"{name}:output:0" for name in ("prefix", "keys", "slices")]
    restore = definition.node_def.add(name="restore", op="RestoreV2", input=inputs, device="/device:CPU:0")
    restore.attr["dtypes"].list.type.extend(variable.dtype.as_datatype_enum for variable in variables)
    for index, variable in enumerate(variables):
        _add_variable(definition, variable.dtype, variable.shape, value=f"restore:tensors:{index}")
    return run_once(definition, [], after=_assignments(definition))


def filled(values: Sequence[Any]) -> list[Any]:
    """Return handles of new variables that hold *values*, eager tensors; see `restored`."""
    parts = (values[start : start + _TOGETHER] for start in range(0, len(values), _TOGETHER))
    return [handle for part in parts for handle in _filled(part)]


def _filled(values: Sequence[Any]) -> list[Any]:
    definition = new_definition()
    for index, value in enumerate(values):
        definition.signature.input_arg.add(name=f"value_{index}", type=value.dtype.as_datatype_enum)
        _add_variable(definition, value.dtype, value.shape, value=f"value_{index}")
    return run_once(definition, values, after=_assignments(definition))


def new_definition() -> function_pb2.FunctionDef:
    """Return a function without arguments, operations and results, for `run_once`."""
    definition = function_pb2.FunctionDef()
    definition.signature.name = f"safeload_once_{ops.uid()}"
    definition.signature.is_stateful = True
    return definition


def run_once(definition: function_pb2.FunctionDef, inputs: Sequence[Any], *, after: Iterable[str]) -> list[Any]:
    """Run a function, and forget it; return its results once the operations named in *after* have run."""
    definition.node_def.add(name="done", op="NoOp", input=[f"^{operation}" for operation in after])
    definition.signature.control_output.append("done")
    definition.control_ret["done"] = "done"
    count, name, running = len(definition.signature.output_arg), definition.signature.name, context.context()
    running.add_function_def(definition)
    try:
        attributes = ("executor_type", "", "config_proto", _unoptimized())
        return list(execute.execute(name.encode(), count, list(inputs), attrs=attributes, ctx=running))
    finally:
        running.remove_function(name)


def _assignments(definition: function_pb2.FunctionDef) -> list[str]:
    return [f"assign_{index}" for index in range(len(definition.signature.output_arg))]


def _strings(
    definition: function_pb2.FunctionDef, name: str, values: Sequence[str], *, is_scalar: bool = False
) -> None:
    node = definition.node_def.add(name=name, op="Const")
    node.attr["dtype"].type = _STRING
    tensor = node.attr["value"].tensor
    tensor.dtype = _STRING
    tensor.tensor_shape.CopyFrom(tf.TensorShape([] if is_scalar else [len(values)]).as_proto())
    tensor.string_val.extend(value.encode() for value in values)


def _add_variable(definition: function_pb2.FunctionDef, dtype: tf.DType, shape: tf.TensorShape, *, value: str) -> None:
    """Add the operations that make one variable and assign *value*, and return its handle."""
    index = len(definition.signature.output_arg)
    handle = definition.node_def.add(name=f"handle_{index}", op="VarHandleOp")
    handle.attr["dtype"].type = dtype.as_datatype_enum
    handle.attr["shape"].shape.CopyFrom(shape.as_proto())
    handle.attr["shared_name"].s = context.anonymous_name().encode()
    handle.attr["container"].s = b""
    inputs = [f"handle_{index}:resource:0", value]
    assign = definition.node_def.add(name=f"assign_{index}", op="AssignVariableOp", input=inputs)
    assign.attr["dtype"].type = dtype.as_datatype_enum
    definition.signature.output_arg.add(name=f"variable_{index}", type=_RESOURCE)
    definition.ret[f"variable_{index}"] = f"handle_{index}:resource:0"


def _unoptimized() -> bytes:
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = config_pb2.OptimizerOptions.L0
    return bytes(config.SerializeToString())
