"""Pickled Python objects inside configs: recognised, never unpickled. Layer: policy.

Keras writes none. Classes of others do, and unpickle what they find: ``_deserialize_function`` of
tensorflow_probability 0.25 ``python/layers/distribution_layer.py``.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator

from safeload.policy.keras_bytecode import decoded

SHORTEST_PICKLE_TEXT = 30
"""Shorter texts are not looked at: as base64, a function and a text of one character do not fit."""
_MAX_SHOWN = 8
_MAX_INSTRUCTIONS = 100_000
"""What is longer counts as if it imported something."""
_NAMED = re.compile(r"[\w.]+ [\w.]+")
"""Argument of an instruction that imports; other bytes may look like one, and no module has another name."""
_IN_RAW_TEXT = ("\n", "\x93")
"""One of these is in every pickle that imports something: the end of a name, or the instruction."""


def read_pickle(text: str) -> tuple[str, ...] | None:
    """Return words of *text*, the first few, if it holds a pickle that imports something, as base64 or as it stands.

    Guarantees:
        Nothing is unpickled or imported; the instructions are read one by one.
    """
    if len(text) < SHORTEST_PICKLE_TEXT:
        return None
    is_raw = any(mark in text for mark in _IN_RAW_TEXT)
    for data in (text.encode("latin-1", "replace") if is_raw else b"", decoded(text)):
        words = tuple(_words(data))
        if "" in words:
            return tuple(dict.fromkeys(filter(None, words)))[:_MAX_SHOWN]
    return None


def _words(data: bytes) -> Iterator[str]:
    """Yield the texts in the pickle *data*, with an empty one for each import, up to where it is no pickle."""
    has_text = False
    try:
        for number, (op, argument, _) in enumerate(pickletools.genops(data)):
            is_import = op.name in {"GLOBAL", "INST"} and _NAMED.fullmatch(str(argument))
            is_last = number == _MAX_INSTRUCTIONS
            if is_import or is_last or (op.name == "STACK_GLOBAL" and has_text):
                yield ""
            if is_last:
                return
            if isinstance(argument, str):
                has_text = True
                yield argument.replace(" ", ".") if is_import else argument
    except Exception:  # noqa: BLE001 - it raises whatever the bytes make it
        return
