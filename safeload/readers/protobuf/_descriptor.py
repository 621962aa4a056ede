"""The schema as a serialized FileDescriptorProto, which a descriptor pool takes. Layer: readers.

It is written as bytes, for filling protobuf's own messages would take most of the time in which a small model is read.

Source: google/protobuf/descriptor.proto (protobuf 7), for the field numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE = "tensorflow"
_DEPENDENCIES = ("google/protobuf/any.proto", "google/protobuf/wrappers.proto")
_BLOCK = re.compile(r"^(?P<kind>message|enum) (?P<name>\S+)\n(?P<body>(?:^ .*\n)*)", re.MULTILINE)
_MEMBER = re.compile(r"(\w+)=(\d+)(?::([\w.<>,]+)(\*?)(?:/(\w+))?)?")

_FILE = {"name": 1, "package": 2, "dependency": 3, "message": 4, "enum": 5, "syntax": 12}
_MESSAGE = {"name": 1, "field": 2, "message": 3, "enum": 4, "options": 7, "oneof": 8}
_FIELD = {"name": 1, "number": 3, "label": 4, "type": 5, "type_name": 6, "oneof": 9}
_ENUM = {"name": 1, "value": 2}
_VALUE = {"name": 1, "number": 2}
_MAP_ENTRY = b"\x38\x01"
"""MessageOptions with ``map_entry = true``."""
_OPTIONAL, _REPEATED = 1, 3
_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17, "sint64": 18,
}  # fmt: skip
_MESSAGE_TYPE, _ENUM_TYPE = 11, 14


def file_descriptor(schema: str) -> bytes:
    """Return the FileDescriptorProto of everything in *schema*, whose form `_schema` explains."""
    blocks = [(block["kind"], block["name"], _MEMBER.findall(block["body"])) for block in _BLOCK.finditer(schema)]
    enums = {name for kind, name, _ in blocks if kind == "enum"}
    inner: dict[str, list[bytes]] = {"": []}
    for kind, name, members in reversed(blocks):  # what is inside a message stands behind it
        outer, _, local = name.rpartition(".")
        parts = _enum(members) if kind == "enum" else _message(name, members, enums)
        content = b"".join((_text(1, local), *parts, *inner.pop(name, ())))
        inner.setdefault(outer, []).append(_bytes((_MESSAGE if outer else _FILE)[kind], content))
    head = [_text(_FILE["name"], "safeload/tensorflow.proto"), _text(_FILE["package"], PACKAGE)]
    head += [_text(_FILE["dependency"], name) for name in _DEPENDENCIES]
    return b"".join((*head, *reversed(inner[""]), _text(_FILE["syntax"], "proto3")))


def _message(name: str, members: Iterable[tuple[str, ...]], enums: set[str]) -> Iterator[bytes]:
    """Yield the parts of a message, all but its name and what is defined in it."""
    oneofs: dict[str, int] = {}
    for field, number, kind, repeated, oneof in members:
        made, label = kind, _REPEATED if repeated else _OPTIONAL
        if kind.startswith("map<"):
            entry = field.title().replace("_", "") + "Entry"
            yield _bytes(_MESSAGE["message"], _entry(entry, kind[4:-1].split(","), enums))
            made, label = f"{name}.{entry}", _REPEATED
        index = oneofs.setdefault(oneof, len(oneofs)) if oneof else None
        yield _bytes(_MESSAGE["field"], _field(field, int(number), made, enums, label=label, oneof=index))
    for oneof in oneofs:
        yield _bytes(_MESSAGE["oneof"], _text(1, oneof))


def _entry(name: str, types: Iterable[str], enums: set[str]) -> bytes:
    """Return the message that a map is made of: a key and a value."""
    members = zip(("key", "value"), types, strict=True)
    fields = (_field(part, index, kind, enums) for index, (part, kind) in enumerate(members, start=1))
    content = b"".join(_bytes(_MESSAGE["field"], field) for field in fields)
    return _text(_MESSAGE["name"], name) + content + _bytes(_MESSAGE["options"], _MAP_ENTRY)


def _field(
    name: str, number: int, kind: str, enums: set[str], *, label: int = _OPTIONAL, oneof: int | None = None
) -> bytes:
    parts = [_text(_FIELD["name"], name), _number(_FIELD["number"], number)]
    parts.append(_number(_FIELD["label"], label))
    if kind in _SCALARS:
        parts.append(_number(_FIELD["type"], _SCALARS[kind]))
    else:
        parts.append(_number(_FIELD["type"], _ENUM_TYPE if kind in enums else _MESSAGE_TYPE))
        parts.append(_text(_FIELD["type_name"], kind if kind.startswith(".") else f".{PACKAGE}.{kind}"))
    if oneof is not None:
        parts.append(_number(_FIELD["oneof"], oneof))
    return b"".join(parts)


def _enum(members: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    for name, number, *_ in members:
        yield _bytes(_ENUM["value"], _text(_VALUE["name"], name) + _number(_VALUE["number"], int(number)))


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, content: bytes) -> bytes:
    return _number(field, len(content), kind=2) + content


def _number(field: int, number: int, *, kind: int = 0) -> bytes:
    """Return the head of a field: its key, and a number in groups of seven bits."""
    written = [field << 3 | kind]
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*written, number))
