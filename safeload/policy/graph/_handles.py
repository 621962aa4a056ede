"""Rules about handles of resources in the constants of a graph. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeload.policy._finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._subject import Subject

_RESOURCE = frozenset({20, 120})
_VARIANT = frozenset({21, 121})
"""Numbers of the dtypes and their references. Source: tensorflow/core/framework/types.proto (2.21)."""


def forged_handles(subject: Subject) -> Iterator[Finding]:
    """Find handles of resources among the constants: handles are made by the process, never saved."""
    holding = (node for node, tensor in subject.constants if _holds_handle(tensor))
    parsing = (node for node in subject.graph.nodes("ParseTensor") if _parses_handle(node))
    for nodes in (holding, parsing):
        for node in nodes:
            yield subject.finding(
                node,
                rule="forged-handle",
                severity=Severity.DANGEROUS,
                message="holds the handle of a resource, which may belong to another model",
            )


def _holds_handle(constant: Any) -> bool:
    pending = [constant]
    while pending:
        tensor = pending.pop()
        if tensor.dtype in _RESOURCE:
            return True
        if tensor.dtype in _VARIANT:
            pending.extend(inner for variant in tensor.variant_val for inner in variant.tensors)
    return False


def _parses_handle(node: Node) -> bool:
    kind = node.proto.attr.get("out_type")
    return kind is not None and kind.type in _RESOURCE | _VARIANT
