"""Tests of the strict JSON parser."""

from __future__ import annotations

import math

import pytest

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.readers._json import parse_json


def parse(content, **limits):
    return parse_json(content, where="config.json", limits=Limits(**limits))


@pytest.mark.parametrize("content", ['{"a": [1, null]}', b'{"a": [1, null]}', b'\xef\xbb\xbf{"a": [1, null]}'])
def test_trees(content):
    """Text and UTF-8 bytes are parsed, with a byte order mark too."""
    assert parse(content) == {"a": [1, None]}


def test_floats_of_python():
    """Keras writes NaN and Infinity as Python's json does."""
    tree = parse('{"a": NaN, "b": -Infinity, "c": Infinity}')
    assert math.isnan(tree["a"])
    assert (tree["b"], tree["c"]) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff{}", "not UTF-8"),
        ("{", "not JSON"),
        ("", "not JSON"),
        ('{"a": 1, "b": {"c": 1, "d": 2, "c": 3}}', "'c' stands twice"),
        ('{"a": [{"b":1, "b" : 2}]}', "'b' stands twice"),
        ("9" * 5000, "not JSON"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a": "\\uD800"}', "surrogate"),
    ],
)
def test_refused(content, problem):
    """What parsers could read differently is broken."""
    with pytest.raises(MalformedArtifactError, match=problem):
        parse(content)


def test_surrogate_pairs():
    """A whole pair is a character."""
    assert parse('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    ("content", "limits", "name"),
    [
        ("[" * 100_000, {}, "max_nesting_depth"),
        ("[" * 100_000 + "]" * 100_000, {}, "max_nesting_depth"),
        ("[" * 201 + "]" * 201, {}, "max_nesting_depth=200"),
        ("[" * 30 + "]" * 30, {"max_nesting_depth": 29}, "max_nesting_depth"),
        ("[{},{},{}]", {"max_entries": 2}, "max_entries"),
        ("[" + "[]," * 12 + "[]]", {"max_entries": 2}, "max_entries"),
        ("[1, 2, 3]", {"max_config_bytes": 5}, "max_config_bytes"),
    ],
)
def test_limits(content, limits, name):
    """Size, levels and objects are bounded."""
    with pytest.raises(LimitExceededError, match=name):
        parse(content, **limits)


def test_at_the_limit():
    """What just fits is parsed."""
    assert parse("[" * 30 + "]" * 30, max_nesting_depth=30)
    assert parse("[{},{}]", max_entries=2)
    assert parse(r'[{"[[[[[[[[[[[[": "{{{\"{{{"}, [[[], []]]]', max_entries=2)


@pytest.mark.parametrize("text", ['["{{{', '["{{{\\', '["{{{' + '\\"' * 500_000])
def test_strings_without_an_end(text):
    """They hold no objects, and their quotes are looked at once: looking again from each would take hours."""
    with pytest.raises(MalformedArtifactError, match="Unterminated string"):
        parse(text, max_entries=2)


def test_ends_of_strings_are_no_keys():
    """Strings may look like keys, and space may stand behind a key, of objects in lists and of the same name."""
    assert parse('{"a\\":": "b\\" :", "b" : [{"a":1}, {"a"\n:2}]}') == {'a":': 'b" :', "b": [{"a": 1}, {"a": 2}]}
