"""How many elements an op makes at least, from constants alone. Layer: policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from safeload.policy.graph._constants._buffers import AHEAD, BUFFERS, ROOM, STACK, Fold
from safeload.policy.graph._constants._fact import at
from safeload.policy.graph._constants._numbers import Ints, largest, length, numbers, padded, product
from safeload.policy.graph._constants._shapes import MULTIPLYING
from safeload.policy.graph._constants._texts import AT_MOST, WIDTHS
from safeload.policy.graph._constants._values import declared_elements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._fact import Fact

BUDGET = 2 << 30
"""Bytes that one tensor, or all constants of a graph together, may provably need beyond what the file stores.

A ``saved_model.pb`` has at most 2 GiB itself, and the largest constant shape in any public model seen has 16 MB.
"""


def _element(sizes: Ints) -> int:
    """Return how many elements one of a list has, dimensions that are not known being one."""
    return product(tuple([1 if size < 0 else size for size in sizes]))


_SLOT = 16
"""Elements of a tensor, of four bytes mostly, that take as much as a place of a list or an array without one."""
_ROW = 8
"""The same of a row, of which it is counted what it has and where that stands."""
_OPERANDS: dict[str, Fold] = {
    # The operand is the shape, or the spatial part of the shape, of the output.
    **dict.fromkeys(
        (
            "ParameterizedTruncatedNormal",
            "RandomUniformInt",
            "StatelessParameterizedTruncatedNormal",
            "StatelessRandomBinomial",
            "StatelessRandomGammaV2",
            "StatelessRandomGammaV3",
            "StatelessRandomNormal",
            "StatelessRandomNormalV2",
            "StatelessRandomPoisson",
            "StatelessRandomUniform",
            "StatelessRandomUniformFullInt",
            "StatelessRandomUniformFullIntV2",
            "StatelessRandomUniformInt",
            "StatelessRandomUniformIntV2",
            "StatelessRandomUniformV2",
            "StatelessTruncatedNormal",
            "StatelessTruncatedNormalV2",
            "TruncatedNormal",
            # Gradients of convolutions, which transposed convolutions are, take the shape of their output.
            "Conv2DBackpropInput",
            "Conv3DBackpropInputV2",
            "DepthwiseConv2dNativeBackpropInput",
            # So do those of pooling and of slices.
            "AvgPool3DGrad",
            "AvgPoolGrad",
            "FractionalAvgPoolGrad",
            "NonDeterministicInts",
            "RaggedTensorToTensor",
            "StridedSliceGrad",
            "RandomPoisson",
        ),
        (0, product),
    ),
    **dict.fromkeys(
        (
            "Conv2DBackpropFilter",
            "Conv3DBackpropFilterV2",
            "DepthwiseConv2dNativeBackpropFilter",
            "IRFFT",
            "IRFFT2D",
            "IRFFT3D",
            "QuantizedResizeBilinear",
            "RFFT",
            "RFFT2D",
            "RFFT3D",
            "ResizeNearestNeighborGrad",
            "ScaleAndTranslate",
        ),
        (1, product),
    ),
    **dict.fromkeys(
        ("ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "SparseToDense"),
        (1, product),
    ),
    **dict.fromkeys(
        (
            "ImageProjectiveTransformV2",
            "ImageProjectiveTransformV3",
            "RaggedTensorToVariantGradient",
            "ScatterNd",
            "StatefulRandomBinomial",
            "StatefulStandardNormalV2",
            "StatefulTruncatedNormal",
            "StatefulUniform",
            "StatefulUniformFullInt",
            "StatefulUniformInt",
            "TensorArrayGradWithShape",
            "XlaRngBitGenerator",
        ),
        (2, product),
    ),
    "CropAndResize": (3, product),
    # The operand is a number of elements, rows or tensors.
    **dict.fromkeys(("TensorArray", "TensorArrayV2", "TensorArrayV3"), (0, lambda sizes: _SLOT * largest(sizes))),
    **dict.fromkeys(("DecodePaddedRaw", "SobolSample"), (1, largest)),
    **dict.fromkeys(
        (
            "HistogramFixedWidth",
            "RaggedBincount",
            "SegmentMaxV2",
            "SegmentMinV2",
            "SegmentProdV2",
            "SegmentSumV2",
            "UnsortedSegmentJoin",
        ),
        (2, largest),
    ),
    **dict.fromkeys(("RaggedFillEmptyRows", "SparseFillEmptyRows"), (2, lambda shape: _ROW * largest(shape[:1]))),
    "SparseTensorDenseMatMul": (2, lambda shape: largest(shape[:1])),
    **dict.fromkeys(
        (
            "SparseBincount",
            "SparseSegmentMeanWithNumSegments",
            "SparseSegmentSqrtNWithNumSegments",
            "SparseSegmentSumWithNumSegments",
        ),
        (3, largest),
    ),
    **dict.fromkeys(("BoostedTreesCreateQuantileStreamResource",), (2, lambda counts: ROOM * largest(counts))),
    "BoostedTreesQuantileStreamResourceFlush": (1, largest),
    **dict.fromkeys(("Bincount", "DenseBincount", "Multinomial", "OneHot", "StatelessMultinomial"), (1, largest)),
    **dict.fromkeys(
        ("LinSpace", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd", "UnsortedSegmentSum"),
        (2, largest),
    ),
    **dict.fromkeys(("FusedPadConv2D", "MirrorPad", "Pad", "PadV2", "SpaceToBatch"), (1, padded)),
    "SpaceToBatchND": (2, padded),
    # The largest index, or the largest number of a segment, says how much there is.
    **dict.fromkeys(("DynamicStitch", "ParallelDynamicStitch"), (0, largest)),
    **dict.fromkeys(
        ("RaggedRange", "SegmentMax", "SegmentMean", "SegmentMin", "SegmentProd", "SegmentSum", "TensorListScatter"),
        (1, largest),
    ),
    **dict.fromkeys(("SparseSegmentMean", "SparseSegmentSqrtN", "SparseSegmentSum"), (2, largest)),
    **dict.fromkeys(
        (
            "SparseSegmentMeanGrad",
            "SparseSegmentMeanGradV2",
            "SparseSegmentSqrtNGrad",
            "SparseSegmentSqrtNGradV2",
            "SparseSegmentSumGrad",
            "SparseSegmentSumGradV2",
            "TensorListScatterV2",
        ),
        (3, largest),
    ),
    # What a list does not hold is made of zeros, of the shape that is asked for.
    "EmptyTensorList": (0, _element),
    **dict.fromkeys(("TensorListConcatV2", "TensorListPopBack", "TensorListStack"), (1, _element)),
    **dict.fromkeys(("TensorListGather", "TensorListGetItem"), (2, _element)),
    "TensorListResize": (1, largest),
    **dict.fromkeys(("SparseMatrixZeros",), (0, largest)),
    **dict.fromkeys(("SparseTensorToCSRSparseMatrix",), (2, largest)),
    "SetSize": (2, lambda shape: product(shape[:-1])),
    **dict.fromkeys(
        ("ExtractGlimpse", "ExtractGlimpseV2", "FFTND", "FusedResizeAndPadConv2D", "IFFTND", "IRFFTND", "RFFTND"),
        (1, product),
    ),
    "CropAndResizeGradImage": (3, product),
    **dict.fromkeys(("CombinedNonMaxSuppression", "NonMaxSuppressionV4", "NonMaxSuppressionV5"), (2, largest)),
    "EditDistance": (2, lambda shape: product(shape[:-1])),
    **BUFFERS,
    "Tile": (1, product),
}
"""Which input decides the size of an op's output, and how. Source: op definitions of TensorFlow 2.21."""
_MORE: dict[str, tuple[Fold, ...]] = {
    "CombinedNonMaxSuppression": ((3, largest),),
    "EditDistance": ((5, lambda shape: product(shape[:-1])),),
    "RaggedTensorToTensor": ((3, largest),),
    "SerializeManySparse": ((2, lambda shape: largest(shape[:1])),),
    **dict.fromkeys(("SparseBincount", "SparseCountSparseOutput"), ((2, lambda shape: _SLOT * largest(shape[:1])),)),
    **dict.fromkeys(("XlaConv", "XlaConvV2"), ((3, padded), (4, product))),
    "XlaPad": tuple(
        (operand, lambda sizes: product(tuple([1 + max(0, size) for size in sizes]))) for operand in (2, 3, 4)
    ),
    "XlaReduceWindow": ((6, padded), (4, product), (2, product)),
    "XlaSelectAndScatter": ((3, padded), (1, product)),
    **AHEAD,
}


def _declared(attributes: Any, _: Ints) -> int:
    return declared_elements(attributes["shape"].shape) if "shape" in attributes else 0


def _as_wide_as_patches(attributes: Any, _: Ints) -> int:
    # Without padding what is smaller than a patch has none.
    is_padded = "padding" in attributes and attributes["padding"].s == b"SAME"
    return product(numbers(attributes, "ksizes")) if is_padded else 0


def _factored(attributes: Any, shape: Ints) -> int:
    is_full = "full_matrices" in attributes and attributes["full_matrices"].b and len(shape) > 1
    return product(shape[:-2]) * largest(shape[-2:]) ** 2 if is_full else 0


def _padded_words(attributes: Any, _: Ints) -> int:
    # A row without words has as many pieces of padding as a piece has words.
    longest = max(length(attributes, key) for key in ("left_pad", "right_pad", "separator"))
    return max(1, longest) * largest(numbers(attributes, "ngram_widths")) ** 2


def _spectra(attributes: Any, shape: Ints) -> int:
    # The spectrum of a window is computed in two numbers of 8 bytes each, as many as the next power of two. Of these,
    # one more than half are kept.
    window, step = (max(1, *numbers(attributes, key)) for key in ("window_size", "stride"))
    samples, channels = shape if len(shape) == 2 else (0, 0)
    windows = 1 + (samples - window) // step if samples >= window else 0
    return max(16 * window, channels * windows * ((1 << (window - 1).bit_length()) // 2 + 1))


_ATTRIBUTES: dict[str, Callable[[Any, Ints], int]] = {
    **dict.fromkeys(("FakeParam", "TemporaryVariable"), _declared),
    **dict.fromkeys(
        ("Conv", "Conv2D", "DepthwiseConv2dNative", "MaxPool"),
        lambda attributes, _: padded(numbers(attributes, "explicit_paddings")),
    ),
    **dict.fromkeys(("ExtractImagePatches", "ExtractVolumePatches"), _as_wide_as_patches),
    "AudioSpectrogram": _spectra,
    # A matrix of cosines of 8 bytes each.
    "Mfcc": lambda attributes, _: (
        8
        * math.prod(
            numbers(attributes, "dct_coefficient_count", 13) + numbers(attributes, "filterbank_channel_count", 40)
        )
    ),
    "StringNGrams": _padded_words,
    **dict.fromkeys(
        ("BatchFunction", "Batch"), lambda attributes, _: STACK * largest(numbers(attributes, "num_batch_threads"))
    ),
    # Square matrices of the longer side of what is factored.
    **dict.fromkeys(("Qr", "Svd"), _factored),
}
"""How attributes decide the size of what an op makes, some with the shape of its first input.

Source: op definitions of TensorFlow 2.21, and their kernels.
"""


def _from_the_end(position: int) -> Callable[[Node], Sequence[int]]:
    def rule(node: Node) -> Sequence[int]:
        count = len([reference for reference in node.inputs if reference[:1] != "^"])
        return (count + position,) if count + position > 0 else ()  # the first one is a dataset

    return rule


def _indices(node: Node) -> Sequence[int]:
    return range(len(node.inputs) // 2)


def _count_and_shapes(node: Node) -> Sequence[int]:
    return range(1, min(2 + max(numbers(node.proto.attr, "N")), len(node.inputs)))


def _of(operand: int) -> Sequence[int] | Callable[[Node], Sequence[int]]:
    return (operand,) if operand >= 0 else _from_the_end(operand)


_DECIDING: dict[str, Sequence[int] | Callable[[Node], Sequence[int]]] = {
    **{op: _of(operand) for op, (operand, _) in _OPERANDS.items()},
    **dict.fromkeys(("Empty", "Fill", "RandomGamma", "RandomPoissonV2", "RandomStandardNormal", "RandomUniform"), (0,)),
    **dict.fromkeys(("BroadcastTo", "TensorListReserve"), (1,)),
    **dict.fromkeys(("DynamicStitch", "ParallelDynamicStitch"), _indices),
    **dict.fromkeys(("PaddedBatchDataset", "PaddedBatchDatasetV2"), _count_and_shapes),
    **dict.fromkeys(("MatrixDiagV2", "MatrixDiagV3"), (1, 2, 3)),
    "Range": (0, 1, 2),
}
"""Which inputs decide the size of what an op makes by their values. Source: op definitions of TensorFlow 2.21."""


def deciding(node: Node) -> Sequence[int]:
    """Return which inputs decide the size of what *node* makes by their values."""
    return (*_positions(node, _DECIDING.get(node.op, ())), *[place for place, _ in _more(node)])


def _positions(node: Node, found: Sequence[int] | Callable[[Node], Sequence[int]]) -> Sequence[int]:
    return found(node) if callable(found) else found


def _more(node: Node) -> list[tuple[int, Callable[[Ints], int]]]:
    """Return the other operands that decide, and how."""
    return [(place, fold) for operand, fold in _MORE.get(node.op, ()) for place in _positions(node, _of(operand))]


_MULTIPLIES = frozenset({"Tile"})
"""Ops whose operand counts copies of their first input."""
_WRITES = ("TensorListSetItem", "TensorArrayWrite", "TensorArrayWriteV2", "TensorArrayWriteV3")
"""Make lists and arrays that may grow as long as the place that they write, their second input, says."""
_JOINS = {
    **dict.fromkeys(("ConcatV2", "Pack", "ParallelConcat", "StringFormat", "StringJoin"), slice(None)),
    **dict.fromkeys(("TensorListConcatLists", "TensorListPushBack", "TensorListPushBackBatch"), slice(2)),
    **dict.fromkeys(("TensorListScatterIntoExistingList",), slice(2)),
    "TensorListSetItem": slice(0, 3, 2),
    **dict.fromkeys(("TensorArrayScatterV3", *_WRITES[1:]), slice(2, 4)),
    "TensorArraySplitV3": slice(1, 4, 2),
}
"""Ops with the elements, or characters, of several inputs, and which; the axis that some of them have counts for one.

A list has the elements of all tensors in it, and so has what arrays pass on as their flow.
"""
_KEEPS = {
    **dict.fromkeys(
        (
            "Add",
            "AddV2",
            "Cast",
            "EnsureShape",
            "ExpandDims",
            "Identity",
            "Maximum",
            "Mul",
            "Neg",
            "Relu",
            "Reshape",
            "Squeeze",
            "Sub",
        ),
        0,
    ),
    # Of texts, what is split or taken apart has as many characters together as before.
    **dict.fromkeys(
        (
            "AsString",
            "DecodeBase64",
            "DecodeCompressed",
            "EncodeBase64",
            "ParseTensor",
            "ReduceJoin",
            "RegexReplace",
            "SerializeTensor",
            "ShardedFilename",
            "ShardedFilespec",
            "StaticRegexReplace",
            "StringLower",
            "StringSplit",
            "StringSplitV2",
            "StringStrip",
            "StringUpper",
            "Substr",
            "UnicodeDecode",
            "UnicodeDecodeWithOffsets",
            "UnicodeEncode",
            "UnicodeTranscode",
        ),
        0,
    ),
    **dict.fromkeys(("TensorListConcatV2", "TensorListFromTensor", "TensorListSplit", "TensorListStack"), 0),
    "TensorArrayConcatV3": 1,
    "TensorArrayGatherV3": 2,
}
"""Ops with at least as many elements, or texts that are joined, as one of their inputs, and which."""


ALLOCATING = frozenset({*_OPERANDS, *_MORE, *_ATTRIBUTES, *_JOINS, *MULTIPLYING, *AT_MOST, *WIDTHS, "Range"})
"""Ops of which the size of what they make may follow from constants."""
SIZES = frozenset({*_OPERANDS, *_MORE, *_ATTRIBUTES, *_JOINS, *_KEEPS, "Range"})
"""Ops whose size follows from their inputs."""


def least_elements(node: Node, inputs: list[Fact]) -> int:
    """Return how many elements *node* makes at least, given what is known of its inputs; 0 if nothing is known."""
    attributes = node.proto.attr
    decided = max([_sized(at(inputs, place), fold) for place, fold in _more(node)] or [0])
    if node.op in _OPERANDS:
        decided = max(decided, _by_operand(node, inputs))
    if node.op in _ATTRIBUTES:
        return _ATTRIBUTES[node.op](attributes, at(inputs, 0).shape or ())
    if node.op in _JOINS:
        written = at(inputs, 1).ints if node.op in _WRITES else None
        joined = sum(fact.elements for fact in inputs[_JOINS[node.op]])
        return max(decided, joined, _SLOT * (1 + largest(written)) if written else 0)
    if node.op in _KEEPS:
        return max(decided, at(inputs, _KEEPS[node.op]).elements)
    return _range_length(inputs) if node.op == "Range" else decided


def _sized(fact: Fact, fold: Callable[[Ints], int]) -> int:
    return fold(fact.ints or (fact.most or 0,)) if fact.ints is not None or fact.most is not None else 0


def _by_operand(node: Node, inputs: list[Fact]) -> int:
    _, fold = _OPERANDS[node.op]
    places = _positions(node, _DECIDING[node.op])
    decided = max([_sized(at(inputs, place), fold) for place in places], default=0)
    return decided * (max(1, at(inputs, 0).elements) if node.op in _MULTIPLIES else 1)


def _range_length(inputs: list[Fact]) -> int:
    start, limit, delta = (at(inputs, index).numbers for index in range(3))
    if not start or not limit or not delta or delta[0] == 0:
        return 0
    return max(0, int((limit[0] - start[0]) // delta[0]))
