"""Python bytecode inside configs: recognised and summarised, never unmarshalled.

Format: ``Python/marshal.c`` of CPython 2.7 to 3.14; ``func_dump`` in keras/src/utils/python_utils.py (Keras 3.15.1) and
keras/utils/generic_utils.py (Keras 1.2.2, raw text instead of base64).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any, NamedTuple

from safeload.policy._finding import DIGEST_DIGITS
from safeload.policy.keras_instructions import BYTES_TAGS, writer_by_lines, writer_by_opening, writer_by_slots

# A marshalled code object: type "c" (with or without the reference flag 0x80), then argcount as a little-endian int
# whose upper bytes are zero for any function that a person writes.
_CODE = re.compile(rb"[\x63\xe3].\x00\x00\x00", re.DOTALL)
SHORTEST_CODE_BYTES = 30
"""Texts with less hold no code."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]")

# Strings in the stream: short ASCII (z, Z), ASCII (a, A), interned (t), unicode (u), each with or without the flag.
_SHORT_TEXT = re.compile(rb"[\x7a\x5a\xfa\xda]([\x01-\x7f])([\x20-\x7e]+)")
_LONG_TEXT = re.compile(rb"[\x61\x41\xe1\xc1\x74\xf4\x75\xf5]([\x01-\x7f])\x00\x00\x00([\x20-\x7e]+)")
_MAX_SHOWN = 8

# Ints between the type byte and the bytecode string: 4 in Python 2, 5 in 3.0 to 3.7 (keyword-only arguments), 6 in 3.8
# to 3.10 (positional-only arguments), 5 again from 3.11 (no nlocals), whose code starts with RESUME or a prefix of it.
_NEW_INTS = 5
_PYTHON_BY_INTS = {4: "Python 2", 5: "Python 3.0 to 3.7", 6: "Python 3.8 to 3.10"}
_VERSIONS = {
    "Python 2": ((2, 0), (2, 7)),
    "Python 3.0 to 3.7": ((3, 0), (3, 7)),
    "Python 3.8 to 3.10": ((3, 8), (3, 10)),
    "Python 3.8 or 3.9": ((3, 8), (3, 9)),
    "Python 3.10": ((3, 10), (3, 10)),
    "Python 3.11 or 3.12": ((3, 11), (3, 12)),
    "Python 3.11": ((3, 11), (3, 11)),
    "Python 3.12": ((3, 12), (3, 12)),
    "Python 3.13": ((3, 13), (3, 13)),
    "Python 3.14": ((3, 14), (3, 14)),
}


class Bytecode(NamedTuple):
    """What a look at a marshalled function tells.

    Attributes:
        size: Bytes of the code object.
        python: Which Python wrote it, or None when the layout is of none known.
        words: Printable strings in it, names and constants, the first few.
    """

    size: int
    python: str | None
    words: tuple[str, ...]

    def fits(self, version: tuple[int, int]) -> bool:
        """Return False if Python *version* cannot have written it, so that running it there may crash the process."""
        first, last = _VERSIONS.get(self.python or "", (version, version))
        return first <= version <= last

    def __str__(self) -> str:
        writer = f" of {self.python}" if self.python else ""
        words = f" naming {', '.join(self.words)}" if self.words else ""
        return f"{self.size} bytes of bytecode{writer}{words}"


def read_bytecode(text: str) -> Bytecode | None:
    """Describe *text* if it holds a marshalled code object, as base64 or as raw characters; else return None.

    Guarantees:
        Nothing is unmarshalled or executed; the strings are found by pattern.
    """
    data = _code_bytes(text)
    if data is None:
        return None
    return Bytecode(len(data), _python(data), tuple(dict.fromkeys(_words(data)))[:_MAX_SHOWN])


def _code_bytes(text: str) -> bytes | None:
    if len(text) < SHORTEST_CODE_BYTES:
        return None
    # Keras 1 wrote the stream as raw_unicode_escape characters.
    raw = text.encode("latin-1", "replace") if text[0] in "c\xe3" else b""
    first = _BASE64.search(text)
    for data in (raw, decoded(text) if first is not None and first[0] in {"4", "Y"} else b""):
        if len(data) >= SHORTEST_CODE_BYTES and _CODE.match(data):
            return data
    return None


def decoded(text: str) -> bytes:
    """Return what *text* is as base64, nothing if it is none; Python's decoder skips characters of no meaning."""
    try:
        return base64.b64decode(text, validate=False)
    except ValueError:
        return b""


def _python(data: bytes) -> str | None:
    for ints, python in _PYTHON_BY_INTS.items():
        at = 1 + 4 * ints
        size = int.from_bytes(data[at + 1 : at + 5], "little")
        if data[at] in BYTES_TAGS and size <= len(data):
            opening = writer_by_opening(data[at + 5 : at + 5 + size]) if ints == _NEW_INTS else None
            return _told_apart(opening or python, data, size)
    return None


def _told_apart(python: str, data: bytes, code_size: int) -> str:
    """Return which of the releases *python* names wrote *data*, where the instructions tell."""
    if python == "Python 3.11 or 3.12":
        return writer_by_slots(data)
    return writer_by_lines(data, code_size) if python == "Python 3.8 to 3.10" else python


def _words(data: bytes) -> list[str]:
    found = [(m.start(), m[2][: m[1][0]]) for pattern in (_SHORT_TEXT, _LONG_TEXT) for m in pattern.finditer(data)]
    words = (text.decode("ascii") for start, text in sorted(found) if len(text) >= 2)
    return [w for w in words if not w.startswith("<")]


def digest_of(value: Any) -> str:
    """Return what stands for *value*, a JSON tree, in identifiers."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_DIGITS]
