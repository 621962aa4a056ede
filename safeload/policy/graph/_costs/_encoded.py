"""Constants that hold much in few bytes: compressed text, serialized tensors. Layer: policy.

Pictures are left to TensorFlow, which refuses those of more than 2**29 pixels (core/lib/png, jpeg and gif, 2.21).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from safeload.errors import SafeloadError
from safeload.policy.graph._constants._sites import Site
from safeload.policy.graph._constants._values import declared_elements
from safeload.readers.protobuf import dtype_bytes, dtype_name, parse_message

if TYPE_CHECKING:
    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._sites import Sites

_SAME = frozenset({"Identity", "Reshape", "ExpandDims", "Squeeze"})
_TOGETHER = frozenset({"ConcatV2", "Pack"})
_MAX_DEPTH = 64
_MAX_STEPS = 1000
"""Nodes before one decoder that are looked at."""
_ANY_HEADER = zlib.MAX_WBITS | 32
"""Lets zlib read gzip and zlib headers. Source: zlib manual, inflateInit2."""
_CHUNK = 1 << 24
_KEPT = 1 << 24
"""Decompressed bytes that are kept for another decoder; more are only counted."""

_SPARSE = frozenset({"DeserializeManySparse", "DeserializeSparse"})
"""Ops that parse a tensor of each text. Source: tensorflow/core/kernels/deserialize_sparse_string_op.cc (2.21)."""
DECODERS = ("DecodeCompressed", "ParseTensor", *sorted(_SPARSE))


def expanded_bytes(sites: Sites, node: Node, budget: int) -> int:
    """Return how many bytes *node*, one of `DECODERS`, makes of constants; counting ends above *budget*."""
    texts = _Texts(sites).of(sites.input(Site(node), 0), _MAX_DEPTH)
    if node.op == "ParseTensor":
        return max(map(_tensor_bytes, texts), default=0)
    if node.op in _SPARSE:
        return sum(map(_tensor_bytes, texts))
    return sum(_inflated(text, budget)[0] for text in texts)


class _Texts:
    """Computes the strings that a graph makes of its constants, as far as they may be followed.

    Args:
        sites: Finds what makes tensors.
    """

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._left = _MAX_STEPS

    def of(self, made: Site | None, depth: int) -> list[bytes]:
        """Return the strings that *made* makes, those left out that are not constant."""
        made = self._sites.through(made, _SAME)
        self._left -= 1
        if made is None or not depth or self._left < 0:
            return []
        if made.node.op == "Const":
            return _strings(made.node)
        if made.node.op == "DecodeCompressed":
            return [_inflated(text, _KEPT)[1] for text in self.of(self._sites.input(made, 0), depth - 1)]
        if made.node.op not in _TOGETHER and made.node.op != "StringJoin":
            return []
        below = [self._sites.find(made.node.body, reference, made.context) for reference in made.data()]
        parts = [self.of(part, depth - 1) for part in below]
        if made.node.op == "StringJoin":
            return _joined(made.node, parts)
        return [text for part in parts for text in part]


def _joined(node: Node, parts: list[list[bytes]]) -> list[bytes]:
    """Return what a StringJoin makes of *parts*, of which those that are not known count as empty."""
    value = node.proto.attr.get("separator")
    count = max(map(len, parts), default=0)
    rows = ([part[index if len(part) == count else 0] if part else b"" for part in parts] for index in range(count))
    texts = [(value.s if value is not None else b"").join(row)[:_KEPT] for row in rows]
    return texts if sum(map(len, texts)) <= _KEPT else texts[:1]


def _strings(constant: Node) -> list[bytes]:
    value = constant.proto.attr.get("value")
    return list(value.tensor.string_val) if value is not None else []


def _inflated(text: bytes, most: int) -> tuple[int, bytes]:
    """Return how many bytes *text* holds, counted until there are more than *most*, and the first of them."""
    stream = zlib.decompressobj(_ANY_HEADER)
    size, kept, rest = 0, b"", text
    try:
        while rest and size <= most and not stream.eof:
            found = stream.decompress(rest, _CHUNK)
            size, rest = size + len(found), stream.unconsumed_tail
            kept += found if len(kept) < _KEPT else b""
    except zlib.error:
        pass  # TensorFlow refuses it when it comes there
    return size, kept


def _tensor_bytes(text: bytes) -> int:
    try:
        tensor = parse_message("TensorProto", text, where="ParseTensor")
    except SafeloadError:
        return 0
    return declared_elements(tensor.tensor_shape) * (dtype_bytes(dtype_name(tensor.dtype) or "") or 1)
