"""Texts of a checkpoint: the lengths of all, a checksum of these, and the texts. Layer: readers.

Source: ``WriteStringTensor`` in tensorflow/core/util/tensor_bundle/tensor_bundle.cc (2.21).
"""

from __future__ import annotations

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
    at += _CHECKSUM_BYTES
    if at + sum(lengths) != len(data):
        raise ValueError("the lengths do not add up")
    texts = []
    for length in lengths:
        texts.append(data[at : at + length])
        at += length
    return texts
