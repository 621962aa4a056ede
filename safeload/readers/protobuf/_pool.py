"""Message classes made from the schema in a private descriptor pool. Layer: readers.

A private pool lets these classes live in one process with TensorFlow's own,
whose names they share, whichever is imported first.

Source:
    ``schema.binpb``, which ``tests/producers/make_schema.py`` makes of a table of the ``.proto`` files of TensorFlow
    2.21 and tf_keras 2.21.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool

_PACKAGE = "tensorflow"


@cache
def message_class(name: str) -> Any:
    """Return the class of the message *name* of the package ``tensorflow``, such as ``"SavedModel"``."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def enum_names(name: str) -> dict[int, str]:
    """Return the value names of the enum *name* by number."""
    return {value.number: value.name for value in _pool().FindEnumTypeByName(f"{_PACKAGE}.{name}").values}


@cache
def _pool() -> DescriptorPool:
    from google.protobuf import any_pb2, descriptor_pool, wrappers_pb2

    pool = descriptor_pool.DescriptorPool()
    for dependency in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(dependency.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(Path(__file__).with_name("schema.binpb").read_bytes())
    return pool
