"""Keras models and weights in HDF5. Layer: readers.

Source: keras/engine/saving.py (Keras 2.2), keras/src/legacy/saving/legacy_h5_format.py and
keras/src/saving/saving_lib.py (Keras 3.15.1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError, UnsupportedFormatError
from safeload.formats import HDF5_MARKS, OTHER_HDF5, Format
from safeload.readers._artifact import TOP_LEVEL_WEIGHTS, KerasArtifact, LayerWeights, WeightIndex, WeightLayout
from safeload.readers._digest import keras_digest
from safeload.readers._json import parse_json
from safeload.readers.hdf5.file import Hdf5File
from safeload.readers.keras.json import METADATA

if TYPE_CHECKING:
    from safeload._limits import Limits
    from safeload.formats import Detection
    from safeload.readers._artifact import DatasetInfo
    from safeload.readers.hdf5.plain import Hdf5Structure

_MODEL_WEIGHTS = "model_weights"


def read_keras_hdf5(detection: Detection, limits: Limits) -> KerasArtifact:
    """Read an HDF5 file as a Keras model (it has the attribute ``model_config``) or as weights alone.

    Args:
        detection: Of an HDF5 file.
        limits: See `Limits`.

    Raises:
        UnsupportedFormatError: ``unsupported-format``. It holds neither.
        MalformedArtifactError: ``malformed-artifact``. Broken, or built as no Keras builds it; see
            `Hdf5File.structure`.
        LimitExceededError: ``limit-exceeded``. One of the limits.

    Guarantees:
        No array is read. The file of the artifact is the one that was opened for *detection*, and stays open.
    """
    hdf5 = Hdf5File(detection.file, where=detection.where)
    structure = hdf5.structure(limits)
    text = _text(hdf5, "model_config", limits)
    weights = weight_index(hdf5, structure, limits)
    if text is None and weights.layout is WeightLayout.NONE:
        raise _foreign(hdf5, detection.where)
    artifact = KerasArtifact(
        format=Format.WEIGHTS_HDF5 if text is None else Format.KERAS_HDF5,
        where=detection.where,
        config=_config(text, "model_config", detection.where, limits),
        training_config=_training_config(hdf5, limits),
        metadata=_metadata(hdf5, structure, limits),
        weights=weights,
        weights_file=hdf5,
        size=hdf5.size,
    )
    return replace(artifact, digest=keras_digest(artifact, text or ""))


def _text(hdf5: Hdf5File, name: str, limits: Limits) -> str | None:
    value = hdf5.attribute("", name, max_bytes=limits.max_config_bytes)
    return "".join(value) if isinstance(value, list) else value


def _config(text: str | None, name: str, where: str, limits: Limits) -> object:
    if text is None:
        return None
    tree = parse_json(text, where=f"{where}@{name}", limits=limits)
    if not isinstance(tree, dict):
        raise MalformedArtifactError(f"{where}@{name}", problem="the config is not a JSON object")
    return tree


def _training_config(hdf5: Hdf5File, limits: Limits) -> object:
    """Return the training configuration, which nobody needs to load a model: a broken one counts as none."""
    try:
        return _config(_text(hdf5, "training_config", limits), "training_config", hdf5.where, limits)
    except MalformedArtifactError:
        return None


def _metadata(hdf5: Hdf5File, structure: Hdf5Structure, limits: Limits) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in ("", _MODEL_WEIGHTS):
        for name in METADATA:
            if path in structure.groups and name not in found:
                value = hdf5.attribute(path, name, max_bytes=limits.max_config_bytes)
                found.update({name: value} if isinstance(value, str) else {})
    return found


def weight_index(hdf5: Hdf5File, structure: Hdf5Structure, limits: Limits) -> WeightIndex:
    """Return the arrays of a file, its layout told by content: ``layer_names`` or ``vars`` groups.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. A listed array is missing, a layer or an array is listed twice,
            or an array is of a type that no weight has.
    """
    for root in (_MODEL_WEIGHTS, ""):
        names = hdf5.names(root, "layer_names", max_bytes=limits.max_config_bytes) if root in structure.groups else None
        if names is not None:
            return _legacy_index(hdf5, structure, root, names, limits)
    if not any(_is_object_path(path) for path in structure.groups):
        return WeightIndex()
    _refuse_other_types(hdf5, structure, "")
    return WeightIndex(layout=WeightLayout.OBJECT_PATHS, datasets=_sorted(structure))


def _is_object_path(path: str) -> bool:
    # Keras 2.12 and 2.13 nest under the second name; models without any weight have it or "layers" alone.
    return path.endswith("/vars") or path in ("vars", "_layer_checkpoint_dependencies", "layers")


def _sorted(structure: Hdf5Structure) -> tuple[DatasetInfo, ...]:
    return tuple(structure.datasets[path] for path in sorted(structure.datasets))


def _refuse_other_types(hdf5: Hdf5File, structure: Hdf5Structure, root: str) -> None:
    for path, kind in structure.other.items():
        if not root or path.startswith(f"{root}/"):
            raise MalformedArtifactError(f"{hdf5.where}/{path}", problem=f"holds {kind} where weights are expected")


def _legacy_index(hdf5: Hdf5File, structure: Hdf5Structure, root: str, names: list[str], limits: Limits) -> WeightIndex:
    _refuse_other_types(hdf5, structure, root)
    _refuse_repetition(hdf5.where, "layer", root, names)
    layers = [_layer(hdf5, structure, root, name, limits) for name in names]
    if _joined(root, TOP_LEVEL_WEIGHTS) in structure.groups and TOP_LEVEL_WEIGHTS not in names:
        layers.append(_layer(hdf5, structure, root, TOP_LEVEL_WEIGHTS, limits))
    return WeightIndex(layout=WeightLayout.LEGACY_HDF5, datasets=_sorted(structure), layers=tuple(layers), root=root)


def _layer(hdf5: Hdf5File, structure: Hdf5Structure, root: str, name: str, limits: Limits) -> LayerWeights:
    group = _joined(root, name)
    if group not in structure.groups:
        raise MalformedArtifactError(hdf5.where, problem=f"the layer {name!r} is listed and has no group")
    weight_names = hdf5.names(group, "weight_names", max_bytes=limits.max_config_bytes) or []
    _refuse_repetition(f"{hdf5.where}/{group}", "array", group, weight_names)
    missing = [w for w in weight_names if _joined(group, w) not in structure.datasets]
    if missing:
        raise MalformedArtifactError(f"{hdf5.where}/{group}", problem=f"the array {missing[0]!r} is listed and missing")
    datasets = tuple(structure.datasets[_joined(group, w)] for w in weight_names)
    return LayerWeights(layer_name=name, weight_names=tuple(weight_names), datasets=datasets)


def _refuse_repetition(where: str, what: str, root: str, names: list[str]) -> None:
    """Refuse a list that names an object twice: every Keras makes what it lists as it lists it, which fails then."""
    seen: set[str] = set()
    for name in names:
        path = _joined(root, name)
        if path in seen:
            raise MalformedArtifactError(where, problem=f"the {what} {name!r} is listed twice")
        seen.add(path)


def _joined(root: str, name: str) -> str:
    # HDF5 passes over empty parts of a path and over ".", and Keras lists names with both as TensorFlow gave them.
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "/".join([root, *parts] if root else parts)


def _foreign(hdf5: Hdf5File, where: str) -> UnsupportedFormatError:
    kind = next((kind for mark, kind in HDF5_MARKS if hdf5.has_attribute(mark)), OTHER_HDF5)
    hdf5.close()
    return UnsupportedFormatError(where, kind=kind.name, remedy=kind.remedy)
