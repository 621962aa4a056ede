"""What is it? Bytes in, a `Format` with its evidence out. Layer: above errors and limits; standard library alone."""

from safeload.formats._archives._unpack import unpack
from safeload.formats._archives._zip import FREE_EXPANSION_BYTES, ZipIndex, read_zip
from safeload.formats._detect import detect
from safeload.formats._detection import SUFFIXES, Detection
from safeload.formats._examine import HDF5_MAGIC, SAVED_MODEL_NAMES, TABLE_MAGIC
from safeload.formats._file import ByteFile, MemoryFile, Window
from safeload.formats._foreign import HDF5_MARKS, OTHER_HDF5, is_text
from safeload.formats._format import Format
from safeload.formats._source import Source, absolute, open_source
from safeload.formats._temporary import TemporaryFolder, writing
from safeload.formats._tree import open_member, resolve_member

__all__ = [
    "FREE_EXPANSION_BYTES",
    "HDF5_MAGIC",
    "HDF5_MARKS",
    "OTHER_HDF5",
    "SAVED_MODEL_NAMES",
    "SUFFIXES",
    "TABLE_MAGIC",
    "ByteFile",
    "Detection",
    "Format",
    "MemoryFile",
    "Source",
    "TemporaryFolder",
    "Window",
    "ZipIndex",
    "absolute",
    "detect",
    "is_text",
    "open_member",
    "open_source",
    "read_zip",
    "resolve_member",
    "unpack",
    "writing",
]
