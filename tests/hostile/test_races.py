"""What changes at the last moment: no wait for ever, no file overwritten, no raw error."""

from __future__ import annotations

import os

import numpy as np
import pytest

import safeload._load as pipeline
import safeload._save as saving
from safeload import load_callable, save_callable
from safeload.errors import ArtifactChangedError, LoadFailedError

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

DATA = "variables/variables.data-00000-of-00001"


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _loop(path):
    path.unlink()
    path.symlink_to(path.name)


def _directory(path):
    path.unlink()
    path.mkdir()


def _shorter(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("change", [_pipe, _loop, _directory, _shorter, os.unlink])
def test_values_of_a_saved_model_that_change(change, tmp_path, monkeypatch):
    """A data file that is another thing after the model was judged is not opened, not even a pipe, which would wait."""
    module = tf.Module()
    module.w = tf.Variable(np.ones((4, 1), "f4"))
    spec = tf.TensorSpec([None, 4], tf.float32)
    module.__call__ = tf.function(lambda x: x @ module.w, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "m"))
    judge = pipeline.judge

    def judge_then_change(*args, **kwargs):
        judged = judge(*args, **kwargs)
        change(tmp_path / "m" / DATA)
        return judged

    monkeypatch.setattr(pipeline, "judge", judge_then_change)
    with pytest.raises(ArtifactChangedError):
        load_callable(tmp_path / "m")


def _longer(path):
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize("change", [_pipe, _longer])
@pytest.mark.parametrize("has_objects", [True, False])
def test_values_of_another_signature_that_change(has_objects, change, tmp_path):
    """What another signature needs is read when that is asked for, from files that are still what they were."""
    if has_objects:
        module = tf.Module()
        module.one, module.two = tf.Variable([1.0]), tf.Variable([2.0])
        spec = tf.TensorSpec([None], tf.float32)
        module.f = tf.function(lambda x: x * module.one, input_signature=[spec])
        module.g = tf.function(lambda x: x * module.two, input_signature=[spec])
        tf.saved_model.save(module, str(tmp_path / "m"), {"serving_default": module.f, "other": module.g})
    else:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            x = tf.compat.v1.placeholder(tf.float32, [None])
            one, two = (
                tf.compat.v1.get_variable(name, initializer=[value]) for name, value in (("a", 1.0), ("b", 2.0))
            )
            session.run(tf.compat.v1.global_variables_initializer())
            builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "m"))
            predict = tf.compat.v1.saved_model.predict_signature_def
            signatures = {
                "serving_default": predict({"x": x}, {"y": x * one}),
                "other": predict({"x": x}, {"y": x * two}),
            }
            builder.add_meta_graph_and_variables(session, ["serve"], signatures)
            builder.save()
    predict = load_callable(tmp_path / "m")
    change(tmp_path / "m" / DATA)
    with pytest.raises(ArtifactChangedError):
        predict.with_signature("other")([1.0])
    assert predict([1.0]) == [1.0]


@pytest.fixture
def appearing(monkeypatch):
    """Have something appear when saving has looked for the last time."""

    def arrange(action):
        looks = []
        require_free = saving._require_free

        def look_then_act(target):
            require_free(target)
            looks.append(target)
            if len(looks) == 2:
                action(target)

        monkeypatch.setattr(saving, "_require_free", look_then_act)

    return arrange


def _model():
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])


def test_a_file_that_appears_is_not_overwritten(appearing, tmp_path):
    """Somebody else's file stays, and nothing else is left."""
    appearing(lambda target: target.write_text("mine"))
    with pytest.raises(LoadFailedError, match="cannot be put in place: File exists"):
        save_callable(_model(), tmp_path / "m.keras")
    assert (tmp_path / "m.keras").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


def _filled(target):
    target.mkdir()
    (target / "mine").touch()


@pytest.mark.parametrize("action", [_filled, lambda target: target.symlink_to("/")], ids=["directory", "link"])
def test_a_directory_that_appears_is_left(action, appearing, tmp_path):
    """A directory with something in it, and a link, are errors."""
    appearing(action)
    with pytest.raises(LoadFailedError, match="cannot be put in place"):
        save_callable(_model(), tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_system_without_links(monkeypatch, tmp_path):
    """Where files have one name each, the file is renamed."""

    def refuse(*_):
        raise PermissionError("no links")

    monkeypatch.setattr(os, "link", refuse)
    assert load_callable(save_callable(_model(), tmp_path / "m.keras"))(np.ones((1, 4), "f4")).shape == (1, 1)
