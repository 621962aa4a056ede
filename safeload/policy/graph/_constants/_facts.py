"""What follows from constants about the tensors of a graph: values, shapes, sizes. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safeload.policy.graph._constants._constancy import CHOOSING, Constancy, is_steady
from safeload.policy.graph._constants._exact import EXACT, exact
from safeload.policy.graph._constants._fact import HUGE, NOTHING, PARTIAL, POSSIBLE, SURE, Fact, at
from safeload.policy.graph._constants._shapes import LED, SHAPES, declared_shape, least_shape
from safeload.policy.graph._constants._sites import AFTER, BRANCHES, WATCHED, Sites, at_iteration
from safeload.policy.graph._constants._sizes import BUDGET, SIZES, deciding, least_elements
from safeload.policy.graph._constants._texts import AT_MOST, LONGEST, WIDTHS
from safeload.policy.graph._constants._values import (
    FOLDS,
    MAX_VALUES,
    are_moderate,
    folded,
    largest_number,
    represented,
    tensor_numbers,
)

if TYPE_CHECKING:
    from safeload.inspection.graph.info import GraphInfo, Node
    from safeload.policy.graph._constants._fact import Numbers
    from safeload.policy.graph._constants._sites import Context, Loop, Site

_MAX_REPEATED = 20_000
"""Nodes of functions and loops that are looked at once for each call and iteration."""


_UNSURE = CHOOSING | {"Maximum", "Pack"}
"""Ops that may have other values than those that are known of some of their inputs."""
_SAME_VALUES = frozenset({"Cast", "ExpandDims", "Identity", "Reshape", "Squeeze"})
_MEASURES = frozenset({"Rank", "Shape", "Size"})
_AT_LEAST = frozenset(
    [
        "Conv2D", "Conv3D", "DepthwiseConv2dNative", "ExtractImagePatches", "MatrixDiagV2", "MatrixDiagV3",
        "StringSplit", "StringSplitV2", "TensorListStack", "UnicodeDecode", "UnicodeDecodeWithOffsets",
        "UnicodeEncode",
    ]
)  # fmt: skip
"""Ops whose shape is a lower bound even of what is known exactly."""
_ALMOST_BUDGET = BUDGET - BUDGET // 16
_MAX_WORK = 1_000_000
"""Values and dimensions that are computed with in one graph; in any public graph there are some ten thousands."""
_FOLLOWED = frozenset({*SHAPES, *SIZES, *FOLDS, *EXACT, *BRANCHES, *AFTER, *_MEASURES})
_TELLING = _FOLLOWED | {"Const"}
"""Ops whose outputs may be known; of others nothing is asked, for they are most of a graph."""


class Facts:
    """Finds what follows from the constants of one graph, for each node once.

    Args:
        graph: Its facts.

    Attributes:
        sites: Finds what makes the inputs of nodes.
        constancy: Tells what follows from constants alone.
        work: How many more values and dimensions are looked at; less than none if there were too many.
        left: How many more nodes are looked at in calls and iterations.
    """

    def __init__(self, graph: GraphInfo) -> None:
        self.sites = Sites(graph)
        self.constancy = Constancy(self.sites, any_choice=True)
        self._known: dict[Site, Fact] = {}
        self.left = _MAX_REPEATED
        self.work = _MAX_WORK

    def of(self, site: Site) -> Fact:
        """Return what is known of *site*.

        What it is made of is settled first, without recursion: graphs are deeper than Python's stack.
        """
        op = site.node.op
        if op not in _TELLING:
            return NOTHING
        found = self._known.get(site)
        if found is None and op in LED and not site.context:
            found = self._led(site)
        return found if found is not None else self._settle(site)

    def _led(self, site: Site) -> Fact | None:
        """Return that nothing is known of *site*, one of `LED`, if that is clear at once; most of a model is so."""
        node = site.node
        if not node.inputs or node.inputs[0][:1] == "^":
            return None
        first = self.sites.find(node.body, node.inputs[0])
        if first is not None and first.node.op in _TELLING and self._known.get(first) is not NOTHING:
            return None
        return self._known.setdefault(site, NOTHING)

    def reference(self, body: str, reference: str, context: Context = ()) -> Fact:
        """Return what is known of the tensor *reference* of *body*."""
        site = self.sites.find(body, reference, context)
        return NOTHING if site is None else self.of(site)

    def is_unexplained(self, site: Site) -> bool:
        """Tell whether the size of what *site* makes follows from constants in a way that is not understood."""
        if site.node.op in AT_MOST:
            return self._may_be_much(site)
        indices = deciding(site.node)
        return bool(indices) and any(map(self._is_obscure, [self.sites.input(site, index) for index in indices]))

    def _may_be_much(self, site: Site) -> bool:
        """Tell whether the values of a constant decide how much *site* makes, and it may be more than is allowed."""
        made = [self.sites.input(site, index) for index in range(len(site.node.inputs))]
        inputs = [NOTHING if operand is None else self.of(operand) for operand in made]
        most = AT_MOST[site.node.op](site.node.proto.attr, inputs) if inputs else 0
        return most > BUDGET and self.constancy.holds(made[0])

    def _is_obscure(self, operand: Site | None) -> bool:
        """Tell whether a size, or a part of it, is computed from constants in a way that is not understood."""
        fact = NOTHING if operand is None else self.of(operand)
        if operand is None or fact.most is not None or (fact.numbers is not None and fact.doubt == SURE):
            return False
        if operand.node.op == "ConcatV2":
            node, context, _ = operand
            parts = [self.sites.find(node.body, reference, context) for reference in operand.data()]
            return any(map(self._is_obscure, parts[:-1]))
        return self.constancy.holds(operand) if fact.numbers is None else fact.doubt == PARTIAL

    def continued(self, site: Site, loop: Loop, times: float) -> Fact:
        """Return what *site* makes in the last iteration of *loop*, if its inputs change as in the first ones."""
        node, context, _ = site
        inputs: list[Fact] = []
        for reference in node.inputs:
            found = [self.reference(node.body, reference, at_iteration(context, loop, n)) for n in range(WATCHED)]
            inputs.append(_continued(found, times - 1, SURE))
        elements = max(least_elements(node, inputs), math.prod(least_shape(node, inputs) or (0,)))
        is_known = all(at(inputs, index).numbers is not None for index in deciding(node))
        return Fact(elements=min(elements, HUGE), doubt=SURE if is_known else PARTIAL)

    def _settle(self, site: Site) -> Fact:
        known = self._known
        opened: set[Site] = set()
        pending: list[tuple[Site, list[Site | None] | None]] = [(site, None)]
        while pending:
            top, below = pending.pop()
            is_led = top.node.op in LED
            if below is None:
                if top in known or top in opened:
                    continue
                opened.add(top)
                if top.context and self.left <= 0:
                    known[top] = NOTHING
                    continue
                self.left -= bool(top.context)
                below = self._below(top, 1 if is_led else None)
            if is_led and len(below) == 1 and (below[0] is None or below[0] in known):
                if below[0] is None or known[below[0]] is NOTHING:
                    known[top] = NOTHING
                    continue
                below = self._below(top)
            if not any(below):  # most of a model depends on its input
                known[top] = _by_value(top.node) if top.node.op == "Const" else _by_attributes(top.node)
                continue
            above = [(made, None) for made in below if made and made not in known and made not in opened]
            if above:
                pending.append((top, below))
                pending.extend(above)
            else:
                known[top] = self._settled(top, below)
        return known.get(site, NOTHING)

    def _below(self, site: Site, most: int | None = None) -> list[Site | None]:
        """Return what makes each input of *site*, or *most* of them; of those that do not matter, nothing."""
        node, context, _ = site
        if node.op not in _FOLLOWED:
            return []
        find, body = self.sites.find, node.body
        if node.op in BRANCHES:
            sites = self.sites.results(site)
        elif node.op in AFTER:
            sites = self.sites.first_results(site) if self.sites.repeats(site) else []
        else:
            inputs = node.inputs[:most]
            if inputs and inputs[0][:1] == "^":
                inputs = node.inputs
            sites = [None if reference[:1] == "^" else find(body, reference, context) for reference in inputs]
        return [made if made is not None and made.node.op in _TELLING else None for made in sites]

    def _settled(self, site: Site, below: list[Site | None]) -> Fact:
        inputs = [NOTHING if made is None else self._known.get(made, NOTHING) for made in below]
        if all([fact is NOTHING for fact in inputs]):  # noqa: C419 - speed
            return _by_attributes(site.node)
        self.work -= sum([len(fact.numbers or ()) + len(fact.shape or ()) for fact in inputs])
        return self._computed(site, inputs) if self.work >= 0 else NOTHING

    def _computed(self, site: Site, inputs: list[Fact]) -> Fact:
        node = site.node
        if node.op in BRANCHES:
            return self._chosen(site, inputs)
        if node.op in AFTER:
            is_known = is_steady(self.sites, self.sites.first_results(site)[-1], self.sites.loop_of(node))
            return _continued(inputs, self.sites.repeats(site) - 1, SURE if is_known else PARTIAL)
        found = exact(node, inputs, site.output) if node.op in EXACT else None
        numbers, shape = found or (_values(node, inputs), least_shape(node, inputs))
        if numbers is not None and not site.output and node.op not in _MEASURES:
            numbers = represented(node, numbers)
        self.work -= len(numbers or ())
        elements = max(least_elements(node, inputs), math.prod(shape) if shape is not None else 0)
        if numbers is shape is None and not elements:
            return NOTHING
        doubt = self._doubt(site, inputs)
        is_whole = doubt == SURE and _is_whole(node, inputs)
        most = inputs[0].most if node.op in _SAME_VALUES else None
        width = self._width(site, inputs, elements)
        return Fact(numbers, shape, min(elements, HUGE), min(width, HUGE), doubt, is_whole, most)

    def _width(self, site: Site, inputs: list[Fact], elements: int) -> int:
        """Return how wide a text is that *site* makes, or how wide it may be where constants alone decide that."""
        op, attributes = site.node.op, site.node.proto.attr
        if op in WIDTHS:
            return WIDTHS[op](attributes, inputs)
        width = max([fact.width if op in SIZES else fact.joined_width for fact in inputs])
        if op in LONGEST and elements and self.constancy.holds(self.sites.input(site, 0)):
            # What may be too much is refused where it is made, for that reason.
            return max(width, min(LONGEST[op](attributes, inputs), _ALMOST_BUDGET) // elements)
        return width

    def _doubt(self, site: Site, inputs: list[Fact]) -> int:
        """Return how much what *site* makes of *inputs* is in doubt, where some of them are not known."""
        doubt = max([fact.doubt for fact in inputs])
        if site.node.op not in _UNSURE or all([fact.numbers is not None for fact in inputs]):  # noqa: C419 - speed
            return doubt
        unknown = (self.sites.input(site, index) for index, fact in enumerate(inputs) if fact.numbers is None)
        return max(doubt, PARTIAL if any(map(self.constancy.holds, unknown)) else POSSIBLE)

    def _chosen(self, site: Site, results: list[Fact]) -> Fact:
        """Return what is known of the result of one branch of several: the largest, since any may be executed."""
        largest = max(results, key=lambda fact: (fact.elements, sum(fact.numbers or ())))
        if all([fact == largest for fact in results]):  # noqa: C419 - speed
            return largest
        unknown = [made for made, fact in zip(self.sites.results(site), results, strict=True) if fact.numbers is None]
        is_partial = any(map(self.constancy.holds, [self.sites.choice(site), *unknown]))
        doubt = max(PARTIAL if is_partial else POSSIBLE, *[fact.doubt for fact in results])
        return largest._replace(doubt=doubt, is_whole=False)


def _by_value(constant: Node) -> Fact:
    value = constant.proto.attr.get("value")
    if value is None:
        return NOTHING
    tensor = value.tensor
    shape, width = declared_shape(tensor.tensor_shape), max(map(len, tensor.string_val), default=0)
    elements = math.prod(shape or ())
    most = largest_number(tensor) if elements > MAX_VALUES else None
    return Fact(tensor_numbers(tensor, elements), shape, elements, width, is_whole=True, most=most)


def _by_attributes(node: Node) -> Fact:
    elements = least_elements(node, []) if node.op in SIZES else 0
    return Fact(elements=min(elements, HUGE)) if elements else NOTHING


def _is_whole(node: Node, inputs: list[Fact]) -> bool:
    """Tell whether the shape of what *node* makes is no lower bound, if it is known."""
    if node.op in _AT_LEAST or (node.op == "Reshape" and inputs[0].shape is None and -1 in (at(inputs, 1).ints or ())):
        return False
    return all([fact.is_whole or fact is NOTHING for fact in inputs])  # noqa: C419 - speed


def _values(node: Node, inputs: list[Fact]) -> Numbers | None:
    if node.op in _MEASURES:
        shape = inputs[0].shape
        if shape is None or not inputs[0].is_whole:
            return None
        return shape if node.op == "Shape" else (len(shape) if node.op == "Rank" else math.prod(shape),)
    if node.op not in FOLDS:
        return None
    values = [fact.numbers for fact, name in zip(inputs, node.inputs, strict=True) if name[:1] != "^"]
    known = [value for value in values if value is not None]
    return folded(node.op, known) if len(known) == len(values) else _partly(node.op, inputs)


def _partly(op: str, inputs: list[Fact]) -> Numbers | None:
    """Return what *op* makes of *inputs* of which some are not known, as far as the others decide it."""
    if op in CHOOSING and inputs[0].numbers is None:
        return max(inputs[1:3], key=lambda fact: (fact.elements, sum(fact.numbers or ()))).numbers
    known = next((fact.numbers for fact in inputs if fact.numbers), None)
    if op == "Mul" and known and not any(known):
        return known
    if op == "Pack" and known:  # sizes that are not known are at least one
        return tuple(n for fact in inputs for n in fact.numbers or (1,) * len(known))
    return known if op == "Maximum" else None  # at least so much


def _continued(results: list[Fact], times: float, doubt: int) -> Fact:
    """Return what is known of a tensor so many iterations after it was *results* in the first ones."""
    first, second, third = results
    numbers: Numbers | None = None
    if first.numbers is not None and second.numbers is not None and third.numbers is not None:
        rows = zip(first.numbers, second.numbers, third.numbers, strict=False)
        numbers = tuple(_continued_number(*row, times) for row in rows)
    growth = max(0, min(second.elements - first.elements, third.elements - second.elements))
    return Fact(
        numbers=numbers if numbers is not None and are_moderate(numbers) else None,
        shape=first.shape if first.shape == second.shape == third.shape else None,
        elements=min(HUGE, first.elements + int(growth * min(times, HUGE))),
        doubt=max(doubt, *[fact.doubt for fact in results]),
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
