"""What is it? Bytes in, a `Format` with its evidence out. Layer: above errors and limits; standard library alone."""

from safeload.formats._detect import Detection, detect
from safeload.formats._format import Format
from safeload.formats._source import Source, open_source

__all__ = ["Detection", "Format", "Source", "detect", "open_source"]
