"""How much the weights of a model are, from their index alone. Layer: inspection."""

from __future__ import annotations

import math
from collections.abc import Iterator

from safeload.inspection._info import WeightsInfo
from safeload.readers import DatasetInfo, WeightIndex, WeightLayout

# Groups and keys that hold what only training needs: keras/src/saving/saving_lib.py of Keras 3.15.1 ("optimizer"),
# tf_keras 2.21 ("optimizer", "_optimizer", "metrics"), TensorFlow checkpoints (".OPTIMIZER_SLOT", "save_counter").
_TRAINING_ARRAYS = (
    "optimizer/",
    "_optimizer/",
    "optimizer_weights/",
    "metrics/",
    "keras_api/metrics/",
    "save_counter/",
)
_RANDOM_STATE = "/seed_generator/vars/"
"""State of a Keras 3 layer that draws random numbers: neither Keras nor this counts it among the weights."""


def describe_weights(weights: WeightIndex) -> WeightsInfo | None:
    """Count and size what *weights* lists, or return None where there are no weights."""
    if weights.layout is WeightLayout.NONE:
        return None
    own = list(own_arrays(weights))
    total, size = sum(d.nbytes for d in weights.datasets), sum(d.nbytes for d in own)
    return WeightsInfo(len(own), sum(math.prod(d.shape) for d in own), size, max(0, total - size))


def own_arrays(weights: WeightIndex) -> Iterator[DatasetInfo]:
    """Yield the arrays that the model itself needs, in the order of the index."""
    if weights.layout is WeightLayout.LEGACY_HDF5:
        yield from (d for layer in weights.layers for d in layer.datasets)
        return
    yield from (dataset for dataset in weights.datasets if not _is_for_training(dataset.path))


def _is_for_training(path: str) -> bool:
    return path.startswith(_TRAINING_ARRAYS) or ".OPTIMIZER_SLOT" in path or _RANDOM_STATE in path
