"""Snappy decompression, for the index files that early releases compressed. Layer: readers.

Source: https://github.com/google/snappy/blob/main/format_description.txt.
"""

from __future__ import annotations

_MAX_LENGTH_BYTES = 5


def decompress(data: bytes, *, max_bytes: int) -> bytes:
    """Decompress the raw Snappy format.

    Args:
        data: The compressed bytes.
        max_bytes: What the result may have at most.

    Raises:
        ValueError: The data is broken, or declares more than *max_bytes*.
    """
    size, at = _length(data)
    if size > max_bytes:
        raise ValueError(f"declares {size:,} bytes")
    out = bytearray()
    while at < len(data) and len(out) <= size:
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length, at = _literal_length(tag >> 2, data, at)
            out += data[at : at + length]
            at += length
        else:
            length, offset, at = _copy(tag, data, at)
            _repeat(out, offset, length)
    if len(out) != size:
        raise ValueError(f"holds {len(out):,} of {size:,} bytes")
    return bytes(out)


def _length(data: bytes) -> tuple[int, int]:
    """Read the size of the result, a varint."""
    size = 0
    for at, byte in enumerate(data[:_MAX_LENGTH_BYTES]):
        size |= (byte & 127) << (7 * at)
        if byte < 128:
            return size, at + 1
    raise ValueError("has no length")


def _literal_length(code: int, data: bytes, at: int) -> tuple[int, int]:
    """Codes to 59 are the length less one; above, the length less one follows in 1 to 4 bytes."""
    extra = max(code - 59, 0)
    length = int.from_bytes(data[at : at + extra], "little") if extra else code
    return length + 1, at + extra


def _copy(tag: int, data: bytes, at: int) -> tuple[int, int, int]:
    """Return length and distance of a copy, and where the next tag is."""
    if tag & 3 == 1:
        return (tag >> 2 & 7) + 4, (tag >> 5) << 8 | int.from_bytes(data[at : at + 1], "little"), at + 1
    width = 2 if tag & 3 == 2 else 4
    return (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little"), at + width


def _repeat(out: bytearray, offset: int, length: int) -> None:
    """Append *length* bytes that begin *offset* bytes before the end, which they may overlap."""
    if not 0 < offset <= len(out):
        raise ValueError(f"copies from {offset:,} bytes back at byte {len(out):,}")
    start = len(out) - offset
    pattern = out[start : start + length]  # alone: what follows may be megabytes, for each of many copies
    out += (pattern * (length // offset + 1))[:length]
