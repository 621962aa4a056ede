"""A built Keras model (Keras 3 or tf_keras) as a backend of `ModelCallable`. Layer: runtime."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from safeload.errors import LoadFailedError, SignatureNotFoundError
from safeload.inspection import CallStructure, SignatureInfo, Slot, TensorInfo, distinct_names, with_free_batch
from safeload.runtime._callable._unrecorded import takes_one_input
from safeload.runtime._eager_function import EagerFunction, of_concrete_function, runs_plainly
from safeload.runtime._keras._ambient import scopes_closed
from safeload.runtime._keras._in_graphs import is_traceable
from safeload.runtime._keras._package import flat_layers
from safeload.runtime._log import LOG
from safeload.runtime._signals import raise_interruption
from safeload.runtime._unfused import keep_apart_in
from safeload.signatures import KERAS_KEYS, pack

Path = tuple[Any, ...]
"""Keys and indices that lead to a leaf of a nested structure."""

_KINDS = {"RaggedTensorSpec": "ragged", "SparseTensorSpec": "sparse"}


class OneCallable:
    """What a Keras file is for those who call it: it has one signature.

    Args:
        where: How messages name the model.
        signature: Its signature.
    """

    def __init__(self, where: str, signature: SignatureInfo) -> None:
        self.where = where
        self._signature = signature

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """The model: a Keras file has one callable."""
        return (self._signature,)

    def traces(self, key: str) -> tuple[SignatureInfo, ...]:
        """Return the model's own signature.

        Raises:
            SignatureNotFoundError: ``signature-not-found``. *key* is none of the names that a Keras model answers to.
        """
        if key not in KERAS_KEYS:
            raise SignatureNotFoundError(key, available=[str(self._signature)])
        return self.signatures


class KerasRuntime(OneCallable):
    """Holds a Keras model and makes the function that calls it for inference.

    Args:
        model: The model, with its weights.
        where: How messages name it.
        static: What inspection knew of its inputs; used where the model itself does not tell.
        route: How it was loaded; empty if somebody else loaded it.
    """

    def __init__(self, model: Any, *, where: str, static: SignatureInfo | None = None, route: str = "") -> None:
        self._tree, signature = _described(model, static or SignatureInfo(key="model", kind="keras"))
        super().__init__(where, signature)
        self.route = route
        self.model = model
        # What somebody else loaded may be new, and is theirs.
        self._unbuilt = [layer for layer in flat_layers(model) if not layer.built] if route else []

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
        """Compile the call with *given* inputs when it is first made; a model that cannot be traced runs eagerly."""
        paths = [path for path, _ in _flat(_nested(self.model, "output"), ())]
        return _Compiled(
            # absent optional inputs are None in the structure
            lambda tensors: _named_outputs(signature, paths, self._call(pack(self._tree, tensors))),
            _specs([info for info in signature.inputs if info.name in given]),
            is_traceable=is_traceable(self.model),
        )

    def _call(self, inputs: Any) -> Any:
        outputs = self.model(inputs, training=False)
        self.require_weights_of_the_file()
        return outputs

    def require_weights_of_the_file(self) -> None:
        """Refuse a model that was never built, once a call has made up weights.

        Raises:
            LoadFailedError: ``load-failed``. A layer has weights now that the file did not hold.
        """
        made = next((layer for layer in self._unbuilt if layer.weights), None)
        if made is not None:
            raise LoadFailedError(
                self.where,
                problem=f"the layer {made.name!r} makes its weights in the first call, and the file holds none for it",
                hint="have its author build the model or call it once, train it, and save it again",
            )

    def close(self) -> None:
        """Forget the model."""
        self.model = None


class _Compiled:
    """A function traced on its first call, or left as it is if tracing fails.

    One trace serves all shapes that the model declares. Custom layers may do what only works with one shape, or only
    eagerly (``.numpy()``, Python control flow over values).

    Args:
        eager: The function.
        specs: What it takes, or None where dtypes or shapes are not known.
        is_traceable: False if a trace would compute something else.

    Attributes:
        plain: The trace for all shapes without its Python layers, taking tensors in the order of their names; None
            before the first call, and if there is none.
    """

    def __init__(
        self, eager: Callable[[Mapping[str, Any]], Any], specs: dict[str, Any] | None, *, is_traceable: bool
    ) -> None:
        self._eager = eager
        self._specs = specs
        self._traced: Any = None
        if is_traceable:
            self._traced = tf.function(_unfused(eager), autograph=False, reduce_retracing=specs is None)
            # TensorFlow counts traces by line of code, here of all models together, and blames this line.
            self._traced._omit_frequent_tracing_warning = True  # noqa: SLF001
        self.plain: EagerFunction | None = None
        self._is_traced = not is_traceable
        self._lock = threading.Lock()

    def __call__(self, tensors: Mapping[str, Any]) -> Any:
        if not self._is_traced:
            self._trace_once(tensors)
        if self.plain is not None and runs_plainly():
            return self.plain([tensors[name] for name in sorted(tensors)])
        return (self._traced or self._eager)(tensors)

    def _trace_once(self, tensors: Mapping[str, Any]) -> None:
        with self._lock:  # other threads wait for the first trace
            if not self._is_traced:
                self._is_traced = self._trace(tensors)

    def _trace(self, tensors: Mapping[str, Any]) -> bool:
        general = self._concrete_function(self._specs) if self._specs is not None else None
        if general is not None:
            self.plain = of_concrete_function(general)
        elif self._concrete_function(tensors) is None:
            self._traced = None
        return True

    def _concrete_function(self, arguments: Mapping[str, Any]) -> Any:
        try:
            with scopes_closed():
                return self._traced.get_concrete_function(arguments)
        except Exception as error:  # noqa: BLE001 - custom layers may raise anything
            raise_interruption(error)
            LOG.info("the model cannot be traced for %s: %s", ", ".join(arguments), error)
            return None


def _unfused(eager: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
    def traced(tensors: Mapping[str, Any]) -> Any:
        result = eager(tensors)
        keep_apart_in(tf.compat.v1.get_default_graph())
        return result

    return traced


def _specs(inputs: Sequence[TensorInfo]) -> dict[str, Any] | None:
    """Return the types of all inputs, if each is a plain tensor of known rank and dtype."""
    if any(info.kind != "tensor" or info.dtype is None or info.shape is None for info in inputs):
        return None
    return {info.name: tf.TensorSpec(info.shape, info.dtype) for info in inputs}


def _described(model: Any, static: SignatureInfo) -> tuple[Any, SignatureInfo]:
    """Return the tree of input slots that the model takes, and its signature with exact shapes and dtypes."""
    flat = _attribute(model, "inputs")
    if not flat:
        return _from_static(static if takes_one_input(model) else replace(static, inputs=()))
    nested = _nested(model, "input")
    names = distinct_names(_layer_name(tensor) for tensor in flat)
    by_id = {id(tensor): name for tensor, name in zip(flat, names, strict=True)}
    tree = _slots(nested, by_id)
    known = {info.name: info for info in static.inputs}
    inputs = tuple(_tensor_info(name, tensor, known.get(name)) for name, tensor in zip(names, flat, strict=True))
    is_flat = isinstance(tree, Slot) or (
        isinstance(tree, (list, tuple)) and all(isinstance(branch, Slot) for branch in tree)
    )
    structure = None if is_flat else CallStructure(args=(("inputs", tree),))
    signature = SignatureInfo(
        "model", "keras", inputs, _outputs(model, static), is_positional=True, structure=structure
    )
    is_stateful = any(getattr(layer, "stateful", False) for layer in flat_layers(model))
    return tree, signature if is_stateful else with_free_batch(signature)


def _from_static(static: SignatureInfo) -> tuple[Any, SignatureInfo]:
    tree: Any = tuple(Slot(info.name) for info in static.inputs)
    return (tree[0] if len(tree) == 1 else tree), static


def _attribute(model: Any, name: str) -> Any:
    """Return an attribute that models which were never called raise for."""
    try:
        return getattr(model, name, None)
    except (AttributeError, ValueError, RuntimeError):
        return None


def _nested(model: Any, name: str) -> Any:
    """Return inputs or outputs as the model nests them; a Sequential that was never called tells the flat list."""
    nested = _attribute(model, name)
    if nested is None:
        flat = _attribute(model, f"{name}s") or []
        nested = flat[0] if len(flat) == 1 else list(flat)
    return nested


def _layer_name(tensor: Any) -> str:
    """Return the name of the layer that makes *tensor*: what Keras users call an input or an output."""
    history = getattr(tensor, "_keras_history", None)
    layer = getattr(history, "operation", None) or getattr(history, "layer", None)
    return str(getattr(layer, "name", None) or tensor.name)


def _is_optional(tensor: Any) -> bool:
    history = getattr(tensor, "_keras_history", None)
    return bool(getattr(getattr(history, "operation", None), "optional", False))


def _slots(nested: Any, names: Mapping[int, str]) -> Any:
    if isinstance(nested, dict):
        return {key: _slots(branch, names) for key, branch in nested.items()}
    if isinstance(nested, (list, tuple)):
        return [_slots(branch, names) for branch in nested]
    return Slot(names[id(nested)])


def _tensor_info(name: str, tensor: Any, known: TensorInfo | None) -> TensorInfo:
    spec = getattr(tensor, "type_spec", None)
    kind = _KINDS.get(type(spec).__name__, "sparse" if getattr(tensor, "sparse", False) else "tensor")
    kind = "ragged" if getattr(tensor, "ragged", False) else kind
    shape = None if getattr(tensor.shape, "rank", 0) is None else tuple(tensor.shape)
    aliases = (
        tuple(dict.fromkeys((*(known.aliases if known else ()), str(tensor.name)))) if str(tensor.name) != name else ()
    )
    dtype = tf.as_dtype(tensor.dtype).name
    ragged_rank = getattr(spec, "ragged_rank", getattr(tensor, "ragged_rank", None))
    return TensorInfo(
        name,
        dtype,
        shape,
        kind=kind,
        aliases=aliases or (known.aliases if known else ()),
        optional=_is_optional(tensor),
        ragged_rank=ragged_rank,
    )


def _outputs(model: Any, static: SignatureInfo) -> tuple[TensorInfo, ...]:
    pairs = list(_flat(_nested(model, "output"), ()))
    paths = [path for path, _ in pairs]
    if all(path and isinstance(path[-1], str) for path in paths):
        names: Any = ("_".join(map(str, path)) for path in paths)
    else:
        recorded = _attribute(model, "output_names") or [info.name for info in static.outputs]
        # Keras lists the names with the keys of dicts sorted.
        is_in_order = len(recorded) == len(pairs) and not any(isinstance(key, str) for path in paths for key in path)
        names = recorded if is_in_order else map(_layer_name, (tensor for _, tensor in pairs))
    return tuple(
        _tensor_info(name, tensor, None) for name, (_, tensor) in zip(distinct_names(names), pairs, strict=True)
    )


def _flat(nested: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield (path, leaf) in the order in which the model lists them; TensorFlow would sort the keys."""
    if isinstance(nested, Mapping):
        for key, branch in nested.items():
            yield from _flat(branch, (*path, key))
    elif isinstance(nested, (list, tuple)):
        for index, branch in enumerate(nested):
            yield from _flat(branch, (*path, index))
    elif nested is not None:
        yield path, nested


def _named_outputs(signature: SignatureInfo, paths: Sequence[Path], result: Any) -> Any:
    """Return one output as it is and several as a dict in declared order; *paths* says where each is found."""
    leaves = dict(_flat(result, ()))
    if len(leaves) == 1:
        return next(iter(leaves.values()))
    if len(leaves) != len(signature.outputs):
        return result
    found = [leaves[path] for path in paths] if leaves.keys() == set(paths) else leaves.values()
    return {info.name: leaf for info, leaf in zip(signature.outputs, found, strict=True)}
