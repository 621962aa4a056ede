"""Bytes or text to messages, with every failure a `SafeloadError`. Layer: readers."""

from __future__ import annotations

from typing import Any

from safeload.errors import MalformedArtifactError, require_within
from safeload.readers.protobuf._count import require_few_messages
from safeload.readers.protobuf._pool import message_class

MAX_TEXT_BYTES = 16 << 20
"""Bytes of text format that are parsed at most.

Source: google.protobuf.text_format reads about 1 MB/s; the largest public ``saved_model.pbtxt`` seen has 5 MB.
"""

MAX_TEXT_FIELDS = 500_000
"""Fields of text format that are parsed at most, each of which takes microseconds; it has 5,500 in 140 KB of nodes."""
_MARKS = b":{<,"
"""What stands before a value."""


def parse_message(name: str, data: bytes, *, where: str) -> Any:
    """Parse the serialized message *name*.

    Unknown fields are kept, so that serializing the result loses nothing. The
    parser of google.protobuf refuses more than 100 nested messages, as TensorFlow's does.

    Args:
        name: Name of the message in the package ``tensorflow``, such as ``"SavedModel"``.
        data: Its bytes.
        where: How messages name the place that the bytes come from.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The bytes are no such message.
        LimitExceededError: ``limit-exceeded``. There are too many messages in it.
    """
    from google.protobuf.message import DecodeError

    require_few_messages(name, data, where=where)
    try:
        return message_class(name).FromString(data)
    except DecodeError as error:
        raise MalformedArtifactError(
            where, problem=f"the {len(data):,} bytes are no {name} message or are cut short ({error})"
        ) from error


def parse_text(name: str, data: bytes, *, where: str) -> Any:
    """Parse the message *name* from protobuf text format (``.pbtxt``).

    Args:
        name: As in `parse_message`.
        data: UTF-8 text of at most `MAX_TEXT_BYTES`.
        where: As in `parse_message`.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The text is no such message, or has unknown fields.
        LimitExceededError: ``limit-exceeded``. The text is too long, or has too many fields.
    """
    from google.protobuf import text_format

    require_within(where, limit="MAX_TEXT_BYTES", allowed=MAX_TEXT_BYTES, found=len(data))
    fields = sum(map(data.count, _MARKS))
    require_within(where, limit="MAX_TEXT_FIELDS", allowed=MAX_TEXT_FIELDS, found=fields)
    try:
        return text_format.Parse(data.decode("utf-8"), message_class(name)())
    except (text_format.ParseError, ValueError) as error:  # the latter for enums of no 32 bits, and what is no UTF-8
        raise MalformedArtifactError(where, problem=f"the text is no {name} message ({error})") from error
    except RecursionError as error:
        raise MalformedArtifactError(where, problem="the text nests too many messages") from error
