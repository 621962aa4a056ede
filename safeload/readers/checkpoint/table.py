"""The sorted string tables that hold TensorFlow checkpoints. Layer: readers.

Owns the container: footer, blocks, shared prefixes of keys. What the values
mean is `readers.checkpoint`'s business.

Source: https://github.com/google/leveldb/blob/main/doc/table_format.md and
tensorflow/core/lib/io/{format,block,table}.cc (TensorFlow 2.21).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import TABLE_MAGIC
from safeload.readers.checkpoint.snappy import decompress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload._limits import Limits

_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
"""Compression type and checksum behind each block."""

_UNCOMPRESSED, _SNAPPY = 0, 1
"""Compression types. Source: CompressionType in tensorflow/core/lib/io/table_options.h."""


def read_table(data: bytes, *, where: str, limits: Limits) -> dict[bytes, bytes]:
    """Read every key and value of a table.

    Args:
        data: The whole file.
        where: How messages name it.
        limits: ``max_entries`` bounds the entries, ``max_config_bytes`` the keys and values together.

    Returns:
        Values by key, in the order of the file, which is ascending.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. It is no table, is cut short, its keys or its blocks do not
            ascend, or a restart point is no entry.
        LimitExceededError: ``limit-exceeded``. There are too many entries, or shared prefixes make them too large.
    """
    return _Table(data, where=where, limits=limits).read()


class _Table:
    def __init__(self, data: bytes, *, where: str, limits: Limits) -> None:
        self.data = data
        self.where = where
        self.limits = limits
        self.entries = 0
        self.bytes = 0

    def read(self) -> dict[bytes, bytes]:
        if len(self.data) < _FOOTER_BYTES or not self.data.endswith(TABLE_MAGIC):
            raise self.malformed("the end of the file is missing or is no checkpoint index")
        footer = len(self.data) - _FOOTER_BYTES
        _, _, at = self.handle(self.data, footer)
        offset, size, _ = self.handle(self.data, at)
        items: dict[bytes, bytes] = {}
        last: bytes | None = None
        end = 0
        for _, value in self.block(offset, size):
            start, length, _ = self.handle(value, 0)
            if start < end:
                raise self.malformed(f"the block at byte {start:,} lies over the one before")
            end = start + length + _TRAILER_BYTES
            for key, content in self.block(start, length):
                if last is not None and key <= last:
                    raise self.malformed(f"the key {key[:80]!r} does not follow {last[:80]!r}")
                items[key] = content
                last = key
        return items

    def block(self, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys and values of the block of *size* bytes at *offset*."""
        block = self.content(offset, size)
        restarts = struct.unpack_from("<I", block, len(block) - 4)[0] if len(block) >= 4 else len(block)
        end = len(block) - 4 * (restarts + 1)
        if end < 0:
            raise self.malformed(f"the block at byte {offset:,} declares {restarts:,} restart points")
        yield from self.records(block, end, struct.unpack_from(f"<{restarts}I", block, end))

    def content(self, offset: int, size: int) -> bytes:
        """Return a block, decompressed: releases before TensorFlow 1.3 compressed the index."""
        end = offset + size
        if end + _TRAILER_BYTES > len(self.data):
            raise self.malformed(f"a block of {size:,} bytes at byte {offset:,} is not in the file")
        kind, block = self.data[end], self.data[offset:end]
        if kind == _UNCOMPRESSED:
            return block
        if kind != _SNAPPY:
            raise self.malformed(f"the block at byte {offset:,} is compressed in the unknown way {kind}")
        try:
            block = decompress(block, max_bytes=self.limits.max_config_bytes)
        except ValueError as error:
            raise self.malformed(f"the block at byte {offset:,} {error}") from error
        self.count(len(block))
        return block

    def records(self, block: bytes, end: int, restarts: tuple[int, ...]) -> Iterator[tuple[bytes, bytes]]:
        """Yield what lies before *end*, in order; TensorFlow looks for a key from the nearest of *restarts* on."""
        key = b""
        at = 0
        whole = {0}
        while at < end:
            start = at
            shared, at = self.varint(block, at, end)
            if not shared:
                whole.add(start)
            unshared, at = self.varint(block, at, end)
            length, at = self.varint(block, at, end)
            if shared > len(key) or at + unshared + length > end:
                raise self.malformed(f"an entry reaches out of its block at byte {at:,}")
            key = key[:shared] + block[at : at + unshared]
            at += unshared
            self.count(len(key) + length)
            yield key, block[at : at + length]
            at += length
        if restarts[:1] != (0,) or not whole.issuperset(restarts):
            raise self.malformed("a block has restart points that are no entries: what it holds depends on its reader")

    def count(self, size: int) -> None:
        """Hold the bounds: a short table can name long keys many times."""
        self.entries += 1
        self.bytes += size
        for limit, found in (("max_entries", self.entries), ("max_config_bytes", self.bytes)):
            allowed = getattr(self.limits, limit)
            if found > allowed:
                raise LimitExceededError(self.where, limit=limit, allowed=allowed, found=found)

    def handle(self, data: bytes, at: int) -> tuple[int, int, int]:
        """Return offset and size of a block handle in *data*, and where the handle ends."""
        offset, at = self.varint(data, at, len(data))
        size, at = self.varint(data, at, len(data))
        return offset, size, at

    def varint(self, data: bytes, at: int, limit: int) -> tuple[int, int]:
        number = 0
        for shift in range(0, 64, 7):
            if at >= limit:
                break
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number, at
        raise self.malformed(f"the number before byte {at:,} does not end")

    def malformed(self, problem: str) -> MalformedArtifactError:
        return MalformedArtifactError(self.where, problem=problem)
