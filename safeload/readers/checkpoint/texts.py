"""Texts of a checkpoint: the lengths of all, a checksum of these, and the texts. Layer: readers.

Source: ``WriteStringTensor`` in tensorflow/core/util/tensor_bundle/tensor_bundle.cc (2.21).
"""

from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError
from safeload.formats import open_member

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from safeload.readers.checkpoint.index import CheckpointIndex

_LENGTH_BYTES = 10
"""What one length takes at most."""
_CHECKSUM_BYTES = 4
_LONGEST = 63
"""Bits of a length, all but the last seven."""


def decode_texts(data: bytes, count: int) -> list[str]:
    """Return the *count* texts of an array; see `split_texts`.

    Raises:
        ValueError: Also if a text is no UTF-8.
    """
    return [text.decode() for text in split_texts(data, count)]


def split_texts(data: bytes, count: int) -> list[bytes]:
    """Return the bytes of the *count* texts of an array.

    Args:
        data: The bytes of the array, as they lie in the checkpoint.
        count: How many texts it has.

    Raises:
        ValueError: The lengths do not add up, or never end.
    """
    lengths, at = _lengths(data, count, size=len(data))
    texts = []
    for length in lengths:
        texts.append(data[at : at + length])
        at += length
    return texts


def require_texts(index: CheckpointIndex, *, prefix: str, directory: Path, where: str) -> None:
    """Check that texts are as long as they are stored: TensorFlow makes room for what their lengths say.

    Args:
        index: What the checkpoint says; its data files are long enough.
        prefix: Path of the checkpoint below *directory*, without ``.index``.
        directory: The model.
        where: How messages name it.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. Lengths do not add up.
    """
    texts = [entry for entry in (*index.entries, *index.slices) if entry.dtype == "string" and entry.size]
    for shard in sorted({entry.shard for entry in texts}):
        with closing(open_member(directory, index.shard_name(prefix, shard), where=where)) as file:
            for entry in [entry for entry in texts if entry.shard == shard]:
                count = math.prod(entry.shape)
                try:
                    _lengths(file.read_at(entry.offset, count * _LENGTH_BYTES), count, size=entry.size)
                except ValueError as error:
                    problem = f"the texts of the tensor {entry.key[:200]!r} are broken: {error}"
                    raise MalformedArtifactError(where, problem=problem) from error


def _lengths(data: bytes, count: int, *, size: int) -> tuple[Sequence[int], int]:
    """Return the lengths of *count* texts, of *size* bytes with all that *data* begins with, and where the first is."""
    lengths, at = (data[:count], count) if data[:count].isascii() else _long(data, count)
    at += _CHECKSUM_BYTES
    if at + sum(lengths) != size:
        raise ValueError("the lengths do not add up")
    return lengths, at


def _long(data: bytes, count: int) -> tuple[list[int], int]:
    at, lengths = 0, []
    for _ in range(count):
        length = shift = 0
        while True:
            if at == len(data) or shift > _LONGEST:
                raise ValueError("a length does not end")
            byte, at = data[at], at + 1
            length |= (byte & 0x7F) << shift  # seven bits in a byte, the lowest first
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    return lengths, at
