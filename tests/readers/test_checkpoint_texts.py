"""Arrays of texts, as they lie in a checkpoint."""

import pytest

from safeload.readers.checkpoint.texts import decode_texts

LONG = "é" * 100


def test_lengths_come_first():
    """Seven bits in a byte, the lowest first; a checksum of four bytes follows them."""
    data = b"\x01\xc8\x01\x00" + b"...." + b"a" + LONG.encode()
    assert decode_texts(data, 3) == ["a", LONG, ""]


@pytest.mark.parametrize("data", [b"\x01\x02....abcd", b"\x01", b"\xff" * 20, b"\x01\x01....a\xff", b""])
def test_what_is_broken(data):
    """Lengths that do not add up, that never end, and bytes that are no UTF-8."""
    with pytest.raises(ValueError, match="length|codec"):
        decode_texts(data, 2)
