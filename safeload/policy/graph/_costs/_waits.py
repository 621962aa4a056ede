"""Queues and the like that nothing fills: what takes from them waits for ever. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.readers.saved_model.queues import TAKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import GraphInfo, Node

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
    for op in filter(TAKING.__contains__, graph.by_op):
        taking = [node for node in graph.nodes(op) if graph.reached(node)]
        if taking and not any(map(graph.reached, graph.nodes(*TAKING[op]))):
            yield from taking
