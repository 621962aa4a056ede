"""Models of every era, by hand-made configs."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from keras2_configs import history, layer, layers_of, model, normal, simple, source

from safeload.dialects._functional._nodes import _entries
from safeload.errors import IncompatibleVersionError, MalformedArtifactError, SafeloadError


class TestNodes:
    """Inbound nodes."""

    @pytest.mark.parametrize(
        "node", [[["x", 0, 0]], [["x", 0, 0, {}]], ["x", 0, 0, {}], [["x", 0, 0, {"training": None}]]]
    )
    def test_one_tensor_is_an_argument(self, node: Any) -> None:
        """Keras 1, Keras 2 and tf.keras say the same in different ways."""
        form = normal(simple("Flatten", node), "2.2.4")
        (call,) = layers_of(form)["y"]["inbound_nodes"]
        assert history(call["args"][0]) == ["x", 0, 0]
        assert call["kwargs"] == {}
        assert form.config["config"]["output_layers"] == ["y", 0, 0]

    def test_several_tensors_are_a_list(self) -> None:
        """Merge layers take a list as their first argument."""
        form = normal(simple("Add", [["x", 0, 0, {}], ["x", 0, 0, {}]]), "2.2.4")
        (call,) = layers_of(form)["y"]["inbound_nodes"]
        assert [history(tensor) for tensor in call["args"][0]] == [["x", 0, 0]] * 2

    def test_tensors_among_keywords(self) -> None:
        """A list that names a layer is a tensor; other lists stay."""
        node = [["x", 0, 0, {"value": ["x", 0, 0], "other": ["no", 0, 0], "deep": {"a": [["x", 0, 0]]}}]]
        (call,) = layers_of(normal(simple("MyLayer", node), "2.4.0"))["y"]["inbound_nodes"]
        assert history(call["kwargs"]["value"]) == ["x", 0, 0]
        assert call["kwargs"]["other"] == ["no", 0, 0]
        assert history(call["kwargs"]["deep"]["a"][0]) == ["x", 0, 0]

    def test_dicts_keep_their_keys(self) -> None:
        """A layer called on a dict is called on a dict."""
        (call,) = layers_of(normal(simple("MyLayer", {"a": ["x", 0, 0, {}]}), "2.4.0"))["y"]["inbound_nodes"]
        assert history(call["args"][0]["a"]) == ["x", 0, 0]

    def test_state_becomes_a_keyword(self) -> None:
        """Further inputs of a recurrent layer are its initial state."""
        form = normal(simple("LSTM", [["x", 0, 0, {}], ["x", 0, 0, {}], ["x", 0, 0, {}]], units=4), "2.2.4")
        (call,) = layers_of(form)["y"]["inbound_nodes"]
        assert len(call["args"]) == 1
        assert len(call["kwargs"]["initial_state"]) == 2

    @pytest.mark.parametrize("states", [0, 1])
    def test_constants_of_cells_are_named(self, states: int) -> None:
        """The last inputs of a recurrent layer are its constants, if it has any; those before are its state."""
        inputs = [["x", 0, 0, {}]] * (2 + states)
        form = normal(simple("RNN", inputs, num_constants=1), "2.2.4")
        (call,) = layers_of(form)["y"]["inbound_nodes"]
        assert len(call["args"]) == 1
        assert {key: len(value) for key, value in call["kwargs"].items()} == {
            "constants": 1,
            **({"initial_state": 1} if states else {}),
        }

    def test_keras_3_nodes_stay(self) -> None:
        """Shapes and dtypes that are recorded are kept."""
        tensor = {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 4], "dtype": "int32", "keras_history": ["x", 0, 0]},
        }
        config = simple("Flatten", {"args": [tensor], "kwargs": {"k": 1}})
        config["class_name"] = "Functional"
        (call,) = layers_of(normal(config, "3.5.0"))["y"]["inbound_nodes"]
        assert call == {"args": [tensor], "kwargs": {"k": 1}}

    @pytest.mark.parametrize(
        "node",
        [
            [],
            [["nowhere", 0, 0, {}]],
            [["x", 1, 0, {}], ["x", 0, 0, {}]],
            [["x", 5, 0, {}]],
            {"args": 1, "kwargs": {}},
            {"args": [{"class_name": "__keras_tensor__"}], "kwargs": {}},
            {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": [1, 0, 0]}}], "kwargs": {}},
        ],
    )
    def test_broken_nodes(self, node: Any) -> None:
        """A node that cannot be meant is an error of the file."""
        with pytest.raises(MalformedArtifactError):
            normal(simple("Flatten", node), "2.2.4")

    @pytest.mark.parametrize(
        "layers",
        [[1], [{"class_name": "Dense"}], [source("x", 4), source("x", 4)], [{**source("x", 4), "inbound_nodes": 3}]],
    )
    def test_broken_layers(self, layers: list[Any]) -> None:
        """So is a layer that is none, or two of the same name."""
        with pytest.raises(SafeloadError):
            normal(model(*layers, inputs=[["x", 0, 0]], outputs=[["x", 0, 0]]), "2.2.4")

    def test_one_input_of_a_recurrent_layer_is_the_sequence(self) -> None:
        """Without further inputs there is no state."""
        (call,) = layers_of(normal(simple("LSTM", [["x", 0, 0, {}]], units=4), "2.2.4"))["y"]["inbound_nodes"]
        assert call["kwargs"] == {}

    def test_outputs_keep_their_keys(self) -> None:
        """Outputs in a dict stay in a dict."""
        config = simple("Flatten", [["x", 0, 0, {}]])
        config["config"]["output_layers"] = {"a": ["y", 0, 0], "b": ["x", 0, 0]}
        assert normal(config, "2.4.0").config["config"]["output_layers"] == {"a": ["y", 0, 0], "b": ["x", 0, 0]}

    @pytest.mark.parametrize(("version", "ends"), [("3.8.0", ["x", 0, 0]), ("3.12.0", [["x", 0, 0]])])
    def test_a_list_of_one_means_something_since_keras_3_11(self, version: str, ends: Any) -> None:
        """Before, one tensor was written as a list of one, which Keras 3.15 takes for a list."""
        config = model(source("x", 4), inputs=[["x", 0, 0]], outputs=[["x", 0, 0]])
        assert normal(config, version).config["config"]["output_layers"] == ends

    def test_layers_are_known_by_the_name_in_their_config(self) -> None:
        """The name beside the config may be absent; one of the two may not."""
        config = simple("Flatten", [["x", 0, 0, {}]])
        del config["config"]["layers"][0]["name"]
        assert "x" in layers_of(normal(config, "2.4.0"))
        del config["config"]["layers"][0]["config"]["name"]
        with pytest.raises(MalformedArtifactError):
            normal(config, "2.4.0")


class TestCallNumbers:
    """Numbers of calls."""

    @pytest.mark.parametrize("first", [0, 1])
    def test_nested_models(self, first: int) -> None:
        """Keras 2 may count the creation of a nested model; Keras 3 does so at the ends of a model alone."""
        inner = {**simple("Flatten", [["x", 0, 0, {}]]), "name": "inner"}
        inner["config"]["name"] = "inner"
        inner["inbound_nodes"] = [[["x", 0, 0, {}]], [["inner", first, 0, {}]]]
        form = normal(model(source("x", 4), inner, inputs=[["x", 0, 0]], outputs=[["inner", first + 1, 0]]), "2.2.4")
        calls = layers_of(form)["inner"]["inbound_nodes"]
        assert history(calls[1]["args"][0]) == ["inner", 0, 0]
        assert form.config["config"]["output_layers"] == ["inner", 2, 0]

    def test_calls_without_use_are_left_out(self) -> None:
        """The calls that remain are counted anew."""
        shared = layer("Dense", "y", [["x", 0, 0, {}]], [["x", 0, 0, {}]], units=4)
        loss = layer("AddLoss", "loss", [["y", 0, 0, {}]])
        form = normal(model(source("x", 4), shared, loss, inputs=[["x", 0, 0]], outputs=[["y", 1, 0]]), "2.4.0")
        assert list(layers_of(form)) == ["x", "y"]
        assert form.config["config"]["output_layers"] == ["y", 0, 0]


class TestNames:
    """Names that Keras 3 refuses."""

    def test_slashes(self) -> None:
        """The new name is unique and used everywhere."""
        first, second = layer("Flatten", "a_b", [["x", 0, 0, {}]]), layer("Flatten", "a/b", [["a_b", 0, 0, {}]])
        form = normal(
            model(source("x", 4), first, second, inputs=[["x", 0, 0]], outputs=[["a/b", 0, 0]], name="m/n"), "2.2.4"
        )
        assert form.renamed == {"a_b_1": "a/b"}
        assert form.config["config"]["output_layers"] == ["a_b_1", 0, 0]
        assert form.config["config"]["name"] == "m_n"

    def test_duplicates_in_a_sequential_model(self) -> None:
        """Keras 2 did not mind two layers of the same name."""
        layers = [{"class_name": "Flatten", "config": {"name": "f"}}] * 2
        assert normal({"class_name": "Sequential", "config": layers}, "2.0.8").renamed == {"f_1": "f"}


class TestSequential:
    """Sequential models."""

    def test_lists_of_layers(self) -> None:
        """Keras 1 and 2.0 wrote a list; the first layer says the shape."""
        layers = [
            {
                "class_name": "Dense",
                "config": {"name": "d", "units": 2, "batch_input_shape": [None, 4], "dtype": "float64"},
            }
        ]
        form = normal({"class_name": "Sequential", "config": layers}, "2.0.8")
        first, second = form.config["config"]["layers"]
        assert (first["config"]["batch_shape"], first["config"]["dtype"]) == ([None, 4], "float64")
        assert first["config"]["name"] == "d_input"
        assert "batch_input_shape" not in second["config"]

    def test_a_model_in_front(self) -> None:
        """The shape is that of the model's input."""
        inner = {
            "class_name": "Sequential",
            "config": [{"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 4]}}],
        }
        outer = {"class_name": "Sequential", "config": [inner, {"class_name": "Flatten", "config": {"name": "f"}}]}
        layers = normal(outer, "2.0.8").config["config"]["layers"]
        assert [each["class_name"] for each in layers] == ["InputLayer", "Sequential", "Flatten"]
        assert layers[0]["config"]["batch_shape"] == [None, 4]

    def test_models_inside_without_names(self) -> None:
        """Each gets one of its own: Keras before 2.2 wrote a model as the list of its layers."""
        inner = {"class_name": "Sequential", "config": [{"class_name": "Flatten", "config": {"name": "f"}}]}
        inside = {"class_name": "Sequential", "config": [inner, inner]}
        layers = layers_of(normal({"class_name": "Sequential", "config": [inner, inside]}, "2.1.6"))
        assert sorted(layers) == ["sequential_1", "sequential_2"]
        names = [each["config"]["name"] for each in layers["sequential_2"]["config"]["layers"]]
        assert names == ["sequential_1", "sequential_2"]

    def test_shapes_of_late_builds(self) -> None:
        """A shape that only building gave is as good."""
        config = {
            "name": "s",
            "layers": [{"class_name": "Embedding", "config": {"name": "e", "input_dim": 3, "output_dim": 2}}],
        }
        form = normal({"class_name": "Sequential", "config": {**config, "build_input_shape": [None, 5]}}, "2.4.0")
        assert form.config["config"]["layers"][0]["config"]["batch_shape"] == [None, 5]

    @pytest.mark.parametrize("config", [{"name": "mixed_float16"}, {}, None, "mixed_float16"])
    def test_mixed_precision(self, config: Any) -> None:
        """The input has the type of the variables, whatever the policy computes with, and if it is none."""
        policy = {"class_name": "Policy", "config": config}
        first = {"class_name": "Dense", "config": {"name": "d", "batch_input_shape": [None, 4], "dtype": policy}}
        form = normal({"class_name": "Sequential", "config": {"name": "s", "layers": [first]}}, "2.4.0")
        assert form.config["config"]["layers"][0]["config"]["dtype"] == "float32"

    def test_no_shape(self) -> None:
        """Without any shape there is no InputLayer."""
        config = {"name": "s", "layers": [{"class_name": "Flatten", "config": {"name": "f"}}]}
        assert len(normal({"class_name": "Sequential", "config": config}, "2.4.0").config["config"]["layers"]) == 1

    @pytest.mark.parametrize("layers", [3, [1], [{"class_name": "Dense", "config": []}]])
    def test_broken(self, layers: Any) -> None:
        """Layers that are none are an error of the file."""
        with pytest.raises(MalformedArtifactError):
            normal({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}, "2.4.0")


def branch(name: str) -> dict[str, Any]:
    """Return a Sequential model of Keras 1."""
    config = {"name": name, "output_dim": 2, "batch_input_shape": [None, 4], "input_dtype": "float32"}
    return {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": config}]}


def merge(*branches: Any, **config: Any) -> dict[str, Any]:
    """Return a Merge layer of Keras 1 with its branches."""
    return {"class_name": "Merge", "config": {"name": "merge", "mode_type": "raw", "layers": list(branches), **config}}


class TestMerge:
    """The Merge layer of Keras 1."""

    def test_branches_of_a_sequential_model(self) -> None:
        """The model becomes Functional; a branch used twice is one layer."""
        tail = {"class_name": "Flatten", "config": {"name": "f"}}
        config = [merge(branch("a"), branch("b"), branch("a"), mode="concat", concat_axis=1), tail]
        form = normal({"class_name": "Sequential", "config": config}, "1.2.2")
        layers = layers_of(form)
        assert form.config["class_name"] == "Functional"
        assert form.config["config"]["input_layers"] == [["a_input", 0, 0], ["b_input", 0, 0]]
        assert (layers["merge"]["class_name"], layers["merge"]["config"]["axis"]) == ("Concatenate", 1)
        assert len(layers["a"]["inbound_nodes"]) == 2
        assert form.config["config"]["output_layers"] == ["f", 0, 0]

    def test_branches_in_branches(self) -> None:
        """A branch may begin with a Merge, or be a Model."""
        inner = {"class_name": "Sequential", "config": [merge(branch("a"), branch("b"), mode="sum")]}
        outer = merge(inner, simple("Flatten", [["x", 0, 0]]), mode="dot", dot_axes=1)
        outer["config"]["name"] = "outer"
        layers = layers_of(normal({"class_name": "Sequential", "config": [outer]}, "1.2.2"))
        assert layers["merge"]["class_name"] == "Add"
        assert layers["outer"]["class_name"] == "Dot"

    def test_branch_without_a_shape(self) -> None:
        """An input of unknown shape cannot be made."""
        flat = {"class_name": "Flatten", "config": {"name": "f"}}
        with pytest.raises(MalformedArtifactError):
            normal({"class_name": "Sequential", "config": [merge(flat, mode="sum")]}, "1.2.2")

    def test_unknown_modes(self) -> None:
        """A mode that Keras 1 did not have is no layer."""
        with pytest.raises(IncompatibleVersionError, match="median"):
            normal(simple("Merge", [["x", 0, 0], ["x", 0, 0]], mode="median"), "1.2.2")

    def test_cosine(self) -> None:
        """That of Keras 1 has another shape than that of Keras 2."""
        form = normal(simple("Merge", [["x", 0, 0], ["x", 0, 0]], mode="cos", dot_axes=[1, 1]), "1.2.2")
        layer = layers_of(form)["y"]
        assert (layer["module"], layer["class_name"]) == ("safeload.compat", "CosineMerge")
        assert layer["config"]["axes"] == [1, 1]

    def test_code_stays_visible(self) -> None:
        """A mode that is Python code is a Lambda layer for the policy to see."""
        form = normal(simple("Merge", [["x", 0, 0]], mode="code", mode_type="lambda"), "1.2.2")
        assert layers_of(form)["y"]["class_name"] == "Lambda"


def called_twice(*consumers: int, outputs: list[list[Any]]) -> dict[str, Any]:
    """Return a model of Keras 3 whose layer ``d`` is called twice, and consumed as *consumers* say."""

    def node(name: str, number: int = 0) -> dict[str, Any]:
        config = {"shape": [None, 4], "dtype": "float32", "keras_history": [name, number, 0]}
        return {"args": [{"class_name": "__keras_tensor__", "config": config}], "kwargs": {}}

    taking = [layer("Flatten", f"f{i}", node("d", number)) for i, number in enumerate(consumers)]
    layers = [layer("InputLayer", "x", batch_shape=[None, 4]), layer("Flatten", "d", node("x"), node("x")), *taking]
    return {**model(*layers, inputs=[["x", 0, 0]], outputs=outputs), "class_name": "Functional"}


def test_a_call_of_the_model_inside_in_place_of_ones_own() -> None:
    """It is said what is wrong with the file; another copy of it would be the same."""
    inside = model(source("a", 4), layer("Dense", "d", [["a", 0, 0, {}]]), inputs=[["a", 0, 0]], outputs=[["d", 0, 0]])
    inner = {**inside, "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]]]}
    both = layer("Flatten", "f", [["d", 0, 0, {}]])
    odd = [
        layer("Mine", "m"),
        {**layer("Mine", "n"), "config": {"layers": [None]}},
        {**layer("Sequential", "o"), "config": []},
    ]
    for others in ([], odd):
        config = model(source("x", 4), inner, both, *others, inputs=[["x", 0, 0]], outputs=[["f", 0, 0]])
        with pytest.raises(MalformedArtifactError, match="'d', which is no layer of the model, but one of 'inner' ins"):
            normal(config, "2.14.0")


class TestConfusedCalls:
    """Keras 3.2 names the first call of a layer in every node."""

    ENDS: ClassVar = [["f0", 0, 0], ["f1", 0, 0]]

    @pytest.mark.parametrize("version", ["3.2.0", "3.2.1", ""])
    def test_refused(self, version: str) -> None:
        """Nobody can tell which node means which call, whether or not an output names the second."""
        for outputs in (self.ENDS, [*self.ENDS, ["d", 1, 0]]):
            with pytest.raises(IncompatibleVersionError, match=r"m\.d: its 2 calls cannot be told apart: Keras 3\.2"):
                normal(called_twice(0, 0, outputs=outputs), version)

    @pytest.mark.parametrize("version", ["3.1.1", "3.3.0"])
    def test_other_releases_say_what_they_mean(self, version: str) -> None:
        """They may leave calls unused."""
        normal(called_twice(0, 0, outputs=self.ENDS), version)

    @pytest.mark.parametrize(
        "config",
        [
            called_twice(outputs=[["d", 0, 0], ["d", 1, 0]]),
            called_twice(0, outputs=[["f0", 0, 0], ["d", 1, 0]]),
            called_twice(0, 1, outputs=ENDS),
        ],
        ids=["only outputs", "one consumer, of what is no output", "told apart"],
    )
    def test_what_is_certain_loads(self, config: dict[str, Any]) -> None:
        """Outputs are numbered rightly, and what is no output has a consumer."""
        before = [node for each in config["config"]["layers"] for node in each["inbound_nodes"]]
        found = [node for each in layers_of(normal(config, "3.2.1")).values() for node in each["inbound_nodes"]]
        assert [history(node["args"][0]) for node in found] == [history(node["args"][0]) for node in before]

    @pytest.mark.parametrize(("calls", "consumers"), [(1, [1]), (1, [3, 3]), (2, [1, 2]), (2, [0, 2])])
    def test_calls_that_are_not_saved(self, calls: int, consumers: list[int]) -> None:
        """Up to Keras 3.1 they are counted all the same; that of a layer of which all calls are named is clear."""
        config = called_twice(*consumers, outputs=[["f0", 0, 0], ["f1", 0, 0]][: len(consumers)])
        del config["config"]["layers"][1]["inbound_nodes"][calls:]
        found = layers_of(normal(config, "3.1.1"))
        taken = [history(found[f"f{i}"]["inbound_nodes"][0]["args"][0]) for i in range(len(consumers))]
        assert taken == [["d", number if calls > 1 else 0, 0] for number in range(len(consumers))]

    def test_a_call_that_is_not_saved_before_an_output(self) -> None:
        """The numbers of nodes and outputs then mean different calls."""
        with pytest.raises(IncompatibleVersionError, match=r"told apart: Keras before 3\.2"):
            normal(called_twice(1, outputs=[["f0", 0, 0], ["d", 1, 0]]), "3.1.1")

    @pytest.mark.parametrize("version", ["3.1.1", None])
    def test_a_call_that_is_not_saved_before_two_outputs(self, version: str | None) -> None:
        """A node that names call 1 may mean either then; where call 1 is no output, it means that."""
        with pytest.raises(IncompatibleVersionError, match=r"told apart: Keras before 3\.2"):
            normal(called_twice(1, outputs=[["f0", 0, 0], ["d", 0, 0], ["d", 1, 0]]), version)
        form = normal(called_twice(1, outputs=[["f0", 0, 0], ["d", 0, 0]]), version)
        assert history(layers_of(form)["f0"]["inbound_nodes"][0]["args"][0]) == ["d", 1, 0]

    def test_one_consumer_of_what_may_be_an_output(self) -> None:
        """If both calls are outputs, it may take either."""
        with pytest.raises(IncompatibleVersionError, match="told apart"):
            normal(called_twice(0, outputs=[["f0", 0, 0], ["d", 0, 0], ["d", 1, 0]]), "3.2.1")


class TestClasses:
    """Which class a model is."""

    def test_custom_models_keep_their_class(self) -> None:
        """A class derived from Model is named as recorded."""
        config = {**simple("Flatten", [["x", 0, 0, {}]]), "class_name": "MyModel"}
        form = normal(config, "2.4.0")
        assert (form.config["class_name"], form.config["module"]) == ("MyModel", None)

    def test_custom_models_without_layers(self) -> None:
        """A model that only its own config describes is an object like any other."""
        form = normal({"class_name": "MyModel", "config": {"layers": [3, 4]}}, "2.4.0")
        assert form.config["config"] == {"layers": [3, 4]}


@pytest.mark.parametrize(("version", "kept"), [("3.15.1", {}), ("3.16.0", {"training": True})])
def test_training_as_a_call_records_it(version: str, kept: dict[str, bool]) -> None:
    """Releases that went by how the model is called recorded what some layers take for granted, too."""
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
    form = normal(simple("RandomFlip", {"args": [tensor], "kwargs": {"training": True}}), version)
    (call,) = layers_of(form)["y"]["inbound_nodes"]
    assert call["kwargs"] == kept


def test_model_without_a_name_gets_none() -> None:
    """Hand-written configs may leave the name of the model out."""
    config = simple("Flatten", [["x", 0, 0]])
    del config["config"]["name"]
    assert "name" not in normal(config, "2.2.4").config["config"]


def test_constants_in_a_node_name_no_layers() -> None:
    """A constant that looks like a tensor stays what it is."""
    node = [["x", 0, 0, {"y": ["_CONSTANT_VALUE", -1, 2.0], "name": "n"}]]
    form = normal(simple("TFOpLambda", node, function="math.add"), "2.4.0")
    (call,) = layers_of(form)["y"]["inbound_nodes"]
    assert call["kwargs"] == {"y": ["_CONSTANT_VALUE", -1, 2.0]}


def test_values_in_a_node_are_no_tensors() -> None:
    """Only entries that name a layer are."""
    assert list(_entries([["x", 0, 0], 3, {"y": None}])) == [["x", 0, 0]]


@pytest.mark.parametrize(
    ("config", "added"),
    [
        ({}, {"build_input_shape": [None, 5]}),
        ({"build_input_shape": [None, 3]}, {}),
        ({"mine": 1}, {}),
    ],
)
def test_a_class_derived_from_sequential(config: dict[str, Any], added: dict[str, Any]) -> None:
    """Its first layer records the shape; a class that records more of its own is no such one."""
    layers = [layer("Dense", "a", batch_input_shape=[None, 5], units=3)]
    for owner, names in (
        ({"layers": layers}, added),
        ({"layers": []}, {}),
        ({"layers": [{"class_name": "Dense"}]}, {}),
    ):
        chain = {"class_name": "Chain", "config": {"name": "m", **owner, **config}}
        found = normal(chain, "2.2.4-tf").config
        assert (found["module"], found["class_name"]) == (None, "Chain")
        assert {key: found["config"].get(key) for key in names} == names
        assert found["config"].keys() == chain["config"].keys() | names.keys()
    bare = {"class_name": "Chain", "config": {"name": "m", "layers": [layer("Dense", "a", units=3)]}}
    assert "build_input_shape" not in normal(bare, "2.2.4-tf").config["config"]
