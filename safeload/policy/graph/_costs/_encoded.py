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
_MAX_DECODERS = 64
_ANY_HEADER = zlib.MAX_WBITS | 32
"""Lets zlib read gzip and zlib headers. Source: zlib manual, inflateInit2."""
_CHUNK = 1 << 24
_KEPT = 1 << 24
"""Decompressed bytes that are kept for another decoder; more are only counted."""

DECODERS = ("DecodeCompressed", "ParseTensor")


def expanded_bytes(sites: Sites, node: Node, budget: int) -> int:
    """Return how many bytes *node*, one of `DECODERS`, makes of constants; counting ends above *budget*."""
    texts = _texts(sites, node)
    if node.op == "ParseTensor":
        return max(map(_tensor_bytes, texts), default=0)
    return sum(_inflated(text, budget)[0] for text in texts)


def _texts(sites: Sites, node: Node) -> list[bytes]:
    """Return the constant strings that *node* decodes; none if they are not constant."""
    decoders = 0
    made = sites.through(sites.input(Site(node), 0), _SAME)
    while made is not None and made.node.op == "DecodeCompressed" and decoders < _MAX_DECODERS:
        decoders += 1
        made = sites.through(sites.input(made, 0), _SAME)
    if made is None or made.node.op != "Const":
        return []
    texts = _strings(made.node)
    for _ in range(decoders):
        texts = [_inflated(text, _KEPT)[1] for text in texts]
    return texts


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
