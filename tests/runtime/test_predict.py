"""Many rows at a time: arrays, lists, datasets and iterators, joined; a bar where somebody watches."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import rich.console
import tensorflow as tf

from safeload import load_callable, save_callable
from safeload.errors import InputMismatchError, UnsupportedFormatError
from safeload.runtime._callable import _predict
from safeload.runtime._wrap import as_callable

X = np.arange(14, dtype="float32").reshape(7, 2)


class Model(tf.Module):
    """One function per kind of input."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def one(self, x: Any) -> Any:
        return x * 2

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="b"), tf.TensorSpec([None, 2], name="a")])
    def two(self, b: Any, a: Any) -> Any:
        return {"difference": b - a, "rows": (tf.cast(b[:, 0], tf.int32), None)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def text(self, s: Any) -> Any:
        return tf.strings.length(s)

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def ragged(self, r: Any) -> Any:
        return r * 2

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def ragged_sums(self, r: Any) -> Any:
        return tf.reduce_sum(r, 1)

    @tf.function(input_signature=[tf.SparseTensorSpec([None, 2])])
    def sparse_sums(self, s: Any) -> Any:
        return tf.sparse.reduce_sum(s, 1)

    @tf.function(input_signature=[tf.SparseTensorSpec([None, 2])])
    def sparse(self, s: Any) -> Any:
        return tf.sparse.map_values(tf.multiply, s, 2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def columns(self, x: Any) -> Any:
        return tf.reduce_sum(x, 0)

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def pairs(self, x: Any) -> Any:
        return tf.reshape(x, [-1])

    @tf.function(input_signature=[tf.TensorSpec([2, 2])])
    def fixed(self, x: Any) -> Any:
        return x * 2


def fn(key: str) -> Any:
    return as_callable(Model(), signature=key)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize(
    "form",
    [np.asarray, tf.constant, np.ndarray.tolist, lambda x: {"x": x}],
    ids=["array", "tensor", "list", "mapping"],
)
def test_one_input(form: Any, size: int) -> None:
    """Rows come back in their order, as one numpy array."""
    result = fn("one").predict(form(X), batch_size=size)
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, X * 2)


def test_several_inputs() -> None:
    """Inputs go by name; results keep their nesting."""
    result = fn("two").predict({"a": X * 3, "b": X}, batch_size=4)
    np.testing.assert_array_equal(result["difference"], -2 * X)
    np.testing.assert_array_equal(result["rows"][0], X[:, 0])
    assert result["rows"][1] is None


@pytest.mark.parametrize("form", [lambda b, a: {"a": a, "b": b}, lambda b, a: [b, a], lambda b, a: (b, a)])
def test_inputs_of_a_keras_model(form: Any) -> None:
    """A Keras model takes its inputs by name, and as a list in the order that it records."""
    b, a = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    model = as_callable(keras.Model([b, a], keras.layers.Subtract()([b, a])))
    np.testing.assert_array_equal(model.predict(form(X, X * 3), batch_size=4), -2 * X)


def test_bytes_keep_their_zeros() -> None:
    """Lists of bytes reach the model as they are."""
    np.testing.assert_array_equal(fn("text").predict([b"a\0", b"", b"\0\0\0"], batch_size=2), [2, 0, 3])


def test_ragged_rows() -> None:
    """Ragged tensors are cut by rows and joined again."""
    value = tf.ragged.constant([[1], [2, 3], []], dtype=tf.int32)
    assert fn("ragged").predict(value, batch_size=2).to_list() == [[2], [4, 6], []]


def test_sparse_rows() -> None:
    """Sparse tensors are cut by rows and joined again."""
    found = fn("sparse").predict(tf.sparse.from_dense(X), batch_size=3)
    np.testing.assert_array_equal(tf.sparse.to_dense(found), X * 2)


@pytest.mark.parametrize("key", ["ragged", "sparse"])
def test_rows_of_a_tensor_whose_parts_are_the_inputs(tmp_path: Path, key: str) -> None:
    """The default signature of a SavedModel takes the parts, in which a batch of rows is no slice."""
    module = Model()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=getattr(module, key + "_sums"))
    values = {"ragged": tf.ragged.constant([[1], [2, 3], [], [4, 5, 6]]), "sparse": tf.sparse.from_dense(X)}
    expected = {"ragged": [1, 5, 0, 15], "sparse": X.sum(1)}[key]
    model = load_callable(tmp_path / "m", signature="serving_default").warmup()  # its graph refuses zeros
    parts = {info.name: tf.zeros([0], info.dtype) for info in model.inputs}
    for value in (values[key], [values[key]], {model.inputs[0].name: values[key]}):
        np.testing.assert_array_equal(model.predict(value, batch_size=3), expected)
    np.testing.assert_array_equal(tf.function(model)(values[key]), expected)
    with pytest.raises(InputMismatchError, match=f"parts of a {key} tensor"):
        model.predict(parts)
    with pytest.raises(UnsupportedFormatError, match=f"'{model.inputs[0].name}' \\({key}\\)"):
        save_callable(model, tmp_path / "again")


class SparseMatrix:
    """The parts of a matrix of scipy in coordinates that matter: it cannot be cut, and becomes one that can."""

    def __init__(self, dense: Any) -> None:
        self.dense, self.shape = dense, dense.shape
        self.row, self.col = np.nonzero(dense)
        self.data = dense[self.row, self.col]

    def tocoo(self) -> SparseMatrix:
        return self

    def tocsr(self) -> SparseRows:
        return SparseRows(self.dense)


class SparseRows(SparseMatrix):
    """The same by rows."""

    def __getitem__(self, rows: slice) -> SparseRows:
        return SparseRows(self.dense[rows])


def test_sparse_matrices() -> None:
    """A matrix of scipy is cut by rows, whichever its form."""
    found = fn("sparse").predict(SparseMatrix(X), batch_size=3)
    np.testing.assert_array_equal(tf.sparse.to_dense(found), X * 2)


def test_a_fixed_batch_decides() -> None:
    """A signature for two rows gets two at a time; a rest is an error before anything runs, and not made up."""
    np.testing.assert_array_equal(fn("fixed").predict(X[:6], batch_size=32), X[:6] * 2)
    with pytest.raises(InputMismatchError, match="7 rows cannot be cut into batches of 2"):
        fn("fixed").predict(X)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, None, "32"])
def test_batch_size_counts_rows(size: Any) -> None:
    """A size that would leave rows out, or fail somewhere below, is said to be none."""
    with pytest.raises(InputMismatchError, match="batch_size is"):
        fn("one").predict(X, batch_size=size)


def test_outputs_without_rows() -> None:
    """What belongs to a batch and not to its rows is not joined, whether the batches are cut here or given."""
    for given in (X, iter([X[:4], X[4:]])):
        with pytest.raises(InputMismatchError, match="no axis of rows"):
            fn("columns").predict(given, batch_size=4)
    np.testing.assert_array_equal(fn("columns").predict(X), X.sum(0))
    np.testing.assert_array_equal(fn("pairs").predict(X, batch_size=4), X.ravel())


def test_datasets_and_iterators() -> None:
    """Batches are taken as they come; of (inputs, targets) the inputs."""
    dataset = tf.data.Dataset.from_tensor_slices(X).batch(3)
    for batches in (dataset, dataset.map(lambda x: (x, x)), dataset.filter(lambda x: True), iter([X[:4], X[4:]])):
        np.testing.assert_array_equal(fn("one").predict(batches), X * 2)
    named = tf.data.Dataset.from_tensor_slices({"a": X, "b": X}).batch(2)
    assert not fn("two").predict(named)["difference"].any()


@pytest.mark.parametrize(("package", "base"), [("keras", "PyDataset"), ("tf_keras", "Sequence")])
def test_datasets_of_keras(package: str, base: str) -> None:
    """Batches by number are taken once each, also where iterating over them never ends."""
    keras = pytest.importorskip(package)

    class Images(getattr(keras.utils, base)):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            return X[index * 4 : index * 4 + 4], None

        def __next__(self) -> Any:
            raise AssertionError("image generators of Keras go on for ever")

    np.testing.assert_array_equal(fn("one").predict(Images()), X * 2)


def test_models_that_record_no_inputs() -> None:
    """A Keras model that was written as a class gets slices of what is given."""

    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return 2 * (x["x"] if isinstance(x, dict) else x)

    for given in (X, {"x": X}):
        np.testing.assert_array_equal(as_callable(Own()).predict(given, batch_size=2), 2 * X)
    with pytest.raises(InputMismatchError, match="what was passed has no rows: it is of type float"):
        as_callable(Own()).predict(1.0)


def test_lists_for_models_that_record_no_inputs() -> None:
    """Arrays of rows in a list are inputs, each of which is cut; lists of numbers are rows."""

    class Minus(keras.Model):
        def call(self, x: Any) -> Any:
            return x[0] - x[1] if isinstance(x, list) else 2 * x

    fn = as_callable(Minus())
    for form in (list, tuple):
        np.testing.assert_array_equal(fn.predict(form([X, 3 * X]), batch_size=3), -2 * X)
    np.testing.assert_array_equal(fn.predict(X.tolist(), batch_size=3), 2 * X)
    with pytest.raises(InputMismatchError, match="0 has 7, 1 has 6"):
        fn.predict([X, X[1:]])


def test_no_rows() -> None:
    """An empty array has an empty result, for its shape is known."""
    assert fn("one").predict(X[:0]).shape == (0, 2)


class _Bar:
    """What a progress bar was told."""

    task_ids = (0,)

    def __init__(self) -> None:
        self.told: list[Any] = []

    def update(self, task: int, *, completed: int) -> None:
        self.told.append(completed)

    def stop(self) -> None:
        self.told.append("stop")


def test_bar_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar comes after a second, and goes when the batches end or fail."""
    clock = itertools.count(0, 0.4)
    bar = _Bar()
    monkeypatch.setattr(_predict.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(_predict, "_bar", lambda total: bar)
    assert list(_predict.shown(range(5), 5)) == [0, 1, 2, 3, 4]
    assert bar.told == [2, 3, 4, "stop"]


def test_no_bar_for_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the second nothing is even imported."""
    monkeypatch.setattr(_predict, "_bar", lambda total: pytest.fail("a bar was made"))
    assert list(_predict.shown("ab", None)) == ["a", "b"]


def test_no_bar_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """``verbose=0``, as code around Keras models has it, is silence; the batches are the same."""
    monkeypatch.setattr(_predict, "shown", lambda batches, total: pytest.fail("it would be shown"))
    np.testing.assert_array_equal(fn("one").predict(X, batch_size=3, verbose=0), X * 2)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bar_where_somebody_watches(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
    """A file or a pipe gets no bar."""
    monkeypatch.setattr(rich.console.Console, "is_terminal", is_terminal)
    bar = _predict._bar(3)
    assert bool(bar) == is_terminal
    if bar:
        bar.stop()


def test_inputs_and_outputs_as_others_call_them() -> None:
    """The names of onnxruntime and of ConcreteFunction are there."""
    two = fn("two")
    assert [(info.name, info.type, info.shape) for info in two.get_inputs()] == [
        ("b", "tensor(float)", (None, 2)),
        ("a", "tensor(float)", (None, 2)),
    ]
    assert [info.type for info in two.get_outputs()] == ["tensor(float)", "tensor(int32)"]
    b, a = tf.TensorSpec([None, 2], name="b"), tf.TensorSpec([None, 2], name="a")
    assert two.structured_input_signature == ((b, a), {})
    assert two.structured_outputs["difference"].shape.as_list() == [None, 2]
    assert fn("ragged").structured_input_signature == ((tf.RaggedTensorSpec([None, None], tf.int32),), {})
    assert fn("one").structured_outputs.dtype == tf.float32


def test_signatures_take_keywords(tmp_path: Any) -> None:
    """A SignatureDef has no positions; several outputs are a dict."""
    model = Model()
    path = str(tmp_path / "m")
    flat = tf.function(lambda b, a: {"y": b - a, "x": a}, input_signature=[tf.TensorSpec([2], name=n) for n in "ba"])
    tf.saved_model.save(model, path, signatures=flat)
    loaded = as_callable(tf.saved_model.load(path))
    args, kwargs = loaded.structured_input_signature
    assert (args, sorted(kwargs)) == ((), ["a", "b"])
    assert sorted(loaded.structured_outputs) == ["x", "y"]


@pytest.mark.parametrize("given", [keras.KerasTensor((None, 2)), tf.TensorSpec((3, 2))], ids=["keras", "spec"])
def test_what_holds_no_values(given: Any) -> None:
    """What only says what it would hold has no rows."""
    with pytest.raises(InputMismatchError, match="has no rows"):
        fn("one").predict(given)
