"""What one file is, decided from its bytes alone. Layer: formats; standard library alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError, UnrecognizedFormatError
from safeload.formats import _foreign, _wire
from safeload.formats._archives import _contents
from safeload.formats._archives._zip import LOCAL_MAGIC, ends_as_zip, zip_names
from safeload.formats._detection import SUFFIXES, Detection
from safeload.formats._format import Format
from safeload.formats._source import Source, is_checkpoint_prefix
from safeload.formats._tree import named_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safeload.formats._file import ByteFile
    from safeload.formats._foreign import Kind

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
TFLITE_MAGIC = b"TFL3"
SAVED_MODEL_NAMES = ("saved_model.pb", "saved_model.pbtxt")
"""tensorflow/python/saved_model/constants.py (2.21): where TensorFlow's loader looks for the graph, in its order."""
_HEAD_BYTES = 4096

TABLE_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""Last bytes of the index of a checkpoint. Source: kTableMagicNumber in tensorflow/core/lib/io/format.h."""


def detect_file(source: Source, file: ByteFile) -> Detection:
    """Decide the format of one file."""
    head = file.read_at(0, _HEAD_BYTES)
    if not head:
        raise UnrecognizedFormatError(source.where, seen="the file is empty (0 bytes)")
    for examine in _EXAMINERS:
        detection = examine(source, file, head)
        if detection is not None:
            return detection
    raise UnrecognizedFormatError(source.where, seen=f"it begins with {head[:16]!r}{_promise(source)}")


def _promise(source: Source) -> str:
    suffix = "" if source.path is None else source.path.suffix
    return f", whatever its suffix {suffix!r} promises" if suffix.lower() in SUFFIXES else ""


def found(source: Source, form: Format, evidence: str, kind: Kind | None = None) -> Detection:
    """Say what *source* is; *kind* if no callable is made from it."""
    if kind is None:
        return Detection(form, source, source.path, evidence)
    return Detection(form, source, source.path, evidence, kind.name, kind.remedy, is_data=kind.is_data)


def hdf5_offset(file: ByteFile) -> int | None:
    """Return where the HDF5 signature stands, or None.

    Source:
        HDF5 File Format Specification 3.0, II.A: at byte 0, 512, 1024, 2048 and so on, doubling.
    """
    offset = 0
    while offset < file.size:
        if file.read_at(offset, len(HDF5_MAGIC)) == HDF5_MAGIC:
            return offset
        offset = offset * 2 or 512
    return None


def _hdf5(source: Source, file: ByteFile, head: bytes) -> Detection | None:
    offset = hdf5_offset(file)
    # Weights stored in a zip may begin at such an offset by chance: the strict reading of the zip accounts for them.
    if offset is None or (offset > 0 and _is_archive(head, file)):
        return None
    other = _other_reading(file, head, offset)
    if other is not None:
        raise MalformedArtifactError(
            source.where,
            problem=f"the file is HDF5 and {other} at once, so what it holds depends on who reads it",
            hint="no library writes such files; ask its author for one that is one thing",
        )
    if head.startswith(b"MATLAB 7.3"):
        return found(source, Format.FOREIGN, "MATLAB header before HDF5", _foreign.OTHER_HDF5)
    return found(source, Format.KERAS_HDF5, f"HDF5 signature at byte {offset}")


def _other_reading(file: ByteFile, head: bytes, offset: int) -> str | None:
    """Return what an HDF5 file is for those who read its end, or what lies before its signature; or None."""
    if ends_as_zip(file) or head.startswith(LOCAL_MAGIC):
        return "a zip archive"
    if offset == 0:
        return None
    if head[4:8] == TFLITE_MAGIC:
        return "a TensorFlow Lite model"
    kind, message = _foreign.kind_by_magic(head), _wire.message_kind(file)
    return kind.name if kind is not None else message and f"a protobuf ({message})"


def _is_archive(head: bytes, file: ByteFile) -> bool:
    is_zip = head.startswith(LOCAL_MAGIC) and ends_as_zip(file)
    return is_zip or _contents.is_tar(head) or _contents.compression_of(head) is not None


def _zip(source: Source, file: ByteFile, head: bytes) -> Detection | None:
    if not head.startswith((LOCAL_MAGIC, b"PK\x05\x06")):
        return None
    names = zip_names(file, source.where)
    if names is None:
        raise MalformedArtifactError(source.where, problem="a zip archive without its directory: the file is truncated")
    if _contents.is_keras_archive(names):
        return found(source, Format.KERAS_ARCHIVE, "zip with config.json", _contents.keras_weights_problem(names))
    content = _contents.content_of_zip(names)
    form = Format.ARCHIVE if content.kind is None else Format.FOREIGN
    return found(source, form, content.evidence, content.kind)


def _tar(source: Source, file: ByteFile, head: bytes) -> Detection | None:
    compression = _contents.compression_of(head)
    if compression is None and not _contents.is_tar(head):
        return None
    content = _contents.content_of_tar(file, where=source.where, compression=compression)
    return found(source, Format.ARCHIVE, content.evidence, content.kind)


def _tflite(source: Source, file: ByteFile, head: bytes) -> Detection | None:
    # tensorflow/compiler/mlir/lite/schema/schema.fbs: file_identifier "TFL3"
    if head[4:8] != TFLITE_MAGIC:
        return None
    if int.from_bytes(head[:4], "little") + 4 > file.size:
        raise MalformedArtifactError(source.where, problem="a TFLite flatbuffer whose root lies beyond its end")
    return found(source, Format.TFLITE, "TFL3 at byte 4")


def _magic(source: Source, _file: ByteFile, head: bytes) -> Detection | None:
    kind = _foreign.kind_by_magic(head)
    return None if kind is None else found(source, Format.FOREIGN, f"begins with {head[:8]!r}", kind)


_PROTOBUFS: dict[str, tuple[Format, Kind | None]] = {
    "saved-model": (Format.SAVED_MODEL, _foreign.LOOSE_SAVED_MODEL),
    "graph-def": (Format.FROZEN_GRAPH, None),
    "meta-graph": (Format.TF1_CHECKPOINT, None),
    "keras-metadata": (Format.FOREIGN, _foreign.KERAS_METADATA),
    "onnx": (Format.FOREIGN, _foreign.ONNX),
    "coreml": (Format.FOREIGN, _foreign.COREML),
}

_TEXT_GRAPHS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"(?:#[^\n]*\n|\s)*(?:saved_model_schema_version\s*:|meta_graphs\s*[{:<])"), "saved-model"),
    (re.compile(rb"(?:#[^\n]*\n|\s)*(?:meta_info_def|graph_def)\s*[{:<]"), "meta-graph"),
    (re.compile(rb"(?:#[^\n]*\n|\s)*(?:node|versions|library)\s*[{:<]"), "graph-def"),
)
"""How the text forms of the same messages begin: the names of their first fields."""


def _protobuf(source: Source, file: ByteFile, head: bytes) -> Detection | None:
    message = next((name for pattern, name in _TEXT_GRAPHS if pattern.match(head)), None)
    is_text = message is not None
    if message is None:
        message = None if _foreign.is_text(head) else _wire.message_kind(file)
    if message is None:
        return None
    form, kind = _PROTOBUFS[message]
    evidence = f"{message} in protobuf {'text' if is_text else 'wire'} format"
    if message == "saved-model" and source.path is not None and source.path.name in SAVED_MODEL_NAMES:
        parent = source.path.parent
        source.close()
        return found(Source(where=source.where, path=parent), form, evidence)
    prefix = source.path.with_suffix("") if source.path is not None and source.path.suffix == ".meta" else None
    if form is Format.TF1_CHECKPOINT and prefix is not None and is_checkpoint_prefix(prefix):
        source.close()
        return detect_checkpoint(Source(where=source.where, path=prefix))
    return found(source, form, evidence, kind)


def _checkpoint_file(source: Source, file: ByteFile, head: bytes) -> Detection | None:
    """Find the checkpoint to which an index, a data file, or the text file ``checkpoint`` belongs."""
    is_table = file.read_at(file.size - len(TABLE_MAGIC), len(TABLE_MAGIC)) == TABLE_MAGIC
    prefix = None if source.path is None else _prefix_of(source.path, head)
    if prefix is not None and is_checkpoint_prefix(prefix):
        source.close()
        return detect_checkpoint(Source(where=source.where, path=prefix))
    if is_table:
        return found(source, Format.FOREIGN, "table of a checkpoint", _kind_of_table(source.path))
    if prefix is not None:
        return found(source, Format.FOREIGN, "a file of a checkpoint", _foreign.BUNDLE_DATA)
    return None


def _kind_of_table(path: Path | None) -> Kind:
    if path is None or path.suffix == ".index":
        return _foreign.BUNDLE_DATA
    return _foreign.NAMELESS_CHECKPOINT if path.name == ".index" else _foreign.V1_CHECKPOINT


def _prefix_of(path: Path, head: bytes) -> Path | None:
    if head.startswith((b"model_checkpoint_path:", b"all_model_checkpoint_paths:")):
        return named_checkpoint(path.parent)
    name = re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name)
    return None if name in ("", path.name) else path.with_name(name)


def detect_checkpoint(source: Source) -> Detection:
    """Decide between the checkpoints of TensorFlow 1, which have a graph beside them, and weights alone."""
    prefix = source.path
    if prefix is not None and prefix.with_name(prefix.name + ".meta").is_file():
        return found(source, Format.TF1_CHECKPOINT, "checkpoint with .meta")
    return found(source, Format.CHECKPOINT, "checkpoint index")


_JSON_KINDS: tuple[tuple[re.Pattern[bytes], Format, Kind | None], ...] = (
    (
        re.compile(rb'"modelTopology"|"weightsManifest"|"format"\s*:\s*"(?:layers|graph)-model"'),
        Format.FOREIGN,
        _foreign.TFJS,
    ),
    (re.compile(rb'"weight_map"'), Format.FOREIGN, _foreign.SHARDED_WEIGHTS),
    (re.compile(rb'"class_name"'), Format.KERAS_JSON, None),
)


def _json(source: Source, file: ByteFile, head: bytes) -> Detection | None:
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b'"{')) or not _foreign.is_text(head):
        return None
    # Functional configs name the class after all their layers, and a manifest may stand at the end.
    ends = head + file.read_at(max(0, file.size - _HEAD_BYTES), _HEAD_BYTES)
    for pattern, form, kind in _JSON_KINDS:
        if pattern.search(ends.replace(b'\\"', b'"')):
            return found(source, form, "JSON object", kind)
    return found(source, Format.FOREIGN, "JSON object", _foreign.JSON_DATA)


def _text(source: Source, _file: ByteFile, head: bytes) -> Detection | None:
    kind = _foreign.kind_of_text(head)
    return None if kind is None else found(source, Format.FOREIGN, f"text: {head[:24]!r}", kind)


_EXAMINERS: tuple[Callable[[Source, ByteFile, bytes], Detection | None], ...] = (
    _hdf5,
    _zip,
    _tflite,
    _tar,
    _magic,
    _json,
    _checkpoint_file,
    _protobuf,
    _text,
)
"""In the order of certainty: signatures first, shapes after, text last."""
