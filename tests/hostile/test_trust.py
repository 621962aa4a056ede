"""A trusted Lambda runs as it was permitted, and nothing else does."""

from __future__ import annotations

import json
import marshal
import pickle
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from hostile.keras_configs import code_text

from safeload import inspect_model, load_callable
from safeload.errors import IncompatibleVersionError, UnsafeModelError
from safeload.runtime._keras._resolve import Resolver

ONES = np.ones((2, 3), "float32")


def _save(path, function, library=keras, **arguments):
    layers = library.layers
    model = library.Sequential([layers.Input((3,)), layers.Lambda(function, name="scale", arguments=arguments)])
    model.save(path)
    return path


def _identifiers(path):
    return [finding.identifier for finding in inspect_model(path).findings if finding.severity >= 2]


def _edited(path, target, edit):
    """Write the model at *path* with its config edited as text."""
    if path.suffix == ".h5":
        shutil.copy(path, target)
        with h5py.File(target, "r+") as file:
            file.attrs["model_config"] = edit(file.attrs["model_config"])
        return target
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            archive.writestr(name, edit(content.decode()).encode() if name == "config.json" else content)
    return target


@pytest.fixture(params=[".keras keras", ".h5 keras", ".keras tf_keras", ".h5 tf_keras"])
def model(request, tmp_path):
    """A model with a Lambda that doubles."""
    suffix, package = request.param.split()
    return _save(tmp_path / f"m{suffix}", lambda x, by: x * by, pytest.importorskip(package), by=2.0)


def test_untrusted_lambda_is_refused_with_its_name(model):
    """The refusal says what to pass."""
    with pytest.raises(UnsafeModelError, match="lambda:scale@sha256:"):
        load_callable(model)


def test_trusted_lambda_runs(model):
    """Exactly what the refusal listed is enough."""
    np.testing.assert_allclose(load_callable(model, trusted=_identifiers(model))(ONES), ONES * 2)


def _made_of(kind, path):
    """Save a model with a layer of the class *kind*, which derives from the Lambda of tf_keras, that doubles."""
    layers = tf_keras.layers
    tf_keras.Sequential([layers.Input((3,)), kind(lambda x: 2 * x, name="scale")]).save(path)
    return path


def test_trusted_bytecode_of_a_class_derived_from_lambda(tmp_path):
    """The caller's class makes the function itself, and only of what was trusted."""
    kind = type("Own", (tf_keras.layers.Lambda,), {})
    path = _made_of(kind, tmp_path / "m.h5")
    with pytest.raises(UnsafeModelError, match="lambda:scale@sha256:"):
        load_callable(path, custom_objects=[kind])
    predict = load_callable(path, custom_objects=[kind], trusted=_identifiers(path))
    np.testing.assert_allclose(predict(ONES), ONES * 2)
    assert tf_keras.src.saving.serialization_lib.in_safe_mode() is None


def test_bytecode_of_a_class_derived_from_lambda_is_of_this_python(tmp_path):
    """It is not unmarshalled otherwise."""
    kind = type("Own", (tf_keras.layers.Lambda,), {})
    path = _made_of(kind, tmp_path / "m.h5")
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
    config["config"]["layers"][1]["config"]["function"][0] = code_text("a", ints=4)
    changed = _edited(path, tmp_path / "changed.h5", lambda _: json.dumps(config))
    with pytest.raises(IncompatibleVersionError, match="Python 2"):
        load_callable(changed, custom_objects=[kind], trusted=_identifiers(changed))


def test_nothing_is_unmarshalled_without_a_judgement():
    """Whoever comes here without asking the policy is refused."""
    kind = type("Own", (tf_keras.layers.Lambda,), {})
    config = {"name": "f", "function": ["AAAA", None, None], "function_type": "lambda"}
    entry = {"module": None, "class_name": "Own", "config": config, "registered_name": None}
    with pytest.raises(UnsafeModelError):
        Resolver(keras=tf_keras, custom={"Own": kind}, compat={}, where="m").rewrite(entry)


def test_trusted_pickles_of_a_class(tmp_path):
    """A class that unpickles gets what was trusted, and nothing before."""

    class Held(keras.layers.Layer):
        def __init__(self, pickled, **options):
            super().__init__(**options)
            self.pickled, self.held = pickled, pickle.loads(pickled.encode("latin-1"))

        def call(self, x):
            return x * float(self.held)

        def get_config(self):
            return {**super().get_config(), "pickled": self.pickled}

    pickled = "cfractions\nFraction\n(S'2/1'\ntR."
    model = keras.Sequential([keras.layers.Input((3,)), Held(pickled, name="held")])
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsafeModelError, match="a pickled Python object in 'held'.*naming fractions.Fraction, 2/1"):
        load_callable(tmp_path / "m.keras", custom_objects=[Held])
    predict = load_callable(tmp_path / "m.keras", custom_objects=[Held], trusted=_identifiers(tmp_path / "m.keras"))
    np.testing.assert_allclose(predict(ONES), ONES * 2)


def test_trusted_lambda_of_a_closure_runs(tmp_path):
    """A function with cells begins otherwise, and is of this Python all the same."""

    def times(factor):
        return lambda x: x * factor

    path = _save(tmp_path / "m.keras", times(3.0))
    np.testing.assert_allclose(load_callable(path, trusted=_identifiers(path))(ONES), ONES * 3)


def test_trust_ends_with_a_change(model, tmp_path):
    """A Lambda of the same name with other arguments is refused again."""
    trusted = _identifiers(model)
    changed = _edited(model, tmp_path / f"changed{model.suffix}", lambda text: text.replace('"by": 2.0', '"by": 3.0'))
    assert _identifiers(changed) != trusted
    with pytest.raises(UnsafeModelError):
        load_callable(changed, trusted=trusted)


def test_stale_identifiers_permit_nothing(model):
    """Identifiers of another file are no error and no permission."""
    with pytest.raises(UnsafeModelError):
        load_callable(model, trusted=["lambda:scale@sha256:000000000000", "op:ReadFile:x@sha256:0"])


def test_trusting_one_lambda_does_not_trust_another(tmp_path):
    """With two of them both have to be named."""
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((3,)), layers.Lambda(lambda x: x * 2, name="a"), layers.Lambda(lambda x: x + 1, name="b")]
    )
    model.save(tmp_path / "m.keras")
    one, two = sorted(set(_identifiers(tmp_path / "m.keras")))
    with pytest.raises(UnsafeModelError) as caught:
        load_callable(tmp_path / "m.keras", trusted=[one])
    assert {finding.identifier for finding in caught.value.findings} == {two}
    np.testing.assert_allclose(load_callable(tmp_path / "m.keras", trusted=[one, two])(ONES), ONES * 2 + 1)


def test_bytecode_of_another_python_is_explained(tmp_path):
    """What this interpreter cannot read is an error that says so, after it was trusted."""
    path = _save(tmp_path / "m.keras", lambda x: x)

    def foreign(text):
        config = json.loads(text)
        layer = next(entry for entry in config["config"]["layers"] if entry["class_name"] == "Lambda")
        layer["config"]["function"]["config"]["code"] = code_text("x", ints=6, opcode=124)
        return json.dumps(config)

    changed = _edited(path, tmp_path / "other.keras", foreign)
    with pytest.raises(IncompatibleVersionError, match="another Python: Python 3.8 to 3.10"):
        load_callable(changed, trusted=_identifiers(changed))


def _without_lambdas(monkeypatch):
    """Make it an error to unmarshal a lambda; modules are unmarshalled when they are imported."""
    original = marshal.loads

    def loads(data):
        found = original(data)
        assert getattr(found, "co_name", "") != "<lambda>"
        return found

    monkeypatch.setattr(marshal, "loads", loads)


def test_a_lambda_in_a_saved_model_needs_no_trust(tmp_path, monkeypatch):
    """A SavedModel computes what was traced: its graph is judged; the bytecode beside it is never read."""
    tf_keras = pytest.importorskip("tf_keras")
    path = _save(tmp_path / "m", lambda x, by: x * by, tf_keras, by=2.0)
    assert b"Lambda" in (path / "keras_metadata.pb").read_bytes()
    _without_lambdas(monkeypatch)
    assert _identifiers(path) == []
    np.testing.assert_allclose(load_callable(path)(ONES), ONES * 2)
    np.testing.assert_allclose(load_callable(path, trusted=["lambda:scale@sha256:000000000000"])(ONES), ONES * 2)


def test_a_lambda_in_an_exported_model_needs_no_trust(tmp_path, monkeypatch):
    """The same for what Keras 3 exports."""
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x * 2, name="scale")])
    model.export(str(tmp_path / "m"))
    _without_lambdas(monkeypatch)
    np.testing.assert_allclose(load_callable(tmp_path / "m")(ONES), ONES * 2)


def test_a_lambda_in_an_untraced_saved_model_needs_trust(tmp_path):
    """Saved without traces a SavedModel is rebuilt from its metadata: the Lambda is refused, and trusted by name."""
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x * 2, name="scale")])
    model.save(tmp_path / "m", save_format="tf", save_traces=False)
    with pytest.raises(UnsafeModelError, match="lambda:scale@sha256:"):
        load_callable(tmp_path / "m")
    np.testing.assert_allclose(load_callable(tmp_path / "m", trusted=_identifiers(tmp_path / "m"))(ONES), ONES * 2)
