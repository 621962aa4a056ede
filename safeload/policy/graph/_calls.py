"""Which function calls which: an order, and the cycles that have none. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import GraphInfo, Node


class CallOrder:
    """The bodies of one graph in the order in which they can be understood.

    Args:
        graph: Its facts.

    Attributes:
        order: Names of all bodies, what is called before what calls it.
        cycles: One call of each cycle of functions that call each other.
    """

    def __init__(self, graph: GraphInfo) -> None:
        self._graph = graph
        self._done: dict[str, None] = {}
        self.cycles = tuple(node for root in graph.bodies if root not in self._done for node in self._search(root))
        self.order = tuple(self._done)

    def _search(self, root: str) -> Iterator[Node]:
        """Search depth first without recursion; yield the calls that lead back."""
        active: dict[str, None] = {root: None}
        stack = [(root, calls_of(self._graph, root))]
        while stack:
            name, calls = stack[-1]
            node, called = next(calls, (None, ""))
            if node is None:
                self._done[name] = None
                active.pop(name, None)
                stack.pop()
            elif called in active:
                yield node
            elif called not in self._done:
                active[called] = None
                stack.append((called, calls_of(self._graph, called)))


def calls_of(graph: GraphInfo, function: str) -> Iterator[tuple[Node, str]]:
    """Yield each call in *function*, and what it calls."""
    return ((node, called) for node in graph.bodies[function].calling for called in node.calls)
