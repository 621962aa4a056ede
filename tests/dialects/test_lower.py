"""The normal form for an installed Keras."""

from __future__ import annotations

import pytest

from safeload.dialects import COMPAT_MODULE, Flavour, KerasTarget, NormalForm, Writer, lower
from safeload.errors import IncompatibleVersionError

WRITER = Writer(Flavour.KERAS_3, (3, 15, 1))


def target(classes, version=(3, 10, 0)):
    """A target that has *classes*: ``(module, name)`` → keywords."""
    return KerasTarget("keras", version, lambda module, name: classes[module, name])


def layer(name, config, module="keras.layers"):
    """A built-in object in normal form."""
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def lowered(value, *args, **kwargs):
    """The config that comes out for *value*."""
    return lower(NormalForm(value, WRITER), target(*args, **kwargs))


DENSE = {("keras.layers", "Dense"): frozenset({"units", "name", "trainable"})}


def test_unknown_keys_go_while_they_hold_the_default():
    """A newer release's key means nothing while it holds its default."""
    value = layer("Dense", {"units": 2, "quantization_config": None})
    assert lowered([value], DENSE) == [layer("Dense", {"units": 2})]
    assert value["config"]["quantization_config"] is None


def test_unknown_keys_that_matter_are_refused_with_the_release_that_knows_them():
    """The error names key, class and release."""
    with pytest.raises(IncompatibleVersionError, match="Dense has quantization_config=.*3.10.0") as caught:
        lowered(layer("Dense", {"quantization_config": {"mode": "int8"}}), DENSE)
    assert "Keras 3.13.0" in caught.value.hint


def test_keys_that_no_table_knows_are_refused():
    """A key of a release newer than the tables is never guessed."""
    with pytest.raises(IncompatibleVersionError, match="wings") as caught:
        lowered(layer("Dense", {"wings": 2}), DENSE)
    assert "newer than" in caught.value.hint


def test_missing_classes_are_refused_with_their_first_release():
    """The error says which release has the class, or what to do where none has."""
    with pytest.raises(IncompatibleVersionError, match="has no keras.layers.RMSNormalization") as caught:
        lowered(layer("RMSNormalization", {}), {})
    assert "it came with Keras 3." in caught.value.hint
    with pytest.raises(IncompatibleVersionError) as caught:
        lowered(layer("SlicingOpLambda", {}), {})
    assert "architecture=" in caught.value.hint


def test_a_class_recorded_without_its_public_name_is_found():
    """HDF5 has the name of the Python class: GroupedQueryAttention, which Keras exports as GroupQueryAttention."""
    accepted = {("keras.layers", "GroupQueryAttention"): frozenset()}
    found = lowered({"layer": layer("GroupedQueryAttention", {})}, accepted)
    assert found["layer"]["class_name"] == "GroupQueryAttention"


def test_a_class_is_found_under_its_other_name():
    """``Orthogonal`` is ``OrthogonalInitializer`` in early releases."""
    value = layer("Orthogonal", {"gain": 1.0}, "keras.initializers")
    found = lowered(
        {"kernel_initializer": value}, {("keras.initializers", "OrthogonalInitializer"): frozenset({"gain"})}
    )
    assert found["kernel_initializer"]["class_name"] == "OrthogonalInitializer"


@pytest.mark.parametrize(
    "value",
    [
        layer("Anything", {"x": 1}, COMPAT_MODULE),
        layer("Mine", {"x": 1}, "mine"),
        {"module": None, "class_name": "Dense", "config": {"x": 1}, "registered_name": None},
        layer("Sequential", {"layers": [], "name": "s"}, "keras"),
        layer("Any", "not a dict"),
        [1, None, "x"],
    ],
)
def test_everything_else_is_left_alone(value):
    """Custom objects, safeload's own, models and plain values pass through."""
    assert lowered(value, {}) == value


def test_a_class_that_takes_any_keyword_is_left_alone():
    """Where the target cannot say, nothing is dropped."""
    value = layer("Dense", {"units": 2, "quantization_config": None})
    assert lowered(value, {("keras.layers", "Dense"): None}) == value


def test_keywords_that_constructors_pop_are_taken():
    """``vocabulary_size`` is read from ``**kwargs``, which no signature shows."""
    value = layer("StringLookup", {"vocabulary_size": 3})
    assert lowered(value, {("keras.layers", "StringLookup"): frozenset({"trainable"})}) == value


@pytest.mark.parametrize("class_name", ["Functional", "Mine"])
def test_early_releases_take_lists_of_tensors(class_name):
    """Before 3.4 a model with one input records a list of one, and so does a class derived from Model."""
    ends = {"input_layers": ["x", 0, 0], "output_layers": [["y", 0, 0]]}
    value = layer(class_name, {"layers": [], **ends}, "keras.src.models.functional")
    found = lowered(value, {}, (3, 3, 3))["config"]
    assert found == {"layers": [], "input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
    assert lowered(value, {}, (3, 4, 0)) == value


@pytest.mark.parametrize("ends", [[[["y", 0, 0]]], {"a": [["y", 0, 0], ["y", 0, 0]]}])
def test_early_releases_nest_no_lists(ends):
    """Before 3.4 outputs are a list or a dict of tensors; what is nested deeper is refused, with its place."""
    value = layer("Functional", {"layers": [], "input_layers": ["x", 0, 0], "output_layers": ends}, "keras")
    with pytest.raises(IncompatibleVersionError, match=r"\$.config.output_layers: .*nested deeper"):
        lowered(value, {}, (3, 3, 3))
    assert lowered(value, {}, (3, 4, 0)) == value


def _with_two_inputs(*more):
    """A model of the inputs ``x`` and ``z``, whose output is ``Dense(x)``."""
    inputs = [{**layer("InputLayer", {"name": name}), "name": name, "inbound_nodes": []} for name in ("x", "z")]
    dense = {**layer("Dense", {"units": 1, "name": "y"}), "name": "y", "inbound_nodes": [_taking("x")]}
    ends = {"input_layers": [["x", 0, 0], ["z", 0, 0]], "output_layers": [["y", 0, 0]]}
    return layer("Functional", {"layers": [*inputs, dense, *more], **ends}, "keras.src.models.functional")


def _taking(name):
    """A node that takes the tensor of the layer *name*."""
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]}
    return {"args": [{"class_name": "__keras_tensor__", "config": config}], "kwargs": {}}


_OF_TWO_INPUTS = {**DENSE, ("keras.layers", "InputLayer"): None, ("keras.layers", "Identity"): None}


@pytest.mark.parametrize("version", [(3, 9, 2), (3, 14, 0)])
def test_unused_inputs_stay_where_keras_takes_them(version):
    """Most releases build a model with an input that no layer takes."""
    value = _with_two_inputs()
    assert lowered(value, _OF_TWO_INPUTS, version) == value


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 13, 2)])
def test_unused_inputs_are_taken_by_a_layer_without_effect(version):
    """The releases between refuse such a model unless some layer takes the input, part of an output or not."""
    *layers, added = lowered(_with_two_inputs(), _OF_TWO_INPUTS, version)["config"]["layers"]
    assert layers == _with_two_inputs()["config"]["layers"]
    assert (added["class_name"], added["name"], added["inbound_nodes"]) == ("Identity", "z_unused", [_taking("z")])


def test_the_layer_after_an_unused_input_has_a_name_of_its_own():
    """A layer that bears the name already keeps it."""
    dense = {**layer("Dense", {"units": 1}), "name": "z_unused", "inbound_nodes": [_taking("y")]}
    assert lowered(_with_two_inputs(dense), _OF_TWO_INPUTS)["config"]["layers"][-1]["name"] == "z_unused1"


def _with_late_call(**kwargs):
    """A model that calls ``y`` on ``z``, which comes after it, on both in a list, and once more with *kwargs*."""
    x = {**layer("InputLayer", {"name": "x"}), "name": "x", "inbound_nodes": []}
    both = {"args": [[*_taking("x")["args"], *_taking("z")["args"]]], "kwargs": {"training": False}}
    calls = [_taking("x"), _taking("z"), both, {**_taking("x"), "kwargs": kwargs}]
    y = {**layer("Dense", {"units": 1}), "name": "y", "inbound_nodes": calls}
    z = {**layer("Dense", {"units": 1}), "name": "z", "inbound_nodes": [_taking("y")]}
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["y", 2, 0]]}
    return layer("Functional", {"layers": [x, y, z], **ends}, "keras.src.models.functional")


def test_calls_on_what_comes_later_are_written_as_keras_2_did():
    """Before 3.7 only those wait for their tensors; what they cannot say stays as it is."""
    kwargs = {"mask": _taking("x")["args"][0]}
    nodes = lowered(_with_late_call(**kwargs), _OF_TWO_INPUTS, (3, 6, 0))["config"]["layers"][1]["inbound_nodes"]
    both = [["x", 0, 0, {"training": False}], ["z", 0, 0, {"training": False}]]
    assert nodes == [[["x", 0, 0, {}]], [["z", 0, 0, {}]], both, {**_taking("x"), "kwargs": kwargs}]
    assert lowered(_with_late_call(), _OF_TWO_INPUTS, (3, 7, 0)) == _with_late_call()


def test_ways_to_write_off_are_neutral():
    """``ragged: false`` means what leaving it out means."""
    value = layer("InputLayer", {"ragged": False, "name": "x"})
    assert lowered(value, {("keras.layers", "InputLayer"): frozenset({"name"})}, (3, 3, 3))["config"] == {"name": "x"}
