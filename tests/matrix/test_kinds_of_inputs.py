"""Kind of input × package × format × how it is passed: the same values from each, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from releases import what_this_keras_can

import safeload
from safeload.errors import UnsupportedFormatError

PACKAGES = ("keras", "tf_keras")
FORMATS = ("m.keras", "m.h5", "saved_model")

X = np.array([[1, 0], [0, 1], [1, 1]])
SEQUENCES = np.arange(12, dtype="float32").reshape(2, 3, 2)
MASK = np.array([[True, True, False], [True, False, False]])
RAGGED = tf.ragged.constant([[1, 2], [3], []], dtype=tf.int32)
SPARSE = tf.sparse.from_dense(X.astype("float32"))


class Kind(NamedTuple):
    """A model with such an input, what it computes, and the ways of passing the input."""

    make: Callable[[Any], Any]
    expected: Any
    ways: dict[str, Callable[[Any], Any]]


def typed(dtype: str, **ways: Any) -> Kind:
    """A model that returns its input, which has *dtype*."""

    def make(keras: Any) -> Any:
        x = keras.Input((2,), dtype=dtype, name="x")
        return keras.Model(x, keras.layers.Flatten(dtype=dtype)(x))

    array = X.astype(tf.as_dtype(dtype).as_numpy_dtype)
    values = {"array": array, "list": X.tolist(), "tensor": tf.constant(X, dtype), **ways}
    return Kind(make, X, {name: lambda fn, value=value: fn(value) for name, value in values.items()})


def words(keras: Any) -> Any:
    x = keras.Input((1,), dtype="string", name="x")
    return keras.Model(x, keras.layers.StringLookup(vocabulary=["a", "é"])(x))


def ragged(keras: Any) -> Any:
    x = keras.Input((None,), dtype="int32", ragged=True, name="x")
    return keras.Model(x, keras.layers.Embedding(4, 2, embeddings_initializer="ones")(x))


def sparse(keras: Any) -> Any:
    x = keras.Input((2,), sparse=True, name="x")
    return keras.Model(x, keras.layers.Dense(1, kernel_initializer="ones")(x))


def optional(keras: Any) -> Any:
    b, a = keras.Input((2,), name="b"), keras.Input((2,), name="a", optional=True)
    return keras.Model([b, a], keras.layers.Identity()([b, a])[0])


def masked(keras: Any) -> Any:
    x, m = keras.Input((3, 2), name="x"), keras.Input((3,), dtype="bool", name="m")
    return keras.Model([x, m], keras.layers.GlobalAveragePooling1D()(x, mask=m))


def zeros_masked(keras: Any) -> Any:
    x = keras.Input((3,), dtype="int32", name="x")
    return keras.Model(
        x,
        keras.layers.GlobalAveragePooling1D()(
            keras.layers.Embedding(9, 1, mask_zero=True, embeddings_initializer="ones")(x)
        ),
    )


def nested(keras: Any) -> Any:
    b, a = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    return keras.Model({"pair": (b, {"inner": a})}, keras.layers.Subtract()([b, a]))


KINDS = {
    "uint8": typed("uint8", wider=X.astype("int64")),
    "bool": typed("bool", list=(X > 0).tolist()),
    "int32": typed("int32", wider=X.astype("int64"), flags=X > 0),
    "int64": typed("int64", narrower=tf.constant(X, tf.int32)),
    "float16": typed("float16", wider=X.astype("float64"), whole=tf.constant(X, tf.int32)),
    "bfloat16": typed("bfloat16", wider=X.astype("float32")),
    "float64": typed("float64", narrower=tf.constant(X, tf.float32)),
    "string": Kind(
        words,
        [[1], [2]],
        {
            "text": lambda fn: fn([["a"], ["é"]]),
            "bytes": lambda fn: fn([[b"a"], ["é".encode()]]),
            "array": lambda fn: fn(np.array([["a"], ["é"]])),
            "objects": lambda fn: fn(np.array([["a"], ["é"]], dtype=object)),
            "tensor": lambda fn: fn(tf.constant([["a"], ["é"]])),
        },
    ),
    "ragged": Kind(
        ragged,
        [[[1, 1], [1, 1]], [[1, 1]], []],
        {
            "ragged tensor": lambda fn: fn(RAGGED),
            "lists": lambda fn: fn([[1, 2], [3], []]),
            "keyword": lambda fn: fn(x=RAGGED),
        },
    ),
    "sparse": Kind(
        sparse,
        [[1], [1], [2]],
        {
            "sparse tensor": lambda fn: fn(SPARSE),
            "array": lambda fn: fn(X.astype("float32")),
            "keyword": lambda fn: fn(x=SPARSE),
        },
    ),
    "optional": Kind(
        optional,
        X,
        {
            "left out": lambda fn: fn(b=X),
            "none": lambda fn: fn(X) if len(fn.inputs) == 1 else fn(b=X, a=None),
            "position": lambda fn: fn(X),
        },
    ),
    "mask": Kind(
        masked,
        [[1, 2], [6, 7]],
        {
            "arrays": lambda fn: fn(x=SEQUENCES, m=MASK),
            "lists": lambda fn: fn({"m": MASK.tolist(), "x": SEQUENCES.tolist()}),
            "tensors": lambda fn: fn(m=tf.constant(MASK), x=tf.constant(SEQUENCES)),
        },
    ),
    "zeros masked": Kind(zeros_masked, [[1], [1]], {"array": lambda fn: fn(np.array([[1, 2, 0], [3, 0, 0]]))}),
    "nested": Kind(
        nested,
        -X,
        {
            "names": lambda fn: fn(b=X, a=2 * X),
            "one dict": lambda fn: fn({"a": 2 * X, "b": X}),
        },
    ),
}

# Cells that are refused: signatures of a SavedModel take composite tensors apart.
REFUSED = set(product(("ragged", "sparse"), PACKAGES, ("saved_model",)))
# The file of another package with such nesting is built by Keras 3 all the same.
NEED_KERAS_3 = {"nested"}
# In tf_keras, "optional" means something else: an input that holds a tf.experimental.Optional.
CELLS = [cell for cell in product(KINDS, PACKAGES, FORMATS) if cell[:2] != ("optional", "tf_keras")]


def save(kind: str, package: str, path: Path) -> Path:
    with what_this_keras_can():
        for maker in ("keras", package) if kind in NEED_KERAS_3 else (package,):
            model = KINDS[kind].make(pytest.importorskip(maker))
    if path.suffix:
        if kind == "optional" and "optional" not in model.layers[0].get_config():
            pytest.skip("this release of keras does not write down that an input is optional")
        model.save(path)
        return path
    return safeload.save_callable(model, path)


@pytest.mark.parametrize(("kind", "package", "name"), CELLS, ids=lambda v: v.replace(" ", "-"))
def test_kinds_of_inputs(tmp_path: Path, kind: str, package: str, name: str) -> None:
    """Each way of passing gives the values that the model was made for, from each format."""
    if (kind, package, name) in REFUSED:
        with pytest.raises(UnsupportedFormatError, match=f"take tensors alone, and the inputs are 'x' \\({kind}\\)"):
            save(kind, package, tmp_path / name)
        assert not any(tmp_path.iterdir())
        return
    fn = safeload.load_callable(save(kind, package, tmp_path / name))
    for call in KINDS[kind].ways.values():
        found = call(fn)
        values = found.to_list() if isinstance(found, tf.RaggedTensor) else np.asarray(found).astype("float64").tolist()
        wanted = KINDS[kind].expected
        assert values == (wanted.tolist() if isinstance(wanted, np.ndarray) else wanted)
