"""Types of what ops make, as far as their nodes say so: TensorInfos need them. Layer: readers."""

from __future__ import annotations

from typing import Any

_MAX_PARTS = 64
"""Outputs of a node that are told apart: no signature has more."""

_FLOAT32, _INT32, _INT64, BOOL = 1, 3, 9, 10
FLOATS = frozenset({1, 2, 14, 19})
HANDLES = frozenset({20, 21})
"""DT_RESOURCE and DT_VARIANT: the lists of tensors that loops leave behind have no value for a caller."""

_TYPE_LISTS = {
    "IdentityN": "T", "PartitionedCall": "Tout", "StatefulPartitionedCall": "Tout", "If": "Tout", "StatelessIf": "Tout",
    "Case": "Tout", "StatelessCase": "Tout", "While": "T", "StatelessWhile": "T",
}  # fmt: skip
"""Ops with one output for each type of an attribute."""
_NUMBERS = {"Split": "num_split", "SplitV": "num_split", "Unpack": "num"}
"""Ops with as many outputs of one type as an attribute says."""
_TYPES: dict[str, tuple[str | int, ...]] = {
    **dict.fromkeys(
        ("Identity", "Softmax", "LogSoftmax", "Sigmoid", "Tanh", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu",
         "Softplus", "Softsign", "BiasAdd", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum", "Add", "AddV2", "AddN",
         "Sub", "Mul", "Div", "RealDiv", "Pow", "Square", "SquaredDifference", "Sqrt", "Rsqrt", "Exp", "Log", "Neg",
         "Abs", "Sign", "Round", "Floor", "Maximum", "Minimum", "ClipByValue", "Select", "SelectV2", "Conv2D",
         "Conv2DBackpropInput", "DepthwiseConv2dNative", "AvgPool", "MaxPool", "DepthToSpace", "SpaceToDepth",
         "ResizeNearestNeighbor", "Pad", "PadV2", "MirrorPad", "Concat", "ConcatV2", "Pack", "Reshape", "Squeeze",
         "ExpandDims", "Transpose", "Slice", "StridedSlice", "Tile", "Fill", "OneHot", "Mean", "Sum", "Prod", "Max",
         "Min", "L2Loss", "FusedBatchNormV3", "FusedBatchNorm", "Merge", "Exit", "RefExit", "SparseToDense",
         "ReverseSequence"), ("T",),
    ),
    **dict.fromkeys(
        ("All", "Any", "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalNot",
         "LogicalOr", "InTopK"), (BOOL,),
    ),
    **dict.fromkeys(("ResizeBilinear", "ResizeBicubic"), (_FLOAT32,)),
    **dict.fromkeys(("Gather", "GatherV2", "GatherNd"), ("Tparams",)),
    **dict.fromkeys(("BatchMatMulV3", "LookupTableFind", "LookupTableFindV2"), ("Tout",)),
    "TensorArrayGatherV3": ("dtype",),
    "Cast": ("DstT",),
    "ArgMax": ("output_type",),
    "ArgMin": ("output_type",),
    "TopKV2": ("T", "index_type"),
    "Unique": ("T", "out_idx"),
    "TopK": ("T", _INT32),
    "CTCGreedyDecoder": (_INT64, _INT64, _INT64, "T"),
    "NonMaxSuppressionV4": (_INT32, _INT32),
    "NonMaxSuppressionV5": (_INT32, "T", _INT32),
    "CombinedNonMaxSuppression": (_FLOAT32, _FLOAT32, _FLOAT32, _INT32),
    "MaxPoolWithArgmax": ("T", "Targmax"),
}  # fmt: skip
"""Types of the outputs of ops that often end a graph: an attribute's name or a number of `DataType`.

Of a batch normalization and of a merge the first output is what others use.

Source: op definitions of TensorFlow 2.21.
"""
_DEFAULT_TYPES = {"output_type": _INT64, "index_type": _INT32, "out_idx": _INT32, "Targmax": _INT64}


def output_types(node: Any) -> list[int]:
    """Return the types of the outputs of *node*; 0 for the one output of an op that the tables do not have."""
    if node.op in _TYPE_LISTS:
        types = node.attr.get(_TYPE_LISTS[node.op])
        return list(types.list.type) if types is not None else []
    if node.op in _NUMBERS:
        number = node.attr.get(_NUMBERS[node.op])
        return [type_attribute(node, "T")] * min(number.i if number is not None else 1, _MAX_PARTS)
    return [kind if isinstance(kind, int) else type_attribute(node, kind) for kind in _TYPES.get(node.op, (0,))]


def type_attribute(node: Any, key: str) -> int:
    """Return the type that *node* has as its attribute *key*, or else the op's default; 0 if it has none."""
    return node.attr[key].type if key in node.attr else _DEFAULT_TYPES.get(key, 0)
