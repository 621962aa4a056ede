"""Structure of inputs × format × how they are passed: the same values from each, or the error that shows the call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from releases import skip_unless_lists_nest

import safeload
from safeload.errors import InputMismatchError

A = np.arange(6, dtype="float32").reshape(3, 2)
B = 10 * A
FORMATS = ("m.keras", "m.h5", "saved_model")


def ends() -> tuple[Any, Any]:
    return keras.Input((2,), name="b"), keras.Input((2,), name="a")


def one() -> Any:
    x = keras.Input((2,), name="b")
    return keras.Model(x, x * 2 + 0)


def listed() -> Any:
    b, a = ends()
    return keras.Model([b, a], keras.layers.Subtract()([b, a]))


def mapped() -> Any:
    b, a = ends()
    return keras.Model({"b": b, "a": a}, keras.layers.Subtract()([b, a]))


def nested() -> Any:
    b, a = ends()
    return keras.Model({"pair": [b, a]}, keras.layers.Subtract()([b, a]))


class Columns:
    """A table: columns by name, as a pandas frame has them; iterating gives rows."""

    def __init__(self, **columns: Any) -> None:
        self._columns = columns

    def keys(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


STRUCTURES = {"one": one, "list": listed, "dict": mapped, "nested": nested}
EXPECTED = {"one": 2 * B, "list": B - A, "dict": B - A, "nested": B - A}

Call = Callable[[Any], Any]
# What every format takes, by name; then what needs the order or the nesting that Keras files record.
BY_NAME: dict[str, Call] = {
    "keywords": lambda fn: fn(b=B, a=A),
    "one dict": lambda fn: fn({"a": A, "b": B}),
    "tensors": lambda fn: fn(a=tf.constant(A), b=tf.constant(B)),
    "python lists": lambda fn: fn(a=A.tolist(), b=B.tolist()),
    "columns": lambda fn: fn(Columns(a=A, b=B)),
    "wider dtypes": lambda fn: fn(a=A.astype("float64"), b=B.astype("int64")),
}
BY_ORDER: dict[str, Call] = {"two positions": lambda fn: fn(B, A), "one list": lambda fn: fn([B, A])}
OF_ONE: dict[str, Call] = {
    "array": lambda fn: fn(B),
    "tensor": lambda fn: fn(tf.constant(B)),
    "list": lambda fn: fn(B.tolist()),
    "keyword": lambda fn: fn(b=B),
    "dict": lambda fn: fn({"b": B}),
    "variable": lambda fn: fn(tf.Variable(B)),
    "columns": lambda fn: fn(Columns(b=B)),
}
NESTED: dict[str, Call] = {
    "as the model nests them": lambda fn: fn({"pair": [B, A]}),
    "tuple for the list": lambda fn: fn({"pair": (B, A)}),
    "parameter by name": lambda fn: fn(inputs={"pair": [B, A]}),
}


def rows() -> list[Any]:
    """Return the table: structure, format, how, the call, and whether it is taken."""
    table = []
    for name in FORMATS:
        is_keras = name != "saved_model"
        table += [("one", name, how, call, True) for how, call in OF_ONE.items()]
        for structure in ("list", "dict", "nested"):
            table += [(structure, name, how, call, True) for how, call in BY_NAME.items()]
        table += [("list", name, how, call, is_keras) for how, call in BY_ORDER.items()]
        table += [("nested", name, how, call, is_keras) for how, call in NESTED.items()]
    return table


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Any]:
    """Return a function that saves a structure in a format and loads it, once."""
    made: dict[tuple[str, str], Any] = {}

    def load(structure: str, name: str) -> Any:
        if (structure, name) not in made:
            path = Path(tmp_path_factory.mktemp(structure)) / name
            model = STRUCTURES[structure]()
            if name == "saved_model":
                safeload.save_callable(model, path)
            else:
                model.save(path)
            made[structure, name] = safeload.load_callable(path)
        return made[structure, name]

    return load


@pytest.mark.parametrize(
    ("structure", "name", "how", "call", "is_taken"),
    rows(),
    ids=lambda v: v.replace(" ", "-") if type(v) is str else "",
)
def test_calls(
    loaded: Callable[[str, str], Any], structure: str, name: str, how: str, call: Call, *, is_taken: bool
) -> None:
    """Each way of passing gives the same values from each format; a SavedModel takes several inputs by name alone."""
    if structure == "nested":
        skip_unless_lists_nest(keras.version())
    fn = loaded(structure, name)
    if is_taken:
        np.testing.assert_allclose(call(fn), EXPECTED[structure], rtol=1e-6)
    else:
        with pytest.raises(InputMismatchError, match="call it as f"):
            call(fn)


VALUES: dict[str, tuple[Any, ...]] = {
    "string": (["a", "é"], [b"a", "é".encode()], np.array(["a", "é"]), np.array([b"a", "é".encode()], dtype=object)),
    "bool": ([True, False], np.array([True, False])),
    "uint8": ([1, 2], np.array([1, 2], "uint8"), np.array([1, 2], "int64")),
    "int32": ([1, 2], np.array([1, 2], "int64")),
    "float16": ([1, 2], [1.0, 2.0], np.array([1, 2], "float16"), np.array([1, 2], "float64")),
    "bfloat16": ([1, 2], np.array([1, 2], "float32")),
    "float64": ([1, 2], np.array([1, 2], "float32")),
    "complex64": ([1 + 0j, 2], np.array([1, 2], "complex128")),
}


@pytest.mark.parametrize("dtype", VALUES)
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    """Values of every kind become tensors of the dtype that the signature wants."""
    function = tf.function(lambda x: tf.identity(x), input_signature=[tf.TensorSpec([None], dtype)])
    fn = safeload.load_callable(safeload.save_callable(function, tmp_path / "m", example_inputs=VALUES[dtype][0]))
    expected = fn(tf.constant(VALUES[dtype][0], dtype))
    assert expected.dtype.name == dtype
    for value in VALUES[dtype]:
        found = fn(value)
        assert found.dtype.name == dtype
        assert found.numpy().tolist() == expected.numpy().tolist()
