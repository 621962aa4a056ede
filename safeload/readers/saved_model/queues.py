"""Queues, datasets and the like, from which training takes what a call gives. Layer: readers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from safeload.readers.saved_model.references import closure, reference_producer

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

_OF_DATASETS = frozenset({"IteratorGetNext", "IteratorGetNextSync"})
WITH_DEFAULT = "PlaceholderWithDefault"


def fed_by_training(graph_def: Any) -> frozenset[str]:
    """Return the placeholders whose default is what training took from a queue or a dataset.

    Nothing fills that in a call, so that it is no default: such an input has to be given.
    """
    if not any(node.op == WITH_DEFAULT for node in graph_def.node):
        return frozenset()
    users: dict[str, list[str]] = defaultdict(list)
    for node in graph_def.node:
        for reference in node.input:
            users[reference_producer(reference)].append(node.name)
    taken = closure(
        (node.name for node in graph_def.node if node.op in TAKING or node.op in _OF_DATASETS), users.__getitem__
    )
    return frozenset(node.name for node in graph_def.node if node.op == WITH_DEFAULT and node.name in taken)
