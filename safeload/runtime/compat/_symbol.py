"""A TensorFlow function as a layer of a Keras 3 model."""

from __future__ import annotations

from typing import Any

import keras

from safeload.runtime.compat._inferred import output_spec
from safeload.runtime.compat._tensorflow import symbol_function

__all__ = ["TensorFlowSymbol"]


class TensorFlowSymbol(keras.Operation):  # type: ignore[misc]
    """Calls the public TensorFlow function *function*. No weights.

    Like the layers of tf.keras for which it stands, it drops masks.

    Args:
        function: Name without ``tf.``, one of `dialects.ALLOWED_SYMBOLS`.
        name: Name of the operation.
    """

    def __init__(self, function: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.function = function
        self._symbol = symbol_function(function, keras=_keras_module)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._symbol(*map(_with_slices, args), **{key: _with_slices(value) for key, value in kwargs.items()})

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the function."""
        return output_spec(self.call, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"name": self.name, "function": self.function}


def _with_slices(value: Any) -> Any:
    """Return *value* with the slices made whose ends are tensors, which Keras 3 hands over as dicts."""
    if isinstance(value, dict) and value.keys() == {"start", "stop", "step"}:
        return slice(value["start"], value["stop"], value["step"])
    return type(value)(map(_with_slices, value)) if type(value) in (list, tuple) else value


def _keras_module(name: str) -> Any:
    """``keras.backend`` of Keras 2 lives on in Keras 3, out of sight; ``keras.activations`` is public."""
    if name == "activations":
        return keras.activations
    from keras.src.legacy import backend

    return backend
