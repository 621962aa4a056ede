"""Facts about one MetaGraph: its nodes, its functions, and what reaches them. Layer: inspection.

Everything is computed in time linear in the size of the graph. Nothing is judged here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safeload.inspection.graph.bodies import MAIN, Body, BodyReader, Node, output_index
from safeload.inspection.graph.entries import (
    Capture,
    Entry,
    EntryKind,
    find_entries,
    read_captures,
)
from safeload.inspection.op_classes import op_table
from safeload.readers.saved_model.references import closure, reference_producer, tensor_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "MAIN",
    "Body",
    "Capture",
    "Entry",
    "EntryKind",
    "GraphInfo",
    "Node",
    "inspect_graph",
    "output_index",
    "reference_producer",
    "tensor_name",
]


@dataclass(frozen=True)
class GraphInfo:
    """Facts about the graph of one MetaGraph, equal to those of an equal one.

    Attributes:
        bodies: The graph itself under `MAIN`, and every function by name.
        by_op: Every node of every body by its op, in the order of the bodies.
        entries: From where execution can start.
        callers: Nodes that call each function.
        assets: File name, below ``assets/``, that is fed to a tensor of the main graph.
        asset_files: Every file name that the MetaGraph declares as an asset.
        creators: Functions that make the resource of an object of the object graph.
        inputs: Tensors of the main graph that the caller of a signature may feed.
        polymorphic: Functions that may be given attributes by what calls them.
        duplicates: Functions and nodes that share their name with another one, functions with the name of an op,
            interfaces of very many functions.
        main_reach: How each node of the main graph is reached; nodes that nothing reaches are left out.
        function_reach: The same for functions.
        meta_graph: The MetaGraphDef.
    """

    # Nodes are equal to themselves alone: the message says whether two graphs are the same.
    bodies: Mapping[str, Body] = field(repr=False, compare=False)
    by_op: Mapping[str, tuple[Node, ...]] = field(default_factory=dict, repr=False, compare=False)
    entries: tuple[Entry, ...] = ()
    callers: Mapping[str, tuple[Node, ...]] = field(default_factory=dict, repr=False, compare=False)
    assets: Mapping[str, str] = field(default_factory=dict)
    asset_files: tuple[str, ...] = ()
    creators: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    polymorphic: frozenset[str] = frozenset()
    duplicates: tuple[str, ...] = ()
    main_reach: Mapping[str, frozenset[EntryKind]] = field(default_factory=dict, repr=False)
    function_reach: Mapping[str, frozenset[EntryKind]] = field(default_factory=dict, repr=False)
    meta_graph: Any = field(default=None, repr=False)
    _captures: dict[str, Mapping[str, Capture]] = field(default_factory=dict, repr=False, compare=False)

    def capture(self, function: str, argument: str) -> Capture | None:
        """Return which asset or node of the main graph *argument* of *function* is bound to, None if to nothing."""
        if function not in self._captures:
            self._captures[function] = dict(read_captures(self.meta_graph, self.bodies[function].proto))
        return self._captures[function].get(argument)

    def nodes(self, *ops: str) -> Iterator[Node]:
        """Yield every node of every body that has one of *ops*."""
        for op in ops:
            yield from self.by_op.get(op, ())

    def functions_of(self, function: str) -> set[str]:
        """Return *function*, one of the bodies, and every function that it calls, directly or not."""
        return _descendants(self.bodies, [function])

    def reached(self, node: Node) -> frozenset[EntryKind]:
        """Return from which kinds of entries *node* is executed; empty if from none."""
        if node.body == MAIN:
            return self.main_reach.get(node.name, frozenset())
        return self.function_reach.get(node.body, frozenset())


def inspect_graph(meta_graph: Any) -> GraphInfo:
    """Describe the graph of *meta_graph*, a MetaGraphDef.

    Args:
        meta_graph: A message of `readers.protobuf`.

    Returns:
        The facts. Names that point at nothing are left out: TensorFlow refuses them.
    """
    reader = BodyReader(meta_graph)
    bodies = reader.bodies()
    found = find_entries(meta_graph, bodies[MAIN], reader.names)
    main_reach, function_reach = _reach(bodies, found.entries)
    return GraphInfo(
        bodies=bodies,
        by_op=reader.by_op(),
        entries=found.entries,
        callers=_callers(bodies),
        assets=found.assets,
        asset_files=found.asset_files,
        creators=found.creators,
        inputs=found.inputs,
        polymorphic=frozenset(reader.polymorphic),
        duplicates=(*_duplicates(reader.functions, bodies), *reader.confusing),
        main_reach=main_reach,
        function_reach=function_reach,
        meta_graph=meta_graph,
    )


def _callers(bodies: Mapping[str, Body]) -> dict[str, tuple[Node, ...]]:
    callers: dict[str, list[Node]] = defaultdict(list)
    for body in bodies.values():
        for node in body.calling:
            for called in node.calls:
                callers[called].append(node)
    return {name: tuple(nodes) for name, nodes in callers.items()}


def _duplicates(functions: Iterable[tuple[str, Any]], bodies: Mapping[str, Body]) -> Iterator[str]:
    seen = {MAIN}  # a function without a name would stand in the place of the graph
    classes = op_table().classes
    for name, _ in functions:
        if name in seen:
            yield name or "a function without a name"
        seen.add(name)
        if name in classes:
            yield f"{name}, also an op of TensorFlow"
    for body in bodies.values():
        if len(body.by_name) != len(body.nodes):
            yield f"{body.name or 'graph'}: {len(body.nodes) - len(body.by_name)} nodes"


def _reach(
    bodies: Mapping[str, Body], entries: Iterable[Entry]
) -> tuple[dict[str, frozenset[EntryKind]], dict[str, frozenset[EntryKind]]]:
    """Return how every node of the main graph and every function is reached."""
    main: dict[EntryKind, set[str]] = defaultdict(set)
    started: dict[EntryKind, set[str]] = defaultdict(set)
    for entry in entries:
        started[entry.kind].update(name for name in entry.functions if name in bodies)
        reached = _ancestors(bodies[MAIN], entry)
        main[entry.kind].update(reached)
        started[entry.kind].update(called for node in reached.values() for called in node.calls)
    return _kinds(main), _kinds({kind: _descendants(bodies, names) for kind, names in started.items()})


def _kinds(reached: Mapping[EntryKind, Iterable[str]]) -> dict[str, frozenset[EntryKind]]:
    """Return for each name from which kinds of entries it is reached; most from one, whose set they share."""
    found: dict[str, frozenset[EntryKind]] = {}
    for kind, names in reached.items():
        alone = frozenset({kind})
        for name in names:
            found[name] = found[name] | alone if name in found else alone
    return found


def _ancestors(body: Body, entry: Entry) -> dict[str, Node]:
    """Return the nodes that run when *entry* fetches its nodes while it feeds its inputs, by name."""
    found: dict[str, Node] = {}
    pending, feeds = list(entry.fetches), entry.feeds
    while pending:
        reference = pending.pop()
        name = reference_producer(reference)
        if name in found:
            continue
        node = body.by_name.get(name)
        if node is not None and not (feeds and tensor_name(reference) in feeds):
            found[name] = node
            pending += node.inputs
    return found


def _descendants(bodies: Mapping[str, Body], names: Iterable[str]) -> set[str]:
    def following(name: str) -> Iterator[str]:
        yield from (*bodies[name].related, *bodies[name].instead)
        yield from (called for node in bodies[name].calling for called in node.calls)

    return closure(names, following)
