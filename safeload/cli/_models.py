"""Small models in every format that the installed releases can write, each with the outputs of its maker.

These are programs of a user, so they import TensorFlow and Keras as a user would.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Made:
    """A saved model with one recorded call.

    Attributes:
        path: What to give to a loader.
        inputs: The argument of the call: an array, or a dict of arrays by input name.
        expected: What the model computed before it was saved, or a dict of it.
        options: Keyword arguments that `load_callable` needs.
    """

    path: Path
    inputs: Any
    expected: Any
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How to make one model: who writes it, in which format, with which feature."""

    producer: str
    format: str
    feature: str
    make: Callable[[Path, Any], Made]

    @property
    def id(self) -> str:
        """Name of the row, such as ``keras-keras-hdf5-mlp``."""
        return f"{self.producer}-{self.format}-{self.feature}"


def _array(*shape: int) -> Any:
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def _mlp(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    return keras.Sequential(
        [layers.Input((4,), name="features"), layers.Dense(8, "tanh"), layers.Dense(3, "softmax")]
    ), _array(2, 4)


def _lstm(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    recurrent = layers.Bidirectional(layers.LSTM(5, recurrent_activation="hard_sigmoid"))
    return keras.Sequential([layers.Input((6, 3)), recurrent, layers.Dense(2)]), _array(2, 6, 3) * 3


def _cnn(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    ), _array(2, 8, 8, 3)


def _two_inputs(keras: Any) -> tuple[Any, Any]:
    layers = keras.layers
    left, right = layers.Input((4,), name="left"), layers.Input((4,), name="right")
    shared = layers.Dense(5)
    joined = layers.Concatenate()([shared(left), layers.Multiply()([shared(left), shared(right)])])
    outputs = [layers.Dense(3, name="kind")(joined), layers.Dense(1, name="score")(joined)]
    return keras.Model([left, right], outputs), {"left": _array(2, 4), "right": _array(2, 4) + 1}


def _custom(keras: Any) -> tuple[Any, Any]:
    class Doubled(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2.0

    def swishy(x: Any) -> Any:
        return x * keras.activations.sigmoid(x)

    Doubled.__module__ = swishy.__module__ = "my_project"  # as if they were defined in a project of the user's
    layers = keras.layers
    return keras.Sequential([layers.Input((4,)), Doubled(), layers.Dense(3, activation=swishy)]), _array(2, 4)


def _recorded(model: Any, inputs: Any) -> Any:
    values = [inputs[name] for name in ("left", "right")] if isinstance(inputs, dict) else inputs
    outputs = model(values)
    if isinstance(outputs, (list, tuple)):
        return {name: np.asarray(o) for name, o in zip(("kind", "score"), outputs, strict=True)}
    return np.asarray(outputs)


def _keras_file(build: Callable[[Any], tuple[Any, Any]], suffix: str) -> Callable[[Path, Any], Made]:
    def make(folder: Path, keras: Any) -> Made:
        model, inputs = build(keras)
        path = folder / f"model{suffix}"
        model.save(str(path))
        options: dict[str, Any] = {}
        if build is _custom:
            doubled, dense = model.layers
            options = {"custom_objects": {"Doubled": type(doubled), "swishy": dense.activation}}
        return Made(path, inputs, _recorded(model, inputs), options)

    return make


def _misnamed(folder: Path, keras: Any) -> Made:
    made = _keras_file(_mlp, ".h5")(folder, keras)
    return Made(made.path.rename(folder / "model.keras"), made.inputs, made.expected)


def _weights(folder: Path, keras: Any) -> Made:
    model, inputs = _mlp(keras)
    path = folder / "model.weights.h5"
    model.save_weights(str(path))
    (folder / "model.json").write_text(model.to_json())
    return Made(path, inputs, _recorded(model, inputs), {"architecture": folder / "model.json"})


def _export(folder: Path, keras: Any) -> Made:
    model, inputs = _mlp(keras)
    with contextlib.redirect_stdout(io.StringIO()):  # Keras 3.3 has no keyword that keeps it silent
        model.export(str(folder / "model"))
    return Made(folder / "model", inputs, _recorded(model, inputs))


def _keras2_saved_model(folder: Path, keras: Any) -> Made:
    model, inputs = _cnn(keras)
    model.save(str(folder / "model"), save_format="tf")
    return Made(folder / "model", inputs, _recorded(model, inputs))


def _module(tf: Any) -> Any:
    class Scorer(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(_array(4, 3))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def score(self, x: Any) -> Any:
            return tf.matmul(x, self.kernel)

    return Scorer()


def _module_call(folder: Path, tf: Any) -> Made:
    module = _module(tf)
    type(module).__call__ = type(module).score
    tf.saved_model.save(module, str(folder / "model"))
    return Made(folder / "model", _array(2, 4), module.score(_array(2, 4)).numpy())


def _module_signature(folder: Path, tf: Any) -> Made:
    module = _module(tf)
    tf.saved_model.save(module, str(folder / "model"), signatures={"classify": module.score})
    return Made(folder / "model", _array(2, 4), module.score(_array(2, 4)).numpy())


def _module_method(folder: Path, tf: Any) -> Made:
    module = _module(tf)
    tf.saved_model.save(module, str(folder / "model"), signatures={})
    return Made(folder / "model", _array(2, 4), module.score(_array(2, 4)).numpy())


def _module_versions(folder: Path, tf: Any) -> Made:
    module = _module(tf)
    tf.saved_model.save(module, str(folder / "model" / "1"))
    return Made(folder / "model", _array(2, 4), module.score(_array(2, 4)).numpy())


def _vocabulary(folder: Path, tf: Any) -> Made:
    words = folder / "words.txt"
    words.write_text("red\ngreen\nblue\n")
    initializer = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )

    class Lookup(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.lookup.StaticHashTable(initializer, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])  # type: ignore[untyped-decorator]
        def __call__(self, words: Any) -> Any:
            return self.table.lookup(words)

    tf.saved_model.save(Lookup(), str(folder / "model"))
    words.unlink()
    return Made(folder / "model", np.array(["blue", "red", "pink"]), np.array([2, 0, -1]))


def _tf1(folder: Path, tf: Any) -> Made:
    v1, path = tf.compat.v1, folder / "model"
    builder = v1.saved_model.Builder(str(path))
    for number, tags in enumerate((["serve"], ["serve", "gpu"])):
        with tf.Graph().as_default(), v1.Session() as session:
            x, y = _tf1_graph(tf)
            session.run(v1.global_variables_initializer())
            signature = v1.saved_model.predict_signature_def({"in": x}, {"scores": y})
            if number == 0:
                builder.add_meta_graph_and_variables(session, tags, {"predict": signature})
            else:
                builder.add_meta_graph(tags, {"predict": signature})
    builder.save()
    return Made(path, _array(2, 4), _array(2, 4) @ _array(4, 3), {"tags": "serve"})


def _zipped(folder: Path, tf: Any) -> Made:
    made = _module_call(folder, tf)
    packed = shutil.make_archive(str(folder / "packed"), "zip", made.path)
    return Made(Path(packed), made.inputs, made.expected)


def _tf1_graph(tf: Any) -> tuple[Any, Any]:
    """Build a model in the default graph of TensorFlow 1; return its input and its output."""
    x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="image")
    kernel = tf.compat.v1.get_variable("kernel", initializer=_array(4, 3))
    return x, tf.matmul(x, kernel, name="scores")


def _tf1_frozen(folder: Path, tf: Any) -> Made:
    v1, path = tf.compat.v1, folder / "frozen.pb"
    with tf.Graph().as_default() as graph, v1.Session() as session:
        _tf1_graph(tf)
        session.run(v1.global_variables_initializer())
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["scores"])
    path.write_bytes(frozen.SerializeToString())
    return Made(path, _array(2, 4), _array(2, 4) @ _array(4, 3))


def _tf1_checkpoint(folder: Path, tf: Any) -> Made:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        _tf1_graph(tf)
        session.run(v1.global_variables_initializer())
        path = Path(v1.train.Saver().save(session, str(folder / "model.ckpt"), global_step=100))
    return Made(path, _array(2, 4), _array(2, 4) @ _array(4, 3))


_KERAS_FEATURES = {"mlp": _mlp, "lstm": _lstm, "cnn": _cnn, "two-inputs": _two_inputs, "custom-objects": _custom}

RECIPES: tuple[Recipe, ...] = (
    *(
        Recipe(producer, name, feature, _keras_file(build, suffix))
        for producer in ("keras", "tf_keras")
        for name, suffix in (("keras-hdf5", ".h5"), ("keras-archive", ".keras"))
        for feature, build in _KERAS_FEATURES.items()
    ),
    Recipe("keras", "keras-hdf5", "named-keras", _misnamed),
    Recipe("keras", "weights-hdf5", "json-architecture", _weights),
    Recipe("keras", "saved-model", "export", _export),
    Recipe("tf_keras", "saved-model", "save", _keras2_saved_model),
    Recipe("tensorflow", "saved-model", "call", _module_call),
    Recipe("tensorflow", "saved-model", "one-signature", _module_signature),
    Recipe("tensorflow", "saved-model", "other-method", _module_method),
    Recipe("tensorflow", "saved-model", "versioned-parent", _module_versions),
    Recipe("tensorflow", "saved-model", "vocabulary", _vocabulary),
    Recipe("tensorflow", "saved-model", "zipped", _zipped),
    Recipe("tf1", "saved-model", "two-metagraphs", _tf1),
    Recipe("tf1", "frozen-graph", "constants", _tf1_frozen),
    Recipe("tf1", "tf1-checkpoint", "meta", _tf1_checkpoint),
)
