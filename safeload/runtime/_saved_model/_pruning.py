"""Cut a GraphDef down to what a signature needs. Layer: runtime, for the protobufs; no TensorFlow graph is built here.

What is fed cuts the graph, as it does in a TensorFlow 1 session: nothing above a
fed tensor is looked at, so broken parts that serve other signatures do no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from safeload.readers.saved_model.references import reference_producer, tensor_name

HANDLE_OP = "VarHandleOp"
_REFERENCE_OPS = frozenset({"VariableV2", "Variable"})
VARIABLE_OPS = _REFERENCE_OPS | {HANDLE_OP}
"""Ops that make a variable. Source: tensorflow/core/ops/{state_ops,resource_variable_ops}.cc (2.21)."""

_TABLE_OPS = frozenset(
    f"{name}{version}"
    for name in ("MutableHashTable", "MutableHashTableOfTensors", "MutableDenseHashTable")
    for version in ("", "V2")
)
"""Ops that make a table whose content a checkpoint may hold. Source: tensorflow/core/ops/lookup_ops.cc (2.21)."""

_STATE_OPS = VARIABLE_OPS | _TABLE_OPS

_ASSIGN_OPS = frozenset({"Assign", "AssignVariableOp", "LookupTableImport", "LookupTableImportV2"})
_PLACEHOLDER_OPS = frozenset({"Placeholder", "PlaceholderV2"})
_REFERENCE = 100
"""Offset of reference types. Source: ``DT_FLOAT_REF = 101`` in tensorflow/core/framework/types.proto."""

ANCHOR = "safeload_anchor"
"""A constant in every cut graph, fetched beside operations that have no output."""

Nodes = Mapping[str, node_def_pb2.NodeDef]


@dataclass
class Cut:
    """A part of a graph, to be imported by itself.

    Attributes:
        graph_def: The nodes, with placeholders for what is fed and an identity for each output.
        feeds: Fed tensor → name of its placeholder.
        outputs: Fetched tensor → name of its identity; of the node itself where its type is not recorded.
        handles: Resource variables of the part.
        variables: Every variable of the part, references and tables included.
        computing: Those that the fetches and targets use; the rest is there to be restored.
        unassigned: References among these that nothing gives a value here, nor did before.
    """

    graph_def: graph_pb2.GraphDef
    feeds: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    handles: tuple[node_def_pb2.NodeDef, ...] = ()
    variables: frozenset[str] = frozenset()
    computing: frozenset[str] = frozenset()
    unassigned: frozenset[str] = frozenset()


def cut(
    definition: meta_graph_pb2.MetaGraphDef,
    *,
    feeds: Mapping[str, meta_graph_pb2.TensorInfo],
    fetches: Mapping[str, int],
    targets: Iterable[str],
    restored: frozenset[str],
) -> Cut:
    """Cut out what computes *fetches* and *targets* when *feeds* are given.

    Args:
        definition: The MetaGraph; it is not changed.
        feeds: Tensor name → its dtype and shape.
        fetches: Tensor name → dtype number; 0 for the first output of a node whose type is not recorded.
        targets: Names of operations to run besides, such as initializers.
        restored: Variables that have their values already: the restore operation leaves them alone.

    Returns:
        The part, restore operation included as far as it concerns variables of the part.
    """
    nodes = {node.name: node for node in definition.graph_def.node}
    placeholders = {tensor_name(name): f"safeload_feed_{index}" for index, name in enumerate(feeds)}
    needed = _ancestors(nodes, [*map(reference_producer, fetches), *targets], placeholders)
    computing = _variables(nodes, needed)
    restore = definition.saver_def.restore_op_name
    wanted = computing - restored
    if restore and wanted:
        needed |= _ancestors(
            nodes, [reference_producer(restore)], placeholders, skip=lambda node: _assigns_other(node, wanted)
        )
    part = Cut(
        graph_pb2.GraphDef(versions=definition.graph_def.versions, library=definition.graph_def.library),
        feeds=placeholders,
    )
    part.graph_def.node.extend(
        _copied(node, needed, nodes, placeholders) for node in definition.graph_def.node if node.name in needed
    )
    for name, info in feeds.items():
        part.graph_def.node.append(_placeholder(placeholders[tensor_name(name)], info))
    for index, (name, dtype) in enumerate(fetches.items()):
        source = placeholders.get(tensor_name(name), name)
        part.outputs[name] = f"safeload_output_{index}" if dtype else reference_producer(source)
        if dtype:
            part.graph_def.node.append(_identity(part.outputs[name], source, dtype))
    part.graph_def.node.append(_anchor())
    part.handles = tuple(nodes[name] for name in sorted(needed) if nodes[name].op == HANDLE_OP)
    part.variables, part.computing = _variables(nodes, needed), computing
    assigned = {reference_producer(node.input[0]) for node in part.graph_def.node if node.op in _ASSIGN_OPS}
    part.unassigned = frozenset(name for name in wanted - assigned if nodes[name].op in _REFERENCE_OPS)
    return part


def _variables(nodes: Nodes, names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if nodes[name].op in _STATE_OPS)


def _ancestors(
    nodes: Nodes,
    roots: Iterable[str],
    feeds: Mapping[str, str],
    skip: Callable[[node_def_pb2.NodeDef], bool] | None = None,
) -> set[str]:
    found: set[str] = set()
    stack = [root for root in roots if root in nodes]
    while stack:
        name = stack.pop()
        if name in found or (skip is not None and skip(nodes[name])):
            continue
        found.add(name)
        stack.extend(reference_producer(source) for source in _sources(nodes[name], nodes, feeds))
    return found


def _sources(node: node_def_pb2.NodeDef, nodes: Nodes, feeds: Mapping[str, str]) -> Iterator[str]:
    """Yield the inputs of a node that are computed by other nodes."""
    for source in node.input:
        if source.startswith("^"):
            # A session drops the order after a placeholder that is fed: nothing runs there.
            is_fed = nodes[reference_producer(source)].op in _PLACEHOLDER_OPS and f"{source[1:]}:0" in feeds
        else:
            is_fed = tensor_name(source) in feeds
        if not is_fed:
            yield source


def _assigns_other(node: node_def_pb2.NodeDef, wanted: frozenset[str]) -> bool:
    return node.op in _ASSIGN_OPS and reference_producer(node.input[0]) not in wanted


def _copied(
    node: node_def_pb2.NodeDef, needed: set[str], nodes: Nodes, feeds: Mapping[str, str]
) -> node_def_pb2.NodeDef:
    """Copy a node with fed inputs replaced and absent control inputs dropped, and without the device it was on."""
    copy = node_def_pb2.NodeDef()
    copy.CopyFrom(node)
    kept = set(_sources(node, nodes, feeds))
    inputs = [feeds.get(tensor_name(source), source) for source in node.input]
    del copy.input[:]
    copy.input.extend(s for s in inputs if not s.startswith("^") or (s in kept and reference_producer(s) in needed))
    copy.device = ""
    copy.attr.pop("_class", None)
    return copy


def _placeholder(name: str, info: meta_graph_pb2.TensorInfo) -> node_def_pb2.NodeDef:
    node = node_def_pb2.NodeDef(name=name, op="Placeholder")
    node.attr["dtype"].type = base_type(info.dtype)
    if info.HasField("tensor_shape"):
        node.attr["shape"].shape.CopyFrom(info.tensor_shape)
    else:
        node.attr["shape"].shape.unknown_rank = True  # an absent shape would be read as that of a scalar
    return node


def _identity(name: str, source: str, dtype: int) -> node_def_pb2.NodeDef:
    node = node_def_pb2.NodeDef(name=name, op="Identity", input=[source])
    node.attr["T"].type = base_type(dtype)
    return node


def _anchor() -> node_def_pb2.NodeDef:
    node = node_def_pb2.NodeDef(name=ANCHOR, op="Const")
    node.attr["dtype"].type = types_pb2.DT_FLOAT
    node.attr["value"].tensor.dtype = types_pb2.DT_FLOAT
    node.attr["value"].tensor.float_val.append(0.0)
    return node


def base_type(dtype: int) -> int:
    """Return the type that a reference type refers to."""
    return dtype - _REFERENCE if dtype > _REFERENCE else dtype
