"""Which releases the tests run with: tables are those of one TensorFlow, of which older ones have a part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import pytest

TABLES_ARE_OF = (2, 21)
"""The TensorFlow from which the tables of ops, types and messages come."""

IS_OLDER = tuple(map(int, version("tensorflow").split(".")[:2])) < TABLES_ARE_OF
"""Whether the installed TensorFlow may lack what the tables have."""

IS_KERAS_3_3 = version("keras").startswith("3.3.")
"""Whether the installed Keras is the oldest that is supported."""

of_the_tables = pytest.mark.skipif(
    IS_OLDER, reason="older releases lack entries of the table, which is of TensorFlow 2.21"
)

makes_variables_without_values = pytest.mark.skipif(
    IS_KERAS_3_3, reason="Keras 3.3 makes the value first: see the threat model"
)


@contextmanager
def what_this_keras_can() -> Iterator[None]:
    """Skip, with its words, what an older Keras itself fails at: what stands inside is Keras alone."""
    try:
        yield
    except Exception as error:
        if not IS_OLDER:
            raise
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        pytest.skip(f"this Keras itself fails: {type(error).__name__}: {lines[0][:120]}")


def skip_unless_lists_nest(keras_version: str) -> None:
    """Skip on Keras 3.3, whose Functional models take no lists in dicts: ``_lower/_graph.py`` names the source."""
    if keras_version.startswith("3.3."):
        pytest.skip("Keras 3.3 nests no lists in dicts")
