"""Masks of what a layer casts to a dtype of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from safeload import load_callable
from safeload.dialects import Flavour, NormalForm, Writer
from safeload.errors import IncompatibleVersionError
from safeload.runtime._keras._cast import cast_masks_as_written

X = np.array([[1, 2, 0, 0]], "int32")
VECTORS = np.arange(12, dtype="float32").reshape(4, 3)
INSTALLED = tuple(map(int, keras.__version__.split(".")[:2]))
WHOLE, COUNTED = VECTORS[X[0]].mean(0), VECTORS[[1, 2]].mean(0)


def mean_of_words(dtype: str) -> Any:
    """The mean of embedded words, taken in *dtype*."""
    words = keras.layers.Embedding(4, 3, mask_zero=True, name="words")
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), words, keras.layers.GlobalAveragePooling1D(dtype=dtype)]
    )
    words.set_weights([VECTORS])
    return model


NEEDS_CASTS_IN_CALLS = pytest.mark.skipif(
    INSTALLED < (3, 10),
    reason="Keras before 3.10 casts elsewhere; a file that needs the other way is refused: test_the_writer_decides",
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("version", ["3.4.1", "3.5.0", "3.9.2", "3.10.0", "3.13.2", "3.14.0"])
def test_the_writer_decides(version: str, dtype: str, tmp_path: Path) -> None:
    """Keras 3.5 to 3.13 lose the mask of what they cast, others keep it; an older Keras cannot do both."""
    mean_of_words(dtype).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = version
    is_lost = dtype == "float64" and version not in {"3.4.1", "3.14.0"}
    if dtype == "float64" and INSTALLED < (3, 10) and is_lost is not (INSTALLED >= (3, 5)):
        with pytest.raises(IncompatibleVersionError, match="masks"):
            load_callable(tmp_path / "m.h5")
    else:
        found = np.asarray(load_callable(tmp_path / "m.h5")(X))
        np.testing.assert_allclose(found, [WHOLE if is_lost else COUNTED], rtol=1e-6)


@NEEDS_CASTS_IN_CALLS
@pytest.mark.parametrize(("version", "expected"), [((3, 12, 0), WHOLE), ((3, 14, 0), COUNTED)])
def test_what_comes_after_a_cast(version: tuple[int, ...], expected: Any) -> None:
    """It has no mask if the layer that casts has none, though Keras found one while it built the model."""
    inputs = keras.Input((4,), dtype="int32")
    words = keras.layers.Embedding(4, 3, mask_zero=True)
    middle = keras.layers.Dropout(0.5, dtype="float64")(words(inputs))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D(dtype="float64")(middle))
    words.set_weights([VECTORS])
    cast_masks_as_written(model, NormalForm({"class_name": "Masking"}, Writer(Flavour.KERAS_3, version)))
    np.testing.assert_allclose(np.asarray(model(X)), [expected], rtol=1e-6)


@NEEDS_CASTS_IN_CALLS
def test_a_mask_that_a_call_gives_is_not_lost() -> None:
    """Only what comes with the tensor is."""
    inputs, mask = keras.Input((4, 3)), keras.Input((4,), dtype="bool")
    layer = keras.layers.GlobalAveragePooling1D(dtype="float64")
    model = keras.Model([inputs, mask], layer(keras.layers.Masking()(inputs), mask=mask))
    cast_masks_as_written(model, NormalForm({"class_name": "Masking"}, Writer(Flavour.KERAS_3, (3, 12, 0))))
    given = np.array([[True, False, False, True]])
    np.testing.assert_allclose(np.asarray(model([VECTORS[None] + 1, given])), [VECTORS[[0, 3]].mean(0) + 1], rtol=1e-6)


def test_keras_2_keeps_masks(tmp_path: Path) -> None:
    """It reads them before it casts."""
    tf_keras = pytest.importorskip("tf_keras")
    words = tf_keras.layers.Embedding(4, 3, mask_zero=True, input_length=4)
    model = tf_keras.Sequential([words, tf_keras.layers.GlobalAveragePooling1D(dtype="float64")])
    model.build((None, 4))
    words.set_weights([VECTORS])
    model.save(tmp_path / "m.h5")
    if (3, 5) <= INSTALLED < (3, 10):
        with pytest.raises(IncompatibleVersionError, match="loses masks"):
            load_callable(tmp_path / "m.h5")
    else:
        np.testing.assert_allclose(np.asarray(load_callable(tmp_path / "m.h5")(X)), [COUNTED], rtol=1e-6)


def test_a_release_that_is_not_known() -> None:
    """It is asked for where it matters."""
    normal = NormalForm({"class_name": "Masking"}, Writer(Flavour.KERAS_3))
    cast_masks_as_written(mean_of_words("float32"), normal)
    with pytest.raises(IncompatibleVersionError, match=r"changed in Keras 3\.14"):
        cast_masks_as_written(mean_of_words("float64"), normal)
