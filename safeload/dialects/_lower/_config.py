"""The normal form → the config that an installed Keras understands. Layer: dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.dialects._catalogue import KerasClass, find_class, is_builtin, kind_of, newest_release, numbers_of
from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._eras._masks import LAYERS, is_of_keras_2
from safeload.dialects._functional._graph import FUNCTIONAL_KEYS
from safeload.dialects._lower import _tf_keras
from safeload.dialects._lower._graph import graph_for
from safeload.dialects._lower._operations import lower_operation, require_same_meaning
from safeload.dialects._normal import KerasTarget, NormalForm
from safeload.dialects._values import NESTED
from safeload.errors import IncompatibleVersionError

# Names that releases of Keras 3 gave one class: keras/src/initializers/__init__.py, "For compatibility".
_PAIRS = (
    ("Orthogonal", "OrthogonalInitializer"),
    ("Identity", "IdentityInitializer"),
    ("STFT", "STFTInitializer"),
    ("GroupQueryAttention", "GroupedQueryAttention"),
    ("DTypePolicy", "FloatDTypePolicy"),
)
_OTHER_NAMES = {name: other for pair in _PAIRS for name, other in (pair, pair[::-1])}
_OLDEST_READ = (3, 0, 5)
# Values that mean the same as the default: what releases write for "off" beside it.
_ALSO_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "ragged": (False,),
    "autocast": (True,),
    "vocabulary_size": (None,),
    # Layers without the keyword follow keras.config.image_data_format(), which a load sets.
    "data_format": ("channels_last",),
}

# Classes whose own name changed; the public name was there before: keras/src/initializers of 3.6.0 and 3.7.0.
_RENAMED = {"Orthogonal": (3, 7)}
# Kinds whose configs are the arguments of the constructor, so that its keywords say what it takes.
_CHECKED_KINDS = frozenset({"layer", "initializer", "regularizer", "constraint"})


def lower(normal: NormalForm, target: KerasTarget) -> Any:
    """Return the config of *normal* for *target*.

    Args:
        normal: What `normalise` made.
        target: The installed Keras.

    Returns:
        A new config. It differs from the normal form only by keys that hold their recorded default, and by names.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. The target lacks a class, or a key that matters, or
            computes something else under the same name.
    """
    require_same_meaning(normal.config, normal.writer, target)
    return _value(normal.config, target, "$")


def _value(value: Any, target: KerasTarget, where: str) -> Any:
    if isinstance(value, list):
        return [_value(item, target, f"{where}[{i}]") if type(item) in NESTED else item for i, item in enumerate(value)]
    lowered = {
        key: _value(item, target, f"{where}.{key}") if type(item) in NESTED else item for key, item in value.items()
    }
    if isinstance(value.get("class_name"), str):
        lowered = _model_and_values(lowered, target, where)
    module, name = value.get("module"), value.get("class_name")
    is_known = isinstance(module, str) and isinstance(name, str) and is_builtin(module, name)
    return _object(lowered, target, where) if is_known else lowered


def _model_and_values(value: dict[str, Any], target: KerasTarget, where: str) -> dict[str, Any]:
    """Return an object, of a custom class too, with what Keras itself reads of its config as *target* writes it."""
    config = value.get("config")
    if not isinstance(config, dict):
        return value
    is_functional = config.keys() >= FUNCTIONAL_KEYS
    if target.package == _tf_keras.PACKAGE:
        config = _tf_keras.with_keras_2_values(config, where)
        config = config if is_builtin(value.get("module"), value["class_name"]) else _tf_keras.with_names(config)
        config = _tf_keras.with_keras_2_nodes(config, where) if is_functional else config
    elif is_functional:
        config = graph_for(config, target.version, where)
    return {**value, "config": config}


def _object(value: dict[str, Any], target: KerasTarget, where: str) -> Any:
    module, name = value["module"], value["class_name"]
    if target.package == _tf_keras.PACKAGE:
        return _object_of_keras_2(value, target, where)
    if kind_of(module, name) == "operation":
        accepted = _find(module, name, target, where)[1]
        return lower_operation(value, accepted, target=target, where=where)
    if module == COMPAT_MODULE or kind_of(module, name) not in _CHECKED_KINDS:
        return value
    return _checked(value, target, where)


def _object_of_keras_2(value: dict[str, Any], target: KerasTarget, where: str) -> Any:
    name = value["class_name"]
    module = LAYERS if is_of_keras_2(value["module"], name) else value["module"]
    value = {**value, "module": module}
    kind = kind_of(module, name)
    if kind == "dtype policy":
        return _tf_keras.dtype_name(value, where)
    # Keras 3 and tf_keras build their own layers from their inputs; the recorded shapes have another nesting.
    value = {key: item for key, item in value.items() if key != "build_config"}
    if module == COMPAT_MODULE or kind == "operation":
        _find(module, name, target, where)
    if kind not in _CHECKED_KINDS or not isinstance(value["config"], dict):
        return value
    if module == COMPAT_MODULE:
        return {**value, "config": _tf_keras.with_required_keys(name, value["config"])}
    checked = _checked({**value, "config": _tf_keras.with_keras_2_keys(name, value["config"])}, target, where)
    return {**checked, "config": _tf_keras.with_required_keys(name, checked["config"])}


def _checked(value: dict[str, Any], target: KerasTarget, where: str) -> dict[str, Any]:
    """Return an object of a class that *target* has, without keys that it does not take and that hold the default."""
    module = value["module"]
    name, accepted = _find(module, value["class_name"], target, where)
    config = value["config"]
    if accepted is None or not isinstance(config, dict):
        return {**value, "class_name": name}
    known = find_class(module, value["class_name"])
    if config.keys() <= accepted:
        return {**value, "class_name": name}
    taken = accepted.union(_taken_from_kwargs(known, target, accepted), _tf_keras.taken_from_kwargs(target.package))
    kept = {key: item for key, item in config.items() if key in accepted or not _may_go(known, key, item)}
    unknown = sorted(kept.keys() - taken)
    if unknown:
        raise _unknown_key(where, name, unknown[0], config[unknown[0]], known, target)
    return {**value, "class_name": name, "config": kept}


def _taken_from_kwargs(known: KerasClass | None, target: KerasTarget, accepted: frozenset[str]) -> frozenset[str]:
    """Return keys that a release not newer than *target* takes: some constructors read them from ``**kwargs``.

    One that does not take ``trainable``, which is Layer's, has no ``**kwargs``.
    """
    if known is None or target.package != "keras" or "trainable" not in accepted:
        return frozenset()
    return frozenset(
        k for k, (first, _) in known.keys.items() if numbers_of(first) <= max(target.version, _OLDEST_READ)
    )


def _may_go(known: KerasClass | None, key: str, value: Any) -> bool:
    return known is not None and (known.is_neutral(key, value) or value in _ALSO_NEUTRAL.get(key, ()))


def _find(module: str, name: str, target: KerasTarget, where: str) -> tuple[str, frozenset[str] | None]:
    """Return the name under which *target* has the class, and the keywords that it takes."""
    names = (name, _OTHER_NAMES.get(name))
    for candidate in reversed(names) if name in _RENAMED and target.version < _RENAMED[name] else names:
        if candidate is not None:
            try:
                return candidate, target.accepts(module, candidate)
            except KeyError:
                continue
    known = find_class(module, name)
    instead = "pass architecture=, a function that builds the model with a class of your own in its place"
    if target.package == _tf_keras.PACKAGE:
        raise _tf_keras.of_keras_3_alone(where, module, name, target)
    raise IncompatibleVersionError(
        where,
        problem=f"{target} has no {module}.{name}",
        hint=f"it came with Keras {known.first_release}; install a release that has it" if known else instead,
    )


def _unknown_key(
    where: str, name: str, key: str, value: Any, known: KerasClass | None, target: KerasTarget
) -> IncompatibleVersionError:
    first = known.keys[key][0] if known and key in known.keys else None
    newer = f"a release newer than {newest_release()}"
    return IncompatibleVersionError(
        where,
        problem=f"{name} has {key}={str(value)[:60]!s}, which {target} does not take",
        hint=f"Keras {first} and later know it" if first else f"{newer} wrote it, or one that is gone; save it again",
    )
