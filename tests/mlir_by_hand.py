"""MLIR bytecode made part by part, as mlir.llvm.org/docs/BytecodeFormat describes it."""

from __future__ import annotations

STRING, BOOLEAN = 14, 2
"""Codes of attributes of VHLO. Source: stablehlo/dialect/VhloBytecode.cpp (StableHLO 1.13)."""

STRINGS = (b"builtin", b"vhlo", b"module", b"custom_call_v1", b"add_v1", b"shape_assertion", b"SomeNativeFunction")
MODULE, CALL, ADD = 0, 1, 2


def number(value: int) -> bytes:
    """Encode a number; larger ones than 127 in nine bytes."""
    return bytes([value << 1 | 1]) if value < 128 else b"\0" + value.to_bytes(8, "little")


def numbers(*values: int) -> bytes:
    return b"".join(map(number, values))


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + number(len(content)) + content


def operation(name: int, *, parts: int = 0, rest: bytes = b"") -> bytes:
    return number(name) + bytes([parts]) + number(0) + rest


def call(properties: int = 0) -> bytes:
    """Make a custom call with two operands and a result."""
    return operation(CALL, parts=0x47, rest=numbers(0, properties, 1, 0, 2, 0, 0))


def block(*operations: bytes, arguments: bytes | None = None) -> bytes:
    has_arguments = arguments is not None
    return number(len(operations) << 1 | has_arguments) + (arguments or b"") + b"".join(operations)


ATTRIBUTES = ((1, numbers(STRING, 5)), (1, numbers(STRING, 6)), (1, numbers(BOOLEAN, 1)))


def module(
    *operations: bytes,
    body: bytes | None = None,
    dialects: bytes = numbers(0, 1 << 1),
    names: bytes = numbers(3, 0, 1, 2 << 1, 1, 2, 3 << 1, 4 << 1),
    attributes: tuple[tuple[int, bytes], ...] = (
        (1, numbers(STRING, 5)),
        (1, numbers(STRING, 6)),
        (1, numbers(BOOLEAN, 1)),
    ),
    properties: tuple[bytes, ...] = (numbers(0, 2), numbers(1, 2)),
    version: int = 6,
    producer: bytes = b"by hand",
    more: bytes = b"",
) -> bytes:
    """Make a module of *operations*, or with the *body* of its operation ``builtin.module``."""
    if body is None:
        body = numbers(1, 0) + block(*operations, arguments=numbers(2, 0 << 1, 0 << 1 | 1, 0) + b"\0")
    whole = block(operation(MODULE, parts=0x10, rest=number(1 << 1 | 1) + section(4, body)))
    offsets = numbers(len(attributes), 1)
    for dialect, encoded in (*attributes, (1, b"\0")):
        offsets += numbers(dialect, 1, len(encoded) << 1 | 1)
    encoded_attributes = b"".join(encoded for _, encoded in attributes) + b"\0"
    strings = numbers(len(STRINGS), *(len(text) + 1 for text in reversed(STRINGS)))
    return (
        b"ML\xefR"
        + number(version)
        + producer
        + b"\0"
        + section(0, strings + b"".join(text + b"\0" for text in STRINGS))
        + section(1, number(2) + dialects + names)
        + section(2, encoded_attributes)
        + section(3, offsets)
        + section(4, whole)
        + section(8, number(len(properties)) + b"".join(number(len(found)) + found for found in properties))
        + more
    )
