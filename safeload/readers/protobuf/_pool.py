"""Message classes made from the schema in a private descriptor pool. Layer: readers.

A private pool lets these classes live in one process with TensorFlow's own,
whose names they share, whichever is imported first.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from safeload.readers.protobuf._schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool

_PACKAGE = "tensorflow"
_MEMBER = re.compile(r"(?P<name>\w+)=(?P<number>\d+)(?::(?P<type>[\w.<>,]+)(?P<repeated>\*?)(?:/(?P<oneof>\w+))?)?")


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
    pool.AddSerializedFile(_file().SerializeToString())
    return pool


def _file() -> FileDescriptorProto:
    """Build the file descriptor of the whole schema."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name="safeload/tensorflow.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.extend(["google/protobuf/any.proto", "google/protobuf/wrappers.proto"])
    definitions = list(_definitions())
    enums = {name for kind, name, _ in definitions if kind == "enum"}
    messages: dict[str, Any] = {"": file}
    for kind, name, members in definitions:
        if kind == "message":
            _add_message(messages, name=name, members=members, enums=enums)
    for kind, name, members in definitions:
        if kind == "enum":
            _add_enum(messages, name=name, members=members)
    return file


def _definitions() -> Iterator[tuple[str, str, list[re.Match[str]]]]:
    """Yield kind, name and members of every message and enum, an outer message before its inner ones."""
    for block in re.split(r"^(?=message|enum)", re.sub(r"^#.*\n", "", SCHEMA, flags=re.MULTILINE), flags=re.MULTILINE)[
        1:
    ]:
        header, _, body = block.partition("\n")
        kind, name = header.split()
        yield kind, name, list(_MEMBER.finditer(body))


def _add_message(messages: dict[str, Any], *, name: str, members: list[re.Match[str]], enums: set[str]) -> None:
    outer, _, local = name.rpartition(".")
    siblings = messages[outer].nested_type if outer else messages[""].message_type
    message = messages[name] = siblings.add(name=local)
    oneofs: dict[str, int] = {}
    for member in members:
        field = message.field.add(name=member["name"], number=int(member["number"]))
        field.label = field.LABEL_REPEATED if member["repeated"] else field.LABEL_OPTIONAL
        if member["type"].startswith("map<"):
            _set_map(field, message=message, name=name, types=member["type"][4:-1].split(","), enums=enums)
        else:
            _set_type(field, kind=member["type"], enums=enums)
        if member["oneof"]:
            field.oneof_index = oneofs.setdefault(member["oneof"], len(oneofs))
    for oneof in oneofs:
        message.oneof_decl.add(name=oneof)


def _add_enum(messages: dict[str, Any], *, name: str, members: list[re.Match[str]]) -> None:
    outer, _, local = name.rpartition(".")
    enum = messages[outer].enum_type.add(name=local)
    for member in members:
        enum.value.add(name=member["name"], number=int(member["number"]))


def _set_map(
    field: FieldDescriptorProto, *, message: DescriptorProto, name: str, types: list[str], enums: set[str]
) -> None:
    """Make *field* a map: on the wire, a repeated message of a key and a value."""
    entry = message.nested_type.add(name=field.name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    for number, (part, kind) in enumerate(zip(("key", "value"), types, strict=True), start=1):
        _set_type(entry.field.add(name=part, number=number, label=field.LABEL_OPTIONAL), kind=kind, enums=enums)
    field.label = field.LABEL_REPEATED
    field.type = field.TYPE_MESSAGE
    field.type_name = f".{_PACKAGE}.{name}.{entry.name}"


def _set_type(field: FieldDescriptorProto, *, kind: str, enums: set[str]) -> None:
    scalar = f"TYPE_{kind.upper()}"
    if scalar in field.Type.keys():  # noqa: SIM118 - an enum, not a dict
        field.type = field.Type.Value(scalar)
        return
    field.type = field.TYPE_ENUM if kind in enums else field.TYPE_MESSAGE
    field.type_name = kind if kind.startswith(".") else f".{_PACKAGE}.{kind}"
