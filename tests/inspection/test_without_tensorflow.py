"""The static side in processes in which TensorFlow and Keras cannot be imported."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from cases import CASES, library

SCRIPT = """
import json, sys
for name in ("tensorflow", "keras", "tf_keras"):
    sys.modules[name] = None
import safeload
reports = {path: safeload.inspect_model(path) for path in json.load(sys.stdin)}
assert all(str(report) and report._repr_html_() for report in reports.values())
print(json.dumps({path: report.to_json() for path, report in reports.items()}, sort_keys=True))
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Every generated fixture."""
    home = tmp_path_factory.mktemp("fixtures")
    has_keras2 = importlib.util.find_spec("tf_keras") is not None
    found = []
    for recipe in CASES.values():
        if has_keras2 or recipe.producer != "tf_keras":
            folder = home / recipe.id
            folder.mkdir()
            found.append(str(recipe.make(folder, library(recipe.producer)).path))
    return found


def _inspect(paths, **environment):
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=False,
        env=settings,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_fixture_is_inspected(paths):
    """Each has a report in all its forms, which is the same in another process with other hashes."""
    first = _inspect(paths, PYTHONHASHSEED="1")
    assert first == _inspect(paths, PYTHONHASHSEED="2")
    assert {report["schema"] for report in json.loads(first).values()} == {1}
    assert {report["verdict"] for report in json.loads(first).values()} <= {
        "fine", "custom-object-not-found", "architecture-missing", "ambiguous-signature",
    }  # fmt: skip
