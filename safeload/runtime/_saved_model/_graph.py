"""The graph route: SignatureDefs from the MetaGraph alone, as the loader of TensorFlow 1 reads it. Layer: runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.core.framework import variable_pb2
from tensorflow.core.protobuf import meta_graph_pb2, struct_pb2
from tensorflow.python.framework import ops
from tensorflow.python.ops import resource_variable_ops
from tensorflow.python.saved_model import function_deserialization, nested_structure_coder

from safeload.inspection.graph.entries import INIT_COLLECTIONS, INIT_OP, TABLE_INITIALIZERS
from safeload.readers.saved_model.assets import asset_definitions
from safeload.readers.saved_model.outputs import LOCAL_VARIABLES
from safeload.readers.saved_model.references import reference_producer, tensor_name
from safeload.runtime._saved_model._pruning import ANCHOR, Cut, cut
from safeload.runtime._saved_model._saver import add_saver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.runtime._saved_model._private_directory import PrivateDirectory


class GraphRoute:
    """Imports the part of a MetaGraph that each signature needs; variables and tables are shared among the parts.

    Args:
        definition: The judged MetaGraph, which this object may change.
        directory: Where the variables and the assets lie.
    """

    def __init__(self, definition: meta_graph_pb2.MetaGraphDef, directory: PrivateDirectory) -> None:
        if Path(f"{directory.path}/variables/variables.index").exists():  # else an initializer gives all values
            add_saver(definition)
        self._definition = _isolated(definition)
        self._directory = directory
        self._variables: dict[str, Any] = {}
        self._restored: frozenset[str] = frozenset()
        self._is_initialized = False

    @property
    def variables(self) -> tuple[Any, ...]:
        """The resource variables that were needed so far."""
        return tuple(self._variables.values())

    def function(self, key: str, names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """Make the function of the SignatureDef *key* that is given the inputs *names*."""
        signature = self._definition.signature_def[key]
        inputs = {name: signature.inputs[name] for name in names}
        outputs = {name: info for name, info in signature.outputs.items() if _is_tensor(info)}
        part = self._cut(inputs, outputs)
        wrapped = self._imported(part)
        self._give_values(wrapped, part)
        pruned = wrapped.prune(
            [f"{part.feeds[tensor]}:0" for info in inputs.values() for tensor in _tensors(info)],
            [f"{part.outputs[tensor]}:0" for info in outputs.values() for tensor in _tensors(info)],
        )

        def call(tensors: Mapping[str, Any]) -> dict[str, Any]:
            flat = iter(pruned(*tf.nest.flatten([tensors[name] for name in names], expand_composites=True)))
            return {name: _assembled(info, flat) for name, info in outputs.items()}

        return call

    def _cut(
        self, inputs: Mapping[str, meta_graph_pb2.TensorInfo], outputs: Mapping[str, meta_graph_pb2.TensorInfo]
    ) -> Cut:
        feeds = {name: component for info in inputs.values() for name, component in _tensors(info).items()}
        feeds |= self._service_feeds()
        fetches = {name: component.dtype for info in outputs.values() for name, component in _tensors(info).items()}
        targets = () if self._is_initialized else self._initializers()
        return cut(self._definition, feeds=feeds, fetches=fetches, targets=targets, restored=self._restored)

    def _service_feeds(self) -> dict[str, meta_graph_pb2.TensorInfo]:
        """Return what loading itself feeds: the checkpoint's path, and asset paths while the initializer runs."""
        names = [] if self._is_initialized else list(self._assets())
        if self._definition.saver_def.filename_tensor_name:
            names.append(self._definition.saver_def.filename_tensor_name)
        return {tensor_name(name): _unshaped(tf.string.as_datatype_enum) for name in names}

    def _imported(self, part: Cut) -> Any:
        for node in part.handles:
            if node.name not in self._variables:
                self._variables[node.name] = _variable(node)
        used = {
            tensor_name(source) for node in part.graph_def.node for source in node.input if not source.startswith("^")
        }

        def import_graph() -> None:
            graph: Any = tf.compat.v1.get_default_graph()
            handles = {f"{node.name}:0": graph.capture(self._variables[node.name].handle) for node in part.handles}
            tf.graph_util.import_graph_def(
                part.graph_def, input_map={k: v for k, v in handles.items() if k in used}, name=""
            )

        return tf.compat.v1.wrap_function(import_graph, [])

    def _give_values(self, wrapped: Any, part: Cut) -> None:
        """Restore the variables of *part* that have no value yet, then run the initializer unless it ran before."""
        saver = self._definition.saver_def
        present = {node.name for node in part.graph_def.node}
        if part.variables - self._restored and reference_producer(saver.restore_op_name) in present:
            path = tf.constant(self._directory.checkpoint())
            filename = part.feeds[tensor_name(saver.filename_tensor_name)]
            self._run(wrapped, {filename: path}, [reference_producer(saver.restore_op_name)])
        self._restored |= part.variables
        if not self._is_initialized:
            assets = {part.feeds[name]: tf.constant(path) for name, path in self._assets().items()}
            self._run(wrapped, assets, [name for name in self._initializers() if name in present])
            self._is_initialized = True
        self._require_values(part)

    def _require_values(self, part: Cut) -> None:
        """Refuse variables without a value: reading one computes from nothing, and not always with an error.

        A value of another shape is none, either: TensorFlow 1 restores it, and may spread it over what was meant.
        `tf.saved_model.save` of a Keras 3 model writes graphs that restore copies of the variables they use.
        """
        handles = {node.name: self._variables[node.name].handle for node in part.handles if node.name in part.computing}
        empty = {name for name, handle in handles.items() if not resource_variable_ops.var_is_initialized_op(handle)}
        empty |= part.unassigned
        if empty:
            raise ValueError(f"its graph restores no value for the variables {', '.join(sorted(empty)[:3])}")
        for name, handle in handles.items():
            declared, found = self._variables[name].shape, tf.raw_ops.VariableShape(input=handle).numpy().tolist()
            if not declared.is_compatible_with(found):
                raise ValueError(f"the variable {name} is declared as {declared}, and its value as {tuple(found)}")

    def _run(self, wrapped: Any, feeds: Mapping[str, Any], targets: list[str]) -> None:
        if targets:
            operations = [wrapped.graph.get_operation_by_name(name) for name in targets]
            anchor = wrapped.graph.get_tensor_by_name(f"{ANCHOR}:0")
            wrapped.prune([f"{name}:0" for name in feeds], [anchor, *operations])(*feeds.values())

    def _initializers(self) -> list[str]:
        """Return what fills tables and local variables: as the file declares it, else as TensorFlow 1 collects it."""
        collections = self._definition.collection_def
        if INIT_OP in self._definition.signature_def:
            outputs = self._definition.signature_def[INIT_OP].outputs.values()
            return [reference_producer(info.name) for info in outputs]
        declared = [
            reference_producer(name)
            for key in INIT_COLLECTIONS
            if key in collections
            for name in collections[key].node_list.value
        ]
        if declared:
            return declared[:1]
        return [*_table_initializers(collections), *_local_initializers(collections)]

    def _assets(self) -> dict[str, str]:
        """Return asset tensor → path of the asset."""
        found = asset_definitions(self._definition)
        return {
            tensor_name(asset.tensor_info.name): f"{self._directory.path}/assets/{asset.filename}" for asset in found
        }


def _isolated(definition: meta_graph_pb2.MetaGraphDef) -> meta_graph_pb2.MetaGraphDef:
    """Rename functions and shared resources, so that two loads in one process never meet.

    Source: what `load_v1_in_v2.py` of TensorFlow 2.21 does before it imports.
    """
    suffix = f"_load_{ops.uid()}"
    graph_def = definition.graph_def
    functions = function_deserialization.load_function_def_library(graph_def.library, load_shared_name_suffix=suffix)
    graph_def.library.Clear()
    for function in functions.values():
        graph_def.library.function.add().CopyFrom(function.function_def)
    for node in graph_def.node:
        function_deserialization.fix_node_def(node, functions, suffix)
    return definition


def _variable(node: Any) -> Any:
    shape = node.attr["shape"].shape
    return resource_variable_ops.UninitializedVariable(
        shape=tf.TensorShape(None if shape.unknown_rank else [None if d.size < 0 else d.size for d in shape.dim]),
        dtype=tf.as_dtype(node.attr["dtype"].type),
        name=node.name.rpartition("/")[2],
        trainable=True,
    )


def _table_initializers(collections: Any) -> Iterator[str]:
    if TABLE_INITIALIZERS in collections:
        yield from map(reference_producer, collections[TABLE_INITIALIZERS].node_list.value)


def _local_initializers(collections: Any) -> Iterator[str]:
    if LOCAL_VARIABLES in collections:
        for packed in collections[LOCAL_VARIABLES].bytes_list.value:
            yield reference_producer(variable_pb2.VariableDef.FromString(packed).initializer_name)


def _is_tensor(info: meta_graph_pb2.TensorInfo) -> bool:
    """Tell an output from an operation, which old files list among outputs by a name without a number."""
    return info.WhichOneof("encoding") != "name" or ":" in info.name


def _tensors(info: meta_graph_pb2.TensorInfo) -> dict[str, meta_graph_pb2.TensorInfo]:
    """Return the dense tensors of an input or output: one, or the components of a composite."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        dtypes = {
            sparse.indices_tensor_name: tf.int64.as_datatype_enum,
            sparse.values_tensor_name: info.dtype,
            sparse.dense_shape_tensor_name: tf.int64.as_datatype_enum,
        }
        return {tensor_name(name): _unshaped(dtype) for name, dtype in dtypes.items()}
    if encoding == "composite_tensor":
        return {tensor_name(part.name): part for part in info.composite_tensor.components}
    return {tensor_name(info.name): info}


def _unshaped(dtype: int) -> meta_graph_pb2.TensorInfo:
    return meta_graph_pb2.TensorInfo(dtype=dtype)


def _assembled(info: meta_graph_pb2.TensorInfo, flat: Iterator[Any]) -> Any:
    components = [next(flat) for _ in _tensors(info)]
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        return tf.SparseTensor(*components)
    if encoding == "composite_tensor":
        value = struct_pb2.StructuredValue(type_spec_value=info.composite_tensor.type_spec)
        return tf.nest.pack_sequence_as(nested_structure_coder.decode_proto(value), components, expand_composites=True)
    return components[0]
