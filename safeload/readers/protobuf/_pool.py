"""Message classes made from the schema in a private descriptor pool. Layer: readers.

A private pool lets these classes live in one process with TensorFlow's own,
whose names they share, whichever is imported first.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from safeload.readers.protobuf._descriptor import PACKAGE, file_descriptor
from safeload.readers.protobuf._schema import SCHEMA

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool


@cache
def message_class(name: str) -> Any:
    """Return the class of the message *name* of the package ``tensorflow``, such as ``"SavedModel"``."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@cache
def enum_names(name: str) -> dict[int, str]:
    """Return the value names of the enum *name* by number."""
    return {value.number: value.name for value in _pool().FindEnumTypeByName(f"{PACKAGE}.{name}").values}


@cache
def _pool() -> DescriptorPool:
    from google.protobuf import any_pb2, descriptor_pool, wrappers_pb2

    pool = descriptor_pool.DescriptorPool()
    for dependency in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(dependency.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file_descriptor(SCHEMA))
    return pool
