"""What a Keras config says: inputs, outputs, layers, objects, parameters, producer."""

from __future__ import annotations

import pytest
from hostile.keras_configs import entry, function, functional, tensor, wrapped

from safeload.dialects import dicts_in
from safeload.errors import MalformedArtifactError
from safeload.formats import Format
from safeload.inspection import SignatureInfo, Slot, TensorInfo, distinct_names, inspect_artifact
from safeload.inspection._walk import notable_places, recorded_places
from safeload.inspection._weights import describe_weights
from safeload.inspection.keras.model import describe_layers
from safeload.inspection.keras.objects import describe_objects, is_replaceable_part
from safeload.inspection.keras.signature import describe_signature, with_free_batch
from safeload.readers import DatasetInfo, KerasArtifact, LayerWeights, WeightIndex, WeightLayout


def inspect(config, **fields):
    metadata = {"keras_version": "3.15.1", "date_saved": "2026-01-01", "backend": "tensorflow"}
    return inspect_artifact(KerasArtifact(Format.KERAS_ARCHIVE, "m.keras", config, metadata=metadata, **fields))


def sequential(*layers, **extra):
    config = {"name": "s", "layers": list(layers)}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None, **extra}


def test_functional_model_is_described():
    """Inputs have the recorded names, shapes and dtypes; outputs are named after their layers."""
    info = inspect(functional())
    assert str(info.keras.signature) == "model(inp: float32 [None, 4]) -> (dense: unknown […])"
    assert info.keras.signature.is_positional
    assert info.keras.signature.structure is None


def test_outputs_that_another_layer_takes_have_shapes():
    """A shape that some node records of an output is known."""
    config = functional(entry("Dense", "next", source="dense", units=1))["config"]
    outputs = describe_signature({"config": config}).outputs
    assert (outputs[0].shape, outputs[0].dtype) == ((None, 4), "float32")
    assert describe_signature({"config": config}, records_tensors=False).outputs[0].shape is None


def test_outputs_of_one_layer_are_numbered():
    """Two outputs of one layer have two names, as Keras gives them."""
    config = {**functional()["config"], "output_layers": [["dense", 0, 0], ["dense", 0, 1]]}
    assert [o.name for o in describe_signature({"config": config}).outputs] == ["dense", "dense_1"]


def test_numbered_outputs_pass_over_names_of_other_layers():
    """No number makes the name of another output, whichever of the two comes first."""
    assert distinct_names(["lstm", "lstm", "lstm_1", "lstm"]) == ["lstm", "lstm_1", "lstm_1_1", "lstm_2"]
    assert distinct_names(["lstm_1", "lstm", "lstm"]) == ["lstm_1", "lstm", "lstm_2"]


def test_nested_ends_keep_their_structure():
    """Dicts of inputs and outputs keep their keys: as the structure, as aliases of inputs, as names of outputs."""
    ends = {"input_layers": {"a": ["inp", 0, 0], "b": [["inp", 0, 0]]}, "output_layers": {"y": ["dense", 0, 0]}}
    signature = describe_signature({"config": {**functional()["config"], **ends}})
    assert signature.inputs[0].aliases == ("a",)
    assert signature.structure.args == (("inputs", {"a": Slot("inp"), "b": [Slot("inp")]}),)
    assert signature.structure.outputs == {"y": Slot("y")}
    assert [o.name for o in signature.outputs] == ["y"]


def test_structure_without_outputs():
    """Nested inputs of a model that records no outputs still have their structure."""
    config = {**functional()["config"], "input_layers": {"a": ["inp", 0, 0]}, "output_layers": None}
    assert describe_signature({"config": config}).structure.outputs == []


def test_input_of_an_unknown_layer_has_a_name_alone():
    """An input that names no InputLayer has neither shape nor dtype."""
    config = {**functional()["config"], "input_layers": [["other", 0, 0]]}
    assert str(describe_signature({"config": config}).inputs[0]) == "other: unknown […]"


@pytest.mark.parametrize("kind", ["sparse", "ragged"])
def test_composite_inputs(kind):
    """Sparse and ragged inputs are told by their kind, optional ones by their flag."""
    model = sequential(entry("InputLayer", "i", batch_shape=[None, 2], optional=True, **{kind: True}))
    (found,) = describe_signature(model).inputs
    assert (found.kind, found.optional) == (kind, True)


def test_sequential_with_an_input():
    """A Sequential model takes what its InputLayer says, and gives its last layer."""
    signature = describe_signature(sequential(entry("InputLayer", "i", batch_shape=[None, 2]), entry("Dense", "d")))
    assert ([str(i) for i in signature.inputs], [o.name for o in signature.outputs]) == (
        ["i: float32 [None, 2]"],
        ["d"],
    )


@pytest.mark.parametrize(("stateful", "batch"), [(False, "None"), (True, "32")])
def test_batch_of_the_data_that_built_the_model(stateful, batch):
    """Keras records the batch of the first call and takes any other one, unless layers keep a state for each row."""
    layers = entry("InputLayer", "i", batch_shape=[32, 5, 2]), entry("LSTM", "l", units=1, stateful=stateful)
    assert str(describe_signature(sequential(*layers)).inputs[0]) == f"i: float32 [{batch}, 5, 2]"


def test_what_is_no_batch_stays():
    """Only dimensions that are a batch of the inputs are open."""
    shapes = TensorInfo("x", shape=(32, 5)), TensorInfo("y", shape=(32, 1)), TensorInfo("z", shape=(7, 1))
    free = with_free_batch(SignatureInfo("m", "keras", inputs=shapes[:1], outputs=shapes[1:]))
    assert [info.shape for info in (*free.inputs, *free.outputs)] == [(None, 5), (None, 1), (7, 1)]


def test_sequential_that_starts_with_a_model():
    """A Sequential model that starts with another model takes what that one takes."""
    signature = describe_signature(sequential(functional(), entry("Dense", "d")))
    assert [i.name for i in signature.inputs] == ["inp"]


def test_sequential_without_an_input():
    """Without an InputLayer the shape of the build tells; without that, nothing."""
    layer = {**entry("Dense", "d"), "config": None}
    built = describe_signature(sequential(layer, build_config={"input_shape": [None, 3]}))
    assert [str(i) for i in built.inputs] == ["inputs: unknown [None, 3]"]
    assert describe_signature(sequential(layer)).inputs == ()
    assert describe_signature(sequential(layer, build_config={"input_shape": {"a": [1]}})).inputs == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"layers": 3},
        {"layers": [3]},
        {"input_layers": 3},
        {"input_layers": "inp"},
        {"input_layers": [["inp", 0]]},
        {"input_layers": [["inp", [0], 0]]},
        {"output_layers": {"a": None}},
    ],
    ids=str,
)
def test_broken_models_are_malformed(broken):
    """Ends that name no layers, and layers that are none, are an error of the file."""
    with pytest.raises(MalformedArtifactError):
        describe_signature({"config": {**functional()["config"], **broken}})


def test_broken_tensors_record_nothing():
    """A tensor without a usable history records no shape."""
    layer = entry("Dense", "d", source="inp")
    layer["inbound_nodes"] = [
        {"args": [{"class_name": "__keras_tensor__", "config": c} for c in (3, {"keras_history": 3})]}
    ]
    assert describe_signature({"config": functional(layer)["config"]}).outputs[0].shape is None


def test_custom_model_records_nothing():
    """A subclassed model says nothing of its inputs and outputs."""
    signature = describe_signature({"class_name": "Mine", "config": {"units": 3}})
    assert (signature.inputs, signature.outputs) == ((), ())


def layer_tree(config):
    """Describe the layers of a normal form."""
    places = notable_places(config)
    return describe_layers(places[0], [place for place in places if place.is_object])


def test_layers_at_every_depth():
    """The tree holds the layers of nested models and wrappers, each below its parent."""
    config = functional(
        functional(wrapped(entry("Dense", "inner"))), entry("Mine", "mine", module="mine", part=entry("Dense", "sub"))
    )
    root = layer_tree(config)
    nested = root.layers[2]
    assert [layer.name for layer in root.layers] == ["inp", "dense", "m", "mine"]
    assert nested.layers[2].layers[0].name == "inner"
    assert [layer.name for layer in root.layers[3].layers] == ["sub"]
    assert root.layers[1].where == "$.config.layers[1]"


def test_layer_without_a_name_is_called_by_its_class():
    """A layer whose config is no dict is named by its class."""
    assert layer_tree({"class_name": "Mine", "config": None}).name == "Mine"


def test_objects_of_every_kind():
    """Each serialized object is listed with its kind, whether it is built in, and whether training alone needs it."""
    dense = entry(
        "Dense",
        "d",
        source="inp",
        units=2,
        kernel_initializer={"module": "mine", "class_name": "Init", "config": {}, "registered_name": "mine>Init"},
        activation=function("mine", "swishy"),
        part={"module": "mine", "class_name": "Part", "config": {}, "registered_name": "Part"},
    )
    loss = function("mine", "my_loss")
    info = inspect(functional(dense, compile_config={"loss": loss}), training_config={"metrics": [function(None, "m")]})
    objects = {o.name: o for o in info.keras.objects}
    assert (objects["Init"].kind, objects["Init"].registered_name) == ("initializer", "mine>Init")
    assert (objects["swishy"].kind, objects["swishy"].is_builtin) == ("function", False)
    assert (objects["Part"].kind, objects["Part"].registered_name) == ("object", None)
    assert not objects.keys() & {"Dense", "Functional"}
    assert [n for n, o in objects.items() if o.is_training_only] == ["Init", "my_loss", "m"]
    assert [n for n, o in objects.items() if o.is_replaceable] == ["Init"]


def test_parts_of_a_custom_layer_are_needed():
    """What a custom layer does with its initializer is not known, so it is asked for."""
    part = {"module": "mine", "class_name": "Init", "config": {}, "registered_name": None}
    mine = {**entry("Mine", "m", source="inp", kernel_initializer=part), "module": "mine"}
    objects = {o.name: o for o in inspect(functional(mine)).keras.objects}
    assert not objects["Init"].is_replaceable
    assert not objects["Init"].is_training_only
    mere_name = {"module": None, "class_name": "function", "config": "f", "registered_name": None}
    assert is_replaceable_part("kernel_initializer", mine, mere_name), "the class may mean something else"
    assert not is_replaceable_part("function", mine, mere_name)


def test_modules_that_the_file_does_not_record():
    """Where the file names a class without a module, a custom class may be meant."""
    bare = functional()
    del bare["config"]["layers"][1]["module"]
    objects = {o.name: o for o in inspect(bare).keras.objects}
    assert not objects["Dense"].is_module_recorded
    assert "InputLayer" not in objects


def test_activations_that_the_file_has_by_name():
    """A function of the user's may have the name; each name is listed once, at whatever depth."""
    mine = {**entry("Mine", "m", source="inp", parts=[{"activation": ["tanh", "relu", 1]}]), "module": "mine"}
    dense = [
        entry("Dense", name, source="inp", units=2, activation="relu", kernel_initializer="zeros") for name in "ab"
    ]
    info = inspect(functional(*dense, mine))
    found = {o.name: o for o in info.keras.objects if o.kind == "function"}
    assert {name: o.where for name, o in found.items()} == {
        "linear": "$.config.layers[1].config.activation",
        "relu": "$.config.layers[2].config.activation",
        "tanh": "$.config.layers[4].config.parts[0].activation[0]",
    }
    assert all(o.is_builtin and not o.is_module_recorded and o.module == "keras.activations" for o in found.values())


def test_a_text_that_a_custom_class_may_mean_a_function_by():
    """It is taken where it is given, and needed by nobody; what a function is of is in training alone."""
    mine = {**entry("Mine", "m", source="inp", activation="seven", kernel_initializer="own"), "module": "mine"}
    objects = {o.name: o for o in inspect(functional(mine)).keras.objects}
    assert (objects["seven"].kind, objects["seven"].is_builtin, objects["seven"].is_mere_text) == (
        "function",
        False,
        True,
    )
    assert [name for name, o in objects.items() if o.is_mere_text] == ["seven"]


def test_an_activation_that_safeload_has():
    """The ``hard_sigmoid`` of Keras 2 is named by the file alone, too."""
    layer = {"class_name": "Activation", "config": {"name": "a", "trainable": True, "activation": "hard_sigmoid"}}
    metadata = {"keras_version": "2.1.6"}
    old = KerasArtifact(Format.KERAS_HDF5, "m.h5", {"class_name": "Sequential", "config": [layer]}, metadata=metadata)
    (found,) = [o for o in inspect_artifact(old).keras.objects if o.kind == "function"]
    assert (found.name, found.module, found.is_builtin) == ("hard_sigmoid", "safeload.compat", True)
    assert not found.is_module_recorded


def test_a_class_of_the_script_that_saved():
    """It has the name of a built-in layer, which the other layers of this name are all the same."""
    own = {**functional()["config"]["layers"][1], "module": None, "registered_name": "Dense"}
    both = functional()
    both["config"]["layers"].append({**own, "name": "own", "config": {**own["config"], "name": "own"}})
    (found,) = [o for o in inspect(both).keras.objects if o.name == "Dense"]
    assert (found.where, found.is_builtin) == ("$.config.layers[2]", False)


def test_producer_and_weights_alone():
    """The producer is told from the metadata; weights alone have no Keras facts."""
    assert inspect(functional()).producer.keras_flavour == "keras3"
    info = inspect(None)
    assert (info.keras, info.saved_model) == (None, None)
    assert (info.producer.keras_version, info.producer.date_saved) == ("3.15.1", "2026-01-01")


def _index(layout, *paths, layers=()):
    datasets = tuple(DatasetInfo(path, (2, 3), "float32", 24) for path in paths)
    return WeightIndex(layout, datasets, layers)


def test_parameters_are_counted_without_the_optimizer():
    """Elements of the model's own arrays count, whatever the layout; the optimizer's do not."""
    legacy = (LayerWeights("d", ("d/kernel:0",), (DatasetInfo("model_weights/d/kernel", (4, 2), "float32", 32),)),)
    assert describe_weights(WeightIndex()) is None
    assert describe_weights(_index(WeightLayout.LEGACY_HDF5, "optimizer_weights/m", layers=legacy)).elements == 8
    assert describe_weights(_index(WeightLayout.OBJECT_PATHS, "layers/d/vars/0", "optimizer/vars/0")).elements == 6
    checkpoint = _index(WeightLayout.CHECKPOINT, "w/.ATTRIBUTES/V", "w/.OPTIMIZER_SLOT/m", "save_counter/.A")
    assert describe_weights(checkpoint).elements == 6


def test_notable_places_leave_out_lists_words_and_dicts_without_a_class():
    """Places stand in reading order, with the nearest key and the object around them."""
    tree = {
        "name": "m",
        "a": ["w" * 29, {"class_name": "X", "config": {"b": tensor("t"), "code": "x" * 30, "words": ["y" * 30]}}],
        "vocabulary": ["a", {"class_name": "__tuple__", "items": {}}],
    }
    places = notable_places(tree)
    assert [place.where for place in places] == [
        "$", "$.name", "$.a[1]", "$.a[1].config.b", "$.a[1].config.code", "$.a[1].config.words[0]",
        "$.vocabulary[0]", "$.vocabulary[1]",
    ]  # fmt: skip
    assert [place.where for place in places if place.is_object] == ["$.a[1]"]
    assert [place.key for place in places[4:7]] == ["code", "words", "vocabulary"]
    assert [place.owner for place in places[2:5]] == [None, tree["a"][1], tree["a"][1]]


def test_all_dicts_that_only_training_needs_are_notable():
    """The arguments of ``compile`` have no class."""
    tree = {"class_name": "Model", "config": {"a": {}}, "compile_config": {"loss": {"out": {"b": 1}}}}
    places = [(place.where, place.is_training_only) for place in notable_places(tree)]
    below = [f"$.compile_config{rest}" for rest in ("", ".loss", ".loss.out")]
    assert places == [("$", False), *((where, True) for where in below)]


LONG = "a name of thirty characters and more"
INNER = {"name": "m", "layers": [entry("Dense", "d"), {"class_name": "__lambda__"}, LONG], "compile_config": {}}


@pytest.mark.parametrize(
    "raw",
    [
        {"class_name": "Model", "config": INNER},
        {
            "module": LONG,
            "config": INNER,
            "class_name": LONG,
            "build_config": {"a": [LONG]},
            "compile_config": {"b": LONG},
        },
        {"config": {**INNER, "name": "other"}, "class_name": "Model"},
        {"class_name": "Model", LONG: {}},
        {"class_name": "Model", "config": None},
    ],
    ids=["current", "more beside it", "another", "none", "null"],
)
@pytest.mark.parametrize("root", [("config",), ("registered_name", "config", "module"), ("module",)], ids=str)
def test_places_that_a_file_shares_with_its_normal_form(raw, root):
    """They are taken from there, and are what a walk over the file would find, with its own root around them."""
    beside = {"registered_name": LONG, "module": "m", "config": {**INNER}}
    normal = notable_places({"class_name": "Model", **{key: beside[key] for key in root}})
    found, expected = recorded_places(raw, {"x": LONG}, normal), recorded_places(raw, {"x": LONG})
    assert sorted(found, key=lambda place: place.where) == sorted(expected, key=lambda place: place.where)
    owners = [[place.owner for place in places if place.owner is raw] for places in (found, expected)]
    assert len(owners[0]) == len(owners[1])
    is_shared = raw.get("config") == INNER and "config" in root
    assert (len({*map(id, found)} & {*map(id, normal)}) > 1) == is_shared


@pytest.mark.parametrize(("tree", "found"), [("x", ["x"]), (None, []), (3, []), ([1, ["name"]], [])])
def test_what_is_no_object(tree, found):
    """A text that stands where an object should is looked at, whatever its length; there are no dicts in it."""
    assert [place.value for place in notable_places(tree)] == found
    assert dicts_in(tree) == []


def test_layers_beside_a_config_are_no_layers_of_it():
    """What a node passes to a layer is listed among the objects and not in the tree."""
    config = functional(entry("Dense", "d"))
    config["config"]["layers"][-1]["inbound_nodes"] = [{"args": [entry("Dense", "passed", part=entry("Dense", "x"))]}]
    root = layer_tree(config)
    assert [(layer.name, layer.layers) for layer in root.layers] == [("inp", ()), ("dense", ()), ("d", ())]


def test_what_compile_names_by_a_string_is_only_for_training():
    """Losses, metrics and optimizers may be texts; those that Keras does not have are custom."""
    training = {"optimizer": "adam", "loss": {"a": "mse", "b": "my_loss"}, "metrics": [["acc"], "MeanSquaredError"]}
    objects = describe_objects((), recorded_places({}, training))
    assert [(o.kind, o.name, o.is_builtin, o.is_training_only) for o in objects] == [
        ("optimizer", "adam", True, True),
        ("loss", "mse", True, True),
        ("loss", "my_loss", False, True),
        ("metric", "acc", True, True),
        ("metric", "MeanSquaredError", True, True),
    ]
