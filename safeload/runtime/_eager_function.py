"""Functions that TensorFlow knows by name, called without the Python layers of a ConcreteFunction. Layer: runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import cancellation, context, execute, record

from safeload.runtime._dense import dense_stack
from safeload.runtime._executor import ONE_THREAD, is_chain

Flat = Sequence[Any]
"""Tensors in the order of a FunctionDef's arguments or results."""


Quick = Callable[[Any, Flat], Flat]
"""Another way to run a function on its inputs in an eager context."""


class EagerFunction:
    """A function of TensorFlow's eager context with what it captured.

    Args:
        name: Name under which it is registered.
        captures: Tensors to pass after the inputs.
        count: Number of its results.
        pack: Nests the results.
        quick: Runs it in another way, if there is one; what goes wrong there is repeated, or explained, by its name.
    """

    def __init__(
        self, name: bytes, captures: list[Any], count: int, pack: Callable[[Flat], Any], quick: Quick | None = None
    ) -> None:
        self._name = name
        self._captures = captures
        self._count = count
        self._pack = pack
        self._quick = quick

    def __call__(self, flat: Flat) -> Any:
        """Run it. Only where `runs_plainly` holds: tapes and graphs do not see it."""
        running, quick = context.context(), self._quick
        # A device scope or a cancellation of the caller's is left to TensorFlow's own way.
        if quick is None or running.device_name or cancellation.context() is not None:
            return self._pack(self._by_name(running, flat))
        try:
            return self._pack(quick(running, flat))
        except tf.errors.OpError:
            results = self._by_name(running, flat)
            self._quick = None
            return self._pack(results)

    def _by_name(self, running: Any, flat: Flat) -> Flat:
        return running.call_function(self._name, [*flat, *self._captures], self._count) or []


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
    name = concrete_function._inference_function.name  # noqa: SLF001 - `name` is that of a rewritten function
    captures = list(concrete_function.captured_inputs)
    pack = only if is_single else structure.pack_output
    return EagerFunction(name, captures, count, pack, _quick(concrete_function.graph, name, captures, count))


def _quick(graph: Any, name: bytes, captures: list[Any], count: int) -> Quick | None:
    """Return a quicker way to run *graph*, the function *name*; none where tensors may have to go to other devices."""
    if len(context.context().list_logical_devices()) > 1:
        return None
    return dense_stack(graph, captures) or (_in_one_thread(name, captures, count) if is_chain(graph) else None)


def _in_one_thread(name: bytes, captures: list[Any], count: int) -> Quick:
    """Return what runs the function *name* with the executor that has one thread.

    Source: ``Context.call_function`` of tensorflow/python/eager/context.py (TensorFlow 2.21).
    """

    def run(running: Any, flat: Flat) -> Flat:
        config = running.function_call_options.config_proto_serialized
        attributes = ("executor_type", ONE_THREAD, "config_proto", config)
        results: Flat = execute.execute(name, count, [*flat, *captures], attributes, running)
        return results

    return run


def only(results: Flat) -> Any:
    """Return the one result of a function."""
    return results[0]
