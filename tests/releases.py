"""Which releases the tests run with: tables are those of one TensorFlow, of which older ones have a part."""

from __future__ import annotations

from importlib.metadata import version

import pytest

TABLES_ARE_OF = (2, 21)
"""The TensorFlow from which the tables of ops, types and messages come."""

IS_OLDER = tuple(map(int, version("tensorflow").split(".")[:2])) < TABLES_ARE_OF
"""Whether the installed TensorFlow may lack what the tables have."""

of_the_tables = pytest.mark.skipif(
    IS_OLDER, reason="older releases lack entries of the table, which is of TensorFlow 2.21"
)
