"""How many messages serialized bytes hold, before a parser makes an object of each. Layer: readers.

An empty message takes two bytes in a file and a hundred or more in memory, so a few megabytes can ask for gigabytes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError, require_within
from safeload.readers.protobuf._pool import message_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor

MAX_MESSAGES = 500_000
"""Messages that are parsed at most, those inside of small ones left out.

The largest public graph that was measured has 60,000 nodes.
"""
MAX_INNER_MESSAGES = 4_000_000
"""All messages that are parsed at most; a node has about ten, and the most expensive kind takes 190 bytes."""
MAX_FIELDS = 20_000_000
"""Fields that are looked at while they are counted."""

_SMALL_BYTES = 4096
_FEW_BYTES = 2 * MAX_INNER_MESSAGES
"""Bytes of small messages that need not be looked into: a message takes two bytes at least."""
_TINY_BYTES = 8
"""Messages up to here are taken to hold as many as they can, which is quicker than to look."""
_HOLDERS = ("MetaGraphDef", "GraphDef", "FunctionDefLibrary", "FunctionDef", "SavedObjectGraph")
"""Messages whose content is counted however small they are: facts are made of each node and object in them."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_LEAST_KEY = 8
_LONG = 0x80
"""From here on a byte of a number is followed by another one."""


def require_few_messages(name: str, data: bytes, *, where: str) -> None:
    """Refuse bytes that hold more messages than `MAX_MESSAGES`, or `MAX_INNER_MESSAGES`.

    Args:
        name: Message that *data* is, such as ``"SavedModel"``.
        data: Its bytes; where they are broken the count ends, and parsing them fails.
        where: How messages name the place that the bytes come from.

    Raises:
        LimitExceededError: ``limit-exceeded``. There are more messages, or more than `MAX_FIELDS` fields.
        MalformedArtifactError: ``malformed-artifact``. The bytes end inside a field.
    """
    # A message takes two bytes at least and a field one; what is cut short fails when it is parsed.
    if len(data) <= MAX_FIELDS and (len(data) <= 2 * MAX_MESSAGES or _starts(name, data) <= MAX_MESSAGES):
        return
    descriptor = message_class(name).DESCRIPTOR
    try:
        small = _count(descriptor, data, where, limit="MAX_MESSAGES", small=_SMALL_BYTES)
        if small > _FEW_BYTES:
            _count(descriptor, data, where, limit="MAX_INNER_MESSAGES", small=_TINY_BYTES)
    except IndexError as error:
        raise MalformedArtifactError(
            where, problem=f"the {len(data):,} bytes are no {name} message or are cut short"
        ) from error


def _starts(name: str, data: bytes) -> int:
    """Return how many bytes of *data* may be the first one of a message in it: no fewer than there are messages."""
    return len(data.translate(None, delete=_others(name)))


@cache
def _others(name: str) -> bytes:
    """Return the bytes with which no message inside of a message *name* starts."""
    below = [message_class(name).DESCRIPTOR]
    for descriptor in below:
        below.extend(inner for inner in _messages_below(descriptor).values() if inner not in below)
    keys = {(number << 3 | _BYTES) & 0x7F for descriptor in below for number in _messages_below(descriptor)}
    return bytes(byte for byte in range(256) if byte & 0x7F not in keys)  # the high bit says that more bytes follow


def _count(root: Descriptor, data: bytes, where: str, *, limit: str, small: int) -> int:
    """Count messages, without looking into those of at most *small* bytes; return how many bytes these have."""
    allowed = {"MAX_MESSAGES": MAX_MESSAGES, "MAX_INNER_MESSAGES": MAX_INNER_MESSAGES}[limit]
    holders = frozenset(message_class(name).DESCRIPTOR for name in _HOLDERS)
    messages = fields = skipped = 0
    pending = [(root, 0, len(data))]
    while pending:
        descriptor, position, end = pending.pop()
        below = _messages_below(descriptor)
        while position < end:
            key, position = (data[position], position + 1) if data[position] < _LONG else _varint(data, position)
            if key < _LEAST_KEY:
                raise IndexError  # there is no field 0, of which zeros are full
            if key & 7 == _BYTES:
                size, position = data[position], position + 1
                if size >= _LONG:
                    size, position = _varint(data, position - 1)
                inner = below.get(key >> 3)
                if inner is not None:
                    messages += 1
                    if size > small or inner in holders:
                        pending.append((inner, position, min(end, position + size)))
                    else:
                        skipped += size
                        messages += size // 2 if small == _TINY_BYTES else 0
                position += size
            elif key & 7 == _VARINT:
                _, position = _varint(data, position)
            else:
                position += _WIDTHS.get(key & 7, 0)  # groups are gone through like fields
            fields += 1
            if fields & 0xFFF == 0:
                require_within(where, limit=limit, allowed=allowed, found=messages)
                require_within(where, limit="MAX_FIELDS", allowed=MAX_FIELDS, found=fields)
    require_within(where, limit=limit, allowed=allowed, found=messages)
    require_within(where, limit="MAX_FIELDS", allowed=MAX_FIELDS, found=fields)
    return skipped


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _LONG:
            return value, position
        shift += 7


@cache
def _messages_below(descriptor: Descriptor) -> Mapping[int, Descriptor]:
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}
