"""What TensorFlow's optimizer would fuse into something else: every route gives what the operations say one by one."""

import numpy as np
import pytest
import tensorflow as tf

import safeload
from safeload.runtime._unfused import keep_apart

DRAWN = np.random.default_rng(7)
KERNEL = DRAWN.normal(size=(3, 3, 4, 6)).astype(np.float32)
SIX = DRAWN.uniform(0.5, 1.5, size=6).astype(np.float32)
IMAGES = DRAWN.normal(size=(2, 7, 7, 4)).astype(np.float32)


def convolved(x, padding="SAME"):
    return tf.nn.conv2d(x, KERNEL, 1, padding)


def normalized(x):
    return tf.raw_ops.FusedBatchNormV3(x=x, scale=SIX, offset=SIX, mean=SIX, variance=SIX, is_training=False)[0]


def added(x):
    return tf.nn.bias_add(convolved(x), SIX) + tf.nn.bias_add(convolved(-x / 2), SIX)


def mish(x):
    return x * tf.tanh(tf.nn.softplus(x))


def layer_normalized(x):
    mean, variance = tf.nn.moments(x, [2], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, tf.constant(SIX), tf.constant(SIX + 1), 1e-12)


VOLUMES = DRAWN.normal(size=(2, 4, 5, 5, 3)).astype(np.float32)
CUBE = DRAWN.normal(size=(2, 3, 3, 3, 2)).astype(np.float32)


def of_volumes(paddings, padding):
    return lambda x: tf.nn.conv3d(tf.pad(x, paddings), CUBE, [1] * 5, padding)


CASES = {
    "padding of what pads itself": (of_volumes([[0, 0], [1, 1], [0, 0], [1, 0], [0, 0]], "SAME"), VOLUMES),
    "padding of volumes": (of_volumes([[1, 0], [1, 1], [0, 0], [1, 0], [0, 0]], "VALID"), VOLUMES),
    "padding of examples": (lambda x: convolved(tf.pad(x, [[0, 1], [1, 1], [0, 0], [0, 0]]), "VALID"), IMAGES),
    "padding of channels": (
        lambda x: convolved(tf.pad(x[..., :2], [[0, 0], [1, 1], [0, 0], [1, 1]]), "VALID"),
        IMAGES,
    ),
    "slope": (lambda x: tf.nn.leaky_relu(added(x), 0.4), IMAGES),
    "mish of a sum": (lambda x: mish(added(x)), IMAGES),
    "mish of a normalization": (lambda x: mish(normalized(convolved(x))), IMAGES),
    "tanh of a normalization": (lambda x: tf.tanh(tf.identity(normalized(convolved(x)))), IMAGES),
    "epsilon": (layer_normalized, DRAWN.normal(size=(3, 5, 6), scale=0.01).astype(np.float32)),
    "greater than 1": (lambda x: tf.maximum(x, 2.0 * x), DRAWN.normal(size=(4, 8)).astype(np.float32)),
}


@pytest.fixture(params=CASES, ids=CASES.keys())
def case(request):
    function, x = CASES[request.param]
    return function, x, function(tf.constant(x)).numpy()  # eagerly, nothing is fused


def saved(function, x, path):
    module = tf.Module()
    spec = tf.TensorSpec([None, *x.shape[1:]], tf.float32, name="x")
    module.__call__ = tf.function(function, input_signature=[spec])
    tf.saved_model.save(module, path, signatures=module.__call__)


def test_a_function_run_by_its_name(case, tmp_path):
    """Registered with TensorFlow, without a Python graph."""
    function, x, expected = case
    saved(function, x, tmp_path)
    fn = safeload.load_callable(tmp_path)
    np.testing.assert_allclose(fn(x), expected, rtol=1e-4, atol=1e-5)
    assert fn.report.route == "direct"


def test_a_function_in_a_graph_and_under_a_tape(case, tmp_path):
    """A Python graph is built for both, and gradients are those of the operations."""
    function, x, expected = case
    saved(function, x, tmp_path)
    fn = safeload.load_callable(tmp_path)
    np.testing.assert_allclose(tf.function(fn)(tf.constant(x)), expected, rtol=1e-4, atol=1e-5)
    given = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        result, plain = fn(given), function(given)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(result, given), tape.gradient(plain, given), rtol=1e-3, atol=1e-3)


def test_the_objects_of_a_model(case, tmp_path):
    """After `tf.saved_model.load` made them."""
    function, x, expected = case
    saved(function, x, tmp_path)
    fn = safeload.load_callable(tmp_path)
    assert fn.model is not None
    np.testing.assert_allclose(fn(x), expected, rtol=1e-4, atol=1e-5)
    assert fn.report.route == "direct"


def test_a_frozen_graph(case, tmp_path):
    """Its values are constants."""
    function, x, expected = case
    with tf.Graph().as_default() as graph:
        placeholder = tf.compat.v1.placeholder(tf.float32, [None, *x.shape[1:]], name="x")
        tf.identity(function(placeholder), name="y")
    (tmp_path / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
    np.testing.assert_allclose(safeload.load_callable(tmp_path / "frozen.pb")(x), expected, rtol=1e-4, atol=1e-5)


def test_layers_that_are_functions_of_their_own(tmp_path):
    """As Keras 2 saves them; TensorFlow puts functions into those that call them before it optimizes."""
    first = tf.function(lambda x: normalized(convolved(x)), autograph=False)
    second = tf.function(lambda x: tf.tanh(x), autograph=False)
    saved(lambda x: second(first(x)), IMAGES, tmp_path)
    expected = np.tanh(normalized(convolved(IMAGES)))
    np.testing.assert_allclose(safeload.load_callable(tmp_path)(IMAGES), expected, rtol=1e-4, atol=1e-5)


def keras_model(package):
    layers = package.layers
    inputs = layers.Input((7, 7, 4))
    x = layers.Add()([layers.Conv2D(6, 3)(inputs), layers.Conv2D(6, 3)(inputs)])
    x = layers.LeakyReLU(0.4)(x)
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, use_bias=False)(x))
    x = layers.Activation("tanh")(x)
    return package.Model(inputs, x)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_keras_model_that_is_traced(package, tmp_path):
    """Keras itself gives other numbers, or fails, in `predict`."""
    model = keras_model(pytest.importorskip(package))
    expected = np.asarray(model(IMAGES, training=False))
    model.save(tmp_path / "model.keras")
    fn = safeload.load_callable(tmp_path / "model.keras")
    np.testing.assert_allclose(fn(IMAGES), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tf.function(fn)(tf.constant(IMAGES)), expected, rtol=1e-4, atol=1e-5)


def test_a_cycle_of_nodes_that_hand_on():
    """A hostile graph ends the search."""
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="a", op="Identity", input=["b"])
    graph.node.add(name="b", op="Identity", input=["a"])
    graph.node.add(name="t", op="Tanh", input=["a"])
    keep_apart(graph.node, in_function=False)
    assert [node.op for node in graph.node] == ["Identity", "Identity", "Tanh"]
