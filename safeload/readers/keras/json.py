"""Keras architectures as JSON: what ``model.to_json()`` writes. Layer: readers.

Source: keras/engine/network.py (Keras 2.3), keras/src/models/model.py (Keras 3.15.1): ``to_json``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safeload.errors import MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format, detect, open_source
from safeload.readers._artifact import KerasArtifact
from safeload.readers._digest import keras_digest
from safeload.readers._json import parse_json

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from safeload._limits import Limits
    from safeload.formats import Detection

METADATA = ("keras_version", "backend")
"""What Keras records about itself beside a config."""


def read_keras_json(detection: Detection, limits: Limits) -> KerasArtifact:
    """Read an architecture without weights.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. It is no strict JSON, or no serialized Keras object.
        LimitExceededError: ``limit-exceeded``. One of the limits.
    """
    content = detection.file.read_whole(detection.where, limit="max_config_bytes", allowed=limits.max_config_bytes)
    config = parse_json(content, where=detection.where, limits=limits)
    if isinstance(config, str):  # json.dump(model.to_json(), file): JSON twice over, which users write often
        config = parse_json(config, where=detection.where, limits=limits)
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise MalformedArtifactError(
            detection.where,
            problem="no Keras architecture: the keys class_name and config are missing",
            hint="write the file with model.to_json(): what model.get_config() returns does not name the model's class",
        )
    artifact = KerasArtifact(
        format=Format.KERAS_JSON,
        where=detection.where,
        config=config,
        training_config=config.get("compile_config"),
        metadata=metadata_of(config),
        size=len(content),
    )
    return replace(artifact, digest=keras_digest(artifact, content))


def metadata_of(recorded: Mapping[str, Any]) -> dict[str, str]:
    """Return what Keras *recorded* about itself."""
    return {key: recorded[key] for key in METADATA if isinstance(recorded.get(key), str)}


def with_architecture(artifact: KerasArtifact, path: str | os.PathLike[str], limits: Limits) -> KerasArtifact:
    """Give weights the architecture that a JSON file holds.

    Args:
        artifact: Weights alone.
        path: Of the JSON file; never YAML.
        limits: See `Limits`.

    Returns:
        The same artifact with the config, and with the metadata of the JSON file where it has any: what a config means
        depends on who wrote the config. Its digest covers both.

    Raises:
        UnsupportedFormatError: ``unsupported-format``. The file is something other than JSON, YAML among them.
        ArtifactNotFoundError: ``artifact-not-found``. There is no such file.
        MalformedArtifactError: ``malformed-artifact``. See `read_keras_json`.
    """
    if isinstance(path, str) and path.lstrip().startswith("{"):
        raise UnsupportedFormatError(
            "architecture",
            kind="the JSON itself, not the path of a file",
            remedy="write it to a file and pass that",
        )
    detection = detect(open_source(path))
    if detection.format is not Format.KERAS_JSON:
        detection.source.close()
        kind = detection.kind or f"of the format {detection.format.value}, not a Keras architecture in JSON"
        remedy = detection.remedy or "pass the path of a file with model.to_json(), or a function that builds it"
        raise UnsupportedFormatError(detection.where, kind=kind, remedy=remedy)
    architecture = read_keras_json(detection, limits)
    changes: dict[str, Any] = {
        "config": architecture.config,
        "training_config": architecture.training_config,
        "metadata": {**artifact.metadata, **architecture.metadata},
    }
    combined = replace(artifact, **changes)
    return replace(combined, digest=keras_digest(combined, architecture.digest))
