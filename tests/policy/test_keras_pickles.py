"""Pickles are recognised by their instructions without being unpickled."""

from __future__ import annotations

import base64
import codecs
import pickle
import random

import pytest

from safeload.policy.keras_pickles import read_pickle


class Payload:
    def __reduce__(self):
        return exec, ("raise AssertionError('unpickled')",)


def _texts(data: bytes) -> list[str]:
    encoded = codecs.encode(data, "base64").decode()
    return [encoded, "!" + encoded, base64.b64encode(data + b"junk behind the end").decode(), data.decode("latin-1")]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("number", range(4))
def test_pickles_that_import_something(protocol, number):
    """Of every protocol, wrapped or not; the report says words in them."""
    words = read_pickle(_texts(pickle.dumps(Payload(), protocol))[number])
    assert "exec" in ".".join(words)
    assert "raise AssertionError('unpickled')" in words


@pytest.mark.parametrize(
    "data", [b"(I1\nI2\nios\nan_attribute_of_it_all\n.", b"\x8c\x02os\x8c\x16an_attribute_of_it_all\x93)R."]
)
def test_pickles_written_by_hand(data):
    """Instructions that Python itself does not write, and none that says the protocol."""
    assert all(read_pickle(text) is not None for text in _texts(data))


@pytest.mark.parametrize("value", [[1, 2.5, None], {"a": "os", "b": ["system"]}, "os\nsystem", b"cos\nsystem\n"])
def test_pickles_of_plain_values(value):
    """What imports nothing is data."""
    assert read_pickle(codecs.encode(pickle.dumps(value), "base64").decode()) is None


def test_endless_pickles():
    """What is too long to be read to its end counts as one that imports."""
    assert read_pickle(base64.b64encode(b")" * 100_000).decode()) is None
    assert read_pickle(base64.b64encode(b")" * 100_001).decode()) == ()


@pytest.mark.parametrize(
    "text", ["block_12_expand/BatchNormalization", "cos\nno names at all\n", "A" * 29, "é" * 40, "="]
)
def test_other_texts(text):
    """Names and paragraphs are no pickles."""
    assert read_pickle(text) is None


def test_random_bytes():
    """Encoded arrays are no pickles."""
    source = random.Random(7)
    assert not any(read_pickle(base64.b64encode(source.randbytes(64)).decode()) for _ in range(20_000))
