"""One model in three formats: the same names and values from each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from releases import skip_unless_lists_nest

import safeload

if TYPE_CHECKING:
    from pathlib import Path


def one_end(keras: Any) -> Any:
    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.layers.Dense(2, name="y")(keras.layers.BatchNormalization()(x)))


def of_ends(nest: Any) -> Any:
    """Return the maker of a model of two inputs, whose outputs *nest* arranges."""

    def make(keras: Any) -> Any:
        b, a = keras.Input((4,), name="b"), keras.Input((4,), name="a")
        joined = keras.layers.Concatenate(name="mm")([b, a])
        return keras.Model(
            [b, a], nest(keras.layers.Dense(2, name="zz")(joined), keras.layers.Dense(1, name="aa")(joined))
        )

    return make


def dict_of_inputs(keras: Any) -> Any:
    b, a = keras.Input((4,), name="b"), keras.Input((4,), name="a")
    return keras.Model({"left": b, "right": a}, keras.layers.Subtract(name="y")([b, a]))


def many_ends(keras: Any) -> Any:
    x = keras.Input((4,), name="x")
    return keras.Model(x, [keras.layers.Dense(1, name=f"o{index}")(x) for index in range(11)])


def shared_layer(keras: Any) -> Any:
    b, a = keras.Input((4,), name="b"), keras.Input((4,), name="a")
    dense = keras.layers.Dense(2, name="shared")
    return keras.Model([b, a], [dense(b), dense(a), b])


def masked_words(layer: str) -> Any:
    """Return the maker of a model that reads words of several lengths with a recurrent layer."""

    def make(keras: Any) -> Any:
        x = keras.Input((6,), dtype="int32", name="words")
        recurrent = getattr(keras.layers, layer)(3, name="y")
        return keras.Model(x, recurrent(keras.layers.Embedding(9, 4, mask_zero=True)(x)))

    return make


def images(keras: Any) -> Any:
    x = keras.Input((8, 8, 3), dtype="uint8", name="image")
    y = keras.layers.Conv2D(2, 3)(keras.layers.Rescaling(1 / 255)(x))
    return keras.Model(x, keras.layers.GlobalAveragePooling2D(name="y")(keras.layers.BatchNormalization()(y)))


def free_length(layer: str) -> Any:
    """Return the maker of a model that reads sequences of any length in both directions."""

    def make(keras: Any) -> Any:
        x = keras.Input((None, 3), name="x")
        recurrent = getattr(keras.layers, layer)(2, return_sequences=True)
        return keras.Model(x, keras.layers.GlobalMaxPooling1D(name="y")(keras.layers.Bidirectional(recurrent)(x)))

    return make


def fixed_batch(keras: Any) -> Any:
    x = keras.Input(batch_shape=(3, 4), name="x")
    return keras.Model(x, keras.layers.Dense(2, name="y")(x))


def sequential(keras: Any) -> Any:
    inner = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "tanh")], name="inner")
    return keras.Sequential(
        [keras.layers.Input((4,), name="x"), inner, keras.layers.Dropout(0.5), keras.layers.Dense(2, name="y")]
    )


MODELS = {
    "one end": one_end,
    "list of outputs": of_ends(lambda z, a: [z, a]),
    "tuple of outputs": of_ends(lambda z, a: (z, a)),
    "dict of outputs": of_ends(lambda z, a: {"z": z, "a2": a}),
    "list of one": of_ends(lambda z, a: [z]),
    "nested outputs": of_ends(lambda z, a: {"second": [z, a], "first": a + 1}),
    "dict of inputs": dict_of_inputs,
    "many outputs": many_ends,
    "shared layer": shared_layer,
    "masked words": masked_words("SimpleRNN"),
    "images": images,
    "free length": free_length("SimpleRNN"),
    "fixed batch": fixed_batch,
    "sequential": sequential,
}


GATED = {"masked words, GRU": masked_words("GRU"), "free length, LSTM": free_length("LSTM")}
"""What takes Keras seconds to trace: tf_keras makes three functions of each layer with gates."""


def facts(infos: Any) -> list[Any]:
    return [(info.name, info.dtype, info.shape) for info in infos]


def values_for(fn: Any) -> dict[str, Any]:
    """Return three rows for each input, different ones."""
    sizes = {info.name: [3, *(5 if d is None else d for d in info.shape[1:])] for info in fn.inputs}
    random = np.random.default_rng(1)
    return {info.name: random.integers(0, 9, sizes[info.name]).astype(info.dtype) for info in fn.inputs}


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", [*MODELS, *(pytest.param(name, marks=pytest.mark.property) for name in GATED)])
def test_one_model_in_three_formats(tmp_path: Path, name: str, package: str) -> None:
    """HDF5 and Keras archives agree in order too; a SavedModel lists names alphabetically and agrees in the rest."""
    if name == "nested outputs":
        skip_unless_lists_nest(keras.version())
    model = {**MODELS, **GATED}[name](pytest.importorskip(package))
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    safeload.save_callable(model, tmp_path / "m")
    whole = safeload.as_callable(model)
    h5, archive, saved = (safeload.load_callable(tmp_path / name) for name in ("m.h5", "m.keras", "m"))
    for side in ("inputs", "outputs"):
        wanted = facts(getattr(whole, side))
        assert facts(getattr(h5, side)) == wanted
        assert facts(getattr(archive, side)) == wanted
        assert sorted(facts(getattr(saved, side))) == sorted(wanted)
    values = values_for(whole)
    expected = whole(values)
    for fn, is_ordered in ((h5, True), (archive, True), (saved, False)):
        found = fn(values)
        assert isinstance(found, dict) == isinstance(expected, dict)
        if isinstance(expected, dict):
            assert list(found) == list(expected) if is_ordered else found.keys() == expected.keys()
        for key in expected if isinstance(expected, dict) else [...]:
            y, w = (found, expected) if key is ... else (found[key], expected[key])
            np.testing.assert_allclose(y, w, rtol=1e-5, atol=1e-6)
