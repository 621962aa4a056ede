"""Any config → `NormalForm`: who wrote it, then every object at every depth. Layer: dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.dialects._eras._keras1 import with_orderings
from safeload.dialects._eras._masks import may_mask_otherwise
from safeload.dialects._functional._model import normalise_model
from safeload.dialects._normal import Flavour, NormalForm
from safeload.dialects._objects import Normaliser
from safeload.dialects._writer import writer_of
from safeload.errors import MalformedArtifactError
from safeload.formats import Format

# Beside the object of the model: keras/src/saving/serialization_lib.py, keras/engine/training.py (to_json of 2.x).
_NOT_OF_THE_MODEL = ("compile_config", "keras_version", "backend")


def normalise(config: Any, metadata: Mapping[str, str], format: Format) -> NormalForm:  # noqa: A002
    """Return the normal form of a model's config.

    Args:
        config: The config as the file has it; not changed.
        metadata: What the file records beside it.
        format: The container.

    Returns:
        The normal form. Keys that Keras 3 does not know and that matter are still in it: `lower` refuses them.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It does not tell what it would compute.
        MalformedArtifactError: ``malformed-artifact``. The config is not that of a model.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str) or "config" not in config:
        raise MalformedArtifactError("model config", problem="it is not a serialized model with class_name and config")
    writer = writer_of(config, metadata, format)
    if writer.flavour is Flavour.KERAS_1:
        config = with_orderings(config, writer.version)
    renamed: dict[str, str] = {}
    normaliser = Normaliser(
        writer,
        lambda value: normalise_model(value, writer, normaliser, renamed),
        has_masks=may_mask_otherwise(config, writer),
    )
    root = {key: value for key, value in config.items() if key not in _NOT_OF_THE_MODEL}
    return NormalForm(normaliser.object(root, "model"), writer, renamed)
