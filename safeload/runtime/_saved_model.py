"""A judged SavedModel → functions on dicts of tensors. Layer: runtime.

Two routes with one face. The *object route* is `tf.saved_model.load` on the judged
graph. The *graph route* takes the MetaGraph alone, as TensorFlow 1 and its C++
loader do: it serves SignatureDefs of files without an object graph, or with one
that the installed TensorFlow cannot rebuild.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import op_def_registry

from safeload.errors import LoadFailedError, OpNotRegisteredError, SafeloadError
from safeload.runtime._private_directory import PrivateDirectory
from safeload.runtime._saved_model_graph import GraphRoute
from safeload.signatures import candidates, is_training_switch, pack, requested, traces_of

if TYPE_CHECKING:
    from safeload.inspection import CallStructure, MetaGraphInfo, SignatureInfo
    from safeload.readers import SavedModelArtifact

Function = Callable[[Mapping[str, Any]], Any]
"""Takes tensors by input name; returns a tensor, a dict of tensors, or what a traced function returned."""

_NOISE = ("Graph execution error:", "Detected at node", 'File "', "Node:", "<stack traces", "[[{{node")
"""How lines begin that say where and not what, in the errors of executed graphs."""

_LOG = logging.getLogger("safeload")


class SavedModelRuntime:
    """Owns the variables of one MetaGraph and makes functions from it.

    Args:
        artifact: What was judged; it owns the graph and the assets.
        meta_graph: The MetaGraph to load.
    """

    def __init__(self, artifact: SavedModelArtifact, meta_graph: MetaGraphInfo) -> None:
        self.where = artifact.where
        self._artifact = artifact
        self._meta_graph = meta_graph
        self._lock = threading.RLock()
        self._root: Any = None
        self._route: GraphRoute | None = None
        self._directories: list[PrivateDirectory] = []
        self._object_error: SafeloadError | None = None
        self._prepare_ops()

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Everything that can be asked for."""
        return tuple(candidates(self._meta_graph))

    @property
    def model(self) -> Any:
        """What `tf.saved_model.load` returns for the judged graph."""
        return self._object_root()

    def traces(self, key: str) -> tuple[SignatureInfo, ...]:
        """Return what answers *key*: one SignatureDef, or every trace of a function, those for inference first."""
        chosen = requested(self._meta_graph, key).signature_info
        return (chosen,) if chosen.kind == "signature" else traces_of(self._meta_graph, key)

    def prepare(self, signature: SignatureInfo) -> None:
        """Load what *signature* needs, so that errors surface now and not in the first call."""
        is_optional = signature.kind == "signature"
        given = (
            info.name for info in signature.inputs if not (is_optional and info.optional) or is_training_switch(info)
        )
        self.function(signature, frozenset(given))

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Function:
        """Make the function that answers calls of *signature* which pass the inputs *given*.

        Raises:
            OpNotRegisteredError: ``op-not-registered``. The installed TensorFlow lacks ops of the graph.
            LoadFailedError: ``load-failed``. TensorFlow cannot load the graph; its error is the cause.
        """
        with self._lock, tf.init_scope():
            if signature.kind == "function":
                return self._traced(signature)
            if self._takes_object_route(signature, given):
                return self._object_signature(signature)
            return self._graph_signature(signature, given)

    def close(self) -> None:
        """Forget the loaded objects; TensorFlow frees variables that nobody else holds."""
        self._root, self._route = None, None
        for directory in self._directories:
            directory.remove()

    def _takes_object_route(self, signature: SignatureInfo, given: frozenset[str]) -> bool:
        if not self._meta_graph.has_object_graph or given != {info.name for info in signature.inputs}:
            return False
        try:
            return signature.key in self._object_root().signatures
        except LoadFailedError as error:
            _LOG.info("%s: the object graph cannot be loaded, using the MetaGraph alone: %s", self.where, error.problem)
            return False

    def _object_signature(self, signature: SignatureInfo) -> Function:
        concrete_function = self._object_root().signatures[signature.key]
        return lambda tensors: _ordered(signature, concrete_function(**tensors))

    def _traced(self, signature: SignatureInfo) -> Function:
        structure = signature.structure
        saved = _attribute(self._object_root(), signature.key)
        concrete_function = getattr(saved, "concrete_functions", [saved])[structure.trace if structure else 0]
        return structured_call(concrete_function, structure)

    def _graph_signature(self, signature: SignatureInfo, given: frozenset[str]) -> Function:
        names = tuple(info.name for info in signature.inputs if info.name in given)
        try:
            function = self._graph_route().function(signature.key, names)
        except Exception as error:
            raise self._failure(error) from error
        return lambda tensors: _ordered(signature, function(tensors))

    def _object_root(self) -> Any:
        """Load the judged graph with its objects, once; what failed once is not tried again."""
        with self._lock, tf.init_scope():
            if self._object_error is not None:
                raise self._object_error
            if self._root is None:
                self._root = self._load()
            return self._root

    def _load(self) -> Any:
        definition = self._definition()
        _drop_slots(definition)
        container = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[definition])
        directory = PrivateDirectory(self._artifact, container.SerializeToString())
        try:
            root = tf.saved_model.load(directory.path)
        except Exception as error:
            self._object_error = self._failure(error)
            raise self._object_error from error
        finally:
            self._discard(directory)
        return root

    def _discard(self, directory: PrivateDirectory) -> None:
        """Delete what was loaded, unless functions may still look at an asset when they are called."""
        if self._artifact.assets:
            self._directories.append(directory)
        else:
            directory.remove()

    def _graph_route(self) -> GraphRoute:
        if self._route is None:
            directory = PrivateDirectory(self._artifact, b"")
            self._directories.append(directory)
            self._route = GraphRoute(self._definition(), directory.path)
        return self._route

    def _definition(self) -> meta_graph_pb2.MetaGraphDef:
        """Parse the judged MetaGraph anew; what is edited afterwards is a copy."""
        container = saved_model_pb2.SavedModel.FromString(self._artifact.graph_bytes)
        return container.meta_graphs[self._meta_graph.index]

    def _prepare_ops(self) -> None:
        missing = {op: package for op, package in self._meta_graph.missing_ops if op_def_registry.get(op) is None}
        if missing:
            package = next((package for package in missing.values() if package), None)
            raise OpNotRegisteredError(self.where, ops=sorted(missing), package=package)

    def _failure(self, error: Exception) -> SafeloadError:
        if isinstance(error, SafeloadError):
            return error
        unknown = re.search(r"Op type not registered '([^']+)'", str(error))
        if unknown:
            package = dict(self._meta_graph.missing_ops).get(unknown[1])
            return OpNotRegisteredError(self.where, ops=[unknown[1]], package=package)
        return LoadFailedError(self.where, problem=f"TensorFlow cannot load it: {first_line(error)}")


def structured_call(concrete_function: Callable[..., Any], structure: CallStructure | None) -> Function:
    """Make a function of tensors by name that nests them as *concrete_function* wants."""
    if structure is None:
        return lambda tensors: concrete_function(**tensors)

    def call(tensors: Mapping[str, Any]) -> Any:
        args = [pack(tree, tensors) for _, tree in structure.args]
        return concrete_function(*args, **{name: pack(tree, tensors) for name, tree in structure.kwargs})

    return call


def first_line(error: Exception) -> str:
    """Return the first line of an error's text that says something, or its type."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line and not line.startswith(_NOISE)), type(error).__name__)[:300]


def _drop_slots(definition: meta_graph_pb2.MetaGraphDef) -> None:
    """Drop the links from optimizers to their slots: they need the optimizer's class, and a call needs neither."""
    for node in definition.object_graph_def.nodes:
        del node.slot_variables[:]


def _attribute(root: Any, key: str) -> Any:
    return root.__call__ if key == "__call__" else getattr(root, key)


def _ordered(signature: SignatureInfo, outputs: Mapping[str, Any]) -> dict[str, Any]:
    order = [info.name for info in signature.outputs if info.name in outputs]
    return {name: outputs[name] for name in (order if len(order) == len(outputs) else outputs)}
