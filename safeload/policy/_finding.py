"""Opinions about facts: a `Finding` is what a rule thinks of one place. Layer: policy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

DIGEST_DIGITS = 40
"""Hexadecimal digits of identifiers: too many for an author to find two contents that have them in common."""


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
        rule: Kebab-case name of the rule, such as ``"lambda-bytecode"``.
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


def identify(kind: str, subject: str, *content: str) -> str:
    """Return the identifier that permits a finding: ``kind:subject@sha256:…`` over *content*.

    Args:
        kind: What was found, such as ``"op"``.
        subject: Which one, and where.
        content: What the permission is tied to: if any of it changes, so does the identifier.
    """
    parts = "\0".join((kind, subject, *content))
    digest = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{subject}@sha256:{digest[:DIGEST_DIGITS]}"
