"""The graph of a Functional model: which call feeds which, with the call numbers of Keras 3.

Source:
    tf_keras 2.21 ``engine/functional.py`` (get_network_config, _should_skip_first_node); keras 2.2.4
    ``keras/engine/network.py`` (get_config, kept_nodes); keras 3.15 ``src/models/functional.py`` (get_config,
    get_tensor).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from safeload.dialects._functional._nodes import (
    Call,
    TensorRef,
    Tree,
    iter_refs,
    map_call,
    map_refs,
    read_calls,
    read_tensors,
    refs_of,
)
from safeload.dialects._functional._sequential import is_object
from safeload.dialects._normal import Writer
from safeload.errors import IncompatibleVersionError, MalformedArtifactError

Json = Any

FUNCTIONAL_KEYS = frozenset({"layers", "input_layers", "output_layers"})
"""Keys of the config of a Functional model."""

_CONFUSES_CALLS = (3, 2)
_TELLS_CALLS_APART = (3, 3)
"""From the first of these to the second, Keras names call 0 of a layer in every node, whichever call it means.

Source: ``serialize_keras_tensor`` in keras/src/models/functional.py of 3.2.0, 3.2.1 and 3.3.0: 3.2 looks for nodes
among keys of nodes, so that it takes every earlier one for that of another model. The outputs are numbered elsewhere.
"""


class GraphLayer(NamedTuple):
    """A layer with its calls.

    Attributes:
        name: Name by which the nodes refer to it.
        data: Its serialized object.
        calls: Its calls in the order in which they were made.
    """

    name: str
    data: Json
    calls: tuple[Call, ...]


class Graph(NamedTuple):
    """The layers of a Functional model and the tensors at its ends. Calls are numbered from 0."""

    where: str
    layers: tuple[GraphLayer, ...]
    inputs: Tree
    outputs: Tree


def read_graph(config: Json, *, where: str, is_old: bool) -> Graph:
    """Read the config of a Functional model.

    Args:
        config: It, as any era wrote it.
        where: For messages.
        is_old: True if a Keras before 3 wrote it.

    Raises:
        MalformedArtifactError: a layer has no name, or a node is of no known shape.
    """
    names = [_layer_name(layer, where) for layer in config["layers"]]
    known = frozenset(names)
    if len(known) < len(names):
        raise MalformedArtifactError(where, problem="two layers have the same name")
    layers = tuple(
        GraphLayer(name, data, tuple(read_calls(data, known, f"{where}.{name}")))
        for name, data in zip(names, config["layers"], strict=True)
    )
    graph = Graph(where, layers, read_tensors(config["input_layers"]), read_tensors(config["output_layers"]))
    _require_known(graph, known)
    return _pruned(_counted_from_zero(graph)) if is_old else with_model_offset(_recounted(graph), -1)


def require_calls_apart(graph: Graph, writer: Writer) -> None:
    """Refuse the *graph* of a Keras 3 that named call 0 of a layer for all of its calls.

    One node that names call 0 means it where every other call is an output: Keras writes what leads to an output. Nor
    can calls be told apart that Keras 3.0 and 3.1 counted, unless nodes name the first ones, or just those that are no
    outputs.

    Raises:
        IncompatibleVersionError: ``incompatible-version``.
    """
    if not writer.may_be_before(_TELLS_CALLS_APART):
        return
    is_early = writer.may_be_before(_CONFUSES_CALLS)
    is_of_3_2 = not () < writer.version < _CONFUSES_CALLS
    ends = {(ref.layer, ref.node) for ref in iter_refs(graph.outputs)}
    inner = _inner_refs(graph)
    for layer in (layer for layer in graph.layers if len(layer.calls) > 1):
        named = [ref.node for ref in inner if ref.layer == layer.name]
        missing = [i for i in range(len(layer.calls)) if (layer.name, i) not in ends]
        is_uncertain = is_of_3_2 and not any(named) and not (len(named) == 1 and missing == [0])
        if is_early and {*named} not in ({*range(len({*named}))}, {*missing}):
            is_uncertain = True  # one that was not saved may have been counted, and the next be meant
        if named and is_uncertain:
            count = len(layer.calls)
            raise IncompatibleVersionError(
                f"{graph.where}.{layer.name}",
                problem=f"its {count} calls cannot be told apart: Keras "
                + (
                    "before 3.2 counted some that it did not record" if any(named) else "3.2 recorded each as the first"
                ),
                hint="build the model with its code in another release, load the weights, and save it again",
            )


def _layer_name(layer: Json, where: str) -> str:
    name = layer.get("name") if isinstance(layer, dict) else None
    if name is None and isinstance(layer, dict) and isinstance(layer.get("config"), dict):
        name = layer["config"].get("name")
    if not isinstance(name, str) or not is_object(layer):
        raise MalformedArtifactError(where, problem="a layer without name, class_name or config")
    return name


def _all_refs(graph: Graph) -> list[TensorRef]:
    return [*_inner_refs(graph), *iter_refs(graph.inputs), *iter_refs(graph.outputs)]


def _require_known(graph: Graph, known: frozenset[str]) -> None:
    unknown = next((ref for ref in _all_refs(graph) if ref.layer not in known), None)
    if unknown is None:
        return
    problem = f"a node refers to {unknown.layer!r}, which is no layer of the model"
    inside = [layer.name for layer in graph.layers if unknown.layer in _names_inside(layer.data)]
    if not inside:
        raise MalformedArtifactError(graph.where, problem=problem)
    # Keras 2.14 did so of a TimeDistributed that is called in both models; it does not load such a file itself.
    raise MalformedArtifactError(
        graph.where,
        problem=f"{problem}, but one of {inside[0]!r} inside it: a layer that both have was saved with its call there",
        hint="build the model with its code, load the weights, and export it as a SavedModel",
    )


def _names_inside(model: Json) -> set[Json]:
    layers = model["config"].get("layers") if isinstance(model["config"], dict) else None
    return {layer.get("name") for layer in layers if isinstance(layer, dict)} if isinstance(layers, list) else set()


def is_functional(layer: Json) -> bool:
    """True for the object of a Functional model."""
    return isinstance(layer.get("config"), dict) and "input_layers" in layer["config"]


def with_model_offset(graph: Graph, offset: int) -> Graph:
    """Count the calls of nested models at the ends of the model differently by *offset*.

    Keras 3 counts them from 1 there (``kept_nodes = 1``) and from 0 inside the nodes.
    """
    models = {layer.name for layer in graph.layers if is_functional(layer.data)}

    def shifted(ref: TensorRef) -> TensorRef:
        return replace(ref, node=ref.node + offset) if ref.layer in models else ref

    return graph._replace(inputs=map_refs(graph.inputs, shifted), outputs=map_refs(graph.outputs, shifted))


def _recounted(graph: Graph) -> Graph:
    """Let nodes number the calls that are saved, where they refer to as many of a layer as there are.

    Source: ``serialize_node`` in keras/src/models/functional.py of 3.1.1 and 3.2.0: up to 3.1, nodes count the calls
    that lead to no output, too, and are not saved.
    """
    calls = {layer.name: len(layer.calls) for layer in graph.layers}
    named: dict[str, set[int]] = {}
    for ref in _inner_refs(graph):
        named.setdefault(ref.layer, set()).add(ref.node)
    numbers = {
        (name, old): new
        for name, nodes in named.items()
        if len(nodes) == calls[name]
        for new, old in enumerate(sorted(nodes))
    }

    def recounted(ref: TensorRef) -> TensorRef:
        return replace(ref, node=numbers.get((ref.layer, ref.node), ref.node))

    layers = (layer._replace(calls=tuple(map_call(call, recounted) for call in layer.calls)) for layer in graph.layers)
    return graph._replace(layers=tuple(layers))


def _inner_refs(graph: Graph) -> list[TensorRef]:
    return [ref for layer in graph.layers for call in layer.calls for ref in refs_of(call)]


def _counted_from_zero(graph: Graph) -> Graph:
    """Take 1 off the call numbers of those nested models whose own creation the saver counted as call 0."""
    seen: dict[str, set[int]] = {}
    for ref in _all_refs(graph):
        seen.setdefault(ref.layer, set()).add(ref.node)
    # Every saved call of a nested model feeds something, so the highest number tells where counting began.
    calls = {layer.name: max(len(layer.calls), 1) for layer in graph.layers}
    first = {name: int(max(nodes) >= calls[name]) for name, nodes in seen.items()}
    if any(max(nodes) - first[name] >= calls[name] or min(nodes) < first[name] for name, nodes in seen.items()):
        raise MalformedArtifactError(graph.where, problem="a node refers to a call that no layer has")
    return map_graph(graph, lambda ref: replace(ref, node=ref.node - first[ref.layer]))


def map_graph(graph: Graph, change: Any) -> Graph:
    """Copy *graph* with *change* applied to every `TensorRef`."""
    layers = tuple(
        layer._replace(calls=tuple(map_call(call, change) for call in layer.calls)) for layer in graph.layers
    )
    return graph._replace(layers=layers, inputs=map_refs(graph.inputs, change), outputs=map_refs(graph.outputs, change))


def _pruned(graph: Graph) -> Graph:
    """Leave out the calls on which no output depends: those behind ``add_loss`` and ``add_metric``."""
    kept = _reachable(graph)
    numbers = {name: {old: new for new, old in enumerate(sorted(nodes))} for name, nodes in kept.items()}
    layers = tuple(
        layer._replace(calls=tuple(call for i, call in enumerate(layer.calls) if i in kept[layer.name]))
        for layer in graph.layers
        if layer.name in kept
    )
    return map_graph(graph._replace(layers=layers), lambda ref: replace(ref, node=numbers[ref.layer][ref.node]))


def _reachable(graph: Graph) -> dict[str, set[int]]:
    """Layer → its calls from which an output can be reached; inputs of the model always count."""
    calls = {layer.name: layer.calls for layer in graph.layers}
    kept: dict[str, set[int]] = {}
    waiting = [*iter_refs(graph.inputs), *iter_refs(graph.outputs)]
    while waiting:
        ref = waiting.pop()
        nodes = kept.setdefault(ref.layer, set())
        if ref.node not in nodes:
            nodes.add(ref.node)
            waiting += refs_of(calls[ref.layer][ref.node]) if ref.node < len(calls[ref.layer]) else []
    return kept
