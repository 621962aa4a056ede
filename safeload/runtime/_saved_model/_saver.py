"""The saver of a graph that was exported without one: a module of TensorFlow Hub 1. Layer: runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorflow.core.framework import node_def_pb2, types_pb2

from safeload.runtime._saved_model._pruning import HANDLE_OP, VARIABLE_OPS, base_type

if TYPE_CHECKING:
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.protobuf import meta_graph_pb2

_SCOPE = "safeload_saver"
_FILENAME, _RESTORE = f"{_SCOPE}/filename", f"{_SCOPE}/restore_all"


def add_saver(definition: meta_graph_pb2.MetaGraphDef) -> None:
    """Make *definition* restore its variables by their names, unless it says how to restore them.

    Source: `import_meta_graph` makes a `Saver` over all variables of a graph without one
    (tensorflow/python/training/saver.py, 2.21), which `tf.saved_model.load` relies on.
    """
    variables = [node for node in definition.graph_def.node if node.op in VARIABLE_OPS]
    if definition.saver_def.restore_op_name or not variables:
        return
    nodes = definition.graph_def.node
    nodes.append(_strings(_FILENAME, []))
    nodes.append(_strings(f"{_SCOPE}/slices", [b""]))
    assigned = [_restored(definition.graph_def, node) for node in variables]
    nodes.append(node_def_pb2.NodeDef(name=_RESTORE, op="NoOp", input=[f"^{name}" for name in assigned]))
    definition.saver_def.filename_tensor_name = f"{_FILENAME}:0"
    definition.saver_def.restore_op_name = _RESTORE


def _restored(graph_def: graph_pb2.GraphDef, variable: node_def_pb2.NodeDef) -> str:
    """Add the nodes that give *variable* its value, and return the last one's name."""
    scope = f"{_SCOPE}/{variable.name}"
    dtype = base_type(variable.attr["dtype"].type)
    graph_def.node.append(_strings(f"{scope}/name", [variable.name.encode()]))
    restore = graph_def.node.add(name=f"{scope}/restore", op="RestoreV2")
    restore.input.extend([_FILENAME, f"{scope}/name", f"{_SCOPE}/slices"])
    restore.attr["dtypes"].list.type.append(dtype)
    is_resource = variable.op == HANDLE_OP
    assign = graph_def.node.add(name=f"{scope}/assign", op="AssignVariableOp" if is_resource else "Assign")
    assign.input.extend([variable.name, restore.name])
    assign.attr["dtype" if is_resource else "T"].type = dtype
    return str(assign.name)


def _strings(name: str, values: list[bytes]) -> node_def_pb2.NodeDef:
    """Return a constant: a vector of *values*, or an empty text."""
    node = node_def_pb2.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = types_pb2.DT_STRING
    tensor = node.attr["value"].tensor
    tensor.dtype = types_pb2.DT_STRING
    tensor.string_val.extend(values or [b""])
    if values:
        tensor.tensor_shape.dim.add(size=len(values))
    return node
