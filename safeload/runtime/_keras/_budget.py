"""Bounds on what building a Keras model may allocate, and on what calling it provably does. Layer: runtime.

The policy judges sizes as far as configs tell. What layers make of the shapes that reach them is only known while they
are built: variables are counted before they are made, and the shapes of outputs are looked at before the first call.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safeload.errors import UnsafeModelError
from safeload.policy import Finding, Severity, allowed_elements
from safeload.policy.keras_sizes import MAX_UNROLLED
from safeload.runtime._keras._package import flat_layers, is_own_class

MAX_OUTPUT_BYTES = 2 << 30
"""Bytes of one output for one example; the budget that the policy gives each tensor of a graph."""

_HINT = "ask the author for a file whose sizes fit its weights"


class _TooManyError(Exception):
    """Stops a build; never seen outside of this module."""


@contextmanager
def bounded_variables(stored: int | None, where: str) -> Iterator[None]:
    """Refuse to make many more elements of variables than the file stores.

    Args:
        stored: Elements that the weights hold, or None.
        where: How messages name the model.

    Raises:
        UnsafeModelError: ``unsafe-model``. A layer asks for more; nothing of that size was allocated.
    """
    import tensorflow as tf

    allowed, declared = allowed_elements(stored), 0

    def count(next_creator: Any, **kwargs: Any) -> Any:
        nonlocal declared
        declared += math.prod(_declared_shape(kwargs))
        if declared > allowed:
            raise _TooManyError
        return next_creator(**kwargs)

    with tf.variable_creator_scope(count):
        try:
            yield
        except Exception:
            # Keras wraps what it catches in errors of its own.
            if declared <= allowed:
                raise
            evidence = f"{declared:,} declared, {stored or 0:,} stored"
            message = f"the layers make at least {declared:,} weights; the file holds {stored or 0:,}"
            raise _refused("oversized-layer", where, where="$", evidence=evidence, message=message) from None


def _declared_shape(kwargs: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of a variable that is about to be made, before its initializer runs.

    Source: ``Variable._initialize_with_initializer`` of keras 3.15.1, whose function closes over the Keras variable;
    ``make_variable`` of tf_keras 2.21, which passes the shape; ``_recreate_variable`` of tensorflow 2.21
    ``python/saved_model/load.py``, which passes the message in the file. A shape may be of unknown rank, too.
    """
    import tensorflow as tf

    shape = kwargs.get("shape")
    if shape is None:
        cells = getattr(kwargs.get("initial_value"), "__closure__", None) or ()
        shapes = (getattr(cell.cell_contents, "_shape", None) for cell in cells)
        shape = next((found for found in shapes if found is not None), ())
    known = tf.TensorShape(shape)
    return tuple(size for size in known.as_list() if size) if known.rank is not None else ()


def require_bounded_outputs(model: Any, where: str) -> None:
    """Refuse a model of which a layer makes more of a single example than any host should give, or in more steps.

    Raises:
        UnsafeModelError: ``unsafe-model``. An output of known size is too large, or a recurrent layer too long.
    """
    if any(map(_is_unrolled, flat_layers(model))):
        _require_few_steps(model, where)
    for layer in _operations(model):
        size = max((_bytes(tensor) for tensor in _outputs(layer)), default=0)
        if size > MAX_OUTPUT_BYTES:
            message = f"the layer {layer.name!r} makes {size:,} bytes of each example"
            raise _refused(
                "oversized-output", where, where=f"layer {layer.name!r}", evidence=str(size), message=message
            )


def _operations(model: Any) -> Iterator[Any]:
    """Yield every layer, and the operations of Keras 3 that are called without one."""
    for layer in flat_layers(model):
        yield layer
        yield from getattr(layer, "operations", ())


def _require_few_steps(model: Any, where: str) -> None:
    for layer in flat_layers(model):
        # What other layers around it, or a class of the caller's, make of their input is not known.
        if _is_unrolled(layer) or (_is_both_ways(layer) and any(map(_is_unrolled, flat_layers(layer)))):
            steps = max(map(_steps, _inputs(layer)), default=0)
            if steps > MAX_UNROLLED:
                place, message = f"layer {layer.name!r}", f"the layer {layer.name!r} would be unrolled {steps:,} times"
                raise _refused("unrolled-layer", where, where=place, evidence=str(steps), message=message)


def _is_unrolled(layer: Any) -> bool:
    return getattr(layer, "unroll", False) is True


def _is_both_ways(layer: Any) -> bool:
    return is_own_class(layer) and type(layer).__name__ == "Bidirectional"


def _inputs(layer: Any) -> Iterator[Any]:
    """Yield the symbolic inputs of each call of *layer* in the model."""
    for node in getattr(layer, "_inbound_nodes", ()):
        yield from _flat(node.input_tensors)


def _steps(tensor: Any) -> int:
    return tensor.shape[1] or 0 if len(tensor.shape) > 1 else 0


def _outputs(layer: Any) -> Iterator[Any]:
    """Yield the symbolic outputs of each call of *layer* in the model."""
    for node in getattr(layer, "_inbound_nodes", ()):
        found = getattr(node, "output_tensors", None)  # tf_keras calls them outputs
        yield from _flat(found if found is not None else node.outputs)


def _flat(tree: Any) -> list[Any]:
    import tensorflow as tf

    return list(tf.nest.flatten(tree))


def _bytes(tensor: Any) -> int:
    import tensorflow as tf

    dims = tuple(tensor.shape) if getattr(tensor, "shape", None) is not None and _has_rank(tensor.shape) else ()
    known = math.prod(int(size) for size in dims if size is not None)
    return int(known * max(1, tf.as_dtype(tensor.dtype).size))


def _has_rank(shape: Any) -> bool:
    return getattr(shape, "rank", 0) is not None


def _refused(rule: str, model: str, *, where: str, evidence: str, message: str) -> UnsafeModelError:
    return UnsafeModelError(model, findings=(Finding(rule, Severity.DANGEROUS, where, evidence, message, _HINT),))
