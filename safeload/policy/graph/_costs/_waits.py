"""Queues and the like that nothing fills: what takes from them waits for ever. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.inspection.graph.entries import tensor_name
from safeload.inspection.graph.info import MAIN, EntryKind, reference_producer
from safeload.inspection.graph.queues import TAKING
from safeload.readers.saved_model.inputs import tensor_names

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from safeload.inspection.graph.info import GraphInfo, Node

_BY_SIGNATURES = frozenset({EntryKind.SIGNATURE})
_MAX_STEPS = 1_000_000
"""Inputs of nodes that are looked at."""

TIMEOUTS = {
    "Batch": ("batch_timeout_micros",),
    "BatchFunction": ("batch_timeout_micros", "low_priority_batch_timeout_micros"),
    "Unbatch": ("timeout_micros",),
}
"""Ops that wait for what other calls bring, and which attributes say how long. Source: op definitions (2.21)."""
MAX_SECONDS = 600


def longest_wait(node: Node) -> int:
    """Return how many seconds *node*, one of `TIMEOUTS`, may wait for other calls, of which there may be none."""
    attributes = node.proto.attr
    return max((attributes[key].i for key in TIMEOUTS[node.op] if key in attributes), default=0) // 10**6


def waiting(graph: GraphInfo) -> Iterator[Node]:
    """Yield the nodes that something reaches and that wait for what nothing that is reached puts there.

    Training fills its queues from threads of its own, which no call of a model starts.
    """
    unfilled: list[Node] = []
    for op in filter(TAKING.__contains__, graph.by_op):
        taking = [node for node in graph.nodes(op) if graph.reached(node)]
        if taking and not any(map(graph.reached, graph.nodes(*TAKING[op]))):
            unfilled += taking
    computed = _computed(graph) if unfilled else ()
    for node in unfilled:
        if node.body != MAIN or graph.reached(node) != _BY_SIGNATURES or node.name in computed:
            yield node


def _computed(graph: GraphInfo) -> Container[str]:
    """Return the nodes of the main graph that signatures compute when they are given all of their inputs.

    A placeholder may have what training takes from a queue as its default; such an input is never left out. All nodes
    are, if there are too many.
    """
    nodes = graph.bodies[MAIN].by_name
    found: set[str] = set()
    left = _MAX_STEPS
    for signature in graph.meta_graph.signature_def.values():
        fed = {tensor_name(name) for info in signature.inputs.values() for name in tensor_names(info)}
        seen: set[str] = set()
        pending = [name for info in signature.outputs.values() for name in tensor_names(info)]
        while pending:
            left -= 1
            if left < 0:
                return nodes
            reference = pending.pop()
            name = reference_producer(reference)
            if name in nodes and name not in seen and tensor_name(reference) not in fed:
                seen.add(name)
                pending += nodes[name].inputs
        found |= seen
    return found
