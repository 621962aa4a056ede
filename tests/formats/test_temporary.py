"""Tests of directories for temporary files."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import shutil
import tempfile

import pytest

from safeload.errors import ArtifactNotFoundError, LoadFailedError
from safeload.formats import TemporaryFolder, writing


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The directory for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_deleted_with_its_owner(home):
    """Nobody else may enter it while it is there."""
    folder = TemporaryFolder("m")
    (folder.path / "a").mkdir()
    (folder.path / "a/b").write_bytes(b"content")
    assert folder.path.parent == home
    assert folder.path.stat().st_mode & 0o777 == 0o700
    del folder
    gc.collect()
    assert not list(home.iterdir())


def test_what_cannot_be_deleted_is_deleted_at_the_end(home, monkeypatch):
    """A process without file descriptors can list no directory."""
    later = []
    monkeypatch.setattr(atexit, "register", lambda *args, **kwargs: later.append((args, kwargs)))
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
        folder = TemporaryFolder("m")
        folder.remove()
    [((_, *args), kwargs)] = later
    shutil.rmtree(*args, **kwargs)
    assert not list(home.iterdir())


def test_a_directory_that_is_gone(home, monkeypatch):
    """The error names it, and the setting that names another."""
    monkeypatch.setattr(tempfile, "tempdir", str(home / "gone"))
    with pytest.raises(LoadFailedError, match=r"^m: .*/gone' cannot be written to: No such file .*\n  hint: .*TMPDIR"):
        TemporaryFolder("m")


def test_no_directory_at_all(monkeypatch):
    """Python has looked through those that systems have."""

    def refuse(*args, **kwargs):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    with pytest.raises(LoadFailedError, match=r"there is no directory for them: No usable .*\['/tmp'\]"):
        TemporaryFolder("m")


def test_a_full_disk():
    """What safeload itself raises while it writes stays as it is."""
    with pytest.raises(LoadFailedError, match="^m: .*: No space left"), writing("m"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(ArtifactNotFoundError), writing("m"):
        raise ArtifactNotFoundError("m")
