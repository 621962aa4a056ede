"""Tests of the flatbuffer reader."""

from __future__ import annotations

import struct

import pytest
from flatbuffers_by_hand import serialize, table

from safeload.readers.tflite.flatbuffer import Budget, FlatbufferError, Table


def root(data, size=999):
    return Table.root(data, Budget(size))


def test_fields():
    """Numbers, texts, vectors and tables are read by their number; absent ones have defaults."""
    inner = [table(f0=("i", -3)), table(f0=("i", 4))]
    found = root(serialize(table(f0=("I", 7), f1="grün", f2=("i", [1, -2]), f3=inner, f5=b"abc")))
    assert found.scalar(0, "I") == 7
    assert found.text(1) == "grün"
    assert found.scalars(2, "i") == (1, -2)
    assert [t.scalar(0, "i") for t in found.tables(3)] == [-3, 4]
    assert found.length(5, 1) == 3
    assert (found.scalar(4, "i", 5), found.scalars(9, "i"), found.text(9), list(found.tables(9))) == (5, None, "", [])
    assert found.length(9, 1) == 0


@pytest.mark.parametrize(
    ("field", "read", "size"),
    [
        ([table(f0=("i", 1))] * 5, lambda found: [*found.tables(0)], 6 * 8),
        ("text", lambda found: [found.text(0) for _ in range(20)], 8 + 4 * 20 // 4),
        (("i", [1, 2]), lambda found: [found.scalars(0, "i") for _ in range(20)], 8 + 8 * 20 // 4),
    ],
    ids=["tables", "text", "numbers"],
)
def test_too_much(field, read, size):
    """Offsets that lead to the same tables, texts and vectors over and over are counted each time."""
    data = serialize(table(f0=field))
    assert read(root(data, size))
    with pytest.raises(FlatbufferError, match="holds more"):
        read(root(data, size - 1))


def is_refused(content):
    try:
        found = root(content)
        found.scalar(0, "I"), found.text(1), found.scalars(2, "i"), [t.scalar(0, "i") for t in found.tables(3)]
    except FlatbufferError:
        return True
    return False


def test_every_truncation_and_every_byte():
    """Nothing but a FlatbufferError comes out of a broken buffer."""
    data = serialize(table(f0=("I", 7), f1="text", f2=("i", [1, 2]), f3=[table(f0=("i", 1))]))
    broken = [data[:size] for size in range(len(data))]
    broken += [data[:i] + bytes([value]) + data[i + 1 :] for i in range(len(data)) for value in (0, 127, 255)]
    refused = sum(map(is_refused, broken))
    assert refused > len(data)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "outside of the file"),
        (struct.pack("<Ii", 4, 8), "outside of the file"),
        (struct.pack("<IHHi", 8, 2, 4, 4), "is broken"),
        (struct.pack("<IHHi", 8, 4, 99, 4), "is broken"),
    ],
    ids=["empty", "vtable before the file", "vtable without itself", "table beyond the end"],
)
def test_broken_tables(content, problem):
    """A table whose vtable or size leads outside is refused."""
    with pytest.raises(FlatbufferError, match=problem):
        root(content)


def test_field_outside_of_its_table():
    """A field must lie inside its table."""
    content = struct.pack("<IHHHHi", 12, 6, 4, 50, 0, 8)
    with pytest.raises(FlatbufferError, match="lies outside"):
        root(content).scalar(0, "b")
