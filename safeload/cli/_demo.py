"""``safeload demo``: what the standard loaders do with small models of every format, and what safeload does."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from safeload.cli._terminal import print_out, progress
from safeload.formats import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safeload.cli._models import Made, Recipe

# Float outputs of one and the same computation on one machine; the two graphs may fuse differently.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class DemoRow:
    """One line of the table."""

    recipe: str
    standard: str
    safeload: str
    agrees: bool


def run_demo() -> list[DemoRow]:
    """Make every model, load it both ways and compare.

    Returns:
        A row per model; ``agrees`` is True where safeload's outputs equal the maker's within 1e-5.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from safeload.cli._models import RECIPES

    recipes = [r for r in RECIPES if r.producer != "tf_keras" or importlib.util.find_spec("tf_keras") is not None]
    rows = []
    home = TemporaryFolder("the demonstration")
    with _quiet():
        for number, recipe in enumerate(recipes, start=1):
            with progress(f"{number} of {len(recipes)}: {recipe.id}"):
                rows.append(_row(recipe, home.path))
    home.remove()
    return rows


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what saving and loading warn of out of the table: the demonstration shows what was raised."""
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _library(producer: str) -> Any:
    if producer == "tf_keras":
        import tf_keras

        return tf_keras
    if producer == "keras":
        import keras

        return keras
    import tensorflow as tf

    return tf


def _row(recipe: Recipe, folder: Path) -> DemoRow:
    home = folder / recipe.id
    home.mkdir()
    made = recipe.make(home, _library(recipe.producer))
    standard = _attempt(lambda: _standard(made), made)
    ours = _attempt(lambda: _safeload(made), made)
    return DemoRow(recipe.id, standard, ours, ours == "equal")


def _standard(made: Made) -> Any:
    if made.path.is_dir():
        import tensorflow as tf

        return tf.saved_model.load(str(made.path))(made.inputs)
    import keras

    return keras.models.load_model(str(made.path), custom_objects=made.options.get("custom_objects"))(made.inputs)


def _safeload(made: Made) -> Any:
    from safeload._load import load_callable

    return load_callable(made.path, **made.options)(made.inputs)


def _attempt(call: Any, made: Made) -> str:
    try:
        return "equal" if _equal(call(), made.expected) else "OTHER NUMBERS"
    except Exception as error:  # noqa: BLE001 - the demonstration is about what others raise
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        return f"{type(error).__name__}: {lines[0].strip()}"


def _equal(got: Any, expected: Any) -> bool:
    if isinstance(got, (list, tuple)) and isinstance(expected, dict):
        got = dict(zip(expected, got, strict=True))
    if isinstance(expected, dict):
        return all(_equal(got[name], value) for name, value in expected.items())
    return np.allclose(np.asarray(got), expected, rtol=_TOLERANCE, atol=_TOLERANCE)


def print_demo() -> bool:
    """Print the table of `run_demo`; return True if every output is equal."""
    from rich.console import Console
    from rich.table import Column, Table

    rows = run_demo()
    model = Column("model", overflow="fold")  # a name is cut nowhere, however narrow the terminal
    table = Table(model, "standard loader", "safeload", title="Outputs against those of the maker")
    for row in rows:
        table.add_row(row.recipe, _short(row.standard), _short(row.safeload), style="" if row.agrees else "bold red")
    console = Console()
    with console.capture() as shown:
        console.print(table)
    print_out(shown.get().rstrip("\n"))
    right = sum(row.agrees for row in rows)
    print_out(f"safeload: {right} of {len(rows)} equal; standard loaders: {sum(r.standard == 'equal' for r in rows)}")
    return right == len(rows)


def _short(text: str) -> str:
    return text if len(text) <= 90 else text[:89] + "…"
