"""Queues and the like: what takes from them waits until there is something. Layer: inspection."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from safeload.inspection.graph.bodies import MAIN
from safeload.inspection.graph.entries import reference_producer

if TYPE_CHECKING:
    from safeload.inspection.graph.info import GraphInfo

_QUEUES = frozenset({"QueueEnqueue", "QueueEnqueueMany", "QueueEnqueueManyV2", "QueueEnqueueV2"})
TAKING: dict[str, frozenset[str]] = {
    **dict.fromkeys(("QueueDequeue", "QueueDequeueMany", "QueueDequeueManyV2"), _QUEUES),
    **dict.fromkeys(("QueueDequeueUpTo", "QueueDequeueUpToV2", "QueueDequeueV2"), _QUEUES),
    **dict.fromkeys(("StagePeek", "Unstage"), frozenset({"Stage"})),
    **dict.fromkeys(("MapPeek", "MapUnstage", "MapUnstageNoKey"), frozenset({"MapStage"})),
    **dict.fromkeys(("OrderedMapPeek", "OrderedMapUnstage", "OrderedMapUnstageNoKey"), frozenset({"OrderedMapStage"})),
    "BarrierTakeMany": frozenset({"BarrierInsertMany"}),
    **{f"{kind}AccumulatorTakeGradient": frozenset({f"{kind}AccumulatorApplyGradient"}) for kind in ("", "Resource")},
    "SparseAccumulatorTakeGradient": frozenset({"SparseAccumulatorApplyGradient"}),
}
"""Ops that wait until there is something to take, and those that put it there.

Source: op definitions of TensorFlow 2.21, and their kernels.
"""


def waiting_nodes(graph: GraphInfo) -> set[str]:
    """Return the nodes of the main graph that need what something takes from a queue or the like."""
    pending = [node.name for node in graph.nodes(*TAKING) if node.body == MAIN]
    users: dict[str, list[str]] = defaultdict(list)
    for node in graph.bodies[MAIN].nodes if pending else ():
        for reference in node.inputs:
            users[reference_producer(reference)].append(node.name)
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += users[name]
    return found
