"""A TensorFlow op as a layer of a Keras 3 model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from safeload.runtime.compat._inferred import output_spec
from safeload.runtime.compat._tensorflow import NodeFunction

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TensorFlowNode"]


class TensorFlowNode(keras.Operation):  # type: ignore[misc]
    """Runs the one op that *node_def* describes. No weights.

    Args:
        node_def: A NodeDef as protobuf's JSON.
        constants: Index of an input → its value, for the inputs that no layer gives.
        name: Name of the operation.
    """

    def __init__(
        self, node_def: Mapping[str, Any], constants: Mapping[str, Any] | None = None, *, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.config = {"node_def": dict(node_def), "constants": dict(constants or {})}
        self._run = NodeFunction(self.config["node_def"], self.config["constants"])

    def call(self, *inputs: Any) -> Any:
        """Run the op."""
        return self._run(*inputs)

    def compute_output_spec(self, *inputs: Any) -> Any:
        """Trace the op."""
        return output_spec(self.call, *inputs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"name": self.name, **self.config}
