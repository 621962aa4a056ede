"""Which Python wrote bytecode whose layout several releases share: told by its instructions. Layer: policy.

Running instructions of another release ends the process more often than not. Nothing is unmarshalled here.

Source: ``Lib/opcode.py`` of CPython 3.11 and 3.12, ``Include/opcode_ids.h`` of 3.13 and 3.14,
``Objects/lnotab_notes.txt`` of 3.9 and 3.10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_MOST = 1 << 16
"""Bytes of instructions that are looked at; functions in models have some dozens."""
BYTES_TAGS = (0x73, 0xF3)
_REFERENCE = b"r"
# A code object of 3.11 or later as marshal writes it: the type, five ints, the type of a bytes object and its length.
_NEW_CODE = re.compile(rb"(?=[\x63\xe3].{20}[\x73\xf3](.{4}))", re.DOTALL)
_NEW_HEAD = 26


_OPENINGS = (
    ("Python 3.11 or 3.12", 151, frozenset({1, 75, 135, 149})),
    ("Python 3.13", 149, frozenset({32, 35, 62, 94})),
    ("Python 3.14", 128, frozenset({80, 95})),
)
"""Releases, their RESUME, with which functions begin, and what may stand before it: cells and generators are made."""
_NEW_FIRST = frozenset({62, 80, 94, 95})
"""What stands there in no earlier release."""


class _Release(NamedTuple):
    """How one release writes instructions, each of two bytes.

    Attributes:
        slots: Opcode → how many empty instructions follow it, in which the interpreter remembers things.
        foreign: Opcodes that the other release alone has; 0 is that of an empty instruction.
    """

    slots: Mapping[int, int]
    foreign: frozenset[int]

    def can_have_written(self, code: bytes) -> bool:
        """Tell whether *code* is a sequence of instructions of this release."""
        at = 0
        while at < len(code):
            if code[at] in self.foreign:
                return False
            begin = at + 2
            at = begin + 2 * self.slots.get(code[at], 0)
            if any(code[begin:at]):
                return False
        return at == len(code)


_RELEASES = {
    "Python 3.11": _Release(
        {25: 4, 60: 1, 92: 1, 95: 4, 106: 4, 107: 2, 116: 5, 122: 1, 160: 10, 166: 1, 171: 4},
        frozenset({0, 3, 4, 5, 17, 26, 27, 55, 121, 127, 141, 143, 150}),
    ),
    "Python 3.12": _Release(
        {25: 1, 60: 1, 92: 1, 93: 1, 95: 4, 106: 9, 107: 1, 116: 4, 122: 1, 123: 1, 141: 1, 171: 3},
        frozenset({0, 10, 70, 82, 84, 86, 88, 111, 112, 148, 160, 166}),
    ),
}


def writer_by_opening(code: bytes) -> str | None:
    """Say which Python wrote *code* by how it begins, or return None if it was one before 3.11."""
    opcodes = code[:_MOST:2]
    for name, resume, before in _OPENINGS:
        if next((opcode for opcode in opcodes if opcode not in before), None) == resume:
            return name
    return "Python 3.11 or later" if opcodes[:1] and opcodes[0] in _NEW_FIRST else None


def writer_by_slots(data: bytes) -> str:
    """Say which of Python 3.11 and 3.12 wrote *data*, a marshalled function; ``or``, where it runs on both."""
    codes = list(_new_codes(data))
    found = [name for name, release in _RELEASES.items() if all(map(release.can_have_written, codes))]
    return found[0] if len(found) == 1 else "Python 3.11 or 3.12"


def _new_codes(data: bytes) -> Iterator[bytes]:
    """Yield the instructions of the function and of those inside of it."""
    left = _MOST
    for head in _NEW_CODE.finditer(data):
        begin, size = head.start() + _NEW_HEAD, int.from_bytes(head[1], "little")
        if size <= min(left, len(data) - begin):
            left -= size
            yield data[begin : begin + size]


def writer_by_lines(data: bytes, code_size: int) -> str:
    """Say whether Python 3.10 wrote *data*, a marshalled function of *code_size* bytes, or 3.8 or 3.9.

    The table of lines is its end. That of 3.10 has the length of each stretch of instructions; before, it had where
    each but the first begins, so that it may be empty, and then it is a reference to another that is.
    """
    if data[-5:-4] == _REFERENCE:
        return "Python 3.8 or 3.9"
    for size in range(min(_MOST, len(data) - 5)):
        begin = len(data) - size
        if data[begin - 5] in BYTES_TAGS and int.from_bytes(data[begin - 4 : begin], "little") == size:
            return "Python 3.10" if sum(data[begin::2]) == code_size else "Python 3.8 or 3.9"
    return "Python 3.8 to 3.10"
