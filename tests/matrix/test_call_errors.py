"""Every error that arguments can cause, with its whole text: short, and enough to mend the call.

Each text was read by a person who did not write it. A test finds places that raise and have no text here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import safeload.signatures
from safeload.errors import InputMismatchError
from safeload.inspection import CallStructure, Composite, SignatureInfo, Slot, TensorInfo
from safeload.runtime._callable import _predict, _tensors
from safeload.signatures import bind

MODULES = [Path(safeload.signatures.__file__).parent / name for name in ("_bind.py", "_check.py")]
MODULES += [Path(module.__file__) for module in (_tensors, _predict)]

X = TensorInfo("x", "float32", (None, 4))
N = TensorInfo("n", "int32", (None,))
TEXT = TensorInfo("x", "string", None)
ONE = SignatureInfo("serving_default", inputs=(X,))
TWO = SignatureInfo("serving_default", inputs=(N, X))
ORDERED = replace(TWO, key="model", is_positional=True)
NESTED = SignatureInfo(
    "__call__",
    "function",
    (X, N),
    is_positional=True,
    structure=CallStructure(
        args=(("inputs", {"pair": [Slot("x"), Slot("n")]}), ("mode", "fast")), defaults=(("mode", "fast"),)
    ),
)
NO_DEFAULT = replace(NESTED, structure=replace(NESTED.structure, defaults=()))
OTHER_DEFAULT = replace(NESTED, structure=replace(NESTED.structure, defaults=(("mode", "slow"),)))

PAIR = {"pair": [1, 2]}
ROWS = np.zeros((3, 4), "float32")


def bound(signature: SignatureInfo, *args: Any, **kwargs: Any) -> Callable[[], Any]:
    return lambda: bind(signature, args, kwargs)


def converted(info: TensorInfo, value: Any) -> Callable[[], Any]:
    return lambda: _tensors.to_tensor(info, value() if callable(value) else value)


def of_parts(kind: str, **parts: Any) -> Callable[[], Any]:
    signature = replace(TWO, composites=(Composite(kind, tuple(parts)),))
    return lambda: _tensors.require_parts(signature, {name: tf.constant(part) for name, part in parts.items()})


def predicted(x: Any, signature: SignatureInfo = ONE, *, call: Any = lambda x: x["x"], size: Any = 2) -> Any:
    return lambda: _predict.predict(call, signature, x() if callable(x) else x, batch_size=size, verbose=0)


def in_a_graph(call: Callable[[], Any]) -> Any:
    def work() -> None:
        with tf.Graph().as_default():
            call()

    return work


KerasTensor = type("KerasTensor", (), {})


class SparseMatrix:
    """A matrix of scipy."""

    def toarray(self) -> None: ...


class OfAnotherLibrary:
    """A tensor that does not let itself be read, as those of PyTorch that gradients are taken of."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


# (what is called, problem, hint)
TEXTS: list[tuple[Callable[[], Any], str, str]] = [
    # Names and structure.
    (bound(ONE), "serving_default: missing 'x'", "call it as f(<float32 [None, 4]>)"),
    (
        bound(ORDERED, ROWS),
        "model: missing 'x'",
        "call it as f(n=<int32 [None]>, x=<float32 [None, 4]>)",
    ),
    (bound(ONE, None), "serving_default: None is no value of 'x'", "call it as f(<float32 [None, 4]>)"),
    (
        bound(ONE, ROWS, training=True),
        "serving_default: training=True, and a call is always inference",
        "train the loaded object itself, which is f.model",
    ),
    (
        bound(ONE, ROWS, ROWS),
        "serving_default: 2 positional arguments for 1 input",
        "call it as f(<float32 [None, 4]>)",
    ),
    (
        bound(TWO, ROWS, ROWS),
        "serving_default: 2 inputs cannot be given by position: the file does not record their order",
        "call it as f(n=<int32 [None]>, x=<float32 [None, 4]>)",
    ),
    (
        bound(TWO, tf.ragged.constant([[1.0], [2.0, 3.0]])),
        "serving_default: a ragged or sparse tensor, of which this signature takes the parts",
        "load with signature='__call__' if the object has one; else f(n=<int32 [None]>, x=<float32 [None, 4]>)",
    ),
    (
        bound(TWO, X=ROWS, n=1),
        "serving_default: there is no input 'X'; did you mean 'x'?",
        "call it as f(n=<int32 [None]>, x=<float32 [None, 4]>)",
    ),
    (
        bound(ONE, image=ROWS),
        "serving_default: there is no input 'image'; did you mean 'x'?",
        "call it as f(<float32 [None, 4]>)",
    ),
    (
        bound(ONE, ROWS, verbose=0),
        "serving_default: there is no input 'verbose', which is an option of f.predict(x, verbose=…)",
        "call it as f(<float32 [None, 4]>)",
    ),
    (
        bound(ORDERED, [{"n": 1, "x": 2.0}, {"n": 3, "x": 4.0}]),
        "model: a list of dicts, one for each row",
        "pass one dict of columns: f({name: [row[name] for row in rows] for name in rows[0]})",
    ),
    (
        bound(ORDERED, 1, n=2),
        "model: input 'n' is given twice",
        "call it as f(n=<int32 [None]>, x=<float32 [None, 4]>)",
    ),
    (
        bound(NESTED, PAIR, "fast", 3),
        "__call__: 3 positional arguments for 'inputs', 'mode'",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NESTED, PAIR, inputs=PAIR),
        "__call__: argument 'inputs' is given twice",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NESTED, inptus=PAIR),
        "__call__: there is no argument 'inptus'; did you mean 'inputs'?",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NESTED, n=1, x=2, z=3),
        "__call__: there is no argument 'z'",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NESTED, {"pairs": [1, 2]}),
        "__call__: argument 'inputs' is a dict with 'pairs', expected a dict with 'pair'",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NESTED, {"pair": [1]}),
        "__call__: argument 'inputs.pair' is a sequence of 1, expected a sequence of 2",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NESTED, {"pair": ROWS}),
        "__call__: argument 'inputs.pair' is of type ndarray, expected a sequence of 2",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NESTED, PAIR, "slow"),
        "__call__: argument 'mode' was traced with the constant 'fast' and cannot be another value",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]})",
    ),
    (
        bound(NO_DEFAULT, PAIR),
        "__call__: missing argument 'mode', traced with the constant 'fast'",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]}, mode='fast')",
    ),
    (
        bound(OTHER_DEFAULT, PAIR),
        "__call__: argument 'mode' is 'slow' by default, traced with 'fast'",
        "call it as f(inputs={'pair': [<float32 [None, 4]>, <int32 [None]>]}, mode='fast')",
    ),
    # Shapes.
    (
        converted(X, np.zeros(4, "float32")),
        "input 'x' has shape [4], expected [None, 4]",
        "the batch dimension is missing: pass [value] for a batch of one",
    ),
    (
        converted(X, np.zeros((2, 2, 4), "float32")),
        "input 'x' has shape [2, 2, 4], expected [None, 4]",
        "it has 3 dimensions instead of 2",
    ),
    (
        converted(X, [ROWS]),
        "input 'x' has shape [1, 3, 4], expected [None, 4]",
        "there is a dimension too many in front, as of a list around the value: pass value[0]",
    ),
    (
        converted(replace(TEXT, shape=(None,)), [["a"], ["b"]]),
        "input 'x' has shape [2, 1], expected [None]",
        "there is a dimension too many at the end, as of a table with one column: pass np.asarray(value)[..., 0]",
    ),
    (
        converted(replace(TEXT, shape=(None, 1)), ["a", "b"]),
        "input 'x' has shape [2], expected [None, 1]",
        "the last dimension is missing: pass np.expand_dims(value, -1)",
    ),
    (
        converted(X, lambda: tf.zeros([3, 5])),
        "input 'x' has shape [3, 5], expected [None, 4]",
        "axis 1 is 5, not 4",
    ),
    (
        converted(X, [[1.0, 2.0], [3.0]]),
        "input 'x' is a list that is not rectangular",
        "rows must have equal lengths: pad or resize them as for the training",
    ),
    (
        converted(X, reduce(lambda value, _: [value], range(20_000), [1.0])),
        "input 'x' is a list that is nested deeper than any array, or in itself",
        "pass an array, a tensor, or lists of float32 values",
    ),
    (
        converted(X, lambda: [tf.zeros([4]), tf.zeros([3])]),
        "input 'x' is a list whose items differ in shape or dtype",
        "make them equal, or stack them with tf.stack",
    ),
    (
        converted(TEXT, [["a"], ["b", "c"]]),
        "input 'x' is a list that is not rectangular",
        "rows must have equal lengths: pad or resize them as for the training",
    ),
    # What is no array.
    (
        converted(X, {1, 2}),
        "input 'x' is of type set, which is no array",
        "pass an array, a tensor, or lists of float32 values",
    ),
    (
        converted(X, iter([])),
        "input 'x' is of type list_iterator, which is no array",
        "pass one of its elements, or pass it to predict, which takes all",
    ),
    (
        converted(X, lambda: tf.data.Dataset.range(3)),
        "input 'x' is of type _RangeDataset, which is no array",
        "pass one of its elements, or pass it to predict, which takes all",
    ),
    (
        converted(X, SparseMatrix()),
        "input 'x' is of type SparseMatrix, which is no array",
        "pass a dense array: value.toarray()",
    ),
    (
        converted(X, OfAnotherLibrary()),
        "input 'x' is of type OfAnotherLibrary, which numpy cannot read",
        "make an array of it; numpy says: Can't call numpy() on Tensor that requires grad.",
    ),
    (converted(X, np.ma.array(ROWS, mask=True)), "input 'x' holds masked values", "fill them: value.filled(…)"),
    # Dtypes.
    (
        converted(N, np.array([1.5])),
        "input 'n' is float64, expected int32",
        "if that loses nothing that matters, convert it: np.asarray(value, 'int32')",
    ),
    (
        converted(N, lambda: tf.constant([1], tf.int64)),
        "input 'n' is int64, expected int32",
        "if that loses nothing that matters, convert it: tf.cast(value, 'int32')",
    ),
    (converted(X, [["a"] * 4]), "input 'x' is string, expected float32", "pass float32 values"),
    (converted(X, "cat.jpg"), "input 'x' is string, expected float32", "pass float32 values"),
    (
        converted(TEXT, [["a", 1]]),
        "input 'x' is object, expected string",
        "it holds Python objects, such as None; pass string values",
    ),
    (
        converted(TEXT, ["\udc80"]),
        "input 'x' holds string values that no tensor can hold",
        "text must be valid UTF-8, or bytes",
    ),
    (
        converted(TensorInfo("x"), [None]),
        "input 'x' holds object values that no tensor can hold",
        "pass numbers, text or bytes",
    ),
    (
        converted(X, [[1.0, 2.0, 3.0, None]]),
        "input 'x' is object, expected float32",
        "it holds Python objects, such as None; pass float32 values",
    ),
    (
        converted(X, np.ones(1, [(name, "f4") for name in "abcd"])),
        "input 'x' is void128, expected float32",
        "it has named fields; pass numpy.lib.recfunctions.structured_to_unstructured(value)",
    ),
    (
        converted(X, lambda: np.zeros(2, [("a", "f4"), ("b", "f4")]).view(np.recarray)),
        "input 'x' is record64, expected float32",
        "it has named fields; pass numpy.lib.recfunctions.structured_to_unstructured(value)",
    ),
    (
        converted(N, [2**31]),
        "input 'n' holds 2147483648 … 2147483648, which does not fit int32",
        "values must lie between -2147483648 and 2147483647",
    ),
    (
        converted(replace(X, dtype="float16"), np.full((1, 4), 1e6)),
        "input 'x' holds float64 that is too large for float16",
        "scale the values",
    ),
    (
        converted(replace(X, dtype="float16"), lambda: tf.fill((1, 4), 1e6)),
        "input 'x' holds float32 that is too large for float16",
        "scale the values",
    ),
    # Kinds.
    (
        converted(X, lambda: tf.ragged.constant([[1.0], [2.0, 3.0]])),
        "input 'x' is a RaggedTensor, expected tensor float32",
        "pass a dense tensor: value.to_tensor() of a ragged one, tf.sparse.to_dense of a sparse one",
    ),
    (
        converted(replace(X, kind="ragged"), [[1.0], [[2.0]]]),
        "input 'x' is a list, expected ragged float32",
        "pass nested lists with ragged_rank 1, or a tf.RaggedTensor",
    ),
    (
        converted(replace(X, kind="ragged"), lambda: [tf.zeros([2]), tf.zeros([2], "int32")]),
        "input 'x' is a list, expected ragged float32",
        "pass tensors of one dtype and rank, or a tf.RaggedTensor",
    ),
    (
        converted(replace(X, kind="OtherSpec"), ROWS),
        "input 'x' is a ndarray, expected OtherSpec float32",
        "pass a composite tensor of the type that the function was traced with",
    ),
    (
        lambda: _tensors.example(replace(X, shape=(1 << 31, 4))),
        "input 'x' declares 34,359,738,368 bytes, more than are made of zeros",
        "leave warmup() out; the first call with values of your own does the same",
    ),
    (
        of_parts("ragged", x=[1.0, 2.0], n=[0, 1, 3]),
        "input 'n' does not part 2 values into rows",
        "it begins with 0, never falls and ends with 2; or pass the ragged tensor itself",
    ),
    (
        of_parts("sparse", indices=[[0, 4]], values=[1.0], shape=[1, 4]),
        "inputs 'indices', 'values', 'shape' are no sparse tensor: indices lie outside of its shape",
        "pass an index within the shape for each value; or pass the sparse tensor itself",
    ),
    (
        converted(replace(X, kind="dataset", dtype=None, shape=None), [[1.0]]),
        "input 'x' is a list, expected dataset",
        "pass a tf.data.Dataset of the type that the function was traced with",
    ),
    (
        converted(X, KerasTensor()),
        "input 'x' is a KerasTensor, which holds no values",
        "to build a model around it: f.model(x) if that is a Keras model, else keras.layers.Lambda(f)(x)",
    ),
    # Many rows.
    (
        in_a_graph(predicted(ROWS)),
        "predict returns numpy arrays, and there are none while a graph is built",
        "inside tf.function call the model itself, without .predict",
    ),
    (
        predicted(ROWS, size=0),
        "batch_size is 0",
        "it counts rows per call: 1 or more",
    ),
    (
        predicted({"n": [1, 2], "x": ROWS}, TWO),
        "inputs differ in their number of rows: 'n' has 2, 'x' has 3",
        "the first axis of every input counts rows",
    ),
    (
        predicted({"n": 1, "x": ROWS}, TWO),
        "input 'n' has no rows: it is of type int",
        "pass arrays or lists whose first axis counts rows, a tf.data.Dataset, or an iterator of batches",
    ),
    (
        predicted(ROWS, replace(ONE, inputs=(replace(X, shape=(2, 4)),))),
        "3 rows cannot be cut into batches of 2, which this signature takes",
        "pad the rows to a multiple of 2, and drop the results of the padding",
    ),
    (
        predicted(lambda: tf.data.Dataset.from_tensor_slices(ROWS)),
        "the elements of the dataset are single rows",
        "pass batches: predict(dataset.batch(32))",
    ),
    (
        predicted(lambda: tf.data.Dataset.from_tensors(ROWS).repeat()),
        "the dataset never ends",
        "pass a part of it: predict(dataset.take(100))",
    ),
    (
        predicted(lambda: tf.data.Dataset.from_tensors((ROWS, ROWS)), TWO),
        "elements of the dataset are read as (inputs, targets), and the first part holds 1 of 2 inputs",
        "map them to dicts of the inputs by name: n, x",
    ),
    (
        predicted(lambda: iter([np.zeros((1, 1)), np.zeros((1, 2))]), call=lambda x: x),
        "rows of an output differ in shape between batches: (1,), (2,)",
        "call it batch by batch, or pad the inputs to one size",
    ),
    (
        predicted(ROWS, replace(TWO, composites=(Composite("ragged", ("x", "n")),))),
        "parts of a ragged tensor cannot be cut into batches",
        "pass the ragged tensor itself, or call the model without .predict",
    ),
    (
        predicted(ROWS, replace(TWO, composites=(Composite("ragged", ("n",)),))),
        "parts of a ragged tensor cannot be cut into batches",
        "call the model without .predict",
    ),
    (
        predicted(iter([])),
        "there are no batches to predict on",
        "an iterator gives its elements once; check the dataset",
    ),
    (
        predicted(ROWS, call=lambda x: np.float32(1)),
        "an output has no axis of rows, so batches cannot be joined",
        "call it with all rows at once",
    ),
]


@pytest.mark.parametrize(("call", "problem", "hint"), TEXTS, ids=lambda v: "")
def test_texts(call: Callable[[], Any], problem: str, hint: str) -> None:
    """Each error says in three lines what is wrong and what would be right."""
    with pytest.raises(InputMismatchError) as caught:
        call()
    assert str(caught.value) == f"{problem}\n  hint: {hint}\n  code: input-mismatch"


def test_texts_are_short() -> None:
    """They are read at a glance."""
    assert max(len(problem) for _, problem, _ in TEXTS) <= 100
    assert max(len(hint) for _, _, hint in TEXTS) <= 120


def raising(path: Path) -> Iterator[ast.Raise]:
    """Yield the statements of a module that raise."""
    tree = ast.parse(path.read_text("utf-8"))
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None)


def raised_at(call: Callable[[], Any]) -> tuple[str, int]:
    """Return file and line of the statement that raises."""
    with pytest.raises(InputMismatchError) as caught:
        call()
    return str(caught.traceback[-1].path), caught.traceback[-1].lineno + 1


def test_every_error_of_binding_has_its_text() -> None:
    """No statement of the modules that check arguments raises what is not shown above."""
    seen = {raised_at(call) for call, _, _ in TEXTS}
    for path in MODULES:
        for node in raising(path):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            assert any((str(path), line) in seen for line in lines), f"{path.name}:{node.lineno} {ast.unparse(node)}"
