"""What inspection says of Keras files, against what Keras says of the model that it loads: equal, or unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from cases import CASES, library
from saved_models import rewritten

from safeload import inspect_model, load_callable
from safeload.readers.protobuf import message_class

GOLDEN = Path(__file__).parent.parent / "golden"
READERS = {
    "keras-1.2.2.h5": None,
    "keras-2.3.1.h5": "tf_keras",
    "tensorflow-2.4.h5": "tf_keras",
    "tensorflow-2.15.keras": "tf_keras",
    "keras-3.0.5.keras": "keras",
}
"""Which of the installed packages reads each golden file; None of them reads Keras 1, so there it is safeload."""

KERAS_CASES = [
    cell for cell in CASES if cell[0] in {"keras-hdf5", "keras-archive"} and cell[1] in {"keras", "tf_keras"}
]


def _branched(layers, keras):
    inputs = layers.Input((6, 6, 1), name="picture")
    hidden = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Conv2D(2, 3)(inputs)))
    inner = keras.Sequential([layers.Input((2,)), layers.Dense(3), layers.Dense(2)], name="inner")
    pooled = inner(layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(inputs, [pooled, layers.Dense(1, name="score")(pooled)])


def _structured(layers, keras):
    ends = {"b": layers.Input((3,), name="b"), "a": layers.Input((2,), name="a", dtype="int32")}
    tokens = layers.Flatten()(layers.Embedding(5, 2)(ends["a"]))
    return keras.Model(ends, {"y": layers.Dense(2, name="y")(layers.Concatenate()([tokens, ends["b"]]))})


def _compiled(layers, keras):
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, name="first"), layers.Dense(1)])
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    model.fit(np.zeros((2, 4)), np.zeros((2, 1)), verbose=0)
    return model


def _recurrent(layers, keras):
    stack = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)
    return keras.Sequential([layers.Input((None, 4)), stack, layers.TimeDistributed(layers.Dense(2))])


def _half(layers, keras):
    dense = layers.Dense(3, dtype="mixed_float16")
    return keras.Sequential([layers.Input((4,)), dense, layers.Dense(2)])


def _unbuilt(layers, keras):
    model = keras.Sequential([layers.Dense(3), layers.Dense(1)])
    model(np.zeros((1, 2), "float32"))
    return model


MODELS = [_branched, _structured, _compiled, _recurrent, _half, _unbuilt]


def _shape(tensor):
    shape = tensor.shape
    return None if shape is None else tuple(shape)


def _agree(described, tensors):
    """Every recorded shape and dtype is that of the tensor; a batch that Keras takes for any other is open."""
    assert len(described) == len(tensors)
    for info, tensor in zip(described, tensors):
        assert info.shape in (None, (None, *_shape(tensor)[1:]))
        assert info.dtype in (None, tf.as_dtype(tensor.dtype).name)


def _names(model):
    """Names of what a config lists as layers: those of Keras 3 include operations."""
    return [layer.name for layer in getattr(model, "operations", None) or model.layers]


def _compare(keras, path, model):
    report = inspect_model(path)
    signature = report.info.keras.signature
    assert report.parameter_count == model.count_params()
    assert report.info.weights.arrays == len(model.weights)
    recorded = [layer for layer in report.layers if layer.class_name != "InputLayer"]
    assert [layer.name for layer in recorded] == [
        n for n in _names(model) if n not in {t.name for t in signature.inputs}
    ]
    sizes = {layer.name: layer.count_params() for layer in model.layers if layer.built}
    assert all(sizes[x.name] == x.parameter_count for x in report.layers if x.name in sizes and x.parameter_count)
    if isinstance(model, keras.Sequential):
        _agree(signature.inputs, model.inputs if signature.inputs else [])
        _agree(signature.outputs, model.outputs)
    else:
        tensors = {tensor.name.split(":")[0]: tensor for tensor in model.inputs}
        assert sorted(info.name for info in signature.inputs) == sorted(tensors)
        _agree(signature.inputs, [tensors[info.name] for info in signature.inputs])
        assert [info.name for info in signature.outputs] == list(model.output_names)
        _agree(signature.outputs, model.outputs)


def _subclassed(layers, keras):
    @keras.utils.register_keras_serializable("pkg")
    class Block(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.inner = [layers.Dense(3, name="inner"), layers.Dense(4, use_bias=False, name="outer")]
            self.scale = self.add_weight(name="scale", shape=(4,))

        def call(self, x):
            return self.inner[1](self.inner[0](x)) * self.scale

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.blocks = {"a": Block(), "b": Block()}
            self.head = keras.Sequential([layers.Dense(2), layers.Dropout(0.5)])

        def call(self, x):
            return self.head(self.blocks["a"](x) + self.blocks["b"](x))

    model = Net()
    model(np.zeros((2, 4), "float32"))
    return model


def _adapted(layers, keras):
    norm = layers.Normalization()
    norm.adapt(np.zeros((2, 4), "float32"))
    return keras.Sequential([layers.Input((4,)), norm, layers.Rescaling(0.5), layers.Dense(1)])


def _load(keras, cell, path, options):
    if cell == ("keras-hdf5", "tf_keras", "custom-objects"):
        return load_callable(path, **options).model  # tf_keras cannot read what it writes of a custom activation
    return keras.models.load_model(path, compile=False, **options)


@pytest.mark.parametrize("cell", KERAS_CASES, ids="-".join)
def test_generated_fixtures(cell, tmp_path):
    """Inputs, outputs, layer names and parameters of every generated Keras file are those of the loaded model."""
    keras, recipe = library(cell[1]), CASES[cell]
    made = recipe.make(tmp_path, keras)
    path = made.path
    if path.suffix == ".keras" and cell[0] == "keras-hdf5":
        path = path.rename(tmp_path / "model.h5")
    _compare(keras, path, _load(keras, cell, path, made.options))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("producer", ["keras", "tf_keras"])
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__[1:])
def test_other_shapes_of_models(build, producer, suffix, tmp_path):
    """The same of branches, nesting, structures, optimizers, cells, mixed precision and models without inputs."""
    keras = library(producer)
    if build is _half and keras.__version__.startswith("3.3."):
        pytest.skip("Keras 3.3 gives the input the dtype of the first layer's computations once it is called")
    path = tmp_path / f"model{suffix}"
    build(keras.layers, keras).save(path)
    _compare(keras, path, keras.models.load_model(path, compile=False))


def _flat(layers, below, facts):
    """List *facts* of every layer at every depth."""
    return [item for layer in layers for item in (facts(layer), *_flat(below(layer), below, facts))]


def _tracked(layer):
    """Return the layers in *layer* as the saver of tf_keras finds them."""
    return getattr(layer, "layers", None) or layer._flatten_layers(include_self=False, recursive=False)


@pytest.mark.parametrize("build", [*MODELS, _subclassed, _adapted], ids=lambda build: build.__name__[1:])
def test_saved_models(build, tmp_path):
    """Layers at every depth, their classes and parameters, and what only training needs, of SavedModels of Keras 2."""
    keras = library("tf_keras")
    build(keras.layers, keras).save(tmp_path, save_format="tf")
    model = keras.models.load_model(tmp_path, compile=False)
    report = inspect_model(tmp_path)
    described = _flat(report.layers, lambda layer: layer.layers, lambda layer: (layer.name, layer.class_name))
    assert described == _flat(model.layers, _tracked, lambda layer: (layer.name, type(layer).__name__))
    counts = _flat(report.layers, lambda layer: layer.layers, lambda layer: layer.parameter_count)
    sizes = _flat(model.layers, _tracked, lambda layer: sum(weight.shape.num_elements() for weight in layer.weights))
    assert [size if count is not None else None for count, size in zip(counts, sizes)] == counts
    assert any(counts)
    assert report.parameter_count == model.count_params()
    assert {o.kind for o in report.training_only} == ({"optimizer", "loss", "metric"} if build is _compiled else set())
    assert report.layers[-1].name in str(report)
    assert report.layers[-1].name in report._repr_html_()
    assert report.to_json()["layers"][-1]["name"] == report.layers[-1].name
    _move_records(tmp_path)
    assert inspect_model(tmp_path).layers == report.layers


def _move_records(path):
    """Put what Keras recorded into the graph, where it was before TensorFlow 2.5."""
    saved = message_class("KerasSavedMetadata")()
    saved.ParseFromString((path / "keras_metadata.pb").read_bytes())
    (path / "keras_metadata.pb").unlink()
    with rewritten(path) as message:
        for node in saved.nodes:
            message.meta_graphs[0].object_graph_def.nodes[node.node_id].user_object.metadata = node.metadata


def test_every_golden_file_has_a_reader():
    """Files of Keras that are added to the golden ones are compared too."""
    assert set(READERS) == {file.name for file in GOLDEN.iterdir() if file.suffix in {".h5", ".keras"}}


@pytest.mark.parametrize("name", READERS)
def test_golden_files(name):
    """The same of files of old releases, as a Keras of today reads them."""
    keras = library(READERS[name] or "keras")
    path = GOLDEN / name
    model = load_callable(path).model if READERS[name] is None else keras.models.load_model(path, compile=False)
    _compare(keras, path, model)


def test_weights_alone(tmp_path):
    """Of weights without a config the arrays and their elements are those of the model."""
    keras = library("keras")
    recipe = CASES["weights-hdf5", "keras", "json-architecture"]
    weights = inspect_model(recipe.make(tmp_path, keras).path).info.weights
    model = keras.models.model_from_json((tmp_path / "model.json").read_text())
    assert (weights.arrays, weights.elements) == (len(model.weights), model.count_params())
