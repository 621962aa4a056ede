"""Tests of architectures in JSON."""

from __future__ import annotations

import json

import pytest

from safeload._limits import Limits
from safeload.errors import ArtifactNotFoundError, LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format, detect, open_source
from safeload.readers import read_artifact, with_architecture

ARCHITECTURE = {"class_name": "Sequential", "config": {"layers": []}, "keras_version": "2.3.1", "backend": "tensorflow"}


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def make(content, name="model.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return make


def read(path, **limits):
    return read_artifact(detect(open_source(path)), Limits(**limits))


@pytest.mark.parametrize("content", [ARCHITECTURE, json.dumps(json.dumps(ARCHITECTURE))])
def test_architecture(write, content):
    """JSON is read, JSON twice over as well."""
    artifact = read(write(content))
    assert artifact.format is Format.KERAS_JSON
    assert artifact.config == ARCHITECTURE
    assert artifact.metadata == {"keras_version": "2.3.1", "backend": "tensorflow"}
    assert artifact.weights_file is None


@pytest.mark.parametrize("content", ['{"class_name": "A"}', '{"config": {"class_name": 1}}', '{"class_name": '])
def test_broken(write, content):
    """Half an architecture is broken."""
    with pytest.raises(MalformedArtifactError):
        read(write(content))


def test_limit(write):
    """The file is bounded before it is read."""
    with pytest.raises(LimitExceededError, match="max_config_bytes=20"):
        read(write(ARCHITECTURE), max_config_bytes=20)


def test_weights_with_architecture(write, weights_h5):
    """Weights take the architecture, its metadata and another digest."""
    weights = read_artifact(detect(open_source(weights_h5())), Limits())
    combined = with_architecture(weights, write(ARCHITECTURE), Limits())
    assert combined.config == ARCHITECTURE
    assert combined.metadata["keras_version"] == "2.3.1"
    assert combined.weights_file is weights.weights_file
    assert combined.digest != weights.digest
    assert with_architecture(weights, write(ARCHITECTURE), Limits()).digest == combined.digest


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("class_name: Sequential\nconfig:\n", "YAML"),
        ("some text", "a text file"),
        ('{"a": 1}', "not a Keras architecture"),
    ],
)
def test_other_files(write, weights_h5, content, said):
    """YAML is never parsed, and anything else is explained."""
    weights = read_artifact(detect(open_source(weights_h5())), Limits())
    with pytest.raises(UnsupportedFormatError, match=said):
        with_architecture(weights, write(content, "model.yaml"), Limits())


def test_the_json_itself(weights_h5):
    """The text of the file in place of its path is told from a path."""
    weights = read_artifact(detect(open_source(weights_h5())), Limits())
    with pytest.raises(UnsupportedFormatError, match="'architecture' is the JSON itself"):
        with_architecture(weights, '{"class_name": "Sequential"}', Limits())


def test_a_model_as_architecture(tmp_path, weights_h5):
    """Another model file is no architecture."""
    weights = read_artifact(detect(open_source(weights_h5())), Limits())
    (tmp_path / "m.h5").write_bytes(weights_h5())
    with pytest.raises(UnsupportedFormatError, match="keras-hdf5, not a Keras architecture"):
        with_architecture(weights, tmp_path / "m.h5", Limits())


def test_missing_file(tmp_path, weights_h5):
    """A missing file is an error like any other missing file."""
    weights = read_artifact(detect(open_source(weights_h5())), Limits())
    with pytest.raises(ArtifactNotFoundError):
        with_architecture(weights, tmp_path / "gone.json", Limits())
