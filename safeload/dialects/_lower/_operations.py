"""Nodes of ``keras.ops`` → the arguments that an installed Keras 3 takes. Layer: dialects.

Source:
    ``keras/src/ops/{core,linalg,math,nn,numpy}.py`` of Keras 3.0.0, 3.3.3, 3.6.0, 3.8.0, 3.12.0 and 3.15.1, compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safeload.dialects._functional._operations import EXPORT_HINT
from safeload.dialects._normal import Flavour, KerasTarget, Writer
from safeload.dialects._writer import dicts_in
from safeload.errors import IncompatibleVersionError

# Arguments of a call up to Keras 3.8; later releases take some of them in the constructor.
_CALLS: Mapping[str, tuple[str, ...]] = {
    "Arange": ("start", "stop", "step", "dtype"),
    "Array": ("x", "dtype"),
    "DotProductAttention": ("query", "key", "value", "bias", "mask", "scale", "flash_attention"),
    "Full": ("shape", "fill_value", "dtype"),
    "FullLike": ("x", "fill_value", "dtype"),
    "Isclose": ("x1", "x2", "rtol", "atol", "equal_nan"),
    "OnesLike": ("x", "dtype"),
    "Scatter": ("indices", "values", "shape"),
    "SearchSorted": ("sorted_sequence", "values", "side"),
    "Slice": ("inputs", "start_indices", "shape"),
    "ZerosLike": ("x", "dtype"),
}
# Keys of a constructor that have two names: that up to Keras 3.0 or 3.8, and that of later releases.
_RENAMED: Mapping[str, Mapping[str, str]] = {
    "MultiHot": {"num_tokens": "num_classes"},
    "Reshape": {"new_shape": "newshape"},
    "Threshold": {"threshold_value": "threshold", "value": "default_value"},
}
# What a release without the key computes; for every other key it is None.
_NEUTRAL: Mapping[tuple[str, str], Any] = {("FFT", "axis"): -1, ("Cholesky", "upper"): False}
_Meanings = tuple[tuple[tuple[int, ...], str], ...]
# keras/src/utils/numerical_utils.py of 3.3.3 and 3.4.1, and of tf_keras 2.21.
_COLUMNS: _Meanings = (
    ((), "takes off the last axis of a column"),
    ((3,), "leaves the last axis of a column"),
    ((3, 4), "takes off the last axis of a column"),
)
# Class → what it computes in inference, with the first release that does.
# keras/src/backend/tensorflow/numpy.py (correlate) of 3.3.3, 3.12.0 and 3.13.0;
# keras/src/backend/tensorflow/nn.py (dot_product_attention) of 3.5.0 to 3.7.0;
# keras/src/layers/preprocessing/image_preprocessing/random_crop.py of 3.5.0 to 3.8.0.
_MEANINGS: Mapping[str, _Meanings] = {
    "DotProductAttention": (((), "scales the logits"), ((3, 6), "squares the logits"), ((3, 7), "scales the logits")),
    "RandomCrop": (((), "resizes images"), ((3, 6), "cuts images off"), ((3, 8), "leaves images alone")),
    "padded Correlate": (((), "shifts or cuts off the result"), ((3, 13), "does what NumPy does")),
    **dict.fromkeys(("one-hot CategoryEncoding", "one-hot Discretization"), _COLUMNS),
}


def require_same_meaning(config: Any, writer: Writer, target: KerasTarget) -> None:
    """Refuse a model with a class of Keras that *writer* and *target* compute differently under one name.

    Raises:
        IncompatibleVersionError: ``incompatible-version``.
    """
    meanings = {name: (_possible(found, writer), _meaning(found, target.version)) for name, found in _MEANINGS.items()}
    pairs = ((name, before, now) for name, (possible, now) in meanings.items() for before in possible)
    changed = {name: (before, now) for name, before, now in pairs if before != now}
    for name in filter(changed.__contains__, _class_names(config) if changed else ()):
        before, now = changed[name]
        release = ".".join(map(str, writer.version)) or "of an unknown release"
        meant = f"{name} {before} in Keras {release}, which wrote the file"
        raise _refusal("$", f"{meant}, and {now} in {target}")


def _possible(meanings: _Meanings, writer: Writer) -> list[str | None]:
    """What *writer* computes, or may compute where its release is not known."""
    if writer.version or writer.flavour is not Flavour.KERAS_3:
        return [_meaning(meanings, writer.version)]
    later = [
        what for first, what in meanings if writer.since < first and not (writer.before and writer.before <= first)
    ]
    return [_meaning(meanings, writer.since), *later]


def _meaning(meanings: _Meanings, version: tuple[int, ...]) -> str | None:
    return next((what for first, what in reversed(meanings) if version >= first), None)


def _class_names(config: Any) -> Iterator[str]:
    for value in dicts_in(config):
        name, module = value.get("class_name"), value.get("module")
        if isinstance(name, str) and isinstance(module, str) and module.partition(".")[0] == "keras":
            yield _kind(value.get("config")) + name


def _kind(config: Any) -> str:
    """Return what stands before the name of a class that means something else with these arguments alone."""
    if not isinstance(config, dict):
        return ""
    is_padded = config.get("mode") in ("same", "full")
    return "one-hot " if config.get("output_mode") == "one_hot" else "padded " if is_padded else ""


def lower_operation(
    value: dict[str, Any], accepted: frozenset[str] | None, *, target: KerasTarget, where: str
) -> dict[str, Any]:
    """Return the node *value* with each argument where *target* takes it: in the constructor or in the call.

    Args:
        value: A serialized operation, with its calls.
        accepted: Keywords that the constructor takes in *target*, or None if it takes any.
        target: The installed Keras.
        where: Place in the config.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. *target* does not take an argument that matters.
    """
    name, config = value["class_name"], value["config"]
    if accepted is None or not isinstance(config, dict):
        return value
    config = {_key_in(accepted, name, key): item for key, item in config.items()}
    if name in _CALLS and isinstance(value.get("inbound_nodes"), list):
        config, nodes = _moved(name, config, value["inbound_nodes"], accepted, where)
        value = {**value, "inbound_nodes": nodes}
    kept = {key: item for key, item in config.items() if key in accepted or not _may_go(name, key, item)}
    for key in sorted(kept.keys() - accepted):
        raise _refusal(where, f"{name} has {key}={str(kept[key])[:60]}, which {target} does not take")
    return {**value, "config": kept}


def _key_in(accepted: frozenset[str], name: str, key: str) -> str:
    for old, new in _RENAMED.get(name, {}).items():
        if key in (old, new):
            return new if new in accepted else old
    return key


def _moved(
    name: str, config: dict[str, Any], nodes: list[Any], accepted: frozenset[str], where: str
) -> tuple[dict[str, Any], list[Any]]:
    """Return config and calls, in which each argument of `_CALLS` stands where *accepted* says."""
    calls = [_bound(name, node, config, where) for node in nodes]
    in_constructor = accepted.intersection(_CALLS[name])
    for_calls = {key: item for key, item in config.items() if key in _CALLS[name] and key not in in_constructor}
    config = {key: item for key, item in config.items() if key not in for_calls}
    given = {key: call[key] for call in calls for key in in_constructor & call.keys()}
    if any(call.get(key) != item for call in calls for key, item in given.items()):
        raise _refusal(where, f"{name} is called with different values of {', '.join(sorted(given))}")
    kwargs = [{key: item for key, item in call.items() if key not in given} for call in calls]
    return {**config, **given}, [{"args": [], "kwargs": {**for_calls, **call}} for call in kwargs]


def _bound(name: str, node: Any, config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the arguments of one call by name; those in *config* are no arguments of the call."""
    names = [key for key in _CALLS[name] if key not in config]
    args, kwargs = node.get("args", ()), node.get("kwargs", {})
    if len(args) > len(names):
        raise _refusal(where, f"{name} is called with {len(args)} arguments")
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _may_go(name: str, key: str, value: Any) -> bool:
    return key == "name" or value == _NEUTRAL.get((name, key))


def _refusal(where: str, problem: str) -> IncompatibleVersionError:
    return IncompatibleVersionError(where, problem=problem, hint=EXPORT_HINT)
