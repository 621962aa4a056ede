"""Indexes of checkpoints made entry by entry, so that everything in them can be wrong.

Source: tensorflow/core/lib/io/format.cc and tensorflow/core/protobuf/tensor_bundle.proto (2.21).
"""

from __future__ import annotations

import struct

from bytes_by_hand import varint

from safeload.formats import TABLE_MAGIC
from safeload.readers.protobuf import message_class


def record(key, value, shared=0):
    """Encode an entry of a block; *key* is what is not shared with the key before."""
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def restarts_at(*offsets):
    """Encode the restart points of a block."""
    return struct.pack(f"<{len(offsets) + 1}I", *offsets, len(offsets))


def block(records, kind=0, restarts=restarts_at(0)):
    """Encode a block with its trailer."""
    return b"".join(records) + restarts + bytes([kind]) + b"\0\0\0\0"


def table(items=(), records=None, kind=0, data_block=None, index_value=None, index_values=()):
    """Encode a table with one block of data; the values of its index say where blocks lie."""
    records = [record(key, value) for key, value in sorted(dict(items).items())] if records is None else records
    data = block(records, kind) if data_block is None else data_block
    value = varint(0) + varint(len(data) - 5) if index_value is None else index_value
    index = block([record(b"~" * (n + 1), v) for n, v in enumerate(index_values or [value])])
    handles = varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    return data + index + handles.ljust(40, b"\0") + TABLE_MAGIC


def header(**fields):
    """Serialize a header."""
    return message_class("BundleHeaderProto")(**{"num_shards": 1, **fields}).SerializeToString()


def entry(dtype=1, shape=(2,), size=8, **fields):
    """Serialize an entry of two floats, or of something else; *dtype* is a number of types.proto."""
    dims = {"dim": [{"size": length} for length in shape]}
    return message_class("BundleEntryProto")(dtype=dtype, shape=dims, size=size, **fields).SerializeToString()
