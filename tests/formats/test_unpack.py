"""Tests of unpacking archives."""

from __future__ import annotations

import errno
import gc
import gzip
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from bytes_by_hand import special, tarred, zipped

from safeload._limits import Limits
from safeload.errors import LimitExceededError, LoadFailedError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import MemoryFile, unpack

CONTENT = {"m/a.txt": b"abc" * 99, "m/deep/b": b"", "c": bytes(3000)}


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
    "deflated zip": zipped(CONTENT, method=zipfile.ZIP_DEFLATED),
    "stored zip": zipped(CONTENT),
    "zip with directories": zipped({"m/": b"", **CONTENT}),
    "tar": tarred(CONTENT),
    "tar.gz": tarred(CONTENT, mode="w:gz"),
    "tar.bz2": tarred(CONTENT, mode="w:bz2"),
    "tar.xz": tarred(CONTENT, mode="w:xz"),
    "tar with directories": tarred(special("m", tarfile.DIRTYPE), CONTENT),
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


HEADER = special("a", tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)

MALFORMED = {
    "parent directory": (tarred(("../a", b"")), "leads out"),
    "absolute path": (tarred(("/a", b"")), "absolute"),
    "backslash": (tarred(("a\\b", b"")), "read differently"),
    "member twice": (tarred(("a", b"1"), ("a", b"2")), "occurs twice"),
    "file as a directory": (tarred(("a", b"1"), special("a", tarfile.DIRTYPE)), "occurs twice"),
    "long name": (zipped(("a" * 300, b"1")), "cannot be written: File name too long"),
    "long path": (zipped(("ab/" * 2000 + "c", b"1")), "cannot be written: File name too long"),
    "deep below a file": (zipped(("a", b"1"), ("a/b/c", b"2")), "cannot be written: Not a directory"),
    "headers upon headers": (
        special("a", tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT) * 1500 + tarred("a"),
        "archive is broken",
    ),
    "file below a file": (tarred(("a", b"1"), ("a/b", b"2")), "occurs twice"),
    "link out": (tarred(special("a", tarfile.SYMTYPE, "/etc")), "outside"),
    "cut tar": (tarred(CONTENT)[:700], "archive is broken"),
    "cut tar in gzip": (gzip.compress(tarred(CONTENT)[:700]), "archive is broken"),
    "cut gzip": (tarred(CONTENT, mode="w:gz")[:-30], "archive is broken"),
    "header of two megabytes": (tarred("a", mode="w:gz", pax_headers={"comment": "x" * (2 << 20)}), "header of more"),
    "very many empty streams": (gzip.compress(b"") * 150_000 + tarred("a", mode="w:gz"), "header of more"),
    "zip with a wrong checksum": (zipped(CONTENT).replace(b"abcabc", b"abcabd", 1), "checksum"),
}


@pytest.mark.parametrize(("content", "problem"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(content, problem, leftovers):
    """What has no single meaning inside the archive is refused, and leaves nothing."""
    with pytest.raises(MalformedArtifactError, match=problem):
        unpacked(content)
    assert not list(leftovers.iterdir())


LONG = "a" * 40_000


@pytest.mark.parametrize(
    "content",
    [
        tarred(f"../{LONG}"),
        tarred(special("a", tarfile.SYMTYPE, f"/{LONG}")),
        tarred(special("a", tarfile.SYMTYPE, f"../{LONG}")),
        zipped(LONG),
        tarred(f"a\\{LONG}"),
        tarred(special(LONG, tarfile.FIFOTYPE)),
    ],
)
def test_long_names(content):
    """A message shows the beginning of a name."""
    with pytest.raises((MalformedArtifactError, UnsupportedFormatError), match="aaa…'") as caught:
        unpacked(content)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("content", [zipped(CONTENT), tarred(CONTENT)], ids=["zip", "tar"])
def test_a_full_disk(content, leftovers, monkeypatch):
    """That the disk is full is no fault of the archive."""

    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(LoadFailedError, match=r"^m\.zip: .*No space left .*\n.*TMPDIR"):
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
        (Limits(max_entries=2), tarred(CONTENT), "max_entries"),
        (Limits(max_entries=2), zipped(CONTENT), "max_entries"),
        (Limits(), tarred(*map(str, range(10_001))), "MAX_UNPACKED"),
        (Limits(), zipped(*map(str, range(10_001))), "MAX_UNPACKED"),
        (Limits(max_weight_bytes=3000), tarred(CONTENT), "max_weight_bytes"),
        (Limits(), tarred(("a", bytes(20 << 20)), mode="w:gz"), "max_expansion_ratio"),
    ],
)
def test_limits(limits, content, limit, leftovers):
    """Everything in an archive counts; bombs are not unpacked."""
    with pytest.raises(LimitExceededError, match=limit):
        unpacked(content, limits)
    assert not list(leftovers.iterdir())
