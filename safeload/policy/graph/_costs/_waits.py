"""Queues and the like that nothing fills: what takes from them waits for ever. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.inspection.graph.info import MAIN, EntryKind, reference_producer

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from safeload.inspection.graph.info import GraphInfo, Node

_BY_SIGNATURES = frozenset({EntryKind.SIGNATURE})
_MAX_STEPS = 1_000_000
"""Inputs of nodes that are looked at."""
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
    unfilled: list[Node] = []
    for op in filter(_TAKING.__contains__, graph.by_op):
        taking = [node for node in graph.nodes(op) if graph.reached(node)]
        if taking and not any(map(graph.reached, graph.nodes(*_TAKING[op]))):
            unfilled += taking
    computed = _computed(graph) if unfilled else ()
    for node in unfilled:
        if node.body != MAIN or graph.reached(node) != _BY_SIGNATURES or node.name in computed:
            yield node


def _computed(graph: GraphInfo) -> Container[str]:
    """Return the nodes of the main graph that signatures compute when they are given all of their inputs.

    A placeholder may have what training takes from a queue as its default. All nodes are, if there are too many.
    """
    nodes = graph.bodies[MAIN].by_name
    found: set[str] = set()
    left = _MAX_STEPS
    for signature in graph.meta_graph.signature_def.values():
        seen = {reference_producer(info.name) for info in signature.inputs.values()}
        pending = [reference_producer(info.name) for info in signature.outputs.values()]
        while pending:
            left -= 1
            if left < 0:
                return nodes
            name = pending.pop()
            if name in nodes and name not in seen:
                seen.add(name)
                found.add(name)
                pending += map(reference_producer, nodes[name].inputs)
    return found
