"""Conditions of loops that no iteration can change, or that hold of whatever an iteration makes. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.inspection.graph.info import MAIN, Body, GraphInfo, Node, reference_producer
from safeload.inspection.op_classes import op_class
from safeload.policy.graph._costs._intervals import ANY, interval, is_always_true

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLLOWED = frozenset({"pure", "control-flow"})
_MAX_STEPS = 1_000_000
"""Nodes of conditions of one graph that are looked at; of any public graph there are some hundreds."""


class Conditions:
    """The conditions of the loops of one graph.

    Args:
        graph: Its facts.

    Attributes:
        left: How many more nodes are looked at; less than none if there were too many.
    """

    def __init__(self, graph: GraphInfo) -> None:
        self._graph = graph
        self._known: dict[tuple[str, str], bool] = {}
        self.left = _MAX_STEPS

    def never_change(self, loop: Node) -> bool:
        """Tell whether the condition of *loop* is the same in every iteration, or always true."""
        if loop.op == "LoopCond":
            return not self._changes(self._graph.bodies[loop.body], loop.inputs[:1], frozenset())
        condition, body = (self._function(loop, key) for key in ("cond", "body"))
        if condition is None or body is None:
            return False
        key = (condition.name, body.name)
        if key not in self._known:
            invariant = frozenset(_invariant(condition, body))
            is_same = not self._changes(condition, condition.returns[:1], invariant)
            self._known[key] = is_same or _holds_for_ever(condition, body)
        return self._known[key]

    def _function(self, node: Node, key: str) -> Body | None:
        value = node.proto.attr.get(key)
        return self._graph.bodies.get(value.func.name) if value is not None and value.func.name != MAIN else None

    def _changes(self, body: Body, start: tuple[str, ...], invariant: frozenset[str]) -> bool:
        """Return whether anything that *start* is computed from may differ between two iterations."""
        seen: set[str] = set()
        pending = list(start)
        while pending:
            name = reference_producer(pending.pop())
            if name in seen or name in invariant:
                continue
            seen.add(name)
            self.left -= 1
            node = body.by_name.get(name)
            # The Merge of a loop takes another value in each iteration; arguments that are not invariant do, too.
            if node is None or node.op in {"Merge", "RefMerge"} or node.calls or op_class(node.op) not in _FOLLOWED:
                return True
            if self.left < 0:
                return True
            pending.extend(reference for reference in node.inputs if not reference.startswith("^"))
        return not start


def _invariant(condition: Body, body: Body) -> Iterable[str]:
    """Yield the arguments of *condition* that *body* returns as they came in."""
    known: dict[str, str] = {}
    for argument, inner, returned in zip(condition.arguments, body.arguments, body.returns, strict=False):
        if _plain(body, reference_producer(returned), known) == inner:
            yield argument


def _plain(body: Body, name: str, known: dict[str, str]) -> str:
    """Return what makes a tensor, ops left out that pass it on; *known* remembers what was found."""
    way: dict[str, None] = {}
    while name not in known and name not in way:
        node = body.by_name.get(name)
        if node is None or node.op != "Identity" or not node.inputs:
            break
        way[name] = None
        name = reference_producer(node.inputs[0])
    found = known.get(name, name)
    known.update(dict.fromkeys(way, found))
    return found


def _holds_for_ever(condition: Body, body: Body) -> bool:
    """Return whether *condition* is true of everything that *body* can return."""
    known = dict.fromkeys(body.arguments, ANY)
    returned = [interval(body, reference, known) for reference in body.returns]
    arguments = dict(zip(condition.arguments, returned, strict=False))
    return any(is_always_true(interval(condition, reference, arguments)) for reference in condition.returns[:1])
