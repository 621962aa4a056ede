"""What a loaded model reaches of the other models in the process by their names: nothing."""

from __future__ import annotations

import numpy as np
import pytest

from safeload import load_callable
from safeload.errors import LoadFailedError

tf = pytest.importorskip("tensorflow")
saved_model_pb2 = pytest.importorskip("tensorflow.core.protobuf.saved_model_pb2")

X = np.float32([1.0, 2.0])
GRADIENT = "_gradient_op_type"


@pytest.fixture
def neighbour():
    """Return the name that TensorFlow gave a custom gradient of this process."""

    @tf.custom_gradient
    def times_hundred(x):
        return tf.identity(x), lambda upstream: upstream * 100.0

    graph = tf.function(times_hundred).get_concrete_function(tf.TensorSpec([None])).graph
    return next(op.get_attr(GRADIENT) for op in graph.get_operations() if op.type == "IdentityN")


def _save_function(path):
    module = tf.Module()
    spec = tf.TensorSpec([None], tf.float32)
    module.__call__ = tf.function(lambda x: tf.identity_n([2.0 * x, x])[0], input_signature=[spec])
    tf.saved_model.save(module, str(path))


def _save_graph(path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None])
        tf.compat.v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": tf.identity_n([2.0 * x, x])[0]})


@pytest.mark.parametrize("save", [_save_function, _save_graph])
def test_gradients_of_other_models(save, neighbour, tmp_path):
    """Names of custom gradients are numbers, which count anew in each process: none of this one is meant."""
    save(tmp_path / "m")
    file = tmp_path / "m" / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    graph_def = saved.meta_graphs[0].graph_def
    for nodes in (graph_def.node, *(function.node_def for function in graph_def.library.function)):
        for node in nodes:
            if node.op == "IdentityN":
                node.attr[GRADIENT].s = neighbour
    file.write_bytes(saved.SerializeToString())
    predict = load_callable(tmp_path / "m")
    x = tf.constant(X)
    np.testing.assert_allclose(predict(x), 2 * X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(LoadFailedError, match="it cannot be called"):
            predict(x)
