"""The models of the benchmarks, made on the spot with random weights. ``tiny`` ones serve as ordinary tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def _application(name: str, tiny_name: str = "_tiny_convolution") -> Callable[..., Any]:
    def make(keras: Any, *, tiny: bool) -> Any:
        keras.utils.set_random_seed(0)
        return globals()[tiny_name](keras) if tiny else getattr(keras.applications, name)(weights=None)

    return make


def _tiny_convolution(keras: Any) -> Any:
    layers = keras.layers
    parts = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.GlobalMaxPooling2D()]
    return keras.Sequential([*parts, layers.Dense(2)])


def _bert(keras: Any, *, tiny: bool) -> Any:
    """An encoder of the size of BERT-base: 12 blocks, width 768, 30,522 words."""
    blocks, width, heads, words, length = (1, 8, 2, 20, 4) if tiny else (12, 768, 12, 30_522, 128)
    layers = keras.layers
    inputs = keras.Input((length,), dtype="int32")
    x = layers.LayerNormalization()(layers.Embedding(words, width)(inputs))
    for _ in range(blocks):
        attention = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization()(layers.add([x, attention]))
        inner = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization()(layers.add([x, inner]))
    return keras.Model(inputs, x)


def _mlp(widths: tuple[int, ...], tiny_widths: tuple[int, ...] = (4, 8, 2)) -> Callable[..., Any]:
    def make(keras: Any, *, tiny: bool) -> Any:
        first, *rest = tiny_widths if tiny else widths
        return keras.Sequential([keras.Input((first,)), *(keras.layers.Dense(w, activation="relu") for w in rest)])

    return make


def _deep(keras: Any, *, tiny: bool) -> Any:
    """200 layers with 400 arrays."""
    layers, width = (3, 4) if tiny else (200, 1158)
    inputs = hidden = keras.Input((width,))
    for _ in range(layers):
        hidden = keras.layers.Dense(width, kernel_initializer="zeros")(hidden)
    return keras.Model(inputs, hidden)


def _lstm(keras: Any, *, tiny: bool) -> Any:
    units = 4 if tiny else 256
    return keras.Sequential([keras.Input((8, 4)), keras.layers.LSTM(units), keras.layers.Dense(2)])


KERAS: dict[str, Callable[..., Any]] = {
    "mobilenet": _application("MobileNetV2"),
    "resnet": _application("ResNet50"),
    "inception": _application("InceptionV3"),
    "bert": _bert,
    "mlp-1gb": _mlp((8192,) * 5),
    "arrays-1gb": _deep,
    "mlp": _mlp((8, 16, 4)),
    "lstm": _lstm,
}
"""Keras models by name."""


def _functions(path: str, *, tiny: bool) -> None:
    import tensorflow as tf

    class Many(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(tf.ones([4, 4]))
            self.parts = [tf.function(self._part(i)) for i in range(5 if tiny else 500)]
            for part in self.parts:
                part.get_concrete_function(tf.TensorSpec([None, 4]))

        def _part(self, number: int) -> Callable[[Any], Any]:
            return lambda x: tf.nn.relu(x @ self.w + float(number))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def serve(self, x: Any) -> Any:
            return self.parts[0](x)

    module = Many()
    tf.saved_model.save(module, path, signatures=module.serve)


def _graph(path: str, *, tiny: bool) -> None:
    """600 functions, for each is saved twice, and 3,000 nodes in all."""
    import tensorflow as tf

    functions, nodes = (5, 5) if tiny else (300, 900)

    class Many(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(1.0)
            self.parts = [tf.function(self._part(i), autograph=False) for i in range(functions)]

        def _part(self, number: int) -> Callable[[Any], Any]:
            return lambda x: x * (number + 1.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")], autograph=False)
        def serve(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            for _ in range(nodes):
                x = tf.tanh(x)
            return x * self.w

    module = Many()
    tf.saved_model.save(module, path, signatures=module.serve)


def _table(path: str, *, tiny: bool) -> None:
    import tensorflow as tf

    vocabulary = Path(path + ".txt")
    vocabulary.write_text("\n".join(f"word{i}" for i in range(10 if tiny else 10_000)))

    class Lookup(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
            init = tf.lookup.TextFileInitializer(str(vocabulary), tf.string, line, tf.int64, number)
            self.table = tf.lookup.StaticHashTable(init, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
        def serve(self, x: Any) -> Any:
            return self.table.lookup(x)

    module = Lookup()
    tf.saved_model.save(module, path, signatures=module.serve)


MODULES: dict[str, Callable[..., None]] = {"functions": _functions, "graph": _graph, "table": _table}
"""Modules of TensorFlow by name."""


def make(name: str, form: str, directory: Path, *, tiny: bool) -> Path:
    """Write a model, unless it is there.

    Args:
        name: A key of `KERAS` or `MODULES`.
        form: ``".keras"``, ``".h5"``, ``"export"`` (Keras 3), ``"tf_keras"`` (its SavedModel) or ``"module"``.
        directory: Where to write it.
        tiny: True for a small stand-in.
    """
    path = directory / f"{name}-{form.removeprefix('.')}{form if form.startswith('.') else ''}"
    if path.exists():
        return path
    if form == "module":
        MODULES[name](str(path), tiny=tiny)
    elif form == "tf_keras":
        import tf_keras

        KERAS[name](tf_keras, tiny=tiny).save(str(path), save_format="tf")
    else:
        import keras

        model = KERAS[name](keras, tiny=tiny)
        model.export(str(path)) if form == "export" else model.save(path)
    return path


def example(inputs: Any) -> dict[str, Any]:
    """Return one fixed row for every input of a callable."""
    rng = np.random.default_rng(0)
    row: dict[str, Any] = {}
    for info in inputs:
        shape = [1 if size is None else size for size in info.shape]
        if info.dtype == "string":
            row[info.name] = np.full(shape, "word3")
        else:
            row[info.name] = (rng.random(shape) * 3).astype(info.dtype)
    return row
