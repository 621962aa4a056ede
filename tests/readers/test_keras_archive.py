"""Tests of Keras archives, zipped and not."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest
from artifacts import read
from keras_files import archive, model_h5

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format, detect, open_source
from safeload.readers import WeightLayout, read_artifact


@pytest.fixture
def unzipped(tmp_path):
    """Build the same as a directory."""

    def make(members=()):
        with zipfile.ZipFile(io.BytesIO(archive(members))) as file:
            file.extractall(tmp_path / "m")
        return tmp_path / "m"

    return make


@pytest.fixture(params=["zipped", "unzipped"])
def build(request, unzipped):
    """Both kinds."""
    return archive if request.param == "zipped" else unzipped


def test_archive(build):
    """Config, metadata, assets and weights."""
    artifact = read(
        build({"assets/layers/text/vocabulary.txt": "a\nb", "config.json": '{"compile_config": {"loss": 1}}'})
    )
    assert artifact.format in (Format.KERAS_ARCHIVE, Format.KERAS_DIRECTORY)
    assert artifact.config == {"compile_config": {"loss": 1}}
    assert artifact.training_config == {"loss": 1}
    assert artifact.metadata == {"keras_version": "3.15.1", "date_saved": "2026-01-01"}
    assert artifact.assets == {"layers/text/vocabulary.txt": b"a\nb"}
    assert artifact.weights.layout is WeightLayout.OBJECT_PATHS
    np.testing.assert_array_equal(artifact.weights_file.read("layers/dense/vars/0"), np.arange(6).reshape(2, 3))
    artifact.weights_file.close()


def test_offsets_count_from_the_file():
    """Arrays of a stored member are found in the zip itself."""
    content = archive()
    dataset = read(content).weights.datasets[0]
    assert content[dataset.offset : dataset.offset + dataset.nbytes] == np.arange(6, dtype="f4").tobytes()


def test_deflated():
    """Compressed weights are read from memory."""
    artifact = read(archive(method=zipfile.ZIP_DEFLATED))
    assert artifact.weights.datasets[0].offset is None
    np.testing.assert_array_equal(artifact.weights_file.read("layers/dense/vars/0"), np.arange(6).reshape(2, 3))


def test_old_layout_inside():
    """The layout of the weights is told by content."""
    artifact = read(archive({"model.weights.h5": model_h5()}))
    assert artifact.weights.layout is WeightLayout.LEGACY_HDF5


def test_without_metadata(build):
    """The metadata may be missing, the weights may not."""
    assert read(build({"metadata.json": None})).metadata == {}
    with pytest.raises(MalformedArtifactError, match=r"'model.weights.h5' is missing"):
        read(archive_without_weights(build))


def archive_without_weights(build):
    made = build({"model.weights.h5": None})
    if not isinstance(made, bytes):
        (made / "model.weights.h5").unlink(missing_ok=True)
        (made / "metadata.json").write_text("{}")
    return made


def test_other_members_are_ignored(build):
    """Files that Keras does not read are not read."""
    assert read(build({".DS_Store": b"\xff", "sub/": b""})).config


def test_foreign_weights(build):
    """Weights in other files than HDF5 are explained."""
    made = build({"model.weights.npz": b"PK", "model.weights.h5": None})
    if not isinstance(made, bytes):
        (made / "model.weights.h5").unlink(missing_ok=True)
    with pytest.raises(UnsupportedFormatError, match="NumPy"):
        read(made)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"config.json": "[]"}, "config.json: it is not a JSON object"),
        ({"config.json": "{"}, "config.json: not JSON"),
        ({"metadata.json": b"\xff"}, "metadata.json: not UTF-8"),
        ({"model.weights.h5": b"x"}, r"model.weights.h5: cannot be opened"),
    ],
)
def test_broken_parts(build, members, problem):
    """The broken part is named."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read(build(members))


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"max_config_bytes": 9}, "max_config_bytes"),
        ({"max_asset_bytes": 5}, "max_asset_bytes"),
        ({"max_entries": 4}, "max_entries"),
    ],
)
def test_limits(build, limits, name):
    """Config, assets and members are bounded."""
    with pytest.raises(LimitExceededError, match=name):
        read(build({"assets/a": "abc", "assets/b": "abc"}), **limits)


def test_links_of_a_directory(unzipped, tmp_path):
    """Weights and assets lie in the directory, or the model is refused."""
    root = unzipped({"assets/a": "a"})
    outside = tmp_path / "outside"
    (root / "assets/a").rename(outside)
    (root / "assets/a").symlink_to(outside)
    with pytest.raises(MalformedArtifactError, match="'assets/a' is a link"):
        read(root)
    (root / "assets/a").unlink()
    (root / "model.weights.h5").rename(outside)
    (root / "model.weights.h5").symlink_to(outside)
    with pytest.raises(MalformedArtifactError, match="outside of the model"):
        read(root)
    (root / "model.weights.h5").unlink()
    (root / "model.weights.h5").symlink_to("x" * 300)
    with pytest.raises(MalformedArtifactError, match=r"'model.weights.h5' is missing"):
        read(root)


def test_assets_elsewhere(unzipped):
    """The assets are not looked for in other places."""
    root = unzipped()
    (root / "assets").symlink_to("/")
    with pytest.raises(MalformedArtifactError, match="'assets' is a link"):
        read(root)


def test_deep_assets(unzipped):
    """Directories are entered as deep as anything is."""
    root = unzipped({"assets/1/2/3/4/a": "", "assets/b": ""})
    os.mkfifo(root / "assets/pipe")
    assert read(root, max_nesting_depth=3).assets == {"b": b""}


def test_many_assets(build, monkeypatch):
    """The assets are counted before they are read."""
    monkeypatch.setattr("safeload.readers.keras.archive.MAX_ASSETS", 1)
    with pytest.raises(LimitExceededError, match="MAX_ASSETS"):
        read(build({"assets/a": "", "assets/b": ""}))


def test_file_is_closed_after_an_error(tmp_path):
    """A refused file does not stay open."""
    (tmp_path / "m.keras").write_bytes(archive({"config.json": "["}))
    detection = detect(open_source(tmp_path / "m.keras"))
    with pytest.raises(MalformedArtifactError):
        read_artifact(detection, Limits())
    with pytest.raises(ValueError, match="closed"):
        detection.source.file.read_at(0, 1)
