"""The direct route: functions of a SavedModel run as they were judged, without Python graphs. Layer: runtime.

Functions that a signature reaches are registered with TensorFlow, and what they capture is made. A Python graph is
built when a tape or a graph asks for one, on the same variables. What is not understood raises `NotUnderstoodError`
while it is prepared, and is left to `tf.saved_model.load`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf
from tensorflow.core.framework import function_pb2, tensor_pb2
from tensorflow.core.function.capture import restore_captures
from tensorflow.core.function.polymorphism import function_type as function_types
from tensorflow.core.protobuf import saved_object_graph_pb2, struct_pb2
from tensorflow.python.saved_model import function_deserialization, nested_structure_coder

from safeload.inspection import Slot
from safeload.inspection.saved_model.functions import argument_name
from safeload.runtime._eager_function import EagerFunction, Flat, runs_plainly
from safeload.runtime._outside_graphs import outside_graphs
from safeload.runtime._saved_model._devices import leave_process
from safeload.runtime._saved_model._library import FunctionLibrary, NotUnderstoodError
from safeload.runtime._saved_model._objects import ObjectStore
from safeload.runtime._signals import raise_interruption
from safeload.runtime._unfused import keep_apart

if TYPE_CHECKING:
    from safeload.inspection import SignatureInfo
    from safeload.runtime._saved_model._private_directory import PrivateDirectory

_HANDLES = (tf.resource.as_datatype_enum, tf.variant.as_datatype_enum)


class DirectRoute:
    """Runs signatures and traces of one MetaGraph.

    Args:
        meta_graph: The judged MetaGraph.
        directory: Where its variables and assets lie.
    """

    def __init__(self, meta_graph: Any, directory: PrivateDirectory) -> None:
        if tf.distribute.has_strategy() or not tf.executing_eagerly():
            raise NotUnderstoodError("a distribution strategy or a graph of TensorFlow 1 is in charge")
        self._meta_graph = meta_graph
        self._directory = directory
        self._graph = meta_graph.object_graph_def
        self._lock = threading.RLock()
        self._concrete: dict[str, Any] = {}
        self.library = FunctionLibrary(meta_graph.graph_def.library)
        self.objects = ObjectStore(self._graph, self.library, self._constant, self._asset, directory.checkpoint)

    def function(self, signature: SignatureInfo) -> DirectFunction:
        """Make the function that answers *signature* when it is given all inputs.

        Raises:
            NotUnderstoodError: Something about it is left to `tf.saved_model.load`.
        """
        name = signature.function_name
        if name is None or name not in self.library or name not in self._graph.concrete_functions:
            raise NotUnderstoodError("the function behind it is not recorded")
        captures = self.objects.captures(name)
        definition = self.library.definition(name).signature
        concrete = self._graph.concrete_functions[name]
        is_signature = signature.kind == "signature"
        inputs = _signature_inputs(signature) if is_signature else _trace_inputs(signature, concrete)
        if sum(entry.width for entry in inputs) + len(captures) != len(definition.input_arg):
            raise NotUnderstoodError("its arguments are not those that are recorded")
        return DirectFunction(self, name, inputs, captures, _Outputs(signature, concrete, definition.output_arg))

    def concrete_function(self, name: str) -> Any:
        """Build the graph of *name* on the variables of this route, once."""
        with self._lock, outside_graphs():
            if name not in self._concrete:
                try:
                    self._concrete[name] = self._built(name)
                except Exception as error:
                    raise_interruption(error)
                    raise NotUnderstoodError(str(error)) from error
            return self._concrete[name]

    def hand_over(self, root: Any) -> None:
        """Give the values of the variables to *root*, what `tf.saved_model.load` made of the same graph."""
        wanted = set(self.objects.variable_ids)
        for node_id, variable in _walk(self._graph.nodes, root):
            if node_id in wanted:
                variable.assign(self.objects.value(node_id))

    def close(self) -> None:
        """Free functions, variables and tables."""
        self._concrete.clear()
        self.objects.close()

    def _built(self, name: str) -> Any:
        reached = self.library.reached([name], with_gradients=True)
        library = function_pb2.FunctionDefLibrary.FromString(self._meta_graph.graph_def.library.SerializeToString())
        kept = [function for function in library.function if function.signature.name in set(reached)]
        gradients = [g for g in library.registered_gradients if g.gradient_func in set(reached)]
        for function in kept:
            leave_process(function.node_def, {gradient.registered_op_type for gradient in gradients})
            keep_apart(function.node_def, in_function=True)
        part = function_pb2.FunctionDefLibrary(function=kept, registered_gradients=gradients)
        objects = saved_object_graph_pb2.SavedObjectGraph()
        for known in reached:
            if known in self._graph.concrete_functions:
                content = self._graph.concrete_functions[known].SerializeToString()
                objects.concrete_functions[known].ParseFromString(content)
        functions = function_deserialization.load_function_def_library(part, objects)
        for known in objects.concrete_functions:
            restore_captures.restore_captures(functions[known], self.objects.trackables(known))
        return functions[name]

    def _constant(self, operation: str) -> Any:
        value = self._constants.get(operation)
        if value is None or not value.HasField("tensor"):
            raise NotUnderstoodError(f"the constant {operation!r} is not in the graph")
        return tensor_pb2.TensorProto.FromString(value.tensor.SerializeToString())

    @functools.cached_property
    def _constants(self) -> dict[str, Any]:
        """Name of each constant of the graph → its value."""
        return {node.name: node.attr["value"] for node in self._meta_graph.graph_def.node if node.op == "Const"}

    def _asset(self, index: int) -> str:
        assets = self._meta_graph.asset_file_def
        if not 0 <= index < len(assets):
            raise NotUnderstoodError(f"there is no asset {index}")
        return f"{self._directory.path}/assets/{assets[index].filename}"


class DirectFunction:
    """A judged function that is called with tensors by name."""

    def __init__(
        self, route: DirectRoute, name: str, inputs: Sequence[_Input], captures: list[Any], outputs: _Outputs
    ) -> None:
        self._route = route
        self._name = name
        self._names = [entry.name for entry in inputs]
        self._composites = [entry for entry in inputs if entry.composite is not None]
        self._outputs = outputs
        self._run = EagerFunction(route.library.register(name).encode(), captures, outputs.count, outputs.packed)
        self._has_run = False

    def __call__(self, tensors: Mapping[str, Any]) -> Any:
        """Run the function; build its graph first if a tape or a graph wants to look inside.

        Raises:
            NotUnderstoodError: No graph could be built of it.
        """
        flat = [tensors[name] for name in self._names]
        if not runs_plainly() or not self._fits(tensors):
            return self._traced(flat)
        if self._composites:
            flat = tf.nest.flatten(flat, expand_composites=True)
        try:
            results = self._run(flat)
        except tf.errors.OpError:
            if not self._has_run:
                self._route.concrete_function(self._name)  # a graph that cannot be imported is explained by that
            raise
        self._has_run = True
        return results

    def _fits(self, tensors: Mapping[str, Any]) -> bool:
        """Tell whether composite tensors are of the types that were traced; a graph says best why not."""
        return all(entry.composite.is_compatible_with(tensors[entry.name]) for entry in self._composites)

    def _traced(self, flat: Flat) -> Any:
        concrete_function = self._route.concrete_function(self._name)
        flat = tf.nest.flatten(flat, expand_composites=True)
        results = concrete_function._call_flat(flat, concrete_function.captured_inputs)  # noqa: SLF001 - flat inputs
        return self._outputs.ordered(results)


class _Input(NamedTuple):
    """An input by name: its type if it is a composite tensor, and how many arguments it fills."""

    name: str
    composite: Any = None
    width: int = 1


class _Outputs:
    """How a function nests its results."""

    def __init__(self, signature: SignatureInfo, concrete: Any, arguments: Sequence[Any]) -> None:
        structure = _decoded(concrete.output_signature)
        self._type = function_types.from_structured_signature(((), {}), structure)
        self.count = len(arguments)
        self._is_single = isinstance(structure, tf.TensorSpec)
        self._order: tuple[str, ...] | None = None
        if len(self._type.flat_outputs) != self.count:
            raise NotUnderstoodError("its results are not those that are recorded")
        if any(argument.type in _HANDLES for argument in arguments):
            raise NotUnderstoodError("it returns a handle")
        if signature.kind == "signature":
            if not isinstance(structure, dict) or set(structure) != {info.name for info in signature.outputs}:
                raise NotUnderstoodError("its signature declares other results")
            self._order = tuple(info.name for info in signature.outputs)

    def packed(self, results: Flat) -> Any:
        """Nest the results of an eager call."""
        if self._is_single:
            return results[0]
        return self.ordered(self._type.pack_output(results))

    def ordered(self, results: Any) -> Any:
        """Put the results of a signature into the declared order."""
        return results if self._order is None else {name: results[name] for name in self._order}


def _signature_inputs(signature: SignatureInfo) -> list[_Input]:
    """Return the inputs of a SignatureDef in the order of the function's arguments, which is that of their names."""
    return [_Input(name) for name in sorted((info.name for info in signature.inputs), key=argument_name)]


def _trace_inputs(signature: SignatureInfo, concrete: Any) -> list[_Input]:
    """Return the inputs of a trace in the order of the function's arguments."""
    args, kwargs = _decoded(concrete.canonicalized_input_signature)
    structure = signature.structure
    assert structure is not None  # noqa: S101 - traces have a structure
    trees = [*structure.args, *structure.kwargs]
    ordered = [tree for _, tree in trees[: len(args)] + sorted(trees[len(args) :], key=lambda pair: pair[0])]
    slots = [leaf for leaf in tf.nest.flatten(ordered) if isinstance(leaf, Slot)]
    specs = [leaf for leaf in tf.nest.flatten((args, kwargs)) if isinstance(leaf, tf.TypeSpec)]
    if len(slots) != len(specs):
        raise NotUnderstoodError("its arguments are not those that are recorded")
    return [_input(slot.name, spec) for slot, spec in zip(slots, specs, strict=True)]


def _input(name: str, spec: Any) -> _Input:
    if isinstance(spec, tf.TensorSpec):
        return _Input(name)
    if isinstance(spec, (tf.RaggedTensorSpec, tf.SparseTensorSpec)):
        return _Input(name, spec, len(tf.nest.flatten(spec, expand_composites=True)))
    raise NotUnderstoodError(f"it takes a {type(spec).__name__}")


def _decoded(structure: Any) -> Any:
    """Decode a recorded nesting of types."""
    try:
        return nested_structure_coder.decode_proto(struct_pb2.StructuredValue.FromString(structure.SerializeToString()))
    except Exception as error:
        raise NotUnderstoodError(f"its types cannot be read: {error}") from error


def _walk(nodes: Sequence[Any], root: Any) -> Iterator[tuple[int, Any]]:
    """Yield (number, object) of a loaded object graph."""
    found, stack = {0}, [(0, root)]
    while stack:
        node_id, obj = stack.pop()
        yield node_id, obj
        for child in nodes[node_id].children:
            loaded = getattr(obj, "_lookup_dependency", lambda _: None)(child.local_name)
            if loaded is not None and child.node_id not in found:
                found.add(child.node_id)
                stack.append((child.node_id, loaded))
