"""Rules about objects of TensorFlow's that bytes of a file stand for: handles of resources, variants. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.policy.graph._subject import Subject

_OBJECTS = frozenset({20, 120, 21, 121})
"""Numbers of the dtypes resource and variant, and of their references.

Source: tensorflow/core/framework/types.proto (2.21).
"""
_MADE_OF_BYTES = {"ParseTensor": "out_type", "Restore": "dt", "RestoreSlice": "dt", "RestoreV2": "dtypes"}
"""Ops that make tensors of bytes, and their attribute with the dtypes. Source: op definitions of TensorFlow 2.21."""


def forged_handles(subject: Subject) -> Iterator[Finding]:
    """Find objects among the constants and what is read: a process makes them, and none is saved.

    A handle may be that of another model. What is inside a variant TensorFlow takes as it stands, with sizes and
    offsets that it does not compare with the bytes.
    """
    nodes = [node for node, tensor in subject.constants if tensor.dtype in _OBJECTS]
    for node in subject.graph.nodes(*_MADE_OF_BYTES):
        dtypes = node.proto.attr.get(_MADE_OF_BYTES[node.op])
        if dtypes is not None and not _OBJECTS.isdisjoint([dtypes.type, *dtypes.list.type]):
            nodes.append(node)
    for node in nodes:
        yield subject.finding(
            node,
            rule="forged-handle",
            severity=Severity.DANGEROUS,
            message="makes a handle or an object of the process of bytes, which may be any",
        )
