"""Tests of the strict zip reader."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from bytes_by_hand import zipped

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import MemoryFile, detect, open_source, read_zip
from safeload.formats._archives._zip import ends_as_zip, zip_names


def read(content, limits=None):
    return read_zip(MemoryFile(content), where="m.keras", limits=limits or Limits())


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members(method):
    """Stored and deflated members are found and read."""
    index = read(zipped(("a", b"x" * 100), ("b/", b""), ("b/c", b"y"), method=method))
    assert list(index.members) == ["a", "b/", "b/c"]
    assert index.members["a"].is_stored == (method == zipfile.ZIP_STORED)
    assert index.read("a", limit="max_asset_bytes", allowed=100) == b"x" * 100
    with pytest.raises(LimitExceededError, match="max_asset_bytes=99"):
        index.read("a", limit="max_asset_bytes", allowed=99)


def test_offset_of_a_stored_member():
    """The offset counts from the beginning of the file."""
    content = zipped(("first", b"1234"), ("second", b"5678"))
    member = read(content).members["second"]
    assert content[member.offset : member.offset + member.size] == b"5678"


def test_streamed_members():
    """Writers that cannot seek put sizes behind the data, and force_zip64 leaves them at their maximum."""

    class Stream(io.RawIOBase):
        def __init__(self):
            self.content = b""

        def writable(self):
            return True

        def write(self, data):
            self.content += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"1234")
        archive.writestr("b", b"5678")
    assert read(stream.content).read("b", limit="", allowed=9) == b"5678"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(b"1234")
    assert read(buffer.getvalue()).read("a", limit="", allowed=9) == b"1234"


def link():
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    return info


def encrypted(content, places=2):
    flags = bytearray(content)
    flags[6] |= 1
    flags[content.index(b"PK\x01\x02") + 8] |= places - 1
    return bytes(flags)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (zipped("/etc/a"), "absolute path"),
        (zipped("C:/a"), "absolute path"),
        (zipped("a/../../b"), "leads out"),
        (zipped("a\\..\\b"), "leads out"),
        (zipped((link(), b"/etc")), "symbolic link"),
        (encrypted(zipped("a")), "encrypted"),
        (encrypted(zipped("a"), places=1), "contradict"),
        (zipped("a", "./a"), "'./a' occurs twice"),
        (zipped("b/a", "b\\/a"), "occurs twice"),
        (zipped("b", ("b/", b"")), "'b/' occurs twice"),
        (zipped(("a", b"x" * 99), method=zipfile.ZIP_BZIP2), "compression method 12"),
        (zipped("aXb").replace(b"aXb", b"a\0b"), "read differently"),
        (b"junk" + zipped("a"), "belong to no member"),
        (zipped("a") + b"junk", "follow the end"),
        (zipped("a", comment=b"PK\x05\x06 again" + bytes(18)), "before the zip directory belong"),
        (zipped("a")[:-10], "truncated"),
    ],
)
def test_refused(content, problem):
    """Whatever zip readers could see differently, or write elsewhere, is a broken file."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read(content)


LONG = "a/" * 20_000


@pytest.mark.parametrize(
    "content",
    [zipped(f"../{LONG}"), encrypted(zipped(LONG), places=1), zipped(LONG, LONG), b"junk" + zipped(LONG)],
    ids=["name", "headers", "twice", "place"],
)
def test_long_names(content):
    """A message shows the beginning of a name."""
    with pytest.raises(MalformedArtifactError, match="a/?…'") as caught:
        read(content)
    assert len(str(caught.value)) < 400


def test_long_name_of_a_broken_member():
    """So does the place of an error."""
    broken = zipped((LONG, b"abcabc")).replace(b"abcabc", b"abcabd")
    with pytest.raises(MalformedArtifactError, match="a/?…: the content") as caught:
        read(broken).verify(LONG)
    assert len(str(caught.value)) < 400


def test_an_encrypted_archive_needs_its_password():
    """Another copy would not help."""
    with pytest.raises(MalformedArtifactError, match="hint: unpack it with its password"):
        read(encrypted(zipped("a")))


def test_comment():
    """An ordinary comment does no harm."""
    assert read(zipped("a", comment=b"made by hand")).members


def test_duplicate():
    """Two members of one name are refused: readers disagree which counts."""
    with pytest.warns(UserWarning, match="Duplicate"):
        content = zipped(("a", b"1"), ("a", b"2"))
    with pytest.raises(MalformedArtifactError, match="'a' occurs twice"):
        read(content)


def altered(field_offset, value, form, magic):
    content = bytearray(zipped(("a", b"1234"), ("b", b"5678")))
    struct.pack_into(form, content, content.rindex(magic) + field_offset, value)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (altered(22, 400, "<L", b"PK\x03\x04"), "contradict"),
        (altered(24, 400, "<L", b"PK\x01\x02"), "contradict"),
        (altered(16, 400, "<L", b"PK\x01\x02"), "contradict"),
        (altered(42, 3, "<L", b"PK\x01\x02"), "no header"),
        (altered(42, 4000, "<L", b"PK\x01\x02"), "no header"),
        (altered(30, ord("c"), "<B", b"PK\x03\x04"), "contradict"),
    ],
    ids=["local size", "central size", "central crc", "offset", "offset beyond the end", "local name"],
)
def test_contradictions(content, problem):
    """Both headers of a member must say the same."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read(content)


def test_hidden_bytes():
    """Bytes between two members, or before the directory, belong to nobody."""
    first, both = zipped(("a", b"1")), zipped(("a", b"1"), ("b", b"2"))
    start = both.index(b"PK\x03\x04", 4)
    directory = both.index(b"PK\x01\x02")
    moved = bytearray(both[:start] + b"hidden" + both[start:])
    second_entry = moved.rindex(b"PK\x01\x02")
    struct.pack_into("<L", moved, second_entry + 42, start + 6)
    struct.pack_into("<L", moved, moved.rindex(b"PK\x05\x06") + 16, directory + 6)
    with pytest.raises(MalformedArtifactError, match="before the member 'b'"):
        read(bytes(moved))
    directory = first.index(b"PK\x01\x02")
    moved = bytearray(first[:directory] + b"hidden" + first[directory:])
    struct.pack_into("<L", moved, moved.rindex(b"PK\x05\x06") + 16, directory + 6)
    with pytest.raises(MalformedArtifactError, match="before the zip directory"):
        read(bytes(moved))


@pytest.mark.parametrize(
    ("limits", "content", "name"),
    [
        (Limits(max_entries=1), zipped("a", "b"), "max_entries"),
        (Limits(max_weight_bytes=5), zipped(("a", b"1234"), ("b", b"5678")), "max_weight_bytes"),
        (Limits(), zipped(("a", bytes(20 << 20)), method=zipfile.ZIP_DEFLATED), "max_expansion_ratio"),
    ],
)
def test_limits(limits, content, name):
    """Members, their declared sizes and the ratio of these to the file are bounded before anything is read."""
    with pytest.raises(LimitExceededError, match=name):
        read(content, limits)


def with_byte(content, value):
    """Set the first byte of the data of the member ``a``."""
    return content[:31] + bytes([value]) + content[32:]


def with_a_tail():
    """A member that is deflated data with something behind it."""
    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(bytes(100)) + deflate.flush() + b"junk"
    content = bytearray(zipped(("a", data)))
    for method, crc, size, start in ((8, 14, 22, 0), (10, 16, 24, content.index(b"PK\1\2"))):
        struct.pack_into("<H", content, start + method, zipfile.ZIP_DEFLATED)
        struct.pack_into("<L", content, start + crc, zlib.crc32(bytes(100)))
        struct.pack_into("<L", content, start + size, 100)
    return bytes(content)


DECLARES_LESS = zipped(("a", bytes(1000)), method=zipfile.ZIP_DEFLATED).replace(b"\xe8\3\0\0", b"\t\0\0\0")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (with_byte(zipped(("a", b"1234")), 0), "checksum"),
        (with_byte(zipped(("a", bytes(range(100))), method=zipfile.ZIP_DEFLATED), 0xFF), "decompressed"),
        (with_byte(zipped(("a", bytes(100)), method=zipfile.ZIP_DEFLATED), 0x62), "checksum"),
        (DECLARES_LESS, "checksum"),
        (with_a_tail(), "checksum"),
    ],
    ids=["wrong", "no deflate stream", "stream without a last block", "more than declared", "something behind"],
)
def test_broken_data(content, problem):
    """Data that does not decompress to what is declared is refused when it is read."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read(content).read("a", limit="", allowed=900)


def test_no_more_is_decompressed_than_is_declared():
    """A bomb that declares little is found after little."""
    chunks = read(DECLARES_LESS).chunks("a")
    assert len(next(chunks)) == 10
    with pytest.raises(MalformedArtifactError, match="checksum"):
        next(chunks)


@pytest.mark.parametrize(
    ("content", "is_zip"),
    [
        (zipped(("a", b"1")), True),
        (b"anything" + zipped(("a", b"1")), True),
        (b"", False),
        (b"text", False),
        (b"PK\x05\x06", False),
        (zipped(), True),
        (b"x" * 99 + b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x05\0\0\0\x05\0\0\0\0\0", False),
    ],
)
def test_ends_as_zip(content, is_zip):
    """A zip is found from its end, as zip readers find it."""
    assert ends_as_zip(MemoryFile(content)) is is_zip


def test_names():
    """Names are listed where there is a directory."""
    assert zip_names(MemoryFile(zipped("a", "b")), "m") == ["a", "b"]
    assert zip_names(MemoryFile(b"PK\x03\x04"), "m") is None


def with_directory(directory):
    """Return an archive whose end declares one member, whatever its directory has."""
    head = b"PK\3\4" + bytes(26)
    return head + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(head), 0)


ENTRY = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, *[0] * 15)


@pytest.mark.parametrize(
    ("directory", "said"),
    [(ENTRY * 100_001, "100,001 exceeds MAX_LISTED"), (ENTRY + bytes(64 << 20), "exceeds MAX_DIRECTORY_BYTES")],
)
def test_directories_that_are_not_listed(directory, said):
    """What is too large is refused before it is taken apart, whatever number of members stands beside it."""
    content = with_directory(directory)
    for use in (read, lambda archive: detect(open_source(archive))):
        with pytest.raises(LimitExceededError, match=said):
            use(content)
