"""SavedModels become callables that compute what their producer computed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from releases import what_this_keras_can
from saved_models import WEIGHTS, Saved, X, equal, identical, load, rewritten, save_tf1_tables

from safeload.errors import (
    AmbiguousSignatureError,
    IncompatibleVersionError,
    InputMismatchError,
    LoadFailedError,
    OpNotRegisteredError,
)
from safeload.runtime._saved_model._runtime import SavedModelRuntime

Y = X @ WEIGHTS


@pytest.mark.parametrize(
    "value",
    [
        X,
        X.astype(np.float64),
        X.tolist(),
        X.astype(np.int64),
        tf.constant(X),
        tf.constant(X, tf.float64),
        {"x": X},
        tf.Variable(X),
    ],
    ids=["numpy", "float64", "list", "int64", "tensor", "float64-tensor", "dict", "variable"],
)
def test_module_call(saved: Saved, value: Any) -> None:
    """The object's own __call__ takes what can be cast without loss."""
    equal(load(saved("module"))(value), Y)


def test_python_order_is_kept(saved: Saved) -> None:
    """Positions follow the Python parameters, not the alphabet."""
    minus = load(saved("module"), signature="minus")
    equal(minus([5.0], [3.0]), [2.0])
    equal(minus(a=[3.0], b=[5.0]), [2.0])


def test_signature_by_position(saved: Saved) -> None:
    """A SignatureDef takes positions in Python order, not by the alphabet, where the object graph records that."""
    minus = load(saved("signatures")).with_signature("minus")
    equal(minus(a=[3.0], b=[5.0]), [2.0])
    equal(minus([5.0], [3.0]), [2.0])
    assert [info.name for info in minus.inputs] == ["b", "a"]


def test_signature_by_position_is_refused(saved: Saved) -> None:
    """A SignatureDef of TensorFlow 1 lists its inputs by the alphabet, so positions would swap them."""
    with pytest.raises(InputMismatchError, match="the file does not record their order"):
        load(saved("tf1"))(X, 1.0)


def test_signature_of_a_dict(tmp_path: Path) -> None:
    """What a Keras 3 model of a dict is called with, its SignatureDef takes, whatever that calls the tensors."""

    class Difference(keras.Model):
        def call(self, inputs: dict[str, Any]) -> Any:
            return inputs["x"] - inputs["a"]

    model = Difference()
    model({"x": tf.constant(X), "a": tf.constant(X)})
    with what_this_keras_can():
        model.export(str(tmp_path / "saved"))
    loaded = load(tmp_path / "saved")
    equal(loaded({"x": X, "a": 3 * X}), -2 * X)
    equal(loaded({info.name: value for info, value in zip(loaded.inputs, (3 * X, X), strict=True)}), -2 * X)


def test_nested_structures(saved: Saved) -> None:
    """Arguments and results keep the nesting of the traced function."""
    nested = load(saved("module"), signature="nested")
    for result in (
        nested({"a": [1.0, 1.0], "n": [[2.0, 2.0], [3.0, 3.0]]}),
        nested({"a": [1.0, 1.0], "x/n/0": [2.0, 2.0], "x/n/1": [3.0, 3.0]}),
    ):
        equal(result["sum"], [3, 3])
        equal(result["rest"][0], [6, 6])
        assert isinstance(result["rest"], tuple)


@pytest.mark.parametrize(
    ("value", "dtype"), [([1.5, 2.0], "float32"), ([[1.5, 2.0]], "float32"), (np.array([1, 2], np.int32), "int32")]
)
def test_traces_are_chosen_by_the_call(saved: Saved, value: Any, dtype: str) -> None:
    """Among several traces the one that fits without a cast answers."""
    result = load(saved("module"), signature="shaped")(value)
    assert result.dtype.name == dtype
    equal(result, np.sum(value))


def test_a_refusal_names_the_function_that_was_meant(tmp_path: Path) -> None:
    """The saver may have declared a part of the model; the hint names the first function that takes the arguments."""
    module = tf.Module()
    module.part = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None, 2])])
    module.whole = tf.function(lambda x: x * 2, input_signature=[tf.TensorSpec([None, 3, 2])])
    tf.saved_model.save(module, str(tmp_path), signatures=module.part)
    model = load(tmp_path)
    with pytest.raises(InputMismatchError, match=r"has shape \[1, 3, 2\], expected \[None, 2\]") as caught:
        model(np.ones([1, 3, 2]))
    assert caught.value.hint.endswith("another function of the model takes this: with_signature('whole')")
    with pytest.raises(InputMismatchError) as caught:
        model(np.ones([1, 3]))
    assert "whole" not in caught.value.hint


def test_parts_of_a_tensor(tmp_path: Path) -> None:
    """A SignatureDef of a function of one ragged or sparse tensor takes that tensor."""

    class Sums(tf.Module):
        @tf.function(input_signature=[tf.RaggedTensorSpec([None, None, None], tf.int64)])
        def ragged(self, r: Any) -> Any:
            return tf.reduce_sum(r, [1, 2])

        @tf.function(input_signature=[tf.SparseTensorSpec([None, 2])])
        def sparse(self, s: Any) -> Any:
            return tf.sparse.reduce_sum(s, 1)

    module = Sums()
    tf.saved_model.save(module, str(tmp_path), signatures={"r": module.ragged, "s": module.sparse})
    ragged = tf.ragged.constant([[[1], [2, 3]], [[4, 5, 6]]], dtype=tf.int64)
    assert load(tmp_path, signature="r")(ragged).numpy().tolist() == [6, 15]
    sparse = tf.sparse.from_dense([[1.0, 0.0], [2.0, 3.0]])
    assert load(tmp_path, signature="s")(s=sparse).numpy().tolist() == [1.0, 5.0]


@pytest.mark.parametrize(
    "splits",
    [
        ([0, 2], [0, 1, 5]),
        ([0, 2], [0, 3, 2]),
        ([0, 2], [1, 2, 2]),
        ([0, 2], [0, 2]),
        ([0, 3], [0, 1, 2]),
        ([], [0, 1, 2]),
    ],
)
def test_parts_that_do_not_fit(splits: Any, tmp_path: Path) -> None:
    """TensorFlow would give what lies behind the values in memory, or end the process."""

    class Dense(tf.Module):
        @tf.function(input_signature=[tf.RaggedTensorSpec([None, None, None], tf.int64)])
        def __call__(self, rows: Any) -> Any:
            return rows.to_tensor()

    module = Dense()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.__call__})
    model = load(tmp_path)
    names = [info.name for info in model.inputs]
    parts = [np.array([1, 2]), np.array([0, 2]), np.array([0, 1, 2])]
    for _ in range(2):
        assert model(**dict(zip(names, parts, strict=True))).numpy().tolist() == [[[1], [2]]]
    with pytest.raises(InputMismatchError, match="does not part"):
        model(**dict(zip(names, [parts[0], *map(np.int64, splits)], strict=True)))


@pytest.mark.parametrize(
    ("indices", "shape"),
    [([[0, 4]], [1, 4]), ([[-1, 0]], [1, 4]), ([[0, 0]], [-1, 4]), ([[0, 0]], [1 << 62, 4]), ([[0, 0]] * 2, [1, 4])],
)
def test_parts_of_no_sparse_tensor(indices: Any, shape: Any, tmp_path: Path) -> None:
    """TensorFlow would end the process, or compute on what is not there."""

    class Sums(tf.Module):
        @tf.function(input_signature=[tf.SparseTensorSpec([None, 4])])
        def __call__(self, x: Any) -> Any:
            return tf.sparse.reduce_sum(x, 1)

    module = Sums()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.__call__})
    model = load(tmp_path)
    parts = dict(zip(model.signature.whole.parts, [[[0, 3]], [2.0], [1, 4]], strict=True))
    assert model(**parts).numpy().tolist() == [2.0]
    with pytest.raises(InputMismatchError, match="are no sparse tensor"):
        model(**{**parts, **dict(zip(model.signature.whole.parts, [indices, [2.0], shape], strict=True))})


def test_parts_beside_others_that_do_not_fit(tmp_path: Path) -> None:
    """Each composite tensor is looked at on its own, whatever else the function takes, and in calls that follow."""

    class Both(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([]), tf.RaggedTensorSpec([None, None]), tf.SparseTensorSpec([None, 4])]
        )
        def __call__(self, scale: Any, rows: Any, table: Any) -> Any:
            return scale * (tf.reduce_sum(rows.to_tensor()) + tf.sparse.reduce_sum(table))

    module = Both()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.__call__})
    model = load(tmp_path)
    ragged, sparse = (composite.parts for composite in model.signature.composites)
    values = [np.float32([1, 2]), np.int64([0, 1, 2]), np.int64([[0, 3]]), np.float32([4]), np.int64([1, 4])]
    good = {"scale": np.float32(2), **dict(zip((*ragged, *sparse), values, strict=True))}
    for _ in range(2):
        assert model(**good).numpy() == 14
    with pytest.raises(InputMismatchError, match="does not part"):
        model(**{**good, ragged[1]: np.int64([0, 1, 9])})
    with pytest.raises(InputMismatchError, match="are no sparse tensor"):
        model(**{**good, sparse[0]: np.int64([[0, 4]])})


def test_warmup_with_more_axes_than_a_tensor_may_have(tmp_path: Path) -> None:
    """Nothing fits such an input; a call says so."""
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path), signatures=module.f)
    with rewritten(tmp_path) as content:
        shape = content.meta_graphs[0].signature_def["serving_default"].inputs["x"].tensor_shape
        shape.CopyFrom(tf.TensorShape([1] * 300).as_proto())
    model = load(tmp_path)
    assert model.warmup() is model
    with pytest.raises(InputMismatchError, match="has shape"):
        model([1.0])


def test_functions_within_the_attributes_of_functions(tmp_path: Path) -> None:
    """Each is looked at once: what is nested a little deeper takes no longer than the file does."""
    module = tf.Module()
    inner = tf.function(lambda x: -x)
    module.f = tf.function(lambda x: inner(x), input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path), signatures=module.f)
    with rewritten(tmp_path) as content:
        functions = content.meta_graphs[0].graph_def.library.function
        calls = [node for function in functions for node in function.node_def if "Call" in node.op]
        for called in [node.attr["f"].func for node in calls]:
            name = called.name
            for _ in range(30):
                called = called.attr["nested"].func
                called.name = name
    assert load(tmp_path)([1.0]).numpy().tolist() == [-1.0]


def test_functions_of_parts(tmp_path: Path) -> None:
    """An object whose parts alone have functions is called through these, by whichever route."""

    class Scale(tf.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = tf.Variable(factor)

        @tf.function(input_signature=[tf.TensorSpec([None])])
        def __call__(self, x: Any) -> Any:
            return x * self.factor

    module = tf.Module()
    module.encoder, module.steps, module.named = Scale(2.0), [Scale(3.0), Scale(4.0)], {"last": Scale(5.0)}
    tf.saved_model.save(module, str(tmp_path / "m"))
    with pytest.raises(AmbiguousSignatureError, match=r"encoder\.__call__"):
        load(tmp_path / "m")
    model = load(tmp_path / "m", signature="encoder")
    parts = [model, *(model.with_signature(key) for key in ("steps.1.__call__", "named.last"))]
    for _ in range(2):
        assert [part([1.0]).numpy().tolist() for part in parts] == [[2.0], [4.0], [5.0]]
        assert model.model.encoder(tf.ones([1])).numpy().tolist() == [2.0]  # its variables count from now on


def test_the_trace_that_comes_closest_says_why(tmp_path: Path) -> None:
    """One that differs in a shape alone comes closer than one for another constant."""

    class Step(tf.Module):
        @tf.function
        def __call__(self, x: Any, state: Any = None) -> Any:
            return x if state is None else x + state

    module = Step()
    module(tf.zeros([2])), module(tf.zeros([2]), tf.zeros([2]))
    tf.saved_model.save(module, str(tmp_path / "m"))
    model = load(tmp_path / "m")
    with pytest.raises(InputMismatchError, match=r"input 'state' has shape \[3\], expected \[2\]"):
        model([1.0, 2.0], state=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("values", [np.array([1, 2, 3]), tf.constant([1, 2, 3], tf.int16)], ids=["int64", "int16"])
def test_integers_go_to_the_trace_for_integers(tmp_path: Path, values: Any) -> None:
    """A trace for floats that was made before computes something else."""

    class Halves(tf.Module):
        @tf.function
        def __call__(self, x: Any) -> Any:
            return tf.cast(x // 2 if x.dtype.is_integer else x / 2, tf.float64)

    module = Halves()
    expected = module(tf.constant([1.0, 2.0, 3.0])), module(tf.constant([1, 2, 3]))
    tf.saved_model.save(module, str(tmp_path / "m"))
    model = load(tmp_path / "m")
    identical(model(values), expected[1])
    identical(model(np.array([1.0, 2.0, 3.0])), expected[0])


def test_inference_trace_answers(saved: Saved) -> None:
    """``training=False`` answers, though the default of the function is True."""
    equal(load(saved("module"), signature="trained")([1.0, 2.0]), [1, 2])


def test_ragged_and_sparse(saved: Saved) -> None:
    """Composite inputs are taken as such or made from lists and arrays."""
    rows = [[1.0, 2.0], [], [3.0]]
    dense = np.array([[1, 0, 2], [0, 0, 3]], np.float32)
    ragged = load(saved("module"), signature="ragged")
    for value in (rows, tf.ragged.constant(rows, ragged_rank=1)):
        equal(ragged(value), [3, 0, 3])
    sparse = load(saved("module"), signature="sparse")
    for value in (dense, tf.sparse.from_dense(dense)):
        equal(sparse(value), [3, 3])


def test_tf1_signature(saved: Saved) -> None:
    """Names that Python reserves, defaults, reference variables and training switches of TensorFlow 1 work."""
    model = load(saved("tf1"))
    equal(model({"in": X}), X @ WEIGHTS * 4)
    equal(model({"in": X, "self": 1.0}), X @ WEIGHTS * 2)
    equal(model({"in": X, "is_training": True}), X @ WEIGHTS * 0)
    equal(model(**{"in": X, "self": 1.0}), X @ WEIGHTS * 2)
    equal(model({"x:0": X, "scale": 1.0}), X @ WEIGHTS * 2)


def test_tf1_state_is_shared(saved: Saved) -> None:
    """Signatures of one load share variables; two loads do not."""
    first, second = load(saved("tf1"), signature="count"), load(saved("tf1"), signature="count")
    assert [float(first()), float(first()), float(second())] == [1, 2, 1]
    assert float(first.with_signature("read")()) == 2


@pytest.mark.parametrize("has_variable", [False, True])
def test_tf1_tables_in_the_checkpoint(tmp_path: Path, *, has_variable: bool) -> None:
    """What a table had learned when the graph was saved is restored, once for all signatures."""
    path = tmp_path / "saved"
    save_tf1_tables(str(path), has_variable=has_variable)
    model = load(path, signature="read")
    equal(model(["a", "b"])["dense"], [7, 0])
    equal(model(["a", "b"])["y"], [6, 0])
    equal(model.with_signature("learn")(["b"]), 2)
    equal(model(["a", "b"])["y"], [6, 1])
    equal(load(path, signature="read")(["b"])["y"], [0])


def test_tags_saved_as_letters(saved: Saved) -> None:
    """``tags="serve"`` given as a string where a list was expected still loads."""
    equal(load(saved("custom_tags"))([1.0]), [2])
    equal(load(saved("custom_tags"), tags="serve")([1.0]), [2])


def test_graph_answers_where_objects_cannot_be_rebuilt(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks TensorFlow's own loader does not break the signature, and is not tried again."""
    path = saved("broken_object_graph")
    with pytest.raises(ValueError, match="absent.Spec"):
        tf.saved_model.load(str(path))
    model = load(path)
    equal(model(X), Y)
    monkeypatch.setattr(tf.saved_model, "load", None)
    with pytest.raises(LoadFailedError, match="absent.Spec"):
        model.model


def test_slots_of_optimizers_are_left(saved: Saved, tmp_path: Path) -> None:
    """The object route needs no class of an optimizer whose slots the file holds."""
    directory = shutil.copytree(saved("module"), tmp_path / "model")
    with rewritten(directory) as content:
        nodes = content.meta_graphs[0].object_graph_def.nodes
        number = next(number for number, node in enumerate(nodes) if node.HasField("variable"))
        nodes[0].slot_variables.add(original_variable_node_id=number, slot_name="m", slot_variable_node_id=len(nodes))
        nodes.add().CopyFrom(nodes[number])
    with pytest.raises(AttributeError, match="add_slot"):
        tf.saved_model.load(str(directory))
    equal(load(directory).model(X), Y)


@pytest.mark.parametrize(
    ("name", "key"), [("signatures", "minus"), ("table", "serving_default"), ("composite", "ragged")]
)
def test_routes_agree(saved: Saved, name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph route computes what the object route computes."""
    inputs = {
        "minus": {"a": [1.0], "b": [5.0]},
        "serving_default": {"words": ["pear"]},
        "ragged": {"r": [1.0, 2.0], "r_1": [0, 0, 2]},
    }[key]
    expected = load(saved(name), signature=key)(inputs)
    monkeypatch.setattr(SavedModelRuntime, "_direct_function", lambda *_: None)
    monkeypatch.setattr(SavedModelRuntime, "_takes_object_route", lambda *_: False)
    equal(load(saved(name), signature=key)(inputs), expected)


def test_keras3_save_by_tensorflow_is_refused_by_the_graph_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a graph restores copies of the variables that it uses; computing with none would be a wrong answer."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    tf.saved_model.save(model, str(tmp_path / "model"))
    equal(load(tmp_path / "model")(X), model(X))
    monkeypatch.setattr(SavedModelRuntime, "_direct_function", lambda *_: None)
    monkeypatch.setattr(SavedModelRuntime, "_takes_object_route", lambda *_: False)
    with pytest.raises(LoadFailedError, match="restores no value for the variables"):
        load(tmp_path / "model")


def test_values_of_another_shape_are_refused(saved: Saved, tmp_path: Path) -> None:
    """A checkpoint of another model has no values for the variables, though TensorFlow 1 takes them."""
    directory = shutil.copytree(saved("broken_object_graph"), tmp_path / "model")
    other = tf.Module()
    other.w = tf.Variable(tf.ones([1, 3]), name="w")
    tf.saved_model.save(other, str(tmp_path / "other"))
    shutil.copytree(tmp_path / "other" / "variables", directory / "variables", dirs_exist_ok=True)
    with pytest.raises(LoadFailedError, match=r"the variable w is declared as \(4, 3\), and its value as \(1, 3\)"):
        load(directory)


def test_boosted_trees_are_explained(saved: Saved) -> None:
    """Ops that TensorFlow still declares and no longer runs are refused when loading, not in the first call."""
    with pytest.raises(IncompatibleVersionError, match="declares ops of boosted trees and cannot run them"):
        load(saved("boosted_trees"))


def test_an_op_that_no_release_runs(tmp_path: Path) -> None:
    """Shuffling in a function of TensorFlow 2.1 is refused before it is called; other functions answer."""
    module = tf.Module()
    inner = tf.function(lambda: tf.raw_ops.AnonymousRandomSeedGenerator(seed=1, seed2=2))
    spec = [tf.TensorSpec([])]

    def shuffled(x: Any) -> Any:
        with tf.control_dependencies([inner()[1]]):
            return x + 1

    module.shuffled = tf.function(shuffled, input_signature=spec)
    module.plain = tf.function(lambda x: x + 1, input_signature=spec)
    tf.saved_model.save(module, str(tmp_path), signatures={"shuffled": module.shuffled, "plain": module.plain})
    with pytest.raises(IncompatibleVersionError, match="op AnonymousRandomSeedGenerator and cannot run it"):
        load(tmp_path, signature="shuffled")
    equal(load(tmp_path, signature="plain")(1.0), 2.0)


def test_unknown_op_names_itself(saved: Saved, tmp_path: Path) -> None:
    """An op that TensorFlow lacks is named before anything is loaded."""
    content = (saved("custom_tags") / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content.replace(b"AddV2", b"AddV9"))
    with pytest.raises(OpNotRegisteredError, match="AddV9"):
        load(tmp_path)


def test_inside_tf_function_and_tape(saved: Saved) -> None:
    """Calls work in graphs and are differentiable, by every route."""
    for name in ("module", "signatures"):
        model = load(saved(name))
        equal(tf.function(lambda x, model=model: model(x))(tf.constant(X)), Y)
        x = tf.Variable(X)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x))
        equal(tape.gradient(loss, x), np.broadcast_to(WEIGHTS.sum(1), X.shape))
    model = load(saved("tf1"))
    x = tf.Variable(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model({"in": x}))
    equal(tape.gradient(loss, x), np.broadcast_to(4 * WEIGHTS.sum(1), X.shape))


def test_loading_inside_tf_function(saved: Saved) -> None:
    """Loading while a graph is built leaves no part of the model in that graph."""
    models = []

    @tf.function
    def traced() -> Any:
        models.extend([load(saved("signatures")), load(saved("tf1"))])
        return tf.constant(0)

    traced()
    equal(models[0](X), Y)
    equal(models[1]({"in": X}), X @ WEIGHTS * 4)


def test_layers_that_learned_from_data(tmp_path: Path) -> None:
    """The step in which a layer of Keras 2 learned calls Python; it is in the file, and nobody is offered it."""
    tf_keras = pytest.importorskip("tf_keras")
    layer = tf_keras.layers.Discretization(num_bins=3)
    layer.adapt(np.arange(9.0)[:, None])
    model = tf_keras.Sequential([tf_keras.Input((1,)), layer])
    model.save(tmp_path / "m", save_format="tf")
    data = np.array([[1.0], [5.0], [8.0]], np.float32)
    equal(load(tmp_path / "m")(data), model(data))
