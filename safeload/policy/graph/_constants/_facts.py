"""What follows from constants about the tensors of a graph: values, shapes, sizes. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safeload.policy.graph._constants._fact import HUGE, NOTHING, Fact
from safeload.policy.graph._constants._shapes import LED, SHAPES, declared_shape, least_shape
from safeload.policy.graph._constants._sites import Sites
from safeload.policy.graph._constants._sizes import SIZES, least_elements
from safeload.policy.graph._constants._values import FOLDS, declared_elements, folded, tensor_numbers

if TYPE_CHECKING:
    from safeload.inspection.graph.info import GraphInfo, Node
    from safeload.policy.graph._constants._fact import Numbers
    from safeload.policy.graph._constants._sites import Context, Site

_MAX_REPEATED = 20_000
"""Nodes of functions and loops that are looked at once for each call and iteration."""


_FOLLOWED = frozenset({*SHAPES, *SIZES, *FOLDS, "Shape"})
_TELLING = _FOLLOWED | {"Const"}
"""Ops whose outputs may be known; of others nothing is asked, for they are most of a graph."""

_Key = tuple[str, str, "Context"]
_Input = tuple["Site", _Key] | None
"""What makes an input of a node, with its key."""


class Facts:
    """Finds what follows from the constants of one graph, for each node once.

    Args:
        graph: Its facts.

    Attributes:
        sites: Finds what makes the inputs of nodes.
    """

    def __init__(self, graph: GraphInfo) -> None:
        self.sites = Sites(graph)
        self._known: dict[_Key, Fact] = {}
        self._left = _MAX_REPEATED

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
        opened: set[_Key] = set()
        pending: list[tuple[Site, _Key, list[_Input] | None]] = [(site, site.key, None)]
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
            known[key] = self._settled(top.node, below)
        return known.get(site.key, NOTHING)

    def _below(self, site: Site) -> list[_Input]:
        """Return what makes each input of *site*; of control dependencies, and where it does not matter, nothing."""
        node, context = site
        if node.op not in _FOLLOWED or (node.op in LED and self._is_led_by_nothing(site)):
            return []
        find, body = self.sites.find, node.body
        sites = [None if reference[:1] == "^" else find(body, reference, context) for reference in node.inputs]
        return [(made, made.key) if made is not None and made.node.op in _TELLING else None for made in sites]

    def _is_led_by_nothing(self, site: Site) -> bool:
        """Tell whether nothing is known of the first input of *site*, as far as it was settled before."""
        if not site.node.inputs or site.node.inputs[0].startswith("^"):
            return False
        first = self.sites.input(site, 0)
        return first is None or first.node.op not in _TELLING or self._known.get(first.key) is NOTHING

    def _settled(self, node: Node, below: list[_Input]) -> Fact:
        if node.op == "Const":
            return _by_value(node)
        inputs = [NOTHING if made is None else self._known.get(made[1], NOTHING) for made in below]
        if all([fact is NOTHING for fact in inputs]):  # noqa: C419 - speed: most of a model depends on its input
            return _by_attributes(node)
        shape = least_shape(node, inputs)
        elements = max(least_elements(node, inputs), math.prod(shape) if shape is not None else 0)
        numbers = _values(node, below, inputs)
        return NOTHING if numbers is shape is None and not elements else Fact(numbers, shape, min(elements, HUGE))


def _by_value(constant: Node) -> Fact:
    value = constant.proto.attr.get("value")
    if value is None:
        return NOTHING
    elements = declared_elements(value.tensor.tensor_shape)
    return Fact(tensor_numbers(value.tensor, elements), declared_shape(value.tensor.tensor_shape), elements)


def _by_attributes(node: Node) -> Fact:
    elements = least_elements(node, []) if node.op in SIZES else 0
    return Fact(elements=min(elements, HUGE)) if elements else NOTHING


def _values(node: Node, below: list[_Input], inputs: list[Fact]) -> Numbers | None:
    if node.op == "Shape":
        # Other shapes than those of constants are lower bounds.
        return inputs[0].shape if below[0] is not None and below[0][0].node.op == "Const" else None
    if node.op not in FOLDS:
        return None
    values = [fact.numbers for fact, name in zip(inputs, node.inputs, strict=True) if name[:1] != "^"]
    known = [value for value in values if value is not None]
    return folded(node.op, known) if len(known) == len(values) else None
