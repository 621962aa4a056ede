"""Models that would allocate without end are refused while they are built, before anything of that size exists."""

from __future__ import annotations

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from releases import makes_variables_without_values

from safeload import inspect_model, load_callable
from safeload.errors import UnsafeModelError
from safeload.policy import keras_sizes
from safeload.runtime._keras._budget import bounded_variables


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves layers as a Sequential model in a Keras archive without weights."""

    def save(*layers, shape):
        first = keras.layers.serialize(keras.layers.InputLayer(batch_shape=shape, name="inp"))
        config = {"name": "s", "layers": [first, *map(keras.layers.serialize, layers)]}
        model = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
        with h5py.File(tmp_path / "weights.h5", "w") as weights:
            weights.create_group("layers")
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
            archive.writestr("config.json", json.dumps(model))
            archive.write(tmp_path / "weights.h5", "model.weights.h5")
        return tmp_path / "m.keras"

    return save


def _layers(name):
    layers = keras.layers
    return {
        "prelu": (layers.PReLU(name="big"), (None, 10**5, 10**6)),
        "layer_norm": (layers.LayerNormalization(axis=[1, 2], name="big"), (None, 10**6, 10**5)),
    }[name]


@makes_variables_without_values
@pytest.mark.parametrize("name", ["prelu", "layer_norm"])
def test_weights_of_the_size_of_an_input_are_counted(saved, name):
    """A layer that makes a weight for each element of its input is stopped before the weight exists."""
    layer, shape = _layers(name)
    with pytest.raises(UnsafeModelError, match="100,000,000,000") as caught:
        load_callable(saved(layer, shape=shape))
    assert caught.value.findings[0].rule == "oversized-layer"


@pytest.mark.parametrize("wrapped", [False, True])
def test_steps_that_a_layer_before_makes_are_not_written_out(saved, wrapped):
    """How long a sequence becomes is known once the layers are built, before any step is traced."""
    layers = keras.layers
    unrolled = layers.SimpleRNN(1, unroll=True, name="long")
    last = layers.Bidirectional(unrolled, name="long") if wrapped else unrolled
    with pytest.raises(UnsafeModelError, match="'long' would be unrolled 6,000 times") as caught:
        load_callable(saved(layers.UpSampling1D(6000), last, shape=(None, 1, 1)))
    assert caught.value.findings[0].rule == "unrolled-layer"


LAYERS = {
    "Dense": ({"units": 7}, (None, 300)),
    "Embedding": ({"input_dim": 10, "output_dim": 30}, (None, 4)),
    "LSTM": ({"units": 50}, (None, 4, 300)),
    "GRU": ({"units": 50}, (None, 4, 300)),
    "SimpleRNN": ({"units": 50}, (None, 4, 300)),
    "ConvLSTM2D": ({"filters": 5, "kernel_size": 3}, (None, 4, 9, 9, 3)),
    "Conv1D": ({"filters": 5, "kernel_size": 3, "data_format": "channels_first"}, (None, 3, 300)),
    "Conv2D": ({"filters": 6, "kernel_size": 3, "groups": 3}, (None, 20, 20, 9)),
    "Conv3D": ({"filters": 5, "kernel_size": 3}, (None, 9, 9, 9, 3)),
    "Conv2DTranspose": ({"filters": 5, "kernel_size": 3}, (None, 9, 9, 1)),
    "DepthwiseConv2D": ({"depth_multiplier": 2, "kernel_size": 3}, (None, 9, 9, 1)),
    "SeparableConv2D": ({"filters": 5, "depth_multiplier": 2, "kernel_size": 3}, (None, 9, 9, 1)),
    "EinsumDense": ({"equation": "abc,cd->abd", "output_shape": [100, 8]}, (None, 100, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_config_is_said_to_declare_is_no_more_than_its_layer_makes(name, tmp_path, monkeypatch):
    """The least that the rules count is never more than what is stored, so that no ordinary model is refused."""
    monkeypatch.setattr(keras_sizes, "allowed_elements", int)
    options, shape = LAYERS[name]
    inputs = keras.Input(shape[1:])
    keras.Model(inputs, getattr(keras.layers, name)(**options)(inputs)).save(tmp_path / "m.keras")
    assert inspect_model(tmp_path / "m.keras").findings == ()


def test_recurrent_layers_declare_no_more_than_they_make(tmp_path, monkeypatch):
    """The same of states that are inputs beside the sequence, as in a decoder."""
    monkeypatch.setattr(keras_sizes, "allowed_elements", int)
    sequence, state = keras.Input((None, 300)), keras.Input((50,))
    keras.Model([sequence, state], keras.layers.GRU(50)(sequence, initial_state=state)).save(tmp_path / "m.keras")
    assert inspect_model(tmp_path / "m.keras").findings == ()


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("RepeatVector", {"n": 2 * 10**8}, (None, 4)),
        ("ZeroPadding2D", {"padding": 8192}, (None, 4, 4, 4)),
        ("UpSampling2D", {"size": 10**4}, (None, 4, 4, 3)),
        ("Resizing", {"height": 10**4, "width": 2 * 10**4}, (None, 4, 4, 3)),
        ("CategoryEncoding", {"num_tokens": 3 * 10**8}, (None, 2, 4)),
    ],
)
def test_outputs_without_end_are_refused(saved, name, options, shape):
    """A layer whose output for a single example is larger than any host should give is refused.

    The options alone do not tell: each is below what the rules of the config refuse.
    """
    layer = getattr(keras.layers, name)(name="big", **options)
    with pytest.raises(UnsafeModelError, match="'big'") as caught:
        load_callable(saved(layer, shape=shape))
    assert caught.value.findings[0].rule == "oversized-output"


def test_outputs_of_operations_are_refused(tmp_path):
    """Operations that are no layers are looked at, too."""
    inputs = keras.Input((4,), dtype="int32")
    keras.Model(inputs, keras.ops.one_hot(inputs, 7)).save(tmp_path / "small.keras")
    with zipfile.ZipFile(tmp_path / "small.keras") as small, zipfile.ZipFile(tmp_path / "m.keras", "w") as large:
        for name in small.namelist():
            large.writestr(name, small.read(name).replace(b'"num_classes": 7', b'"num_classes": 300000000'))
    assert load_callable(tmp_path / "small.keras")([[1, 2, 3, 4]]).shape == (1, 4, 7)
    with pytest.raises(UnsafeModelError, match="one_hot"):
        load_callable(tmp_path / "m.keras")


def test_ordinary_growth_is_let_through(saved):
    """Layers that repeat and pad within reason load and compute."""
    layers = keras.layers.RepeatVector(3), keras.layers.ZeroPadding1D(2)
    assert load_callable(saved(*layers, shape=(None, 4)))([[1.0] * 4]).shape == (1, 7, 4)


def test_the_variables_of_tf_keras_are_counted():
    """The guard sees the shapes of variables of tf_keras, too."""
    tf_keras = pytest.importorskip("tf_keras")
    with pytest.raises(UnsafeModelError), bounded_variables(0, "m"):
        tf_keras.layers.PReLU().build((None, 10**5, 10**6))


class _Factor(tf.Module):
    def __init__(self):
        super().__init__()
        self.factor = tf.Variable([2.0, 3.0, 4.0, 5.0])
        self.rate = tf.Variable(10.0, shape=tf.TensorShape(None))

    @tf.function(input_signature=[tf.TensorSpec((None, 4))])
    def __call__(self, x):
        return x * self.factor * tf.reshape(self.rate, ())


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_variables_of_a_saved_model_that_a_layer_loads(tmp_path, package):
    """Those that TensorFlow reads from a file are counted like others, whatever their shapes are given as."""
    package = pytest.importorskip(package)
    tf.saved_model.save(_Factor(), str(tmp_path / "saved"))

    class Hub(package.layers.Layer):
        def __init__(self, handle, **options):
            super().__init__(**options)
            self.handle, self.loaded = handle, tf.saved_model.load(handle)

        def call(self, x):
            return self.loaded(x)

        def get_config(self):
            return {**super().get_config(), "handle": self.handle}

    model = package.Sequential([package.Input((4,)), Hub(str(tmp_path / "saved"))])
    model.save(tmp_path / "m.h5")
    found = load_callable(tmp_path / "m.h5", custom_objects=[Hub])(np.ones((1, 4), "float32"))
    np.testing.assert_allclose(found, [[20, 30, 40, 50]])


def test_variables_of_a_saved_model_are_counted():
    """A shape in TensorFlow's own message is read as any other."""
    shape = tf.TensorShape([10**5, 10**6]).as_proto()
    with pytest.raises(UnsafeModelError), bounded_variables(0, "m"):
        tf.Variable(shape=shape, dtype=tf.float32)


def test_other_errors_pass_through():
    """What fails for other reasons keeps its error."""
    with pytest.raises(KeyError), bounded_variables(None, "m"):
        raise KeyError("x")
