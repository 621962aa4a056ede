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
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._paths import PathFinder


def load_assets(model: Any, artifact: KerasArtifact, normal: NormalForm | None) -> None:
    """Give each layer the assets that the archive holds for it.

    A layer reads its assets from a directory, so each gets a private one with the judged contents.

    Raises:
        LoadFailedError: ``load-failed``. Assets belong to no layer of the model.
    """
    finder = PathFinder(model, LayerOrder(normal))
    directories: dict[str, dict[str, bytes]] = {}
    for path, content in artifact.assets.items():
        owner, _, name = path.replace("\\", "/").rpartition("/")
        directories.setdefault(owner, {})[name] = content
    for owner, files in directories.items():
        layer = finder.find(owner)
        if layer is None or not hasattr(layer, "load_assets"):
            raise LoadFailedError(
                artifact.where,
                problem=f"no layer takes the assets at {owner!r}",
                hint="use the architecture and the classes that this file was saved from",
            )
        _load(layer, files)


def _load(layer: Any, files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="safeload-") as directory:
        for name, content in files.items():
            (Path(directory) / Path(name).name).write_bytes(content)
        layer.load_assets(directory)
