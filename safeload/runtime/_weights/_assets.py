"""Vocabularies and other files that a Keras archive keeps beside its weights.

Layer: runtime.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from safeload.dialects import NormalForm
from safeload.errors import LoadFailedError
from safeload.readers import KerasArtifact
from safeload.runtime._keras._package import flat_layers
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._paths import PathFinder
from safeload.runtime._weights._states import await_idf


def load_assets(model: Any, artifact: KerasArtifact, normal: NormalForm | None) -> None:
    """Give each layer the assets that the archive holds for it.

    A layer reads its assets from a directory, so each gets a private one with the judged contents.

    Raises:
        LoadFailedError: ``load-failed``. Assets belong to no layer of the model.
    """
    if not artifact.assets:
        return
    directories: dict[str, dict[str, bytes]] = {}
    for path, content in artifact.assets.items():
        owner, _, name = path.replace("\\", "/").rpartition("/")
        directories.setdefault(owner, {})[name] = content
    finder = PathFinder(model, LayerOrder(normal), directories)
    for owner, files in directories.items():
        layer = finder.find(owner)
        if layer is None or not hasattr(layer, "load_assets"):
            raise LoadFailedError(
                artifact.where,
                problem=f"no layer takes the assets at {owner!r}",
                hint="use the architecture and the classes that this file was saved from",
            )
        _load(layer, files)


def require_vocabularies(model: Any, artifact: KerasArtifact) -> None:
    """Check that every lookup layer has its vocabulary, which HDF5 files of Keras 2 and 3 leave out.

    Raises:
        LoadFailedError: ``load-failed``. The file does not hold the vocabulary of a layer.
    """
    for layer in flat_layers(model):
        table = getattr(layer, "lookup_table", None)
        if table is not None and not _has_entries(table):
            raise LoadFailedError(
                artifact.where,
                problem=f"the vocabulary of the layer {layer.name!r} is not in the file",
                hint="save the model again as .keras, or export it as a SavedModel",
            )


def _has_entries(table: Any) -> bool:
    import tensorflow as tf

    try:
        return int(table.size()) > 0
    except tf.errors.FailedPreconditionError:
        return False


def _load(layer: Any, files: dict[str, bytes]) -> None:
    await_idf(getattr(layer, "_lookup_layer", layer), files)
    with tempfile.TemporaryDirectory(prefix="safeload-") as directory:
        for name, content in files.items():
            (Path(directory) / Path(name).name).write_bytes(content)
        layer.load_assets(directory)
