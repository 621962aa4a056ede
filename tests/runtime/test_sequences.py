"""Masks of sequences: those that layers pass on, and those beside an initial state."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from safeload import load_callable
from safeload.dialects import Flavour, NormalForm, Writer
from safeload.runtime._keras._sequences import pass_masks_on, take_masks_beside_states

X = np.random.default_rng(3).normal(size=(2, 4, 3)).astype("float32")
X[0, :2] = X[1, 2] = 0
STATE = np.array([[0.5, -0.5], [0.25, 0.75]], "float32")


@pytest.mark.parametrize("name", ["LSTM", "Bidirectional", "TimeDistributed"])
def test_masks_go_on_where_a_later_keras_ends_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras 3.16 sets the attribute otherwise; a model that a release before it wrote still masks."""
    layers = keras.layers
    inner = {"Bidirectional": layers.GRU(2, return_sequences=True), "TimeDistributed": layers.Dense(2)}.get(name)
    kind = getattr(layers, name)
    build = kind.build

    @functools.wraps(build)
    def ends_masks(self: Any, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        self.supports_masking = False

    monkeypatch.setattr(kind, "build", ends_masks)
    layer = kind(2, return_sequences=True) if inner is None else kind(inner)
    model = keras.Sequential([keras.Input((4, 3)), layers.Masking(), layer, layers.LSTM(2)])
    pass_masks_on(model, NormalForm({}, Writer(Flavour.KERAS_3, (3, 16))))
    assert not layer.supports_masking
    pass_masks_on(model, NormalForm({}, Writer(Flavour.KERAS_3, (3, 15, 1))))
    mask = (X != 0).any(axis=-1)
    expected = model.layers[2](layer(X, mask=mask), mask=mask)
    np.testing.assert_allclose(model(X), expected, atol=1e-6)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN", "Bidirectional"])
def test_keras_2_masks_what_has_a_state(name: str, suffix: str, tmp_path: Path) -> None:
    """As in the decoder of a translator."""
    tf_keras = pytest.importorskip("tf_keras")
    inputs, state = tf_keras.Input((4, 3)), tf_keras.Input((2,))
    layers = tf_keras.layers
    layer = layers.Bidirectional(layers.GRU(2)) if name == "Bidirectional" else getattr(layers, name)(2)
    states = [state] * {"LSTM": 2, "Bidirectional": 2}.get(name, 1)
    model = tf_keras.Model([inputs, state], layer(layers.Masking()(inputs), initial_state=states))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(scale=0.5, size=array.shape) for array in model.get_weights()])
    model.save(tmp_path / f"m{suffix}")
    found = load_callable(tmp_path / f"m{suffix}")(X, STATE)
    np.testing.assert_allclose(found, model([X, STATE]), atol=1e-6)
    assert not np.allclose(found[0], model([X + 1e-3, STATE])[0], atol=1e-3)  # nothing is masked


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
@pytest.mark.parametrize(("version", "is_repeated"), [((2, 2, 4), True), ((2, 2, 5), False)])
def test_the_state_of_steps_before_the_first(
    version: tuple[int, ...], is_repeated: bool, backwards: bool, whole: bool
) -> None:
    """Keras up to 2.2.4 repeats it where nothing was computed yet, and later releases give zeros."""
    x = X[:, ::-1] if backwards else X
    inputs, state = keras.Input((4, 3)), keras.Input((2,))
    layer = keras.layers.GRU(2, return_sequences=whole, go_backwards=backwards, return_state=True)
    model = keras.Model([inputs, state], layer(keras.layers.Masking()(inputs), initial_state=state))
    take_masks_beside_states(model, NormalForm({}, Writer(Flavour.KERAS_2, version)))
    plain: Any = layer.__class__.call(layer, x, initial_state=STATE, mask=x.any(axis=-1))
    found = [np.asarray(each) for each in model([x, STATE])]
    expected = [np.array(each) for each in plain]
    if is_repeated and whole:
        expected[0][0, :2] = STATE[0]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_an_example_without_steps() -> None:
    """Its output is the initial state."""
    inputs, state = keras.Input((4, 3)), keras.Input((2,))
    model = keras.Model([inputs, state], keras.layers.GRU(2)(keras.layers.Masking()(inputs), initial_state=state))
    take_masks_beside_states(model, NormalForm({}, Writer(Flavour.TF_KERAS_1X, (2, 1, 6))))
    np.testing.assert_allclose(model([np.zeros_like(X), STATE]), STATE, atol=1e-6)
