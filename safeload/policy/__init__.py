"""Facts to findings to a verdict. Layer: above inspection; opens no file, imports nothing that a file names.

`RULES` and `CONTAINER_RULES` are all there is: each is a function that yields findings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity
from safeload.policy._judged import Judged, judge
from safeload.policy.containers import container_anomalies, empty_matrices, stored_objects
from safeload.policy.keras import KERAS_RULES
from safeload.policy.keras_nodes import examine_nodes
from safeload.policy.keras_sizes import allowed_elements, has_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safeload.inspection import ModelInfo
    from safeload.readers import Artifact

__all__ = [
    "CONTAINER_RULES",
    "RULES",
    "Finding",
    "Judged",
    "Severity",
    "allowed_elements",
    "examine",
    "has_kernel",
    "judge",
]


def examine_graphs(info: ModelInfo) -> Iterator[Finding]:
    """Yield what the rules of `graph` find in the graphs of a SavedModel; they are imported where there are graphs."""
    if info.saved_model is None:
        return
    from safeload.policy import graph

    for subject in graph.subjects(info):
        for rule in (*graph.GRAPH_RULES, *graph.STANDING_RULES):
            yield from rule(subject)


def examine_tflite(info: ModelInfo) -> Iterator[Finding]:
    """Yield what `tflite.TFLITE_RULES` find in a TensorFlow Lite model."""
    if info.tflite is None:
        return
    from safeload.policy import tflite

    for rule in tflite.TFLITE_RULES:
        yield from rule(info)


RULES: tuple[Callable[[ModelInfo], Iterator[Finding]], ...] = (
    *KERAS_RULES,
    examine_nodes,
    examine_graphs,
    examine_tflite,
)
"""Rules about what a model says, in reading order."""

CONTAINER_RULES: tuple[Callable[[Artifact], Iterator[Finding]], ...] = (
    container_anomalies,
    empty_matrices,
    stored_objects,
)
"""Rules about how it is packed."""


def examine(artifact: Artifact, info: ModelInfo) -> tuple[Finding, ...]:
    """Return every finding about *artifact*, worst first, then by place.

    Args:
        artifact: What was read.
        info: Its facts, from `inspection.inspect_artifact`.

    Guarantees:
        Every node of every function of every MetaGraph has been judged by an allow-list. Nothing was executed.
        What a graph does with its input, how long a loop runs and how much it allocates for it, is not judged.
    """
    found = [finding for rule in CONTAINER_RULES for finding in rule(artifact)]
    found += [finding for rule in RULES for finding in rule(info)]
    return tuple(sorted(dict.fromkeys(found), key=lambda f: (-f.severity, f.where, f.rule)))
