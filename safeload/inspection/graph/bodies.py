"""The nodes of a graph and of its functions, read in one pass. Layer: inspection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from safeload.inspection.op_classes import op_table
from safeload.readers.protobuf import message_class

MAIN = ""
"""Name of the body that is the graph itself and no function."""

_MAY_CALL = frozenset({"func", "list"})
NEVER_CALL = frozenset({"T", "Tin", "Tout", "config", "config_proto", "executor_type", "output_shapes"})
"""Attributes that no op of TensorFlow declares as functions: it refuses a node where they are any.

Source: op definitions of TensorFlow 2.21; ``ValidateNodeDef`` in tensorflow/core/framework/node_def_util.cc.
"""


_INTERFACE = "api_implements"
"""Attribute of functions that TensorFlow may exchange for each other."""
_PARTS = ("backward_function_name", "forward_function_name")
"""Attributes of functions that go forward, and of those that go backward."""
MAX_ALIKE = 64
"""Functions that are looked at for each call of one of them; an LSTM has two."""

_Op = tuple[str, list["Node"], bool]
"""An op, the nodes that have it, and whether such a node calls nothing. Nodes of one op share its name."""


@dataclass(slots=True, eq=False)
class Node:
    """One node of a graph or a function, equal to no other one.

    Attributes:
        body: Name of the function that holds it, or `MAIN`.
        name: Its name in there.
        op: Its op, or the name of the function that it calls.
        calls: Functions of the library that it calls, through attributes at any depth or as its op; after them those
            that TensorFlow may call instead.
        absent: Functions that it calls and the library does not have.
        proto: The NodeDef.
    """

    body: str
    name: str
    op: str
    calls: tuple[str, ...]
    absent: tuple[str, ...]
    proto: Any
    _inputs: tuple[str, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Its inputs as written: ``x``, ``x:1``, ``x:output:0``, ``^x``. Those of most nodes are never asked for."""
        if self._inputs is None:
            self._inputs = tuple(self.proto.input[:])  # a slice is copied in one go
        return self._inputs


@dataclass(frozen=True)
class Body:
    """The graph itself or a function of its library.

    Attributes:
        name: The function's name, or `MAIN`.
        nodes: Every node, in the order of the file.
        by_name: The same by name; of several with one name the last.
        calling: Those that call functions, of the library or absent from it.
        proto: The FunctionDef; an empty one for the graph itself.
        related: Functions that TensorFlow may run because this one is run: those of its gradient.
        instead: Functions that TensorFlow may call where this one is called: implementations of the same interface.
    """

    name: str
    nodes: tuple[Node, ...] = field(repr=False)
    by_name: Mapping[str, Node] = field(repr=False)
    calling: tuple[Node, ...] = field(repr=False)
    proto: Any = field(repr=False)
    related: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """Names of the function's arguments in order; none if one of them stands for several tensors."""
        declared = list(self.proto.signature.input_arg)
        is_variadic = any([argument.number_attr or argument.type_list_attr for argument in declared])  # noqa: C419 - speed
        return () if is_variadic else tuple([argument.name for argument in declared])

    @cached_property
    def returns(self) -> tuple[str, ...]:
        """Tensor that each output of a function returns, in order; none if one of them stands for several tensors."""
        return tuple([self.proto.ret.get(name, "") for name in self._outputs])

    @cached_property
    def _outputs(self) -> tuple[str, ...]:
        declared = list(self.proto.signature.output_arg)
        is_variadic = any([output.number_attr or output.type_list_attr for output in declared])  # noqa: C419 - speed
        return () if is_variadic else tuple([output.name for output in declared])

    def result(self, call: Node, reference: str) -> int | None:
        """Return which of the results *reference* is, None if none; its producer *call* has the function as its op.

        Graphs count outputs, functions name them: ``call:1``, ``call:name:0``, ``call:name``.
        Source: ``AddItem`` in tensorflow/core/framework/function.cc (2.21).
        """
        output = reference.partition(":")[2].partition(":")[0]
        if call.body == MAIN:
            return output_index(reference)
        return self._outputs.index(output) if output in self._outputs else None

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The position of each argument by its name; of several with one name the first."""
        return {name: index for index, name in reversed([*enumerate(self.arguments)])}


def output_index(reference: str) -> int:
    """Return which output of its producer *reference* names where outputs are counted: one list, or in a graph."""
    index = reference.rpartition(":")[2]
    return int(index) if index.isdigit() else 0


class BodyReader:
    """Reads the bodies of one MetaGraph.

    Args:
        meta_graph: A MetaGraphDef.

    Attributes:
        functions: Name and FunctionDef of every function of the library.
        names: The names of them.
        polymorphic: Those that have attributes, or are called with some; complete once `bodies` were read.
        confusing: Interfaces with so many implementations that not all of them are looked at.
    """

    def __init__(self, meta_graph: Any) -> None:
        library = meta_graph.graph_def.library
        self.functions: list[tuple[str, Any]] = [(function.signature.name, function) for function in library.function]
        self.names: frozenset[str] = frozenset([name for name, _ in self.functions])
        self.polymorphic: set[str] = {name for name, function in self.functions if function.signature.attr}
        self._graph_def = meta_graph.graph_def
        alike = _implementations(self.functions)
        self.confusing: tuple[str, ...] = tuple(name for name, found in alike if len(found) > MAX_ALIKE)
        self._instead: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for _, found in alike:
            for name in found if len(found) <= MAX_ALIKE else ():
                self._instead[name] += tuple(other for other in found if other != name)
        self._related = _related(self.functions, library.gradient, self.names)
        self._ops: dict[str, _Op] = {}

    def bodies(self) -> dict[str, Body]:
        """Read the graph itself and every function, by name."""
        bodies = {MAIN: self._body(MAIN, self._graph_def.node, message_class("FunctionDef")())}
        for name, function in self.functions:
            bodies[name] = self._body(name, function.node_def, function)
        return bodies

    def by_op(self) -> dict[str, tuple[Node, ...]]:
        """Return every node that was read by its op, in the order of the bodies."""
        return {op: tuple(nodes) for op, nodes, _ in self._ops.values()}

    def _body(self, body: str, node_defs: Iterable[Any], function: Any) -> Body:
        by_name: dict[str, Node] = {}
        nodes: list[Node] = []
        calling: list[Node] = []
        known = self._ops
        for proto in node_defs:
            written, name = proto.op, proto.name
            op, others, calls_nothing = known.get(written) or self._met(written)
            if calls_nothing:
                node = Node(body, name, op, (), (), proto)
            else:
                node = Node(body, name, op, *self._calls(op, proto), proto)
                if node.calls or node.absent:
                    calling.append(node)
            by_name[name] = node
            nodes.append(node)
            others.append(node)
        related, instead = self._related.get(body, ()), self._instead.get(body, ())
        return Body(body, tuple(nodes), by_name, tuple(calling), function, related, instead)

    def _met(self, op: str) -> _Op:
        # Attributes of plain ops are never functions; looking at all of them would take most of the time.
        return self._ops.setdefault(op, (op, [], op_table().is_plain(op) and op not in self.names))

    def _calls(self, op: str, proto: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return which functions *proto* calls: those of the library, those absent from it."""
        skipped = NEVER_CALL if op in op_table().classes else frozenset()
        called = {} if op_table().is_plain(op) else dict.fromkeys(self._called(proto, skipped))
        own = [op] if op in self.names else []
        self.polymorphic.update(own)
        calls = own + [name for name in called if name in self.names]
        calls += [other for name in calls if name in self._instead for other in self._instead[name]]
        return tuple(dict.fromkeys(calls)), tuple([name for name in called if name and name not in self.names])

    def _called(self, proto: Any, skipped: frozenset[str]) -> list[str]:
        """Return the functions that the attributes of *proto* name but *skipped*, and all attributes of these."""
        found: list[str] = []
        pending = [(proto.attr, skipped)]
        while pending:
            attributes, skipped = pending.pop()
            for key in attributes:
                if key in skipped:
                    continue
                value = attributes[key]
                kind = value.WhichOneof("value")
                if kind in _MAY_CALL:
                    for called in (value.func,) if kind == "func" else value.list.func:
                        found.append(called.name)
                        if called.attr:
                            self.polymorphic.add(called.name)
                            pending.append((called.attr, frozenset()))
        return found


def _implementations(functions: Iterable[tuple[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return each interface, and the functions that TensorFlow may exchange for each other: those for other devices.

    Functions that go forward, backward, or neither, are not exchanged for others.
    Source: core/grappler/optimizers/implementation_selector.cc and function_api_info.cc (2.21).
    """
    found: dict[tuple[bytes, str], list[str]] = defaultdict(list)
    for name, function in functions:
        if _INTERFACE in function.attr:
            for part in [key for key in _PARTS if key in function.attr] or [""]:
                found[function.attr[_INTERFACE].s, part].append(name)
    return [(interface.decode("utf-8", "replace"), names) for (interface, _), names in found.items()]


def _related(
    functions: Iterable[tuple[str, Any]], gradients: Iterable[Any], names: frozenset[str]
) -> dict[str, tuple[str, ...]]:
    """Return which functions TensorFlow may run because another one is run.

    Source: attributes ``forward_function_name`` and ``backward_function_name`` (tensorflow/python/eager);
    GradientDef in function.proto.
    """
    related: dict[str, list[str]] = defaultdict(list)
    for name, function in functions:
        for key in function.attr:
            if key.endswith("_function_name"):
                related[name].append(function.attr[key].s.decode("utf-8", "replace"))
    for gradient in gradients:
        related[gradient.function_name].append(gradient.gradient_func)
    return {name: tuple(n for n in others if n in names and n != name) for name, others in related.items()}
