"""Archives around one model: unpacked, then read as the directory that they are. Layer: readers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safeload.formats import Source, detect, unpack
from safeload.readers import read_artifact

if TYPE_CHECKING:
    from safeload._limits import Limits
    from safeload.formats import Detection
    from safeload.readers._artifact import Artifact


def read_archive(detection: Detection, limits: Limits) -> Artifact:
    """Read the model inside an archive.

    Returns:
        Its artifact, which keeps the directory that it was unpacked into.

    Raises:
        UnsupportedFormatError: ``unsupported-format``. The archive has links.
        UnrecognizedFormatError: ``unrecognized-format``. It holds several models, or none but archives.
        MalformedArtifactError: ``malformed-artifact``. The archive or the model is broken; see `formats.unpack`.
        LimitExceededError: ``limit-exceeded``. One of the limits.
    """
    unpacked = unpack(detection.file, where=detection.where, limits=limits)
    detection.source.close()
    try:
        inner = detect(Source(where=detection.where, path=unpacked.path), version=detection.version)
        return replace(read_artifact(inner, limits), unpacked=unpacked)
    except BaseException:
        unpacked.remove()
        raise
