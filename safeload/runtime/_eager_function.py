"""Functions that TensorFlow knows by name, called without the Python layers of a ConcreteFunction. Layer: runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import cancellation, context, execute, record

from safeload.runtime._executor import ONE_THREAD, is_chain

Flat = Sequence[Any]
"""Tensors in the order of a FunctionDef's arguments or results."""


class EagerFunction:
    """A function of TensorFlow's eager context with what it captured.

    Args:
        name: Name under which it is registered.
        captures: Tensors to pass after the inputs.
        count: Number of its results.
        pack: Nests the results.
        is_chain: True if it has no effects and one thread runs it as fast as many do; see `is_chain`.
    """

    def __init__(
        self, name: bytes, captures: list[Any], count: int, pack: Callable[[Flat], Any], *, is_chain: bool = False
    ) -> None:
        self._name = name
        self._captures = captures
        self._count = count
        self._pack = pack
        self._is_chain = is_chain

    def __call__(self, flat: Flat) -> Any:
        """Run it. Only where `runs_plainly` holds: tapes and graphs do not see it."""
        running, inputs = context.context(), [*flat, *self._captures]
        # A device scope or a cancellation of the caller's is left to TensorFlow's own way.
        if self._is_chain and not running.device_name and cancellation.context() is None:
            return self._pack(self._in_one_thread(running, inputs))
        return self._pack(running.call_function(self._name, inputs, self._count) or [])

    def _in_one_thread(self, running: Any, inputs: list[Any]) -> Any:
        """Run it with the executor that has one thread; what goes wrong there is repeated, or explained, by the other.

        Source: ``Context.call_function`` of tensorflow/python/eager/context.py (TensorFlow 2.21).
        """
        config = running.function_call_options.config_proto_serialized
        attributes = ("executor_type", ONE_THREAD, "config_proto", config)
        try:
            return execute.execute(self._name, self._count, inputs, attributes, running)
        except tf.errors.OpError:
            results = running.call_function(self._name, inputs, self._count) or []
            self._is_chain = False
            return results


def runs_plainly() -> bool:
    """Tell whether a call is neither recorded by a tape nor built into a graph."""
    return context.context().executing_eagerly() and not record.could_possibly_record()


def of_concrete_function(concrete_function: Any) -> EagerFunction | None:
    """Return the plain call of a ConcreteFunction; None if its captures are not fixed."""
    if concrete_function.graph.deferred_external_captures:
        return None
    structure, count = concrete_function.function_type, len(concrete_function.outputs)
    is_single = (
        count == 1
        and concrete_function.structured_outputs is not None
        and not isinstance(concrete_function.structured_outputs, (dict, list, tuple))
    )
    return EagerFunction(
        concrete_function._inference_function.name,  # noqa: SLF001 - `name` is that of a rewritten function
        list(concrete_function.captured_inputs),
        count,
        _only if is_single else structure.pack_output,
        is_chain=is_chain(concrete_function.graph),
    )


def _only(results: Flat) -> Any:
    return results[0]
