"""Outputs of nodes that follow from constants: in functions called again and again, in loops. Layer: policy.

A function that doubles what it is given makes gigabytes in thirty calls, a loop that does so in thirty iterations.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from safeload.policy.graph._constants._constancy import is_inside, is_steady
from safeload.policy.graph._constants._fact import SURE
from safeload.policy.graph._constants._sites import LOOPS, MAX_CONTEXT, WATCHED, Site, Step, at_iteration
from safeload.policy.graph._constants._sizes import ALLOCATING, deciding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from safeload.inspection.graph.info import GraphInfo, Node
    from safeload.policy.graph._constants._counted import LoopCounter
    from safeload.policy.graph._constants._fact import Fact
    from safeload.policy.graph._constants._facts import Facts
    from safeload.policy.graph._constants._sites import Context

_MAX_ITERATIONS = 64
"""Iterations of a loop that are followed: what doubles sixty times is large enough."""
_SETTLING = 3
"""Iterations after which a loop that does not grow is left."""
_MAX_CALLED = 300_000
"""Nodes of functions that are followed once for each call or iteration; of public graphs there are some hundreds."""
_MEMBER = 6
"""What a node or variable of a loop counts for, which is followed in some iterations."""


_RESOURCE = 20
"""DT_RESOURCE. Source: tensorflow/core/framework/types.proto (2.21)."""

_TYPED = frozenset({"Case", "If", "PartitionedCall", "StatefulPartitionedCall", "StatelessCase", "StatelessIf"})
"""Calls whose ``Tin`` are the types of what they pass; TensorFlow refuses other inputs. Source: its op definitions."""

_Variable = tuple[str, str]
"""What a loop passes on: its body and the tensor in it."""


class Output(NamedTuple):
    """What a node makes.

    Attributes:
        site: The node where it is executed.
        fact: What is known of what it makes.
        is_unexplained: Whether constants decide its size in a way that is not understood.
    """

    site: Site
    fact: Fact
    is_unexplained: bool = False


class Growth:
    """Finds what nodes make, in functions and loops, as far as that follows from constants.

    Args:
        graph: Facts about a graph.
        facts: What follows from its constants.
        loops: Its loops.

    Attributes:
        left: How many more nodes are followed in functions that are called, and in loops.
    """

    def __init__(self, graph: GraphInfo, facts: Facts, loops: LoopCounter) -> None:
        self._graph = graph
        self._facts = facts
        self._loops = loops
        self._allocating = _allocating(graph)
        self.left = _MAX_CALLED

    def outputs(self) -> Iterator[Output]:
        """Yield every node that may make much, wherever it is executed."""
        graph, shared = self._graph, self._facts.sites.is_shared
        yield from self._made(graph.nodes(*filter(ALLOCATING.__contains__, graph.by_op)), ())
        for loop in self._loops.loops:
            if self._loops.times(loop) > 1 and self.left > 0:
                members, variables = self._inside(loop)
                self.left -= _MEMBER * (len(members) + len(variables))
                yield from self._grown(loop, members, variables)
        for name in graph.bodies:
            if name in self._allocating and not shared(name):
                for nodes, context in self._called(graph.bodies[name].calling, ()):
                    yield from self._made(nodes, context)

    def _made(self, nodes: Iterable[Node], context: Context) -> Iterator[Output]:
        for node in nodes:
            if node.op in ALLOCATING:
                site = Site(node, context)
                fact, is_unexplained = self._facts.of(site), self._facts.is_unexplained(site)
                if is_unexplained or fact.elements:
                    yield Output(site, fact, is_unexplained)

    def _inside(self, loop: Node) -> tuple[list[Node], list[_Variable]]:
        """Return what *loop* executes in each iteration, and what it passes on to the next one."""
        members = list(self._loops.members(loop))
        variables = [(node.body, node.inputs[0]) for node in members if node.op == "NextIteration" and node.inputs]
        body = self._facts.sites.function_of(loop, "body")
        return members, variables + ([(body.name, reference) for reference in body.returns] if body is not None else [])

    def _grown(self, loop: Node, members: list[Node], variables: list[_Variable]) -> Iterator[Output]:
        """Follow *loop* for as long as what it passes on grows, and find what it makes in the end from that."""
        facts, times = self._facts, self._loops.times(loop)
        history: list[list[Fact]] = []
        executed: list[tuple[Iterable[Node], Context]] = []
        for iteration in range(1, int(min(times, _MAX_ITERATIONS))):
            context = (Step(loop.body, loop.name, iteration),)
            executed = [(members, context), *self._called([node for node in members if node.calls], context)]
            for nodes, inside in executed:
                yield from self._made(nodes, inside)
            history.append([facts.reference(*variable, context) for variable in variables])
            if iteration >= _SETTLING and _is_settled(history[-3:]):
                break
        if _SETTLING <= len(history) < times - 1:
            for nodes, inside in executed:
                yield from self._later(loop, nodes, inside)
            yield from self._joined(loop, variables, history)

    def _joined(self, loop: Node, variables: list[_Variable], history: list[list[Fact]]) -> Iterator[Output]:
        """Yield what *loop* passes on in the end, if its elements become more as they did before."""
        context = (Step(loop.body, loop.name, len(history)),)
        for (owner, reference), before, after in zip(variables, *history[-2:], strict=True):
            site = self._facts.sites.find(owner, reference, context)
            if site is not None:
                left = int(min(self._loops.times(loop), 1 << 63)) - len(history)
                growth = max(0, after.elements - before.elements)
                yield Output(site, after._replace(elements=after.elements + growth * left))

    def _later(self, loop: Node, nodes: Iterable[Node], context: Context) -> Iterator[Output]:
        """Yield what *nodes* make in the last iteration of *loop*, as far as sizes change from one to the next."""
        facts, key = self._facts, (loop.body, loop.name)
        for node in nodes:
            site = Site(node, at_iteration(context, key, WATCHED))
            operands = [facts.sites.input(site, index) for index in deciding(node)]
            constant = [operand for operand in operands if operand is not None and facts.constancy.holds(operand)]
            if any(is_inside(operand, key) for operand in constant):
                fact = facts.continued(site, key, self._loops.times(loop))
                is_known = fact.doubt == SURE and all(is_steady(facts.sites, operand, key) for operand in constant)
                yield Output(site, fact, not is_known)

    def _called(self, calling: Iterable[Node], start: Context) -> Iterator[tuple[Iterable[Node], Context]]:
        """Yield what is called from *calling* at any depth, once for each context in which something is known."""
        sites = self._facts.sites
        pending = [(calling, start)]
        while pending and self.left > 0:
            calls, context = pending.pop()
            if len(context) > MAX_CONTEXT:
                self.left = 0
                break
            for call in calls:
                for called in filter(self._allocating.__contains__, call.calls):
                    inside = (*context, Step(call.body, call.name)) if sites.is_shared(called) else context
                    is_other = (
                        inside != context and call.op not in LOOPS and _passes_something(self._facts, call, context)
                    )
                    if is_other or (inside == context != () and (start or call.op not in LOOPS)):
                        body = self._graph.bodies[called]
                        self.left -= 1 + len(body.nodes)
                        yield body.nodes, inside
                        pending.append((body.calling, inside))


def _is_settled(history: list[list[Fact]]) -> bool:
    """Tell whether sizes stay as they are, and values change by the same amount each time."""
    return all(
        before.elements == now.elements == after.elements and _is_even(before, now, after)
        for before, now, after in zip(*history, strict=True)
    )


def _is_even(before: Fact, now: Fact, after: Fact) -> bool:
    if before.numbers is None or now.numbers is None or after.numbers is None:
        return True
    steps = zip(before.numbers, now.numbers, after.numbers, strict=False)
    return all(b - a == c - b for a, b, c in steps)


def _allocating(graph: GraphInfo) -> frozenset[str]:
    """Return the bodies with nodes whose size may follow from constants, and those that call them."""
    found: set[str] = set()
    pending = {node.body for node in graph.nodes(*filter(ALLOCATING.__contains__, graph.by_op))}
    while pending:
        found |= pending
        pending = {call.body for name in pending for call in graph.callers.get(name, ())} - found
    return frozenset(found)


def _passes_something(facts: Facts, call: Node, context: Context) -> bool:
    given = (facts.sites.find(call.body, reference, context) for reference in _passed_values(call))
    return any(made is not None and (facts.of(made).elements > 1 or facts.constancy.holds(made)) for made in given)


def _passed_values(call: Node) -> Iterator[str]:
    """Yield what *call* is given but handles of variables and the like, of which it may have hundreds."""
    types = call.proto.attr["Tin"].list.type[:] if call.op in _TYPED and "Tin" in call.proto.attr else []
    # What stands before the arguments, as a condition does, is none of these types.
    for reference, dtype in zip_longest(reversed([*Site(call).data()]), reversed(types)):
        if reference is not None and dtype != _RESOURCE:
            yield reference
