"""The schema that is shipped is the one of the table."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from producers.make_schema import file_descriptor

from safeload.readers import protobuf


def test_schema_is_made_of_the_table():
    """Whoever changes the table makes the schema anew."""
    shipped = Path(protobuf.__file__).with_name("schema.binpb").read_bytes()
    assert FileDescriptorProto.FromString(shipped) == file_descriptor()
