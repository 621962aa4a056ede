"""Every cell of the matrix ends in the outputs that its producer recorded."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from cases import CASES, FEATURES, FORMATS, NOT_APPLICABLE, PRODUCERS, library

from safeload import inspect_model, load_callable

# Single precision, two graphs of one computation.
TOLERANCE = 1e-5


@pytest.fixture(scope="session")
def model_store(tmp_path_factory):
    """Models are made once per session, on first use."""
    made = {}

    def get(cell):
        recipe = CASES[cell]
        if cell not in made:
            made[cell] = recipe.make(tmp_path_factory.mktemp(recipe.id), library(recipe.producer))
        return made[cell]

    return get


def _numpy(value):
    return {k: np.asarray(v) for k, v in value.items()} if isinstance(value, dict) else np.asarray(value)


def test_the_matrix_has_no_silent_gap():
    """Every cell is either a case or left out with a reason."""
    assert set(CASES) | set(NOT_APPLICABLE) == set(product(FORMATS, PRODUCERS, FEATURES))


@pytest.mark.parametrize("cell", CASES, ids=lambda c: "-".join(c))
def test_outputs_equal_the_producers(cell, model_store):
    """load_callable computes what the producer computed before saving."""
    made = model_store(cell)
    got = _numpy(load_callable(made.path, **made.options)(made.inputs))
    if isinstance(made.expected, dict):
        assert list(got) == list(made.expected)
        for name, value in made.expected.items():
            np.testing.assert_allclose(got[name], value, rtol=TOLERANCE, atol=TOLERANCE)
    else:
        np.testing.assert_allclose(got, made.expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("cell", CASES, ids=lambda c: "-".join(c))
def test_report_names_the_format(cell, model_store):
    """inspect_model tells the format of the cell, refuses nothing of ours and says the same twice."""
    made = model_store(cell)
    report = inspect_model(made.path)
    assert report.format.value == cell[0]
    assert not report.is_refused
    assert report == inspect_model(made.path)
