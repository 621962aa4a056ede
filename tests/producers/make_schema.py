"""Make ``safeload/readers/protobuf/schema.binpb``, a FileDescriptorProto, from the table ``messages.txt``.

Making it anew in each process would take a fifth of the time in which a small model is read::

    python make_schema.py > ../../safeload/readers/protobuf/schema.binpb
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

PACKAGE = "tensorflow"
_DEPENDENCIES = ("google/protobuf/any.proto", "google/protobuf/wrappers.proto")
_BLOCK = re.compile(r"^(?P<kind>message|enum) (?P<name>\S+)\n(?P<body>(?:^ .*\n)*)", re.MULTILINE)
_MEMBER = re.compile(r"(\w+)=(\d+)(?::([\w.<>,]+)(\*?)(?:/(\w+))?)?")


def file_descriptor() -> FileDescriptorProto:
    """Return the description of everything in the table."""
    blocks = [*_BLOCK.finditer(Path(__file__).with_name("messages.txt").read_text())]
    enums = {block["name"] for block in blocks if block["kind"] == "enum"}
    made = FileDescriptorProto(
        name="safeload/tensorflow.proto", package=PACKAGE, dependency=_DEPENDENCIES, syntax="proto3"
    )
    messages: dict[str, DescriptorProto] = {}
    for block in blocks:  # what is inside a message stands behind it
        outer, _, local = block["name"].rpartition(".")
        members = _MEMBER.findall(block["body"])
        if block["kind"] == "enum":
            enum = (messages[outer] if outer else made).enum_type.add(name=local)
            for name, number, *_ in members:
                enum.value.add(name=name, number=int(number))
        else:
            message = (messages[outer].nested_type if outer else made.message_type).add(name=local)
            messages[block["name"]] = message
            _add_fields(message, block["name"], members, enums)
    return made


def _add_fields(message: DescriptorProto, full_name: str, members: list[tuple[str, ...]], enums: set[str]) -> None:
    oneofs: dict[str, int] = {}
    for name, number, kind, repeated, oneof in members:
        made = kind
        if kind.startswith("map<"):
            entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
            entry.options.map_entry = True
            made = f"{full_name}.{entry.name}"
            for index, (part, inner) in enumerate(zip(("key", "value"), kind[4:-1].split(","), strict=True), start=1):
                _add_field(entry, part, index, inner, enums)
        field = _add_field(message, name, int(number), made, enums)
        if repeated or made != kind:
            field.label = FieldDescriptorProto.LABEL_REPEATED
        if oneof:
            field.oneof_index = oneofs.setdefault(oneof, len(oneofs))
    for oneof in oneofs:
        message.oneof_decl.add(name=oneof)


def _add_field(message: DescriptorProto, name: str, number: int, kind: str, enums: set[str]) -> FieldDescriptorProto:
    field = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if scalar := dict(FieldDescriptorProto.Type.items()).get(f"TYPE_{kind.upper()}"):
        field.type = scalar
    else:
        field.type = FieldDescriptorProto.TYPE_ENUM if kind in enums else FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{PACKAGE}.{kind}"
    return field


if __name__ == "__main__":
    sys.stdout.buffer.write(file_descriptor().SerializeToString(deterministic=True))
