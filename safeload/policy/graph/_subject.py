"""One graph as the rules see it: its facts, its name in messages, what traces its tensors. Layer: policy."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from safeload.inspection.graph.info import MAIN, GraphInfo, Node, reference_producer
from safeload.policy._finding import Finding, Severity, identify
from safeload.policy.graph._calls import CallOrder
from safeload.policy.graph._constants._counted import LoopCounter
from safeload.policy.graph._constants._facts import Facts
from safeload.policy.graph._costs._conditions import Conditions
from safeload.policy.graph._costs._growth import Growth
from safeload.policy.graph._origins import OriginTracer
from safeload.policy.graph._stablehlo import plain_modules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from safeload.inspection import ModelInfo

_HINT = "ask the author for a model without it"

Taker = tuple[Node | None, int]
"""What takes a tensor, None where it is a result, and as which of its inputs."""


@dataclass(frozen=True)
class Subject:
    """A graph that is examined.

    Attributes:
        graph: Its facts.
        prefix: Put before places in it: empty for the only MetaGraph of a file.
        digest: Content digest of the file, which ties identifiers to it.
    """

    graph: GraphInfo
    prefix: str = ""
    digest: str = ""
    _takers: dict[str, Mapping[str, Sequence[Taker]]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def tracer(self) -> OriginTracer:
        """Traces where tensors come from."""
        return OriginTracer(self.graph)

    @cached_property
    def facts(self) -> Facts:
        """Finds what follows from constants."""
        return Facts(self.graph)

    @cached_property
    def calls(self) -> CallOrder:
        """Which function calls which."""
        return CallOrder(self.graph)

    @cached_property
    def loops(self) -> LoopCounter:
        """Counts how often loops run."""
        return LoopCounter(self.graph, self.calls.order, self.facts)

    @cached_property
    def constants(self) -> tuple[tuple[Node, Any], ...]:
        """The constants of all bodies that have a value, each with its TensorProto."""
        found = [(node, node.proto.attr.get("value")) for node in self.graph.nodes("Const", "HostConst")]
        return tuple([(node, value.tensor) for node, value in found if value is not None])

    @cached_property
    def growth(self) -> Growth:
        """Finds how much nodes make."""
        return Growth(self.graph, self.facts, self.loops)

    @cached_property
    def conditions(self) -> Conditions:
        """Tells which loops never end."""
        return Conditions(self.graph)

    @cached_property
    def plain_modules(self) -> frozenset[Node]:
        """The nodes whose StableHLO module calls nothing."""
        return plain_modules(self.graph)

    @property
    def is_cut(self) -> bool:
        """Whether there was so much to follow that some of it was not looked at."""
        looking = (self.facts, self.facts.sites, self.loops, self.growth, self.conditions)
        return self.facts.work < 0 or any(part.left <= 0 for part in looking)

    def takers(self, node: Node) -> Sequence[Taker]:
        """Return what takes an output of *node*."""
        if node.body not in self._takers:
            self._takers[node.body] = self._find_takers(node.body)
        return self._takers[node.body].get(node.name, ())

    def _find_takers(self, name: str) -> Mapping[str, Sequence[Taker]]:
        found: defaultdict[str, list[Taker]] = defaultdict(list)
        body = self.graph.bodies[name]
        for node in body.nodes:
            for place, reference in enumerate(node.inputs):
                if not reference.startswith("^"):
                    found[reference_producer(reference)].append((node, place))
        fetched = [reference for entry in self.graph.entries for reference in entry.fetches] if name == MAIN else ()
        for reference in (*body.proto.ret.values(), *fetched):
            found[reference_producer(reference)].append((None, 0))
        return found

    def where(self, node: Node) -> str:
        """Return how messages name *node*."""
        body = "graph" if node.body == MAIN else f"function_library/{node.body}"
        return f"{self.prefix}{body}/{node.name}"

    def finding(self, node: Node, *, rule: str, severity: Severity, message: str, evidence: str = "") -> Finding:
        """Return a finding about *node* that can be permitted by name."""
        where = self.where(node)
        identifier = identify("op", f"{node.op}:{where}", self.digest, evidence)
        return Finding(rule, severity, where, evidence or node.op, f"{node.op} {message}", _HINT, identifier)

    def about(self, place: str, *, rule: str, severity: Severity, message: str, evidence: str) -> Finding:
        """Return a finding about the graph as a whole, which cannot be permitted."""
        return Finding(rule, severity, f"{self.prefix}{place}", evidence, message, _HINT)


def subjects(info: ModelInfo) -> Iterator[Subject]:
    """Yield every graph of every MetaGraph of *info*."""
    meta_graphs = info.saved_model.meta_graphs if info.saved_model is not None else ()
    for meta_graph in meta_graphs:
        prefix = f"meta_graphs[{meta_graph.index}]/" if len(meta_graphs) > 1 else ""
        yield Subject(meta_graph.graph, prefix, info.digest)
