"""Tests of architectures in JSON."""

from __future__ import annotations

import json

import pytest
from artifacts import read
from keras_files import weights_h5

from safeload._limits import Limits
from safeload.errors import ArtifactNotFoundError, LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format
from safeload.readers import with_architecture

ARCHITECTURE = {"class_name": "Sequential", "config": {"layers": []}, "keras_version": "2.3.1", "backend": "tensorflow"}


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def make(content, name="model.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return make


@pytest.fixture
def weights():
    """Weights without an architecture."""
    return read(weights_h5())


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


def test_config_without_its_class(write):
    """What ``model.get_config()`` returns has classes for the layers alone; ``model.to_json()`` is named."""
    with pytest.raises(MalformedArtifactError, match="keys class_name and config are missing") as caught:
        read(write({"name": "m", "layers": [{"class_name": "Dense", "config": {"units": 2}}]}))
    assert str(caught.value.hint).startswith("write the file with model.to_json(): what model.get_config() returns")


def test_limit(write):
    """The file is bounded before it is read."""
    with pytest.raises(LimitExceededError, match="max_config_bytes=20"):
        read(write(ARCHITECTURE), max_config_bytes=20)


def test_weights_with_architecture(write, weights):
    """Weights take the architecture, its metadata and another digest."""
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
def test_other_files(write, weights, content, said):
    """YAML is never parsed, and anything else is explained."""
    with pytest.raises(UnsupportedFormatError, match=said):
        with_architecture(weights, write(content, "model.yaml"), Limits())


def test_the_json_itself(weights):
    """The text of the file in place of its path is told from a path."""
    with pytest.raises(UnsupportedFormatError, match="'architecture' is the JSON itself"):
        with_architecture(weights, '{"class_name": "Sequential"}', Limits())


def test_a_model_as_architecture(tmp_path, weights):
    """Another model file is no architecture."""
    (tmp_path / "m.h5").write_bytes(weights_h5())
    with pytest.raises(UnsupportedFormatError, match="keras-hdf5, not a Keras architecture"):
        with_architecture(weights, tmp_path / "m.h5", Limits())


def test_missing_file(tmp_path, weights):
    """A missing file is an error like any other missing file."""
    with pytest.raises(ArtifactNotFoundError):
        with_architecture(weights, tmp_path / "gone.json", Limits())
