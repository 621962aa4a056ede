"""A judged SavedModel → functions on dicts of tensors. Layer: runtime.

Three routes with one face. The *direct route* registers the judged functions that a
signature reaches and makes what they capture, without Python graphs. The *object
route* is `tf.saved_model.load` on the judged graph: it serves what the direct route
does not understand. The *graph route* takes the MetaGraph alone, as TensorFlow 1 and
its C++ loader do: it serves SignatureDefs of files without an object graph, or with
one that the installed TensorFlow cannot rebuild.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import kernels, op_def_registry

from safeload._explain import first_line
from safeload.errors import IncompatibleVersionError, LoadFailedError, OpNotRegisteredError, SafeloadError
from safeload.inspection.graph.info import MAIN
from safeload.runtime._constants import constants_in
from safeload.runtime._log import LOG
from safeload.runtime._outside_graphs import outside_graphs
from safeload.runtime._saved_model._closed_files import bodies, close_files
from safeload.runtime._saved_model._devices import leave_process
from safeload.runtime._saved_model._direct import DirectRoute
from safeload.runtime._saved_model._graph import GraphRoute
from safeload.runtime._saved_model._library import NotUnderstoodError
from safeload.runtime._saved_model._object_graph import prepare_objects
from safeload.runtime._saved_model._private_directory import PrivateDirectory
from safeload.runtime._signals import raise_interruption
from safeload.runtime._unfused import keep_apart
from safeload.signatures import answering, candidates, is_training_switch, pack, with_defaults

if TYPE_CHECKING:
    from safeload.inspection import CallStructure, MetaGraphInfo, SignatureInfo
    from safeload.readers import SavedModelArtifact

Function = Callable[[Mapping[str, Any]], Any]
"""Takes tensors by input name; returns a tensor, a dict of tensors, or what a traced function returned."""

_GONE = "BoostedTrees"
"""How the names of ops begin that no TensorFlow runs since their kernels were taken out, between 2.3 and 2.9."""

_BROKEN = "AnonymousRandomSeedGenerator"
"""An op of TensorFlow 2.1, which writes it for ``Dataset.shuffle`` in a function, and that no TensorFlow here runs.

Source: 2.16 to 2.21 answer each call with "Unknown input name: reshuffle", an input of ``AnonymousSeedGenerator``.
"""


class SavedModelRuntime:
    """Owns the variables of one MetaGraph and makes functions from it.

    Args:
        artifact: What was judged; it owns the graph and the assets.
        meta_graph: The MetaGraph to load.

    Attributes:
        route: Which route made the function that was asked for last: ``"direct"``, ``"object"`` or ``"graph"``.
    """

    def __init__(self, artifact: SavedModelArtifact, meta_graph: MetaGraphInfo) -> None:
        self.where = artifact.where
        self._artifact = artifact
        self._meta_graph = meta_graph
        self._lock = threading.RLock()
        self._root: Any = None
        self._graph: GraphRoute | None = None
        self._direct: DirectRoute | None = None
        self._is_direct = meta_graph.has_object_graph
        self.route = ""
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

    @property
    def has_objects(self) -> bool:
        """True once `tf.saved_model.load` made objects: from then on their variables count."""
        return self._root is not None

    def traces(self, key: str) -> tuple[SignatureInfo, ...]:
        """Return what answers *key*: one SignatureDef, or every trace of a function, those for inference first."""
        return answering(self._meta_graph, key)

    def prepare(self, signature: SignatureInfo) -> None:
        """Load what *signature* needs, so that errors surface now and not in the first call."""
        is_optional = signature.kind == "signature"
        given = {
            info.name for info in signature.inputs if not (is_optional and info.optional) or is_training_switch(info)
        }
        self.function(signature, frozenset(with_defaults(signature, dict.fromkeys(given))))
        LOG.info("%s: %s is answered by the %s route", self.where, signature.key, self.route)

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Function:
        """Make the function that answers calls of *signature* which pass the inputs *given*.

        Raises:
            OpNotRegisteredError: ``op-not-registered``. The installed TensorFlow lacks ops of the graph.
            IncompatibleVersionError: ``incompatible-version``. It has an op of the function and cannot run it.
            LoadFailedError: ``load-failed``. TensorFlow cannot load the graph; its error is the cause.
        """
        self._require_runnable(signature)
        with self._lock, outside_graphs():
            function = self._direct_function(signature, given)
            self.route = "direct"
            if function is None:
                function, self.route = self._ordinary_function(signature, given)
            return function

    def close(self) -> None:
        """Forget the loaded objects; TensorFlow frees variables that nobody else holds."""
        self._root, self._graph = None, None
        if self._direct is not None:
            self._direct.close()
        for directory in self._directories:
            directory.remove()

    def _ordinary_function(self, signature: SignatureInfo, given: frozenset[str]) -> tuple[Function, str]:
        if signature.kind == "function":
            return self._traced(signature), "object"
        if self._takes_object_route(signature, given):
            return self._object_signature(signature), "object"
        return self._graph_signature(signature, given), "graph"

    def _direct_function(self, signature: SignatureInfo, given: frozenset[str]) -> Function | None:
        """Take the direct route; None once anything was not understood, and where an input is left out."""
        if not self._is_direct or given != {info.name for info in signature.inputs}:
            return None
        try:
            direct = self._direct_route().function(signature)
        except (NotUnderstoodError, tf.errors.OpError, DecodeError, LookupError, ValueError, TypeError) as error:
            LOG.info("%s: the direct route does not understand it: %s", self.where, error)
            self._is_direct = False
            return None
        return _Replaceable(self, direct, lambda: self._ordinary_function(signature, given)[0])

    def _direct_route(self) -> DirectRoute:
        if self._direct is None:
            directory = PrivateDirectory(self._artifact, b"")
            self._directories.append(directory)
            meta_graph = self._artifact.saved_model.meta_graphs[self._meta_graph.index]
            self._direct = DirectRoute(meta_graph, directory)
        return self._direct

    def _takes_object_route(self, signature: SignatureInfo, given: frozenset[str]) -> bool:
        if not self._meta_graph.has_object_graph or given != {info.name for info in signature.inputs}:
            return False
        try:
            found = _signatures_of(self._object_root()).get(signature.key)
            # It may be any object, or another function than a signature: the MetaGraph says what is called, and how.
            is_signature = isinstance(getattr(found, "structured_outputs", None), Mapping)
            return is_signature and given == set(getattr(found, "_arg_keywords", ()))
        except LoadFailedError as error:
            LOG.info("%s: the object graph cannot be loaded, using the MetaGraph alone: %s", self.where, error.problem)
            return False

    def _object_signature(self, signature: SignatureInfo) -> Function:
        concrete_function = _signatures_of(self._object_root())[signature.key]
        return lambda tensors: _ordered(signature, concrete_function(**tensors))

    def _traced(self, signature: SignatureInfo) -> Function:
        structure, root = signature.structure, self._object_root()
        try:
            saved = _attribute(root, signature.key)
            concrete_function = getattr(saved, "concrete_functions", [saved])[structure.trace if structure else 0]
        except (AttributeError, LookupError, TypeError) as error:  # the root is an object of another kind
            raise self._failure(error) from error
        return structured_call(concrete_function, structure)

    def _graph_signature(self, signature: SignatureInfo, given: frozenset[str]) -> Function:
        names = tuple(info.name for info in signature.inputs if info.name in given)
        try:
            function = self._graph_route().function(signature.key, names)
        except Exception as error:
            raise_interruption(error)
            raise self._failure(error) from error
        return lambda tensors: _ordered(signature, function(tensors))

    def _object_root(self) -> Any:
        """Load the judged graph with its objects, once; what failed once is not tried again."""
        with self._lock, outside_graphs():
            if self._object_error is not None:
                raise self._object_error
            if self._root is None:
                self._root = self._load()
                self._is_direct = False
                if self._direct is not None:
                    self._direct.hand_over(self._root)
            return self._root

    def _load(self) -> Any:
        try:
            return self._loaded(self._definition())
        except Exception as error:
            raise_interruption(error)
            self._object_error = self._failure(error)
            raise self._object_error from error

    def _loaded(self, definition: meta_graph_pb2.MetaGraphDef) -> Any:
        prepare_objects(definition.object_graph_def)
        container = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[definition])
        directory = PrivateDirectory(self._artifact, container.SerializeToString())
        try:
            return tf.saved_model.load(directory.path)
        finally:
            self._discard(directory)

    def _discard(self, directory: PrivateDirectory) -> None:
        """Delete what was loaded, unless functions may still look at an asset when they are called."""
        if self._artifact.assets:
            self._directories.append(directory)
        else:
            directory.remove()

    def _graph_route(self) -> GraphRoute:
        if self._graph is None:
            directory = PrivateDirectory(self._artifact, b"")
            self._directories.append(directory)
            self._graph = GraphRoute(self._definition(), directory)
        return self._graph

    def _definition(self) -> meta_graph_pb2.MetaGraphDef:
        """Parse the judged MetaGraph anew; what is edited afterwards is a copy."""
        container = saved_model_pb2.SavedModel.FromString(self._artifact.graph_bytes)
        definition = container.meta_graphs[self._meta_graph.index]
        if self._meta_graph.graph is not None:
            close_files(definition, self._meta_graph.graph)
        gradients = {gradient.registered_op_type for gradient in definition.graph_def.library.registered_gradients}
        for name, nodes in bodies(definition):
            # Those of the graph itself no loader replaces.
            leave_process(nodes, gradients if name != MAIN else ())
            keep_apart(nodes, in_function=name != MAIN)
        return definition

    def _prepare_ops(self) -> None:
        missing = {op: package for op, package in self._meta_graph.missing_ops if op_def_registry.get(op) is None}
        if missing:
            package = next((package for package in missing.values() if package), None)
            raise OpNotRegisteredError(self.where, ops=sorted(missing), package=package)
        graph = self._meta_graph.graph
        gone = [op for op in sorted(graph.by_op) if op.startswith(_GONE) and not _has_kernels(op)] if graph else []
        if gone:
            raise IncompatibleVersionError(
                self.where,
                problem=f"TensorFlow {tf.__version__} declares ops of boosted trees and cannot run them: {gone[0]}",
                hint="load it with a TensorFlow as old as its own, or train trees of tensorflow_decision_forests",
            )

    def _require_runnable(self, signature: SignatureInfo) -> None:
        """Refuse a function that reaches the broken op; others of the file may be called."""
        graph, name = self._meta_graph.graph, signature.function_name
        broken = {node.body for node in graph.nodes(_BROKEN)} if graph else set()
        if broken and name in graph.bodies and not broken.isdisjoint(graph.functions_of(name)):
            raise IncompatibleVersionError(
                self.where,
                problem=f"TensorFlow {tf.__version__} declares the op {_BROKEN} and cannot run it: {signature.key!r}",
                hint="load it with a TensorFlow as old as its own; it shuffles a dataset, which can be done outside",
            )

    def _failure(self, error: Exception) -> SafeloadError:
        if isinstance(error, SafeloadError):
            return error
        unknown = re.search(r"Op type not registered '([^']+)'", str(error))
        if unknown:
            package = dict(self._meta_graph.missing_ops).get(unknown[1])
            return OpNotRegisteredError(self.where, ops=[unknown[1]], package=package)
        return LoadFailedError(self.where, problem=f"TensorFlow cannot load it: {first_line(error)}")


class _Replaceable:
    """A function of the direct route, until the object route takes over with its variables."""

    def __init__(self, runtime: SavedModelRuntime, direct: Function, ordinary: Callable[[], Function]) -> None:
        self._runtime = runtime
        self._direct = direct
        self._make_ordinary = ordinary
        self._ordinary: Function | None = None

    def __call__(self, tensors: Mapping[str, Any]) -> Any:
        if not self._runtime.has_objects:
            try:
                return self._direct(tensors)
            except NotUnderstoodError as error:
                LOG.info("%s: the direct route cannot build a graph: %s", self._runtime.where, error)
        if self._ordinary is None:
            with outside_graphs():
                self._ordinary = self._make_ordinary()
        return self._ordinary(tensors)


def structured_call(concrete_function: Callable[..., Any], structure: CallStructure | None) -> Function:
    """Make a function of tensors by name that nests them as *concrete_function* wants."""
    if structure is None:
        return lambda tensors: concrete_function(**tensors)

    args = [constants_in(tree) for _, tree in structure.args]
    kwargs = {name: constants_in(tree) for name, tree in structure.kwargs}

    def call(tensors: Mapping[str, Any]) -> Any:
        return concrete_function(
            *(pack(tree, tensors) for tree in args), **{name: pack(tree, tensors) for name, tree in kwargs.items()}
        )

    return call


def _has_kernels(op: str) -> bool:
    return bool(kernels.get_registered_kernels_for_op(op).kernel)


def _signatures_of(root: Any) -> Mapping[str, Any]:
    """Return the signatures of what `tf.saved_model.load` made; none if the object graph has something else there."""
    found = getattr(root, "signatures", None)
    return found if isinstance(found, Mapping) else {}


def _attribute(root: Any, key: str) -> Any:
    """Return the function *key* of an object, or of a part of it: ``encoder.__call__``, ``steps.0.__call__``."""
    found = root
    for name in key.split("."):
        if isinstance(found, Mapping):
            found = found[name]
        else:
            found = found[int(name)] if isinstance(found, Sequence) else getattr(found, name)
    return found


def _ordered(signature: SignatureInfo, outputs: Mapping[str, Any]) -> dict[str, Any]:
    order = [info.name for info in signature.outputs if info.name in outputs]
    return {name: outputs[name] for name in (order if len(order) == len(outputs) else outputs)}
