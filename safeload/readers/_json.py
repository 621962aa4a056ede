"""Keras JSON, read strictly. Layer: readers; standard library alone.

Source: RFC 8259. Keras writes it with Python's json module, which also writes NaN, Infinity and -Infinity;
these are read as floats, since thresholds and bounds of layers hold them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from safeload.errors import LimitExceededError, MalformedArtifactError

if TYPE_CHECKING:
    from safeload._limits import Limits


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OPENING = {"{": 1, "[": 4}
"""What opens a node → how many of them count as one: nodes of Keras 2 have three lists around an object."""


class _DuplicateKeyError(ValueError):
    """A key stands twice in one object."""


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
    if len(content) > limits.max_config_bytes:
        raise LimitExceededError(where, limit="max_config_bytes", allowed=limits.max_config_bytes, found=len(content))
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        raise MalformedArtifactError(where, problem=f"not UTF-8 text: {error.reason} at byte {error.start}") from error
    _refuse_count(text, where, limits)
    try:
        tree = json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        found = limits.max_nesting_depth + 1
        raise LimitExceededError(
            where, limit="max_nesting_depth", allowed=limits.max_nesting_depth, found=found
        ) from error
    except _DuplicateKeyError as error:
        raise MalformedArtifactError(where, problem=f"the key {error.args[0]!r} stands twice in one object") from error
    except ValueError as error:
        raise MalformedArtifactError(where, problem=f"not JSON: {error}") from error
    _refuse_depth(tree, where, limits)
    _refuse_surrogates(text, tree, where)
    return tree


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateKeyError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return found


def _refuse_count(text: str, where: str, limits: Limits) -> None:
    """Count objects and lists before they are made: two characters of text become a hundred bytes."""
    for opening, weight in _OPENING.items():
        found = text.count(opening) // weight
        if found > limits.max_entries:  # more than enough, unless they stand in strings
            found = _STRING.sub("", text).count(opening) // weight
        if found > limits.max_entries:
            raise LimitExceededError(where, limit="max_entries", allowed=limits.max_entries, found=found)


def _refuse_depth(tree: Any, where: str, limits: Limits) -> None:
    level, depth = [tree] if isinstance(tree, (dict, list)) else [], 0
    while level:
        children = [child for node in level for child in (node.values() if type(node) is dict else node)]
        level = [child for child in children if type(child) is dict or type(child) is list]
        depth += 1
        if depth > limits.max_nesting_depth:
            raise LimitExceededError(where, limit="max_nesting_depth", allowed=limits.max_nesting_depth, found=depth)


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


def canonical_json(tree: Any) -> bytes:
    """Return *tree* as JSON with one spelling for equal trees; the order of keys counts."""
    return json.dumps(tree, ensure_ascii=True, separators=(",", ":")).encode("ascii")
