"""What the process has set neither changes what a file means nor is changed by a load."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import safeload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], None], Any]] = {
    "dtype policy": (lambda: keras.config.dtype_policy().name, keras.config.set_dtype_policy, "mixed_float16"),
    "floatx": (keras.config.floatx, keras.config.set_floatx, "float64"),
    "image data format": (keras.config.image_data_format, keras.config.set_image_data_format, "channels_first"),
}
"""What → how to read it, how to set it, and a value that would change the numbers."""

IN_ANOTHER_PROCESS = """
import sys, numpy as np, safeload
for path in sys.argv[1:]:
    try:
        print(np.asarray(safeload.load_callable(path)(np.ones((2, 8, 8, 3), "float32"))).sum())
    except safeload.SafeloadError as error:
        print(error.code, *str(error).split())
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A directory with one model in every format, and the sum of what it makes of ones."""
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2)]
    )
    folder = tmp_path_factory.mktemp("ambient")
    for name in ("model.h5", "model.keras"):
        model.save(folder / name)
    model.export(folder / "exported")
    return folder, float(np.asarray(model(np.ones((2, 8, 8, 3), "float32"))).sum())


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> Iterator[tuple[Callable[[], Any], Any]]:
    """Set one of `SETTINGS` for a test; yields how to read it and what it was set to."""
    get, put, value = SETTINGS[request.param]
    before = get()
    put(value)
    yield get, value
    put(before)


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "exported"])
def test_settings_of_the_process_change_nothing(name: str, saved: Any, setting: Any) -> None:
    """Numbers and dtype are those of the file, and the setting is still there afterwards."""
    folder, expected = saved
    get, value = setting
    result = safeload.load_callable(folder / name)(np.ones((2, 8, 8, 3), "float32"))
    assert result.dtype == tf.float32
    assert float(np.asarray(result).sum()) == pytest.approx(expected, rel=1e-4)
    assert get() == value


@pytest.mark.parametrize(
    "environment",
    [{"TF_USE_LEGACY_KERAS": "1"}, {"TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}],
    ids=["legacy", "oneDNN and backend"],
)
def test_environment_variables_change_nothing(environment: dict[str, str], saved: Any) -> None:
    """Another process with the variables set computes the same."""
    folder, expected = saved
    lines = in_another_process(environment, folder / "model.h5", folder / "model.keras")
    assert [float(line) for line in lines] == pytest.approx([expected] * 2, rel=1e-4)


def in_another_process(environment: dict[str, str], *paths: Path) -> list[str]:
    """Load *paths* and call each in a process with *environment*; returns the line that it prints for each."""
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, *map(str, paths)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.splitlines()[-len(paths) :]


def test_another_backend_is_refused_with_the_reason(saved: Any) -> None:
    """Keras files need Keras on TensorFlow; SavedModels need no Keras at all."""
    folder, expected = saved
    backend = {"KERAS_BACKEND": "numpy"}
    refusal, result = in_another_process(backend, folder / "model.keras", folder / "exported")
    assert refusal.startswith("incompatible-version")
    assert "KERAS_BACKEND" in refusal
    assert float(result) == pytest.approx(expected, rel=1e-4)


def test_masks_do_not_take_the_names_of_layers(tmp_path: Path) -> None:
    """Keras 3 names the operation that joins masks ``concatenate``, as Keras 2 named the layer."""
    tf_keras = pytest.importorskip("tf_keras")
    words = tf_keras.layers.Input((6,), dtype="int32")
    tables = [tf_keras.layers.Embedding(9, 4, mask_zero=True)(words) for _ in range(2)]
    joined = tf_keras.layers.Concatenate(name="concatenate")(tables)
    model = tf_keras.Model(words, tf_keras.layers.LSTM(3)(joined))
    x = np.array([[1, 2, 0, 3, 0, 0]], "int32")
    path = tmp_path / "model.h5"
    model.save(path)
    keras.backend.clear_session()
    np.testing.assert_allclose(safeload.load_callable(path)(x), model(x), atol=1e-6)
    assert keras.layers.Dense(2).name == "dense"
