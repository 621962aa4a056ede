"""Where the value of a tensor comes from, traced across calls. Layer: policy."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from safeload.inspection.graph.info import (
    MAIN,
    Body,
    Capture,
    EntryKind,
    GraphInfo,
    Node,
    output_index,
    reference_producer,
    tensor_name,
)
from safeload.policy.graph._constants._sites import CALLS, CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSES = frozenset({"Identity", "StopGradient", "Snapshot", "EnsureShape", "Reshape", "ExpandDims", "Squeeze"})
"""Ops whose first output holds the values of their first input."""
_PACKS = frozenset({"Pack", "ConcatV2"})
_VARIABLE_OPS = frozenset({"AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"})
_FED = frozenset({"Const", "Placeholder", "PlaceholderV2"})
"""Ops of nodes that stand for assets. Source: ``_asset_path_from_tensor`` in saved_model/builder_impl.py (TF 1.15)."""
_MANY = 10_000
"""Tensors that one trace visits at most."""


class Source(Enum):
    """What kind of place a value comes from."""

    CONSTANT = "constant"
    ASSET = "asset"
    SAVER_FILENAME = "saver filename"
    UNKNOWN = "unknown"


class Origin(NamedTuple):
    """A place that a value comes from, with the value or the name of the place."""

    source: Source
    value: str = ""


class _Tensor(NamedTuple):
    body: str
    reference: str


class OriginTracer:
    """Traces tensors of one graph to where their values come from."""

    def __init__(self, graph: GraphInfo) -> None:
        self._graph = graph
        self._filenames = frozenset(
            tensor_name(n) for e in graph.entries if e.kind is EntryKind.RESTORE for n in e.feeds if n
        )
        self._entry_functions = frozenset(name for entry in graph.entries for name in entry.functions)
        self._unseen = frozenset(name for body in graph.bodies.values() for name in body.related)

    def origins(self, node: Node, index: int) -> frozenset[Origin]:
        """Return every place from which input *index* of *node* may come.

        Guarantees: a value that comes from anywhere else has an origin of `Source.UNKNOWN` beside those that are known.
        """
        if index >= len(node.inputs):
            return frozenset({Origin(Source.UNKNOWN, "no such input")})
        # A node of the main graph that stands for an asset is fed while TensorFlow initialises, and at no other time.
        is_fed = self._graph.reached(node) <= {EntryKind.INITIALIZER}
        return self._trace(_Tensor(node.body, node.inputs[index]), is_fed=is_fed)

    def _trace(self, start: _Tensor, *, is_fed: bool) -> frozenset[Origin]:
        found: set[Origin] = set()
        seen: set[_Tensor] = set()
        pending = [start]
        while pending:
            tensor = pending.pop()
            if tensor in seen:
                continue
            seen.add(tensor)
            if len(seen) > _MANY:
                return frozenset({Origin(Source.UNKNOWN, "too many places")})
            for step in self._step(tensor, is_fed=is_fed):
                if isinstance(step, Origin):
                    found.add(step)
                else:
                    pending.append(step)
        return frozenset(found)

    def _step(self, tensor: _Tensor, *, is_fed: bool) -> Iterator[Origin | _Tensor]:
        body = self._graph.bodies[tensor.body]
        name = reference_producer(tensor.reference)
        fed = tensor_name(tensor.reference) if body.name == MAIN else ""
        if fed in self._filenames:
            yield Origin(Source.SAVER_FILENAME, name)
        elif fed in self._graph.assets and is_fed and self._is_plain(name):
            yield Origin(Source.ASSET, self._graph.assets[fed])
        elif fed in self._graph.inputs:
            yield Origin(Source.UNKNOWN, f"input {name}")
        elif name in body.positions:
            yield from self._argument(body, name)
        elif name in body.by_name:
            yield from self._node(body.by_name[name], tensor)
        else:
            yield Origin(Source.UNKNOWN, name)

    def _is_plain(self, name: str) -> bool:
        """Return whether nothing computes *name* of the main graph, should TensorFlow do so before it is fed."""
        node = self._graph.bodies[MAIN].by_name.get(name)
        return node is None or node.op in _FED

    def _argument(self, body: Body, name: str) -> Iterator[Origin | _Tensor]:
        capture = self._graph.capture(body.name, name)
        if capture is not None:
            yield from self._captured(capture)
        # What is called for another one is given what that is given, and no node says what a gradient is given.
        entries = body.instead if capture is not None else (body.name, *body.instead)
        if body.name in self._unseen or not self._entry_functions.isdisjoint(entries):
            yield Origin(Source.UNKNOWN, f"argument {name} of {body.name}")
        callers = self._graph.callers.get(body.name, ())
        for caller in callers:
            yield _passed(caller, body, name)
        if capture is None and not callers:
            yield Origin(Source.UNKNOWN, f"argument {name} of {body.name}")

    def _captured(self, capture: Capture) -> Iterator[Origin]:
        """Yield what is bound to an argument: of a constant its value, whatever its name stands for elsewhere."""
        node = self._graph.bodies[MAIN].by_name.get(capture.node or "")
        if capture.asset is not None:
            yield Origin(Source.ASSET, capture.asset)
        elif node is not None and node.op == "Const":
            yield from _constant(node)
        else:
            yield Origin(Source.UNKNOWN, "captured value")

    def _node(self, node: Node, tensor: _Tensor) -> Iterator[Origin | _Tensor]:
        data = [reference for reference in node.inputs if not reference.startswith("^")]
        if node.op == "Const":
            yield from _constant(node)
        elif node.op in _PASSES and data:
            yield _Tensor(node.body, data[0])
        elif node.op in _PACKS:
            yield from (_Tensor(node.body, reference) for reference in data)
        elif node.op == "ReadVariableOp" and node.body == MAIN and data:
            yield from self._variable(data[0])
        elif node.op in self._graph.bodies:
            yield self._result(node.op, tensor, self._graph.bodies[node.op].result(node, tensor.reference))
        elif node.calls and node.op in CALLS.union(CONDITIONS):
            yield from (self._result(name, tensor, output_index(tensor.reference)) for name in node.calls)
        else:
            yield Origin(Source.UNKNOWN, f"{node.op} {node.name}")

    def _result(self, function: str, tensor: _Tensor, index: int | None) -> Origin | _Tensor:
        """Return what *function* returns as the result *index*, which *tensor* is after a call."""
        returns = self._graph.bodies[function].returns
        if index is not None and index < len(returns):
            return _Tensor(function, returns[index])
        return Origin(Source.UNKNOWN, tensor.reference)

    def _variable(self, handle: str) -> Iterator[Origin | _Tensor]:
        """Yield what is assigned to a variable of the main graph that nothing but the main graph touches.

        Where a graph does not say how to restore its variables, loaders restore all of them. What is assigned at
        another time than that of the initialiser may be read by it all the same.
        """
        name = reference_producer(handle)
        users = self._main_users[name]
        assigned = [n for n in users if n.op == "AssignVariableOp"]
        is_private = all(n.op in _VARIABLE_OPS and reference_producer(n.inputs[0]) == name for n in users)
        is_restored = not self._graph.meta_graph.saver_def.restore_op_name
        is_late = any(self._graph.reached(n) - {EntryKind.INITIALIZER} for n in assigned)
        if not assigned or not is_private or is_restored or is_late or not self._is_variable(name):
            yield Origin(Source.UNKNOWN, f"variable {name}")
            return
        yield from (_Tensor(MAIN, node.inputs[1]) for node in assigned if len(node.inputs) > 1)

    def _is_variable(self, name: str) -> bool:
        """Return whether *name* is the only node that finds its variable."""
        node = self._graph.bodies[MAIN].by_name.get(name)
        return node is not None and node.op == "VarHandleOp" and self._variable_names[_shared_name(node)] == 1

    @cached_property
    def _variable_names(self) -> Counter[bytes]:
        return Counter(map(_shared_name, self._graph.nodes("VarHandleOp")))

    @cached_property
    def _main_users(self) -> dict[str, list[Node]]:
        users: dict[str, list[Node]] = defaultdict(list)
        for node in self._graph.bodies[MAIN].nodes:
            for name in {reference_producer(r) for r in node.inputs if not r.startswith("^")}:
                users[name].append(node)
        return users


def _shared_name(node: Node) -> bytes:
    value = node.proto.attr.get("shared_name")
    return bytes(value.s) if value is not None else b""


def _passed(caller: Node, body: Body, name: str) -> Origin | _Tensor:
    """Return what *caller* passes as the argument *name* of *body*."""
    offset = 0 if caller.op in CALLS or caller.op == body.name else 1 if caller.op in CONDITIONS else None
    if offset is not None and offset + body.positions[name] < len(caller.inputs):
        return _Tensor(caller.body, caller.inputs[offset + body.positions[name]])
    return Origin(Source.UNKNOWN, f"argument {name} of {body.name}")


def _constant(node: Node) -> Iterator[Origin]:
    value = node.proto.attr.get("value")
    if value is not None and value.tensor.tensor_content:
        # Strings may be packed in here as well: tensorflow/core/framework/tensor.cc (2.21). No release writes them so.
        yield Origin(Source.UNKNOWN, f"content of {node.name}")
        return
    strings = value.tensor.string_val if value is not None else ()
    yield from (Origin(Source.CONSTANT, text.decode("utf-8", "replace")) for text in strings)
    if not strings:
        # An empty list of values means zeros, for strings "".
        yield Origin(Source.CONSTANT)
