"""A callable in other processes: pickled by reference, loaded again there, and never left waiting after a fork."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import runpy
import subprocess
import sys
import textwrap
import types
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from tensorflow.python.eager import context

import safeload
from safeload import _fork
from safeload.errors import ArtifactChangedError, LoadFailedError
from safeload.runtime._callable._fork import require_usable

if TYPE_CHECKING:
    from pathlib import Path

X = np.ones((2, 4), "float32")
CODE = """
    import keras

    class Scale(keras.layers.Layer):
        def call(self, x):
            return 3 * x

    def build():
        return keras.Sequential([keras.Input((4,)), Scale()])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module on the path of this process, and of those that it starts."""
    (tmp_path / "my_project_layers.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    import my_project_layers

    yield my_project_layers
    del sys.modules["my_project_layers"]


def _sum(fn: Any) -> float:
    return float(np.sum(fn(X)))


@pytest.mark.parametrize("how", ["module", "name", "list", "mapping", "module in a mapping", "iterator"])
def test_custom_objects_are_found_again(project: Any, tmp_path: Path, how: str) -> None:
    """Modules travel by name, classes by reference, in whatever form they were given."""
    project.build().save(tmp_path / "m.keras")
    given = {
        "module": {"modules": project},
        "name": {"modules": ["my_project_layers"]},
        "list": {"custom_objects": [project.Scale]},
        "mapping": {"custom_objects": {"Scale": project.Scale}},
        "module in a mapping": {"custom_objects": {"Scale": project}},
        "iterator": {"modules": iter([project]), "trusted": iter([])},
    }[how]
    fn = safeload.load_callable(tmp_path / "m.keras", **given)
    assert _sum(pickle.loads(pickle.dumps(fn))) == _sum(fn) == 24


def test_spawned_processes(project: Any, tmp_path: Path) -> None:
    """A pool of fresh processes gets the callable and loads it once in each."""
    project.build().save(tmp_path / "m.keras")
    fn = safeload.load_callable(tmp_path / "m.keras", modules=project)
    script = f"""
        import multiprocessing, numpy as np, pickle

        def work(fn):
            return float(np.sum(fn(np.ones((2, 4), "float32"))))

        if __name__ == "__main__":
            fn = pickle.loads({pickle.dumps(fn)!r})
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(work, [fn, fn]))
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip().endswith("[24.0, 24.0]"), done.stderr[-2000:]


def test_relative_paths_stay_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory of the other process does not matter, nor for the architecture."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.json").write_text(model.to_json())
    monkeypatch.chdir(tmp_path)
    fn = safeload.load_callable("m.weights.h5", architecture="m.json")
    state = pickle.dumps(fn)
    monkeypatch.chdir(os.sep)
    np.testing.assert_allclose(pickle.loads(state)(X), fn(X), rtol=1e-6)


def test_changed_file(tmp_path: Path) -> None:
    """What lies at the path must still be what was pickled."""
    for units in (2, 3):
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)]).save(tmp_path / "m.keras")
        if units == 2:
            state = pickle.dumps(safeload.load_callable(tmp_path / "m.keras"))
    with pytest.raises(ArtifactChangedError):
        pickle.loads(state)(X)


def test_module_that_is_only_in_this_process(project: Any, tmp_path: Path) -> None:
    """A module that cannot be imported by name is said to be missing in the other process, by its name."""
    project.build().save(tmp_path / "m.keras")
    made = types.ModuleType("made_here")
    made.Scale = project.Scale
    state = pickle.dumps(safeload.load_callable(tmp_path / "m.keras", modules=made))
    with pytest.raises(safeload.errors.CustomObjectConflictError, match="'made_here': this module cannot be imported"):
        pickle.loads(state)(X)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of this system do not fork")
def test_after_a_fork(tmp_path: Path) -> None:
    """A child of a process in which TensorFlow has run says what to do instead of waiting for ever."""
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    fn = safeload.load_callable(path)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    for work in (lambda: fn(X), lambda: pickle.loads(pickle.dumps(fn))(X), lambda: safeload.load_callable(path)):
        child = context.Process(target=_report_error, args=(queue, work))
        child.start()
        assert queue.get() == ("load-failed", True)
        child.join()
    assert fn(X).shape == (2, 2)


def _report_error(queue: Any, work: Any) -> None:
    try:
        work()
    except LoadFailedError as error:
        queue.put((error.code, 'get_context("spawn")' in str(error)))
    else:
        queue.put(("nothing", False))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of this system do not fork")
def test_after_a_fork_before_the_first_operation(tmp_path: Path) -> None:
    """As long as TensorFlow was only imported, the child may load and call."""
    assert _in_a_fork("import safeload.runtime", _saved(tmp_path)) == "16.0"
    assert _in_a_fork("import tensorflow", _saved(tmp_path)) == "16.0"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of this system do not fork")
def test_after_a_fork_of_who_used_tensorflow_alone(tmp_path: Path) -> None:
    """The parent imported safeload, and has loaded nothing with it."""
    assert _in_a_fork("import tensorflow as tf; tf.zeros(1)", _saved(tmp_path)) == "load-failed"


def _saved(folder: Path) -> str:
    path = folder / "m.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "relu", kernel_initializer="ones")]).save(path)
    return str(path)


def _in_a_fork(before: str, path: str) -> str:
    """Return what the child of a process prints that has imported safeload and run *before*."""
    script = f"""
        import os, safeload
        {before}
        if os.fork() == 0:
            try:
                print(float(sum(safeload.load_callable({path!r})([[1, 1, 1, 1], [1, 1, 1, 1]]).numpy().ravel())))
            except safeload.SafeloadError as error:
                print(error.code)
            os.sys.stdout.flush()
            os._exit(0)
        os.wait()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr[-2000:]
    return done.stdout.strip()


def test_a_fork_ends(tmp_path: Path) -> None:
    """The child of a process that loaded a model ends by itself, and leaves its parent's files."""
    script = f"""
        import os
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        import pathlib, tempfile
        tempfile.tempdir = {str(tmp_path)!r}
        import safeload
        from safeload.formats import TemporaryFolder
        model = safeload.load_callable({_saved(tmp_path)!r})
        folder = TemporaryFolder("m")
        if os.fork():
            print(os.waitstatus_to_exitcode(os.wait()[1]), folder.path.exists())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["0", "True"], done.stderr[-2000:]


def test_a_worker_leaves_no_files(tmp_path: Path) -> None:
    """Workers of multiprocessing end without what Python does at the end of a process."""
    script = f"""
        import multiprocessing, tempfile
        tempfile.tempdir = {str(tmp_path)!r}
        from safeload.formats import TemporaryFolder

        def work(keep=[]):
            keep.append(TemporaryFolder("m"))
            print(keep[0].path.exists(), flush=True)

        worker = multiprocessing.get_context("fork").Process(target=work)
        worker.start()
        worker.join()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["True"], done.stderr[-2000:]
    assert not list(tmp_path.iterdir())


def test_a_system_that_does_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is registered on Windows."""
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    assert runpy.run_path(_fork.__file__)["Process"].is_usable


def test_a_fork_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child of a process without a context is usable, that of one with a context is not."""
    path = _saved(tmp_path)
    monkeypatch.setattr(_fork.Process, "is_usable", True)
    monkeypatch.setattr(context, "_context", None)
    _fork._note_fork()
    require_usable("m")
    monkeypatch.setattr(context, "_context", types.SimpleNamespace(_context_handle=object()))
    _fork._note_fork()
    with pytest.raises(LoadFailedError, match="forked"):
        require_usable("m")
    with pytest.raises(LoadFailedError, match="forked"):
        safeload.wrap_loader(keras.models.load_model)(path)
