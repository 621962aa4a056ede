"""A built Keras model (Keras 3 or tf_keras) as a backend of `ModelCallable`. Layer: runtime."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from safeload.errors import SignatureNotFoundError
from safeload.inspection import CallStructure, SignatureInfo, Slot, TensorInfo
from safeload.signatures import pack

_LOG = logging.getLogger("safeload")

_KINDS = {"RaggedTensorSpec": "ragged", "SparseTensorSpec": "sparse"}


class KerasRuntime:
    """Holds a Keras model and makes the function that calls it for inference.

    Args:
        model: The model, with its weights.
        where: How messages name it.
        static: What inspection knew of its inputs; used where the model itself does not tell.
    """

    def __init__(self, model: Any, *, where: str, static: SignatureInfo | None = None) -> None:
        self.where = where
        self.model = model
        self._tree, self._signature = _described(model, static or SignatureInfo(key="model", kind="keras"))

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """The model: a Keras file has one callable."""
        return (self._signature,)

    def traces(self, key: str) -> tuple[SignatureInfo, ...]:
        """Return the model's own signature.

        Raises:
            SignatureNotFoundError: ``signature-not-found``. *key* is not ``"model"``.
        """
        if key != self._signature.key:
            raise SignatureNotFoundError(key, available=[str(self._signature)])
        return self.signatures

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
        """Compile the call with *given* inputs when it is first made; a model that cannot be traced runs eagerly."""
        del given  # absent optional inputs are None in the structure
        return _Compiled(
            lambda tensors: _named_outputs(signature, self.model(pack(self._tree, tensors), training=False))
        )

    def close(self) -> None:
        """Forget the model."""
        self.model = None


class _Compiled:
    """A function traced on its first call, or left as it is if tracing fails.

    Custom layers may do what only works eagerly (``.numpy()``, Python control flow over values).
    """

    def __init__(self, eager: Callable[[Mapping[str, Any]], Any]) -> None:
        self._eager = eager
        self._traced: Any = tf.function(eager, autograph=False, reduce_retracing=True)
        self._works = False

    def __call__(self, tensors: Mapping[str, Any]) -> Any:
        if self._traced is None:
            return self._eager(tensors)
        try:
            result = self._traced(tensors)
        except Exception as error:
            if self._works:
                raise
            _LOG.info("the model cannot be traced and runs eagerly: %s", error)
            self._traced = None
            return self._eager(tensors)
        self._works = True
        return result


def _described(model: Any, static: SignatureInfo) -> tuple[Any, SignatureInfo]:
    """Return the tree of input slots that the model takes, and its signature with exact shapes and dtypes."""
    flat = _attribute(model, "inputs")
    if not flat:
        return _from_static(static)
    nested = _nested(model, "input")
    names = _unique(_layer_name(tensor) for tensor in flat)
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
    return tree, signature


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


def _unique(names: Iterator[str]) -> list[str]:
    """Number repeated names, as Keras numbers layers: ``dense``, ``dense_1``."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(f"{name}_{count}" if count else name)
    return result


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
        names = recorded if len(recorded) == len(pairs) else map(_layer_name, (tensor for _, tensor in pairs))
    return tuple(
        _tensor_info(name, tensor, None) for name, (_, tensor) in zip(_unique(iter(names)), pairs, strict=True)
    )


def _flat(nested: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield (path, leaf) in the order in which the model lists them; TensorFlow would sort the keys."""
    if isinstance(nested, Mapping):
        for key, branch in nested.items():
            yield from _flat(branch, (*path, key))
    elif isinstance(nested, (list, tuple)):
        for index, branch in enumerate(nested):
            yield from _flat(branch, (*path, index))
    elif nested is not None:
        yield path, nested


def _named_outputs(signature: SignatureInfo, result: Any) -> Any:
    """Return one output as it is and several as a dict in declared order."""
    leaves = list(_flat(result, ()))
    if len(leaves) == 1:
        return leaves[0][1]
    if len(leaves) != len(signature.outputs):
        return result
    if all(path and isinstance(path[-1], str) for path, _ in leaves):
        by_name = {"_".join(map(str, path)): leaf for path, leaf in leaves}
        if set(by_name) == {info.name for info in signature.outputs}:
            return {info.name: by_name[info.name] for info in signature.outputs}
    return {info.name: leaf for info, (_, leaf) in zip(signature.outputs, leaves, strict=True)}
