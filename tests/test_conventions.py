"""What every test and every public function must have."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import safeload

TESTS = sorted(Path(__file__).parent.rglob("test_*.py"))


def test_every_test_says_what_it_shows():
    """Each test function has a docstring."""
    found = ((path, node) for path in TESTS for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    tests = [(path, node) for path, node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
    assert [f"{path}:{test.lineno}" for path, test in tests if not ast.get_docstring(test)] == []


@pytest.mark.parametrize("name", [n for n in safeload.__all__ if n != "errors"])
def test_every_public_name_is_documented(name):
    """Each public object has a docstring of its own."""
    assert inspect.getdoc(getattr(safeload, name))


def test_everything_after_the_first_parameter_is_keyword_only():
    """Options of the public functions are given by name; `save_callable` needs what and where."""
    functions = [getattr(safeload, name) for name in safeload.__all__]
    for function in filter(inspect.isfunction, functions):
        positional = 2 if function is safeload.save_callable else 1
        options = list(inspect.signature(function).parameters.values())[positional:]
        assert all(option.kind is option.KEYWORD_ONLY for option in options), function.__name__
