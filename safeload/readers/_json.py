"""Keras JSON, read strictly. Layer: readers; standard library alone.

Source: RFC 8259. Keras writes it with Python's json module, which also writes NaN, Infinity and -Infinity;
these are read as floats, since thresholds and bounds of layers hold them.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from safeload.errors import LimitExceededError, MalformedArtifactError, require_within

if TYPE_CHECKING:
    from safeload._limits import Limits


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
"""One without an end goes to that of the text, or the search for it would begin again at each quote in it."""
_SPACED_COLON = re.compile(r'"[ \t\n\r]+:')
_OPENING = {"{": 1, "[": 4}
"""What opens a node → how many of them count as one: nodes of Keras 2 have three lists around an object."""
_CONTAINERS: frozenset[type] = frozenset({dict, list})


def parse_json(content: str | bytes, *, where: str, limits: Limits) -> Any:
    """Parse the JSON text of a Keras config.

    Args:
        content: Text, or UTF-8 bytes (a byte order mark is ignored).
        where: How messages name it.
        limits: ``max_config_bytes`` bounds the text, ``max_nesting_depth`` the levels, ``max_entries`` the objects.
            Of lists there may be a few times as many.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. Not UTF-8, not JSON, a key twice in one object (parsers
            disagree which counts), or half a surrogate pair.
        LimitExceededError: ``limit-exceeded``. One of the limits.
    """
    require_within(where, limit="max_config_bytes", allowed=limits.max_config_bytes, found=len(content))
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        raise MalformedArtifactError(where, problem=f"not UTF-8 text: {error.reason} at byte {error.start}") from error
    _refuse_count(text, where, limits)
    try:
        tree = json.loads(text)
    except RecursionError as error:
        found = limits.max_nesting_depth + 1
        raise LimitExceededError(
            where, limit="max_nesting_depth", allowed=limits.max_nesting_depth, found=found
        ) from error
    except ValueError as error:
        raise MalformedArtifactError(where, problem=f"not JSON: {error}") from error
    # A colon behind a quote ends a key, or stands in a string: if there are no more of them than keys, none was lost.
    if _count_keys(tree, where, limits) != text.count('":') + len(_SPACED_COLON.findall(text)):
        json.loads(text, object_pairs_hook=partial(_refuse_duplicates, where=where))
    _refuse_surrogates(text, tree, where)
    return tree


def _refuse_duplicates(pairs: list[tuple[str, Any]], *, where: str) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise MalformedArtifactError(where, problem=f"the key {key!r} stands twice in one object")
        seen.add(key)


def _refuse_count(text: str, where: str, limits: Limits) -> None:
    """Count objects and lists before they are made: two characters of text become a hundred bytes."""
    for opening, weight in _OPENING.items():
        found = text.count(opening) // weight
        if found > limits.max_entries:  # more than enough, unless they stand in strings
            found = _STRING.sub("", text).count(opening) // weight
        require_within(where, limit="max_entries", allowed=limits.max_entries, found=found)


def _count_keys(tree: Any, where: str, limits: Limits) -> int:
    """Count the keys of all objects of *tree*, level by level, which are counted as well."""
    level, depth, keys = [tree] if type(tree) in _CONTAINERS else [], 0, 0
    while level:
        objects = [node for node in level if type(node) is dict]
        keys += sum(map(len, objects))
        nodes = [*map(dict.values, objects), *[node for node in level if type(node) is list]]
        level = [child for node in nodes for child in node if type(child) in _CONTAINERS]
        depth += 1
        require_within(where, limit="max_nesting_depth", allowed=limits.max_nesting_depth, found=depth)
    return keys


def _refuse_surrogates(text: str, tree: Any, where: str) -> None:
    # Only an escape can write half a pair, and only then is the check worth its time.
    if "\\ud" not in text.lower():
        return
    try:
        json.dumps(tree, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedArtifactError(
            where, problem="a string holds half a surrogate pair, which is not Unicode text"
        ) from error
