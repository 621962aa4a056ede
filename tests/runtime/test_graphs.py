"""Tests of frozen graphs, TensorFlow 1 checkpoints and exports without a saver, against a session."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.python.framework import op_def_registry

from safeload import inspect_model, load_callable
from safeload.errors import (
    AmbiguousSignatureError,
    InputMismatchError,
    LoadFailedError,
    NoCallableError,
    SignatureNotFoundError,
    UnsupportedFormatError,
)
from safeload.readers.saved_model.output_types import _TYPES

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
W = np.arange(6, dtype=np.float32).reshape(3, 2)


def build(*, resource=False, label=False, op=tf.nn.relu):
    """Build ``op(x @ w)`` in the default graph, with a training part."""
    x = tf.compat.v1.placeholder(tf.float32, [None, 3], name="x")
    w = tf.compat.v1.get_variable("w", initializer=W, use_resource=resource)
    y = op(x @ w, name="y")
    if label:
        target = tf.compat.v1.placeholder(tf.float32, [None, 2], name="target")
        loss = tf.reduce_mean((y - target) ** 2, name="loss")
        tf.identity(y, name="prediction")
        tf.reduce_max(tf.abs(y - target), name="worst")
        tf.compat.v1.train.AdamOptimizer().minimize(loss)
    return y


@pytest.mark.parametrize("resource", [False, True])
def test_checkpoint(tmp_path, resource):
    """The prefix of a checkpoint with its graph is a model."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        build(resource=resource)
        session.run(tf.compat.v1.global_variables_initializer())
        for step in (1, 2):
            tf.compat.v1.train.Saver().save(session, str(tmp_path / "m.ckpt"), global_step=step)
    predict = load_callable(tmp_path / "m.ckpt-2")
    assert predict.key == "y"
    assert np.array_equal(load_callable(tmp_path, signature="y:0")(X), predict(X))
    np.testing.assert_allclose(predict(X), np.maximum(X @ W, 0), rtol=1e-6)


def test_training_graph(tmp_path):
    """What predicts is called, and what measures may be asked for."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        build(label=True)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "m.ckpt"))
    predict = load_callable(tmp_path)
    assert predict.key == "prediction"
    np.testing.assert_allclose(predict(X), np.maximum(X @ W, 0), rtol=1e-6)
    worst = load_callable(tmp_path, signature="worst")
    np.testing.assert_allclose(worst(x=X, target=np.ones((2, 2))), np.abs(np.maximum(X @ W, 0) - 1).max(), rtol=1e-6)


def test_networks_of_one_graph(tmp_path):
    """Networks with inputs of their own are candidates, each by what it predicts: the caller chooses."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name in ("actor", "critic"):
            with tf.compat.v1.variable_scope(name):
                build(label=True)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "m.ckpt"))
    with pytest.raises(AmbiguousSignatureError, match=r"actor/prediction\(.*; critic/prediction\(") as caught:
        load_callable(tmp_path)
    assert "worst" not in str(caught.value)


@pytest.mark.parametrize("signature", [None, "y"])
def test_checkpoint_of_a_part(tmp_path, signature):
    """A saver may keep some variables only: what needs the others cannot be computed."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        y = build()
        with tf.compat.v1.variable_scope("kept"):
            build()
        session.run(tf.compat.v1.global_variables_initializer())
        kept = tf.compat.v1.global_variables("kept")
        tf.compat.v1.train.Saver(kept).save(session, str(tmp_path / "m.ckpt"))
        tf.identity(y)
    if signature is None:
        assert load_callable(tmp_path).key == "kept/y"
        return
    with pytest.raises(UnsupportedFormatError, match=r"1 variables \(w\) have no values in the checkpoint"):
        load_callable(tmp_path, signature=signature)


@pytest.mark.parametrize("resource", [False, True])
def test_signature_of_variables_that_are_not_saved(tmp_path, resource):
    """What no checkpoint gives a value is not computed with."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        y = build(resource=resource)
        with v1.variable_scope("kept"):
            build()
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": session.graph.get_tensor_by_name("x:0")}, {"y": y})
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        saver = v1.train.Saver(v1.global_variables("kept"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, saver=saver)
        builder.save()
    with pytest.raises(LoadFailedError, match="restores no value for the variables w"):
        load_callable(tmp_path / "m")


def test_export_without_a_signature(tmp_path):
    """What nothing uses is proposed; what a node of that name computes is judged and called."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        build(label=True)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        builder.add_meta_graph_and_variables(session, ["tag"])
        builder.save()
    with pytest.raises(AmbiguousSignatureError, match="has one candidate and no default: prediction") as caught:
        load_callable(tmp_path / "m")
    assert caught.value.hint == "choose one: signature='prediction'"
    for name in ("prediction", "y:0"):
        predict = load_callable(tmp_path / "m", signature=name)
        np.testing.assert_allclose(predict(X), np.maximum(X @ W, 0), rtol=1e-6)
    with pytest.raises(SignatureNotFoundError):
        load_callable(tmp_path / "m", signature="absent")


@pytest.mark.parametrize("resource", [False, True])
def test_checkpoint_with_local_variables(tmp_path, resource):
    """An initializer fills the variables that no checkpoint holds."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        scale = v1.get_variable("v", initializer=3.0, use_resource=resource, collections=[v1.GraphKeys.LOCAL_VARIABLES])
        tf.multiply(build(), scale, name="scaled")
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        v1.train.Saver().save(session, str(tmp_path / "m.ckpt"))
    predict = load_callable(tmp_path)
    assert predict.key == "scaled"
    np.testing.assert_allclose(predict(X), np.maximum(X @ W, 0) * 3, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 65])
def test_any_node(tmp_path, count):
    """A node is called by its name, however many there are that nothing uses."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        y = build()
        for i in range(count):
            tf.identity(y * i, name=f"end_{i}")
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "m.ckpt"))
    predict = load_callable(tmp_path, signature="y")
    assert predict.key == "y"
    assert np.array_equal(load_callable(tmp_path, signature="y:0")(X), predict(X))
    np.testing.assert_allclose(predict(X), np.maximum(X @ W, 0), rtol=1e-6)


@pytest.mark.parametrize("suffix", ["pb", "pbtxt"])
def test_frozen_graph(tmp_path, suffix):
    """A frozen graph is a model, whatever types its last op has."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        build(op=lambda value, name: tf.shape(value, name=name))
        session.run(tf.compat.v1.global_variables_initializer())
        frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
    text = text_format.MessageToString(frozen)
    (tmp_path / f"m.{suffix}").write_bytes(text.encode() if suffix == "pbtxt" else frozen.SerializeToString())
    predict = load_callable(tmp_path / f"m.{suffix}")
    assert list(predict(X)) == [2, 2]


def test_graph_of_a_dataset(tmp_path):
    """An input whose default training took from a dataset is given; the dataset is not looked for."""
    with tf.Graph().as_default() as graph:
        handle = tf.compat.v1.placeholder(tf.string, [])
        iterator = tf.compat.v1.data.Iterator.from_string_handle(handle, tf.float32, [None, 3])
        x = tf.compat.v1.placeholder_with_default(iterator.get_next(), [None, 3], "x")
        tf.matmul(x, W, name="y")
        frozen = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), ["y"])
    (tmp_path / "m.pb").write_bytes(frozen.SerializeToString())
    predict = load_callable(tmp_path / "m.pb")
    assert [(info.name, info.optional) for info in predict.inputs] == [("x", False)]
    np.testing.assert_allclose(predict(X), X @ W, rtol=1e-6)


def test_training_graph_that_reads_its_own_data(tmp_path):
    """As an Estimator's directory: that nothing can be called says more than that it reads a vocabulary."""
    v1, vocabulary = tf.compat.v1, tmp_path / "words"
    vocabulary.write_text("a\nb")
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    with tf.Graph().as_default(), v1.Session() as session:
        words, labels = v1.data.make_initializable_iterator(tf.data.Dataset.from_tensors((["a"], [0.0]))).get_next()
        initializer = tf.lookup.TextFileInitializer(str(vocabulary), tf.string, line, tf.int64, number)
        numbers = tf.lookup.StaticHashTable(initializer, 2).lookup(words)
        found = tf.gather(v1.get_variable("w", initializer=W), numbers)
        v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean((found - labels) ** 2))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "m.ckpt"))
    with pytest.raises(NoCallableError, match="a graph without signatures") as caught:
        load_callable(tmp_path / "m.ckpt")
    assert "estimator.export_saved_model" in str(caught.value.hint)
    assert inspect_model(tmp_path / "m.ckpt").findings


@pytest.mark.parametrize("resource", [False, True])
def test_export_without_a_saver(tmp_path, resource):
    """Modules of TensorFlow Hub 1 name no saver: their variables are restored by name."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        y = build(resource=resource)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "variables" / "variables"), write_meta_graph=False)
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": graph.get_tensor_by_name("x:0")}, {"y": y})
        meta_graph = tf.compat.v1.train.export_meta_graph(graph=graph, clear_devices=True)
    meta_graph.ClearField("saver_def")
    meta_graph.signature_def["default"].CopyFrom(signature)
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    np.testing.assert_allclose(load_callable(tmp_path)(X), np.maximum(X @ W, 0), rtol=1e-6)


@pytest.mark.parametrize("resource", [False, True])
def test_variables_that_an_initializer_fills(tmp_path, resource):
    """Local variables are in no checkpoint; where there are no others, there is none."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None])
        local = v1.get_variable("v", initializer=3.0, use_resource=resource, collections=[v1.GraphKeys.LOCAL_VARIABLES])
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": x * local})
        session.run(v1.local_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=v1.local_variables_initializer()
        )
        builder.save()
    assert not [*(tmp_path / "m" / "variables").iterdir()]
    assert list(load_callable(tmp_path / "m")([1.0, 2.0])) == [3, 6]


def test_composite_tensors_of_a_signature(tmp_path):
    """Signatures of TensorFlow 1 list sparse and ragged tensors by their parts; calls take and give them whole."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        sparse = v1.sparse_placeholder(tf.float32, [None, 3], name="sparse")
        ragged = v1.ragged.placeholder(tf.float32, 1, value_shape=[], name="ragged")
        outputs = {
            "y": tf.sparse.sparse_dense_matmul(sparse, W),
            "twice": tf.SparseTensor(sparse.indices, sparse.values * 2, sparse.dense_shape),
            "thrice": ragged.with_values(ragged.values * 3),
        }
        infos = {name: v1.saved_model.build_tensor_info(value) for name, value in outputs.items()}
        inputs = {name: v1.saved_model.build_tensor_info(x) for name, x in (("s", sparse), ("r", ragged))}
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        signature = v1.saved_model.build_signature_def(inputs, infos, "predict")
        builder.add_meta_graph_and_variables(session, ["serve"], {"predict": signature})
        builder.save()
    rows = [[1.0, 2.0], [], [3.0]]
    predict = load_callable(tmp_path / "model")
    assert {x.name: (x.kind, x.shape) for x in predict.inputs} == {
        "r": ("ragged", (None, None)), "s": ("sparse", (None, 3))
    }  # fmt: skip
    for s, r in ((X, rows), (tf.sparse.from_dense(X), tf.ragged.constant(rows))):
        got = predict(s=s, r=r)
        np.testing.assert_allclose(got["y"], X @ W, rtol=1e-6)
        np.testing.assert_allclose(tf.sparse.to_dense(got["twice"]), X * 2)
        assert got["thrice"].to_list() == [[3.0, 6.0], [], [9.0]]


@pytest.mark.parametrize("name", ["is_training", "dropout/keras_learning_phase"])
def test_placeholders_that_a_signature_leaves_out(tmp_path, name):
    """They are inputs, that switch of training an optional one: it is off."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, 3], name="x")
        scale = tf.compat.v1.placeholder(tf.float32, [], name="scale")
        switch = tf.compat.v1.placeholder(tf.bool, name=name)
        y = tf.where(switch, -x, x) * scale
        tf.compat.v1.saved_model.simple_save(session, f"{tmp_path}/model", {"x": x}, {"y": y})
    assert [info.name for info in inspect_model(f"{tmp_path}/model").signatures[0].inputs] == sorted(
        ["x", "scale", name]
    )
    f = load_callable(f"{tmp_path}/model")
    np.testing.assert_array_equal(f({"x": X, "scale": 2.0}), X * 2)
    np.testing.assert_array_equal(f({"x": X, "scale": 2.0, name: True}), X * -2)
    with pytest.raises(InputMismatchError, match="missing 'scale'"):
        f({"x": X})


def test_types_of_outputs():
    """The types that a graph without signatures is given are those of the op definitions."""
    for op, types in _TYPES.items():
        outputs = op_def_registry.get(op).output_arg
        assert [output.type_attr or output.type for output in outputs][: len(types)] == list(types), op
        assert len(types) == len(outputs) or op in ("FusedBatchNorm", "FusedBatchNormV3", "Merge"), op
