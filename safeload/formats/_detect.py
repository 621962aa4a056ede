"""What is it? The format of an artifact, decided from its bytes alone. Layer: formats; standard library alone.

A name never decides: it is compared with the answer afterwards, to say that a file is mislabelled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safeload.errors import SignatureNotFoundError
from safeload.formats._directory import detect_directory
from safeload.formats._examine import detect_checkpoint, detect_file
from safeload.formats._format import Format

if TYPE_CHECKING:
    from safeload.formats._detection import Detection
    from safeload.formats._source import Source


def detect(source: Source, *, version: int | None = None) -> Detection:
    """Decide the format of an open source from its bytes.

    Args:
        source: From `open_source`.
        version: Version to take from a directory of versions (``model/1``, ``model/2``); default the highest.

    Returns:
        The format, with the resolved artifact: the SavedModel directory for a path to its ``saved_model.pb``, the
        version in a versioned parent, the one model in a wrapper directory.

    Raises:
        UnrecognizedFormatError: ``unrecognized-format``. The bytes are of no known kind, or there are none.
        MalformedArtifactError: ``malformed-artifact``. The file is two formats at once, or an archive with members
            that lead out of it.
        SignatureNotFoundError: ``signature-not-found``. There is no such version.

    Guarantees:
        Reads a few kilobytes (of archives the list of members), runs nothing and follows no link out of a model's own
        directory.
    """
    if source.file is not None:
        found = detect_file(source, source.file)
    elif source.is_directory:
        return detect_directory(source, version=version)
    else:
        found = detect_checkpoint(source)
    if found.format is Format.ARCHIVE:
        return replace(found, version=version)
    if version is not None:
        raise SignatureNotFoundError(str(version), available=(), what="version")
    return found
