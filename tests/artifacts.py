"""The first steps of `load_callable`, for what a test has made."""

from __future__ import annotations

from safeload._limits import Limits
from safeload.formats import Format, detect, open_source
from safeload.inspection import inspect_artifact
from safeload.readers import SavedModelArtifact, read_artifact


def read(source, *, version=None, **limits):
    """Read the model *source*: a path, or bytes."""
    return read_artifact(detect(open_source(source), version=version), Limits(**limits))


def inspect(source):
    """Describe the model *source*."""
    return inspect_artifact(read(source))


def described(saved_model, **fields):
    """Describe a SavedModel message that no release wrote."""
    content = saved_model.SerializeToString()
    return inspect_artifact(
        SavedModelArtifact(Format.SAVED_MODEL, "made", None, content, saved_model=saved_model, files={}, **fields)
    )
