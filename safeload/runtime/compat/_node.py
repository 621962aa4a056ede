"""A TensorFlow op as a layer of a Keras 3 model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.python.framework import op_def_registry

from safeload.errors import IncompatibleVersionError, MalformedArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TensorFlowNode"]


class TensorFlowNode(keras.Operation):  # type: ignore[misc]
    """Runs the one op that *node_def* describes. No weights.

    Args:
        node_def: A NodeDef as protobuf's JSON.
        constants: Index of an input → its value, for the inputs that no layer gives.
        name: Name of the operation.

    Source: tf_keras 2.21 ``engine/base_layer.py`` (TensorFlowOpLayer).
    """

    def __init__(
        self, node_def: Mapping[str, Any], constants: Mapping[str, Any] | None = None, *, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.config = {"node_def": dict(node_def), "constants": dict(constants or {})}
        self._node = _parse(self.config["node_def"])
        self._constants = {int(index): value for index, value in self.config["constants"].items()}
        self._run = tf.function(self._import, autograph=False)

    def call(self, *inputs: Any) -> Any:
        """Run the op."""
        outputs = self._run(*inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def compute_output_spec(self, *inputs: Any) -> Any:
        """Trace the op."""
        return keras.src.backend.compute_output_spec(self.call, *inputs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"name": self.name, **self.config}

    def _import(self, *inputs: Any) -> list[Any]:
        tensors = list(inputs)
        for index in sorted(self._constants):
            tensors.insert(index, tf.constant(self._constants[index], dtype=self._dtype(index)))
        graph = tf.compat.v1.GraphDef()
        node = graph.node.add()
        node.CopyFrom(self._node)
        del node.input[:]
        for index, tensor in enumerate(tensors):
            source = graph.node.add(name=f"input_{index}", op="Placeholder")
            source.attr["dtype"].type = tensor.dtype.as_datatype_enum
            node.input.append(source.name)
        feeds = {f"input_{index}:0": tensor for index, tensor in enumerate(tensors)}
        (op,) = tf.graph_util.import_graph_def(graph, input_map=feeds, return_elements=[node.name], name="")
        return list(op.outputs)

    def _dtype(self, index: int) -> Any:
        """Type of an input, where the op takes single tensors up to there; None leaves it to the value."""
        arguments = op_def_registry.get(self._node.op).input_arg
        if index >= len(arguments) or any(a.number_attr or a.type_list_attr for a in arguments[: index + 1]):
            return None
        argument = arguments[index]
        return tf.as_dtype(self._node.attr[argument.type_attr].type if argument.type_attr else argument.type)


def _parse(node_def: Any) -> Any:
    try:
        node = json_format.ParseDict(node_def, tf.compat.v1.NodeDef())
    except json_format.ParseError as cause:
        raise MalformedArtifactError("TensorFlowOpLayer", problem="its node_def is no NodeDef") from cause
    if op_def_registry.get(node.op) is None:
        raise IncompatibleVersionError(
            node.name,
            problem=f"TensorFlow {tf.__version__} has no op {node.op!r}",
            hint="load it with an older TensorFlow",
        )
    return node
