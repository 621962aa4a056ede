"""One model in three formats: the same names and values from each; many threads, the same values as one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import safeload

if TYPE_CHECKING:
    from pathlib import Path

X = np.random.default_rng(0).random((3, 4), dtype="float32")


def one_end(keras: Any) -> Any:
    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.layers.Dense(2, name="y")(keras.layers.BatchNormalization()(x)))


def two_ends(keras: Any) -> Any:
    b, a = keras.Input((4,), name="b"), keras.Input((4,), name="a")
    joined = keras.layers.Concatenate()([b, a])
    return keras.Model([b, a], [keras.layers.Dense(2, name="zz")(joined), keras.layers.Dense(1, name="aa")(joined)])


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("make", [one_end, two_ends])
def test_one_model_in_three_formats(tmp_path: Path, make: Any, package: str) -> None:
    """HDF5 and Keras archives agree in order too; a SavedModel lists names alphabetically and agrees in the rest."""
    model = make(pytest.importorskip(package))
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    safeload.save_callable(model, tmp_path / "m")
    h5, archive, saved = (safeload.load_callable(tmp_path / name) for name in ("m.h5", "m.keras", "m"))
    for side in ("inputs", "outputs"):
        facts = [[(i.name, i.dtype, i.shape) for i in getattr(fn, side)] for fn in (h5, archive, saved)]
        assert facts[0] == facts[1]
        assert sorted(facts[1]) == sorted(facts[2])
    values = {info.name: X * (1 + index) for index, info in enumerate(h5.inputs)}
    results = [fn(values) for fn in (h5, archive, saved)]
    named = [r if isinstance(r, dict) else {"": r} for r in results]
    for other in named[1:]:
        assert other.keys() == named[0].keys()
        for key, value in other.items():
            np.testing.assert_allclose(value, named[0][key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["m.keras", "m"])
def test_threads(tmp_path: Path, name: str) -> None:
    """Eight threads that call two models with arrays of several lengths get what one thread gets."""
    keras = pytest.importorskip("keras")
    fns = []
    for index, make in enumerate((one_end, two_ends)):
        (tmp_path / str(index)).mkdir()
        path = tmp_path / str(index) / name
        fns.append(safeload.load_callable(safeload.save_callable(make(keras), path)))

    def call(number: int) -> np.ndarray[Any, Any]:
        rows = X[: 1 + number % 3] * number
        result = fns[0](rows) if number % 2 else fns[1](a=rows, b=rows)["zz"]
        return np.asarray(result)

    expected = [call(number) for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(lambda n: call(n % 12), range(480))):
            np.testing.assert_allclose(found, expected[number % 12], rtol=1e-5, atol=1e-6)
