"""The inputs that a session takes where SignatureDefs of TensorFlow 1 declare others. Layer: readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeload.readers.saved_model.outputs import PLACEHOLDERS, describe_input
from safeload.readers.saved_model.queues import WITH_DEFAULT
from safeload.readers.saved_model.references import closure, reference_producer, tensor_name, tensor_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

_MAX_COMPLETED = 64
"""SignatureDefs that are looked at for inputs they leave out; a graph with more of them is loaded as it is."""

_BOOKKEEPING_KEYS = "__saved_model_"
"""How the keys of SignatureDefs begin that name an op to run: they have no inputs.

Source: INIT_OP_SIGNATURE_KEY, TRAIN_OP_SIGNATURE_KEY in tensorflow/python/saved_model/constants.py (2.21).
"""

_WITHOUT_DEFAULT = PLACEHOLDERS - {WITH_DEFAULT}


def complete_signatures(meta_graph: Any) -> bool:
    """Give SignatureDefs of TensorFlow 1 the inputs that a session takes; return True if they had others.

    It wants a value of each placeholder that the outputs need, whatever the file declares: ``keep_prob`` of a dropout,
    say. Such an input has the name of its node. And it wants one value for a tensor, which `tf.estimator` gives two
    names where a feature is also the label. Where there is an object graph, functions answer, which declare all that
    they take.
    """
    if meta_graph.HasField("object_graph_def"):
        return False
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    placeholders = {f"{name}:0" for name, node in nodes.items() if node.op in _WITHOUT_DEFAULT}
    declared = [meta_graph.signature_def[key] for key in sorted(meta_graph.signature_def) if is_callable_key(key)]
    repeated = [_drop_further_names(signature) for signature in declared]
    incomplete = [signature for signature in declared if not placeholders <= _fed(signature)]
    missing = [_left_out(nodes, signature, placeholders) for signature in incomplete[:_MAX_COMPLETED]]
    for signature, names in zip(incomplete, missing, strict=False):
        for name in names:
            key = name
            while key in signature.inputs:
                key += ":0"
            describe_input(signature.inputs[key], nodes[name], meta_graph.graph_def.versions.producer)
    return any(missing) or any(repeated)


def _drop_further_names(signature: Any) -> bool:
    """Leave of several inputs that are the same tensor the one that is named after it, or else the first."""
    keys: dict[tuple[str, ...], list[str]] = {}
    for key in sorted(signature.inputs, key=lambda key: (f"{key}:0" != signature.inputs[key].name, key)):
        keys.setdefault(tuple(tensor_names(signature.inputs[key])), []).append(key)
    further = [key for same in keys.values() for key in same[1:]]
    for key in further:
        del signature.inputs[key]
    return bool(further)


def is_callable_key(key: str) -> bool:
    """Tell the key of a SignatureDef that can be called from one that names an op to run."""
    return not key.startswith(_BOOKKEEPING_KEYS)


def _fed(signature: Any) -> set[str]:
    """Return the tensors that a call of *signature* feeds."""
    names = (name for info in signature.inputs.values() for name in tensor_names(info))
    return {tensor_name(name) for name in names}


def _left_out(nodes: Mapping[str, Any], signature: Any, placeholders: AbstractSet[str]) -> list[str]:
    """Return the nodes of *placeholders* whose values the outputs need, and that are not fed."""
    fed = _fed(signature)

    def sources(reference: str) -> Iterable[str]:
        node = nodes.get(reference_producer(reference))
        return () if node is None or tensor_name(reference) in fed else node.input

    outputs = (name for info in signature.outputs.values() for name in tensor_names(info))
    needed = closure((name for name in outputs if ":" in name), sources)  # without a number it is an operation
    return sorted(map(reference_producer, {f"{reference_producer(name)}:0" for name in needed} & placeholders - fed))
