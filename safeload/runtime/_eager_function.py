"""Functions that TensorFlow knows by name, called without the Python layers of a ConcreteFunction. Layer: runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow.python.eager import context, record

Flat = Sequence[Any]
"""Tensors in the order of a FunctionDef's arguments or results."""


@dataclass(frozen=True)
class EagerFunction:
    """A function of TensorFlow's eager context with what it captured.

    Attributes:
        name: Name under which it is registered.
        captures: Tensors to pass after the inputs.
        count: Number of its results.
        pack: Nests the results.
    """

    name: bytes
    captures: list[Any]
    count: int
    pack: Callable[[Flat], Any]

    def __call__(self, flat: Flat) -> Any:
        """Run it. Only where `runs_plainly` holds: tapes and graphs do not see it."""
        return self.pack(context.context().call_function(self.name, [*flat, *self.captures], self.count) or [])


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
        name=concrete_function._inference_function.name,  # noqa: SLF001 - `name` is that of a rewritten function
        captures=list(concrete_function.captured_inputs),
        count=count,
        pack=_only if is_single else structure.pack_output,
    )


def _only(results: Flat) -> Any:
    return results[0]
