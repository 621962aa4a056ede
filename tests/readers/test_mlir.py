"""Tests of reading MLIR bytecode."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlir_by_hand import ADD, block, call, module, number, numbers, operation, section

from safeload.errors import MalformedArtifactError
from safeload.readers.mlir import Operation, _Bytes, read_operations

GOLDEN = Path(__file__).parents[1] / "golden"
ADDED = operation(ADD, parts=0x06, rest=numbers(1, 0, 2, 0, 0))


def read(content):
    return read_operations(content, where="m", most=1 << 20)[0]


def test_modules_of_jax():
    """Operations come with their dialect, custom calls with their targets and an empty configuration."""
    found = read((GOLDEN / "jax-0.8.3-inert.mlirbc").read_bytes())
    targets = {target for operation in found for target in operation.strings}
    assert targets == {"", "shape_assertion", "mhlo.erf", "mhlo.topk"}
    assert {"builtin.module", "vhlo.func_v1", "vhlo.get_dimension_size_v1"} <= {operation.name for operation in found}
    native = read((GOLDEN / "jax-0.8.3-lapack.mlirbc").read_bytes())
    assert Operation("vhlo.custom_call_v1", frozenset({"", "lapack_spotrf_ffi"})) in native


@pytest.mark.parametrize("name", ["inert", "lapack"])
def test_broken_modules(name):
    """Whatever is cut off or changed, it is read or refused, and nothing else is raised."""
    content = (GOLDEN / f"jax-0.8.3-{name}.mlirbc").read_bytes()
    for end in range(0, len(content), 7):
        with pytest.raises(MalformedArtifactError, match="^m: no module of StableHLO that is understood: "):
            read(content[:end])
    changed = [content[:n] + bytes([content[n] ^ 1]) + content[n + 1 :] for n in range(0, len(content), 3)]
    assert not all(map(_is_read, changed))


def _is_read(content):
    try:
        return bool(read(content))
    except MalformedArtifactError:
        return False


def test_modules_by_hand():
    """Regions may stand in a section of their own or not, blocks have arguments or none."""
    inline = operation(ADD, parts=0x10, rest=numbers(2 << 1, 1, 0) + block(ADDED) + number(0))
    assert read(module(ADDED, call(1), inline)) == {
        Operation("builtin.module"),
        Operation("vhlo.add_v1"),
        Operation("vhlo.custom_call_v1", frozenset({"SomeNativeFunction"})),
    }
    versioned = module(call(), dialects=numbers(0, 1 << 1 | 1) + section(7, number(1)))
    assert Operation("vhlo.custom_call_v1", frozenset({"shape_assertion"})) in read(versioned)


def nested(depth):
    inner = ADDED
    for _ in range(depth):
        inner = operation(ADD, parts=0x10, rest=numbers(1 << 1, 1, 0) + block(inner))
    return inner


BROKEN = {
    "another version": (module(ADDED, version=5), "another version"),
    "no bytecode": (b"module {}", "another version"),
    "a section twice": (module(ADDED, more=section(5, b"") * 2), "a section twice"),
    "an aligned section": (module(ADDED, more=section(5 | 0x80, number(1))), "a section twice, or an unknown one"),
    "an unknown section": (module(ADDED, more=section(9, b"")), "a section twice, or an unknown one"),
    "other names": (module(ADDED, names=numbers(4, 0, 1, 2 << 1, 1, 2, 3 << 1, 4 << 1)), "other names"),
    "too many names": (module(ADDED, names=numbers(3, 0, 1 << 40)), "ends early"),
    "an aligned version": (module(ADDED, dialects=numbers(0, 1 << 1 | 1) + section(0x87, b"")), "another section"),
    "an order of uses": (module(body=numbers(1, 0) + block(ADDED, arguments=numbers(0) + b"\1")), "an order of uses"),
    "successors": (module(operation(ADD, parts=0x08, rest=number(0))), "parts that are not read"),
    "too deep": (module(nested(65)), "nested too deep"),
    "another region": (
        module(operation(ADD, parts=0x10, rest=number(1 << 1 | 1) + section(3, b""))),
        "another section",
    ),
    "more in a region": (module(body=numbers(1, 0) + block(ADDED) + b"\1"), "more follows"),
    "a target in a dictionary": (module(call(), producer=b"call_target_name"), "its target from elsewhere"),
    "properties without end": (module(call(), properties=(b"\1" * 73,)), "its target from elsewhere"),
    "another dialect": (module(call(), attributes=((0, numbers(14, 5)), (1, b"\1"), (1, b"\1"))), "another dialect"),
}


@pytest.mark.parametrize(("content", "problem"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_understood(content, problem):
    """What JAX does not write is refused, be it legal or not: it might be read otherwise."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read(content)


def test_attributes_as_text():
    """The text of an attribute is not read."""
    content = module(ADDED)
    offsets = numbers(3, 1) + b"".join(numbers(1, 1, size << 1 | 1) for size in (2, 2, 2, 1))
    assert offsets in content
    with pytest.raises(MalformedArtifactError, match="written as text"):
        read(content.replace(offsets, offsets[:-1] + number(1 << 1)))


def test_sizes():
    """What is looked at is bounded, and counts no weights."""
    content = module(*[ADDED] * 10, more=section(5, bytes(1000)))
    _, size = read_operations(content, where="m", most=1000)
    assert len(ADDED) * 10 < size < len(content) - 1000
    with pytest.raises(MalformedArtifactError, match="more operations than are looked at"):
        read_operations(content, where="m", most=size - 1)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 1 << 14, (1 << 21) - 1, 1 << 35, (1 << 56) - 1, (1 << 64) - 1])
def test_numbers(value):
    """A number takes as few bytes as it needs, or nine."""
    size = next(n for n in range(1, 10) if n == 9 or value < 1 << 7 * n)
    short = number(value) if size == 9 else (value << size | 1 << size - 1).to_bytes(size, "little")
    for encoded in {short, b"\0" + value.to_bytes(8, "little")}:
        content = _Bytes(encoded)
        assert content.number() == value
        content.end()
