"""A TensorFlow function as a layer of a Keras 3 model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from safeload.dialects import ALLOWED_SYMBOLS
from safeload.errors import IncompatibleVersionError

_EXPORT_HINT = "export the model as a SavedModel with the release that saved it: model.export(path)"

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
        self._symbol = _resolve(function)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._symbol(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the function."""
        return keras.src.backend.compute_output_spec(self.call, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"name": self.name, "function": self.function}


def _resolve(function: str) -> Any:
    """The function named, out of modules that are already imported.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It is not permitted, or TensorFlow has it no longer.
    """
    root: Any = tf
    path = function.split(".")
    if function not in ALLOWED_SYMBOLS:
        raise IncompatibleVersionError(f"tf.{function}", problem="safeload does not know it", hint=_EXPORT_HINT)
    if path[0] == "keras":
        root, path = _keras_module(path[1]), path[2:]
    for name in path:
        root = getattr(root, name, None)
    if root is None:
        raise IncompatibleVersionError(
            f"tf.{function}",
            problem=f"TensorFlow {tf.__version__} does not have it",
            hint=_EXPORT_HINT,
        )
    return root


def _keras_module(name: str) -> Any:
    """``keras.backend`` of Keras 2 lives on in Keras 3, out of sight; ``keras.activations`` is public."""
    if name == "activations":
        return keras.activations
    from keras.src.legacy import backend

    return backend
