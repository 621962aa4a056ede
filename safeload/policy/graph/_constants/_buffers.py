"""How much room datasets make for elements before they have them, by their operands. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.policy.graph._constants._numbers import Ints, largest, product

if TYPE_CHECKING:
    from collections.abc import Callable

ROOM = 32
"""Bytes for an element of a dataset that is not there yet."""
_CYCLE = 256
"""Bytes for an element of those that datasets go through in turn (measured, TensorFlow 2.21: 220)."""
STACK = 1 << 20
"""Bytes for a thread, of its stack and what TensorFlow keeps beside it."""

Fold = tuple[int, "Callable[[Ints], int]"]
"""Which operand of an op decides how much it makes, those below zero from the end, and how."""

BUFFERS: dict[str, Fold] = {
    # Datasets make room for their elements before they have them.
    **dict.fromkeys(
        (
            "BatchDataset",
            "BatchDatasetV2",
            "DenseToSparseBatchDataset",
            "ExperimentalDenseToSparseBatchDataset",
            "ExperimentalSlidingWindowDataset",
            "ParallelBatchDataset",
            "PrefetchDataset",
            "RebatchDatasetV2",
            "ShuffleAndRepeatDataset",
            "ShuffleAndRepeatDatasetV2",
            "ShuffleDataset",
            "ShuffleDatasetV2",
            "ShuffleDatasetV3",
            "SlidingWindowDataset",
            "WindowDataset",
        ),
        (1, lambda counts: ROOM * largest(counts)),
    ),
    **dict.fromkeys(("PaddedBatchDataset", "PaddedBatchDatasetV2"), (1, lambda sizes: ROOM * product(sizes))),
    # What stands behind the arguments of a function is counted from the end.
    **dict.fromkeys(
        ("ExperimentalMapAndBatchDataset", "MapAndBatchDataset"), (-3, lambda counts: ROOM * largest(counts))
    ),
    "InterleaveDataset": (-2, lambda counts: _CYCLE * largest(counts)),
    **dict.fromkeys(
        ("ParallelInterleaveDatasetV2", "ParallelInterleaveDatasetV3"), (-3, lambda counts: _CYCLE * largest(counts))
    ),
    "ParallelInterleaveDatasetV4": (-5, lambda counts: _CYCLE * largest(counts)),
    # These start a thread for each.
    "LegacyParallelInterleaveDatasetV2": (-4, lambda counts: STACK * largest(counts)),
    **dict.fromkeys(
        ("ExperimentalParallelInterleaveDataset", "ParallelInterleaveDataset"),
        (-5, lambda counts: STACK * largest(counts)),
    ),
}
"""Which input decides how much room there is. Source: op definitions of TensorFlow 2.21, and their kernels."""
_AHEAD: Fold = (-1, lambda counts: ROOM * largest(counts))
AHEAD: dict[str, tuple[Fold, ...]] = {
    # Datasets compute as many elements ahead as they may at once, whether somebody takes them or not.
    **dict.fromkeys(
        (
            "ParallelFilterDataset",
            "ParallelInterleaveDatasetV2",
            "ParallelInterleaveDatasetV3",
            "ParallelMapDataset",
            "ParallelMapDatasetV2",
        ),
        (_AHEAD,),
    ),
    **dict.fromkeys(("ExperimentalMapAndBatchDataset", "MapAndBatchDataset"), ((-2, _AHEAD[1]),)),
    **dict.fromkeys(
        ("ExperimentalParseExampleDataset", "ParseExampleDataset", "ParseExampleDatasetV2"), ((1, _AHEAD[1]),)
    ),
    **dict.fromkeys(("MultiDeviceIteratorInit", "ParallelBatchDataset"), ((2, _AHEAD[1]),)),
    "ParallelInterleaveDatasetV4": (_AHEAD, (-2, _AHEAD[1]), (-3, _AHEAD[1])),
    **dict.fromkeys(
        (
            "ExperimentalParallelInterleaveDataset",
            "LegacyParallelInterleaveDatasetV2",
            "ParallelInterleaveDataset",
        ),
        ((-1, _AHEAD[1]), (-2, _AHEAD[1])),
    ),
}
"""Which other inputs do. Source: as above."""
