"""Random numbers that are looked for until they are found: how long that takes, from constants. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safeload.policy.graph._constants._sites import Site
from safeload.readers.protobuf import dtype_name

if TYPE_CHECKING:
    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._facts import Facts

RATES = {
    "RandomPoisson": 1,
    "RandomPoissonV2": 1,
    "StatefulRandomBinomial": 3,
    "StatelessRandomBinomial": 2,
    "StatelessRandomPoisson": 2,
}
"""Ops that reject what they draw at a rate, or of a count, that is no number, for ever, and their operand for it.

Source: tensorflow/core/kernels/random_poisson_op.cc, random_binomial_op.cc, stateless_random_ops.cc (2.21).
"""
_POISSON = frozenset({"RandomPoisson", "RandomPoissonV2", "StatelessRandomPoisson"})
_LARGEST = {"float16": 65504.0, "float32": 3.4028235e38, "float64": 1.7976931348623157e308, "int32": (1 << 31) - 1}
_LONG = (1 << 63) - 1
"""The largest number of an int64, which is what these make where nothing else is written."""
RETRIES = {"KmeansPlusPlusInitialization": 3}
"""Ops that try as often as an operand says, and which. Source: op definitions of TensorFlow 2.21."""
TURNS = {"AdjustHue": 1}
"""Ops that turn a hue back until it is among the colours, by steps of 6 of a float32, and their operand for its turns.

Source: tensorflow/core/kernels/image/adjust_hue_op.cc (2.21), measured: 10⁷ turns take 40 ms, 10¹⁰ do not end.
"""
_LAST_STEP = 1 << 24
"""From about here on, a step changes nothing."""
SAMPLERS = ("FixedUnigramCandidateSampler",)
"""Ops that draw candidates of given weights. Of other samplers each candidate is found soon."""


def is_obscure_rate(facts: Facts, node: Node) -> bool:
    """Tell whether the rate of *node*, one of `RATES`, follows from constants, and is not known."""
    rate = facts.sites.input(Site(node), RATES[node.op])
    return rate is not None and facts.of(rate).numbers is None and facts.constancy.holds(rate)


def is_unreachable_rate(facts: Facts, node: Node) -> bool:
    """Tell whether *node*, one of `RATES`, rejects what it draws at its rate since that is beyond its dtype."""
    rate = facts.sites.input(Site(node), RATES[node.op])
    numbers = facts.of(rate).numbers if rate is not None and node.op in _POISSON else None
    dtype = node.proto.attr.get("dtype")
    most = _LARGEST.get(dtype_name(dtype.type) or "", _LONG) if dtype is not None else _LONG
    return max(numbers or (), default=0) > most


def least_retries(facts: Facts, node: Node) -> float:
    """Return how often *node*, one of `RETRIES`, tries; 0 if nothing is known."""
    tries = facts.sites.input(Site(node), RETRIES[node.op])
    return max((facts.of(tries).numbers or ()) if tries is not None else (), default=0)


def least_turns(facts: Facts, node: Node) -> float:
    """Return how often *node*, one of `TURNS`, turns back; 0 if nothing is known."""
    turns = facts.sites.input(Site(node), TURNS[node.op])
    most = max(map(abs, (facts.of(turns).numbers or ()) if turns is not None else ()), default=0)
    return math.inf if most > _LAST_STEP else most


def least_draws(node: Node) -> float:
    """Return how many times *node*, one of `SAMPLERS`, draws at least on average, until it has enough candidates.

    When all but one of those that it needs are found, the last is among the others, and rare if these are. Source:
    ``FixedUnigramSampler`` in tensorflow/core/kernels/range_sampler.cc (2.21).
    """
    attributes = node.proto.attr
    given = attributes["unigrams"].list.f if "unigrams" in attributes else ()
    if not given or not _number(node, "unique"):
        return 0
    power = attributes["distortion"].f if "distortion" in attributes else 1.0
    shards = max(1, _number(node, "num_shards"))
    first = _number(node, "shard") - _number(node, "num_reserved_ids")  # what is reserved has no weight
    weights = sorted((_weight(given[i], power) for i in range(first % shards, len(given), shards)), reverse=True)
    rest = sum(weights[max(0, _number(node, "num_sampled") - 1) :])
    return sum(weights) / rest if rest > 0 else math.inf


def _number(node: Node, key: str) -> int:
    value = node.proto.attr.get(key)
    return 0 if value is None else int(value.i or value.b)


def _weight(number: float, power: float) -> float:
    """Return a weight as the sampler computes it, 0 for what is none."""
    try:
        weight = math.pow(number, power)
    except (OverflowError, ValueError):
        return 0
    return weight if 0 < weight < math.inf else 0
