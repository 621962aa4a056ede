"""How large chunks become, before libhdf5 takes them through filters. Layer: readers; standard library alone.

libhdf5 makes room for whatever a chunk decompresses to, however large the chunk is, and takes what is missing of it
for whatever its memory held. Of a chunk that is not stored it leaves what the reader's memory held, where the file
says never to fill. Source: H5Z__filter_deflate in src/H5Zdeflate.c, H5Z__filter_fletcher32 in src/H5Zfletcher32.c and
H5D__chunk_read in src/H5Dchunk.c (HDF5 1.14.6); lzf/lzf_filter.c and lzf/lzf/lzf_d.c of h5py 3.14.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000
"""Numbers of filters. Source: H5Zpublic.h (HDF5 1.14) and h5py/_hl/filters.py."""

_CHUNKED = 2
"""H5Dpublic.h: H5D_layout_t."""
_CHECKSUM = 4
_LITERAL = 1 << 5
"""Codes below are the length of what stands in the chunk itself, less one; above, they begin a copy."""
_LONG = 7


def require_sizes(dataset: Any, *, file_size: int) -> None:
    """Refuse chunks that are missing, or do not become as large as the dataset says; the rest is left to libhdf5.

    Args:
        dataset: A ``h5py.h5d.DatasetID``. The filters of its chunks are those that `StructureWalk` lets pass.
        file_size: Bytes of the file.

    Raises:
        OSError: A chunk is larger or smaller, or not stored.
    """
    creation = dataset.get_create_plist()
    filters = [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]
    if creation.get_layout() != _CHUNKED:
        return
    size = math.prod(creation.get_chunk()) * dataset.get_type().get_size()
    stored: dict[tuple[int, ...], int] = {}

    def note(chunk: Any) -> None:
        if chunk.chunk_offset is None:
            raise OSError("a chunk is listed and not stored")
        if chunk.chunk_offset in stored:
            raise OSError("a chunk is listed twice")  # which of the two is read is up to libhdf5
        stored[chunk.chunk_offset] = chunk.size

    dataset.chunk_iter(note)
    if not filters and not {size}.issuperset(stored.values()):
        raise OSError(f"a chunk of {size:,} bytes is stored in others")
    if max(stored.values(), default=0) > file_size:
        raise OSError("the file ends inside a chunk")
    # Chunks outside are not read.
    inside = [place for place in stored if all(start < end for start, end in zip(place, dataset.shape, strict=True))]
    if len(inside) < math.prod(
        -(-length // step) for length, step in zip(dataset.shape, creation.get_chunk(), strict=True)
    ):
        raise OSError("a chunk is not stored")
    for place in inside if filters else ():
        _require_size(dataset, place, filters, size)


def _require_size(dataset: Any, place: tuple[int, ...], filters: list[int], size: int) -> None:
    skipped, data = dataset.read_direct_chunk(place)
    applied = [number for index, number in enumerate(filters) if not skipped >> index & 1]
    if FLETCHER32 in applied:
        data = data[:-_CHECKSUM]
    sizes = [_SIZES[number](data, size + 1) for number in applied if number in _SIZES] or [len(data)]
    if sizes != [size]:
        raise OSError(f"a chunk of {size:,} bytes holds {'more' if sizes[0] > size else f'{sizes[0]:,}'}")


def _inflated(data: bytes, most: int) -> int:
    """Return what *data* inflates to, up to *most* bytes."""
    try:
        return len(zlib.decompressobj().decompress(data, most))
    except zlib.error as error:
        raise OSError(str(error)) from error


def _size_of_lzf(data: bytes, most: int) -> int:
    """Return what *data* in the format of LibLZF decompresses to, up to *most* bytes and one copy."""
    at = size = 0
    while at < len(data) and size < most:
        code = data[at]
        if code < _LITERAL:
            size += code + 1
            at += code + 2
        else:
            is_long = code >> 5 == _LONG
            size += (code >> 5) + 2 + (int.from_bytes(data[at + 1 : at + 2], "little") if is_long else 0)
            at += 2 + is_long
    return size


_SIZES: Mapping[int, Callable[[bytes, int], int]] = {DEFLATE: _inflated, LZF: _size_of_lzf}
