"""The content digest of a Keras artifact. Layer: readers; standard library alone."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safeload.readers._artifact import DatasetInfo, KerasArtifact


def keras_digest(artifact: KerasArtifact, config: str | bytes = b"") -> str:
    """Return the SHA-256 of what is judged of a Keras artifact, in hex.

    That is its format, config, metadata, assets and the names, shapes, dtypes and order of its arrays. The training
    configuration and the values of the arrays are not part of it: neither is read to judge a model.

    Args:
        artifact: It, without its digest.
        config: The text of its config as the file has it, or the digest of the file that it comes from: to hash that
            takes a tenth of what writing the config anew does.
    """
    weights = artifact.weights
    content = {
        "format": artifact.format.value,
        "config": _hash(config if isinstance(config, bytes) else config.encode("utf-8", "surrogatepass")),
        "metadata": dict(sorted(artifact.metadata.items())),
        "assets": {name: _hash(data) for name, data in sorted(artifact.assets.items())},
        "layout": weights.layout.value,
        "datasets": [_facts(d) for d in weights.datasets],
        "layers": [[g.layer_name, g.weight_names, [d.path for d in g.datasets]] for g in weights.layers],
    }
    return _hash(json.dumps(content).encode("ascii"))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _facts(dataset: DatasetInfo) -> list[object]:
    return [dataset.path, dataset.shape, dataset.dtype]
