"""Signatures as Python's and TensorFlow's own types: parameters, structured inputs and outputs. Layer: runtime."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from safeload.runtime._constants import constants_in
from safeload.signatures import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection import SignatureInfo, TensorInfo


def spec_of(info: TensorInfo) -> Any:
    """Return the TensorFlow type of an input or output; float32 where the dtype is not recorded."""
    dtype = info.dtype or "float32"
    if info.kind == "ragged":
        return tf.RaggedTensorSpec(info.shape, dtype, info.ragged_rank, info.row_splits_dtype or tf.int64)
    if info.kind == "sparse":
        return tf.SparseTensorSpec(info.shape, dtype)
    return tf.TensorSpec(info.shape, dtype, info.name)


def structured_inputs(signature: SignatureInfo) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the types of positional and of keyword arguments."""
    specs = {info.name: spec_of(info) for info in signature.inputs}
    structure = signature.structure
    if structure is not None:
        args = tuple(pack(constants_in(tree), specs) for _, tree in structure.args)
        return args, {name: pack(constants_in(tree), specs) for name, tree in structure.kwargs}
    return (tuple(specs.values()), {}) if signature.is_positional else ((), specs)


def structured_outputs(signature: SignatureInfo) -> Any:
    """Return the type of what a call returns: of a tensor, of a dict, or of what the function nests."""
    specs = {info.name: spec_of(info) for info in signature.outputs}
    if signature.structure is not None and signature.structure.outputs is not None:
        return pack(signature.structure.outputs, specs)
    return next(iter(specs.values())) if len(specs) == 1 else specs


def parameters(signature: SignatureInfo) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a call, as `inspect.signature` shows them."""
    names = [info.name for info in signature.inputs]
    if signature.whole or (signature.kind == "keras" and not names):  # one tensor, or its parts by their names
        yield inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
        yield inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
        return
    if not all(name.isidentifier() for name in names):
        yield inspect.Parameter("inputs", inspect.Parameter.POSITIONAL_ONLY)
        return
    by_position = len(names) == 1 or signature.is_positional
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if by_position else inspect.Parameter.KEYWORD_ONLY
    for info in sorted(signature.inputs, key=lambda info: info.optional):
        default = None if info.optional else inspect.Parameter.empty
        yield inspect.Parameter(info.name, kind, annotation=info.spec, default=default)
