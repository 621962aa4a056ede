"""Loops that count from one constant to another: how often they run at least. Layer: policy."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from safeload.policy.graph._constants._constancy import Constancy, is_steady
from safeload.policy.graph._constants._frames import OUTSIDE, Frames
from safeload.policy.graph._constants._sites import LOOPS, WATCHED, Site, Step, at_iteration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safeload.inspection.graph.info import Body, GraphInfo, Node
    from safeload.policy.graph._constants._fact import Fact
    from safeload.policy.graph._constants._facts import Facts

_NEGATED = {
    "Less": "GreaterEqual",
    "GreaterEqual": "Less",
    "Greater": "LessEqual",
    "LessEqual": "Greater",
    "Equal": "NotEqual",
    "NotEqual": "Equal",
}
_CALLING = LOOPS | {"For"}
_SAME = frozenset({"Identity", "Reshape", "ExpandDims", "Squeeze", "Cast", "StopGradient"})
_ENOUGH = 64
"""Iterations whose results are followed."""
_MAX_FOLLOWED = 300
"""Iterations of which the condition is computed, where it is not known how it changes."""


_TOLERANCE = 0.01
_MAX_DEPTH = 200
_MAX_CONDITIONS = 20_000
"""Parts of conditions of one graph that are looked at."""
_FALSE = ((0,),)

_Known = dict[tuple["Site", bool], float]


class LoopCounter:
    """Counts iterations that follow from constants alone.

    Args:
        graph: Facts about a graph.
        order: Names of its bodies, what is called before what calls it.
        facts: What follows from its constants. What short loops return is known to them afterwards.

    Attributes:
        loops: All of its loops.
        unexplained: Those that count by constants in a way that is not understood.
        left: How many more parts of conditions are looked at.
    """

    def __init__(self, graph: GraphInfo, order: Iterable[str], facts: Facts) -> None:
        self._graph = graph
        self._facts = facts
        self._constancy = Constancy(facts.sites, any_choice=False)
        self._frames: dict[str, Frames] = {}
        self._times: dict[tuple[str, str], float] = {}
        self._inside: dict[tuple[str, bytes], float] = {}
        self.loops: list[Node] = []
        self.unexplained: list[Node] = []
        self.left = _MAX_CONDITIONS
        entries: defaultdict[str, list[Node]] = defaultdict(list)
        for node in graph.nodes("Enter"):
            entries[node.body].append(node)
        if any(op in graph.by_op for op in ("LoopCond", *_CALLING)):
            for name in order:
                self._look_at(graph.bodies[name], entries[name])

    def iterations(self, loop: Node) -> float:
        """Return how often the innermost loop of *loop* runs at least; 0 if nothing is known."""
        times = self.times(loop)
        return times * max(1, self._within(loop)) if times else 0

    def times(self, loop: Node) -> float:
        """Return how often *loop* itself runs at least; 0 if nothing is known."""
        return self._times.get((loop.body, loop.name), 0)

    def members(self, loop: Node) -> Iterable[Node]:
        """Return the nodes that *loop* executes in each iteration."""
        body = self._facts.sites.function_of(loop, "body")
        if body is not None:
            return body.nodes
        frames = self._frames[loop.body]
        return frames.members[frames.of(loop.name)]

    def _look_at(self, body: Body, entries: list[Node]) -> None:
        frames = self._frames[body.name] = Frames(body, entries)
        loops = [node for node in body.calling if node.op in _CALLING]
        loops += [node for found in list(frames.members.values()) for node in found if node.op == "LoopCond"]
        for loop in loops:
            times = self._count(Site(loop))
            if 1 <= times <= _ENOUGH:
                self._facts.sites.iterations[loop.body, loop.name] = int(times)
            elif math.isfinite(times):
                self._facts.sites.repetitions[loop.body, loop.name] = times
            self._times[loop.body, loop.name] = times or self._most(loop)
        self.loops += loops
        for node in body.calling:
            if node.op not in LOOPS:
                self._add_call(frames.of(node.name), node)
        # A loop counts for the frame around it once all that is inside of it is counted.
        for loop in sorted(loops, key=lambda loop: -frames.depth(frames.around(loop))):
            place = (body.name, frames.around(loop))
            self._inside[place] = self._inside.get(place, 0) + self.iterations(loop)

    def _add_call(self, frame: bytes, call: Node) -> None:
        """Count the loops in what *call* calls; of all calls in one place those with most."""
        most = max((self._inside.get((name, OUTSIDE), 0) for name in call.calls), default=0)
        self._inside[call.body, frame] = max(self._inside.get((call.body, frame), 0), most)

    def _within(self, loop: Node) -> float:
        """Return the iterations of the loops in one iteration of *loop*."""
        body = self._facts.sites.function_of(loop, "body")
        frames = self._frames[loop.body]
        return self._inside.get((body.name, OUTSIDE) if body is not None else (loop.body, frames.of(loop.name)), 0)

    def _most(self, loop: Node) -> float:
        """Return how often *loop* runs at most for one of several calls of the function that it is in."""
        calls = self._graph.callers.get(loop.body, ()) if self._facts.sites.is_shared(loop.body) else ()
        return max((self._count(Site(loop, (Step(call.body, call.name),))) for call in calls), default=0)

    def _count(self, loop: Site) -> float:
        """Return how often the condition of *loop* holds."""
        if loop.node.op == "For":
            return self._steps(loop)
        first, second = (self._facts.sites.condition(loop, iteration) for iteration in range(2))
        if first is None or second is None or self._facts.of(first).numbers in _FALSE:
            return 0
        times = self._holds(loop.node, second, {}, _MAX_DEPTH)
        return float(1 + times) if times else self._followed(loop)

    def _steps(self, loop: Site) -> float:
        """Return how often *loop*, a ``For``, runs."""
        bounds = [self._facts.sites.input(loop, index) for index in range(3)]
        start, limit, delta = (None if made is None else _only(self._facts.of(made)) for made in bounds)
        if start is not None and limit is not None and delta:
            return max(0, (limit - start) / delta)
        return self._left_open(loop) if all(map(self._constancy.holds, bounds)) else 0

    def _followed(self, loop: Site) -> float:
        """Return how often *loop* runs if that is not often and follows from constants, 0 if it is not known."""
        if not self._constancy.holds(self._facts.sites.condition(loop, WATCHED)):
            return 0
        for iteration in range(_MAX_FOLLOWED):
            condition = self._facts.sites.condition(loop, iteration)
            if condition is not None and self._facts.of(condition).numbers in _FALSE:
                return iteration
        return self._left_open(loop)

    def _left_open(self, loop: Site) -> float:
        self.unexplained.append(loop.node)
        return 0

    def _holds(self, loop: Node, site: Site | None, known: _Known, depth: int, *, is_negated: bool = False) -> float:
        """Return for how many iterations on end *site* is true, or false if it *is_negated*; 0 if that is not known."""
        site = self._facts.sites.through(site, _SAME)
        if site is None or not depth:
            return 0
        key = (site, is_negated)
        if key not in known and self.left > 0:
            self.left -= 1
            known[key] = 0
            known[key] = self._holding(loop, site, known, depth - 1, is_negated=is_negated)
        return known.get(key, 0)

    def _holding(self, loop: Node, site: Site, known: _Known, depth: int, *, is_negated: bool) -> float:
        op = site.node.op
        if op == "LogicalNot":
            below = self._facts.sites.input(site, 0)
            return self._holds(loop, below, known, depth, is_negated=not is_negated)
        if op in {"LogicalAnd", "LogicalOr"}:
            parts = [self._facts.sites.input(site, index) for index in range(2)]
            times = [self._holds(loop, part, known, depth, is_negated=is_negated) for part in parts]
            return min(times) if (op == "LogicalAnd") is not is_negated else max(times)
        compare = op if op in _NEGATED else "NotEqual"
        key = (loop.body, loop.name)
        watched = [
            self._difference(site._replace(context=at_iteration(site.context, key, n + 1))) for n in range(WATCHED)
        ]
        differences = [number for number in watched if number is not None]
        site = site._replace(context=at_iteration(site.context, key, WATCHED))
        if len(differences) < WATCHED or not all(is_steady(self._facts.sites, part, key) for part in self._parts(site)):
            return 0
        return _passed(_NEGATED[compare] if is_negated else compare, differences)

    def _parts(self, site: Site) -> list[Site | None]:
        """Return what a condition compares, or the number that it is."""
        return [self._facts.sites.input(site, index) for index in range(2)] if site.node.op in _NEGATED else [site]

    def _difference(self, site: Site) -> float | None:
        """Return by how much the first operand of a comparison is larger; of other tensors their value."""
        numbers = [_only(self._facts.of(part)) for part in self._parts(site) if part is not None]
        known = [number for number in numbers if number is not None]
        return known[0] - sum(known[1:]) if len(known) == len(self._parts(site)) else None


def _only(fact: Fact) -> float | None:
    """Return the one value that *fact* always has."""
    return fact.numbers[0] if fact.numbers is not None and len(fact.numbers) == 1 and not fact.doubt else None


def _passed(compare: str, differences: Iterable[float]) -> float:
    """Return how often a comparison holds of a difference that goes on as it began."""
    first, second, third = differences
    step = second - first
    if not math.isclose(step, third - second, rel_tol=_TOLERANCE):
        return 0
    if compare in {"Greater", "GreaterEqual"}:
        first, step = -first, -step
    return _UNTIL[compare](first, step)


def _until_reached(first: float, step: float) -> float:
    return 0 if first >= 0 else math.inf if step <= 0 else math.ceil(-first / step)


def _until_passed(first: float, step: float) -> float:
    return 0 if first > 0 else math.inf if step <= 0 else math.floor(-first / step) + 1


def _until_equal(first: float, step: float) -> float:
    if not step:
        return math.inf if first else 0
    return max(0, -first / step) if -first % step == 0 and -first / step >= 0 else math.inf


def _until_different(first: float, step: float) -> float:
    return 0 if first else math.inf if not step else 1


_UNTIL = {
    "Less": _until_reached,
    "Greater": _until_reached,
    "LessEqual": _until_passed,
    "GreaterEqual": _until_passed,
    "NotEqual": _until_equal,
    "Equal": _until_different,
}
"""How often a comparison holds, by the first difference of its operands and what is added to it each time."""
