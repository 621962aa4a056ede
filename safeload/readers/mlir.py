"""What a StableHLO module in MLIR bytecode calls. Layer: readers.

Source: mlir.llvm.org/docs/BytecodeFormat and mlir/lib/Bytecode/Reader/BytecodeReader.cpp (LLVM 22), version 6 of the
format; stablehlo/dialect/VhloBytecode.cpp (StableHLO 1.13) for the attributes of its dialect.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from safeload.errors import MalformedArtifactError

MAGIC = b"ML\xefR"
_VERSION = 6
_STRINGS, _DIALECTS, _ATTRIBUTES, _OFFSETS, _IR, _VERSIONS, _PROPERTIES = 0, 1, 2, 3, 4, 7, 8
_SECTIONS = frozenset({_STRINGS, _DIALECTS, _ATTRIBUTES, _OFFSETS, _IR, 5, 6, _PROPERTIES})
"""Those of a module; 5 and 6 are of resources. An aligned section has another number, and is not read."""
_WHOLE = frozenset({_ATTRIBUTES, 5, 6})
"""Sections that hold weights, and are not looked at byte by byte."""

_HAS_ATTRIBUTES, _HAS_RESULTS, _HAS_OPERANDS, _HAS_REGIONS, _HAS_PROPERTIES = 0x01, 0x02, 0x04, 0x10, 0x40
_KNOWN = _HAS_ATTRIBUTES | _HAS_RESULTS | _HAS_OPERANDS | _HAS_REGIONS | _HAS_PROPERTIES
"""Parts of an operation. Successors and orders of uses, which modules of JAX have none of, are not read."""

_MAX_NESTED = 64
_DIALECT = "vhlo"
_CALL = f"{_DIALECT}.custom_call_v1"
_STRING = 14
"""Code of an attribute that is a string, ``kStringV1Attr``."""
_LONGEST_CALL = 8 * 9
"""Bytes of the properties of a custom call: eight attributes, with numbers of nine bytes at most."""
_TARGET = b"call_target_name"
"""Where it is written out, an operation may have its target from its dictionary in place of its properties."""


class Operation(NamedTuple):
    """An operation of a module.

    Attributes:
        name: With its dialect, such as ``vhlo.add_v1``.
        strings: Of a custom call the strings among its properties: its target, and its configuration.
    """

    name: str
    strings: frozenset[str] = frozenset()


def read_operations(module: bytes, *, where: str, most: int) -> tuple[set[Operation], int]:
    """Return the operations of *module*, each once, and how many bytes were looked at for it.

    Args:
        module: Its bytes.
        where: How messages name it.
        most: Bytes that are looked at at most, each of which takes a microsecond. Weights are not.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. It is not bytecode as JAX writes it, or too much of it.
    """
    try:
        read = _Module(module, most)
        return read.operations(), read.size
    except (IndexError, ValueError) as error:
        raise MalformedArtifactError(where, problem=f"no module of StableHLO that is understood: {error}") from error


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    @property
    def left(self) -> int:
        return len(self.content) - self.place

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("it ends early")
        self.place += count
        return self.content[self.place - count : self.place]

    def number(self) -> int:
        """Read a number whose first byte tells by the zeros at its end how many more follow."""
        first = self.take(1)
        zeros = 8 if first == b"\0" else (first[0] & -first[0]).bit_length() - 1
        return int.from_bytes(first + self.take(zeros), "little") >> min(zeros + 1, 8)

    def numbers(self) -> list[int]:
        return [self.number() for _ in range(self._count())]

    def _count(self) -> int:
        count = self.number()
        if count > self.left:
            raise ValueError("it ends early")
        return count

    def section(self) -> tuple[int, bytes]:
        kind = self.take(1)[0]
        return kind, self.take(self.number())

    def inner(self, kind: int) -> _Bytes:
        """Read a section that must be of *kind*."""
        found, content = self.section()
        if found != kind:
            raise ValueError("another section than there should be")
        return _Bytes(content)

    def end(self) -> None:
        if self.left:
            raise ValueError("more follows than it says")


class _Module:
    def __init__(self, module: bytes, most: int) -> None:
        content = _Bytes(module)
        if content.take(len(MAGIC)) != MAGIC or content.number() != _VERSION:
            raise ValueError("another version")
        content.place = module.index(b"\0", content.place) + 1  # after the producer
        sections: dict[int, bytes] = {}
        while content.left:
            kind, found = content.section()
            if kind in sections or kind not in _SECTIONS:
                raise ValueError("a section twice, or an unknown one")
            sections[kind] = found
        self.size = sum(len(found) for kind, found in sections.items() if kind not in _WHOLE)
        if self.size > most:
            raise ValueError("it has more operations than are looked at")
        self._may_override = _TARGET in module
        self._strings = list(_strings(_Bytes(sections.get(_STRINGS, b""))))
        self._dialects, self._names = self._read_dialects(_Bytes(sections.get(_DIALECTS, b"")))
        offsets, attributes = _Bytes(sections.get(_OFFSETS, b"")), _Bytes(sections.get(_ATTRIBUTES, b""))
        self._attributes = list(self._read_attributes(offsets, attributes))
        self._properties = list(_properties(_Bytes(sections.get(_PROPERTIES, b""))))
        self._met: set[tuple[str, bytes]] = set()
        body = _Bytes(sections.get(_IR, b""))
        self._block(body, 0)
        body.end()

    def operations(self) -> set[Operation]:
        return {Operation(name, self._texts(found) if name == _CALL else frozenset()) for name, found in self._met}

    def _read_dialects(self, content: _Bytes) -> tuple[list[str], list[str]]:
        dialects = []
        for _ in range(content.number()):
            name = content.number()
            if name & 1:
                content.inner(_VERSIONS)
            dialects.append(self._strings[name >> 1])
        count, names = content.number(), []
        while content.left:
            dialect = dialects[content.number()]
            names += [f"{dialect}.{self._strings[name >> 1]}" for name in content.numbers()]
        if len(names) != count:
            raise ValueError("other names than it says")
        return dialects, names

    def _read_attributes(self, offsets: _Bytes, content: _Bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the dialect and the encoding of each attribute; types follow in the same way and are left."""
        count, _ = offsets.number(), offsets.number()
        while offsets.left:
            dialect = self._dialects[offsets.number()]
            for size in offsets.numbers():
                if not size & 1:
                    raise ValueError("an attribute or type is written as text")
                found = content.take(size >> 1)
                if count > 0:
                    yield dialect, found
                count -= 1

    def _block(self, content: _Bytes, depth: int) -> None:
        count = content.number()
        if count & 1:
            for _ in range(content.number()):
                if content.number() & 1:  # the type of an argument, and whether its place in the source follows
                    content.number()
            if content.take(1) != b"\0":
                raise ValueError("an order of uses")
        for _ in range(count >> 1):
            self._operation(content, depth)

    def _operation(self, content: _Bytes, depth: int) -> None:
        name, parts, _ = self._names[content.number()], content.take(1)[0], content.number()
        if parts & ~_KNOWN:
            raise ValueError("an operation with parts that are not read")
        if parts & _HAS_ATTRIBUTES:
            content.number()
        properties = self._properties[content.number()] if parts & _HAS_PROPERTIES else b""
        for part in (_HAS_RESULTS, _HAS_OPERANDS):
            if parts & part:
                content.numbers()
        self._met.add((name, properties if name == _CALL else b""))
        if parts & _HAS_REGIONS:
            self._regions(content, depth + 1)

    def _regions(self, content: _Bytes, depth: int) -> None:
        if depth > _MAX_NESTED:
            raise ValueError("regions are nested too deep")
        count = content.number()
        is_isolated = count & 1
        inside = content.inner(_IR) if is_isolated else content
        for _ in range(count >> 1):
            blocks = inside.number()
            if blocks:
                inside.number()  # of values
            for _ in range(blocks):
                self._block(inside, depth)
        if is_isolated:
            inside.end()

    def _texts(self, properties: bytes) -> frozenset[str]:
        """Return the strings among *properties*, the attributes of a custom call by their numbers."""
        if self._may_override or len(properties) > _LONGEST_CALL:
            raise ValueError("a call may have its target from elsewhere")
        content, texts = _Bytes(properties), set()
        while content.left:
            dialect, encoded = self._attributes[content.number()]
            attribute = _Bytes(encoded)
            if dialect != _DIALECT:
                raise ValueError("a property of another dialect")
            if attribute.number() == _STRING:
                texts.add(self._strings[attribute.number()])
        return frozenset(texts)


def _strings(content: _Bytes) -> Iterator[str]:
    lengths = content.numbers()
    for length in reversed(lengths):
        yield content.take(length)[:-1].decode("utf-8", "surrogateescape")
    content.end()


def _properties(content: _Bytes) -> Iterator[bytes]:
    for _ in range(content.number()):
        yield content.take(content.number())
    content.end()
