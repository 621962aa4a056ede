"""Callables → SavedModels with explicit signatures, and the comparison of what they compute. Layer: runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import handle_data_util, resource_variable_ops

from safeload._explain import first_line
from safeload.errors import InputMismatchError, UnsupportedFormatError
from safeload.runtime._callable._structured import spec_of
from safeload.runtime._callable._tensors import to_tensors
from safeload.runtime._keras._package import flat_layers
from safeload.runtime._keras._runtime import OneCallable
from safeload.runtime._object import is_untraced
from safeload.runtime._tflite import TFLiteRuntime
from safeload.runtime._wrap import as_callable
from safeload.signatures import bind

if TYPE_CHECKING:
    from safeload.inspection import TensorInfo
    from safeload.runtime._callable._model_callable import ModelCallable

_LIBRARIES = frozenset({"keras", "tf_keras", "tensorflow", "safeload"})
OWN_NAMES = "safeload>"
"""How the names begin of functions that stand in for those of old releases, or have theirs for one load alone."""

_BATCH, _LENGTH = 2, 16
"""What stands for an unknown first dimension, and for any other unknown one, in synthesised inputs."""

_UNBOUND = "Binding inputs to tf.function failed"
"""Source: ``bind_function_inputs`` in tensorflow/python/eager/polymorphic_function/function_type_utils.py (2.21)."""

_REFERENCE_VARIABLES = frozenset({"Variable", "VariableV2"})
"""Ops that make variables without a handle. Source: tensorflow/core/ops/state_ops.cc (2.21)."""

_TOLERANCES = {
    "bfloat16": (5e-2, 1e-2),
    "float16": (1e-2, 1e-3),
    "float32": (1e-4, 1e-5),
    "float64": (1e-8, 1e-10),
    "complex64": (1e-4, 1e-5),
    "complex128": (1e-8, 1e-10),
}
"""Relative and absolute difference that two ways of running a model may show, by dtype; other dtypes must be equal."""


def callable_of(obj: Any, example: Any) -> ModelCallable:
    """Return the callable of *obj*; a `tf.function` that was never called is traced for *example* first.

    Raises:
        InputMismatchError: ``input-mismatch``. It was never called, and there is no example.
        NoCallableError: ``no-callable``. The object has no traced function.
        AmbiguousSignatureError: ``ambiguous-signature``. It has several, none of them the default.
    """
    if not is_untraced(obj):
        fn = as_callable(obj)
        if fn.inputs or example is None:
            return fn
        fn(example)  # a Keras model may record what it takes once it was called
        return as_callable(obj)
    if example is None:
        raise InputMismatchError(
            "the function was never called, so what it takes is unknown",
            hint="pass example_inputs=, or make it with tf.function(f, input_signature=[tf.TensorSpec(…)])",
        )
    named = example if isinstance(example, Mapping) else {}
    specs = {name: _free_batches(value) for name, value in named.items()}
    positions = [] if isinstance(example, Mapping) else [_free_batches(example)]
    try:
        return as_callable(obj.get_concrete_function(*positions, **specs))
    except TypeError as error:
        if not str(error).startswith(_UNBOUND):
            raise
        raise InputMismatchError(
            f"the example does not fit the parameters of the function: {first_line(error.__cause__ or error)}",
            hint="pass one value, or a mapping of all its parameters: example_inputs={'left': x, 'right': y}",
        ) from error


def _free_batches(value: Any) -> Any:
    """Return the types of *value*; lists of plain Python values are arrays, as in a call."""
    is_plain = all(isinstance(leaf, (bool, int, float, complex, str, bytes)) for leaf in tf.nest.flatten(value))
    return _free_batch(value) if is_plain else tf.nest.map_structure(_free_batch, value)


def _free_batch(value: Any, name: str | None = None) -> tf.TensorSpec:
    """Return the type of *value* with its first dimension left open."""
    tensor = tf.convert_to_tensor(value)
    shape = [None, *tensor.shape[1:]] if tensor.shape.rank else []
    return tf.TensorSpec(shape, tensor.dtype, name)


def keras_model_of(fn: ModelCallable) -> Any:
    """Return the Keras model that *fn* calls, or None; a layer is none."""
    return fn.model if isinstance(fn.backend, OneCallable) and hasattr(fn.model, "save") else None


def runs_in_graphs(fn: ModelCallable) -> bool:
    """Tell whether a graph can hold what *fn* computes: not that of TensorFlow Lite's interpreter."""
    return not isinstance(fn.backend, TFLiteRuntime)


def stand_ins_in(model: Any) -> list[str]:
    """Return the names of the classes in *model* that are those of safeload."""
    return [type(layer).__name__ for layer in flat_layers(model) if type(layer).__module__.startswith("safeload.")]


def custom_objects_in(model: Any) -> list[Any]:
    """Return the classes and functions in *model*, its layers and their parts that are none of Keras or safeload."""
    layers = list(flat_layers(model))
    parts = [part for layer in layers for part in _parts(layer)]
    inner = [part for thing in parts if hasattr(thing, "get_config") for part in _parts(thing)]
    objects = (type(thing) if hasattr(thing, "get_config") else thing for thing in (*layers, *parts, *inner))
    return list(dict.fromkeys(found for found in objects if _is_custom(found)))


def _parts(thing: Any) -> Iterator[Any]:
    """Yield what attributes of *thing* hold, and what is in lists and dicts there."""
    for value in getattr(thing, "__dict__", {}).values():
        if isinstance(value, (list, tuple, dict)):
            yield from list(value.values() if isinstance(value, dict) else value)
        else:
            yield value


def _is_custom(found: Any) -> bool:
    """Tell whether *found* is a class or function of the caller's, under a name that others have for it too."""
    if not isinstance(found, (type, FunctionType)) or found.__name__.startswith(OWN_NAMES):
        return False
    return str(found.__module__).partition(".")[0] not in _LIBRARIES


def write_saved_model(functions: Mapping[str, ModelCallable], directory: str, *, example: Any) -> None:
    """Write a SavedModel that has each of *functions* as a signature.

    Args:
        functions: Callables by signature key.
        directory: Where to write.
        example: Inputs of the first function, for a Keras model that records none.

    Raises:
        UnsupportedFormatError: ``unsupported-format``. The model is of TensorFlow 1, with variables of its kind.
    """
    module = tf.Module()
    module.models = [fn.model for fn in functions.values()]
    signatures = {key: _signature(fn, example) for key, fn in functions.items()}
    if any(map(_has_reference_variables, signatures.values())):
        kind = "to be written by TensorFlow 2, which cannot save the reference variables of TensorFlow 1 in this model"
        raise UnsupportedFormatError(directory, kind=kind, remedy="keep the old file, which loads as it is")
    module.held = [variable for function in signatures.values() for variable in _variables(function)]
    tf.saved_model.save(module, directory, signatures=signatures)


def _has_reference_variables(function: Any) -> bool:
    graph = function.graph.as_graph_def()
    nodes = (*graph.node, *(node for inner in graph.library.function for node in inner.node_def))
    return not _REFERENCE_VARIABLES.isdisjoint(node.op for node in nodes)


def _variables(function: Any) -> Iterator[Any]:
    """Yield the variables that *function* uses, also those of which it captured nothing but the handle."""
    known = {id(variable.handle) for variable in function.graph.variables}
    yield from function.graph.variables
    for handle, inside in function.graph.captures:
        facts = _variable_facts(inside)
        if facts is not None and id(handle) not in known:
            yield resource_variable_ops.BaseResourceVariable(
                trainable=False, shape=facts.shape, dtype=facts.dtype, handle=handle, handle_name="variable"
            )


def _variable_facts(tensor: Any) -> Any:
    """Return shape and dtype of the variable whose handle *tensor* is; None for tables and plain tensors."""
    data = handle_data_util.get_resource_handle_data(tensor) if tensor.dtype == tf.resource else None
    if data is None or not data.is_set or len(data.shape_and_type) != 1:
        return None
    fact = data.shape_and_type[0]
    return tf.TensorSpec(tf.TensorShape(fact.shape), fact.dtype)


def _signature(fn: ModelCallable, example: Any) -> Any:
    infos = [info for info in fn.inputs if not info.optional]
    if infos:
        specs = {info.name: spec_of(info) for info in infos}
    else:
        named = example if isinstance(example, Mapping) else {"inputs": example}
        specs = {name: _free_batch(value, name) for name, value in named.items()}
    is_bare = not infos and not isinstance(example, Mapping)

    def call(*tensors: Any) -> dict[str, Any]:
        named = dict(zip(specs, tensors, strict=True))  # names of inputs need not be such of parameters
        return named_outputs(fn, fn(named["inputs"] if is_bare else named))

    return tf.function(call, autograph=False).get_concrete_function(*specs.values())


def named_outputs(fn: ModelCallable, result: Any) -> dict[str, Any]:
    """Return what *fn* returned as one flat dict, by the names of its outputs."""
    if isinstance(result, dict) and not any(isinstance(leaf, (dict, list, tuple)) for leaf in result.values()):
        return dict(result)
    leaves = list(_leaves(result))
    names = [info.name for info in fn.outputs]
    if len(names) != len(leaves):
        names = [f"output_{index}" for index in range(len(leaves))]
    return dict(zip(names, leaves, strict=True))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (Mapping, list, tuple)):
        for branch in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(branch)
    elif value is not None:
        yield value


def called(fn: ModelCallable, example: Any) -> tuple[Any, dict[str, Any]]:
    """Return inputs of *fn*, those of *example* if there is one, and what it computes from them.

    Raises:
        InputMismatchError: ``input-mismatch``. *example* does not fit, or is needed and missing.
    """
    values = inputs_by_name(fn, example)
    try:
        return values, named_outputs(fn, fn(values))
    except tf.errors.OpError as error:
        if example is not None:
            raise
        raise InputMismatchError(
            f"the graph refuses made-up inputs: {first_line(error)}", hint="pass example_inputs="
        ) from error


def inputs_by_name(fn: ModelCallable, example: Any) -> Any:
    """Return *example* as a mapping of input names to tensors; as it is for a model that records no inputs.

    Raises:
        InputMismatchError: ``input-mismatch``. It does not fit *fn*, or it is missing and cannot be made up.
    """
    if not fn.inputs:
        if example is None:
            raise InputMismatchError("the model does not record its inputs", hint="pass example_inputs=")
        return example
    if example is None:
        return {info.name: _made_up(info, seed) for seed, info in enumerate(fn.inputs) if not info.optional}
    return to_tensors(fn.inputs, bind(fn.signature, (example,), {}))[0]


def _made_up(info: TensorInfo, seed: int) -> Any:
    shape = [_size(axis, dim) for axis, dim in enumerate(info.shape or ())]
    dtype = tf.as_dtype(info.dtype or "float32")
    rng = np.random.default_rng(seed)
    if dtype == tf.string:
        dense = tf.constant(rng.choice(["a", "b c"], shape))
    else:
        scale = 1 if dtype.is_floating or dtype.is_complex else 2
        dense = tf.cast(tf.constant(rng.random(shape) * scale), dtype)
    return to_tensors([info], {info.name: dense})[0][info.name]


def _size(axis: int, dim: int | None) -> int:
    return dim if dim is not None else _LENGTH if axis else _BATCH


def difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """Say where two sets of outputs differ by more than the tolerance of their dtype; None if nowhere."""
    if expected.keys() != found.keys():
        return f"the outputs are {', '.join(found)} instead of {', '.join(expected)}"
    problems = (_leaf_difference(_array(expected[name]), _array(found[name])) for name in expected)
    return next(
        (f"output {name!r} {problem}" for name, problem in zip(expected, problems, strict=True) if problem), None
    )


def _array(value: Any) -> Any:
    if isinstance(value, tf.RaggedTensor):
        value = value.to_tensor()
    return np.asarray(tf.sparse.to_dense(value) if isinstance(value, tf.SparseTensor) else value)


def _leaf_difference(expected: Any, found: Any) -> str | None:
    if (expected.shape, expected.dtype) != (found.shape, found.dtype):
        return f"is {found.dtype} {found.shape} instead of {expected.dtype} {expected.shape}"
    tolerance = _TOLERANCES.get(expected.dtype.name)
    if tolerance is None:
        return None if np.array_equal(expected, found) else "has other values"
    wide = "complex128" if expected.dtype.name.startswith("complex") else "float64"
    expected, found = expected.astype(wide), found.astype(wide)
    if np.allclose(found, expected, *tolerance, equal_nan=True):
        return None
    return f"differs by up to {np.nanmax(np.abs(found - expected)):.3g}"
