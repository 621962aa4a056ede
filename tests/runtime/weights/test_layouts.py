"""Weights of every layout reach their variables: checkpoints, Theano's kernels, weights that a model holds itself."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras.src.legacy.saving import legacy_h5_format

import safeload
from safeload.errors import LoadFailedError, MalformedArtifactError

if TYPE_CHECKING:
    from pathlib import Path


def _dense() -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")])


def _normalized() -> Any:
    return keras.Sequential([keras.Input((3,)), _dense(), keras.layers.BatchNormalization()])


def _conv() -> Any:
    return keras.Sequential([keras.Input((5, 5, 2)), keras.layers.Conv2D(3, 2, name="c")])


class _Scaled(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(2, name="d")
        self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs) * self.scale


def _scaled() -> Any:
    model = _Scaled()
    model(np.zeros((1, 3), "float32"))
    return model


def _shuffled(model: Any) -> Any:
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def _assert_same_weights(loaded: Any, model: Any) -> None:
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_checkpoint_fits_the_architecture_or_is_refused(tmp_path: Path) -> None:
    """Keys are followed along attributes, with or without the name that the saver gave the model."""
    model = _shuffled(_dense())
    for name, checkpoint in (("plain", tf.train.Checkpoint(model)), ("named", tf.train.Checkpoint(model=model))):
        prefix = checkpoint.write(str(tmp_path / name))
        loaded = safeload.load_callable(prefix, architecture=_dense).model
        _assert_same_weights(loaded, model)
        with pytest.raises(LoadFailedError, match="do not fit"):
            safeload.load_callable(prefix, architecture=_conv)


def test_a_checkpoint_of_several_things_holds_one_model(tmp_path: Path) -> None:
    """Counters, optimizers and other models beside the one that fits are left alone; two that fit are refused."""
    model, other = _shuffled(_dense()), _shuffled(_dense())
    beside = {"step": tf.Variable(3), "opt": tf.train.Checkpoint(m=tf.Variable([1.0])), "critic": _conv()}
    prefix = tf.train.Checkpoint(net=model, **beside).save(str(tmp_path / "one"))
    loaded = safeload.load_callable(prefix, architecture=_dense).model
    _assert_same_weights(loaded, model)
    prefix = tf.train.Checkpoint(net=model, target=other).save(str(tmp_path / "two"))
    with pytest.raises(LoadFailedError, match="several parts of the checkpoint fit the model: net, target"):
        safeload.load_callable(prefix, architecture=_dense)


def test_a_checkpoint_of_training_has_the_model_under_its_optimizer(tmp_path: Path) -> None:
    """Keras 3's optimizers list what they train, and TensorFlow names a variable by the shortest way to it."""
    model = _shuffled(_normalized())
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    prefix = tf.train.Checkpoint(net=model, optimizer=optimizer, step=tf.Variable(3)).save(str(tmp_path / "ckpt"))
    keys = [key for key, _ in tf.train.list_variables(prefix)]
    assert any(key.startswith("optimizer/_trainable_variables/") for key in keys)

    loaded = safeload.load_callable(prefix, architecture=_normalized).model
    _assert_same_weights(loaded, model)


def test_weights_of_the_model_itself_are_set(tmp_path: Path) -> None:
    """The group beside the layers holds what a subclassed model owns."""
    model = _shuffled(_scaled())
    with h5py.File(tmp_path / "w.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    loaded = safeload.load_callable(tmp_path / "w.h5", architecture=_scaled).model
    np.testing.assert_array_equal(loaded.scale.numpy(), model.scale.numpy())
    np.testing.assert_array_equal(loaded.dense.kernel.numpy(), model.dense.kernel.numpy())


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("more", [(), ("c",)], ids=["same names", "more names"])
def test_models_inside_have_orders_of_their_own(tmp_path: Path, more: tuple[str, ...], suffix: str) -> None:
    """Two models whose layers have the same names in other orders keep their weights apart, inside wrappers as well."""

    def part(name: str, *names: str) -> Any:
        return keras.Sequential([keras.layers.Dense(4, "tanh", name=inner) for inner in names], name=name)

    parts = [
        part("encoder", "a", "b", *more),
        keras.layers.TimeDistributed(part("steps", "b", "a")),
        part("d", "b", "a"),
    ]
    model = keras.Sequential([keras.Input((2, 4)), *parts])
    x = np.random.default_rng(0).normal(size=(3, 2, 4)).astype("float32")
    model(x)  # Keras 3.3 builds what is inside a TimeDistributed no sooner
    _shuffled(model).save(tmp_path / f"model{suffix}")
    loaded = safeload.load_callable(tmp_path / f"model{suffix}")
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("units", [2, 3], ids=["same shapes", "other shapes"])
def test_a_frozen_wrapper_freezes_what_is_inside(tmp_path: Path, units: int) -> None:
    """Keras 2 saves a model inside by what is trainable, and a wrapper that is not decides for its layers."""
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    inputs = layers.Input((3, 4))
    frozen = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="r"), trainable=False)
    inner = tf_keras.Model(inputs, layers.Bidirectional(layers.LSTM(units, name="r"))(frozen(inputs)))
    model = _shuffled(tf_keras.Model(inputs, inner(inputs)))
    model.save(tmp_path / "model.h5")
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    loaded = safeload.load_callable(tmp_path / "model.h5")
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-5, atol=1e-6)


def test_big_endian_weights(tmp_path: Path) -> None:
    """Arrays of a machine with another order of bytes are turned, wherever in memory they lie."""
    model = _shuffled(_dense())
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        paths: list[str] = []
        file.visititems(lambda path, item: paths.append(path) if isinstance(item, h5py.Dataset) else None)
        for path in paths:
            values = file[path][()]
            del file[path]
            file[path] = values.astype(">f4")
    for _ in range(4):
        loaded = safeload.load_callable(tmp_path / "m.weights.h5", architecture=_dense).model
        _assert_same_weights(loaded, model)


@pytest.mark.filterwarnings("error:Casting complex", "error:overflow")
def test_weights_of_another_kind(tmp_path: Path) -> None:
    """Complex numbers without an imaginary part fit; others are refused, and numpy's warnings are nobody's."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="d")], name="m")
    for value, fits in ((2 + 0j, True), (2 + 1j, False), (1e300, True)):
        path = tmp_path / f"{value}.h5"
        legacy_h5_format.save_model_to_hdf5(model, str(path))
        with h5py.File(path, "r+") as file:
            group = file["model_weights/d"]
            name = group.attrs["weight_names"][0]
            del group[name]
            group[name] = np.array([[value]])
        load = functools.partial(safeload.load_callable, path)
        if fits:
            np.testing.assert_array_equal(load()(np.float32([[1]])), [[np.inf if value == 1e300 else 2]])
        else:
            with pytest.raises(LoadFailedError, match="is float32, the array is complex128"):
                load()


def test_weights_of_an_archive_are_held_against_their_checksum(tmp_path: Path) -> None:
    """A bit that changed on the way is no other model."""
    model = _shuffled(_dense())
    model.save(tmp_path / "m.keras")
    content = bytearray((tmp_path / "m.keras").read_bytes())
    content[content.index(model.get_weights()[0].tobytes())] ^= 1
    with pytest.raises(MalformedArtifactError, match="does not match its checksum"):
        safeload.load_callable(bytes(content))


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("names", [(None, None), ("a", "b")], ids=["automatic", "given"])
def test_names_that_keras_gave_say_little(tmp_path: Path, names: tuple[Any, Any], is_swapped: bool) -> None:
    """A builder that makes its layers in another order gets the recorded order, unless the names were chosen."""

    def build(is_swapped: bool) -> Any:
        keras.backend.clear_session()
        made = {index: keras.layers.Dense(3, name=names[index]) for index in ((1, 0) if is_swapped else (0, 1))}
        return keras.Sequential([keras.Input((3,)), made[0], made[1]])

    model = _shuffled(build(is_swapped=False))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    _assert_same_weights(safeload.load_callable(tmp_path / "w.h5", architecture=lambda: build(is_swapped)).model, model)


def test_a_layer_of_keras_1_with_a_slash_in_its_name(tmp_path: Path) -> None:
    """Its name is the beginning of those of its weights."""
    dense = {"name": "a/b", "trainable": True, "batch_input_shape": [None, 3], "input_dtype": "float32"}
    dense |= {"output_dim": 2, "input_dim": 3, "init": "uniform", "activation": "linear", "bias": True}
    dense |= dict.fromkeys(f"{part}_regularizer" for part in ("W", "b", "activity"))
    dense |= dict.fromkeys(("W_constraint", "b_constraint"))
    config = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": dense}]}
    kernel, bias = np.arange(6, dtype="float32").reshape(3, 2), np.array([1, -1], "float32")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["keras_version"], file.attrs["model_config"] = b"1.2.2", json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"a/b"]
        layer = group.create_group("a/b")
        layer.attrs["weight_names"] = [b"a/b_W:0", b"a/b_b:0"]
        layer["a/b_W:0"], layer["a/b_b:0"] = kernel, bias
    x = np.array([[1, 2, 3]], "float32")
    np.testing.assert_allclose(np.asarray(safeload.load_callable(tmp_path / "m.h5")(x)), x @ kernel + bias)


def test_kernels_of_theano_are_mirrored(tmp_path: Path) -> None:
    """A file whose backend was Theano convolves, so its kernels are turned for a correlation."""
    model = _shuffled(_conv())
    with h5py.File(tmp_path / "w.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
        file.attrs["keras_version"], file.attrs["backend"] = b"2.0.8", b"theano"
    loaded = safeload.load_callable(tmp_path / "w.h5", architecture=_conv).model
    np.testing.assert_array_equal(loaded.layers[0].kernel.numpy(), model.layers[0].kernel.numpy()[::-1, ::-1])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_sequential_without_input_takes_the_width_of_its_weights(tmp_path: Path, suffix: str) -> None:
    """A model that was built by its first call records no Input; its first kernel tells the width."""
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(2)])
    x = np.ones((2, 3), "float32")
    expected = model(x).numpy()
    model.save(tmp_path / f"m{suffix}")
    loaded = safeload.load_callable(tmp_path / f"m{suffix}")
    np.testing.assert_allclose(loaded(x).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("names", [("dense", "dense_2"), ("dense", "dense_1")], ids=["2.12", "2.14"])
def test_layers_that_are_listed_twice_are_counted_as_the_release_did(tmp_path: Path, names: tuple[str, str]) -> None:
    """Keras 2.12 to 2.14 list a layer with weights twice; only 2.14 does not count it again."""
    model = _shuffled(_dense())
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        for name, layer in zip(names, model.layers, strict=True):
            for index, array in enumerate(layer.get_weights()):
                file[f"_layer_checkpoint_dependencies/{name}/vars/{index}"] = array
    loaded = safeload.load_callable(str(path), architecture=_dense).model
    _assert_same_weights(loaded, model)


def _scaled_or_not() -> Any:
    inputs = outputs = keras.Input((4, 3))
    for use_scale in (True, False, True):
        outputs = keras.layers.Attention(use_scale=use_scale)([outputs, inputs])
    return keras.Model(inputs, outputs)


def test_layers_of_one_class_of_which_some_have_no_weights(tmp_path: Path) -> None:
    """Keras 2.14 counts all of them once; a count of those with weights twice would lead to one without."""
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        for name, value in (("attention", 0.25), ("attention_2", 0.75)):
            file[f"_layer_checkpoint_dependencies/{name}/vars/0"] = np.float32(value)
    loaded = safeload.load_callable(str(path), architecture=_scaled_or_not).model
    assert [float(weight) for weight in loaded.get_weights()] == [0.25, 0.75]


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantized_layers_take_their_arrays_in_their_own_order(tmp_path: Path, mode: str) -> None:
    """A quantized layer saves its kernel before its bias, though only the bias is trainable."""
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(8, use_bias=False)])
    try:
        model.quantize(mode)
    except ValueError:
        pytest.skip(f"this Keras has no {mode}")
    model.save(tmp_path / "m.keras")
    x = np.linspace(-1, 1, 16, dtype="float32").reshape(2, 8)
    loaded = safeload.load_callable(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded(x).numpy(), model(x).numpy(), rtol=1e-6)


def _sharing(*, twice: bool = False) -> Any:
    """A model that calls ``part`` itself and in another model; *twice* has another part of the same name and shape."""
    x, y = keras.Input((4,)), keras.Input((4,))
    part, other = (
        keras.Sequential([keras.Input((4,), name="i"), keras.layers.Dense(4, "tanh", name="d")], name="part")
        for _ in range(2)
    )
    whole = keras.Model(y, part(part(y)), name="whole")
    end = keras.Model(y, other(y), name="end") if twice else keras.layers.Dense(2)
    return _shuffled(keras.Model(x, end(part(whole(x)))))


def test_a_part_that_two_models_share_is_saved_once(tmp_path: Path) -> None:
    """Its config is in the file twice; the second gets the weights of the first, by path and from a checkpoint."""
    model = _sharing()
    x = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)
    model.save(tmp_path / "m.keras")
    (tmp_path / "m.json").write_text(model.to_json())
    prefix = tf.train.Checkpoint(net=model, step=tf.Variable(1)).write(str(tmp_path / "ckpt"))
    for source, options in ((tmp_path / "m.keras", {}), (prefix, {"architecture": tmp_path / "m.json"})):
        loaded = safeload.load_callable(source, **options)
        np.testing.assert_allclose(loaded(x).numpy(), model(x).numpy(), rtol=1e-5)


def test_a_part_that_two_others_resemble_is_refused(tmp_path: Path) -> None:
    """Nothing tells which of them it was."""
    _sharing(twice=True).save(tmp_path / "m.keras")
    with pytest.raises(LoadFailedError, match="no array for"):
        safeload.load_callable(tmp_path / "m.keras")


def test_the_state_of_random_layers_in_a_checkpoint_is_no_weight(tmp_path: Path) -> None:
    """TensorFlow 2.3 to 2.15 record generators below the layers that use them."""
    model = _shuffled(_dense())
    generator = tf.train.Checkpoint(_state_var=tf.Variable([1, 2, 3]))
    model.layers[0]._rng = generator
    tree = {f"layer-{i}": layer for i, layer in enumerate(model.layers)}
    root = tf.train.Checkpoint(**tree, **{"layer-9": tf.train.Checkpoint(_rng=generator)})
    prefix = root.write(str(tmp_path / "ckpt"))
    assert any("_rng" in name for name, _ in tf.train.list_variables(prefix))
    loaded = safeload.load_callable(prefix, architecture=_dense).model
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_layer_that_an_attribute_leads_to_late(tmp_path: Path, is_counted: bool) -> None:
    """Its path is among the layers, which Keras 2.13 counts all, and 2.14 without those it had met before."""

    class Late(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.first, self.steps = keras.layers.Dense(3), [keras.layers.Dense(3)]
            self.zlast = keras.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.zlast(self.steps[0](self.first(inputs)))

    model = Late()
    expected = np.asarray(model(np.eye(3, dtype=np.float32)))
    arrays = {"first": model.first, "steps/dense": model.steps[0]}
    number = model.layers.index(model.zlast)
    arrays[f"layers/dense_{number}" if is_counted else "layers/dense"] = model.zlast
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        for owner, layer in arrays.items():
            for index, array in enumerate(layer.get_weights()):
                file[f"{owner}/vars/{index}"] = array

    def architecture() -> Any:
        built = Late()
        built(np.eye(3, dtype=np.float32))
        return built

    found = safeload.load_callable(tmp_path / "m.weights.h5", architecture=architecture)(np.eye(3, dtype=np.float32))
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-6)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_optimizer_of_a_model_inside_is_no_weight(package: str, tmp_path: Path) -> None:
    """As of the discriminator in a GAN, which is compiled before it is put into the whole."""
    package = pytest.importorskip(package)
    inside = package.Sequential([package.Input((4,)), package.layers.Dense(1)])
    inside.compile("adam", "mse")
    model = package.Sequential([package.Input((3,)), package.layers.Dense(4), inside])
    model.compile("adam", "mse")
    model.save(tmp_path / "m.keras")
    x = np.ones((2, 3), "float32")
    np.testing.assert_allclose(safeload.load_callable(tmp_path / "m.keras")(x), model(x), rtol=1e-6)


def _heads(package: Any) -> Any:
    """Return a model with layers in a dict whose keys are names that Keras gives to members, in lists, by odd keys."""

    class Heads(package.Model):  # type: ignore[misc]  # keras or tf_keras, which have no types
        def __init__(self) -> None:
            super().__init__()
            self.heads = {"dense_1": package.layers.Dense(2), "dense": package.layers.Dense(2)}
            self.rest = [{"a.b/c": package.layers.Dense(2)}, (package.layers.Dense(2),)]

        def call(self, inputs: Any) -> Any:
            last = self.rest[1][0](self.rest[0]["a.b/c"](inputs))
            return self.heads["dense_1"](inputs) + 10 * self.heads["dense"](inputs) + 100 * last

    model = Heads()
    model(np.ones((1, 2), "float32"))
    return model


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_members_of_dicts_have_their_keys_in_checkpoints(tmp_path: Path, package: Any) -> None:
    """The kernel of each is a number: 1 + 10 x 2 + 100 x 3 x 4 times the input."""
    model = _heads(tf_keras)
    layers = [*(model.heads[key] for key in ("dense_1", "dense")), model.rest[0]["a.b/c"], model.rest[1][0]]
    for factor, layer in enumerate(layers, start=1):
        layer.set_weights([factor * np.eye(2), np.zeros(2)])
    for name, checkpoint in (("plain", tf.train.Checkpoint(model)), ("named", tf.train.Checkpoint(model=model))):
        prefix = checkpoint.write(str(tmp_path / name))
        predict = safeload.load_callable(prefix, architecture=lambda: _heads(package))
        np.testing.assert_allclose(predict(np.float32([[1, 2]])), [[1221, 2442]])


class _Weighted(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras has no types
    """Has weights of one name, in a list; ``layers`` is an attribute of its own."""

    def build(self, input_shape: Any) -> None:
        self.parts = [self.add_weight(name="w", shape=(2,)) for _ in range(3)]
        self.free = {"k": tf.Variable([1.0, 1.0]), "note": "text"}
        self.layers = [tf_keras.layers.Dense(2, use_bias=False)]
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        first, second, third = self.parts
        return self.layers[0](inputs) * first + 10 * second + 100 * third + 1000 * self.free["k"]


def _weighted() -> Any:
    model = tf_keras.Sequential([_Weighted()])
    model(np.ones((1, 2), "float32"))
    return model


def test_weights_of_one_name_in_a_list_have_their_index_in_checkpoints(tmp_path: Path) -> None:
    """The last one has the name, the others the path of the list; the kernel is 5: 5 x 1 + 20 + 300 + 4000."""
    model = _weighted()
    layer = model.layers[0]
    for value, variable in enumerate([*layer.parts, layer.free["k"]], start=1):
        variable.assign([value, value])
    layer.layers[0].set_weights([5 * np.eye(2)])
    prefix = str(tmp_path / "ckpt")
    model.save_weights(prefix)
    keys = {name for name, _ in tf.train.list_variables(prefix)}
    assert {
        f"layer_with_weights-0/{key}/.ATTRIBUTES/VARIABLE_VALUE" for key in ("w", "parts/0", "layers/0/kernel")
    } < keys
    predict = safeload.load_callable(prefix, architecture=_weighted)
    np.testing.assert_allclose(predict(np.ones((1, 2), "float32")), [[4325, 4325]])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", ["Bidirectional", "RNN", "TimeDistributed"])
def test_a_slash_in_the_name_of_a_layer_inside_another(name: str, suffix: str, tmp_path: Path) -> None:
    """Keras 2 allowed it."""
    tf_keras = pytest.importorskip("tf_keras")
    layers, x = tf_keras.layers, np.ones((2, 4, 3), "float32")
    inside = {"Bidirectional": layers.GRU, "RNN": layers.GRUCell, "TimeDistributed": layers.Dense}[name](2, name="a/b")
    model = tf_keras.Sequential([tf_keras.Input((4, 3)), getattr(layers, name)(inside)])
    model.save(tmp_path / f"m{suffix}")
    np.testing.assert_allclose(safeload.load_callable(tmp_path / f"m{suffix}")(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("axis", "recorded"), [(-1, 4), (1, 2)])
def test_statistics_of_virtual_batches_have_all_axes(tmp_path: Path, axis: int, recorded: int) -> None:
    """A BatchNormalization of virtual batches has them with axes of one, and is any other in inference."""
    layers = [tf_keras.Input((4, 3, 5)), tf_keras.layers.BatchNormalization(axis, virtual_batch_size=2)]
    model = tf_keras.Sequential(layers)
    random = np.random.default_rng(0)
    gamma, beta, mean, variance = arrays = [random.uniform(0.5, 2, w.shape).astype("float32") for w in model.weights]
    assert model.layers[0].axis == [recorded]
    model.set_weights(arrays)
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "ckpt" / "w", save_format="tf")
    (tmp_path / "m.json").write_text(model.to_json())
    x = random.normal(size=(4, 4, 3, 5)).astype("float32")
    expected = (x - mean[0]) / np.sqrt(variance[0] + 1e-3) * gamma[0] + beta[0]
    for predict in (
        safeload.load_callable(tmp_path / "m.h5"),
        safeload.load_callable(tmp_path / "ckpt" / "w", architecture=tmp_path / "m.json"),
    ):
        np.testing.assert_allclose(np.asarray(predict(x)), expected, rtol=1e-4, atol=1e-5)
