"""Configs of a shape that nobody writes are refused with a reason, whatever part of the library they surprise."""

from __future__ import annotations

import json

import pytest

import safeload._load as pipeline
from safeload import inspect_model
from safeload.errors import MalformedArtifactError

DENSE = {
    "name": "d",
    "trainable": True,
    "batch_input_shape": [None, 2],
    "units": 1,
    "activation": "linear",
    "use_bias": True,
    "kernel_initializer": {"class_name": "Zeros", "config": {}},
    "bias_initializer": {"class_name": "Zeros", "config": {}},
}
CLASS = {"class_name": {"class_name": "Dense"}, "config": {}}


def config(version, **changes):
    """Describe a model of one layer in JSON."""
    layers = [{"class_name": "Dense", "config": {**DENSE, **changes}}]
    return json.dumps({"class_name": "Sequential", "config": {"layers": layers}, "keras_version": version}).encode()


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4", "2.15.0", "3.15.1"])
@pytest.mark.parametrize(
    "changes",
    [
        {"kernel_initializer": CLASS},
        {"dim_ordering": CLASS},
        {"data_format": []},
        {"output_mode": {}},
        {"units": 10**4000},
        {"units": [[10**4000]]},
        {"activation": CLASS},
        {"dtype": {"class_name": "Policy", "config": {"name": []}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_values_of_another_kind(version, changes):
    """A number, a list or a dict where a text stands is a matter of the model, not of Python."""
    assert inspect_model(config(version, **changes)).format is not None


@pytest.mark.parametrize("error", [TypeError("unhashable"), KeyError("x"), RecursionError("deep")])
def test_surprises(error, monkeypatch):
    """What is not understood is said to be."""

    def surprised(_):
        raise error

    monkeypatch.setattr(pipeline, "inspect_artifact", surprised)
    with pytest.raises(MalformedArtifactError, match="not understood"):
        inspect_model(config("2.15.0"))
