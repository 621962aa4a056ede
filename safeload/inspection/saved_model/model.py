"""Facts about a SavedModel: MetaGraphs, signatures, traced functions, who wrote it. Layer: inspection.

Source: tensorflow/core/protobuf/meta_graph.proto, tensorflow/python/saved_model/{constants,signature_constants}.py
(TensorFlow 2.21).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.inspection._info import MetaGraphInfo, ModelInfo, SavedModelInfo, SignatureInfo, TensorInfo
from safeload.inspection._weights import describe_weights
from safeload.inspection.graph.entries import INIT_COLLECTIONS, INIT_OP
from safeload.inspection.graph.info import MAIN, GraphInfo, inspect_graph
from safeload.inspection.keras.signature import listed_outputs
from safeload.inspection.op_classes import op_class, op_package
from safeload.inspection.saved_model.examples import Features, example_features
from safeload.inspection.saved_model.functions import FunctionReader
from safeload.inspection.saved_model.layers import KerasRecords
from safeload.inspection.saved_model.producer import describe_saved_model_producer
from safeload.inspection.saved_model.structures import read_shape, type_spec_facts
from safeload.inspection.saved_model.wrapped import Wrapper, in_python_order
from safeload.readers.protobuf import dtype_name
from safeload.readers.saved_model.queues import WITH_DEFAULT, fed_by_training

if TYPE_CHECKING:
    from safeload.readers import SavedModelArtifact

_BOOKKEEPING_KEYS = frozenset({INIT_OP, "__saved_model_train_op"})
"""SignatureDefs that name an op to run and cannot be called.

Source: constants.py, INIT_OP_SIGNATURE_KEY and TRAIN_OP_SIGNATURE_KEY.
"""

_NUMBERS = re.compile(r"([0-9]+)")


def inspect_saved_model(artifact: SavedModelArtifact) -> ModelInfo:
    """Describe a SavedModel.

    Args:
        artifact: What `readers.read_artifact` returned.

    Returns:
        The facts, one `MetaGraphInfo` per MetaGraph in the order of the file.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The object graph refers to what is not there.
    """
    records = KerasRecords(artifact)
    outputs = listed_outputs(records.root.get("config"))
    graphs = tuple(
        _meta_graph(index, meta_graph, artifact, outputs=outputs)
        for index, meta_graph in enumerate(artifact.saved_model.meta_graphs)
    )
    return ModelInfo(
        artifact.format,
        artifact.where,
        artifact.digest,
        artifact.size,
        describe_saved_model_producer(artifact, records.root),
        saved_model=SavedModelInfo(graphs, records),
        weights=describe_weights(artifact.variables),
    )


def _meta_graph(index: int, meta_graph: Any, artifact: SavedModelArtifact, *, outputs: Sequence[str]) -> MetaGraphInfo:
    reader = FunctionReader(meta_graph.object_graph_def, where=artifact.where)
    wrappers = reader.wrappers()
    graph = inspect_graph(meta_graph)
    signatures = [_with_outputs(found, outputs) for found in _signatures(meta_graph, wrappers, graph)]
    functions = reader.functions(of_parts=not signatures)
    return MetaGraphInfo(
        index=index,
        tags=frozenset(meta_graph.meta_info_def.tags),
        signatures=tuple(_ordered(signatures, wrappers, functions, graph)),
        functions=functions,
        has_object_graph=bool(meta_graph.object_graph_def.nodes),
        initializer=_initializer(meta_graph),
        graph=graph,
        missing_ops=_missing_ops(graph),
        tensorflow_version=meta_graph.meta_info_def.tensorflow_version or None,
        ends=artifact.ends,
        unread=frozenset(reader.unread),
    )


class _InputFacts(NamedTuple):
    """What the graph says about nodes that may be inputs."""

    with_default: frozenset[str]
    features: Features


_NO_FACTS = _InputFacts(frozenset(), MappingProxyType({}))


def _ordered(
    signatures: Iterable[SignatureInfo],
    wrappers: Mapping[str, Wrapper],
    functions: Collection[SignatureInfo],
    graph: GraphInfo,
) -> Iterator[SignatureInfo]:
    """Put the inputs of SignatureDefs into Python order where the file records it."""
    for signature in signatures:
        wrapper = wrappers.get(signature.key)
        yield signature if wrapper is None else in_python_order(signature, wrapper, graph.bodies, functions)


def _with_outputs(signature: SignatureInfo, names: Sequence[str]) -> SignatureInfo:
    """Put the outputs into the order of *names*, those of the Keras model, if they are the same."""
    by_name = {info.name: info for info in signature.outputs}
    if len(names) < 2 or sorted(names) != sorted(by_name):
        return signature
    return replace(signature, outputs=tuple(by_name[name] for name in names))


def _signatures(meta_graph: Any, wrappers: Mapping[str, Wrapper], graph: GraphInfo) -> tuple[SignatureInfo, ...]:
    facts = _InputFacts(_placeholders_with_default(graph), example_features(graph))
    return tuple(
        _signature(key, meta_graph.signature_def[key], wrappers.get(key), facts)
        for key in sorted(meta_graph.signature_def)
        if key not in _BOOKKEEPING_KEYS
    )


def _signature(key: str, definition: Any, wrapper: Wrapper | None, graph: _InputFacts) -> SignatureInfo:
    inputs = (
        _tensor(name, definition.inputs[name], is_optional=name in definition.defaults, graph=graph)
        for name in sorted(definition.inputs)
    )
    if wrapper is not None and sorted(wrapper.keywords) != sorted(definition.inputs):
        wrapper = None  # another function
    outputs = (_tensor(name, definition.outputs[name]) for name in sorted(definition.outputs, key=natural_key))
    return SignatureInfo(
        key=key,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        method_name=definition.method_name,
        function_name=wrapper.name if wrapper is not None else None,
    )


def _tensor(name: str, info: Any, *, is_optional: bool = False, graph: _InputFacts = _NO_FACTS) -> TensorInfo:
    node = info.name.partition(":")[0]
    # An absent shape is unknown; read as a message it would be that of a scalar.
    shape = read_shape(info.tensor_shape) if info.HasField("tensor_shape") else None
    facts: dict[str, Any] = {"dtype": dtype_name(info.dtype), "shape": shape}
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        facts["kind"] = "sparse"
    elif encoding == "composite_tensor":
        facts.update(type_spec_facts(info.composite_tensor.type_spec))
    else:
        facts["tensor_name"] = info.name or None
        facts["aliases"] = _aliases(name, info.name)
    is_optional = is_optional or node in graph.with_default
    return TensorInfo(name, optional=is_optional, features=graph.features.get(node, ()), **facts)


def _aliases(name: str, tensor_name: str) -> tuple[str, ...]:
    """Return the Keras name in a tensor such as ``serving_default_input_1:0``, where it is not *name*."""
    alias = tensor_name.partition(":")[0].rpartition("serving_default_")[2]
    return (alias,) if alias not in ("", name, tensor_name.partition(":")[0]) else ()


def _placeholders_with_default(graph: GraphInfo) -> frozenset[str]:
    """Return those that a call may leave out."""
    found = frozenset(node.name for node in graph.nodes(WITH_DEFAULT) if node.body == MAIN)
    return found - fed_by_training(graph.meta_graph.graph_def) if found else found


def _initializer(meta_graph: Any) -> str | None:
    """Return the op that a loader of TF1 runs after restoring."""
    if INIT_OP in meta_graph.signature_def:
        outputs = meta_graph.signature_def[INIT_OP].outputs
        names = [outputs[name].name for name in sorted(outputs)]
    else:
        collections = meta_graph.collection_def
        keys = (key for key in INIT_COLLECTIONS if key in collections)
        names = [name for key in keys for name in collections[key].node_list.value]
    return next(iter(names), None)


def _missing_ops(graph: GraphInfo) -> tuple[tuple[str, str | None], ...]:
    """Return the ops that stock TensorFlow does not register and the file does not define, with their package."""
    missing = sorted(op for op in graph.by_op if op not in graph.bodies and op_class(op) is None)
    packages = {op: op_package(op) for op in missing}
    return tuple((op, package.package if package else None) for op, package in packages.items())


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts ``output_2`` before ``output_10``: numbers in *name* compare by value."""
    parts: list[tuple[int, str]] = []
    for position, part in enumerate(_NUMBERS.split(name)):
        digits = part.lstrip("0") if position % 2 else part
        parts.append((len(digits) if position % 2 else 0, digits))
    return parts
