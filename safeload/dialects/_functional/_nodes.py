"""How layers were called: the inbound nodes of every era, read into `Call` and written as Keras 3 writes them.

A node of Keras 1 is a list of ``[layer, node, tensor]``; Keras 2 adds the keywords of the call as a fourth item,
tf.keras nests them, and puts constants in place of the name; Keras 3 writes ``{"args": …, "kwargs": …}``.

Source:
    keras 1.2.2 ``keras/engine/topology.py`` (Container.get_config); tf_keras 2.21 ``engine/node.py`` (serialize),
    ``engine/functional.py`` (reconstruct_from_config); keras 3.15 ``src/models/functional.py`` (deserialize_node).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.errors import MalformedArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

Json = Any
Tree = Any
"""A `Json` whose leaves may be `TensorRef`."""

CONSTANT = "_CONSTANT_VALUE"
"""What tf.keras writes in place of a layer name where the first argument of a call was no tensor of the model."""

PRESERVING_CLASSES = frozenset({"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"})
"""Layers of tf.keras that keep a list of one tensor as a list (``_preserve_input_structure_in_config``)."""

STATEFUL_CLASSES = frozenset(
    {
        "RNN",
        "SimpleRNN",
        "LSTM",
        "GRU",
        "CuDNNLSTM",
        "CuDNNGRU",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "Bidirectional",
    }
)
"""Layers whose further inputs are the initial state (``RNN.__call__`` of Keras 2 joins them to the sequence)."""

_OPTIONAL_KEYWORDS = frozenset({"training", "mask", "initial_state", "constants"})


@dataclass(frozen=True)
class TensorRef:
    """An output tensor of a call: which layer, which of its calls, which of the results."""

    layer: str
    node: int
    tensor: int
    shape: Json = field(default=None, compare=False)
    dtype: str = field(default="float32", compare=False)


class Call(NamedTuple):
    """One call of a layer."""

    args: tuple[Tree, ...]
    kwargs: dict[str, Tree]


def map_refs(tree: Tree, change: Callable[[TensorRef], Any]) -> Tree:
    """Copy *tree* with *change* applied to every `TensorRef`."""
    if isinstance(tree, TensorRef):
        return change(tree)
    if isinstance(tree, dict):
        return {key: map_refs(value, change) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [map_refs(value, change) for value in tree]
    return tree


def iter_refs(tree: Tree) -> Iterator[TensorRef]:
    """Every `TensorRef` of *tree*, in order."""
    if isinstance(tree, TensorRef):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from iter_refs(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from iter_refs(value)


def refs_of(call: Call) -> list[TensorRef]:
    """The tensors that *call* takes."""
    return [*iter_refs(call)]


def map_call(call: Call, change: Callable[[TensorRef], Any]) -> Call:
    """Copy *call* with *change* applied to every `TensorRef`."""
    return Call(tuple(map_refs(call.args, change)), map_refs(call.kwargs, change))


def read_calls(layer: Json, layer_names: Container[str], where: str) -> list[Call]:
    """The calls of a layer object, whatever era wrote them.

    Raises:
        MalformedArtifactError: a node is of no known shape.
    """
    nodes = layer.get("inbound_nodes") or []
    if not isinstance(nodes, list):
        raise MalformedArtifactError(where, problem="inbound_nodes is no list")
    class_name = layer.get("class_name")
    return [_read_call(node, class_name, layer_names, f"{where}.inbound_nodes[{i}]") for i, node in enumerate(nodes)]


def _read_call(node: Json, class_name: str, layer_names: Container[str], where: str) -> Call:
    if isinstance(node, dict) and set(node) == {"args", "kwargs"}:
        args, kwargs = _read_keras_3(node["args"], where), _read_keras_3(node["kwargs"], where)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise MalformedArtifactError(where, problem="args is no list or kwargs no dict")
        return Call(tuple(args), kwargs)
    entries = list(_entries(node))
    if not entries:
        raise MalformedArtifactError(where, problem="a node without tensors")
    first = _read_first(node)
    if class_name not in PRESERVING_CLASSES and isinstance(first, list) and len(first) == 1:
        first = first[0]
    return Call((first,), _read_kwargs(entries[-1], layer_names))


def _read_keras_3(tree: Json, where: str) -> Tree:
    if isinstance(tree, list):
        return [_read_keras_3(value, where) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("class_name") == "__keras_tensor__":
        return _read_keras_tensor(tree.get("config"), where)
    return {key: _read_keras_3(value, where) for key, value in tree.items()}


def _read_keras_tensor(config: Json, where: str) -> TensorRef:
    history = config.get("keras_history") if isinstance(config, dict) else None
    if not isinstance(history, list) or not is_entry(history[:3]):
        raise MalformedArtifactError(where, problem="a tensor without keras_history")
    layer, node, tensor = history[:3]
    return TensorRef(layer, node, tensor, config.get("shape"), config.get("dtype") or "float32")


def is_entry(node: Json) -> bool:
    """True for ``[layer, node, tensor]``, with or without the keywords of the call."""
    if not (isinstance(node, (list, tuple)) and len(node) in (3, 4) and isinstance(node[0], str)):
        return False
    return node[0] == CONSTANT or all(isinstance(number, int) and number >= 0 for number in node[1:3])


def _entries(node: Json) -> Iterator[Json]:
    if is_entry(node):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _entries(value)
    elif isinstance(node, list):
        for value in node:
            yield from _entries(value)


def _read_first(node: Json) -> Tree:
    if is_entry(node):
        return node[2] if node[0] == CONSTANT else TensorRef(node[0], node[1], node[2])
    if isinstance(node, dict):
        return {key: _read_first(value) for key, value in node.items()}
    return [_read_first(value) for value in node] if isinstance(node, list) else node


def _read_kwargs(entry: Json, layer_names: Container[str]) -> dict[str, Tree]:
    kwargs = entry[3] if len(entry) == 4 and isinstance(entry[3], dict) else {}
    return {
        key: _read_keyword(value, layer_names)
        for key, value in kwargs.items()
        if not (value is None and key in _OPTIONAL_KEYWORDS)
    }


def _read_keyword(value: Json, layer_names: Container[str]) -> Tree:
    if is_entry(value) and len(value) == 3 and value[0] in layer_names:
        return TensorRef(value[0], value[1], value[2])
    if isinstance(value, dict):
        return {key: _read_keyword(item, layer_names) for key, item in value.items()}
    return [_read_keyword(item, layer_names) for item in value] if isinstance(value, list) else value


def split_initial_state(call: Call) -> Call:
    """Move the further inputs of a recurrent layer to the keyword ``initial_state``."""
    first = call.args[0] if call.args else None
    if not isinstance(first, list) or len(first) < 2:
        return call
    return call._replace(args=(first[0],), kwargs={**call.kwargs, "initial_state": first[1:]})


def read_tensors(tree: Json) -> Tree:
    """``input_layers`` or ``output_layers`` with its nesting."""
    if is_entry(tree):
        return TensorRef(tree[0], tree[1], tree[2])
    if isinstance(tree, dict):
        return {key: read_tensors(value) for key, value in tree.items()}
    return [read_tensors(value) for value in tree] if isinstance(tree, (list, tuple)) else tree


def write_call(call: Call) -> Json:
    """A node as Keras 3 writes it."""
    return {"args": map_refs(call.args, _write_tensor), "kwargs": map_refs(call.kwargs, _write_tensor)}


def entry_of(ref: TensorRef) -> list[Json]:
    """A tensor as every era writes it at the ends of a model, and Keras before 3 in a node, too."""
    return [ref.layer, ref.node, ref.tensor]


def _write_tensor(ref: TensorRef) -> Json:
    """A tensor as Keras 3 writes it in a node.

    Keras replaces it by the tensor of that history, so shape and dtype are formal where no era recorded them.
    """
    config = {"shape": ref.shape or [None], "dtype": ref.dtype, "keras_history": entry_of(ref)}
    return {"class_name": "__keras_tensor__", "config": config}
