"""Rules about what a graph refers to: functions, assets, names. Layer: policy.

Devices are not judged: TensorFlow places what names an absent machine here, and others only if the
process has joined their cluster itself. Graphs trained on parameter servers keep such names.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity
from safeload.policy.graph._constants._sites import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._subject import Subject


_WRITTEN = frozenset(
    {
        "_OutputsOnOpDevice", "_XlaCompile", "_XlaMustCompile", "_XlaScope", "_XlaSeparateCompiledGradients",
        "_XlaSharding", "_acd_function_control_output", "_class", "_cloned", "_collective_manager_ids",
        "_construction_context", "_disable_call_shape_inference", "_gradient_op_type", "_grappler_do_not_remove",
        "_handle_dtypes", "_handle_shapes", "_has_manual_control_dependencies", "_implements",
        "_independent_side_effects", "_input_shapes", "_lower_as_multi_device_function", "_lower_using_switch_merge",
        "_noinline", "_num_original_outputs", "_output_shapes", "_output_types", "_read_only_resource_inputs", "_shape",
        "_stateful_parallelism", "_tf_data_function", "_tfl_quant_trait", "_tpu_input_identity", "_tpu_output_identity",
        "_tpu_replicate", "_user_specified_name", "_xla_propagate_compile_time_consts",
    }
)  # fmt: skip
"""Attributes that no op declares, and that TensorFlow's own Python writes into files.

Others its runtime leaves for itself while it prepares a graph, and trusts: with ``_forward_input`` a kernel overwrites
what it is given, be it the caller's own, and with ``_scoped_allocator`` or ``_swap_to_host`` the process may end.
Source: tensorflow/python (2.21), measured; tensorflow/core/common_runtime/graph_view.cc for the first two.
"""


def absent_functions(subject: Subject) -> Iterator[Finding]:
    """Find calls of functions that the file does not hold: another model of the process may have them."""
    calling = (node for body in subject.graph.bodies.values() for node in body.calling)
    for node in calling:
        for name in node.absent:
            yield subject.finding(
                node,
                rule="absent-function",
                severity=Severity.UNEXAMINED,
                message=f"calls the function {name!r}, which is not in the file",
                evidence=name,
            )


def open_attributes(subject: Subject) -> Iterator[Finding]:
    """Find attributes that a function leaves to what calls it: an op may be another one with another attribute."""
    for name in sorted(subject.graph.polymorphic & subject.graph.bodies.keys()):
        for node in subject.graph.bodies[name].nodes:
            for key in _left_open(node):
                yield subject.finding(
                    node,
                    rule="open-attribute",
                    severity=Severity.UNEXAMINED,
                    message=f"has the attribute {key!r} from whoever calls its function",
                    evidence=key,
                )


def _left_open(node: Node) -> Iterator[str]:
    """Yield the attributes of *node*, those of functions that it names included, that are placeholders."""
    pending = [node.proto.attr]
    while pending:
        attributes = pending.pop()
        for key in sorted(attributes):
            kind, value = attributes[key].WhichOneof("value"), attributes[key]
            if kind == "placeholder":
                yield key
            pending += [called.attr for called in ([value.func] if kind == "func" else value.list.func)]


def internal_attributes(subject: Subject) -> Iterator[Finding]:
    """Find attributes with which the runtime of TensorFlow tells itself what to do; nothing checks them."""
    message = "the attribute {!r}, which the runtime of TensorFlow leaves for itself, and no file"
    for name, body in subject.graph.bodies.items():
        written: set[str] = set()
        for node in body.nodes:
            written.update(node.proto.attr)
        strange = set(filter(_is_internal, written))
        for node in body.nodes if strange else ():
            for key in sorted(strange.intersection(node.proto.attr)):
                told = f"has {message.format(key)}"
                yield subject.finding(
                    node, rule="internal-attribute", severity=Severity.UNEXAMINED, message=told, evidence=key
                )
        parts = (body.proto.attr, *(part.attr for part in body.proto.arg_attr.values()))
        for key in sorted(filter(_is_internal, {key for part in parts for key in part})):
            yield subject.about(
                f"function_library/{name}",
                rule="internal-attribute",
                severity=Severity.UNEXAMINED,
                message=f"a function has {message.format(key)}",
                evidence=key,
            )


def _is_internal(attribute: str) -> bool:
    return attribute.startswith("_") and attribute not in _WRITTEN


def mistyped_constants(subject: Subject) -> Iterator[Finding]:
    """Find constants whose value is of another type than they are: TensorFlow ends the process over a size like that.

    Source: ``ValidateStridedSliceOp`` in tensorflow/core/util/strided_slice_op.cc (2.21).
    """
    for node, tensor in subject.constants:
        attributes, found = node.proto.attr, tensor.dtype
        if "dtype" in attributes and attributes["dtype"].type != found:
            message = f"is declared with type {attributes['dtype'].type}, and its value has type {found}"
            yield subject.finding(node, rule="constant-type", severity=Severity.UNEXAMINED, message=message)


def mistaken_branches(subject: Subject) -> Iterator[Finding]:
    """Find branches that return more or less than their condition: TensorFlow ends the process over one of less.

    Nothing compares them before the condition is written out in a graph. Source: measured (TensorFlow 2.21).
    """
    bodies = subject.graph.bodies
    for node in subject.graph.nodes(*CONDITIONS):
        attributes = node.proto.attr
        count = len(attributes["Tout"].list.type) if "Tout" in attributes else None
        for name in node.calls if count is not None else ():
            found = len(bodies[name].returns)
            if found != count:
                message = f"has another number of results ({count}) than its branch {name!r} ({found})"
                yield subject.finding(node, rule="branch-results", severity=Severity.UNEXAMINED, message=message)


def asset_names(subject: Subject) -> Iterator[Finding]:
    """Find assets whose name leads out of the model's directory."""
    for name in subject.graph.asset_files:
        if _leaves_directory(name):
            message = f"the asset {name!r} lies outside of the model"
            yield subject.about(
                "asset_file_def", rule="asset-path", severity=Severity.DANGEROUS, message=message, evidence=name
            )


def _leaves_directory(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return not name or ".." in parts or posixpath.isabs(name) or ":" in parts[0] or "\0" in name


def repeated_names(subject: Subject) -> Iterator[Finding]:
    """Find functions and nodes that share a name, so that readers may disagree about which one is meant."""
    for name in subject.graph.duplicates:
        yield subject.about(
            "graph_def",
            rule="repeated-name",
            severity=Severity.UNEXAMINED,
            message=f"several functions or nodes have one name ({name})",
            evidence=name,
        )
