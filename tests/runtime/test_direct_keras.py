"""The function that is made from a config is the one that Keras traces, to the bit; all else Keras builds."""

from __future__ import annotations

import gc
import io
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from releases import IS_KERAS_3_3, what_this_keras_can
from tensorflow.python.eager import context
from threads import in_threads

import safeload
from safeload.dialects import Flavour
from safeload.errors import InputMismatchError, LoadFailedError, MalformedArtifactError, SafeloadError
from safeload.runtime._executor import MAX_OPERATIONS
from safeload.runtime._keras._direct._graph import NotUnderstoodError
from safeload.runtime._keras._direct._network import network
from safeload.runtime._keras._direct._values import filled_variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


_LEAST = "safeload.runtime._keras._direct._network.MAX_OPERATIONS"


@pytest.fixture(autouse=True)
def _short_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short networks take the direct route, too."""
    monkeypatch.setattr(_LEAST, 0)


def _same(ours: Any, theirs: Any) -> None:
    """Compare to the bit; Keras 3.3 traces other operations in places."""
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-5 if IS_KERAS_3_3 else 0)


def _filled(model: Any) -> Any:
    """Return *model* with weights of which no two are equal."""
    rng = np.random.default_rng(7)
    model.set_weights([rng.uniform(0.1, 1.0, array.shape).astype("f4") for array in model.get_weights()])
    return model


def _network(blocks: int = 2) -> Any:
    """Build a residual network."""
    x = y = keras.Input((12, 12, 3), name="image")
    y = layers.Conv2D(4, 3, padding="same", name="stem")(y)
    for index in range(blocks):
        z = layers.ReLU(6.0)(layers.BatchNormalization(name=f"norm_{index}")(y))
        z = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(z)
        y = layers.Add()([y, layers.Conv2D(4, 1)(z)])
    y = layers.ZeroPadding2D(1, name="padding")(y)
    y = layers.Dropout(0.5, seed=1)(layers.GlobalAveragePooling2D()(y))
    return _filled(keras.Model(x, layers.Dense(3, activation="softmax", name="scores")(y)))


def _image(rows: int = 2, size: int = 12, channels: int = 3) -> Any:
    return np.random.default_rng(1).normal(size=(rows, size, size, channels)).astype("f4")


def _norm(**settings: Any) -> Callable[[Any], Any]:
    return lambda x: layers.BatchNormalization(**settings)(x)


LAYERS: dict[str, Callable[[Any], Any]] = {
    "conv": layers.Conv2D(5, 3),
    "conv_same": layers.Conv2D(5, (2, 3), strides=(1, 2), padding="same", use_bias=False),
    "conv_relu": layers.Conv2D(5, 3, strides=2, activation="relu"),
    "depthwise": layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu6"),
    "depthwise_same": layers.DepthwiseConv2D((3, 2), strides=2, padding="same", use_bias=False),
    "separable": layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", activation="tanh"),
    "separable_strides": layers.SeparableConv2D(5, 3, strides=2, use_bias=False),
    "norm": layers.BatchNormalization(epsilon=0.01),
    "norm_axis": layers.BatchNormalization(axis=3),
    "norm_plain": layers.BatchNormalization(center=False, scale=False),
    "norm_center": layers.BatchNormalization(scale=False),
    "norm_scale": layers.BatchNormalization(axis=3, center=False),
    "relu": layers.ReLU(),
    "relu6": layers.ReLU(max_value=6),
    "sigmoid": layers.Activation("sigmoid"),
    "softmax": layers.Activation("softmax"),
    "linear": layers.Activation("linear"),
    "padding": layers.ZeroPadding2D(((1, 0), (2, 3))),
    "padding_one": layers.ZeroPadding2D(2),
    "max": layers.MaxPooling2D(2),
    "max_same": layers.MaxPooling2D((3, 2), strides=(1, 2), padding="same"),
    "average": layers.AveragePooling2D(3, strides=1),
    "average_same": layers.AveragePooling2D(2, padding="same"),
    "global_average": layers.GlobalAveragePooling2D(),
    "global_max": layers.GlobalMaxPooling2D(keepdims=True),
    "dense": lambda x: layers.Dense(4, activation="sigmoid")(layers.Flatten()(x)),
    "dense_plain": lambda x: layers.Dense(4, use_bias=False)(layers.GlobalAveragePooling2D()(x)),
    "flatten": layers.Flatten(),
    "flatten_flat": lambda x: layers.Flatten()(layers.Flatten()(x)),
    "reshape": layers.Reshape((4, 36)),
    "dropout": layers.Dropout(0.3, seed=1),
    "spatial_dropout": layers.SpatialDropout2D(0.3),
    "rescaling": layers.Rescaling(1 / 127.5, offset=-1),
    "add": lambda x: layers.Add()([x, layers.ReLU()(x), x]),
    "multiply": lambda x: layers.Multiply()([x, layers.Activation("tanh")(x)]),
    "concatenate": lambda x: layers.Concatenate()([x, layers.Conv2D(5, 1)(x)]),
    "concatenate_axis": lambda x: layers.Concatenate(axis=3)([layers.ReLU()(x), x]),
}


def _model(build: Callable[[Any], Any], shape: tuple[int | None, ...] = (6, 6, 4)) -> Any:
    x = keras.Input(shape)
    return _filled(keras.Model(x, build(x)))


def _direct(path: Path) -> Any:
    predict = safeload.load_callable(path)
    assert predict.route == predict.report.route == "direct"
    return predict


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_what_keras_traces(tmp_path: Path, name: str, suffix: str) -> None:
    """Bit for bit, and the signature of the result is that of the model."""
    layer = LAYERS[name]
    build = type(layer).from_config(layer.get_config()) if isinstance(layer, keras.Layer) else layer
    _model(build).save(tmp_path / f"m{suffix}")
    predict, x = _direct(tmp_path / f"m{suffix}"), _image(2, 6, 4)
    directly, shape = predict(x).numpy(), predict.outputs[0].shape
    model = predict.model
    _same(directly, predict(x))
    np.testing.assert_allclose(directly, model(x, training=False), rtol=1e-5, atol=1e-6)
    assert shape == model.output_shape


def test_a_network_is_not_built_until_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results, weights, gradients, training and a copy saved again are those of the ordinary loader."""
    path, x = tmp_path / "m.keras", _image()
    _network().save(path)
    theirs = keras.models.load_model(path, compile=False)
    with monkeypatch.context() as patch:
        patch.setattr(layers.Conv2D, "__init__", _fail)
        predict = _direct(path)
        directly = predict(x).numpy()
        _same(predict(image=x.tolist()), directly)
        _same(predict.predict(np.repeat(x, 20, axis=0), batch_size=7)[:1], directly[:1])
    path.unlink()
    ours = predict.model
    assert ours is predict.model
    _same(predict(x), directly)
    _same(ours(x), theirs(x))
    for left, right in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        _same(left, right)
    assert {type(v.value) for v in ours.variables} == {type(v.value) for v in theirs.variables}
    for model in (ours, theirs):
        keras.utils.set_random_seed(3)
        model.compile("adam", "mse")
        model.fit(x, np.zeros((2, 3)), verbose=0)
    _same(ours(x), theirs(x))
    _same(predict(x), _traced(theirs)(x))
    ours.save(tmp_path / "again.keras")
    _same(safeload.load_callable(tmp_path / "again.keras")(x), predict(x))


def _traced(model: Any) -> Any:
    return tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((None, 12, 12, 3))])


def _fail(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a layer was built")


def test_gradients_and_graphs_take_the_model(tmp_path: Path) -> None:
    """A tape sees what the model computes, also in a graph of the caller's; nothing of theirs is open in the build."""
    _network().save(tmp_path / "m.keras")
    theirs, x = _traced(keras.models.load_model(tmp_path / "m.keras", compile=False)), tf.constant(_image())
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        expected = theirs(x)

    def recorded(predict: Any) -> Any:
        with tf.GradientTape() as own:
            own.watch(x)
            y = predict(x)
        return y, own.gradient(y, x)

    wrapped, outside = (_direct(tmp_path / "m.keras") for _ in range(2))
    for result, gradient in (recorded(outside), tf.function(lambda: recorded(wrapped))()):
        _same(result, expected)
        np.testing.assert_allclose(gradient, tape.gradient(expected, x), rtol=1e-5, atol=1e-7)
    assert all(isinstance(v.numpy(), np.ndarray) for v in wrapped.model.variables)
    scoped = _direct(tmp_path / "m.keras")
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        found = scoped.model
    assert not any(isinstance(v.value, tf.distribute.DistributedValues) for v in found.variables)


def test_threads_call_while_the_model_is_built(tmp_path: Path) -> None:
    """There is one model, and all results are equal."""
    _network().save(tmp_path / "m.keras")
    predict, x = _direct(tmp_path / "m.keras"), _image()

    def work(number: int) -> tuple[list[Any], int]:
        results = [predict(x) for _ in range(3)]
        model = id(predict.model) if number % 2 else 0
        return [*results, predict(x)], model

    found = in_threads(work, 8)
    for result in [result for results, _ in found for result in results]:
        _same(result, predict(x))
    assert {model for _, model in found} == {0, id(predict.model)}


def test_a_model_that_keras_does_not_build_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls go on without it."""
    _network().save(tmp_path / "m.keras")
    predict, x = _direct(tmp_path / "m.keras"), _image()
    directly = predict(x)
    with monkeypatch.context() as patch:
        patch.setattr(layers.Conv2D, "build", _fail)
        with pytest.raises(LoadFailedError, match="a layer was built"):
            _ = predict.model
    _same(predict(x), directly)
    with monkeypatch.context() as patch:
        patch.setattr(layers.BatchNormalization, "build", _with_counter)
        with pytest.raises(LoadFailedError, match="builds its layers with other weights: norm_0/counter"):
            _ = predict.model
    assert predict.model(x).shape == directly.shape


_BUILD = layers.BatchNormalization.build


def _with_counter(self: Any, input_shape: Any) -> None:
    self.counter = self.add_weight(shape=(), name="counter", trainable=False)
    _BUILD(self, input_shape)


def test_what_is_loaded_is_freed(tmp_path: Path) -> None:
    """The function is no longer known to TensorFlow when nobody holds the callable."""
    _network().save(tmp_path / "m.keras")
    before = set(context.context().list_function_names())
    predict = _direct(tmp_path / "m.keras")
    predict(_image())
    (name,) = {n for n in context.context().list_function_names() if "safeload_network" in n} - before
    predict.close()
    with pytest.raises(LoadFailedError, match="closed"):
        predict(_image())
    del predict
    gc.collect()
    assert name not in context.context().list_function_names()


def test_inputs_are_held_against_the_signature(tmp_path: Path) -> None:
    """As for any model."""
    _network().save(tmp_path / "m.keras")
    predict = _direct(tmp_path / "m.keras")
    assert str(predict.signature) == "model(image: float32 [None, 12, 12, 3]) -> (scores: float32 [None, 3])"
    with pytest.raises(InputMismatchError, match="image"):
        predict(np.zeros((1, 10, 12, 3), "f4"))


def test_saving_takes_the_model(tmp_path: Path) -> None:
    """`save_callable` writes the same SavedModel as for any Keras model."""
    _network().save(tmp_path / "m.keras")
    predict, x = _direct(tmp_path / "m.keras"), _image()
    safeload.save_callable(predict, tmp_path / "saved", example_inputs=x)
    np.testing.assert_allclose(safeload.load_callable(tmp_path / "saved")(x), predict(x), rtol=1e-5)


def _several(build: Callable[[Any, Any], Any]) -> Any:
    a, b = keras.Input((6, 6, 4)), keras.Input((6, 6, 4))
    return _filled(keras.Model([a, b], build(a, b)))


def _twice(x: Any) -> Any:
    conv = layers.Conv2D(4, 1)
    return conv(conv(x))


def _nested(x: Any) -> Any:
    inner = keras.Input((6, 6, 4))
    return keras.Model(inner, layers.Conv2D(2, 1)(inner))(x)


def _of_input(**settings: Any) -> Any:
    x = keras.Input(**settings)
    return _filled(keras.Model(x, layers.Conv2D(2, 1)(layers.Rescaling(0.5)(x))))


LEFT: dict[str, Callable[[], Any]] = {
    "sequential": lambda: keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(2, 3)]),
    "inputs": lambda: _several(lambda a, b: layers.Add()([a, b])),
    "outputs": lambda: _model(lambda x: [layers.ReLU()(x), layers.Conv2D(2, 1)(x)]),
    "named_output": lambda: _model(lambda x: {"y": layers.ReLU()(x)}),
    "twice": lambda: _model(_twice),
    "nested": lambda: _model(_nested),
    "integers": lambda: _of_input(shape=(6, 6, 4), dtype="int32"),
    "rows": lambda: _of_input(batch_shape=(2, 6, 6, 4)),
    "half": lambda: _model(layers.Conv2D(2, 1, dtype="mixed_float16")),
    "double": lambda: _model(layers.Conv2D(2, 1, dtype="float64")),
    "dilated": lambda: _model(layers.Conv2D(2, 2, dilation_rate=2)),
    "strides": lambda: _model(layers.DepthwiseConv2D(2, strides=(1, 2), padding="valid")),
    "axis": lambda: _model(_norm(axis=1)),
    "capped": lambda: _model(layers.ReLU(max_value=5.0)),
    "leaky": lambda: _model(layers.ReLU(negative_slope=0.1)),
    "threshold": lambda: _model(layers.ReLU(threshold=0.5)),
    "gelu": lambda: _model(layers.Conv2D(2, 1, activation="gelu")),
    "dense": lambda: _model(layers.Dense(2)),
    "unflattened": lambda: _model(layers.Flatten(), (None, 6, 4)),
    "inferred": lambda: _model(layers.Reshape((-1, 4))),
    "broadcast": lambda: _model(lambda x: layers.Multiply()([x, layers.GlobalMaxPooling2D(keepdims=True)(x)])),
    "rows_joined": lambda: _model(lambda x: layers.Concatenate(axis=1)([x, x])),
    "channels": lambda: _model(layers.Rescaling([1.0, 2.0, 3.0, 4.0])),
    "other": lambda: _model(layers.UpSampling2D()),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_keras(tmp_path: Path, name: str) -> None:
    """It is built as always, with the same results."""
    if name == "unflattened" and IS_KERAS_3_3:
        pytest.skip("Keras 3.3 flattens no unknown size in a graph")
    path, model = tmp_path / "m.keras", LEFT[name]()
    model.save(path)
    predict = safeload.load_callable(path)
    assert predict.route != "direct"
    rng = np.random.default_rng(1)
    x = [rng.uniform(-9, 9, (2, 6, 6, 4)).astype(tensor.dtype) for tensor in model.inputs]
    with what_this_keras_can():
        theirs = keras.models.load_model(path, compile=False)(x if len(x) > 1 else x[0], training=False)
    results = predict({info.name: array for info, array in zip(predict.inputs, x, strict=True)})
    several = results.values() if isinstance(results, dict) else [results]
    for ours, expected in zip(several, tf.nest.flatten(theirs), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-2 if name == "half" else 1e-5, atol=1e-5)


def test_short_networks_have_quicker_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that one thread may run as fast is built; a longer one is not."""
    monkeypatch.setattr(_LEAST, MAX_OPERATIONS)
    _network().save(tmp_path / "short.keras")
    _network(14).save(tmp_path / "long.keras")
    assert safeload.load_callable(tmp_path / "short.keras").route != "direct"
    predict, x = _direct(tmp_path / "long.keras"), _image()
    directly = predict(x)
    assert predict.model.count_params() > 0
    _same(predict(x), directly)


def _config() -> Any:
    """Return a config as `dialects.lower` gives it."""
    config = keras.saving.serialize_keras_object(_network())
    for entry in config["config"]["layers"]:
        for node in entry["inbound_nodes"]:
            node["kwargs"].pop("training", None)
    return {**config, "registered_name": None}


def _entry(config: Any, name: str) -> Any:
    return next(entry for entry in config["config"]["layers"] if entry["name"] == name)


def _set(name: str, *path: Any, value: Any) -> Callable[[Any], None]:
    def edit(config: Any) -> None:
        found = _entry(config, name)
        for key in path[:-1]:
            found = found[key]
        found[path[-1]] = value

    return edit


def _connect(name: str, *history: Any) -> Callable[[Any], None]:
    return _set(name, "inbound_nodes", 0, "args", 0, "config", "keras_history", value=list(history))


EDITS: dict[str, Callable[[Any], None]] = {
    "class": lambda config: config.update(class_name="Sequential"),
    "registered": lambda config: config.update(registered_name="mine>Functional"),
    "layer_registered": _set("stem", "registered_name", value="mine>Conv2D"),
    "layer_module": _set("stem", "module", value="mine"),
    "layer_name": _set("stem", "config", "name", value="other"),
    "keywords": _set("stem", "inbound_nodes", 0, "kwargs", value={"training": True}),
    "arguments": _set("stem", "inbound_nodes", 0, "args", value=[1, 2]),
    "argument": _set("stem", "inbound_nodes", 0, "args", value=[3.0]),
    "no_call": _set("stem", "inbound_nodes", value=[]),
    "second_call": _connect("stem", "image", 1, 0),
    "second_result": _connect("stem", "image", 0, 1),
    "loop": _connect("stem", "scores", 0, 0),
    "nowhere": lambda config: config["config"].update(output_layers=["stem", 0, 0]),
    "other_output": lambda config: config["config"].update(output_layers=["stem", 0]),
    "other_input": lambda config: config["config"].update(input_layers=["stem", 0, 0]),
    "input_shape": _set("image", "config", "batch_shape", value=[None, 12, "12", 3]),
    "input_rank": _set("image", "config", "batch_shape", value=[None]),
    "input_empty": _set("image", "config", "batch_shape", value=[None, 0, 12, 3]),
    "input_channels": _set("image", "config", "batch_shape", value=[None, 12, 12, None]),
    "input_sparse": _set("image", "config", "sparse", value=True),
    "input_optional": _set("image", "config", "optional", value=True),
    "unknown_setting": _set("stem", "config", "mirrored", value=False),
    "policy": _set("stem", "config", "dtype", value={"class_name": "QuantizedDTypePolicy", "config": {}}),
    "no_filters": _set("stem", "config", "filters", value=True),
    "kernel_size": _set("stem", "config", "kernel_size", value=[3, 3, 3]),
    "kernel_size_zero": _set("stem", "config", "kernel_size", value=[0, 3]),
    "large_kernel": lambda config: _entry(config, "stem")["config"].update(kernel_size=[13, 3], padding="valid"),
    "causal": _set("stem", "config", "padding", value="causal"),
    "groups": _set("stem", "config", "groups", value=3),
    "channels_first": _set("stem", "config", "data_format", value="channels_first"),
    "padding": _set("padding", "config", "padding", value=1),
    "padding_less": _set("padding", "config", "padding", value=[[0, -1], [0, 0]]),
    "activation": _set("stem", "config", "activation", value=["relu"]),
    "epsilon": _set("norm_0", "config", "epsilon", value="1"),
    "renorm": _set("norm_0", "config", "renorm", value=True),
    "quantized": _set("scores", "config", "quantization_config", value={}),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_config_with_anything_else(name: str) -> None:
    """What is not known is not guessed."""
    config = _config()
    assert network(config)[1] == (None, 3)
    EDITS[name](config)
    with pytest.raises((NotUnderstoodError, LookupError)):
        network(config)


def test_layers_that_make_too_much_are_left_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras's model of the same config is refused for it."""
    config = _config()
    monkeypatch.setattr("safeload.runtime._keras._direct._network.MAX_OUTPUT_BYTES", 12 * 12 * 4 * 4 - 1)
    with pytest.raises(NotUnderstoodError, match="stem makes too much"):
        network(config)


def test_very_long_networks_are_left_to_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's optimizer goes through operations by recursion."""
    monkeypatch.setattr("safeload.runtime._keras._direct._network._MOST", 50)
    with pytest.raises(NotUnderstoodError, match="operations"):
        network(_config())


def _rewritten(path: Path, change: Callable[[h5py.File], None], suffix: str) -> Path:
    """Return a copy of the archive or HDF5 file *path* whose weights are changed."""
    copied = path.with_name(f"changed{suffix}")
    copied.write_bytes(path.read_bytes())
    if suffix == ".h5":
        with h5py.File(copied, "r+") as file:
            change(file["model_weights"])
        return copied
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        change(file)
    members["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(copied, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return copied


def _stem(file: Any) -> tuple[Any, str]:
    return (file["stem/stem"], "bias") if "stem" in file else (file["layers/conv2d/vars"], "1")


def _shorten(file: Any) -> None:
    group, name = _stem(file)
    del group[name]
    group[name] = np.zeros(5, "f4")


def _drop(file: Any) -> None:
    group, name = _stem(file)
    del group[name]


def _double(file: Any) -> None:
    group, name = _stem(file)
    array = group[name][()].astype("f8")
    del group[name]
    group[name] = array


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_weights_that_are_others(tmp_path: Path, suffix: str) -> None:
    """Arrays that do not fit are refused as always; those of another dtype are cast as always."""
    path = tmp_path / f"m{suffix}"
    _network().save(path)
    expected = _direct(path)(_image())
    with pytest.raises(LoadFailedError, match="does not fit|stem"):
        safeload.load_callable(_rewritten(path, _shorten, suffix))
    with pytest.raises(SafeloadError):
        safeload.load_callable(_rewritten(path, _drop, suffix))
    predict = safeload.load_callable(_rewritten(path, _double, suffix))
    assert predict.route != "direct"
    _same(predict(_image()), expected)


@pytest.mark.parametrize(
    ("flavour", "backend", "renamed", "assets"),
    [
        (Flavour.KERAS_1, None, {}, {}),
        (Flavour.KERAS_2, "theano", {}, {}),
        (Flavour.KERAS_2, None, {"a_b": "a/b"}, {}),
        (Flavour.KERAS_3, None, {}, {"layers/a/b.txt": b""}),
    ],
)
def test_weights_that_lie_otherwise(flavour: Any, backend: Any, renamed: Any, assets: Any) -> None:
    """Kernels of Theano and Keras 1, and layers whose names had to change, are left to what knows them."""
    artifact: Any = SimpleNamespace(metadata={"backend": backend}, assets=assets)
    normal: Any = SimpleNamespace(writer=SimpleNamespace(flavour=flavour), renamed=renamed)
    with pytest.raises(NotUnderstoodError):
        filled_variables([], artifact, normal)


def test_weights_that_are_not_those_of_their_checksum(tmp_path: Path) -> None:
    """They are refused."""
    _network().save(tmp_path / "m.keras")
    data = bytearray((tmp_path / "m.keras").read_bytes())
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        weights = archive.read("model.weights.h5")
    kernel = safeload.load_callable(tmp_path / "m.keras").model.get_layer("scores").get_weights()[0].tobytes()
    at = bytes(data).index(weights) + weights.index(kernel)
    data[at] ^= 1
    (tmp_path / "m.keras").write_bytes(data)
    with pytest.raises(MalformedArtifactError):
        safeload.load_callable(tmp_path / "m.keras")


def test_who_listens_to_variables_gets_them_at_once(tmp_path: Path) -> None:
    """Under a strategy, in the scope of a creator, and with the caller's own objects Keras builds the model."""
    _network().save(tmp_path / "m.keras")
    x = _image()
    expected = _direct(tmp_path / "m.keras")(x)
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        mirrored = safeload.load_callable(tmp_path / "m.keras")
    made: list[Any] = []

    def creator(next_creator: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        return next_creator(**kwargs)

    with tf.variable_creator_scope(creator):
        listened = safeload.load_callable(tmp_path / "m.keras")
    assert made
    replaced = safeload.load_callable(tmp_path / "m.keras", custom_objects={"ReLU": layers.ReLU})
    rebuilt = safeload.load_callable(tmp_path / "m.keras", architecture=_network)
    for predict in (mirrored, listened, rebuilt):
        assert predict.route != "direct"
        np.testing.assert_allclose(predict(x), expected, rtol=1e-5)
    _same(replaced(x), expected)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_networks_of_keras_2(tmp_path: Path, suffix: str) -> None:
    """Its names of weights, and of layers in archives, are understood."""
    tf_keras = pytest.importorskip("tf_keras")
    x = tf_keras.Input((6, 6, 4))
    y = tf_keras.layers.DepthwiseConv2D(3, padding="same")(x)
    y = tf_keras.layers.BatchNormalization(trainable=False)(tf_keras.layers.Conv2D(4, 1, activation="relu")(y))
    y = tf_keras.layers.SeparableConv2D(3, 3)(tf_keras.layers.add([x, y]))
    model = _filled(tf_keras.Model(x, tf_keras.layers.Dense(2)(tf_keras.layers.Flatten()(y))))
    model.save(tmp_path / f"m{suffix}")
    predict, x = _direct(tmp_path / f"m{suffix}"), _image(2, 6, 4)
    np.testing.assert_allclose(predict(x), model(x), rtol=1e-5, atol=1e-5)
