"""Releases that share a layout are told apart by what they wrote, so that nothing runs that would end the process."""

from __future__ import annotations

import pytest

from safeload.policy.keras_bytecode import read_bytecode
from safeload.policy.keras_instructions import writer_by_lines, writer_by_opening, writer_by_slots

CALLS = {  # lambda x: tf.nn.relu(x)
    "Python 3.7": (
        "4wEAAAAAAAAAAQAAAAMAAABDAAAAcwwAAAB0AGoBoAJ8AKEBUwApAU4pA9oCdGZaAm5uWgRyZWx1KQHaAXipAHIDAAAA2gg8c3Ry"
        "aW5nPtoIPGxhbWJkYT4kAAAA8wAAAAA="
    ),
    "Python 3.8": (
        "4wEAAAAAAAAAAAAAAAEAAAADAAAAQwAAAHMMAAAAdABqAaACfAChAVMAqQFOKQPaAnRmWgJubloEcmVsdakB2gF4qQByBQAAANoI"
        "PHN0cmluZz7aCDxsYW1iZGE+JAAAAPMAAAAA"
    ),
    "Python 3.9": (
        "4wEAAAAAAAAAAAAAAAEAAAADAAAAQwAAAHMMAAAAdABqAaACfAChAVMAqQFOKQPaAnRmWgJubloEcmVsdakB2gF4qQByBQAAANoI"
        "PHN0cmluZz7aCDxsYW1iZGE+JAAAAPMAAAAA"
    ),
    "Python 3.10": (
        "4wEAAAAAAAAAAAAAAAEAAAADAAAAQwAAAHMMAAAAdABqAaACfAChAVMAqQFOKQPaAnRmWgJubloEcmVsdakB2gF4qQByBQAAANoI"
        "PHN0cmluZz7aCDxsYW1iZGE+JAAAAPMCAAAADAA="
    ),
    "Python 3.11": (
        "4wEAAAAAAAAAAAAAAAMAAAADAAAA80AAAACXAHQAAAAAAAAAAAAAAGoBAAAAAAAAAACgAgAAAAAAAAAAAAAAAAAAAAAAAAAAfACm"
        "AQAAqwEAAAAAAAAAAFMAqQFOKQPaAnRm2gJubtoEcmVsdakB2gF4cwEAAAAg+gg8c3RyaW5nPvoIPGxhbWJkYT5yCQAAACQAAABz"
        "GQAAAIAA1VZY1FZb11Zg0lZg0GFi0VZj1FZjgADzAAAAAA=="
    ),
    "Python 3.12": (
        "4wEAAAAAAAAAAAAAAAMAAAADAAAA80AAAACXAHQAAAAAAAAAAABqAgAAAAAAAAAAAAAAAAAAAAAAAGoFAAAAAAAAAAAAAAAAAAAA"
        "AAAAfACrAQAAAAAAAFMAqQFOKQPaAnRm2gJubtoEcmVsdakB2gF4cwEAAAAg+gg8c3RyaW5nPvoIPGxhbWJkYT5yCQAAACQAAABz"
        "GQAAAIAA1FZY11Zb0VZb11Zg0VZg0GFi01ZjgADzAAAAAA=="
    ),
    "Python 3.13": (
        "4wEAAAAAAAAAAAAAAAMAAAADAAAA80AAAACVAFsAAAAAAAAAAABSAgAAAAAAAAAAAAAAAAAAAAAAAFIFAAAAAAAAAAAAAAAAAAAA"
        "AAAAVQA1AQAAAAAAACQAqQFOKQPaAnRm2gJubtoEcmVsdakB2gF4cwEAAAAg2gg8c3RyaW5nPtoIPGxhbWJkYT5yCQAAACQAAABz"
        "FwAAAIAA1FZY11Zb0VZb11Zg0VZg0GFi1FZj8wAAAAA="
    ),
}
CELLS = {  # lambda x: x * k, inside of a function of k
    "Python 3.10": (
        "4wEAAAAAAAAAAAAAAAEAAAACAAAAEwAAAHMIAAAAfACIABQAUwCpAU6pAKkB2gF4qQHaAWtyAgAAANoIPHN0cmluZz7aCDxsYW1i"
        "ZGE+AwAAAPMCAAAACAA="
    ),
    "Python 3.11": (
        "4wEAAAAAAAAAAAAAAAIAAAATAAAA8w4AAACVAZcAfACJAXoFAABTAKkBTqkAKQLaAXjaAWtzAgAAACCA+gg8c3RyaW5nPvoIPGxh"
        "bWJkYT56F291dGVyLjxsb2NhbHM+LjxsYW1iZGE+AwAAAHMLAAAA+IAAkFGYEZFVgADzAAAAAA=="
    ),
    "Python 3.12": (
        "4wEAAAAAAAAAAAAAAAIAAAATAAAA8w4AAACVAZcAfACJAXoFAABTAKkBTqkAKQLaAXjaAWtzAgAAACCA+gg8c3RyaW5nPvoIPGxh"
        "bWJkYT56F291dGVyLjxsb2NhbHM+LjxsYW1iZGE+AwAAAHMLAAAA+IAAkFGYEZFVgADzAAAAAA=="
    ),
    "Python 3.13": (
        "4wEAAAAAAAAAAAAAAAIAAAATAAAA8w4AAAA+AZUAVQBUAS0FAAAkAKkBTqkAKQLaAXjaAWtzAgAAACCA2gg8c3RyaW5nPtoIPGxh"
        "bWJkYT7aF291dGVyLjxsb2NhbHM+LjxsYW1iZGE+AwAAAHMJAAAA+IAAkFGYEZJV8wAAAAA="
    ),
}
EMPTY = {  # a function with another one inside
    "Python 3.9": (
        "4wEAAAAAAAAAAAAAAAEAAAADAAAAQwAAAHMSAAAAdABkAWQChAB8AEQAgwGDAVMAKQNOYwEAAAAAAAAAAAAAAAIAAAACAAAAcwAA"
        "AHMSAAAAfABdCn0BfAFWAAEAcQJkAFMAqQFOqQCpAtoCLjDaAWlyAgAAAHICAAAA2gg8c3RyaW5nPtoJPGdlbmV4cHI+JAAAAPMA"
        "AAAAehs8bGFtYmRhPi48bG9jYWxzPi48Z2VuZXhwcj4pAdoDc3VtqQHaAXhyAgAAAHICAAAAcgYAAADaCDxsYW1iZGE+JAAAAHII"
        "AAAA"
    ),
}
"""``marshal.dumps(function.__code__)`` of the releases, as base64."""

SHARED = {
    "Python 3.7": "Python 3.0 to 3.7",
    "Python 3.8": "Python 3.8 or 3.9",
    "Python 3.9": "Python 3.8 or 3.9",
}


def _version(python: str) -> tuple[int, int]:
    major, minor = python.removeprefix("Python ").split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("python", CALLS)
def test_a_call_tells_the_release(python: str) -> None:
    """What most functions do, each release writes otherwise; code fits no other release than its own."""
    found = read_bytecode(CALLS[python])
    assert found is not None
    assert found.python == SHARED.get(python, python)
    own = _version(python)
    fitting = [(3, minor) for minor in range(10, 15) if found.fits((3, minor))]
    assert fitting == ([own] if own >= (3, 10) else [])


@pytest.mark.parametrize("python", CELLS)
def test_functions_with_cells_are_told_by_what_follows_them(python: str) -> None:
    """A function inside of another begins with its cells, whose opcode is another one in later releases."""
    found = read_bytecode(CELLS[python])
    assert found is not None
    assert found.fits(_version(python))
    assert not found.fits((3, 14))


def test_empty_tables_of_lines() -> None:
    """Before Python 3.10 the table may be empty, and stand in the data once for two functions."""
    found = read_bytecode(EMPTY["Python 3.9"])
    assert found is not None
    assert found.python == "Python 3.8 or 3.9"


def test_the_beginning_tells_the_release() -> None:
    """What begins like no release before 3.11 is of a later one; the rest was written before."""
    assert writer_by_opening(bytes([94, 0, 83, 0])) == "Python 3.11 or later"
    assert writer_by_opening(bytes([135, 0, 100, 0])) is None
    assert writer_by_opening(b"") is None


def _code(*instructions: int) -> bytes:
    return b"\xe3" + bytes(20) + b"\xf3" + len(instructions).to_bytes(4, "little") + bytes(instructions)


@pytest.mark.parametrize(
    ("codes", "python"),
    [
        (_code(151, 0, 122, 5, 0, 0, 83, 0), "Python 3.11 or 3.12"),
        (_code(151, 0, 116, 0, *[0] * 10, 83, 0), "Python 3.11"),
        (_code(151, 0, 116, 0, *[0] * 8, 83, 0), "Python 3.12"),
        (_code(151, 0, 121, 0), "Python 3.12"),
        (_code(151, 0, 83, 0) + _code(151, 0, 121, 0), "Python 3.12"),
        (_code(151, 0, 116, 0, 0, 0), "Python 3.11 or 3.12"),
        (_code(151, 0, 116, 0, *[1] * 10), "Python 3.11 or 3.12"),
        (_code(151, 0, 83, 0)[:-1], "Python 3.11 or 3.12"),
    ],
    ids=["both", "longer slots", "shorter slots", "own opcode", "inner function", "cut", "full slots", "no code"],
)
def test_slots_tell_the_release(codes: bytes, python: str) -> None:
    """Empty instructions follow others, in each release another number; what fits neither or both is of one of them."""
    assert writer_by_slots(codes) == python


def test_data_without_a_table_of_lines() -> None:
    """What ends otherwise may be of each release."""
    assert writer_by_lines(bytes(100), 4) == "Python 3.8 to 3.10"
    assert writer_by_lines(b"", 4) == "Python 3.8 to 3.10"


def test_little_is_looked_at() -> None:
    """A hostile file does not cost more than a long function."""
    large = _code(151, 0, *[121, 0] * (1 << 17))
    assert writer_by_slots(large) == "Python 3.11 or 3.12"
