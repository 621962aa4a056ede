"""Loops that count from one constant to another: how often they run at least. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safeload.inspection.graph import MAIN, reference_producer
from safeload.policy.graph._intervals import interval
from safeload.policy.graph._values import producer

if TYPE_CHECKING:
    from safeload.inspection.graph import Body, GraphInfo, Node

LOOPS = ("While", "StatelessWhile")
_COMPARES = {"Less": 1, "LessEqual": 1, "Greater": -1, "GreaterEqual": -1}
"""In which direction a counter on the left runs until the comparison is false."""
_STEPS = {"Add": 1, "AddV2": 1, "Sub": -1}
_MAX_DEPTH = 32


class LoopCounter:
    """Counts iterations that follow from constants alone.

    Args:
        graph: Facts about a graph without recursion.
    """

    def __init__(self, graph: GraphInfo) -> None:
        self._graph = graph
        self._known: dict[str, float] = {}

    def iterations(self, loop: Node) -> float:
        """Return how often the innermost loop of *loop* runs at least; 0 if nothing is known."""
        condition, body = (self._function(loop, key) for key in ("cond", "body"))
        if condition is None or body is None:
            return 0
        times = self._times(loop, condition, body, condition.returns[0] if condition.returns else "", _MAX_DEPTH)
        return times * max(1, self._inside(body.name)) if times else 0

    def _inside(self, function: str) -> float:
        """Return the iterations of the loops in *function* and in what it calls."""
        if function not in self._known:
            self._known[function] = 0  # a function that calls itself is refused for that
            body = self._graph.bodies[function]
            loops = sum(self.iterations(node) for node in body.calling if node.op in LOOPS)
            called = {name for node in body.calling if node.op not in LOOPS for name in node.calls}
            self._known[function] = loops + max((self._inside(name) for name in called), default=0)
        return self._known[function]

    def _function(self, node: Node, key: str) -> Body | None:
        value = node.proto.attr.get(key)
        return self._graph.bodies.get(value.func.name) if value is not None and value.func.name != MAIN else None

    def _times(self, loop: Node, condition: Body, body: Body, reference: str, depth: int) -> float:
        node = condition.by_name.get(reference_producer(reference))
        if node is None or not depth:
            return 0
        data = [r for r in node.inputs if not r.startswith("^")]
        if node.op == "Identity" and data:
            return self._times(loop, condition, body, data[0], depth - 1)
        if node.op == "LogicalAnd":
            return min((self._times(loop, condition, body, r, depth - 1) for r in data), default=0)
        if node.op == "Const":
            return math.inf  # a loop that never ends has its own rule
        if node.op not in _COMPARES or len(data) != 2:
            return 0
        return max(
            self._compared(loop, condition, body, data, _COMPARES[node.op]),
            self._compared(loop, condition, body, data[::-1], -_COMPARES[node.op]),
        )

    def _compared(self, loop: Node, condition: Body, body: Body, data: list[str], direction: int) -> float:
        """Return how often a counter, the first of *data*, changes in *direction* before it meets the second."""
        counter = reference_producer(data[0])
        if counter not in condition.arguments:
            return 0
        position = condition.arguments.index(counter)
        limit = self._limit(loop, condition, body, data[1])
        start = self._number(loop.body, loop.inputs[position]) if position < len(loop.inputs) else None
        step = self._step(body, position)
        if limit is None or start is None or not step or step * direction <= 0:
            return 0
        return max(0.0, (limit - start) / step)

    def _limit(self, loop: Node, condition: Body, body: Body, reference: str) -> float | None:
        """Return a number of the condition, or one that the loop passes on as it came in."""
        name = reference_producer(reference)
        if name not in condition.arguments:
            return self._number(condition.name, reference)
        position = condition.arguments.index(name)
        if position >= min(len(body.returns), len(body.arguments), len(loop.inputs)):
            return None
        is_same = _plain(body, body.returns[position]) == body.arguments[position]
        return self._number(loop.body, loop.inputs[position]) if is_same else None

    def _step(self, body: Body, position: int) -> float | None:
        """Return what the loop's body adds to one of its arguments."""
        if position >= min(len(body.returns), len(body.arguments)):
            return None
        node = body.by_name.get(_plain(body, body.returns[position]))
        if node is None or node.op not in _STEPS or len(node.inputs) < 2:
            return None
        left, right = node.inputs[:2]
        if node.op != "Sub" and _plain(body, right) == body.arguments[position]:
            left, right = right, left
        added = self._number(body.name, right)
        return None if added is None or _plain(body, left) != body.arguments[position] else added * _STEPS[node.op]

    def _number(self, body: str, reference: str) -> float | None:
        made = producer(self._graph, body, reference)
        if made is None:
            return None
        low, high = interval(self._graph.bodies[made.body], made.name, {})
        return low if low == high and math.isfinite(low) else None


def _plain(body: Body, reference: str) -> str:
    """Return what makes a tensor, ops left out that pass it on."""
    name = reference_producer(reference)
    for _ in range(_MAX_DEPTH):
        node = body.by_name.get(name)
        if node is None or node.op != "Identity" or not node.inputs:
            break
        name = reference_producer(node.inputs[0])
    return name
