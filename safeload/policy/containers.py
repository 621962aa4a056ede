"""Rules about the container and its arrays: what no writer of the format leaves in it. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity
from safeload.readers import KerasArtifact, SavedModelArtifact, WeightIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.readers import Artifact

_MEANINGS = {
    "link-out-of-model": (Severity.DANGEROUS, "is a link to a file outside of the model"),
    "asset-outside-assets": (Severity.DANGEROUS, "is declared as an asset and lies outside of the model"),
    "special-file": (Severity.UNEXAMINED, "is neither a file nor a directory"),
    "two-graphs": (Severity.UNEXAMINED, "is a second graph, and readers differ in which one they load"),
    "broken-link": (Severity.WARNING, "is a link to nothing"),
    "circular-link": (Severity.WARNING, "is a link to a directory above it"),
}
_OBJECTS = frozenset({"resource", "variant"})
_UNKNOWN = (Severity.UNEXAMINED, "is in the container, and no writer of the format makes that")


def container_anomalies(artifact: Artifact) -> Iterator[Finding]:
    """Find what a reader noticed as odd in a directory; other odd containers are errors of their readers."""
    for anomaly in artifact.anomalies:
        severity, meaning = _MEANINGS.get(anomaly.kind, _UNKNOWN)
        yield Finding(
            rule=anomaly.kind,
            severity=severity,
            where=anomaly.where,
            evidence=anomaly.evidence,
            message=f"{anomaly.where!r} {meaning}" + (f" ({anomaly.evidence})" if anomaly.evidence else ""),
            hint="copy the model again from its source, without what does not belong to it",
        )


def empty_matrices(artifact: Artifact) -> Iterator[Finding]:
    """Find a matrix without elements: oneDNN ends the process where TensorFlow multiplies by one (measured, 2.21)."""
    for dataset in _weights(artifact).datasets:
        if 0 in dataset.shape and len(dataset.shape) > 1:
            message = f"the array {dataset.path!r} of shape {list(dataset.shape)} is empty, which may end the process"
            hint = "ask the author for a model without layers that have no inputs or no units"
            yield Finding("empty-matrix", Severity.UNEXAMINED, dataset.path, str(list(dataset.shape)), message, hint)
            return


def stored_objects(artifact: Artifact) -> Iterator[Finding]:
    """Find handles and variants among the variables of a SavedModel, which TensorFlow trusts as they stand."""
    if isinstance(artifact, SavedModelArtifact):
        for dataset in artifact.variables.datasets:
            if dataset.dtype in _OBJECTS:
                message = f"the variable {dataset.path!r} holds an object of a process ({dataset.dtype})"
                hint = "ask the author for a model without it"
                yield Finding("forged-handle", Severity.DANGEROUS, dataset.path, dataset.dtype, message, hint)


def _weights(artifact: Artifact) -> WeightIndex:
    if isinstance(artifact, SavedModelArtifact):
        return artifact.variables
    return artifact.weights if isinstance(artifact, KerasArtifact) else WeightIndex()
