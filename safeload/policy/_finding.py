"""Opinions about facts: a `Finding` is what a rule thinks, `Judged` what may be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safeload.inspection import ModelInfo
    from safeload.readers import Artifact


class Severity(IntEnum):
    """How bad a finding is. WARNING and below never refuse."""

    INFO = 0
    WARNING = 1
    UNEXAMINED = 2
    """Not understood: refused for that reason."""
    DANGEROUS = 3


@dataclass(frozen=True)
class Finding:
    """What one rule thinks of one place.

    Attributes:
        rule: Kebab-case name of the rule, such as ``"lambda-layer"``.
        severity: How bad it is.
        where: ``$.config.layers[3].config`` or ``function_library/__inference_f_12/ReadFile``.
        evidence: The short literal seen.
        message: One clause: what it is and what it would do.
        hint: What to do about it.
        identifier: What to put into ``trusted=[…]``, or None where it cannot be permitted.
    """

    rule: str
    severity: Severity
    where: str
    evidence: str
    message: str
    hint: str
    identifier: str | None = None


@dataclass(frozen=True)
class Judged:
    """An artifact that the policy lets through. Only `policy.judge` makes one.

    Attributes:
        artifact: What was read; it owns the bytes that will be loaded.
        info: The facts that were judged.
        findings: Every finding, worst first, permitted ones included.
        trusted: The identifiers of *findings* that the caller permitted.
    """

    artifact: Artifact
    info: ModelInfo
    findings: tuple[Finding, ...]
    trusted: frozenset[str]
