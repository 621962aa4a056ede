"""The public functions end to end: sources, options, what is closed, what is imported when."""

from __future__ import annotations

import io
import os
import pickle
import runpy
import subprocess
import sys
import textwrap
from typing import Any

import keras
import numpy as np
import pytest
from saved_models import save_tf1

from safeload import Limits, custom_objects_for, errors, inspect_model, load_callable, register

X = np.arange(8, dtype="float32").reshape(2, 4) / 8


@pytest.fixture(scope="module")
def model():
    """A tiny Keras model."""
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "tanh", name="out")])


@pytest.fixture(scope="module", params=["model.h5", "model.keras"])
def path(request, model, tmp_path_factory):
    """The model in a file of its two formats."""
    path = tmp_path_factory.mktemp("m") / request.param
    model.save(path)
    return path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"custom_objects": 5}, "custom_objects must be a dict, a module or a list, not of type int"),
        ({"custom_objects": "mine"}, "a list, not of type str; names of modules go into modules="),
        ({"custom_objects": [3]}, r"custom_objects=\[…\] holds int, not classes, functions or modules$"),
        (
            {"custom_objects": ["mine"]},
            "holds str, not classes, functions or modules; names of modules go into modules=",
        ),
        ({"modules": 3}, "modules must be a list of modules or of their names, not of type int"),
        ({"trusted": 3}, "trusted must be a list of the identifiers of findings, not of type int"),
        ({"tags": 3}, "tags must be a text or a list of texts, not of type int"),
        ({"version": "1"}, "version must be an integer, not of type str"),
        ({"limits": {"max_entries": 1}}, r"limits must be a safeload.Limits, not of type dict"),
        ({"architecture": {"class_name": "Sequential"}}, "architecture must be the path of .*, not of type dict"),
    ],
)
def test_arguments_of_wrong_types(given: dict[str, Any], said: str) -> None:
    """They are told before anything is opened."""
    with pytest.raises(TypeError, match=said):
        load_callable("nothing.h5", **given)


@pytest.mark.parametrize(
    ("bound", "error", "said"),
    [
        (None, TypeError, "a whole number, not of type NoneType"),
        ("3", TypeError, "a whole number, not of type str"),
        (1.5, TypeError, "a whole number, not of type float"),
        (True, TypeError, "a whole number, not of type bool"),
        (-1, ValueError, "0 or more, not -1"),
    ],
)
def test_bounds_that_are_none(bound: Any, error: type[Exception], said: str) -> None:
    """A bound that compares with no number would be told by the first file that is read."""
    for field in Limits.__dataclass_fields__:
        with pytest.raises(error, match=f"^{field} must be {said}$"):
            Limits(**{field: bound})
    assert Limits(max_entries=0).max_entries == 0


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "file"])
def test_every_kind_of_source_gives_the_same(kind, path, model):
    """Paths, strings, bytes and binary file objects load alike."""
    with path.open("rb") as file:
        source = {"path": path, "str": str(path), "bytes": path.read_bytes(), "file": file}[kind]
        np.testing.assert_allclose(load_callable(source)(X), model(X), rtol=1e-6)


def test_a_loaded_model_is_no_source(path, model):
    """The error says which function takes it; no trust is none, however it is written."""
    with pytest.raises(TypeError, match="as_callable takes a loaded model"):
        load_callable(model)
    assert load_callable(path, trusted=None).report.verdict == "fine"


def test_report_after_pickling(path):
    """A pickle holds no report; loading again makes one."""
    fn = pickle.loads(pickle.dumps(load_callable(path)))
    assert fn.report is None
    fn(X)
    assert fn.report.verdict == "fine"


def test_a_pickle_holds_every_option(tmp_path, monkeypatch):
    """Another process loads with what was given here, from the same place."""
    monkeypatch.setenv("HOME", str(tmp_path))
    save_tf1(str(tmp_path / "models" / "1"))
    given = {"signature": "serving_default", "tags": ["serve"], "version": 1, "trusted": ["a", "b"], "limits": Limits()}
    fn = load_callable("~/models", **given)
    pickled = pickle.dumps(fn)
    seen = []
    monkeypatch.setattr("safeload._load.load_callable", lambda source, **options: seen.append((source, options)) or fn)
    np.testing.assert_array_equal(pickle.loads(pickled)(X), fn(X))
    ((source, options),) = seen
    assert source == str(tmp_path / "models")
    assert options.items() >= given.items()


def test_home_is_expanded(path, model, monkeypatch):
    """``~`` means the home directory."""
    monkeypatch.setenv("HOME", str(path.parent))
    np.testing.assert_allclose(load_callable(f"~/{path.name}")(X), model(X), rtol=1e-6)


def test_weights_with_their_json_architecture(tmp_path, model):
    """Weights alone load with the JSON file of their model, or with a function that builds it."""
    model.save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "model.json").write_text(model.to_json())
    by_json = load_callable(tmp_path / "w.weights.h5", architecture=tmp_path / "model.json")
    by_function = load_callable(tmp_path / "w.weights.h5", architecture=lambda: keras.models.clone_model(model))
    np.testing.assert_allclose(by_json(X), model(X), rtol=1e-6)
    np.testing.assert_allclose(by_function(X), model(X), rtol=1e-6)
    assert by_function.report.outcome.code is None
    with pytest.raises(errors.ArchitectureMissingError):
        load_callable(tmp_path / "w.weights.h5")


lists_open_files = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed by Linux alone")


def _open_files():
    return {
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    }


@lists_open_files
@pytest.mark.parametrize("use", [load_callable, inspect_model, custom_objects_for])
def test_nothing_stays_open(use, path):
    """Once a file was loaded or inspected, it is closed."""
    use(path)
    assert not any(name.startswith(str(path)) for name in _open_files())


@lists_open_files
def test_nothing_stays_open_after_a_refusal(tmp_path):
    """A refused file is closed too."""
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x)]).save(tmp_path / "m.keras")
    with pytest.raises(errors.UnsafeModelError):
        load_callable(tmp_path / "m.keras")
    assert not any(name.startswith(str(tmp_path)) for name in _open_files())


def test_callable_made_from_an_open_file_has_no_recipe(path):
    """What cannot be opened again cannot be pickled."""
    with pytest.raises(pickle.PicklingError, match="cannot be loaded elsewhere"):
        pickle.dumps(load_callable(io.BytesIO(path.read_bytes())))


@pytest.mark.usefixtures("fresh_registry")
def test_custom_objects_for_another_loader(tmp_path):
    """The mapping that Keras's own loader needs comes from the registry."""

    @register
    class OnlyHere(keras.layers.Layer):
        def call(self, x):
            return x + 1.0

    keras.Sequential([keras.layers.Input((4,)), OnlyHere()]).save(tmp_path / "m.keras")
    objects = custom_objects_for(tmp_path / "m.keras")
    assert objects == {"OnlyHere": OnlyHere}
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects=objects)
    np.testing.assert_allclose(loaded(X), X + 1)


def test_module_entry_point_prints_help(monkeypatch, capsys):
    """``python -m safeload`` is the command line."""
    monkeypatch.setattr(sys, "argv", ["safeload", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("safeload", run_name="__main__")
    assert "demo" in capsys.readouterr().out


REFUSALS = {
    "absent": ("nowhere.h5", "artifact-not-found"),
    "empty": ("empty.h5", "unrecognized-format"),
    "lambda": ("lambda.keras", "unsafe-model"),
    "custom": ("custom.keras", "custom-object-not-found"),
    "weights": ("w.weights.h5", "architecture-missing"),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory, model):
    """A directory of files that are refused, each for another reason."""
    folder = tmp_path_factory.mktemp("refused")

    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    (folder / "empty.h5").write_bytes(b"")
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x)]).save(folder / "lambda.keras")
    keras.Sequential([keras.layers.Input((4,)), Mine()]).save(folder / "custom.keras")
    model.save_weights(folder / "w.weights.h5")
    return folder


@pytest.mark.parametrize(("name", "code"), REFUSALS.values(), ids=REFUSALS)
def test_refusal_needs_no_tensorflow(name, code, refused):
    """What is decided before the runtime is decided where TensorFlow cannot be imported."""
    script = f"""
        import sys
        sys.modules.update(dict.fromkeys(("tensorflow", "keras", "tf_keras")))
        import safeload
        try:
            safeload.load_callable({str(refused / name)!r})
        except safeload.SafeloadError as error:
            print(error.code)
    """
    assert printed(script) == [code]


def printed(script):
    """Run *script* in a process of its own; return the words that it prints."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_tensorflow_that_cannot_be_imported(model, tmp_path, monkeypatch):
    """Keras refuses settings of other times while it is imported, and the error says where they are."""
    model.save(tmp_path / "m.keras")
    with monkeypatch.context() as without:
        without.delattr("safeload.runtime")
        without.setitem(sys.modules, "safeload.runtime", None)
        with pytest.raises(errors.LoadFailedError, match="TensorFlow or Keras cannot be imported"):
            load_callable(tmp_path / "m.keras")
    script = f"""
        import os
        os.environ["KERAS_BACKEND"] = "theano"
        import safeload
        try:
            safeload.load_callable({str(tmp_path / "m.keras")!r})
        except safeload.SafeloadError as error:
            print(error.code, "theano" in error.message, "keras.json" in error.hint)
    """
    assert printed(script) == ["load-failed", "True", "True"]


def test_reports_go_from_process_to_process(model, tmp_path):
    """A pickled report says the same: what looks at files of strangers can be a process of its own."""
    model.save(tmp_path / "m.keras")
    model.export(str(tmp_path / "export"))
    save_tf1(str(tmp_path / "tf1"))
    for name in ("m.keras", "export", "tf1"):
        report = inspect_model(tmp_path / name)
        again = pickle.loads(pickle.dumps(report))
        assert (again.to_json(), again.to_text(full=True)) == (report.to_json(), report.to_text(full=True))
