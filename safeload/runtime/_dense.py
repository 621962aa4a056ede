"""Stacks of a few dense layers, run in the thread that calls them. Layer: runtime.

TensorFlow hands a function to a thread of its pool, and waking that takes longer than such a model does. Its operations
one by one run where they are called; each is prepared anew, so this pays for a few of them alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.eager import execute

_MAX_STEPS = 4
"""Operations that take less time than waking a thread does: about 10 µs each (measured, TensorFlow 2.21)."""
_FUSED = "_FusedMatMul"
"""A product with what is made of it at once, into which Grappler turns these operations in a graph.

Source: tensorflow/core/grappler/optimizers/remapper.cc (2.21).
"""
_CLIPPING = frozenset({"Relu", "Relu6"})
"""Activations that TensorFlow fuses with a bias before them, and that round nothing where it does not."""
_PLACEHOLDERS = frozenset({"NoOp", "Placeholder"})
_FLOAT = tf.float32.as_datatype_enum


class _Step(NamedTuple):
    """An operation, its attributes, and which variables it takes beside what the one before it made."""

    op: str
    attributes: tuple[Any, ...]
    variables: tuple[int, ...] = ()


class DenseStack:
    """Runs dense layers one after the other, with the same bytes as result as their graph.

    Args:
        steps: The operations.
        captures: Handles of the variables.
        dtypes: Their dtypes.
    """

    def __init__(self, steps: list[_Step], captures: list[Any], dtypes: list[int]) -> None:
        self._steps = steps
        self._captures = captures
        self._reading = ("N", len(dtypes), "dtypes", tuple(dtypes))

    def __call__(self, running: Any, flat: Any) -> list[Any]:
        """Run them in TensorFlow's eager context *running* on one tensor."""
        made: Any = flat
        variables = execute.execute("_ReadVariablesOp", len(self._captures), self._captures, self._reading, running)
        for op, attributes, taken in self._steps:
            made = execute.execute(op, 1, [made[0], *[variables[index] for index in taken]], attributes, running)
        return list(made)


def dense_stack(graph: Any, captures: list[Any]) -> DenseStack | None:
    """Return the dense layers that *graph* is made of, None if it is made of anything else.

    Args:
        graph: A FuncGraph.
        captures: What it captured.
    """
    if not captures or len(graph.inputs) != 1 + len(captures):
        return None
    places = {tensor.name: index for index, tensor in enumerate(graph.inputs[1:])}
    dtypes = [0] * len(captures)
    steps: list[_Step] = []
    current = graph.inputs[0].name
    for operation in graph.get_operations():
        inputs = [tensor.name for tensor in operation.inputs]
        if operation.type in _PLACEHOLDERS:
            continue
        if operation.type == "ReadVariableOp" and inputs[0] in places:
            index = places[operation.outputs[0].name] = places[inputs[0]]
            dtypes[index] = operation.outputs[0].dtype.as_datatype_enum
            continue
        taken = [places.get(name) for name in inputs[1:]]
        if inputs[:1] != [current] or None in taken or not _add(steps, operation, taken):
            return None
        current = operation.outputs[0].name
    is_whole = [tensor.name for tensor in graph.outputs] == [current] and all(dtypes)
    return DenseStack(steps, captures, dtypes) if is_whole and 0 < len(steps) <= _MAX_STEPS else None


def _add(steps: list[_Step], operation: Any, taken: list[Any]) -> bool:
    """Add *operation* to *steps*, or to the last one of them; return False if that might change the result.

    Sums and what is clipped twice are left out: Grappler orders or fuses them in another way.
    """
    kind, last = operation.type, steps[-1] if steps else _Step("", ())
    if operation.outputs[0].dtype != tf.float32:
        return False
    if kind == "MatMul":
        flags = [item for key in ("transpose_a", "transpose_b") for item in (key, operation.get_attr(key))]
        steps.append(_Step(kind, ("T", _FLOAT, *flags), tuple(taken)))
    elif kind == "BiasAdd" and last.op == "MatMul" and operation.get_attr("data_format") == b"NHWC":
        attributes = (*last.attributes, "num_args", 1, "fused_ops", (b"BiasAdd",))
        steps[-1] = _Step(_FUSED, attributes, (*last.variables, *taken))
    elif kind in _CLIPPING and last.attributes[-1:] == ((b"BiasAdd",),):
        steps[-1] = last._replace(attributes=(*last.attributes[:-1], (b"BiasAdd", kind.encode())))
    elif kind == "Softmax" or (kind in _CLIPPING and last.op == "MatMul"):
        steps.append(_Step(kind, ("T", _FLOAT), tuple(taken)))
    elif kind != "Identity":
        return False
    return True
