"""Tests of unpacking archives."""

from __future__ import annotations

import gc
import gzip
import io
import tarfile
import tempfile
import zipfile

import pytest

from safeload._limits import Limits
from safeload.errors import (
    LimitExceededError,
    MalformedArtifactError,
    UnrecognizedFormatError,
    UnsupportedFormatError,
)
from safeload.formats import MemoryFile, detect, open_source, unpack

CONTENT = {"m/a.txt": b"abc" * 99, "m/deep/b": b"", "c": bytes(3000)}


def zipped(members=CONTENT, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(*members, mode="w", pax=None):
    """A tar of (name, content) and of TarInfos."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT, pax_headers=pax) as archive:
        for member in members or CONTENT.items():
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def unpacked(content, limits=None):
    return unpack(MemoryFile(content), where="m.zip", limits=limits or Limits())


def files(directory):
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.fixture
def leftovers(tmp_path, monkeypatch):
    """Where the private directories of this test are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


ARCHIVES = {
    "deflated zip": zipped(),
    "stored zip": zipped(method=zipfile.ZIP_STORED),
    "zip with directories": zipped({"m/": b"", **CONTENT}),
    "tar": tarred(),
    "tar.gz": tarred(mode="w:gz"),
    "tar.bz2": tarred(mode="w:bz2"),
    "tar.xz": tarred(mode="w:xz"),
    "tar with directories": tarred(special("m", tarfile.DIRTYPE), *CONTENT.items()),
}


@pytest.mark.parametrize("content", ARCHIVES.values(), ids=ARCHIVES)
def test_content(content, leftovers):
    """Every member is written, where nobody else may enter, for as long as it is needed."""
    found = unpacked(content)
    assert files(found.path) == CONTENT
    assert found.path.stat().st_mode & 0o777 == 0o700
    del found
    gc.collect()
    assert not list(leftovers.iterdir())


def broken_zip():
    return zipped(method=zipfile.ZIP_STORED).replace(b"abcabc", b"abcabd", 1)


MALFORMED = {
    "parent directory": (tarred(("../a", b"")), "leads out"),
    "absolute path": (tarred(("/a", b"")), "absolute"),
    "backslash": (tarred(("a\\b", b"")), "read differently"),
    "member twice": (tarred(("a", b"1"), ("a", b"2")), "occurs twice"),
    "file as a directory": (tarred(("a", b"1"), special("a", tarfile.DIRTYPE)), "cannot be written"),
    "file below a file": (tarred(("a", b"1"), ("a/b", b"2")), "occurs twice"),
    "link out": (tarred(special("a", tarfile.SYMTYPE, "/etc")), "outside"),
    "cut tar": (tarred()[:700], "archive is broken"),
    "cut tar in gzip": (gzip.compress(tarred()[:700]), "archive is broken"),
    "cut gzip": (tarred(mode="w:gz")[:-30], "archive is broken"),
    "header of two megabytes": (gzip.compress(tarred(("a", b""), pax={"comment": "x" * (2 << 20)})), "header of more"),
    "zip with a wrong checksum": (broken_zip(), "checksum"),
}


@pytest.mark.parametrize(("content", "problem"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(content, problem, leftovers):
    """What has no single meaning inside the archive is refused, and leaves nothing."""
    with pytest.raises(MalformedArtifactError, match=problem):
        unpacked(content)
    assert not list(leftovers.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices(kind, leftovers):
    """Links that stay inside, and devices, are left to the user."""
    with pytest.raises(UnsupportedFormatError, match="link, device"):
        unpacked(tarred(special("a", kind, "b")))
    assert not list(leftovers.iterdir())


@pytest.mark.parametrize(
    ("limits", "content", "limit"),
    [
        (Limits(max_entries=2), tarred(), "max_entries"),
        (Limits(max_entries=2), zipped(), "max_entries"),
        (Limits(max_weight_bytes=3000), tarred(), "max_weight_bytes"),
        (Limits(), tarred(("a", bytes(20 << 20)), mode="w:gz"), "max_expansion_ratio"),
    ],
)
def test_limits(limits, content, limit, leftovers):
    """Everything in an archive counts; bombs are not unpacked."""
    with pytest.raises(LimitExceededError, match=limit):
        unpacked(content, limits)
    assert not list(leftovers.iterdir())


def test_listing_stops_at_large_headers():
    """A header that would fill the memory is refused when the archive is looked at."""
    content = gzip.compress(tarred(("a", b""), pax={"comment": "x" * (2 << 20)}))
    with pytest.raises(MalformedArtifactError, match="header of more"):
        detect(open_source(content))


def test_loose_graph_in_a_directory(tmp_path):
    """The graph of a SavedModel under another name is no model without its directory."""
    (tmp_path / "other.pb").write_bytes(b"\x08\x01\x12\x00")
    with pytest.raises(UnrecognizedFormatError, match=r"other\.pb"):
        detect(open_source(tmp_path))
