"""The face that every model has."""

from __future__ import annotations

import inspect
import pickle
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from saved_models import WEIGHTS, Saved, X, load

from safeload import ModelCallable, as_callable, load_callable
from safeload.errors import InputMismatchError, LoadFailedError, SignatureNotFoundError
from safeload.runtime._callable._notes import add_note
from safeload.runtime._saved_model._runtime import SavedModelRuntime

takes_notes = pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions take notes from Python 3.11 on")


def test_facts(saved: Saved) -> None:
    """Inputs, outputs, signatures, the signature of the function and the texts come from the file."""
    model = load(saved("signatures"))
    assert [str(info) for info in model.inputs] == ["x: float32 [None, 4]"]
    assert [info.name for info in model.outputs] == ["output_0"]
    assert {found.key for found in model.signatures} >= {"serving_default", "minus", "__call__"}
    assert str(inspect.signature(model)) == "(x: 'float32 [None, 4]')"
    assert str(inspect.signature(model.with_signature("minus"))) == "(b: 'float32 [None]', a: 'float32 [None]')"
    assert repr(model).startswith(
        "<ModelCallable serving_default(x: float32 [None, 4]) -> (output_0: float32 [None, 3]) from "
    )
    assert "<td><code>x</code></td><td>float32 [None, 4]</td>" in model._repr_html_()
    assert "about the file" not in model._repr_html_()
    assert model.report is None
    assert hasattr(model.model, "signatures")


@pytest.mark.parametrize(
    ("obj", "where"),
    [
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]), "the Keras model, .* is f.model"),
        (tf.function(lambda x: x, input_signature=[tf.TensorSpec([None])]), "what it loads is at f.model"),
    ],
    ids=["keras", "function"],
)
def test_attributes_of_keras_models(obj: Any, where: str) -> None:
    """What somebody looks for who is used to Keras models: the error says where it is."""
    fn = as_callable(obj)
    with pytest.raises(AttributeError, match=f"'ModelCallable' object has no attribute 'summary'; .*{where}") as caught:
        fn.summary
    assert (caught.value.name, caught.value.obj) == ("summary", fn)
    with pytest.raises(AttributeError, match="no attribute 'predict_proba'; did you mean 'predict'?"):
        fn.predict_proba
    with pytest.raises(AttributeError, match=r"no attribute '_summary'$"):
        fn._summary
    with pytest.raises(AttributeError, match=r"no attribute '_traces'$"):
        ModelCallable.__new__(ModelCallable)._traces


def test_a_property_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, saved: Saved) -> None:
    """An AttributeError inside of a property is not taken for a missing one."""

    def failing(_: Any) -> Any:
        raise AttributeError("of the model")

    monkeypatch.setattr(SavedModelRuntime, "model", property(failing))
    with pytest.raises(AttributeError, match="of the model"):
        load(saved("signatures")).model


def test_other_signature_shares_variables(saved: Saved) -> None:
    """``with_signature`` makes a callable on the same variables; unknown keys are errors."""
    model = load(saved("signatures"))
    assert model.with_signature("minus").backend is model.backend
    with pytest.raises(SignatureNotFoundError, match="did you mean 'minus'"):
        model.with_signature("minsu")


def test_warmup_of_a_graph_that_refuses_zeros() -> None:
    """Zeros are a choice of safeload, so that a graph refuses them is no failure; it is traced nonetheless."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def after_the_end(tokens: Any) -> Any:
        tf.debugging.assert_positive(tf.reduce_max(tokens))
        return tokens + 1

    fn = as_callable(after_the_end).warmup()
    assert fn([1, 2]).numpy().tolist() == [2, 3]


@pytest.mark.parametrize("dtype", [tf.int32, tf.string])
def test_warmup_with_more_zeros_than_there_is_memory(dtype: tf.DType) -> None:
    """What shape an input has is what the file says."""
    fn = as_callable(tf.function(tf.identity, input_signature=[tf.TensorSpec([1 << 31, None], dtype)]))
    with pytest.raises(InputMismatchError, match="more than are made of zeros"):
        fn.warmup()


def test_autograph_raises_errors_as_they_are(saved: Saved) -> None:
    """In a function that autograph converts, a wrong call is the same error."""
    model = load(saved("signatures"))

    def wrong() -> Any:
        return model(tf.ones([1, 5]))

    with pytest.raises(InputMismatchError, match="axis 1 is 5, not 4"):
        tf.function(wrong)()


def test_warmup_and_close(saved: Saved) -> None:
    """Warming up calls once; closing ends it."""
    model = load(saved("tf1")).warmup()
    model.close()
    model.close()
    with pytest.raises(LoadFailedError, match="was closed"):
        model(X)
    with pytest.raises(pickle.PicklingError, match="was closed"):
        pickle.dumps(model)


def test_closing_ends_what_shares_the_model(saved: Saved) -> None:
    """Another signature of it is closed, too."""
    model = load(saved("signatures"))
    other = model.with_signature(next(s.key for s in model.signatures if s.key != model.key))
    model.close()
    for use in (lambda: other(X), lambda: pickle.dumps(other)):
        with pytest.raises((LoadFailedError, pickle.PicklingError), match="was closed"):
            use()


@pytest.mark.parametrize("error", [tf.errors.NotFoundError(None, None, "gone"), AttributeError("gone")])
def test_closed_during_a_call(saved: Saved, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What TensorFlow says of functions that went away meanwhile is explained."""
    model = load(saved("signatures"))

    def closed_meanwhile(tensors: Any) -> Any:
        model.close()
        raise error

    monkeypatch.setattr(model, "_function", lambda *args: closed_meanwhile)
    with pytest.raises(LoadFailedError, match="was closed"):
        model(X)


def test_pickle_by_reference(saved: Saved) -> None:
    """A pickle holds the path and loads on the first call."""
    model = pickle.loads(pickle.dumps(load_callable(saved("module"))))
    assert model._backend is None
    assert [str(info) for info in model.inputs] == ["x: float32 [None, 4]"]
    np.testing.assert_allclose(model(X), X @ WEIGHTS, rtol=1e-5)
    minus = pickle.loads(pickle.dumps(model.with_signature("minus")))
    assert float(minus([5.0], [3.0])[0]) == 2


def test_functions_are_made_once(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call reuses the function of the first."""
    model = load(saved("module"))
    model(X)
    monkeypatch.setattr(SavedModelRuntime, "function", None)
    model(X)


def test_least_casts_win(saved: Saved) -> None:
    """A value that fits no trace exactly is cast within its kind if that can be, else for the first that takes it."""
    model = load(saved("module"), signature="shaped")
    for value, dtype in ((np.array([1, 2], np.int64), "int32"), (np.array([True, False]), "float32")):
        result: Any = model(value)
        assert result.dtype.name == dtype


@takes_notes
def test_errors_of_the_graph_name_the_model() -> None:
    """What the signature cannot know stays TensorFlow's error, with a note that says which model it is of."""
    function = tf.function(lambda a, b: a + b, input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None])])
    fn = as_callable(function)
    for _ in range(2):  # the long way of a call, and the short one
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            fn(a=np.ones(2, "float32"), b=np.ones(3, "float32"))
        assert "raised this while" in "".join(caught.value.__notes__)
        fn(a=np.ones(2, "float32"), b=np.ones(2, "float32"))


@takes_notes
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("indices[0] = 7 is not in [0, 2)", "an index out of range"),
        ("OOM when allocating tensor with shape[4] and type float", "predict(x, batch_size=…)"),
        ("No OpKernel was registered to support Op 'CudnnRNNV3'", "such as a GPU"),
    ],
)
def test_notes_say_what_to_do(text: str, reason: str) -> None:
    """The note goes by the text of the error."""
    error = tf.errors.OpError(None, None, text, 3)
    add_note(error, as_callable(tf.function(lambda: 1.0, input_signature=[])).signature, "m")
    assert reason in error.__notes__[0]


@takes_notes
def test_calls_inside_a_strategys_scope(saved: Saved) -> None:
    """TensorFlow runs restored functions of a strategy in its replicas alone; the note says so, and that works."""
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        fn = load(saved("module"))
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            fn(X)
    assert "call it in strategy.run" in caught.value.__notes__[0]
    np.testing.assert_allclose(strategy.run(fn, args=(tf.constant(X),)), fn(X))


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_keras_tensors(package: str) -> None:
    """A symbolic input of Keras has no values; the layer that the error shows makes a model of it."""
    keras = pytest.importorskip(package)
    fn = as_callable(tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None, 4])]))
    x = keras.Input((4,))
    with pytest.raises(InputMismatchError, match="KerasTensor, which holds no values"):
        fn(x)
    np.testing.assert_allclose(keras.Model(x, keras.layers.Lambda(fn)(x))(X), 2 * X)


def test_training_is_a_switch_that_is_off() -> None:
    """Code around Keras models passes training=False; True is refused, whatever the model records of itself."""

    class Own(keras.Model):
        def call(self, x: Any, training: Any = None) -> Any:
            return x + (1.0 if training else 0.0)

    x = keras.Input((4,))
    for model in (Own(), keras.Model(x, keras.layers.Dropout(0.5)(x))):
        fn = as_callable(model)
        np.testing.assert_array_equal(fn(X, training=False), X)
        with pytest.raises(InputMismatchError, match="always inference"):
            fn(X, training=True)


def test_error_whose_text_is_no_text() -> None:
    """What TensorFlow quotes of a model may be any bytes; the error is one of TensorFlow all the same."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def checked(x: Any) -> Any:
        return tf.raw_ops.CheckNumerics(tensor=x, message=b"odd \xff bytes")

    with pytest.raises(tf.errors.OpError, match="odd \ufffd bytes") as caught:
        as_callable(checked)(float("nan"))
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)
