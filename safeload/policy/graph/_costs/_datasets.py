"""How many elements datasets have, from constants: what goes through a dataset is a loop. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from safeload.inspection.op_classes import op_class
from safeload.policy.graph._constants._fact import NOTHING
from safeload.policy.graph._constants._sites import BRANCHES, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._fact import Fact
    from safeload.policy.graph._constants._facts import Facts

CONSUMERS = {"InitializeTableFromDataset": 1, "ReduceDataset": 0}
"""Ops that go through all of a dataset, and which of their inputs it is."""
TAKERS = ("DatasetToSingleElement", "MakeIterator", "OneShotIterator")
"""Ops that take single elements of a dataset, their first input or what a function makes, or let others do so."""
MANY = 10**9
"""Elements that nobody waits for; each takes microseconds at least."""
_MAX_DEPTH = 32
"""Functions that make datasets in each other; with more of them, a graph is not looked at to its end."""


class _Passed(NamedTuple):
    """What goes through a dataset.

    Attributes:
        length: How many elements it has at least, those included that are left out or put together; 0 if that is not
            known.
        each: How many elements are gone through for one that it has.
        searched: Through how many elements constants may lead to find a single one.
        is_obscure: Whether constants decide how many it has in a way that is not understood.
    """

    length: float = 0
    each: float = 1
    searched: float = 0
    is_obscure: bool = False

    @property
    def work(self) -> float:
        """How many elements are gone through for all that it has."""
        return self.length * self.each if self.length else 0


def least_cardinality(facts: Facts, consumer: Node) -> float | None:
    """Return how many elements *consumer*, one of `CONSUMERS`, goes through at least; 0 if nothing is known.

    None means that constants decide it in a way that is not understood.
    """
    found = _passed(facts, facts.sites.input(Site(consumer), CONSUMERS[consumer.op]), {}, _MAX_DEPTH)
    return None if found.is_obscure and found.work <= MANY else found.work


def most_searched(facts: Facts, taker: Node) -> float | None:
    """Return how many elements *taker*, one of `TAKERS`, may go through for one; 0 if constants do not decide that.

    None means that they do in a way that is not understood.
    """
    made = _made_by(facts, taker, "dataset_factory") or facts.sites.input(Site(taker), 0)
    found = _passed(facts, made, {}, _MAX_DEPTH)
    return None if found.is_obscure and found.searched <= MANY else max(found.searched, found.each)


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
    if made is None or facts.work < 0:
        return _Passed()
    found = _begun(facts, made, known, depth)
    for step in reversed(chain):
        op = step.node.op
        if op in _FILTERS and facts.constancy.holds(step):
            found = found._replace(searched=max(found.searched, found.work))
        if op in _FLATTENING:
            inner = _made_by(facts, step.node, "f")
            passed = _passed(facts, inner, known, depth)
            is_empty = not passed.length and facts.work >= 0 and facts.constancy.holds(inner)
            found = _flattened(found, passed, is_empty=is_empty)
        else:
            found = _STEPS[op](found, _Numbers(facts, step))
    return found


def _begun(facts: Facts, made: Site, known: dict[Site, _Passed], depth: int) -> _Passed:
    """Return what goes through a dataset that is made of no other one, of several, or in a way that is not known."""
    op = made.node.op
    if op in _SOURCES:
        return _Passed(_SOURCES[op](_Numbers(facts, made)))
    parts: Iterable[Site | None] = ()
    if op in BRANCHES:
        parts = facts.sites.results(made)
    elif op_class(op) == "dataset":
        parts = [facts.sites.find(made.node.body, reference, made.context) for reference in made.data()]
    passed = [_passed(facts, part, known, depth) for part in parts]
    if passed and op in _TOGETHER:
        return _Passed(
            _TOGETHER[op]([part.length for part in passed]),
            max(part.each for part in passed),
            max(part.searched for part in passed),
            any(part.is_obscure for part in passed),
        )
    is_long = any(part.is_obscure or part.work > MANY for part in passed)
    return _Passed(is_obscure=is_long or facts.constancy.holds(made))


class _Numbers:
    """The operands of one step that are numbers.

    Args:
        facts: What follows from constants.
        site: The step.
    """

    def __init__(self, facts: Facts, site: Site) -> None:
        self._facts = facts
        self._site = site
        self._inputs = list(site.data())

    def __call__(self, index: int) -> float | None:
        """Return the first number of an operand, None if it is not known; those below zero are counted from the end."""
        known = self._fact(index).numbers
        return known[0] if known else None

    def rows(self) -> int:
        """Return how many rows the first operand has at least."""
        return (*(self._fact(0).shape or ()), 1)[0]

    def _fact(self, index: int) -> Fact:
        if not -len(self._inputs) <= index < len(self._inputs):
            return NOTHING
        return self._facts.reference(self._site.node.body, self._inputs[index], self._site.context)


def _range(number: _Numbers) -> float:
    start, stop, step = (number(index) for index in range(3))
    return 0 if start is None or stop is None or not step else max(0, (stop - start) // step)


def _flattened(given: _Passed, inner: _Passed, *, is_empty: bool) -> _Passed:
    # Of datasets that may have nothing the next one is asked, and so on.
    may_pass = is_empty or inner.is_obscure
    return _Passed(
        given.length * inner.length if given.length and inner.length else 0,
        max(given.each, inner.each),
        max(given.searched, inner.searched, given.work if may_pass else 0),
        given.is_obscure or inner.is_obscure or (may_pass and given.work > MANY),
    )


def _repeated(operand: int) -> Callable[[_Passed, _Numbers], _Passed]:
    def rule(given: _Passed, number: _Numbers) -> _Passed:
        times = number(operand)
        if times is None or not given.length:
            return given._replace(length=0)
        return given._replace(length=math.inf if times < 0 else given.length * times)

    return rule


def _taken(given: _Passed, number: _Numbers) -> _Passed:
    most = number(1)
    if most is None:
        return given._replace(length=0, is_obscure=False)
    # However many there are, so few of them are not many.
    is_obscure = given.is_obscure and not 0 <= most <= MANY
    return given._replace(length=given.length if most < 0 else min(given.length, most), is_obscure=is_obscure)


def _skipped(given: _Passed, number: _Numbers) -> _Passed:
    count = number(1)
    if count is None or count < 0:
        return given._replace(length=0)
    searched = max(given.searched, min(given.length, count) * given.each)
    return given._replace(length=max(0, given.length - count), searched=searched)


def _put_together(operand: int) -> Callable[[_Passed, _Numbers], _Passed]:
    """Return the rule of datasets that make one element of as many as *operand* says."""

    def rule(given: _Passed, number: _Numbers) -> _Passed:
        size = number(operand)
        if not size or size < 0:
            return given._replace(length=0)
        length = given.length // size if math.isfinite(given.length) else given.length
        return given._replace(length=length, each=given.each * size)

    return rule


def _sampled(given: _Passed, number: _Numbers) -> _Passed:
    rate = number(1)
    return given._replace(each=given.each / min(1, rate) if rate and rate > 0 else given.each)


def _while(given: _Passed, _: _Numbers) -> _Passed:
    """Return what goes through a dataset that ends where a function says."""
    return given._replace(length=0, is_obscure=True) if given.work > MANY else given


_SOURCES: dict[str, Callable[[_Numbers], float]] = {
    "RangeDataset": _range,
    **dict.fromkeys(("ExperimentalRandomDataset", "RandomDataset", "RandomDatasetV2"), lambda _: math.inf),
    "ListDataset": lambda _: 1,
    "SparseTensorSliceDataset": lambda number: number(2) or 1,
    "TensorDataset": lambda _: 1,
    "TensorSliceDataset": _Numbers.rows,
}
"""How many elements a dataset has that is made of no other one. Source: as below."""
_TOGETHER: dict[str, Callable[[Iterable[float]], float]] = {
    **dict.fromkeys(("ChooseFastestDataset", "ExperimentalChooseFastestDataset", "ZipDataset"), min),
    **dict.fromkeys(BRANCHES, max),
    "ConcatenateDataset": sum,
}
"""How many elements a dataset has of several."""
_STEPS: dict[str, Callable[[_Passed, _Numbers], _Passed]] = {
    **dict.fromkeys(
        (
            "AssertCardinalityDataset", "AssertNextDataset", "AssertPrevDataset", "BytesProducedStatsDataset",
            "CacheDataset", "CacheDatasetV2", "DirectedInterleaveDataset", "ExperimentalAssertNextDataset",
            "ExperimentalBytesProducedStatsDataset", "ExperimentalDirectedInterleaveDataset",
            "ExperimentalGroupByReducerDataset", "ExperimentalGroupByWindowDataset",
            "ExperimentalIgnoreErrorsDataset", "ExperimentalLatencyStatsDataset", "ExperimentalMapDataset",
            "ExperimentalNonSerializableDataset", "ExperimentalParseExampleDataset", "ExperimentalRebatchDataset",
            "ExperimentalScanDataset", "ExperimentalSetStatsAggregatorDataset", "ExperimentalUnbatchDataset",
            "ExperimentalUniqueDataset", "FilterByLastComponentDataset",
            "FilterDataset",  # what is left out is gone through, too
            "FinalizeDataset", "GlobalShuffleDataset", "GroupByReducerDataset", "GroupByWindowDataset", "Identity",
            "IgnoreErrorsDataset", "LatencyStatsDataset", "MapDataset", "ModelDataset", "NonSerializableDataset",
            "OptimizeDataset", "OptimizeDatasetV2", "OptionsDataset", "ParallelFilterDataset", "ParallelMapDataset",
            "ParallelMapDatasetV2", "ParseExampleDataset", "ParseExampleDatasetV2", "PrefetchDataset",
            "RebatchDataset", "RebatchDatasetV2", "RewriteDataset", "ScanDataset", "SetStatsAggregatorDataset",
            "ShuffleDataset", "ShuffleDatasetV2", "ShuffleDatasetV3", "UnbatchDataset", "UniqueDataset",
            "UnwrapDatasetVariant", "WrapDatasetVariant",
        ),
        lambda given, _: given,
    ),
    **dict.fromkeys(
        (
            "AutoShardDataset", "BatchDataset", "BatchDatasetV2", "DenseToSparseBatchDataset",
            "ExperimentalAutoShardDataset", "ExperimentalDenseToSparseBatchDataset", "PaddedBatchDataset",
            "PaddedBatchDatasetV2", "ParallelBatchDataset", "ShardDataset",
        ),
        _put_together(1),
    ),
    **dict.fromkeys(
        ("ExperimentalSlidingWindowDataset", "SlidingWindowDataset", "WindowDataset"), _put_together(2)
    ),
    **dict.fromkeys(("ExperimentalMapAndBatchDataset", "MapAndBatchDataset"), _put_together(-3)),
    **dict.fromkeys(("ShuffleAndRepeatDataset", "ShuffleAndRepeatDatasetV2"), _repeated(4)),
    "RepeatDataset": _repeated(1),
    "SamplingDataset": _sampled,
    "SkipDataset": _skipped,
    "TakeDataset": _taken,
    **dict.fromkeys(("ExperimentalTakeWhileDataset", "TakeWhileDataset"), _while),
}  # fmt: skip
"""What goes through a dataset of one through which something goes, given its operands.

Source: op definitions and tensorflow/core/kernels/data (2.21).
"""
_FILTERS = frozenset(
    [
        "ExperimentalGroupByReducerDataset", "ExperimentalGroupByWindowDataset", "ExperimentalIgnoreErrorsDataset",
        "ExperimentalUniqueDataset", "FilterByLastComponentDataset", "FilterDataset", "GroupByReducerDataset",
        "GroupByWindowDataset", "IgnoreErrorsDataset", "ParallelFilterDataset", "SamplingDataset", "UniqueDataset",
    ]
)  # fmt: skip
"""Datasets that may leave out all of their elements, or all but the first ones, or wait for the last one."""
_FLATTENING = frozenset(
    [
        "ExperimentalParallelInterleaveDataset", "FlatMapDataset", "InterleaveDataset",
        "LegacyParallelInterleaveDatasetV2", "ParallelInterleaveDataset", "ParallelInterleaveDatasetV2",
        "ParallelInterleaveDatasetV3", "ParallelInterleaveDatasetV4",
    ]
)  # fmt: skip
"""Datasets of all elements of those that their function makes, of each element one. Source: as above."""
_PASSING = _FILTERS | _FLATTENING | _STEPS.keys()
