"""What follows from constants about the tensors of a graph: values, shapes, sizes. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safeload.policy.graph._constants._exact import EXACT, exact
from safeload.policy.graph._constants._fact import HUGE, NOTHING, Fact
from safeload.policy.graph._constants._shapes import LED, SHAPES, declared_shape, least_shape
from safeload.policy.graph._constants._sites import BRANCHES, LOOPS, Sites
from safeload.policy.graph._constants._sizes import SIZES, least_elements
from safeload.policy.graph._constants._values import FOLDS, declared_elements, folded, is_moderate, tensor_numbers

if TYPE_CHECKING:
    from safeload.inspection.graph.info import GraphInfo, Node
    from safeload.policy.graph._constants._fact import Numbers
    from safeload.policy.graph._constants._sites import Context, Key, Site

_MAX_REPEATED = 20_000
"""Nodes of functions and loops that are looked at once for each call and iteration."""


_AFTER = LOOPS | {"Exit"}
"""What a loop passes on to what follows it."""
_SETTLED = frozenset({"Const", "Empty", "Fill", "RandomStandardNormal", "RandomUniform", "Range"})
"""Ops whose shape, if it is known, is known exactly; those of others are lower bounds."""
_CHOOSING = frozenset({"Select", "SelectV2"})
_UNSURE = _CHOOSING | {"Maximum"}
"""Ops that may have other values than those that are known of some of their inputs."""
_MEASURES = frozenset({"Rank", "Shape", "Size"})
_MAX_WORK = 1_000_000
"""Values and dimensions that are computed with in one graph; in any public graph there are some ten thousands."""
_FOLLOWED = frozenset({*SHAPES, *SIZES, *FOLDS, *EXACT, *BRANCHES, *_AFTER, *_MEASURES})
_TELLING = _FOLLOWED | {"Const"}
"""Ops whose outputs may be known; of others nothing is asked, for they are most of a graph."""

_Input = tuple["Site", "Key"] | None
"""What makes an input of a node, with its key."""


class Facts:
    """Finds what follows from the constants of one graph, for each node once.

    Args:
        graph: Its facts.

    Attributes:
        sites: Finds what makes the inputs of nodes.
        work: How many more values and dimensions are looked at; less than none if there were too many.
    """

    def __init__(self, graph: GraphInfo) -> None:
        self.sites = Sites(graph)
        self._known: dict[Key, Fact] = {}
        self._left = _MAX_REPEATED
        self.work = _MAX_WORK

    def of(self, site: Site) -> Fact:
        """Return what is known of *site*.

        What it is made of is settled first, without recursion: graphs are deeper than Python's stack.
        """
        if site.node.op not in _TELLING:
            return NOTHING
        found = self._known.get(site.key)
        return found if found is not None else self._settle(site)

    def reference(self, body: str, reference: str, context: Context = ()) -> Fact:
        """Return what is known of the tensor *reference* of *body*."""
        site = self.sites.find(body, reference, context)
        return NOTHING if site is None else self.of(site)

    def _settle(self, site: Site) -> Fact:
        known = self._known
        opened: set[Key] = set()
        pending: list[tuple[Site, Key, list[_Input] | None]] = [(site, site.key, None)]
        while pending:
            top, key, below = pending.pop()
            if below is None:
                if key in known or key in opened or (top.context and self._left <= 0):
                    continue
                opened.add(key)
                self._left -= bool(top.context)
                below = self._below(top)
                above = [(*made, None) for made in below if made and made[1] not in known and made[1] not in opened]
                if above:
                    pending.append((top, key, below))
                    pending.extend(above)
                    continue
            known[key] = self._settled(top, below)
        return known.get(site.key, NOTHING)

    def _below(self, site: Site) -> list[_Input]:
        """Return what makes each input of *site*; of control dependencies, and where it does not matter, nothing."""
        node, context, _ = site
        if node.op not in _FOLLOWED or (node.op in LED and self._is_led_by_nothing(site)):
            return []
        find, body = self.sites.find, node.body
        if node.op in BRANCHES:
            sites = self.sites.results(site)
        elif node.op in _AFTER:
            sites = self.sites.first_results(site) if self.sites.repeats(site) else []
        else:
            sites = [None if reference[:1] == "^" else find(body, reference, context) for reference in node.inputs]
        return [(made, made.key) if made is not None and made.node.op in _TELLING else None for made in sites]

    def _is_led_by_nothing(self, site: Site) -> bool:
        """Tell whether nothing is known of the first input of *site*, as far as it was settled before."""
        if not site.node.inputs or site.node.inputs[0].startswith("^"):
            return False
        first = self.sites.input(site, 0)
        return first is None or first.node.op not in _TELLING or self._known.get(first.key) is NOTHING

    def _settled(self, site: Site, below: list[_Input]) -> Fact:
        node = site.node
        if node.op == "Const":
            return _by_value(node)
        inputs = [NOTHING if made is None else self._known.get(made[1], NOTHING) for made in below]
        if all([fact is NOTHING for fact in inputs]):  # noqa: C419 - speed: most of a model depends on its input
            return _by_attributes(node)
        self.work -= sum([len(fact.numbers or ()) + len(fact.shape or ()) for fact in inputs])
        return self._computed(site, below, inputs) if self.work >= 0 else NOTHING

    def _computed(self, site: Site, below: list[_Input], inputs: list[Fact]) -> Fact:
        node = site.node
        if node.op in BRANCHES:
            return _chosen(inputs)
        if node.op in _AFTER:
            return _continued(inputs, self.sites.repeats(site))
        found = exact(node, inputs, site.output) if node.op in EXACT else None
        numbers, shape = found or (_values(node, below, inputs), least_shape(node, inputs))
        self.work -= len(numbers or ())
        elements = max(least_elements(node, inputs), math.prod(shape) if shape is not None else 0)
        if numbers is shape is None and not elements:
            return NOTHING
        is_unsure = node.op in _UNSURE and any([fact.numbers is None for fact in inputs])  # noqa: C419 - speed
        is_possible = is_unsure or any([fact.is_possible for fact in inputs])  # noqa: C419 - speed
        return Fact(numbers, shape, min(elements, HUGE), max([fact.width for fact in inputs]), is_possible)


def _by_value(constant: Node) -> Fact:
    value = constant.proto.attr.get("value")
    if value is None:
        return NOTHING
    elements = declared_elements(value.tensor.tensor_shape)
    shape, width = declared_shape(value.tensor.tensor_shape), max(map(len, value.tensor.string_val), default=0)
    return Fact(tensor_numbers(value.tensor, elements), shape, elements, width)


def _by_attributes(node: Node) -> Fact:
    elements = least_elements(node, []) if node.op in SIZES else 0
    return Fact(elements=min(elements, HUGE)) if elements else NOTHING


def _values(node: Node, below: list[_Input], inputs: list[Fact]) -> Numbers | None:
    if node.op in _MEASURES:
        made, shape = below[0], inputs[0].shape
        if shape is None or made is None or made[0].node.op not in _SETTLED:
            return None
        return shape if node.op == "Shape" else (len(shape) if node.op == "Rank" else math.prod(shape),)
    if node.op not in FOLDS:
        return None
    values = [fact.numbers for fact, name in zip(inputs, node.inputs, strict=True) if name[:1] != "^"]
    known = [value for value in values if value is not None]
    return folded(node.op, known) if len(known) == len(values) else _partly(node.op, inputs)


def _partly(op: str, inputs: list[Fact]) -> Numbers | None:
    """Return what *op* makes of *inputs* of which some are not known, as far as the others decide it."""
    if op in _CHOOSING and inputs[0].numbers is None:
        return _chosen(inputs[1:3]).numbers
    known = next((fact.numbers for fact in inputs if fact.numbers), None)
    if op == "Mul" and known and not any(known):
        return known
    return known if op == "Maximum" else None  # at least so much


def _chosen(results: list[Fact]) -> Fact:
    """Return what is known of the result of one branch of several: the largest, since any of them may be executed."""
    largest = max(results, key=lambda fact: (fact.elements, sum(fact.numbers or ())))
    return largest._replace(is_possible=any(fact.is_possible or fact.numbers != largest.numbers for fact in results))


def _continued(results: list[Fact], times: float) -> Fact:
    """Return what is known after so many iterations of a loop of which the first ones returned *results*."""
    first, second, third = results
    numbers: Numbers | None = None
    if first.numbers is not None and second.numbers is not None and third.numbers is not None:
        rows = zip(first.numbers, second.numbers, third.numbers, strict=False)
        numbers = tuple(_continued_number(*row, times - 1) for row in rows)
    growth = max(0, min(second.elements - first.elements, third.elements - second.elements))
    return Fact(
        numbers=numbers if numbers is not None and all(map(is_moderate, numbers)) else None,
        shape=first.shape if first.shape == second.shape == third.shape else None,
        elements=min(HUGE, first.elements + int(growth * min(times - 1, HUGE))),
        is_possible=any(fact.is_possible for fact in results),
    )


def _continued_number(first: float, second: float, third: float, times: float) -> float:
    """Return *first* after it was changed so many times as it was twice: by a sum, or by a factor."""
    if second - first == third - second:
        return first + (second - first) * int(times)
    if not first or not math.isclose(second * second, first * third):
        return math.nan
    try:
        return float(first * (second / first) ** int(times))
    except OverflowError:
        return math.nan
