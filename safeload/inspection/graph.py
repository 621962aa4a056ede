"""Facts about one MetaGraph: its nodes, its functions, and what reaches them. Layer: inspection.

Everything is computed in time linear in the size of the graph. Nothing is judged here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.inspection._entries import (
    Capture,
    Captures,
    Entry,
    EntryKind,
    capture_functions,
    find_entries,
    reference_producer,
)
from safeload.inspection.op_classes import op_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["MAIN", "Body", "Capture", "Entry", "EntryKind", "GraphInfo", "Node", "inspect_graph", "reference_producer"]

MAIN = ""
"""Name of the body that is the graph itself and no function."""


class Node(NamedTuple):
    """One node of a graph or a function.

    Attributes:
        body: Name of the function that holds it, or `MAIN`.
        name: Its name in there.
        op: Its op, or the name of the function that it calls.
        inputs: Its inputs as written: ``x``, ``x:1``, ``x:output:0``, ``^x``.
        calls: Functions of the library that it calls, through attributes at any depth or as its op.
        proto: The NodeDef.
        absent: Functions that it calls and the library does not have.
    """

    body: str
    name: str
    op: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]
    proto: Any
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Body:
    """The graph itself or a function of its library.

    Attributes:
        name: The function's name, or `MAIN`.
        nodes: Every node, in the order of the file.
        by_name: The same by name; of several with one name the last.
        arguments: Names of the function's arguments in order; none if one of them stands for several tensors.
        returns: Tensor that each output of a function returns, in order.
        related: Functions that TensorFlow may run in its place: gradients, implementations of the same interface.
    """

    name: str
    nodes: tuple[Node, ...] = field(repr=False)
    by_name: Mapping[str, Node] = field(repr=False)
    arguments: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
    related: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphInfo:
    """Facts about the graph of one MetaGraph.

    Attributes:
        bodies: The graph itself under `MAIN`, and every function by name.
        entries: From where execution can start.
        callers: Nodes that call each function.
        captures: Which asset or node of the main graph an argument of a function is bound to, by function and argument.
        assets: File name, below ``assets/``, that is fed to a node of the main graph.
        asset_files: Every file name that the MetaGraph declares as an asset.
        creators: Functions that make the resource of an object of the object graph.
        duplicates: Functions and nodes that share their name with another one, functions with the name of an op.
        main_reach: How each node of the main graph is reached; nodes that nothing reaches are left out.
        function_reach: The same for functions.
    """

    bodies: Mapping[str, Body] = field(repr=False)
    entries: tuple[Entry, ...] = ()
    callers: Mapping[str, tuple[Node, ...]] = field(default_factory=dict, repr=False)
    captures: Captures = field(default_factory=dict)
    assets: Mapping[str, str] = field(default_factory=dict)
    asset_files: tuple[str, ...] = ()
    creators: frozenset[str] = frozenset()
    duplicates: tuple[str, ...] = ()
    main_reach: Mapping[str, frozenset[EntryKind]] = field(default_factory=dict, repr=False)
    function_reach: Mapping[str, frozenset[EntryKind]] = field(default_factory=dict, repr=False)

    def nodes(self) -> Iterator[Node]:
        """Yield every node of every body."""
        for body in self.bodies.values():
            yield from body.nodes

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
    functions = list(meta_graph.graph_def.library.function)
    names = frozenset(function.signature.name for function in functions)
    bodies = {MAIN: _main_body(meta_graph.graph_def, names)}
    related = _related(meta_graph.graph_def.library, names)
    for function in functions:
        bodies[function.signature.name] = _function_body(function, names, related)
    found = find_entries(meta_graph, names)
    main_reach, function_reach = _reach(bodies, found.entries)
    return GraphInfo(
        bodies=bodies,
        entries=found.entries,
        callers=_callers(bodies),
        captures=capture_functions(meta_graph),
        assets=found.assets,
        asset_files=found.asset_files,
        creators=found.creators,
        duplicates=tuple(_duplicates(functions, bodies)),
        main_reach=main_reach,
        function_reach=function_reach,
    )


def _main_body(graph_def: Any, functions: frozenset[str]) -> Body:
    nodes = tuple(_nodes(MAIN, graph_def.node, functions))
    return Body(MAIN, nodes, {node.name: node for node in nodes})


def _function_body(function: Any, functions: frozenset[str], related: Mapping[str, tuple[str, ...]]) -> Body:
    signature = function.signature
    nodes = tuple(_nodes(signature.name, function.node_def, functions))
    return Body(
        signature.name,
        nodes,
        {node.name: node for node in nodes},
        arguments=_arguments(signature),
        returns=tuple(function.ret.get(output.name, "") for output in signature.output_arg),
        related=related.get(signature.name, ()),
    )


def _arguments(signature: Any) -> tuple[str, ...]:
    if any(argument.number_attr or argument.type_list_attr for argument in signature.input_arg):
        return ()
    return tuple(argument.name for argument in signature.input_arg)


def _nodes(body: str, node_defs: Iterable[Any], functions: frozenset[str]) -> Iterator[Node]:
    table = op_table()
    for proto in node_defs:
        op = proto.op
        # Attributes of other stock ops are never functions; looking at all of them would take most of the time.
        called = dict.fromkeys(_called(proto)) if op in table.callers or op not in table.classes else {}
        calls = (*((op,) if op in functions else ()), *(name for name in called if name in functions))
        absent = tuple(name for name in called if name and name not in functions)
        yield Node(body, proto.name, op, tuple(proto.input), calls, proto, absent)


def _called(proto: Any) -> Iterator[str]:
    """Yield the functions that the attributes of *proto* name, those of their own attributes included."""
    pending = list(proto.attr.values())
    while pending:
        value = pending.pop()
        for called in (*((value.func,) if value.HasField("func") else ()), *value.list.func):
            yield called.name
            pending.extend(called.attr.values())


def _related(library: Any, functions: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Return which functions TensorFlow may run because another one is run.

    Source: attributes ``forward_function_name`` and ``backward_function_name`` (tensorflow/python/eager),
    ``api_implements`` (core/grappler/optimizers/implementation_selector.cc); GradientDef in function.proto.
    """
    related: dict[str, list[str]] = defaultdict(list)
    implementations: dict[bytes, str] = {}
    for function in library.function:
        name = function.signature.name
        related[name] += [
            v.s.decode("utf-8", "replace") for k, v in function.attr.items() if k.endswith("_function_name")
        ]
        if function.attr.get("api_implements") is not None:
            # A ring through all implementations of one interface reaches each from any other.
            previous = implementations.setdefault(function.attr["api_implements"].s, name)
            related[name].append(previous)
            related[previous].append(name)
    for gradient in library.gradient:
        related[gradient.function_name].append(gradient.gradient_func)
    return {name: tuple(n for n in others if n in functions and n != name) for name, others in related.items()}


def _callers(bodies: Mapping[str, Body]) -> dict[str, tuple[Node, ...]]:
    callers: dict[str, list[Node]] = defaultdict(list)
    for body in bodies.values():
        for node in body.nodes:
            for called in node.calls:
                callers[called].append(node)
    return {name: tuple(nodes) for name, nodes in callers.items()}


def _duplicates(functions: list[Any], bodies: Mapping[str, Body]) -> Iterator[str]:
    seen: set[str] = set()
    for function in functions:
        if function.signature.name in seen:
            yield function.signature.name
        seen.add(function.signature.name)
        if function.signature.name in op_table().classes:
            yield f"{function.signature.name}, also an op of TensorFlow"
    for body in bodies.values():
        if len(body.by_name) != len(body.nodes):
            yield f"{body.name or 'graph'}: {len(body.nodes) - len(body.by_name)} nodes"


def _reach(
    bodies: Mapping[str, Body], entries: Iterable[Entry]
) -> tuple[dict[str, frozenset[EntryKind]], dict[str, frozenset[EntryKind]]]:
    """Return how every node of the main graph and every function is reached."""
    main: dict[str, set[EntryKind]] = defaultdict(set)
    functions: dict[str, set[EntryKind]] = defaultdict(set)
    started: dict[EntryKind, set[str]] = defaultdict(set)
    for entry in entries:
        started[entry.kind].update(name for name in entry.functions if name in bodies)
        for node in _ancestors(bodies[MAIN], entry):
            main[node.name].add(entry.kind)
            started[entry.kind].update(node.calls)
    for kind, names in started.items():
        for name in _descendants(bodies, names):
            functions[name].add(kind)
    return {k: frozenset(v) for k, v in main.items()}, {k: frozenset(v) for k, v in functions.items()}


def _ancestors(body: Body, entry: Entry) -> Iterator[Node]:
    """Yield the nodes that run when *entry* fetches its nodes while it feeds its inputs."""
    seen: set[str] = set()
    pending = list(entry.fetches)
    while pending:
        reference = pending.pop()
        name = reference_producer(reference)
        if name in seen or name not in body.by_name or _tensor(reference) in entry.feeds:
            continue
        seen.add(name)
        yield body.by_name[name]
        pending.extend(body.by_name[name].inputs)


def _tensor(reference: str) -> str:
    return reference if ":" in reference or reference.startswith("^") else f"{reference}:0"


def _descendants(bodies: Mapping[str, Body], names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        pending.extend(bodies[name].related)
        pending.extend(called for node in bodies[name].nodes for called in node.calls)
    return seen
