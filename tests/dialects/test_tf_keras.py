"""The normal form for tf_keras."""

from __future__ import annotations

from typing import Any

import pytest

from safeload.dialects import COMPAT_MODULE, Flavour, KerasTarget, NormalForm, Writer, lower, needs_keras_2
from safeload.errors import IncompatibleVersionError

KERAS_3 = Writer(Flavour.KERAS_3, (3, 15, 1))
KERAS_2 = Writer(Flavour.TF_KERAS, (2, 16, 0))
LAYERS = "keras.layers"
HARD_SIGMOID = {"module": COMPAT_MODULE, "class_name": "function", "config": "hard_sigmoid"}
HARD_SIGMOID["registered_name"] = "hard_sigmoid"
CLASSES = {
    (LAYERS, "InputLayer"): frozenset({"name", "dtype"}),
    (LAYERS, "Dense"): frozenset({"units", "activation", "name", "dtype"}),
    (LAYERS, "LeakyReLU"): frozenset({"alpha", "name"}),
    (LAYERS, "RNN"): frozenset({"cell", "name"}),
    (LAYERS, "StringLookup"): frozenset({"vocabulary", "name"}),
    (LAYERS, "Lambda"): frozenset({"function", "output_shape", "mask", "arguments", "name"}),
    (COMPAT_MODULE, "TensorFlowSymbol"): frozenset({"function", "name"}),
}


def layer(class_name: str, config: Any, module: str | None = LAYERS, **more: Any) -> dict[str, Any]:
    """A built-in object in normal form."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None, **more}


def lowered(value: Any) -> Any:
    """The config that comes out for *value*."""
    target = KerasTarget("tf_keras", (2, 21, 0), lambda module, name: CLASSES[module, name])
    return lower(NormalForm(value, KERAS_3), target)


def tensor(name: str, node: int = 0) -> dict[str, Any]:
    """A tensor in a node of Keras 3."""
    history = {"shape": [None, 4], "dtype": "float32", "keras_history": [name, node, 0]}
    return {"class_name": "__keras_tensor__", "config": history}


def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """A node of Keras 3."""
    return {"args": list(args), "kwargs": kwargs}


def functional(*layers: dict[str, Any], output: Any = None) -> dict[str, Any]:
    """A Functional model of an input x and *layers*; the last is its output."""
    source = layer("InputLayer", {"batch_shape": [None, 4]}, name="x", inbound_nodes=[])
    config = {
        "name": "m",
        "layers": [source, *layers],
        "input_layers": [["x", 0, 0]],
        "output_layers": output or [[layers[-1]["name"], 0, 0]],
    }
    return layer("Functional", config, "keras.src.models.functional")


def nodes(model: dict[str, Any], index: int = 1) -> Any:
    """The nodes of a layer of the lowered *model*."""
    return lowered(model)["config"]["layers"][index]["inbound_nodes"]


def dense(name: str, *calls: Any, **config: Any) -> dict[str, Any]:
    """A Dense layer called in *calls*."""
    return layer("Dense", {"units": 2, **config}, name=name, inbound_nodes=list(calls))


def test_keys_that_have_other_names_are_renamed():
    """``negative_slope`` is ``alpha``, and ``batch_shape`` is ``batch_input_shape``."""
    assert lowered(layer("LeakyReLU", {"negative_slope": 0.1}))["config"] == {"alpha": 0.1}
    config = {"batch_shape": [None, 2], "optional": False}
    assert lowered(layer("InputLayer", config))["config"] == {"batch_input_shape": [None, 2]}


def test_recorded_shapes_of_own_layers_go():
    """Only a custom layer is built from the shape that the file records."""
    build = {"build_config": {"input_shape": [None, 2]}}
    assert "build_config" not in lowered(layer("Dense", {"units": 2}, **build))
    assert "build_config" in lowered(layer("Mine", {"units": 2}, "mine", **build))


@pytest.mark.parametrize("name", ["relu", "gelu", "silu"])
def test_activations_that_mean_the_same_stay(name):
    """Most names of activations mean the same function in both packages."""
    assert lowered(layer("Dense", {"activation": name}))["config"] == {"activation": name}


def test_the_hard_sigmoid_of_keras_3_is_safeloads():
    """tf_keras has the function of Keras 2 under this name; a custom layer may name it too."""
    for module in (LAYERS, "mine"):
        found = lowered(layer("Dense", {"activation": "hard_sigmoid"}, module))["config"]["activation"]
        assert (found["module"], found["config"]) == (COMPAT_MODULE, "hard_sigmoid_of_keras_3")


def test_activations_that_tf_keras_lacks_are_refused():
    """The error says where and what."""
    custom = layer("Mine", {"activation": "seven", "my_activation": HARD_SIGMOID}, "mine")
    assert lowered(custom)["config"] == {"activation": "seven", "my_activation": "hard_sigmoid"}
    with pytest.raises(IncompatibleVersionError, match=r"\$\[0\].activation: tf_keras has no activation 'squareplus'"):
        lowered([layer("Dense", {"activation": "squareplus"})])


def test_dtype_policies_become_their_names():
    """tf_keras makes the policy of a name."""
    policy = layer("DTypePolicy", {"name": "mixed_float16"}, "keras")
    assert lowered(layer("Dense", {"dtype": policy}))["config"] == {"dtype": "mixed_float16"}


@pytest.mark.parametrize(
    "policy",
    [
        layer("QuantizedDTypePolicy", {"name": "int8_from_float32"}, "keras.dtype_policies"),
        layer("DTypePolicy", {"name": None}, "keras"),
        layer("DTypePolicy", None, "keras"),
    ],
)
def test_other_policies_are_refused(policy):
    """tf_keras has no quantization."""
    with pytest.raises(IncompatibleVersionError, match="has no dtype policy"):
        lowered(layer("Dense", {"dtype": policy}))


def test_lambda_layers_say_what_their_function_is():
    """tf_keras asks for the kind of each function."""
    function = layer("function", "scale", None)
    found = lowered(layer("Lambda", {"function": function, "output_shape": [None, 2]}))["config"]
    assert found["function_type"] == "function"
    assert (found["output_shape_type"], found["mask_type"]) == ("raw", "raw")
    assert lowered(layer("Lambda", {"function": function}))["config"]["output_shape"] is None


def test_operations_of_keras_are_refused():
    """tf_keras has no keras.ops."""
    with pytest.raises(IncompatibleVersionError, match="tf_keras 2.21.0 has no keras.src.ops.numpy.Sum") as caught:
        lowered(layer("Sum", {"axis": 1}, "keras.src.ops.numpy"))
    assert caught.value.hint.startswith("pass classes of keras (Keras 3) in place of those derived from tf_keras")


def test_own_objects_without_a_counterpart_are_refused():
    """A layer that only Keras 1 had is not rebuilt for tf_keras, and the text does not name what is safeload's own."""
    with pytest.raises(
        IncompatibleVersionError, match="does not compute Highway as the file means it, and Keras 3 do"
    ) as e:
        lowered(layer("Highway", {}, COMPAT_MODULE))
    assert e.value.hint.startswith("pass classes of keras (Keras 3) in place of those derived from tf_keras")
    assert lowered(layer("TensorFlowSymbol", {"function": "abs"}, COMPAT_MODULE))["config"] == {"function": "abs"}


def test_values_that_are_no_configs_stay():
    """What is not a dict has no keys to rename."""
    assert lowered(layer("Dense", "text"))["config"] == "text"


class TestNodes:
    """Calls of layers."""

    def test_one_tensor(self):
        """A call is ``[layer, call, tensor, keywords]``."""
        assert nodes(functional(dense("y", call(tensor("x"), training=True)))) == [["x", 0, 0, {"training": True}]]

    def test_nested_arguments(self):
        """Lists and dicts of tensors keep their shape."""
        found = nodes(functional(dense("y", call([tensor("x"), tensor("x")]), call({"a": tensor("x")}))))
        assert found == [[["x", 0, 0, {}], ["x", 0, 0, {}]], {"a": ["x", 0, 0, {}]}]

    def test_tensors_in_keywords(self):
        """Keywords hold ``[layer, call, tensor]``."""
        found = nodes(functional(dense("y", call(tensor("x"), mask=[tensor("x")]))))
        assert found == [["x", 0, 0, {"mask": [["x", 0, 0]]}]]

    def test_constants(self):
        """A first argument that is no tensor is marked as a constant."""
        found = nodes(functional(dense("y", call(1.5, y=tensor("x")))))
        assert found == [["_CONSTANT_VALUE", -1, 1.5, {"y": ["x", 0, 0]}]]

    def test_a_first_argument_by_keyword(self):
        """tf_keras wants the first argument in its place."""
        assert nodes(functional(dense("y", call(inputs=tensor("x"), axis=1)))) == [["x", 0, 0, {"axis": 1}]]
        with pytest.raises(IncompatibleVersionError, match="which argument is the first"):
            nodes(functional(dense("y", call(query_tensor=tensor("x")))))

    def test_further_arguments(self):
        """tf_keras wants the names of all arguments but the first."""
        attention = layer("Mine", {}, "mine", name="y", inbound_nodes=[call(tensor("x"), tensor("x"))])
        with pytest.raises(IncompatibleVersionError, match=r"\$\.y: .*names of the arguments"):
            nodes(functional(attention))
        attention["class_name"] = "MultiHeadAttention"
        assert nodes(functional(attention)) == [["x", 0, 0, {"value": ["x", 0, 0]}]]

    def test_the_inputs_of_an_op_are_one_list(self):
        """`TensorFlowNode` takes its tensors as one argument."""
        node = layer("TensorFlowNode", {}, "mine", name="y", inbound_nodes=[call(tensor("x"), tensor("x"))])
        assert nodes(functional(node)) == [[["x", 0, 0, {}], ["x", 0, 0, {}]]]

    def test_calls_of_nested_models_count_from_one(self):
        """The creation of a model is its first call; at the ends Keras 3 counts so too."""
        inner = {**functional(dense("z", call(tensor("x")))), "name": "inner", "inbound_nodes": [call(tensor("x"))]}
        model = functional(inner, dense("y", call(tensor("inner"))), output=[["inner", 1, 0]])
        assert nodes(model, 2) == [["inner", 1, 0, {}]]
        assert lowered(model)["config"]["output_layers"] == [["inner", 1, 0]]

    def test_models_without_input_count_from_zero(self):
        """A Sequential model without an input shape is not called when it is made."""
        inner = layer("Sequential", {"name": "s", "layers": []}, "keras", name="s", inbound_nodes=[call(tensor("x"))])
        assert nodes(functional(inner, dense("y", call(tensor("s")))), 2) == [["s", 0, 0, {}]]

    def test_custom_functional_models(self):
        """A class derived from Model has nodes as well."""
        model = {**functional(dense("y", call(tensor("x")))), "module": "mine", "class_name": "Mine"}
        assert nodes(model) == [["x", 0, 0, {}]]


class TestNeedsKeras2:
    """The function `needs_keras_2`."""

    @pytest.mark.parametrize(
        ("name", "config", "reason"),
        [
            ("InputLayer", {"ragged": True}, "ragged input"),
            ("TensorFlowSymbol", {"function": "RaggedTensor.to_tensor"}, "members of ragged tensors"),
            ("RNN", {"num_constants": 1}, "constants"),
            ("UpSampling2D", {"interpolation": "gaussian"}, "gaussian interpolation"),
            ("SeparableConv1D", {"padding": "causal"}, "causal SeparableConv1D"),
            ("BatchNormalization", {"axis": [1, 3]}, "several axes"),
            ("LocallyConnected2D", {"implementation": 3}, "implementation 3"),
            ("Conv1D", {"activation": {"class_name": "PReLU"}}, "a PReLU"),
            ("LSTM", {"time_major": True}, "whose first axis is time"),
            ("Bidirectional", {"layer": {"config": {"stateful": True, "return_state": True}}}, "stateful Bidirec"),
        ],
    )
    def test_what_keras_3_cannot_compute(self, name, config, reason):
        """The reason is found at any depth."""
        value = layer("Sequential", {"layers": [layer(name, config)]}, "keras")
        assert reason in needs_keras_2(NormalForm(value, KERAS_2))

    @pytest.mark.parametrize("training", [True, 1, False, None])
    def test_calls_as_in_training(self, training):
        """Keras 2 goes by the call that is recorded, Keras 3 by the one from outside."""
        entry = layer("Dropout", {"rate": 0.5}, name="d", inbound_nodes=[call(tensor("x"), training=training)])
        reason = needs_keras_2(NormalForm(functional(entry), KERAS_2))
        assert reason == ("a layer that is called as in training" if training else None)

    def test_keras_3_computes_what_it_wrote(self):
        """A writer of Keras 3 had no other package."""
        assert needs_keras_2(NormalForm(layer("InputLayer", {"ragged": True}), KERAS_3)) is None

    def test_ordinary_models(self):
        """Most models need nothing of it."""
        layers = [layer("InputLayer", {"ragged": False}), layer("RNN", {"num_constants": None}), "text"]
        layers += [layer("LSTM", {"time_major": False}), layer("Dense", {"activation": {"class_name": "ReLU"}})]
        layers += [layer("Mine", {"time_major": True})]
        layers += [layer("Bidirectional", {"layer": inner}) for inner in (None, {"config": {"stateful": True}})]
        layers += [layer("Dense", {"kernel_initializer": layer("Zeros", {}, inbound_nodes=True)})]
        assert needs_keras_2(NormalForm(layer("Sequential", {"layers": layers}), KERAS_2)) is None


def test_the_size_of_a_vocabulary() -> None:
    """Lookups read it from ``**kwargs``, beside the vocabulary or without it."""
    config = {"vocabulary": ["a", "b"], "vocabulary_size": 3, "name": "y"}
    assert lowered(layer("StringLookup", config))["config"] == config
