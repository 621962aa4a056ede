"""Telling protobuf files apart by the shape of their wire format. Layer: formats; standard library alone.

Only field numbers and wire types of the top level are looked at; nothing is parsed further.
Source: https://protobuf.dev/programming-guides/encoding/ and the .proto files named below.
"""

from __future__ import annotations

from safeload.formats._file import ByteFile, MemoryFile

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Shape = dict[int, int]
"""Field number → wire type of the top-level fields of a message."""

_MESSAGES: tuple[tuple[str, Shape, Shape], ...] = (
    # name, fields that must be there, fields that may be there.
    # tensorflow/core/protobuf/saved_model.proto (2.21)
    ("saved-model", {2: _BYTES}, {1: _VARINT}),
    # onnx/onnx.proto3: ModelProto (ir_version, graph, opset_import and their neighbours)
    ("onnx", {1: _VARINT, 7: _BYTES}, {**dict.fromkeys((2, 3, 4, 6, 8, 14, 20, 25, 26), _BYTES), 5: _VARINT}),
    # tensorflow/core/framework/graph.proto: node, versions, library, the deprecated version, debug_info
    ("graph-def", {1: _BYTES}, {2: _BYTES, 3: _VARINT, 4: _BYTES, 5: _BYTES}),
    # tensorflow/core/protobuf/meta_graph.proto: MetaGraphDef
    ("meta-graph", {1: _BYTES, 2: _BYTES}, {3: _BYTES, 4: _BYTES, 5: _BYTES, 6: _BYTES, 7: _BYTES}),
)

_META_INFO: Shape = {**dict.fromkeys((1, 2, 3, 4, 5, 6, 8), _BYTES), 7: _VARINT}
"""MetaGraphDef.MetaInfoDef, with which every MetaGraphDef begins; SentencePiece models begin otherwise."""


def message_kind(file: ByteFile) -> str | None:
    """Return which message a file holds: saved-model, graph-def, meta-graph, keras-metadata, onnx, coreml; or None."""
    shape = _top_level(file)
    if shape is None:
        return None
    # apple/coremltools, mlmodel/format/Model.proto: specificationVersion, description, the model in a field above 199
    if shape.get(1) == _VARINT and any(200 <= number <= 3000 for number in shape):
        return "coreml"
    candidates = [name for name, required, optional in _MESSAGES if _fits(shape, required, {**required, **optional})]
    if not candidates:
        return None
    if candidates[0] in ("saved-model", "onnx"):
        return candidates[0]
    return _first_field_kind(file, candidates)


def _fits(shape: Shape, required: Shape, allowed: Shape) -> bool:
    return required.keys() <= shape.keys() and all(allowed.get(n) == wire for n, wire in shape.items())


def _first_field_kind(file: ByteFile, candidates: list[str]) -> str | None:
    """Decide what a file of length-delimited fields is by the message in its first field.

    A NodeDef begins with the node's name and has an op (fields 1 and 2, both text). A MetaInfoDef has tags and the
    TensorFlow version (fields 4 to 7). A SavedObject of keras_metadata.pb has an identifier ``_tf_keras_…`` (4).
    """
    first = _first_message(file)
    if b"_tf_keras_" in first[:4096]:
        return "keras-metadata"
    fields = _top_level(MemoryFile(first), is_cut=True)
    if not fields:
        return None
    is_node = (
        fields.get(1) == _BYTES and fields.get(2) == _BYTES and set(fields) <= {1, 2, 3, 4, 5, 6, 7} and _is_op(first)
    )
    if is_node and "graph-def" in candidates:
        return "graph-def"
    if "meta-graph" in candidates and _fits(fields, {}, _META_INFO):
        return "meta-graph"
    return None


def _is_op(node: bytes) -> bool:
    # NodeDef.op is an identifier, as in OpDef: "[A-Z][a-zA-Z0-9>_]*"; MetaInfoDef.stripped_op_list begins with 0x0a.
    length, start = _varint(node, 1)
    op = start + length
    return node[op : op + 1] == b"\x12" and node[op + 2 : op + 3].isalpha()


def _first_message(file: ByteFile) -> bytes:
    head = file.read_at(0, 11)
    length, start = _varint(head, 1)
    return file.read_at(start, min(length, 1 << 16))


def _top_level(file: ByteFile, *, is_cut: bool = False, max_fields: int = 200_000) -> Shape | None:
    """Return the fields of the outermost message, or None if the bytes are no message."""
    shape: Shape = {}
    offset = 0
    window = b""
    base = 0
    for _ in range(max_fields):
        if offset >= file.size:
            return shape if offset == file.size or is_cut else None
        if offset + 20 > base + len(window):
            base, window = offset, file.read_at(offset, 4096)
        try:
            key, position = _varint(window, offset - base)
            number, wire = key >> 3, key & 7
            offset = base + _skip(window, position, wire)
        except (ValueError, IndexError):
            return None
        if number == 0 or shape.setdefault(number, wire) != wire:
            return None
    return shape


def _skip(window: bytes, position: int, wire: int) -> int:
    if wire == _VARINT:
        return _varint(window, position)[1]
    if wire == _BYTES:
        length, position = _varint(window, position)
        return position + length
    if wire in (_FIXED32, _FIXED64):
        return position + (4 if wire == _FIXED32 else 8)
    raise ValueError("groups are used by none of these messages")


def _varint(window: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = window[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a varint of more than 64 bits")
