"""The verdict: an artifact that may be loaded, or an error with every reason against it. Layer: policy."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING

from safeload.errors import UnsafeModelError
from safeload.policy._finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safeload.inspection import ModelInfo
    from safeload.readers import Artifact

_FROM_JUDGE = object()


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
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _FROM_JUDGE:
            raise TypeError("only safeload.policy.judge makes a Judged")


def judge(
    artifact: Artifact, info: ModelInfo, findings: Iterable[Finding], trusted: Iterable[str | None] = ()
) -> Judged:
    """Let *artifact* through, unless a finding that is not trusted refuses it.

    Args:
        artifact: What was read.
        info: Its facts.
        findings: What `examine` found.
        trusted: Identifiers of findings to permit. Those that fit no finding permit nothing: the file they
            were made for has changed, or they belong to another file. Nor does the None of findings that cannot be
            permitted.

    Raises:
        UnsafeModelError: ``unsafe-model``. Findings refuse the artifact.
        TypeError: *trusted* is True, a single string, or holds what is no string.
    """
    given = _identifiers(trusted)
    findings = tuple(findings)
    refusing = [f for f in findings if f.severity >= Severity.UNEXAMINED and f.identifier not in given]
    if refusing:
        raise UnsafeModelError(artifact.where, findings=refusing)
    permitted = frozenset(f.identifier for f in findings if f.identifier in given and f.identifier is not None)
    return Judged(artifact, info, findings, permitted, made_by=_FROM_JUDGE)


def _identifiers(trusted: Iterable[str | None]) -> frozenset[str]:
    if isinstance(trusted, (bool, str)):
        raise TypeError(
            f"trusted={trusted!r} is no list: pass one of the identifiers that the findings of inspect_model(path) have"
        )
    given = frozenset(identifier for identifier in trusted if identifier is not None)
    for identifier in given:
        if not isinstance(identifier, str):
            raise TypeError(
                f"trusted=[…] holds {type(identifier).__name__}, not the identifiers of findings, which are texts"
            )
    return given
