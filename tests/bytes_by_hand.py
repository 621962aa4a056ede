"""Files made byte by byte: fields of protobuf messages, zip and tar archives."""

from __future__ import annotations

import io
import tarfile
import zipfile


def varint(number):
    """Encode a number as protobuf and LevelDB do."""
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number, content):
    """Encode a field of a protobuf message: bytes, a text, or a small number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def _pairs(members):
    """Yield names and contents of *members*: names alone, pairs, or mappings of many."""
    for member in members:
        if isinstance(member, dict):
            yield from member.items()
        else:
            yield member if isinstance(member, tuple) else (member, b"{}")


def zipped(*members, method=zipfile.ZIP_STORED, comment=b""):
    """Make a zip; members are names (of whatever content), pairs of a name or ZipInfo and content, or mappings."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in _pairs(members):
            archive.writestr(name, content)
        archive.comment = comment
    return buffer.getvalue()


def tarred(*members, mode="w", **options):
    """Make a tar; members are as those of a zip, or made by `special`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as archive:
        for name, content in _pairs(members):
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = 0 if info is name else len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name, kind, link=""):
    """Describe a member of a tar that is a link, a device or a directory."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info
