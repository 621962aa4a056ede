"""Protobuf messages of SavedModels and checkpoints, without TensorFlow. Layer: readers.

Messages are named as in the package ``tensorflow``: ``message_class("SavedModel")``.
"""

from safeload.readers.protobuf._dtypes import dtype_bytes, dtype_name
from safeload.readers.protobuf._parse import parse_message, parse_text
from safeload.readers.protobuf._pool import enum_names, message_class

__all__ = [
    "dtype_bytes",
    "dtype_name",
    "enum_names",
    "message_class",
    "parse_message",
    "parse_text",
]
