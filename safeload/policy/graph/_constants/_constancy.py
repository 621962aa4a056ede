"""Which tensors are the same whatever the input, because they are computed from constants alone. Layer: policy."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from safeload.inspection.graph.info import reference_producer
from safeload.inspection.op_classes import op_class
from safeload.policy.graph._constants._sites import AFTER, BRANCHES, WATCHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._sites import Context, Loop, Site, Sites

_COMPUTING = frozenset({None, "check", "control-flow", "dataset", "pure", "stablehlo"})
"""Classes of ops that make the same of the same inputs; None are those of other packages."""
_HOLDING = ("DeepCopy", "Empty", "GuaranteeConst", "TensorArray")
"""What ops of another class begin with that do so as well: what they hold comes in by their inputs."""
_DATA = frozenset({"FakeParam", "Placeholder", "PlaceholderV2"})
CHOOSING = frozenset({"Select", "SelectV2"})
"""Ops that take what they make from one of two inputs."""
_CHANGING = frozenset({"Add", "AddV2", "Mul", "Sub"})
_PLAIN = _CHANGING | BRANCHES | {"Cast", "ExpandDims", "Identity", "Pack", "Reshape", "Squeeze", "StopGradient"}
_MAX_STEPS = 1000
"""Nodes in iterations of a loop that are looked at."""
_MAX_LOOKED_AT = 300_000
"""Nodes of one graph that are looked at; of public graphs there are some thousands."""


def is_steady(sites: Sites, site: Site | None, loop: Loop) -> bool:
    """Tell whether *site* stays as it is in *loop*, or one sum or one product changes it from iteration to iteration.

    What it was in three iterations then tells what it will be in all others.

    Args:
        sites: Finds what makes tensors.
        site: What makes a tensor in the fourth iteration.
        loop: Which loop.
    """
    seen: set[Site] = set()
    iterations: defaultdict[Node, set[Context]] = defaultdict(set)
    is_plain = True
    pending = [site]
    while pending and len(seen) < _MAX_STEPS:
        made = pending.pop()
        if made is None:
            return False
        if made not in seen and is_inside(made, loop):
            seen.add(made)
            iterations[made.node].add(made.context)
            below = [sites.find(made.node.body, reference, made.context) for reference in made.data()]
            below = sites.results(made) if made.node.op in BRANCHES else below
            changing = [part for part in below if part is None or is_inside(part, loop)]
            is_plain &= made.node.op in _PLAIN and (made.node.op != "Mul" or len(changing) < len(below))
            pending += below
    is_same = len({context for contexts in iterations.values() for context in contexts}) <= 1
    again = [node for node, contexts in iterations.items() if node.op in _CHANGING and len(contexts) > 1]
    return not pending and (is_same or (is_plain and len(again) <= 1))


def is_inside(site: Site, loop: Loop) -> bool:
    """Tell whether *site* is executed in an iteration of *loop*."""
    return any(step[:2] == loop for step in site.context)


class Constancy:
    """Tells what follows from the constants of one graph from what depends on data.

    Data are inputs, variables, tables, files and random numbers.

    Args:
        sites: Finds what makes its tensors.
        any_choice: Whether something counts as constant if it is chosen by data from what is.
    """

    def __init__(self, sites: Sites, *, any_choice: bool) -> None:
        self._sites = sites
        self._any_choice = any_choice
        self._known: dict[Site, bool] = {}
        self._left = _MAX_LOOKED_AT

    def holds(self, site: Site | None) -> bool:
        """Tell whether *site* is computed from constants alone, or is one too many to be looked at."""
        if site is None:
            return False
        way: list[tuple[Site, Iterator[Site | None]]] = []
        if site not in self._known:
            self._enter(site, way)
        while way:
            _, makers = way[-1]
            for made in makers:
                if made is None or self._known.get(made) is False:
                    self._known.update((passed, False) for passed, _ in way)
                    return False
                if made not in self._known and self._left > 0:
                    self._enter(made, way)
                    break
            else:
                way.pop()
        return self._known[site]

    def _enter(self, site: Site, way: list[tuple[Site, Iterator[Site | None]]]) -> None:
        """Begin to look at *site*, which counts as constant until something that it is made of does not."""
        self._known[site] = True
        self._left -= 1
        way.append((site, iter(self._makers(site))))

    def _makers(self, site: Site) -> Iterable[Site | None]:
        """Yield what decides the value of *site*, None for data."""
        node, sites = site.node, self._sites
        if _is_data(node.op):
            return (None,)
        if node.op in BRANCHES:
            return sites.results(site) if self._any_choice else (*sites.results(site), sites.choice(site))
        if node.op in AFTER:
            conditions = (sites.condition(site, iteration) for iteration in range(WATCHED))
            return (*conditions, *sites.first_results(site))
        inputs = list(site.data())[1 if self._any_choice and node.op in CHOOSING else 0 :]
        beside = sites.graph.bodies[node.body].by_name
        near = [beside.get(reference_producer(reference)) for reference in inputs]
        if any([maker is not None and _is_data(maker.op) for maker in near]):  # noqa: C419 - speed
            return (None,)  # a variable beside an operation spares the way through all that is before it
        return (sites.find(node.body, reference, site.context) for reference in inputs)


def _is_data(op: str) -> bool:
    return op in _DATA or (op_class(op) not in _COMPUTING and not op.startswith(_HOLDING))
