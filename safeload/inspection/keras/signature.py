"""Inputs and outputs of a Keras model, as far as its config records them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from safeload.dialects import dicts_in
from safeload.errors import MalformedArtifactError
from safeload.inspection._info import CallStructure, SignatureInfo, Slot, TensorInfo
from safeload.inspection._walk import is_marker

_KEY = "model"
_History = tuple[str, int, int]


def describe_signature(model: Any, where: str = "$", *, records_tensors: bool = True) -> SignatureInfo:
    """Describe the inputs and outputs that the normal form *model* records.

    Args:
        model: The root of the normal form, or a model inside it.
        where: How messages name it.
        records_tensors: False where the file has no shapes of the tensors between layers, as before Keras 3, so that
            those of the normal form mean nothing.

    Returns:
        Inputs in the model's order. Dtypes and shapes that only building would tell are None;
        a model that records no inputs has none here.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The layers are no list of objects, or the ends name no layers.
    """
    signature = _recorded(model, where, records_tensors=records_tensors)
    free = with_free_batch(signature)
    return free if free is signature or not _is_stateful(model) else signature


def with_free_batch(signature: SignatureInfo) -> SignatureInfo:
    """Return *signature* for any number of rows.

    Keras records the batch of the data that a Sequential model was first called with, and takes any other one. Only
    stateful layers keep a state for each row. Source: ``shape_with_no_batch_size`` in keras/src/models/functional.py
    (3.15.1) and tf_keras/src/engine/functional.py (2.21).
    """
    sizes = {info.shape[0] for info in signature.inputs if info.shape} - {None}
    if not sizes:
        return signature
    inputs, outputs = ([_free(info, sizes) for info in infos] for infos in (signature.inputs, signature.outputs))
    return replace(signature, inputs=tuple(inputs), outputs=tuple(outputs))


def _free(info: TensorInfo, sizes: Container[int | None]) -> TensorInfo:
    return replace(info, shape=(None, *info.shape[1:])) if info.shape and info.shape[0] in sizes else info


def _is_stateful(model: Any) -> bool:
    configs = (found.get("config") for found in dicts_in(model))
    return any(isinstance(config, dict) and config.get("stateful") is True for config in configs)


def _recorded(model: Any, where: str, *, records_tensors: bool) -> SignatureInfo:
    config = model.get("config")
    config = config if isinstance(config, dict) else {}
    layers = config.get("layers")
    if layers is not None and not (isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers)):
        raise MalformedArtifactError(where, problem="the layers of the model are no list of objects")
    if "input_layers" in config:
        return _functional(config, where, _recorded_tensors(config) if records_tensors else {})
    if layers:
        return _sequential(model, layers)
    return SignatureInfo(_KEY, "keras", inputs=_built_input(model))


def _functional(config: Mapping[str, Any], where: str, tensors: Mapping[_History, Mapping[str, Any]]) -> SignatureInfo:
    for key in ("input_layers", "output_layers"):
        if not _is_tree(config.get(key)):
            raise MalformedArtifactError(where, problem=f"{key} of the model names no layers: {str(config[key])[:60]}")
    layers = {_name(layer): layer for layer in config.get("layers") or ()}
    ends = config.get("output_layers")
    inputs = [_input(layers.get(history[0]), history[0], key) for key, history in _leaves(config["input_layers"])]
    names = distinct_names(key or history[0] for key, history in _leaves(ends))
    outputs = [_tensor(name, tensors.get(history)) for name, (_, history) in zip(names, _leaves(ends), strict=True)]
    return SignatureInfo(
        _KEY,
        "keras",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        is_positional=True,
        structure=_structure(config["input_layers"], [i.name for i in inputs], ends, names),
    )


def _sequential(model: Mapping[str, Any], layers: list[Any]) -> SignatureInfo:
    first, last = layers[0], layers[-1]
    inputs: tuple[TensorInfo, ...]
    if first.get("class_name") == "InputLayer":
        inputs = (_input(first, _name(first), None),)
    elif isinstance(first.get("config"), dict) and "layers" in first["config"]:
        inputs = describe_signature(first).inputs
    else:
        inputs = _built_input(model)
    return SignatureInfo(_KEY, "keras", inputs=inputs, outputs=(TensorInfo(_name(last)),), is_positional=True)


def _built_input(model: Mapping[str, Any]) -> tuple[TensorInfo, ...]:
    build = model.get("build_config")
    shape = _shape(build.get("input_shape")) if isinstance(build, dict) else None
    return () if shape is None else (TensorInfo("inputs", shape=shape),)


def _input(layer: Any, name: str, key: str | None) -> TensorInfo:
    config = layer.get("config") if isinstance(layer, dict) else None
    config = config if isinstance(config, dict) else {}
    dtype = config.get("dtype")
    kind = next((kind for kind in ("sparse", "ragged") if config.get(kind)), "tensor")
    return TensorInfo(
        name=name,
        dtype=dtype if isinstance(dtype, str) else None,
        shape=_shape(config.get("batch_shape")),
        kind=kind,
        aliases=(key,) if key not in {None, name} else (),
        optional=bool(config.get("optional")),
    )


def _tensor(name: str, recorded: Mapping[str, Any] | None) -> TensorInfo:
    recorded = recorded or {}
    dtype = recorded.get("dtype")
    return TensorInfo(name, dtype=dtype if isinstance(dtype, str) else None, shape=_shape(recorded.get("shape")))


def _shape(value: Any) -> tuple[int | None, ...] | None:
    is_shape = isinstance(value, list) and all(d is None or isinstance(d, int) for d in value)
    return tuple(value) if is_shape else None


def _name(layer: Any) -> str:
    config = layer.get("config")
    return str(
        layer.get("name") or (config.get("name") if isinstance(config, dict) else None) or layer.get("class_name")
    )


def _recorded_tensors(config: Mapping[str, Any]) -> dict[_History, Mapping[str, Any]]:
    """Collect shapes and dtypes that the nodes record of the tensors they take, by ``keras_history``."""
    found: dict[_History, Mapping[str, Any]] = {}
    for layer in config.get("layers") or ():
        for marker in filter(is_marker, dicts_in(layer.get("inbound_nodes"))):
            recorded = marker.get("config")
            if isinstance(recorded, dict) and _is_history(recorded.get("keras_history")):
                found.setdefault(tuple(recorded["keras_history"][:3]), recorded)
    return found


def _is_history(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 3 and [type(part) for part in value[:3]] == [str, int, int]


def _is_tree(value: Any) -> bool:
    if value is None or _is_history(value):
        return True
    branches = list(value.values()) if isinstance(value, dict) else value
    return isinstance(branches, list) and all(branch is not None and _is_tree(branch) for branch in branches)


def _leaves(tree: Any, key: str | None = None) -> Iterator[tuple[str | None, _History]]:
    """Yield the ``[layer, node, tensor]`` leaves of ``input_layers`` or ``output_layers``, each with its dict key."""
    if _is_history(tree):
        yield key, tuple(tree[:3])
    elif isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _leaves(branch, name)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _leaves(branch, key)


def listed_outputs(config: Any) -> list[str]:
    """Return the names of the outputs of a Functional model; empty unless its config lists them one by one."""
    ends = config.get("output_layers") if isinstance(config, dict) else None
    if not (isinstance(ends, list) and all(map(_is_history, ends))):
        return []
    return distinct_names(name for name, *_ in ends)


def distinct_names(names: Iterable[str]) -> list[str]:
    """Number repeated names as Keras numbers outputs of one layer: ``lstm``, ``lstm_1``.

    Source: ``Functional._set_output_names`` in tf_keras/src/engine/functional.py (2.21), which passes over the numbers
    that names of other layers have taken.
    """
    taken: dict[str, None] = {}
    counts: Counter[str] = Counter()
    for name in names:
        proposal = name
        while proposal in taken:
            counts[name] += 1
            proposal = f"{name}_{counts[name]}"
        taken[proposal] = None
    return list(taken)


def _structure(inputs: Any, input_names: list[str], outputs: Any, output_names: list[str]) -> CallStructure | None:
    if _is_flat(inputs) and _is_flat(outputs):
        return None
    return CallStructure(
        args=(("inputs", _slots(inputs, iter(input_names).__next__)),),
        outputs=_slots(outputs, iter(output_names).__next__),
    )


def _is_flat(tree: Any) -> bool:
    return tree is None or _is_history(tree) or (isinstance(tree, list) and all(map(_is_history, tree)))


def _slots(tree: Any, next_name: Callable[[], str]) -> Any:
    if _is_history(tree):
        return Slot(next_name())
    if isinstance(tree, dict):
        return {key: _slots(branch, next_name) for key, branch in tree.items()}
    return [_slots(branch, next_name) for branch in tree or ()]
