"""What a graph that trains predicts: what its losses and metrics compare with labels. Layer: readers.

A checkpoint of TensorFlow 1 holds the graph of a training script, where predictions have consumers: what has none is
how well they fit.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.readers.saved_model.references import closure, is_data, reference_producer, scopes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

_REDUCTIONS = frozenset({"L2Loss", "Sum", "Mean", "Max", "AddN"})
"""What makes a number of a variable, as penalties on weights do; a layer takes the variable itself."""

_MAX_HEAD = 64
"""What follows a last layer: an activation, and a few nodes of each metric."""


class Fit(NamedTuple):
    """How the ends of a graph come from labels and variables.

    Attributes:
        predictions: The last value of each head that all of its figures are computed from, or what they compare with
            labels where it has no such value.
        figures: The nodes that are computed from labels.
        learned: The nodes that are computed from variables.
    """

    predictions: set[str]
    figures: set[str]
    learned: set[str]


def fit(
    nodes: Mapping[str, Any],
    ends: AbstractSet[str],
    *,
    placeholders: AbstractSet[str],
    variables: AbstractSet[str],
    trains: bool,
) -> Fit:
    """Tell labels from features by what comes after: a layer, which has variables, takes features, and no label.

    The total of a metric is no layer. Of what meets the result of the last layer, numbers such as a temperature are no
    labels, nor is what an end for single examples is computed from, such as a mask; but a graph that *trains* has
    labels, be they such ones. One that trains without any compares with its features, as autoencoders do.

    What is in a scope of figures alone, or a logarithm, is a step to them and no prediction.
    """
    flow = _Flow(nodes, ends)
    placeholders, variables = placeholders & flow.nodes, variables & flow.nodes
    fed, learned = flow.after(placeholders), flow.after(variables)

    def passed_on(name: str) -> Iterator[str]:
        return (user for user in flow.users[name] if user not in fed and nodes[user].op not in _REDUCTIONS)

    weights = closure(variables, passed_on)
    taking = (name for name in fed if not weights.isdisjoint(flow.sources[name]))
    layers = {name for name in taking if not nodes[name].op.startswith("Assign")}
    before = flow.before({source for name in layers for source in flow.sources[name]})
    late = placeholders - before
    numbers = {name for name in late if _rank(nodes[name]) == 0}
    results = ends & learned
    apart = late - numbers - _behind_results(nodes, results, flow)
    figures = flow.after(apart or (late if trains else ()))
    labels = figures - learned
    if trains and not late and all(_rank(nodes[name]) == 0 for name in results):
        labels = fed - learned
        figures = flow.after(name for name in (fed & learned) - before if labels & flow.sources[name])
    last = (fed & learned) - figures - before
    compared = {source for name in figures if labels & flow.sources[name] for source in flow.sources[name]} & last
    own = {_scope(name) for name in figures} - {_scope(name) for name in before}
    steps = {name for name in last if nodes[name].op == "Log" or not own.isdisjoint(scopes(name))}
    predictions: set[str] = set()
    seen: set[str] = set()
    area = flow.before(compared, last)
    for start in sorted(compared):
        if start not in seen:
            head = flow.around(start, area)
            seen |= head
            common = flow.bottlenecks(head, fed, compared & head)
            predictions |= {*[name for name in common if name not in steps][-1:]} or {*common[:1]} or compared & head
    return Fit(predictions, figures, learned)


def _behind_results(nodes: Mapping[str, Any], ends: Iterable[str], flow: _Flow) -> set[str]:
    """Return what those *ends* are computed from that are no single number, by their shapes or without a reduction."""
    ranks = {name: _rank(nodes[name]) for name in ends}
    unknown = [name for name, rank in ranks.items() if rank is None]
    unreduced = closure(unknown, lambda name: () if nodes[name].op in _REDUCTIONS else flow.sources[name])
    return unreduced | flow.before(name for name, rank in ranks.items() if rank)


def _rank(node: Any) -> int | None:
    """Return how many dimensions the first output of *node* has; Python's TensorFlow writes that into graphs."""
    shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
    return next((None if shape.unknown_rank else len(shape.dim) for shape in shapes), None)


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


class _Flow:
    """The data edges of what comes before *ends*."""

    def __init__(self, nodes: Mapping[str, Any], ends: Iterable[str]) -> None:
        def sources(name: str) -> set[str]:
            return {reference_producer(source) for source in nodes[name].input if is_data(source)} & nodes.keys()

        self.nodes = closure(ends, sources)
        self.sources = {name: sources(name) for name in self.nodes}
        self.users: dict[str, set[str]] = defaultdict(set)
        for name, found in self.sources.items():
            for source in found:
                self.users[source].add(name)

    def after(self, roots: Iterable[str]) -> set[str]:
        return closure(roots, self.users.__getitem__)

    def before(self, roots: Iterable[str], area: AbstractSet[str] | None = None) -> set[str]:
        within = self.nodes if area is None else area
        return closure(roots, lambda name: self.sources[name] & within)

    def around(self, root: str, area: AbstractSet[str]) -> set[str]:
        return closure([root], lambda name: (self.sources[name] | self.users[name]) & area)

    def bottlenecks(self, head: AbstractSet[str], fed: AbstractSet[str], ends: AbstractSet[str]) -> list[str]:
        """Return the nodes of *head* that all ways from *fed* nodes outside to *ends* pass, the last one at the end."""
        first = {name for name in head if (self.sources[name] & fed) - head}
        if len(head) > _MAX_HEAD:
            return [*first] if len(first) == 1 else []
        common = (name for name in head if first.isdisjoint(self.before(ends - {name}, head - {name})))
        return sorted(common, key=lambda name: len(self.before([name], head)))
