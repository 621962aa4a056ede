"""A live TensorFlow object as a backend of `ModelCallable`: its signatures and its traced functions. Layer: runtime."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from types import GetSetDescriptorType
from typing import Any

import tensorflow as tf

from safeload.errors import NoCallableError
from safeload.inspection import CallStructure, MetaGraphInfo, SignatureInfo, Slot, TensorInfo, has_slot
from safeload.runtime._saved_model._runtime import structured_call
from safeload.signatures import answering, candidates, choose_in

_SPEC_KINDS = {"TensorSpec": "tensor", "RaggedTensorSpec": "ragged", "SparseTensorSpec": "sparse"}

_ITSELF = "__call__"
"""Key of a function that is not an attribute of anything."""


class ObjectRuntime:
    """Signatures and traced functions of an object that somebody else loaded or built.

    Args:
        obj: A result of `tf.saved_model.load`, a `tf.Module`, a ConcreteFunction or a `tf.function`.
        where: How messages name it.
    """

    def __init__(self, obj: Any, where: str) -> None:
        self.where = where
        self.route = ""
        self.model = obj
        signatures = getattr(obj, "signatures", None)
        self._signatures = dict(signatures) if isinstance(signatures, Mapping) else {}
        self._traced = {key: traces for key, value in _attributes(obj) if (traces := _concrete_functions(value))}
        described = tuple(_signature_info(key, fn) for key, fn in sorted(self._signatures.items()))
        functions = tuple(
            _function_info(key, fn, trace, _defaults(obj, key))
            for key, fns in self._traced.items()
            for trace, fn in enumerate(fns)
        )
        self._meta_graph = MetaGraphInfo(0, frozenset(), described, functions, has_object_graph=True)

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Everything that can be asked for."""
        return tuple(candidates(self._meta_graph))

    def choose(self, signature: str | None) -> SignatureInfo:
        """Follow the ladder of `load_callable`.

        Raises:
            NoCallableError: ``no-callable``. The object has no traced function; the hint says what to pass instead.
        """
        if not self.signatures:
            remedy = next(remedy for applies, remedy in _REMEDIES if applies(self.model))
            raise NoCallableError(self.where, holds="no traced function", hint=remedy)
        return choose_in(self._meta_graph, self.where, signature).signature_info

    def traces(self, key: str) -> tuple[SignatureInfo, ...]:
        """Return what answers *key*: one signature, or every trace of a function, those for inference first."""
        return answering(self._meta_graph, key)

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
        """Return the function itself, fed by name; what was left out has no default here."""
        del given
        if signature.kind == "signature":
            return structured_call(self._signatures[signature.key], None)
        if signature.structure is None:
            raise NoCallableError(self.where, holds="a function whose arguments are not recorded")
        return structured_call(self._traced[signature.key][signature.structure.trace], signature.structure)

    def close(self) -> None:
        """Forget the object."""
        self.model, self._signatures, self._traced = None, {}, {}


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of everything that may be a traced function, without calling properties."""
    if _concrete_functions(obj):
        yield _ITSELF, obj
        return
    names = dict.fromkeys(
        (
            *getattr(obj, "__dict__", ()),
            *(name for cls in type(obj).__mro__ for name in vars(cls) if cls.__module__ != "builtins"),
        )
    )
    for name in names:
        if not isinstance(getattr(type(obj), name, None), _PROPERTIES):
            yield name, getattr(obj, name, None)


_PROPERTIES = (property, functools.cached_property, GetSetDescriptorType)


def _concrete_functions(value: Any) -> list[Any]:
    """Return the traces of a traced function, of a restored one, or of a ConcreteFunction; empty for anything else."""
    if isinstance(value, tf.types.experimental.ConcreteFunction):
        return [value]
    if isinstance(value, tf.types.experimental.PolymorphicFunction):
        restored = getattr(value, "concrete_functions", None)
        if restored is not None:
            return list(restored)
        return list(value._list_all_concrete_functions_for_serialization())  # noqa: SLF001 - there is no public list
    return []


def is_untraced(obj: Any) -> bool:
    """Tell whether *obj* is a `tf.function` that was never called and has no input signature."""
    return isinstance(obj, tf.types.experimental.PolymorphicFunction) and not _concrete_functions(obj)


def _has_untraced(obj: Any) -> bool:
    return is_untraced(obj) or any(is_untraced(value) for _, value in _attributes(obj))


_REMEDIES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda obj: isinstance(obj, (str, bytes, os.PathLike)), "a path is loaded first: safeload.load_callable(path)"),
    (lambda obj: isinstance(obj, Mapping), "pass one of its values, as obj['serving_default']"),
    (_has_untraced, "its functions were never called: call one, or give it input_signature=[tf.TensorSpec(…)]"),
    (inspect.isroutine, "make it a function of TensorFlow: tf.function(f, input_signature=[tf.TensorSpec(…)])"),
    (lambda _: True, "pass what tf.saved_model.load or a Keras loader returned, a tf.Module, or a ConcreteFunction"),
)
"""What to pass instead of an object without traced functions, by what it is; the first that applies counts."""


def _signature_info(key: str, concrete_function: Any) -> SignatureInfo:
    """Describe a signature: keywords in, a dict of tensors out."""
    _, kwargs = concrete_function.structured_input_signature
    inputs = tuple(_tensor_info(name, spec) for name, spec in sorted(kwargs.items()))
    outputs = concrete_function.structured_outputs
    named = outputs.items() if isinstance(outputs, dict) else ()
    return SignatureInfo(key, "signature", inputs, tuple(_tensor_info(name, _spec(t)) for name, t in named))


def _defaults(obj: Any, key: str) -> dict[str, Any] | None:
    """Return what Python passes for what is left out; None for a ConcreteFunction, which knows its constants alone."""
    function = obj if key == _ITSELF and _concrete_functions(obj) else getattr(obj, key)
    values = getattr(function, "_default_values", None)
    return dict(values) if values is not None else None


def _function_info(key: str, concrete_function: Any, trace: int, defaults: dict[str, Any] | None) -> SignatureInfo:
    args, kwargs = concrete_function.structured_input_signature
    names = [name for name in concrete_function.function_type.parameters if name not in kwargs]
    inputs: dict[str, TensorInfo] = {}
    outputs: dict[str, TensorInfo] = {}
    positional = tuple((name, _tree(spec, name, inputs)) for name, spec in zip(names, args, strict=False))
    keywords = tuple((name, _tree(spec, name, inputs)) for name, spec in kwargs.items())
    returned = concrete_function.structured_outputs
    constants = {name: tree for name, tree in (*positional, *keywords) if not has_slot(tree)}
    structure = CallStructure(
        args=positional,
        kwargs=keywords,
        outputs=_tree(
            returned, "output" if isinstance(returned, (list, tuple)) else "output_0", outputs, is_named=False
        ),
        trace=trace,
        defaults=tuple((constants if defaults is None else defaults).items()),
    )
    return SignatureInfo(
        key,
        "function",
        tuple(inputs.values()),
        tuple(outputs.values()),
        is_positional=True,
        structure=structure,
        defaults=structure.tensor_defaults(),
    )


def _tree(spec: Any, name: str, found: dict[str, TensorInfo], *, is_named: bool = True) -> Any:
    """Return *spec* with slots in place of tensors, and collect what stands there.

    Args:
        spec: Types of tensors, nested.
        name: What to call a tensor without a name, and those below a list, with their numbers.
        found: Gets what is found.
        is_named: False for outputs: TensorFlow names them ``unknown`` when it saves.
    """
    if isinstance(spec, (tf.TypeSpec, tf.Tensor, tf.RaggedTensor, tf.SparseTensor)):
        spec = _spec(spec)
        unique = _unused((is_named and getattr(spec, "name", None)) or name, found)
        found[unique] = _tensor_info(unique, spec)
        return Slot(unique)
    branch = functools.partial(_tree, found=found, is_named=is_named)
    if isinstance(spec, Mapping):
        return {key: branch(value, str(key)) for key, value in spec.items()}
    if isinstance(spec, tuple) and hasattr(spec, "_fields"):
        return type(spec)(*(branch(value, field) for field, value in zip(spec._fields, spec, strict=True)))
    if isinstance(spec, (list, tuple)):
        return type(spec)(branch(value, f"{name}_{index}") for index, value in enumerate(spec))
    return spec


def _spec(tensor: Any) -> Any:
    """Return the type of a tensor; ConcreteFunctions list some as tensors and some as types."""
    return tensor if isinstance(tensor, tf.TypeSpec) else tf.type_spec_from_value(tensor)


def _unused(name: str, found: Mapping[str, Any]) -> str:
    numbered = (f"{name}_{count}" for count in range(1, len(found) + 2))
    return name if name not in found else next(candidate for candidate in numbered if candidate not in found)


def _tensor_info(name: str, spec: Any) -> TensorInfo:
    shape = getattr(spec, "shape", None)
    return TensorInfo(
        name,
        dtype=spec.dtype.name if getattr(spec, "dtype", None) is not None else None,
        shape=tuple(shape.as_list()) if shape is not None and shape.rank is not None else None,
        kind=_SPEC_KINDS.get(type(spec).__name__, type(spec).__name__),
        ragged_rank=getattr(spec, "ragged_rank", None),
        row_splits_dtype=spec.row_splits_dtype.name if isinstance(spec, tf.RaggedTensorSpec) else None,
    )
