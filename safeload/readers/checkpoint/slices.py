"""Tensors that a checkpoint stores in slices, each under a key of its own. Layer: readers.

TensorFlow copies as much as the tensor says that a slice covers, whatever the slice has: it reads beyond a smaller one,
and ends the process over another dtype.

Source: ``GetSliceValue`` in tensorflow/core/util/tensor_bundle/tensor_bundle.cc, ``EncodeTensorNameSlice`` in
tensorflow/core/util/saved_tensor_slice_util.cc, tensorflow/core/lib/strings/ordered_code.cc (2.21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

_ALL = -1
"""Length of a slice along an axis that it has all of."""


class Slice(NamedTuple):
    """A slice as it is stored.

    Attributes:
        key: Where in the index its entry is.
        shape: What it has to have.
    """

    key: bytes
    shape: tuple[int, ...]


def slices_of(name: bytes, shape: Sequence[int], slices: Iterable[Any]) -> Iterator[Slice]:
    """Yield the slices of a tensor that have entries of their own.

    Args:
        name: Key of the tensor, which is UTF-8.
        shape: Its full shape.
        slices: Its TensorSliceProtos.

    Raises:
        ValueError: One lies outside of the tensor, or has not its axes.
    """
    for made in slices:
        extents = [(part.start, part.length if part.HasField("length") else _ALL) for part in made.extent]
        if len(extents) != len(shape):
            raise ValueError(f"one has {len(extents)} of {len(shape)} axes")
        sizes = tuple([_size(extent, size) for extent, size in zip(extents, shape, strict=True)])
        if any(length != _ALL for _, length in extents):
            yield Slice(_key(name, extents), sizes)


def _size(extent: tuple[int, int], size: int) -> int:
    start, length = extent
    if extent == (0, _ALL):
        return size
    if not 0 <= start <= start + length <= size:
        raise ValueError(f"{length} from {start} of {size}")
    return length


def _key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    escaped = name.replace(b"\0", b"\0\xff") + b"\0\1"
    numbers = b"".join(_signed(number) for extent in extents for number in extent)
    return _unsigned(0) + escaped + _unsigned(len(extents)) + numbers


def _unsigned(number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    return bytes([size]) + number.to_bytes(size, "big")


def _signed(number: int) -> bytes:
    """Encode a number in as few bytes as it takes; first come as many ones as there are bytes."""
    size = max(number, ~number).bit_length() // 7 + 1
    ones = ((1 << size) - 1) << 7 * size
    return (ones ^ number % (1 << 8 * size)).to_bytes(size, "big")
