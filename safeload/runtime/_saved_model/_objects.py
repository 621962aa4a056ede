"""What the functions of a SavedModel capture: variables, tables, assets, constants. Layer: runtime.

Only what is asked for is made. Kinds of objects that are not understood here are left to `tf.saved_model.load`.

Source: load.py, restore.py and saved_object_graph.proto (TensorFlow 2.21).
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2
from tensorflow.python.eager import context
from tensorflow.python.framework import tensor_util
from tensorflow.python.ops import handle_data_util, resource_variable_ops
from tensorflow.python.saved_model import registration

from safeload.readers.checkpoint.index import OBJECT_GRAPH_KEY
from safeload.runtime._log import LOG
from safeload.runtime._saved_model._creation import Creation, on_host
from safeload.runtime._saved_model._devices import device_here
from safeload.runtime._saved_model._library import FunctionLibrary, NotUnderstoodError
from safeload.runtime._variable_function import Stored, restored

_VARIABLE_VALUE = "VARIABLE_VALUE"
"""The only attribute of a variable in a checkpoint. Source: VARIABLE_VALUE_KEY in trackable/base.py."""

_CREATE, _INITIALIZE, _DESTROY = "_create_resource", "_initialize", "_destroy_resource"
"""Functions of a resource. Source: trackable/resource.py."""

_PLAIN_CLASSES = frozenset({"tf.TrackableConstant", "tf.StaticHashTable"})
"""Registered classes that TensorFlow loads as it loads unregistered ones. Source: their `_deserialize_from_proto`."""


_VARIANT, _RESOURCE = tf.variant.as_datatype_enum, tf.resource.as_datatype_enum


@dataclass
class ObjectStore:
    """Makes captured objects, each once.

    Attributes:
        graph: The judged `SavedObjectGraph`.
        library: Its functions.
        constant: Operation name → the `TensorProto` of a constant in the judged graph.
        asset: Number of an asset → where its judged content lies.
        checkpoint: Returns the path of the variables, if their files are what they were.
    """

    graph: Any
    library: FunctionLibrary
    constant: Callable[[str], Any]
    asset: Callable[[int], str]
    checkpoint: Callable[[], str]
    _handles: dict[int, Any] = field(default_factory=dict)
    _variables: dict[int, Any] = field(default_factory=dict)
    _keys: dict[int, str] | None = None
    _resources: list[tuple[Any, Callable[[], Any] | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Not at exit: TensorFlow's context may be gone by then.
        self._finalizer = weakref.finalize(self, _destroy, self._resources, self.library)
        self._finalizer.atexit = False

    def captures(self, function_name: str) -> list[Any]:
        """Return the tensors that the ConcreteFunction *function_name* captured, in its order.

        Raises:
            NotUnderstoodError: It captured something else than variables, tables, assets and constants.
        """
        ids = self._bound(function_name)
        self._make(ids)
        return [self._handles[node_id] for node_id in ids]

    def trackables(self, function_name: str) -> list[Any]:
        """Return the same with variables as Python objects, for building graphs."""
        ids = self._bound(function_name)
        self._make(ids)
        return [self._variable(i) if self._kind(i) == "variable" else self._handles[i] for i in ids]

    @property
    def variable_ids(self) -> tuple[int, ...]:
        """Nodes of the variables that were made."""
        return tuple(node_id for node_id in self._handles if self._kind(node_id) == "variable")

    def value(self, node_id: int) -> Any:
        """Return the present value of a variable."""
        dtype = self.graph.nodes[node_id].variable.dtype
        return tf.raw_ops.ReadVariableOp(resource=self._handles[node_id], dtype=dtype)

    def close(self) -> None:
        """Let go of everything; TensorFlow frees variables that nobody else holds."""
        self._finalizer()
        self._handles.clear()
        self._variables.clear()

    def _bound(self, function_name: str) -> list[int]:
        functions = self.graph.concrete_functions
        return list(functions[function_name].bound_inputs) if function_name in functions else []

    def _kind(self, node_id: int) -> str | None:
        kind: str | None = self.graph.nodes[node_id].WhichOneof("kind")
        return kind

    def _make(self, ids: Iterable[int]) -> None:
        needed = self._closure(ids)
        self._restore([node_id for node_id in needed if self._kind(node_id) == "variable"])
        for kind, maker in (("constant", self._constant), ("asset", self._asset)):
            for node_id in needed:
                if self._kind(node_id) == kind:
                    self._handles[node_id] = maker(node_id)
        self._create([node_id for node_id in needed if self._kind(node_id) == "resource"])

    def _closure(self, ids: Iterable[int]) -> list[int]:
        """Return the nodes to make, sorted: *ids*, and what the initializers among them capture."""
        found: set[int] = set()
        stack = list(ids)
        while stack:
            node_id = stack.pop()
            if node_id not in found and node_id not in self._handles:
                self._require_understood(node_id)
                found.add(node_id)
                for name in (_CREATE, _INITIALIZE, _DESTROY):
                    function = self._method(node_id, name)
                    stack.extend(self._bound(function) if function else ())
        return sorted(found)

    def _require_understood(self, node_id: int) -> None:
        if not 0 <= node_id < len(self.graph.nodes):
            raise NotUnderstoodError(f"it captures object {node_id} of {len(self.graph.nodes)}")
        node, kind = self.graph.nodes[node_id], self._kind(node_id)
        problems = {
            f"a {kind}": kind not in ("variable", "constant", "asset", "resource"),
            f"a {node.registered_name}": _has_own_loader(node.registered_name),
            "an object with its own saver": bool(node.registered_saver),
            "an object with saved state": bool(node.saveable_objects),
            "a resource without a creator": kind == "resource" and self._method(node_id, _CREATE) is None,
            "a distributed variable": bool(node.variable.experimental_distributed_variable_components),
            "a variable of variants": kind == "variable" and node.variable.dtype in (_VARIANT, _RESOURCE),
        }
        found = [problem for problem, applies in problems.items() if applies]
        if found:
            raise NotUnderstoodError(f"it captures {found[0]}")

    def _method(self, node_id: int, name: str) -> str | None:
        """Return the only trace of a function of a resource."""
        if self._kind(node_id) != "resource":
            return None
        for child in self.graph.nodes[node_id].children:
            if child.local_name == name and 0 <= child.node_id < len(self.graph.nodes):
                node = self.graph.nodes[child.node_id]
                bare = node.bare_concrete_function.concrete_function_name
                traces = list(node.function.concrete_functions) or ([bare] if bare else [])
                if len(traces) != 1 or traces[0] not in self.library:
                    raise NotUnderstoodError(f"a resource has {len(traces)} traces of {name}")
                return str(traces[0])
        return None

    def _constant(self, node_id: int) -> Any:
        proto = self.constant(self.graph.nodes[node_id].constant.operation)
        value = tensor_util.MakeNdarray(proto)
        is_for_all = proto.dtype == tf.string.as_datatype_enum or _has_processors_alone()
        return on_host(value) if is_for_all else tf.constant(value)

    def _asset(self, node_id: int) -> Any:
        return on_host(self.asset(self.graph.nodes[node_id].asset.asset_file_def_index))

    def _create(self, ids: Sequence[int]) -> None:
        """Create tables and fill them in one go."""
        if not ids:
            return
        devices = {device_here(self.graph.nodes[node_id].resource.device) for node_id in ids}
        if len(devices) > 1:
            raise NotUnderstoodError("its tables are on several devices")
        creation = Creation(self.library, self._handles)
        for node_id in ids:
            creator = self._method(node_id, _CREATE)
            assert creator is not None  # noqa: S101 - see `_require_understood`
            creation.create(node_id, creator, self._bound(creator))
        for initializer in filter(None, (self._method(node_id, _INITIALIZE) for node_id in ids)):
            creation.call(initializer, self._bound(initializer))
        with tf.device(devices.pop() or None):
            self._handles.update(creation.run())
        self._resources += [(self._handles[node_id], self._destroyer(node_id)) for node_id in ids]

    def _destroyer(self, node_id: int) -> Callable[[], Sequence[Any]] | None:
        """Return a call of the function that destroys a table, None if it has no such function."""
        function = self._method(node_id, _DESTROY)
        if function is None:
            return None
        captures = [self._handles[bound] for bound in self._bound(function)]
        signature = self.library.definition(function).signature
        if len(signature.input_arg) != len(captures):
            raise NotUnderstoodError(f"{_DESTROY} of a table takes arguments")
        return functools.partial(execute, self.library.register(function), captures, len(signature.output_arg))

    def _restore(self, ids: Sequence[int]) -> None:
        """Create variables and read their values in one go."""
        if not ids:
            return
        keys, protos = self._checkpoint_keys(), [self.graph.nodes[node_id].variable for node_id in ids]
        if any(node_id not in keys for node_id in ids):
            raise NotUnderstoodError("a variable has no plain entry in the checkpoint")
        variables = [
            Stored(keys[node_id], tf.as_dtype(proto.dtype), _shape(proto.shape))
            for node_id, proto in zip(ids, protos, strict=True)
        ]
        shapes = self._reader.get_variable_to_shape_map()
        if any(not variable.shape.is_compatible_with(shapes.get(variable.key)) for variable in variables):
            raise NotUnderstoodError("a variable has another shape than its value")
        self._handles.update(zip(ids, restored(self.checkpoint(), variables), strict=True))

    @functools.cached_property
    def _reader(self) -> Any:
        """Reads the index of the checkpoint."""
        return tf.train.load_checkpoint(self.checkpoint())

    def _checkpoint_keys(self) -> dict[int, str]:
        if self._keys is None:
            content = self._reader.get_tensor(OBJECT_GRAPH_KEY)
            saved = trackable_object_graph_pb2.TrackableObjectGraph.FromString(content)
            self._keys = dict(_plain_keys(saved, matched_objects(self.graph.nodes, saved.nodes)))
        return self._keys

    def _variable(self, node_id: int) -> Any:
        """Make the Python object around a handle."""
        if node_id not in self._variables:
            proto, handle = self.graph.nodes[node_id].variable, self._handles[node_id]
            shape, dtype = _shape(proto.shape), tf.as_dtype(proto.dtype)
            handle._handle_data = handle_data_util.create_handle_data(shape, dtype)  # noqa: SLF001 - as TensorFlow does
            self._variables[node_id] = resource_variable_ops.BaseResourceVariable(
                trainable=proto.trainable,
                shape=shape,
                dtype=dtype,
                handle=handle,
                name=proto.name or None,
                handle_name=proto.name or "Variable",
                unique_id=f"{proto.name}_{self.library.uid}_{node_id}",
                synchronization=tf.VariableSynchronization(proto.synchronization),
                aggregation=tf.VariableAggregation(proto.aggregation),
                in_graph_mode=False,
            )
        return self._variables[node_id]


def execute(name: str, inputs: list[Any], count: int) -> Sequence[Any]:
    """Call a registered function eagerly; return its *count* outputs."""
    return context.context().call_function(name.encode(), inputs, count) or []


def _destroy(resources: list[tuple[Any, Callable[[], Any] | None]], library: FunctionLibrary) -> None:
    """Free tables. Those of old files have names, so that TensorFlow would keep them for ever."""
    with context.eager_mode():  # the collector may come while a graph is built
        for handle, destroyer in resources:
            _destroy_one(handle, destroyer)
    resources.clear()
    library.close()


def _destroy_one(handle: Any, destroyer: Callable[[], Any] | None) -> None:
    try:
        if destroyer is not None:
            destroyer()
        tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)
    except tf.errors.OpError as error:
        LOG.info("a resource could not be destroyed: %s", error)


def _has_processors_alone() -> bool:
    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())


def _has_own_loader(registered_name: str) -> bool:
    is_known = registration.get_registered_class(registered_name) is not None
    return is_known and registered_name not in _PLAIN_CLASSES


def matched_objects(nodes: Sequence[Any], saved: Sequence[Any]) -> dict[int, int]:
    """Return which object of a checkpoint is which object of the SavedModel, for those where there is no doubt.

    Args:
        nodes: Objects of the SavedModel, the root first.
        saved: Objects of the checkpoint, the root first.

    Returns:
        Number in *nodes* → number in *saved*. They are the same where the same attributes lead to them.
    """
    matched, owners, doubtful = {0: 0}, {0: 0}, set()
    count, saved_count = len(nodes), len(saved)
    stack = [(0, 0)] if count and saved_count else []
    while stack:
        node_id, saved_id = stack.pop()
        saved_children = saved[saved_id].children
        if not saved_children:  # as of most: variables, functions
            continue
        children = {child.local_name: child.node_id for child in nodes[node_id].children}
        for child in saved_children:
            inner, inner_saved = children.get(child.local_name, -1), child.node_id
            if not (0 <= inner < count and 0 <= inner_saved < saved_count):
                continue
            known = matched.get(inner)
            if known is None and inner_saved not in owners:
                matched[inner], owners[inner_saved] = inner_saved, inner
                stack.append((inner, inner_saved))
            elif known != inner_saved:
                doubtful |= {inner, owners.get(inner_saved, inner)}
    return {node_id: saved_id for node_id, saved_id in matched.items() if node_id not in doubtful}


def _plain_keys(saved: Any, matched: Mapping[int, int]) -> Iterable[tuple[int, str]]:
    """Yield (node, tensor of the checkpoint) of variables that are stored as one tensor."""
    for node_id, saved_id in matched.items():
        attributes = saved.nodes[saved_id].attributes
        if len(attributes) == 1 and attributes[0].name == _VARIABLE_VALUE:
            yield node_id, attributes[0].checkpoint_key


def _shape(proto: Any) -> tf.TensorShape:
    return tf.TensorShape(None if proto.unknown_rank else [None if d.size < 0 else d.size for d in proto.dim])
