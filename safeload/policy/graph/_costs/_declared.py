"""What attributes alone make ops allocate: shapes of elements and features, tables, buffers. Layer: policy.

Nothing of it is passed on: other outputs of these ops, and handles, are small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeload.policy.graph._constants._numbers import largest, numbers, padded, product
from safeload.policy.graph._constants._values import declared_elements
from safeload.readers.protobuf import dtype_bytes, dtype_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._facts import Facts

_TEXT = 24
"""Bytes of the object that a tensor of texts has for each."""
_NUMBER = 4
"""Bytes of an element whose dtype is not written, as it is where that is the default."""
_TENSOR = 32
"""Bytes of the object that a list of tensors has for each."""
_BUCKETS = 1 << 17
"""Places of a dense table, where their number is not written. Source: op definition of MutableDenseHashTable (2.21)."""


def declared_bytes(facts: Facts, node: Node) -> int:
    """Return how many bytes *node*, one of `DECLARED`, makes at least."""
    first = facts.reference(node.body, node.inputs[0]).elements if node.inputs else 0
    return DECLARED[node.op](node.proto.attr, first)


def element_bytes(dtype: int) -> int:
    """Return how many bytes an element takes, that of a text without its characters."""
    return dtype_bytes(dtype_name(dtype) or "") or _TEXT


def _written(attributes: Any, key: str) -> int:
    return element_bytes(attributes[key].type) if key in attributes else _NUMBER


def _shape(key: str, dtype: str) -> Callable[[Any, int], int]:
    def rule(attributes: Any, _: int) -> int:
        return declared_elements(attributes[key].shape) * _written(attributes, dtype) if key in attributes else 0

    return rule


def _shapes(*keys: tuple[str, str]) -> Callable[[Any, int], int]:
    """Return the rule of ops that make a tensor of each of a list of shapes; *keys* name these and their dtypes."""

    def rule(attributes: Any, _: int) -> int:
        found = [(attributes[key].list.shape, attributes[dtype].list.type) for key, dtype in keys if key in attributes]
        # TensorFlow refuses lists that are not as long as each other.
        return sum(
            declared_elements(shape) * element_bytes(kind)
            for shapes, kinds in found
            for shape, kind in zip(shapes, kinds, strict=False)
        )

    return rule


def _products(*keys: str, each: int = _NUMBER) -> Callable[[Any, int], int]:
    """Return the rule of ops that make as many elements as several attributes multiplied; -1 stands for data."""
    return lambda attributes, _: (
        each * product(tuple(max(1, number) for key in keys for number in numbers(attributes, key, 1)))
    )


def _table(attributes: Any, key: int) -> int:
    buckets = largest(numbers(attributes, "initial_num_buckets", _BUCKETS))
    value = declared_elements(attributes["value_shape"].shape) if "value_shape" in attributes else 1
    return buckets * max(_written(attributes, "value_dtype") * value, _written(attributes, "key_dtype") * key)


def _dilated(attributes: Any, _: int) -> int:
    # Between two elements of an axis are as many holes.
    between = tuple(1 + number for number in numbers(attributes, "lhs_dilation") if number > 1)
    return _NUMBER * max(padded(numbers(attributes, "explicit_padding")), product(between))


def _apart(attributes: Any, _: int) -> int:
    return _NUMBER * product(tuple(1 + max(0, number) for number in numbers(attributes, "paddings")))


DECLARED: dict[str, Callable[[Any, int], int]] = {
    # An element that was not written is read as zeros.
    **dict.fromkeys(
        (
            "TensorArray", "TensorArrayGather", "TensorArrayGatherV2", "TensorArrayGatherV3", "TensorArrayPack",
            "TensorArrayV2", "TensorArrayV3",
        ),
        _shape("element_shape", "dtype"),
    ),
    "TensorListConcat": _shape("element_shape", "element_dtype"),
    **dict.fromkeys(
        ("TensorArrayConcat", "TensorArrayConcatV2", "TensorArrayConcatV3"), _shape("element_shape_except0", "dtype")
    ),
    **dict.fromkeys(("AccumulateNV2", "ParallelConcat"), _shape("shape", "T")),
    "XlaSpmdShardToFullShape": _shape("full_shape", "T"),
    **dict.fromkeys(
        (
            "AnonymousMutableHashTableOfTensors", "MutableHashTableOfTensors", "MutableHashTableOfTensorsV2",
        ),
        _shape("value_shape", "value_dtype"),
    ),
    **dict.fromkeys(("AnonymousMutableDenseHashTable", "MutableDenseHashTable", "MutableDenseHashTableV2"), _table),
    # What an example does not have is made as well.
    **dict.fromkeys(
        (
            "ExperimentalParseExampleDataset", "ParseExample", "ParseExampleDataset", "ParseExampleDatasetV2",
            "ParseExampleV2", "ParseSingleExample",
        ),
        _shapes(("dense_shapes", "Tdense")),
    ),
    **dict.fromkeys(
        ("ParseSequenceExample", "ParseSequenceExampleV2", "ParseSingleSequenceExample"),
        _shapes(("context_dense_shapes", "Tcontext_dense"), ("feature_list_dense_shapes", "feature_list_dense_types")),
    ),
    "MapDefun": _shapes(("output_shapes", "output_types")),
    **dict.fromkeys(
        ("BoostedTreesAggregateStats", "BoostedTreesMakeStatsSummary", "BoostedTreesSparseAggregateStats"),
        _products("max_splits", "num_buckets", "num_features", each=2 * _NUMBER),
    ),
    "BoostedTreesCalculateBestGainsPerFeature": _products("max_splits", "num_features"),
    **dict.fromkeys(
        ("BoostedTreesExampleDebugOutputs", "BoostedTreesPredict", "BoostedTreesTrainingPredict"),
        _products("logits_dimension"),
    ),
    "ConvertToCooTensor": _products("sample_count"),
    "DecodeWav": _products("desired_channels", "desired_samples"),
    # A batch is filled up to one of the sizes.
    **dict.fromkeys(
        ("Batch", "BatchFunction"),
        lambda attributes, _: _TENSOR * max(
            largest(numbers(attributes, key)) for key in ("allowed_batch_sizes", "low_priority_allowed_batch_sizes")
        ),
    ),
    "PrefetchDataset": _products("buffer_size_min", each=_TENSOR),
    **dict.fromkeys(("UniformQuantizedConvolution", "UniformQuantizedConvolutionHybrid"), _dilated),
    **dict.fromkeys(("ReadVariableXlaSplitND", "XlaSplitND"), _apart),
}  # fmt: skip
"""How many bytes an op makes at least, as its attributes say, and how many elements its first input has.

Source: op definitions of TensorFlow 2.21, and their kernels.
"""
