"""Functions and ops of TensorFlow that a model names, made callable. Needs no Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, repeat
from typing import Any

import tensorflow as tf
from google.protobuf import json_format
from tensorflow.python.eager import execute
from tensorflow.python.framework import op_def_registry

from safeload.dialects import ALLOWED_SYMBOLS
from safeload.errors import IncompatibleVersionError, MalformedArtifactError

__all__ = ["NodeFunction", "symbol_function"]

_EXPORT_HINT = "export the model as a SavedModel with the release that saved it: model.export(path)"


def symbol_function(function: str, *, keras: Callable[[str], Any]) -> Any:
    """Return the function named, out of modules that are already imported.

    Args:
        function: Name without ``tf.``, one of `dialects.ALLOWED_SYMBOLS`.
        keras: Returns what stands for ``tf.keras.backend`` or ``tf.keras.activations``.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It is not permitted, or TensorFlow has it no longer.
    """
    root: Any = tf
    path = function.split(".")
    if function not in ALLOWED_SYMBOLS:
        raise IncompatibleVersionError(f"tf.{function}", problem="safeload does not know it", hint=_EXPORT_HINT)
    if path[0] == "keras":
        root, path = keras(path[1]), path[2:]
    for name in path:
        root = getattr(root, name, None)
    if root is None:
        raise IncompatibleVersionError(
            f"tf.{function}",
            problem=f"TensorFlow {tf.__version__} does not have it",
            hint=_EXPORT_HINT,
        )
    return root


class NodeFunction:
    """Runs the one op that *node_def* describes.

    Args:
        node_def: A NodeDef as protobuf's JSON.
        constants: Index of an input → its value, for the inputs that no layer gives.

    Source: tf_keras 2.21 ``engine/base_layer.py`` (TensorFlowOpLayer).
    """

    def __init__(self, node_def: Mapping[str, Any], constants: Mapping[str, Any]) -> None:
        self._node = _parse(node_def)
        self._constants = {int(index): value for index, value in constants.items()}
        self._run = tf.function(self._import, autograph=False)

    def __call__(self, *inputs: Any) -> Any:
        """Run the op."""
        # In a graph the op itself stands, so that TensorFlow sees through it: what it knows of shapes ends at calls.
        outputs = self._run(*inputs) if tf.executing_eagerly() else self._import(*inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _import(self, *inputs: Any) -> list[Any]:
        tensors = list(inputs)
        dtypes = dict(enumerate(islice(self._dtypes(), len(inputs) + len(self._constants))))
        for index in sorted(self._constants):
            tensors.insert(index, tf.constant(self._constants[index], dtype=dtypes.get(index)))
        graph = tf.compat.v1.GraphDef()
        feeds = {f"input_{index}:0": tensor for index, tensor in enumerate(tensors)}
        node = graph.node.add()
        node.CopyFrom(self._node)
        node.input[:] = feeds
        (op,) = tf.graph_util.import_graph_def(graph, input_map=feeds, return_elements=[node.name], name="")
        attributes = tuple(part for a in op.op_def.attr for part in (a.name, op.get_attr(a.name)))
        execute.record_gradient(op.type, op.inputs, attributes, op.outputs)  # imported ops are on no tape
        return list(op.outputs)

    def _dtypes(self) -> Iterator[Any]:
        """Yield the type of each input."""
        attributes = self._node.attr
        for argument in op_def_registry.get(self._node.op).input_arg:
            if argument.type_list_attr:
                yield from map(tf.as_dtype, attributes[argument.type_list_attr].list.type)
                continue
            dtype = tf.as_dtype(attributes[argument.type_attr].type if argument.type_attr else argument.type)
            yield from repeat(dtype, attributes[argument.number_attr].i if argument.number_attr else 1)


def _parse(node_def: Any) -> Any:
    try:
        node = json_format.ParseDict(node_def, tf.compat.v1.NodeDef())
    except json_format.ParseError as cause:
        raise MalformedArtifactError("TensorFlowOpLayer", problem="its node_def is no NodeDef") from cause
    definition = op_def_registry.get(node.op)
    if definition is None:
        raise IncompatibleVersionError(
            node.name,
            problem=f"TensorFlow {tf.__version__} has no op {node.op!r}",
            hint="load it with an older TensorFlow",
        )
    for attribute in definition.attr:  # what later releases added means what it meant without: tf.nn.top_k had no types
        if attribute.HasField("default_value") and attribute.name not in node.attr:
            node.attr[attribute.name].CopyFrom(attribute.default_value)
    return node
