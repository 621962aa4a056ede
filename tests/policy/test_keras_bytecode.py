"""Bytecode is recognised and summarised without being unmarshalled."""

from __future__ import annotations

import base64
import marshal
import sys

import pytest
from hostile.keras_configs import code_text

from safeload.policy.keras_bytecode import read_bytecode


@pytest.mark.parametrize(
    ("ints", "opcode", "python"),
    [
        (4, 100, "Python 2"),
        (5, 100, "Python 3.0 to 3.7"),
        (6, 100, "Python 3.8 to 3.10"),
        (5, 151, "Python 3.11 or 3.12"),
        (5, 149, "Python 3.13"),
        (5, 128, "Python 3.14"),
        (5, 94, "Python 3.11 or later"),
        (7, 100, None),
    ],
)
def test_writer_is_told_by_the_layout(ints, opcode, python):
    """The number of ints before the bytecode tells which Python wrote it."""
    assert read_bytecode(code_text("os", "system", ints=ints, opcode=opcode)).python == python


def test_words_of_the_function_are_shown():
    """Names and constants are shown in order, each once, without file and function placeholders."""
    code = read_bytecode(code_text("open", "write", "open", "x" * 100))
    assert code.words == ("open", "write", "x" * 100)
    assert str(code).endswith(f"of Python 3.11 or 3.12 naming open, write, {'x' * 100}")


def test_code_without_words_is_described():
    """Code that shows neither words nor a layout is described by its size."""
    assert str(read_bytecode(code_text(ints=7))) == f"{len(base64.b64decode(code_text(ints=7)))} bytes of bytecode"


def test_raw_text_of_keras_1_is_recognised():
    """Keras 1 wrote the stream as text, not as base64."""
    assert read_bytecode(code_text("system", is_raw=True)).words == ("system",)


@pytest.mark.parametrize(
    "text", ["", "relu", "4wAA", "c" * 40, "Y" + "€" * 40, "Z" * 60, "4wEAAAAAAAAAAAAAAAQAAAADAAAA81gAA€"]
)
def test_other_text_is_no_bytecode(text):
    """Names, short texts and other base64 are left alone."""
    assert read_bytecode(text) is None or text.startswith("4wEA")


def test_functions_of_this_python_are_recognised():
    """What this interpreter marshals is recognised; it is marshalled here and unmarshalled nowhere."""
    text = base64.b64encode(marshal.dumps((lambda x: open(x)).__code__)).decode()
    code = read_bytecode(text)
    assert "open" in code.words
    assert code.fits(sys.version_info[:2])


@pytest.mark.parametrize(
    ("ints", "opcode", "fitting"),
    [(4, 100, []), (6, 100, [(3, 10)]), (5, 151, [(3, 11), (3, 12)]), (5, 149, [(3, 13)]), (5, 128, [(3, 14)])],
)
def test_only_the_writer_fits(ints, opcode, fitting):
    """Bytecode runs on the releases that may have written it; where the layout does not tell, on any."""
    versions = [(3, minor) for minor in range(10, 15)]
    code = read_bytecode(code_text("os", ints=ints, opcode=opcode))
    assert [version for version in versions if code.fits(version)] == fitting
    assert all(read_bytecode(code_text("os", ints=7)).fits(version) for version in versions)
