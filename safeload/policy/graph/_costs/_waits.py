"""Queues and the like that nothing fills: what takes from them waits for ever. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import GraphInfo, Node

_QUEUES = frozenset({"QueueEnqueue", "QueueEnqueueMany", "QueueEnqueueManyV2", "QueueEnqueueV2"})
_TAKING: dict[str, frozenset[str]] = {
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


def waiting(graph: GraphInfo) -> Iterator[Node]:
    """Yield the nodes that something reaches and that wait for what nothing that is reached puts there.

    Training fills its queues from threads of its own, which no call of a model starts.
    """
    for op in filter(_TAKING.__contains__, graph.by_op):
        taking = [node for node in graph.nodes(op) if graph.reached(node)]
        if taking and not any(map(graph.reached, graph.nodes(*_TAKING[op]))):
            yield from taking
