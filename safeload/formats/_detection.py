"""What `detect` finds out. Layer: formats; standard library alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safeload.formats._format import Format

if TYPE_CHECKING:
    from pathlib import Path

    from safeload.formats._file import ByteFile
    from safeload.formats._source import Source

SUFFIXES: dict[str, tuple[Format, ...]] = {
    ".h5": (Format.KERAS_HDF5, Format.WEIGHTS_HDF5),
    ".hdf5": (Format.KERAS_HDF5, Format.WEIGHTS_HDF5),
    ".keras": (Format.KERAS_ARCHIVE, Format.KERAS_DIRECTORY),
    ".pb": (Format.SAVED_MODEL, Format.FROZEN_GRAPH),
    ".pbtxt": (Format.SAVED_MODEL, Format.FROZEN_GRAPH),
    ".tflite": (Format.TFLITE,),
    ".json": (Format.KERAS_JSON,),
    ".zip": (Format.ARCHIVE,),
    ".tar": (Format.ARCHIVE,),
    ".tgz": (Format.ARCHIVE,),
    ".gz": (Format.ARCHIVE,),
}
"""What a suffix promises; names without an entry promise nothing."""

_MODEL_SUFFIXES = frozenset({".h5", ".hdf5", ".keras", ".pb", ".tflite"})
"""Those of them that nothing but models has."""


@dataclass(frozen=True)
class Detection:
    """What an artifact is.

    Attributes:
        format: Its format. KERAS_HDF5 stands for every HDF5 file: whether it holds a model or weights alone its
            attributes tell, which `readers` reads.
        source: The open artifact itself: after a path to a parent or wrapper directory, what was found in it.
        path: Where it lies: the file, the directory of a SavedModel or Keras archive, the prefix of a checkpoint;
            None for bytes and file objects.
        evidence: What was seen, in a few words.
        kind: What it is, in words, where safeload makes no callable from it; else None.
        remedy: What the reader can do about that, or None.
        version: Which version to take from what an archive holds, or None.
        is_data: True if *kind* holds neither a model nor code that runs when somebody reads it.
    """

    format: Format
    source: Source
    path: Path | None
    evidence: str
    kind: str | None = None
    remedy: str | None = None
    version: int | None = None
    is_data: bool = False

    @property
    def where(self) -> str:
        """How messages name the artifact."""
        return self.source.where

    @property
    def file(self) -> ByteFile:
        """Its bytes, of an artifact that is one file."""
        assert self.source.file is not None  # noqa: S101 - so its format says
        return self.source.file

    @property
    def is_mislabelled(self) -> bool:
        """True if the suffix promises another format than the bytes are."""
        promised = None if self.path is None else SUFFIXES.get(self.path.suffix.lower())
        return promised is not None and self.format not in promised

    @property
    def is_no_model(self) -> bool:
        """True for a document, a picture, a program and the like, unless its name says that it is a model."""
        return self.is_data and (self.path is None or self.path.suffix.lower() not in _MODEL_SUFFIXES)
