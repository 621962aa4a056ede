"""safeload's layers against tf_keras, and against Keras 1's formulas where nothing else has them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras2_configs import layers_of, normal, simple

from safeload.dialects import COMPAT_MODULE, COMPAT_OBJECTS
from safeload.errors import IncompatibleVersionError, MalformedArtifactError
from safeload.runtime.compat import compat_objects

tf_keras = pytest.importorskip("tf_keras")

COMPAT = compat_objects("keras")


def filled(layer: Any, x: Any, seed: int = 0) -> list[np.ndarray]:
    """Build *layer* on *x* and give it random weights."""
    layer(x)
    generator = np.random.default_rng(seed)
    weights = [generator.normal(size=w.shape).astype("float32") for w in layer.weights]
    layer.set_weights(weights)
    return weights


def sample(*shape: int) -> np.ndarray:
    """Return inputs that are the same in every run."""
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def assert_equal_to_tf_keras(name: str, x: np.ndarray, **config: Any) -> None:
    """Compare the layer *name* of safeload with that of tf_keras, weights in the order of the file."""
    old = getattr(tf_keras.layers, name)(**config)
    weights = filled(old, x)
    new = COMPAT[name](**config)
    new(x)
    assert [tuple(w.shape) for w in new.weights] == [w.shape for w in weights]
    new.set_weights(weights)
    assert np.allclose(new(x), old(x), atol=1e-5)
    assert tuple(new.compute_output_shape(x.shape)) == tuple(old(x).shape)


class TestCompatObjects:
    """The function `compat_objects`."""

    def test_every_name_of_the_contract_is_built(self) -> None:
        """Each name that the normal form may use has an implementation."""
        assert COMPAT.keys() == COMPAT_OBJECTS.keys()

    def test_tf_keras_brings_its_own(self) -> None:
        """For tf_keras the objects are those of tf_keras."""
        assert compat_objects("tf_keras")["LocallyConnected1D"] is tf_keras.layers.LocallyConnected1D


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
class TestDot:
    """Products before tensors of more than three axes were multiplied along any of them."""

    @pytest.mark.parametrize(
        ("shape", "axes", "formula"),
        [
            ((4, 6, 3), -1, "bcik,bcjk->bcij"),
            ((4, 6, 3), 3, "bcik,bcjk->bcij"),
            ((4, 4, 3), 2, "bcki,bckj->bcij"),
            ((4, 5, 3), 1, "bcki,bckj->bcij"),  # whichever it is, if not the last
            ((4, 4, 4), (1, 3), "bcki,bcjk->bcij"),
            ((2, 3, 4, 2), -1, "bcdik,bcdjk->bcdij"),
            ((5, 3), 1, "bki,bkj->bij"),
            ((3,), -1, "bk,bk->b"),
        ],
    )
    def test_the_last_two_axes(self, package: Any, shape: tuple[int, ...], axes: Any, formula: str) -> None:
        """An axis that is not the last one is the one before it."""
        left, right = package.Input(shape), package.Input(shape)
        outputs = compat_objects(package.__name__)["Dot"](axes)([left, right])
        x, y = sample(2, *shape), sample(2, *shape) + 1
        expected = np.einsum(formula, x, y)
        expected = expected[:, None] if expected.ndim == 1 else expected
        np.testing.assert_allclose(package.Model([left, right], outputs)([x, y]), expected, rtol=1e-5)
        assert tuple(outputs.shape) == (None, *expected.shape[1:])

    def test_other_ranks(self, package: Any) -> None:
        """The first one of fewer axes is a stack of rows."""
        left, right = package.Input((5, 3)), package.Input((5, 4, 3))
        outputs = compat_objects(package.__name__)["Dot"]((2, 3))([left, right])
        x, y = sample(2, 5, 3), sample(2, 5, 4, 3) + 1
        found = package.Model([left, right], outputs)([x, y])
        np.testing.assert_allclose(found, np.einsum("bck,bcjk->bcj", x, y), rtol=1e-5)

    def test_cosines(self, package: Any) -> None:
        """Inputs are normalised along the axis that the layer was given."""
        left, right = package.Input((4, 4, 3)), package.Input((4, 4, 3))
        layer = compat_objects(package.__name__)["Dot"](1, normalize=True)
        x, y = sample(2, 4, 4, 3), sample(2, 4, 4, 3) + 1
        found = package.Model([left, right], layer([left, right]))([x, y])
        x, y = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (x, y))
        np.testing.assert_allclose(found, np.einsum("bcki,bckj->bcij", x, y), rtol=1e-4, atol=1e-6)


class TestAgainstKeras2:
    """Layers that tf_keras still has."""

    def test_hard_sigmoid(self) -> None:
        """The activation is the straight line of Keras 2."""
        x = tf.linspace(-6.0, 6.0, 50)
        assert np.allclose(COMPAT["hard_sigmoid"](x), tf_keras.activations.hard_sigmoid(x))

    def test_thresholded_relu(self) -> None:
        """Values up to theta become 0."""
        assert_equal_to_tf_keras("ThresholdedReLU", sample(4, 5), theta=0.3)

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    @pytest.mark.parametrize(("implementation", "padding"), [(1, "valid"), (2, "valid"), (2, "same")])
    def test_locally_connected_1d(self, data_format: str, implementation: int, padding: str) -> None:
        """Every stored form of the kernel gives the outputs of tf_keras."""
        config = {"strides": 2, "padding": padding, "implementation": implementation, "activation": "tanh"}
        assert_equal_to_tf_keras(
            "LocallyConnected1D", sample(2, 7, 5), filters=4, kernel_size=3, data_format=data_format, **config
        )

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    @pytest.mark.parametrize(("implementation", "padding"), [(1, "valid"), (2, "valid"), (2, "same")])
    def test_locally_connected_2d(self, data_format: str, implementation: int, padding: str) -> None:
        """Windows with different sides and strides are cut as tf_keras cuts them."""
        config = {"strides": (2, 1), "padding": padding, "implementation": implementation}
        assert_equal_to_tf_keras(
            "LocallyConnected2D", sample(2, 7, 6, 5), filters=3, kernel_size=(3, 2), data_format=data_format, **config
        )

    def test_locally_connected_without_bias(self) -> None:
        """The bias may be absent."""
        assert_equal_to_tf_keras("LocallyConnected1D", sample(2, 6, 3), filters=2, kernel_size=2, use_bias=False)

    def test_sparse_kernels_are_refused(self) -> None:
        """Implementation 3 stores the kernel as a list of values."""
        with pytest.raises(IncompatibleVersionError, match="implementation 3"):
            COMPAT["LocallyConnected1D"](2, 2, implementation=3)

    def test_random_fourier_features(self) -> None:
        """The kernel is divided by the scale."""
        x = sample(3, 4)
        old = tf_keras.layers.experimental.RandomFourierFeatures(6, scale=2.0)
        old(x)
        new = COMPAT["RandomFourierFeatures"](6, scale=2.0)
        new(x)
        new.set_weights(old.get_weights())
        assert np.allclose(new(x), old(x), atol=1e-5)
        assert new.get_config()["output_dim"] == 6
        assert new.compute_output_shape((3, 4)) == (3, 6)

    @pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
    def test_causal_attention(self, name: str) -> None:
        """A step attends to earlier ones only."""
        x = sample(2, 4, 3)
        old, new = getattr(tf_keras.layers, name)(), COMPAT[f"Causal{name}"]()
        expected = old([x, x], use_causal_mask=True)
        inputs = keras.Input((4, 3))
        model = keras.Model(inputs, new([inputs, inputs]))
        new.set_weights(old.get_weights())
        assert np.allclose(model(x), expected, atol=1e-4)

    @pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
    def test_causal_attention_of_masked_steps(self, name: str) -> None:
        """No step attends to a masked one, and what a masked one finds is zero."""
        x = sample(2, 4, 3)
        x[0, 2:] = x[1, 1] = 0
        old, new = getattr(tf_keras.layers, name)(), COMPAT[f"Causal{name}"]()
        masked = tf_keras.layers.Masking()(x)
        expected = old([masked, masked], use_causal_mask=True)
        inputs = keras.Input((4, 3))
        steps = keras.layers.Masking()(inputs)
        model = keras.Model(inputs, new([steps, steps]))
        new.set_weights(old.get_weights())
        assert np.allclose(model(x), expected, atol=1e-4)
        assert not np.any(expected[0, 2:])

    @pytest.mark.parametrize("name", ["CausalAttention", "CausalAdditiveAttention"])
    def test_causal_attention_drops_out_in_training(self, name: str) -> None:
        """Inside of a model, too, which says that it trains."""
        inputs = keras.Input((4, 3))
        model = keras.Model(inputs, COMPAT[name](dropout=0.9)([inputs, inputs]))
        x = sample(2, 4, 3)
        assert np.any(model(x, training=True) == 0)
        assert np.all(model(x) != 0)

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_old_bilinear_upsampling(self, data_format: str) -> None:
        """The grid begins at the corner, as in TensorFlow 1."""
        x = sample(1, 3, 4, 2)
        images = np.transpose(x, (0, 3, 1, 2)) if data_format == "channels_first" else x
        layer = COMPAT["UpSampling2D"](size=(2, 3), data_format=data_format, interpolation="bilinear")
        expected = tf.compat.v1.image.resize_bilinear(x, (6, 12)).numpy()
        found = layer(images).numpy()
        assert np.allclose(np.transpose(found, (0, 2, 3, 1)) if data_format == "channels_first" else found, expected)

    @pytest.mark.parametrize(("rows", "columns"), [(8, 5), (5, 8)])
    def test_old_random_crop(self, rows: int, columns: int) -> None:
        """The image is scaled to cover the size, then its centre is taken."""
        x = sample(2, rows, columns, 3)
        inputs = keras.Input((None, None, 3))
        keys = {"height": 4, "width": 4, "seed": None, "trainable": True, "dtype": "float32"}
        recorded = simple("RandomCrop", [["x", 0, 0, {}]], **keys)
        layer = layers_of(normal(recorded, "2.5.0"))["y"]
        assert layer["module"] == COMPAT_MODULE
        model = keras.Model(inputs, COMPAT["RandomCrop"](**{**layer["config"], "dtype": "float32"})(inputs))
        scaled = tf.image.resize(x, (6, 4) if rows > columns else (4, 6)).numpy()
        assert np.allclose(model(x), scaled[:, 1:5] if rows > columns else scaled[:, :, 1:5])

    def test_open_sizes_of_a_product(self) -> None:
        """Keras 2 took them from the tensor, for a later layer to ask for; an ellipsis stands for what is known."""
        for equation, sizes, expected in (
            ("abc,cde->adbe", (2, None, 5), (None, 2, 4, 5)),
            ("...x,xy->...y", 5, (None, 4, 5)),
        ):
            layer = COMPAT["EinsumDense"](equation, output_shape=sizes)
            layer.build((None, 4, 3))
            assert layer.compute_output_shape((None, 4, 3)) == expected
        inputs = keras.Input((4, 6))
        first = COMPAT["EinsumDense"]("abc,cde->abde", output_shape=(None, 2, 3))
        second = keras.layers.EinsumDense("abde,def->abf", output_shape=(4, 5))
        model, x = keras.Model(inputs, second(first(inputs))), sample(2, 4, 6)
        kernels = [weight.numpy() for weight in model.weights]
        expected = np.einsum("abde,def->abf", np.einsum("abc,cde->abde", x, kernels[0]), kernels[1])
        assert np.allclose(model(x), expected, atol=1e-5)

    @pytest.mark.parametrize("config", [{"bin_boundaries": [-0.5, 0.0, 1.0]}, {"num_bins": 4}])
    def test_boundaries_of_tensorflow_2_5_belong_to_the_bin_below(self, config: Any) -> None:
        """As does NaN. The numbers are those of TensorFlow 2.5.3."""
        x = np.array([[-1, 0, 0.5], [1, 2, np.nan], [np.inf, -np.inf, -0.5]], "float32")
        layer = COMPAT["Discretization"](**config, epsilon=0.01)
        layer.set_weights([np.array([-0.5, 0, 1, np.inf], "float32")])
        inputs = keras.Input((3,))
        found = keras.Model(inputs, layer(inputs))(x)
        assert found.numpy().tolist() == [[0, 1, 2], [2, 3, 0], [3, 0, 0]]
        assert found.dtype == layer(inputs).dtype == "int32"

    def test_directions_that_give_zeros_at_the_end(self) -> None:
        """Forward, the masked last step is the output; backward, the first step comes last and is not masked."""
        zeroed, plain = both_ways(keras.layers.GRU(2, zero_output_for_mask=True))
        assert not zeroed[:, :2].any()
        assert np.allclose(zeroed[:, 2:], plain[:, 2:])

    def test_directions_that_repeat_what_was_before(self) -> None:
        """Forward, the masked last step has the output of the one before; backward, nothing comes before it."""
        repeated, plain = both_ways(keras.layers.GRU(2, return_sequences=True))
        assert np.allclose(repeated[:, :3], plain[:, :3])
        assert np.allclose(repeated[:, 3, :2], plain[:, 2, :2])
        assert not plain[:, 3].any()

    def test_a_direction_of_its_own(self) -> None:
        """Each is told for itself."""
        forward, backward = (
            keras.layers.GRU(2, go_backwards=backwards, zero_output_for_mask=backwards) for backwards in (False, True)
        )
        layer = COMPAT["Bidirectional"](forward, backward_layer=backward)
        assert (layer.forward_layer.zero_output_for_mask, layer.backward_layer.zero_output_for_mask) == (False, True)


def both_ways(layer: Any) -> list[np.ndarray]:
    """Return what safeload's Bidirectional and that of Keras 3 make of *layer*; the last of four steps is masked."""
    x = sample(2, 4, 3)
    x[:, 3:] = 0
    inputs = keras.Input((4, 3))
    masked = keras.layers.Masking()(inputs)
    classes = (COMPAT["Bidirectional"], keras.layers.Bidirectional)
    models = [keras.Model(inputs, cls(layer)(masked)) for cls in classes]
    models[1].set_weights(models[0].get_weights())
    return [model(x).numpy() for model in models]


class TestKeras1:
    """Layers that only Keras 1 had, against its formulas."""

    def test_maxout(self) -> None:
        """The largest of the features is kept."""
        x, layer = sample(3, 4), COMPAT["MaxoutDense"](5, nb_feature=2)
        kernel, bias = filled(layer, x)
        assert np.allclose(layer(x), (np.dot(x, kernel) + bias).max(axis=1), atol=1e-5)

    def test_maxout_without_bias(self) -> None:
        """The bias may be absent."""
        x, layer = sample(3, 4), COMPAT["MaxoutDense"](5, use_bias=False)
        (kernel,) = filled(layer, x)
        assert np.allclose(layer(x), np.dot(x, kernel).max(axis=1), atol=1e-5)

    def test_highway(self) -> None:
        """The gate mixes the transformed input with the input."""
        x, layer = sample(3, 4), COMPAT["Highway"](activation="tanh")
        kernel, carry, bias, carry_bias = filled(layer, x)
        gate = 1 / (1 + np.exp(-(x @ carry + carry_bias)))
        assert np.allclose(layer(x), gate * np.tanh(x @ kernel + bias) + (1 - gate) * x, atol=1e-5)

    def test_cosine(self) -> None:
        """The denominator is that of each pair; it is never zero."""
        layer, a, b = COMPAT["CosineMerge"](axes=[1, 1]), sample(3, 4), sample(3, 4) + 1
        a[1] = 0
        expected = (a * b).sum(axis=1) / np.maximum(np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)), 1e-7)
        inputs = [keras.Input((4,)), keras.Input((4,))]
        output = layer(inputs)
        assert tuple(output.shape) == (None, 1, 1)
        assert np.allclose(keras.Model(inputs, output)([a, b]), expected.reshape(3, 1, 1), atol=1e-6)
        a, b = sample(2, 3, 4), np.abs(sample(2, 3, 4)) + 1
        squares = (a @ a.swapaxes(1, 2)) * (b @ b.swapaxes(1, 2))
        assert squares.min() < 0
        expected = a @ b.swapaxes(1, 2) / np.maximum(np.sqrt(np.maximum(squares, 0)), 1e-7)
        assert np.allclose(COMPAT["CosineMerge"](axes=2)([a, b]), expected[:, None], rtol=1e-4, atol=1e-6)

    def test_srelu(self) -> None:
        """Between the thresholds the input passes; outside the slopes are learnt."""
        x, layer = sample(3, 4, 2), COMPAT["SReLU"](shared_axes=[1])
        t_left, a_left, t_right, a_right = filled(layer, x)
        assert t_left.shape == (1, 2)
        right = t_left + np.abs(t_right)
        expected = np.where(x < t_left, t_left + a_left * (x - t_left), np.minimum(x, right))
        assert np.allclose(layer(x), expected + np.maximum(x - right, 0) * a_right, atol=1e-5)

    def test_parametric_softplus(self) -> None:
        """Scale and steepness are learnt."""
        x, layer = sample(3, 4), COMPAT["ParametricSoftplus"]()
        alphas, betas = filled(layer, x)
        assert np.allclose(layer(x), np.log1p(np.exp(betas * x)) * alphas, atol=1e-4)

    def test_samplewise_batch_normalization(self) -> None:
        """Mode 1 normalises every sample over its last axis, with epsilon twice."""
        x, layer = sample(3, 4), COMPAT["BatchNormalization"](mode=1, epsilon=0.01)
        gamma, beta, _, _ = filled(layer, x)
        deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 0.01)
        assert np.allclose(
            layer(x), gamma * (x - x.mean(axis=-1, keepdims=True)) / (deviation + 0.01) + beta, atol=1e-4
        )

    def test_batchwise_batch_normalization(self) -> None:
        """Mode 2 uses the statistics of the batch in inference too."""
        x, layer = sample(5, 4, 3), COMPAT["BatchNormalization"](mode=2, axis=1)
        gamma, beta, _, _ = filled(layer, x)
        normed = (x - x.mean(axis=(0, 2), keepdims=True)) / np.sqrt(x.var(axis=(0, 2), keepdims=True) + 1e-3)
        assert np.allclose(layer(x), gamma[:, None] * normed + beta[:, None], atol=1e-4)

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_deconvolution_has_the_stated_size(self, data_format: str) -> None:
        """Of the sizes that a stride allows, the stated one is made."""
        x = sample(2, 3, 3, 2)
        images = np.transpose(x, (0, 3, 1, 2)) if data_format == "channels_first" else x
        shape = (None, 4, 6, 6) if data_format == "channels_first" else (None, 6, 6, 4)
        layer = COMPAT["Deconvolution2D"](
            4, (3, 3), output_shape=shape, strides=(2, 2), padding="same", data_format=data_format
        )
        kernel, bias = filled(layer, images)
        expected = tf.nn.conv2d_transpose(x, kernel, (2, 6, 6, 4), (2, 2), "SAME") + bias
        found = layer(images).numpy()
        assert layer.compute_output_shape(images.shape)[1:] == found.shape[1:]
        assert np.allclose(
            np.transpose(found, (0, 2, 3, 1)) if data_format == "channels_first" else found, expected, atol=1e-4
        )


class TestTensorFlowSymbol:
    """The layer TensorFlowSymbol."""

    def test_a_function_becomes_part_of_a_model(self) -> None:
        """Called on symbolic tensors it traces, called on values it computes."""
        inputs = keras.Input((4,))
        model = keras.Model(inputs, COMPAT["TensorFlowSymbol"]("math.multiply", name="twice")(inputs, 2.0))
        assert np.allclose(model(sample(3, 4)), sample(3, 4) * 2)
        assert model.operations[-1].get_config() == {"name": "twice", "function": "math.multiply"}

    @pytest.mark.parametrize(
        ("function", "expected"), [("keras.backend.mean", 2.0), ("keras.activations.relu", [1.0, 3.0])]
    )
    def test_functions_of_keras_2(self, function: str, expected: Any) -> None:
        """Functions of tf.keras resolve to what Keras 3 kept of them."""
        assert np.allclose(COMPAT["TensorFlowSymbol"](function)(tf.constant([1.0, 3.0])), expected)

    def test_shapes_that_are_computed(self) -> None:
        """A layer that makes a shape and one that uses it are two, and the layer behind needs to know the 12."""
        inputs = keras.Input((4, 3))
        size = COMPAT["TensorFlowSymbol"]("shape")(inputs, out_type="int64")
        batch = COMPAT["TensorFlowSymbol"]("__operators__.getitem")(size, {"start": 0, "stop": 1, "step": None})
        shape = COMPAT["TensorFlowSymbol"]("concat")([batch, [12]], 0)
        outputs = COMPAT["TensorFlowSymbol"]("reshape")(inputs, shape)
        assert outputs.shape == (None, 12)
        x = sample(5, 4, 3)
        assert np.array_equal(keras.Model(inputs, outputs)(x), x.reshape(5, 12))

    @pytest.mark.parametrize("function", ["io.write_file", "load_op_library", "__class__", "keras.utils.get_file"])
    def test_other_functions_are_refused(self, function: str) -> None:
        """The table is asked again when the layer is made."""
        with pytest.raises(IncompatibleVersionError):
            COMPAT["TensorFlowSymbol"](function)

    def test_every_listed_function_is_callable(self) -> None:
        """The table names functions that exist, apart from those that TensorFlow dropped since."""
        from safeload.dialects import ALLOWED_SYMBOLS
        from safeload.runtime.compat import _keras2, _symbol
        from safeload.runtime.compat._tensorflow import symbol_function

        for package in (_symbol, _keras2):
            found = (symbol_function(name, keras=package._keras_module) for name in ALLOWED_SYMBOLS)
            assert all(map(callable, found))


def operation(op: str, constants: Any = None, attributes: Any = None, /, **types: str) -> Any:
    """Return a layer that runs *op*."""
    attr = {**{key: {"type": value} for key, value in types.items()}, **(attributes or {})}
    return COMPAT["TensorFlowNode"]({"name": op.lower(), "op": op, "attr": attr}, constants)


class TestTensorFlowNode:
    """The layer TensorFlowNode."""

    def test_an_op_with_constants(self) -> None:
        """Constants take their place among the inputs, with the dtype of the op."""
        node = {"name": "mul", "op": "Mul", "input": ["x", "y"], "attr": {"T": {"type": "DT_DOUBLE"}}}
        layer = COMPAT["TensorFlowNode"](node, {"1": 0.5}, name="half")
        assert np.allclose(layer(tf.constant([2.0, 4.0], tf.float64)), [1.0, 2.0])
        assert layer.get_config() == {"name": "half", "node_def": node, "constants": {"1": 0.5}}

    def test_an_op_with_several_outputs(self) -> None:
        """All outputs are returned, inside a model too."""
        node = {
            "name": "split",
            "op": "Split",
            "input": ["d", "x"],
            "attr": {"T": {"type": "DT_FLOAT"}, "num_split": {"i": "2"}},
        }
        inputs = keras.Input((4,))
        model = keras.Model(inputs, COMPAT["TensorFlowNode"](node, {"0": 1})(inputs))
        first, second = model(sample(3, 4))
        assert np.allclose(np.concatenate([first, second], axis=1), sample(3, 4))

    def test_lists_of_inputs(self) -> None:
        """An op that takes a list of tensors gets all of them."""
        node = {
            "name": "stack",
            "op": "Pack",
            "input": ["a", "b"],
            "attr": {"T": {"type": "DT_FLOAT"}, "N": {"i": "2"}},
        }
        assert COMPAT["TensorFlowNode"](node, {"1": 1.0})(tf.constant(3.0)).numpy().tolist() == [3.0, 1.0]

    def test_an_empty_constant_in_a_list(self) -> None:
        """An element of a list has the list's type, which an empty one does not tell: ``K.switch`` writes this."""
        types = {"T": {"type": "DT_INT32"}, "Tidx": {"type": "DT_INT32"}}
        node = {"name": "c", "op": "ConcatV2", "input": ["a", "b", "i"], "attr": {"N": {"i": "2"}, **types}}
        assert COMPAT["TensorFlowNode"](node, {"1": [], "2": 0})(tf.constant([3, 4])).numpy().tolist() == [3, 4]

    def test_a_constant_in_a_list_of_types(self) -> None:
        """An op may take tensors of several types."""
        attr = {"T": {"list": {"type": ["DT_FLOAT", "DT_INT64"]}}}
        node = {"name": "n", "op": "IdentityN", "input": ["x", "y"], "attr": attr}
        found = COMPAT["TensorFlowNode"](node, {"1": [1, 2]})(tf.constant(3.0))
        assert [t.dtype for t in found] == [tf.float32, tf.int64]
        assert found[1].numpy().tolist() == [1, 2]

    def test_an_op_that_has_got_more_attributes(self) -> None:
        """``TopKV2`` of TensorFlow 2.8 had no types of ``k`` and of the positions."""
        node = {"name": "t", "op": "TopKV2", "input": ["x", "k"], "attr": {"T": {"type": "DT_FLOAT"}}}
        values, positions = COMPAT["TensorFlowNode"](node, {"1": 2})(tf.constant([[5.0, 7.0, 6.0]]))
        assert values.numpy().tolist() == [[7.0, 6.0]]
        assert positions.numpy().tolist() == [[1, 2]]
        assert positions.dtype == tf.int32

    def test_gradients_flow(self) -> None:
        """The op is differentiable."""
        layer = COMPAT["TensorFlowNode"](
            {"name": "s", "op": "Square", "input": ["x"], "attr": {"T": {"type": "DT_FLOAT"}}}
        )

        def slope(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            return tape.gradient(y, x)

        x = tf.constant(3.0)
        assert slope(x).numpy() == tf.function(slope)(x).numpy() == 6.0

    def test_shapes_that_are_computed(self) -> None:
        """``tf.reshape(x, [tf.shape(x)[0], 12])`` is four ops, and the layer behind it needs to know the 12."""
        inputs = keras.Input((4, 3))
        size = operation("Shape", T="DT_FLOAT", out_type="DT_INT32")(inputs)
        masks = {"shrink_axis_mask": {"i": "1"}}
        first = operation("StridedSlice", {"1": [0], "2": [1], "3": [1]}, masks, T="DT_INT32", Index="DT_INT32")(size)
        shape = operation("Pack", {"1": 12}, {"N": {"i": "2"}}, T="DT_INT32")(first)
        outputs = operation("Reshape", T="DT_FLOAT", Tshape="DT_INT32")(inputs, shape)
        assert outputs.shape == (None, 12)
        x = sample(5, 4, 3)
        assert np.array_equal(keras.Model(inputs, outputs)(x), x.reshape(5, 12))

    def test_ranks_that_are_computed(self) -> None:
        """Of positions, the last dimension says what ``GatherNd`` returns."""
        x, positions = keras.Input((5, 3)), keras.Input((2,), dtype="int32")
        size = operation("Shape", T="DT_INT32", out_type="DT_INT64")(positions)
        shape = operation("ConcatV2", {"1": [1], "2": 0}, {"N": {"i": "2"}}, T="DT_INT64", Tidx="DT_INT32")(size)
        positions_of_rows = operation("Reshape", T="DT_INT32", Tshape="DT_INT64")(positions, shape)
        outputs = operation("GatherNd", Tparams="DT_FLOAT", Tindices="DT_INT32")(x, positions_of_rows)
        assert outputs.shape == (None, 2, 5, 3)
        values = sample(4, 5, 3)
        found = keras.Model([x, positions], outputs)([values, np.array([[0, 3], [2, 1]], "int32")])
        assert np.array_equal(found, values[[[0, 3], [2, 1]]])

    def test_numbers_that_are_no_shape(self) -> None:
        """Integers need not mean a shape, and may be many."""
        inputs = keras.Input((4, 3))
        size = operation("Shape", T="DT_FLOAT", out_type="DT_INT32")(inputs)
        below = operation("Sub", {"1": [0, 9, 0]}, T="DT_INT32")(size)
        many = operation("Tile", {"1": [100]}, T="DT_INT32", Tmultiples="DT_INT32")(below)
        assert many.shape == (300,)
        assert np.array_equal(keras.Model(inputs, many)(sample(5, 4, 3)), [5, -5, 3] * 100)

    def test_unknown_ops_are_refused(self) -> None:
        """An op that TensorFlow does not have is named."""
        with pytest.raises(IncompatibleVersionError, match="NoSuchOp"):
            COMPAT["TensorFlowNode"]({"name": "n", "op": "NoSuchOp"})

    def test_no_node_def(self) -> None:
        """A broken description is an error of the file."""
        with pytest.raises(MalformedArtifactError):
            COMPAT["TensorFlowNode"]({"no": "node"})
