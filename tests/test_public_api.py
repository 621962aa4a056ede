"""The public names: complete, lazy, cheap."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import subprocess
import sys

import pytest

import safeload

HEAVY = ("tensorflow", "keras", "tf_keras", "h5py", "numpy", "google.protobuf", "rich")


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_every_public_name_is_there():
    """Each name of __all__ resolves, and dir() agrees."""
    assert all(getattr(safeload, name) is not None for name in safeload.__all__)
    assert dir(safeload) == sorted(safeload.__all__)


def test_the_version_is_that_of_the_installed_package():
    """What is built takes the version from the module; a checkout on the path has one, too."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", safeload.__version__)
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        assert importlib.metadata.version("safeload") == safeload.__version__


def test_unknown_name_is_an_attribute_error():
    """Laziness does not hide a misspelling."""
    with pytest.raises(AttributeError, match="load_calable"):
        safeload.load_calable


def test_importing_safeload_is_cheap():
    """The import brings in none of the heavy packages, nor do the errors."""
    loaded = _modules_after("import safeload; safeload.errors.SafeloadError")
    assert not loaded & set(HEAVY)
    assert {name for name in loaded if name.startswith("safeload")} == {"safeload", "safeload._fork", "safeload.errors"}


def test_importing_the_pipeline_brings_no_tensorflow():
    """The static side of the pipeline needs no TensorFlow."""
    loaded = _modules_after("from safeload import load_callable, inspect_model")
    assert not loaded & {"tensorflow", "keras", "tf_keras"}


def test_errors_are_a_module_of_the_package(monkeypatch):
    """``safeload.errors`` needs no import of its own."""
    monkeypatch.delattr(safeload, "errors")
    assert safeload.errors is sys.modules["safeload.errors"]
