"""What was judged is what is loaded, whatever happens to the files between the two."""

from __future__ import annotations

import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import safeload._load as pipeline
from safeload import load_callable
from safeload.errors import ArtifactChangedError, LoadFailedError

ONES = np.ones((2, 4), "float32")


@pytest.fixture
def between(monkeypatch):
    """Return a function that has an action done after the model is judged and before it is loaded."""

    def arrange(action):
        judge = pipeline.judge

        def judge_then_act(*args, **kwargs):
            judged = judge(*args, **kwargs)
            action()
            return judged

        monkeypatch.setattr(pipeline, "judge", judge_then_act)

    return arrange


def _keras_model(value):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.set_weights([np.full((4, 1), value), np.zeros(1)])
    return model


class _Module(tf.Module):
    """A model with a variable and a vocabulary."""

    def __init__(self, value, words):
        super().__init__()
        self.weight = tf.Variable(np.full((4, 1), value, "float32"))
        keys = tf.lookup.TextFileInitializer(
            words, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(keys, -1)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def __call__(self, x):
        return tf.matmul(x, self.weight) + tf.cast(self.table.lookup(tf.constant(["b"])), tf.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two SavedModels: the judged one computes 4 + 1, the other 8 + 0."""
    folder = tmp_path_factory.mktemp("saved")
    for name, value, words in (("mine", 1.0, "a\nb\n"), ("other", 2.0, "b\na\n")):
        (folder / "words.txt").write_text(words)
        tf.saved_model.save(_Module(value, str(folder / "words.txt")), str(folder / name))
    return folder


@pytest.fixture
def model(saved, tmp_path):
    """A copy of the judged SavedModel that a test may destroy."""
    return shutil.copytree(saved / "mine", tmp_path / "model")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_replaced_keras_file(suffix, between, tmp_path):
    """A file that is replaced is read on from the one that was opened."""
    path, other = tmp_path / f"m{suffix}", tmp_path / f"other{suffix}"
    _keras_model(1.0).save(path)
    _keras_model(2.0).save(other)
    between(lambda: os.replace(other, path))
    np.testing.assert_allclose(load_callable(path)(ONES), [[4.0], [4.0]])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_overwritten_keras_file(suffix, between, tmp_path):
    """A file that is written to while it is loaded is an error, not a model with other weights."""
    path, other = tmp_path / f"m{suffix}", tmp_path / f"other{suffix}"
    _keras_model(1.0).save(path)
    _keras_model(2.0).save(other)
    between(lambda: path.write_bytes(other.read_bytes()))
    with pytest.raises(ArtifactChangedError, match="it is gone, or another"):
        load_callable(path)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "assets"])
def test_replaced_part_of_a_saved_model(name, between, model, saved):
    """Graph, index and assets are those that were judged."""

    def swap():
        for path in [model / name] if (model / name).is_file() else list((model / name).iterdir()):
            source = saved / "other" / path.relative_to(model)
            shutil.copy(source, path)

    between(swap)
    np.testing.assert_allclose(load_callable(model)(ONES), [[5.0], [5.0]])


def test_replaced_values_of_a_saved_model(between, model, saved):
    """Values that are not those of the judged index fail its checksums."""
    data = "variables/variables.data-00000-of-00001"
    between(lambda: shutil.copy(saved / "other" / data, model / data))
    with pytest.raises(LoadFailedError):
        load_callable(model)


def test_link_that_appears_after_judging(between, model, saved):
    """A directory that becomes a link elsewhere leads to values that fail the judged checksums."""

    def flip():
        shutil.rmtree(model / "variables")
        (model / "variables").symlink_to(saved / "other" / "variables")

    between(flip)
    with pytest.raises(LoadFailedError):
        load_callable(model)


def test_removed_model_is_loaded_from_what_was_read(between, tmp_path):
    """The opened file is enough."""
    path = tmp_path / "m.keras"
    _keras_model(1.0).save(path)
    between(path.unlink)
    np.testing.assert_allclose(load_callable(path)(ONES), [[4.0], [4.0]])
