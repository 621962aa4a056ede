"""How much an op makes at most of texts and of features that are crossed, and how wide its texts are. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeload.policy.graph._constants._fact import at
from safeload.policy.graph._constants._numbers import largest, length, numbers, product

if TYPE_CHECKING:
    from collections.abc import Callable

    from safeload.policy.graph._constants._fact import Fact

_TEXTS = 24
"""Bytes of what is made of one of each of several features: a text, or a number and where it stands."""
_PIECE = 40
"""Bytes of a piece of a text, with where it stands."""


def _characters(fact: Fact) -> int:
    return fact.elements * max(1, fact.width)


def _ngrams(attributes: Any, inputs: list[Fact]) -> int:
    added = max(length(attributes, key) for key in ("left_pad", "right_pad", "separator"))
    return sum(numbers(attributes, "ngram_widths")) * (_characters(inputs[0]) + inputs[0].elements * added)


def _crossed(attributes: Any, inputs: list[Fact]) -> int:
    count = numbers(attributes, "N")[0]
    dense = _listed(attributes, "dense_types")
    features = inputs[count : 2 * count] + inputs[3 * count : 3 * count + dense]
    return _combinations(features)


def _crossed_rows(attributes: Any, inputs: list[Fact]) -> int:
    ragged, sparse, dense = (_listed(attributes, f"{key}_types") for key in ("ragged_values", "sparse_values", "dense"))
    first = 2 * ragged + 3 * sparse
    features = inputs[:ragged] + inputs[2 * ragged + sparse : 2 * ragged + 2 * sparse] + inputs[first : first + dense]
    return _combinations(features)


def _combinations(features: list[Fact]) -> int:
    # All may stand in one row, of which each is put together with each of the others.
    return _TEXTS * product(tuple(max(1, fact.elements) for fact in features))


def _listed(attributes: Any, key: str) -> int:
    return len(attributes[key].list.type) if key in attributes else 0


LONGEST: dict[str, Callable[[Any, list[Fact]], int]] = {
    # A pattern may match each character, or nothing beside each.
    "RegexReplace": lambda _, inputs: _characters(inputs[0]) * (1 + at(inputs, 2).width),
    "StaticRegexReplace": lambda attributes, inputs: _characters(inputs[0]) * (1 + length(attributes, "rewrite")),
    # Texts are quoted, and a character is escaped by four at most.
    "StringFormat": lambda attributes, inputs: (
        sum(4 * _characters(fact) + 2 * fact.elements for fact in inputs) + length(attributes, "template")
    ),
    "StringNGrams": _ngrams,
    **dict.fromkeys(("UnicodeEncode", "UnicodeTranscode"), lambda _, inputs: 4 * _characters(inputs[0])),
}
"""Characters that an op makes at most of texts, whose own characters decide how many they are.

Source: op definitions of TensorFlow 2.21, and their kernels.
"""

AT_MOST: dict[str, Callable[[Any, list[Fact]], int]] = {
    **LONGEST,
    **dict.fromkeys(
        ("StringSplit", "StringSplitV2", "UnicodeDecode", "UnicodeDecodeWithOffsets"),
        lambda _, inputs: _PIECE * _characters(inputs[0]),
    ),
    **dict.fromkeys(("SparseCross", "SparseCrossHashed", "SparseCrossV2"), _crossed),
    "RaggedCross": _crossed_rows,
    "Where": lambda _, inputs: 8 * inputs[0].elements * len(inputs[0].shape or ()),
}
"""Bytes that an op makes at most of its first input, whose values decide how many they are.

Source: op definitions of TensorFlow 2.21.
"""


def _separated(attributes: Any, inputs: list[Fact]) -> int:
    return inputs[0].width + length(attributes, "separator")


WIDTHS: dict[str, Callable[[Any, list[Fact]], int]] = {
    "AsString": lambda attributes, _: largest(numbers(attributes, "width") + numbers(attributes, "precision")),
    "EncodeBase64": lambda _, inputs: -(-4 * inputs[0].width // 3),
    "ReduceJoin": _separated,
    "StringJoin": lambda attributes, inputs: (
        max(fact.width for fact in inputs) + (len(inputs) - 1) * length(attributes, "separator")
    ),
    "UnsortedSegmentJoin": lambda attributes, inputs: (
        inputs[0].elements * _separated(attributes, inputs) // max(1, largest(at(inputs, 2).ints or ()))
    ),
}
"""How wide a text of those that an op makes is, where the texts that it is given do not say it all.

Source: op definitions of TensorFlow 2.21, and their kernels.
"""
