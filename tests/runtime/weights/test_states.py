"""What Keras 2 saved among the weights and Keras 3 keeps elsewhere, or in another order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from releases import IS_OLDER

from safeload import load_callable
from safeload.errors import LoadFailedError, MalformedArtifactError

tf_keras = pytest.importorskip("tf_keras")
layers = tf_keras.layers

learns_from_data = pytest.mark.skipif(
    IS_OLDER, reason="Keras 3.3 to 3.12 declare another shape for bins than they make, and take no weights of words"
)

NUMBERS = np.random.default_rng(1).normal(size=(50, 1)).astype(np.float32)


def _adapted(**options: Any) -> Any:
    layer = layers.Discretization(num_bins=4, **options)
    layer.adapt(NUMBERS)
    return layer


def _saved(model: Any, path: Path, kind: str) -> dict[str, Any]:
    """Save *model* in some way and return what load_callable needs beside the path."""
    architecture = path.parent / "m.json"
    architecture.write_text(model.to_json())
    if kind in {"h5", "keras"}:
        model.save(path)
        return {}
    model.save_weights(path, save_format="tf" if kind == "tf" else None)
    return {"architecture": architecture}


@learns_from_data
@pytest.mark.parametrize("kind", ["h5", "keras", "weights.h5", "tf"])
def test_boundaries_that_layers_learned(tmp_path: Path, kind: str) -> None:
    """Two layers that bin, one inside of another model, and one with weights: each has what it learned."""
    inputs = tf_keras.Input((1,))
    inner = tf_keras.Sequential([tf_keras.Input((1,)), _adapted(epsilon=0.05)], name="inner")
    x = layers.Dense(3)(layers.Concatenate()([_adapted(output_mode="multi_hot")(inputs), inputs]))
    model = tf_keras.Model(inputs, [x, inner(inputs)])
    path = tmp_path / f"m.{kind}"
    found = load_callable(path, **_saved(model, path, kind))(NUMBERS)
    for actual, expected in zip(found.values(), model(NUMBERS), strict=True):
        np.testing.assert_allclose(np.asarray(actual), expected.numpy(), atol=1e-5)


def test_boundaries_that_are_not_in_the_file(tmp_path: Path) -> None:
    """A layer that was adapted and whose summary is gone is refused when the file is loaded, not when it is called."""
    model = tf_keras.Sequential([tf_keras.Input((1,)), _adapted()])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        for group in file["model_weights"].values():
            group.attrs["weight_names"] = np.array([], "S1")
    with pytest.raises(LoadFailedError, match="boundaries of the layer 'discretization"):
        load_callable(tmp_path / "m.h5")


@pytest.mark.parametrize("shape", [(50,), (3, 50)])
def test_a_summary_has_two_rows(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """An array of another shape is no summary."""
    model = tf_keras.Sequential([tf_keras.Input((1,)), _adapted()])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        del file[found[0]]
        file[found[0]] = np.zeros(shape, np.float32)
    with pytest.raises(LoadFailedError, match="is no summary of data"):
        load_callable(tmp_path / "m.h5")


@pytest.mark.parametrize("is_damaged", [False, True])
def test_weights_of_words_that_the_config_has_too(tmp_path: Path, is_damaged: bool) -> None:
    """They are in no variable of Keras 3; what the file holds beside must be the same."""
    inputs = tf_keras.Input((1,), dtype="string")
    lookup = layers.StringLookup(vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[0.5, 2.0], name="lookup")
    model = tf_keras.Model(inputs, lookup(inputs))
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        group = file["model_weights/lookup"]
        if not len(group.attrs["weight_names"]):
            group.attrs["weight_names"] = np.array([b"Variable:0"])
            group["Variable:0"] = np.array([1.25, 0.5, 2.0], np.float32)
        if is_damaged:
            group["Variable:0"][...] = 9
    words = np.array([["b"], ["?"]])
    if is_damaged:
        with pytest.raises(LoadFailedError, match="other weights of words"):
            load_callable(tmp_path / "m.h5")
    else:
        np.testing.assert_allclose(np.asarray(load_callable(tmp_path / "m.h5")(words)), model(words).numpy())


@pytest.mark.parametrize("kind", ["h5", "keras", "weights.h5", "tf"])
def test_axes_in_any_order(tmp_path: Path, kind: str) -> None:
    """Keras 2 made the weights of a LayerNormalization in the order in which the axes were given."""
    inputs = tf_keras.Input((2, 3, 4))
    model = tf_keras.Model(inputs, layers.LayerNormalization(axis=[-1, -2, -3])(inputs))
    model.set_weights([np.random.default_rng(2).normal(size=w.shape) for w in model.get_weights()])
    path = tmp_path / f"m.{kind}"
    loaded = load_callable(path, **_saved(model, path, kind))
    data = np.random.default_rng(3).normal(size=(5, 2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(loaded(data)), model(data).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_batch_normalization_for_several_devices(tmp_path: Path, kind: str) -> None:
    """Archives name its weights for its class and do not count it among the others."""
    inputs = tf_keras.Input((3,))
    x = layers.BatchNormalization()(inputs)
    x = layers.BatchNormalization()(layers.experimental.SyncBatchNormalization()(x))
    model = tf_keras.Model(inputs, x)
    model.set_weights([np.random.default_rng(4).uniform(1, 2, size=w.shape) for w in model.get_weights()])
    model.save(tmp_path / f"m.{kind}")
    data = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(np.asarray(load_callable(tmp_path / f"m.{kind}")(data)), model(data).numpy(), atol=1e-5)


def test_two_weights_of_one_name(tmp_path: Path) -> None:
    """The file holds one of the two arrays, and not the other."""
    model = tf_keras.Sequential([tf_keras.Input((2,)), layers.Dense(2)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        (name,) = (key for key in file["model_weights"] if key.startswith("dense"))
        names = file[f"model_weights/{name}"].attrs["weight_names"]
        file[f"model_weights/{name}"].attrs["weight_names"] = [names[0], names[0]]
    with pytest.raises(MalformedArtifactError, match="is listed twice"):
        load_callable(tmp_path / "m.h5")


def _of_words() -> Any:
    """Layers that learned words, one with places to spare, and one whose words a dense layer weighs."""
    inputs = tf_keras.Input((1,), dtype="string")
    texts = np.array(["the cat sat", "the dog!", "a mat the"])
    outputs = []
    for options in ({"max_tokens": 20, "pad_to_max_tokens": True}, {}):
        text = layers.TextVectorization(output_mode="tf_idf", **options)
        text.adapt(texts)
        outputs.append(text(inputs))
    lookup = layers.StringLookup(output_mode="one_hot")
    lookup.adapt(np.array([["the"], ["cat"], ["cat"]]))
    return tf_keras.Model(inputs, [*outputs, layers.Dense(2)(lookup(inputs))])


def _rewritten(path: Path, *, change: Callable[[str], str | None]) -> Path:
    """Copy an archive with other names for what it holds; None leaves it out."""
    new = path.with_name("new.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            if name != "model.weights.h5":
                renamed = change(name)
                archive.writestr(renamed if renamed is not None else "assets/unused", old.read(name))
                continue
            buffer = io.BytesIO()
            with h5py.File(io.BytesIO(old.read(name))) as source, h5py.File(buffer, "w") as target:
                found: dict[str, Any] = {}
                source.visititems(partial(_note, found))
                for dataset, value in found.items():
                    if (renamed := change(dataset)) is not None:
                        target[renamed] = value
            archive.writestr(name, buffer.getvalue())
    return new


def _note(found: dict[str, Any], name: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset):
        found[name] = item[()]


def _as_2_13(name: str) -> str:
    """Keras 2.13 listed layers with weights twice, tables of words among them, and counted both."""
    name = name.replace("layers/", "_layer_checkpoint_dependencies/", 1)
    return name.replace("text_vectorization_1/", "text_vectorization_2/")


@learns_from_data
@pytest.mark.parametrize("is_old", [False, True])
def test_words_that_layers_learned(tmp_path: Path, is_old: bool) -> None:
    """Their weights and their number, which a later layer is built for, come from the archive."""
    model = _of_words()
    model.save(tmp_path / "m.keras")
    path = _rewritten(tmp_path / "m.keras", change=_as_2_13) if is_old else tmp_path / "m.keras"
    words = np.array([["the CAT"], ["cat"], ["mat"]])
    found = load_callable(path)(words)
    for actual, expected in zip(found.values(), model(words), strict=True):
        np.testing.assert_allclose(np.asarray(actual), expected.numpy(), atol=1e-5)


@learns_from_data
def test_words_without_their_weights(tmp_path: Path) -> None:
    """A file that does not hold the weights of the words is refused."""
    _of_words().save(tmp_path / "m.keras")
    path = _rewritten(tmp_path / "m.keras", change=lambda name: None if name.endswith("idf_weights") else name)
    with pytest.raises(LoadFailedError, match="the weights of words of the layer 'string_lookup"):
        load_callable(path)
