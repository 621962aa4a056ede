"""Ops that came to be after the graph was judged. Layer: runtime.

A graph is judged before TensorFlow is imported. An op that nobody had registered then cannot run, and does not refuse
the graph; a newer TensorFlow, or what importing it loads, may have it all the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tensorflow.python.framework import op_def_registry

from safeload.errors import UnsafeModelError
from safeload.policy import Severity

if TYPE_CHECKING:
    from safeload.policy import Judged

_RULE = "unknown-op"


def refuse_new_ops(judged: Judged) -> None:
    """Refuse a graph with ops that were absent when it was judged and are registered now.

    Raises:
        UnsafeModelError: ``unsafe-model``. There are such ops, and they were not trusted.
    """
    found = [
        replace(
            finding, severity=Severity.UNEXAMINED, message=f"{finding.evidence} is an op that safeload does not know"
        )
        for finding in judged.findings
        if finding.rule == _RULE
        and finding.identifier not in judged.trusted
        and op_def_registry.get(finding.evidence) is not None
    ]
    if found:
        raise UnsafeModelError(judged.info.where, findings=found)
