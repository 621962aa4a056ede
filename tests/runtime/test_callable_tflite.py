"""Tests of TensorFlow Lite models as callables, against the TensorFlow models that they were converted from."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest
import tensorflow as tf
from flatbuffers_by_hand import model, serialize, signature, table, tensor

from safeload import load_callable, save_callable
from safeload.errors import (
    InputMismatchError,
    LoadFailedError,
    OpNotRegisteredError,
    SignatureNotFoundError,
    UnsupportedFormatError,
)

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
W = np.arange(6, dtype=np.float32).reshape(3, 2)


class Model(tf.Module):
    """Two outputs and another signature."""

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def both(self, x):
        return {"b": x @ W, "a": tf.nn.relu(x)}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def total(self, x):
        return {"total": tf.reduce_sum(x, axis=1)}


@pytest.fixture(scope="module")
def content():
    """A converted model with two signatures."""
    module = Model()
    functions = {"serving_default": module.both, "total": module.total}
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.save(module, directory, signatures=functions)
        return tf.lite.TFLiteConverter.from_saved_model(directory, signature_keys=list(functions)).convert()


def test_outputs(content):
    """Outputs equal those of the model, for any batch."""
    predict = load_callable(content)
    assert [info.name for info in predict.outputs] == ["a", "b"]
    for batch in (X, X[:1], np.zeros((5, 3), np.float32)):
        found = predict(batch)
        np.testing.assert_allclose(found["a"], np.maximum(batch, 0))
        np.testing.assert_allclose(found["b"], batch @ W, rtol=1e-6)


def test_signatures(content):
    """Another signature is chosen by its key."""
    predict = load_callable(content, signature="total")
    np.testing.assert_allclose(predict(X), X.sum(axis=1), atol=1e-6)
    assert {s.key for s in predict.signatures} == {"serving_default", "total"}
    assert predict.with_signature("serving_default")(X).keys() == {"a", "b"}
    with pytest.raises(SignatureNotFoundError, match="total"):
        predict.with_signature("other")
    with pytest.raises(SignatureNotFoundError, match="tag set"):
        load_callable(content, tags="serve")


def test_inside_a_function(content):
    """A call inside tf.function calls back, with shapes known as far as recorded."""
    predict = load_callable(content, signature="total")
    traced = tf.function(lambda x: predict(x) * 2)
    np.testing.assert_allclose(traced(tf.constant(X)), X.sum(axis=1) * 2, atol=1e-6)
    both = tf.function(load_callable(content))
    np.testing.assert_allclose(both(tf.constant(X))["a"], np.maximum(X, 0))


@pytest.mark.parametrize("name", ["m", "m.keras"])
def test_saving(content, tmp_path, name):
    """The interpreter is no part of a graph, so no other file can hold the model."""
    with pytest.raises(UnsupportedFormatError, match="keep the .tflite file"):
        save_callable(load_callable(content), tmp_path / name)


def test_model_without_signatures():
    """Models of old converters are called by their first subgraph."""
    predict = load_callable(serialize(model()))
    np.testing.assert_allclose(predict([[-1.0, 2.0]]), [[0, 2]])
    np.testing.assert_allclose(predict(x=[[3.0, -2.0]]), [[3, 0]])
    assert isinstance(predict.model, tf.lite.Interpreter)
    with pytest.raises(InputMismatchError):
        predict(np.zeros((2, 2), np.float32))
    predict.close()
    with pytest.raises(LoadFailedError, match="closed"):
        predict([[1.0, 2.0]])


def test_signature_that_was_left_inside():
    """What TensorFlow 2.5 quantized is called by what the subgraph takes: x, y -> x_int8 - y_int8 = z_int8 -> z."""
    relu, sub = table(f0=("b", 19), f3=("i", 19)), table(f0=("b", 41), f3=("i", 41))
    steps = [(0, [4], 0), (0, [3], 1), (1, [0, 1], 2), (0, [2], 5)]
    graph = table(
        f0=[tensor(name) for name in ("x_int8", "y_int8", "z_int8", "y", "x", "z")],
        f1=("i", [3, 4]),
        f2=("i", [5]),
        f3=[table(f0=("I", op), f1=("i", taken), f2=("i", [made])) for op, taken, made in steps],
    )
    names = [table(f0="a", f1=("I", 0)), table(f0="b", f1=("I", 1))], [table(f0="c", f1=("I", 2))]
    predict = load_callable(serialize(model(f1=[relu, sub], f2=[graph], f7=[table(f0=names[0], f1=names[1], f2="k")])))
    for rows in ([[5.0, 7.0]], [[8.0, 9.0]]):
        np.testing.assert_array_equal(predict(a=rows, b=[[1.0, 2.0]]), np.subtract(rows, [[1, 2]]))
    assert [info.name for info in predict.outputs] == ["c"]


def recurrent(number, steps):
    """Describe a model of two signatures that sum up: h = x + h, with h in a variable, by the op *number*."""
    ends = [1, steps, 1] if steps else [1, 1]
    shapes = [ends, [1, 1], [1, 1], [1], [1, 1], ends]
    more = {1: table(f2=("I", 1)), 2: table(f2=("I", 1)), 3: table(f2=("I", 2)), 4: table(f5=("?", True))}
    tensors = [{**tensor(f"t{index}", shape), **more.get(index, {})} for index, shape in enumerate(shapes)]
    step = table(f0=("I", 0), f1=("i", [0, 1, 2, 3, 4]), f2=("i", [5]))
    graph = table(f0=tensors, f1=("i", [0]), f2=("i", [5]), f3=[step])
    buffers = [table(), table(f0=np.float32([1]).tobytes()), table(f0=np.float32([0]).tobytes())]
    sides = [table(f0="x", f1=("I", 0))], [table(f0="y", f1=("I", 5))]
    signatures = [table(f0=sides[0], f1=sides[1], f2=key, f4=("I", index)) for index, key in enumerate("ab")]
    code = table(f0=("b", number), f3=("i", number))
    return serialize(model(f1=[code], f2=[graph, graph], f4=buffers, f7=signatures))


def test_sequences():
    """A layer over a sequence begins each call anew, whatever the interpreter kept of the call before."""
    predict = load_callable(recurrent(35, 3), signature="a")
    other = predict.with_signature("b")
    for _ in range(2):
        for call in (predict, other, predict):
            np.testing.assert_array_equal(np.ravel(call([[[1.0], [2.0], [3.0]]])), [1, 3, 6])


def test_steps():
    """An op that sees one step goes on where the call before ended."""
    predict = load_callable(recurrent(24, 0), signature="a")
    assert [float(predict([[1.0]])[0, 0]) for _ in range(3)] == [1, 2, 3]


def test_nothing_for_a_quantized_model():
    """No rows end the process in a kernel for integers, so they are refused; a model of floats takes them."""
    depthwise = tf.Module()
    kernel = np.linspace(-1, 1, 18, dtype=np.float32).reshape(3, 3, 2, 1)
    depthwise.call = tf.function(
        lambda x: tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME"),
        input_signature=[tf.TensorSpec([None, 4, 4, 2], tf.float32, name="x")],
    )
    rows = np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 4, 4, 2)
    found = {}
    for is_quantized in (False, True):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([depthwise.call.get_concrete_function()], depthwise)
        if is_quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: [[rows[:1]], [rows[1:]]]
        found[is_quantized] = load_callable(converter.convert())
        np.testing.assert_allclose(found[is_quantized](rows), depthwise.call(rows), atol=0.1)
    assert found[False](rows[:0]).shape == (0, 4, 4, 2)
    with pytest.raises(InputMismatchError, match="no elements"):
        found[True](rows[:0])


@pytest.mark.parametrize("is_declared", [True, False])
def test_results_without_elements(is_declared):
    """What a call finds nothing for is an empty tensor, though the interpreter refuses to read one."""
    tensors = [tensor("x", shape=[1], f7=("i", [-1])), tensor("y", shape=[1], f1=("b", 4), f7=("i", [-1]))]
    tensors.append(tensor("z", shape=[1], f7=("i", [-1])))
    steps = [table(f0=("I", op), f1=("i", [0]), f2=("i", [made])) for op, made in ((0, 1), (1, 2))]
    graph = table(f0=tensors, f1=("i", [0]), f2=("i", [1, 2]), f3=steps)
    outputs = [table(f0=name, f1=("I", index)) for name, index in (("y", 1), ("z", 2))]
    signatures = [table(f0=[table(f0="x")], f1=outputs, f2="k")] if is_declared else []
    codes = [table(f0=("b", number), f3=("i", number)) for number in (109, 19)]  # WHERE, RELU
    predict = load_callable(serialize(model(f1=codes, f2=[graph], f7=signatures)))
    for values, found in (([1.0, 0.0, 2.0], [[0], [2]]), ([0.0, 0.0], np.zeros((0, 1))), ([3.0], [[0]])):
        np.testing.assert_array_equal(predict(values)["y"], found)
        np.testing.assert_array_equal(predict(values)["z"], values)


def test_what_the_interpreter_refuses():
    """A model that only the interpreter finds wrong is explained with its words."""
    operator = table(f0=("I", 0), f1=("i", [0, 0, 0]), f2=("i", [1]))
    graph = {**model()[2][0], **table(f3=[operator])}
    with pytest.raises(LoadFailedError, match="TensorFlow Lite"):
        load_callable(serialize(model(f2=[graph])))


@pytest.mark.parametrize("signatures", [[], [signature()]], ids=["main", "declared"])
def test_what_fails_on_any_input(signatures):
    """A model that nothing computes is no matter of the inputs; one that computes and was given others is."""
    graph = {**model()[2][0], **table(f3=[])}
    predict = load_callable(serialize(model(f2=[graph], f7=signatures)))
    with pytest.raises(LoadFailedError, match="whatever it is given"):
        predict([[1.0, 2.0]])
    rows = table(f7=("i", [-1, 2]))
    tensors = [{**tensor(name), **rows} for name in "ayb"]
    two = {**model()[2][0], **table(f0=tensors, f1=("i", [0, 2]))}
    two[3] = [table(f0=("I", 0), f1=("i", [0, 2]), f2=("i", [1]))]
    declared = [table(f0=[table(f0="a"), table(f0="b", f1=("I", 2))], f1=[table(f0="y", f1=("I", 1))], f2="k")]
    added = model(f1=[table(f0=("b", 0))], f2=[two], f7=declared if signatures else [])
    predict = load_callable(serialize(added))
    np.testing.assert_allclose(predict(a=[[1.0, 2.0]], b=[[3.0, 5.0]]), [[4, 7]])
    with pytest.raises(InputMismatchError, match="cannot run"):
        predict(a=np.zeros((3, 2), "f4"), b=np.zeros((2, 2), "f4"))


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [("Mine", OpNotRegisteredError, "Mine"), ("FlexReadFile", UnsupportedFormatError, "FlexReadFile")],
)
def test_custom_ops(name, error, said):
    """Custom ops cannot run, and TensorFlow's are not examined there."""
    with pytest.raises(error, match=said):
        load_callable(serialize(model(f1=[table(f0=("b", 32), f1=name)])))
