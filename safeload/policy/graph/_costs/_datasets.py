"""How many elements datasets have, from constants: what goes through a dataset is a loop. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safeload.policy.graph._constants._sites import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._facts import Facts

CONSUMERS = {"InitializeTableFromDataset": 1, "ReduceDataset": 0}
"""Ops that go through all of a dataset, and which of their inputs it is."""
_MAX_LENGTH = 1000


def least_cardinality(facts: Facts, consumer: Node) -> float:
    """Return how many elements *consumer*, one of `CONSUMERS`, goes through at least; 0 if nothing is known."""
    made = facts.sites.input(Site(consumer), CONSUMERS[consumer.op])
    chain: list[Site] = []
    while made is not None and made.node.op in _STEPS and len(chain) < _MAX_LENGTH:
        chain.append(made)
        made = facts.sites.input(made, 0)
    count = _SOURCES[made.node.op](facts, made) if made is not None and made.node.op in _SOURCES else 0
    for step in reversed(chain):
        count = _STEPS[step.node.op](count, _number(facts, step, 1))
    return count


def _number(facts: Facts, site: Site, index: int) -> float | None:
    inputs = site.node.inputs
    known = facts.reference(site.node.body, inputs[index], site.context).numbers if index < len(inputs) else None
    return known[0] if known else None


def _range(facts: Facts, site: Site) -> float:
    start, stop, step = (_number(facts, site, index) for index in range(3))
    return 0 if start is None or stop is None or not step else max(0, (stop - start) // step)


def _repeated(count: float, times: float | None) -> float:
    if times is None or not count:
        return 0
    return math.inf if times < 0 else count * times


def _taken(count: float, number: float | None) -> float:
    return 0 if number is None else count if number < 0 else min(count, number)


def _skipped(count: float, number: float | None) -> float:
    return 0 if number is None or number < 0 else max(0, count - number)


def _batched(count: float, size: float | None) -> float:
    return 0 if not size or size < 0 else count // size if math.isfinite(count) else count


_SOURCES: dict[str, Callable[[Facts, Site], float]] = {
    "RangeDataset": _range,
    "RandomDataset": lambda *_: math.inf,
    "RandomDatasetV2": lambda *_: math.inf,
    "TensorDataset": lambda *_: 1,
    "TensorSliceDataset": lambda *_: 1,
}
_STEPS: dict[str, Callable[[float, float | None], float]] = {
    **dict.fromkeys(
        (
            "CacheDataset",
            "CacheDatasetV2",
            "ConcatenateDataset",
            "FilterDataset",  # what is left out is gone through, too
            "MapDataset",
            "ModelDataset",
            "OptimizeDataset",
            "OptimizeDatasetV2",
            "OptionsDataset",
            "RewriteDataset",
            "ParallelFilterDataset",
            "ParallelMapDataset",
            "ParallelMapDatasetV2",
            "PrefetchDataset",
            "ScanDataset",
            "ShuffleDataset",
            "ShuffleDatasetV2",
            "ShuffleDatasetV3",
        ),
        lambda count, _: count,
    ),
    **dict.fromkeys(("BatchDataset", "BatchDatasetV2"), _batched),
    "RepeatDataset": _repeated,
    "SkipDataset": _skipped,
    "TakeDataset": _taken,
}
"""How many elements a dataset has of one with so many, given its second input.

Source: op definitions and tensorflow/core/kernels/data (2.21).
"""
