"""Outputs of nodes that follow from constants: in functions called again and again, in loops. Layer: policy.

A function that doubles what it is given makes gigabytes in thirty calls, a loop that does so in thirty iterations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.policy.graph._constants._sites import LOOPS, Site, Step
from safeload.policy.graph._constants._sizes import allocates

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
_MAX_MEMBERS = 50_000
"""Nodes and variables of the loops of one graph that are followed."""
_MAX_CONTEXTS = 2_000
"""Calls of functions with several callers that are followed."""


_Variable = tuple[str, str]
"""What a loop passes on: its body and the tensor in it."""


def large_outputs(graph: GraphInfo, facts: Facts, loops: LoopCounter) -> Iterator[tuple[Site, Fact]]:
    """Yield nodes with what is known of what they make.

    Args:
        graph: Facts about a graph.
        facts: What follows from its constants.
        loops: Its loops.
    """
    for node in graph.nodes(*filter(allocates, graph.by_op)):
        yield Site(node), facts.of(Site(node))
    left = _MAX_MEMBERS
    for loop in loops.loops:
        if loops.times(loop) > 1 and left > 0:
            members, variables = _inside(facts, loops, loop)
            left -= len(members) + len(variables)
            yield from _grown(facts, loop, loops.times(loop), members, variables)
    for nodes, context in _contexts(graph, facts):
        for node in nodes:
            if allocates(node.op):
                yield Site(node, context), facts.of(Site(node, context))


def _inside(facts: Facts, loops: LoopCounter, loop: Node) -> tuple[list[Node], list[_Variable]]:
    """Return what *loop* executes in each iteration, and what it passes on to the next one."""
    members = list(loops.members(loop))
    variables = [(node.body, node.inputs[0]) for node in members if node.op == "NextIteration" and node.inputs]
    body = facts.sites.loop_function(loop, "body")
    return members, variables + ([(body.name, reference) for reference in body.returns] if body is not None else [])


def _grown(
    facts: Facts, loop: Node, times: float, members: list[Node], variables: list[_Variable]
) -> Iterator[tuple[Site, Fact]]:
    """Follow *loop* for as long as what it passes on grows, and guess the rest from the last two iterations."""
    history: list[list[Fact]] = []
    for iteration in range(1, int(min(times, _MAX_ITERATIONS))):
        context = (Step(loop.body, loop.name, iteration),)
        for node in members:
            if allocates(node.op):
                yield Site(node, context), facts.of(Site(node, context))
        history.append([facts.reference(*variable, context) for variable in variables])
        if iteration >= _SETTLING and _is_settled(history[-3:]):
            break
    if len(history) >= _SETTLING:
        context = (Step(loop.body, loop.name, len(history)),)
        for (owner, reference), before, after in zip(variables, *history[-2:], strict=True):
            site = facts.sites.find(owner, reference, context)
            if site is not None:
                left = int(min(times, 1 << 63)) - len(history)
                growth = max(0, after.elements - before.elements)
                yield site, after._replace(elements=after.elements + growth * left)


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


def _contexts(graph: GraphInfo, facts: Facts) -> Iterator[tuple[Iterable[Node], Context]]:
    """Yield what functions hold, once for each call that passes something known, where several nodes call them."""
    sites = facts.sites
    allocating = _allocating(graph)
    unshared = (name for name in graph.bodies if name in allocating and not sites.is_shared(name))
    pending: list[tuple[str, Context]] = [(name, ()) for name in unshared]
    left = _MAX_CONTEXTS
    while pending and left > 0:
        name, context = pending.pop()
        for call in graph.bodies[name].calling:
            for called in filter(allocating.__contains__, call.calls):
                inside = (*context, Step(name, call.name)) if sites.is_shared(called) else context
                if inside and call.op not in LOOPS and (inside == context or _passes_something(facts, call, context)):
                    left -= 1
                    yield graph.bodies[called].nodes, inside
                    pending.append((called, inside))


def _allocating(graph: GraphInfo) -> frozenset[str]:
    """Return the bodies with nodes whose size may follow from constants, and those that call them."""
    found: set[str] = set()
    pending = {node.body for node in graph.nodes(*filter(allocates, graph.by_op))}
    while pending:
        found |= pending
        pending = {call.body for name in pending for call in graph.callers.get(name, ())} - found
    return frozenset(found)


def _passes_something(facts: Facts, call: Node, context: Context) -> bool:
    known = (facts.reference(call.body, reference, context) for reference in Site(call).data())
    return any(fact.numbers is not None or fact.elements > 1 for fact in known)
