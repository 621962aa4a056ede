"""Tests of choosing the reader."""

from __future__ import annotations

import subprocess
import sys

import pytest

from safeload._limits import Limits
from safeload.errors import UnsupportedFormatError
from safeload.formats import Format, detect, open_source
from safeload.readers import _READERS, read_artifact


def test_foreign_files_are_closed(tmp_path):
    """What no callable is made of is explained, with the remedy, and closed."""
    (tmp_path / "m.h5").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    detection = detect(open_source(tmp_path / "m.h5"))
    with pytest.raises(UnsupportedFormatError, match="git lfs pull"):
        read_artifact(detection, Limits())
    with pytest.raises(ValueError, match="closed"):
        detection.source.file.read_at(0, 1)


def test_every_format_has_a_reader_or_a_remedy():
    """Formats without a reader are always detected with what to do about them."""
    assert set(Format) - set(_READERS) == {
        Format.WEIGHTS_HDF5,  # detected as KERAS_HDF5; its reader tells
        Format.FOREIGN,
    }


def test_importing_readers_is_cheap():
    """Neither h5py nor numpy nor protobuf is imported before a file needs it."""
    code = "import sys, safeload.readers; print(*{'h5py', 'numpy', 'google.protobuf', 'tensorflow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
