"""How many elements datasets have, from constants: what goes through a dataset is a loop. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from safeload.policy.graph._constants._sites import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._facts import Facts

CONSUMERS = {"InitializeTableFromDataset": 1, "ReduceDataset": 0}
"""Ops that go through all of a dataset, and which of their inputs it is."""
TAKERS = ("DatasetToSingleElement", "MakeIterator", "OneShotIterator")
"""Ops that take single elements of a dataset, their first input or what a function makes, or let others do so."""
_MAX_DEPTH = 32
"""Functions that make datasets in each other; with more of them, a graph is not looked at to its end."""


class _Passed(NamedTuple):
    """What goes through a dataset.

    Attributes:
        length: How many elements it has at least; 0 if nothing is known.
        searched: Through how many elements constants may lead to find a single one.
    """

    length: float = 0
    searched: float = 0


def least_cardinality(facts: Facts, consumer: Node) -> float:
    """Return how many elements *consumer*, one of `CONSUMERS`, goes through at least; 0 if nothing is known."""
    return _passed(facts, facts.sites.input(Site(consumer), CONSUMERS[consumer.op]), {}, _MAX_DEPTH).length


def most_searched(facts: Facts, taker: Node) -> float:
    """Return how many elements *taker*, one of `TAKERS`, may go through for one; 0 if constants do not decide that."""
    made = _made_by(facts, taker, "dataset_factory") or facts.sites.input(Site(taker), 0)
    return _passed(facts, made, {}, _MAX_DEPTH).searched


def _made_by(facts: Facts, node: Node, key: str) -> Site | None:
    """Return what makes the dataset that the function returns which the attribute *key* of *node* names."""
    function = facts.sites.function_of(node, key)
    return facts.sites.find(function.name, function.returns[0]) if function and function.returns else None


def _passed(facts: Facts, made: Site | None, known: dict[Site, _Passed], depth: int) -> _Passed:
    """Return what goes through the dataset that *made* makes; *known* remembers what was found."""
    if not depth:
        facts.work = -1
    if made is None or facts.work < 0:
        return _Passed()
    if made not in known:
        known[made] = _Passed()  # what is met on the way to itself
        known[made] = _followed(facts, made, known, depth - 1)
    return known[made]


def _followed(facts: Facts, last: Site, known: dict[Site, _Passed], depth: int) -> _Passed:
    made: Site | None = last
    chain: list[Site] = []
    while made is not None and made.node.op in _PASSING and facts.work >= 0:
        facts.work -= 1
        chain.append(made)
        made = facts.sites.input(made, 0)
    count = _SOURCES[made.node.op](facts, made) if made is not None and made.node.op in _SOURCES else 0
    searched: float = 0
    for step in reversed(chain):
        op = step.node.op
        if op in _FILTERS and facts.constancy.holds(step):
            searched = max(searched, count)
        if op in _FLATTENING:
            found = _passed(facts, _made_by(facts, step.node, "f"), known, depth)
            searched = max(searched, found.searched)
            count = count * found.length if count and found.length else 0
        else:
            count = _STEPS[op](count, _number(facts, step, 1))
    return _Passed(count, searched)


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
            "ExperimentalScanDataset",
            "ExperimentalUniqueDataset",
            "FilterByLastComponentDataset",
            "FilterDataset",  # what is left out is gone through, too
            "FinalizeDataset",
            "Identity",
            "IgnoreErrorsDataset",
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
            "UniqueDataset",
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
_FILTERS = frozenset(
    [
        "ExperimentalUniqueDataset", "FilterByLastComponentDataset", "FilterDataset", "ParallelFilterDataset",
        "UniqueDataset",
    ]
)  # fmt: skip
"""Datasets that may leave out all of their elements, or all but the first ones."""
_FLATTENING = frozenset(
    [
        "ExperimentalParallelInterleaveDataset", "FlatMapDataset", "InterleaveDataset",
        "LegacyParallelInterleaveDatasetV2", "ParallelInterleaveDataset", "ParallelInterleaveDatasetV2",
        "ParallelInterleaveDatasetV3", "ParallelInterleaveDatasetV4",
    ]
)  # fmt: skip
"""Datasets of all elements of those that their function makes, of each element one. Source: as above."""
_PASSING = _FILTERS | _FLATTENING | _STEPS.keys()
