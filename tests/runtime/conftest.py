"""Fixtures for tests that import TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from saved_models import SAVERS


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that saves the module named and returns its directory, once per session."""
    made: dict[str, Path] = {}

    def save(name: str) -> Path:
        if name not in made:
            path = tmp_path_factory.mktemp(name)
            SAVERS[name](str(path / "model"))
            made[name] = path / "model"
        return made[name]

    return save
