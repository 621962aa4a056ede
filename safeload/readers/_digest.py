"""The content digest of a Keras artifact. Layer: readers; standard library alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from safeload.readers._json import canonical_json

if TYPE_CHECKING:
    from safeload.readers._artifact import DatasetInfo, KerasArtifact


def keras_digest(artifact: KerasArtifact) -> str:
    """Return the SHA-256 of what is judged of a Keras artifact, in hex.

    That is its format, config, metadata, assets and the names, shapes, dtypes and order of its arrays. The training
    configuration and the values of the arrays are not part of it: neither is read to judge a model.
    """
    weights = artifact.weights
    content = {
        "format": artifact.format.value,
        "config": artifact.config,
        "metadata": dict(sorted(artifact.metadata.items())),
        "assets": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(artifact.assets.items())},
        "layout": weights.layout.value,
        "datasets": [_facts(d) for d in weights.datasets],
        "layers": [[g.layer_name, g.weight_names, [d.path for d in g.datasets]] for g in weights.layers],
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _facts(dataset: DatasetInfo) -> list[object]:
    return [dataset.path, dataset.shape, dataset.dtype]
