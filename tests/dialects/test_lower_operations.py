"""Nodes of keras.ops for an installed Keras: arguments that moved between call and constructor."""

from __future__ import annotations

import pytest

from safeload.dialects import Flavour, KerasTarget, NormalForm, Writer, lower
from safeload.errors import IncompatibleVersionError

TENSOR = {"class_name": "__keras_tensor__", "config": {"shape": [2, 4], "keras_history": ["x", 0, 0]}}

MATH = "keras.src.ops.math"


def node(name, config, *calls, module="keras.src.ops.numpy"):
    """An operation in normal form, called with each pair of *calls*."""
    nodes = [{"args": list(args), "kwargs": kwargs} for args, kwargs in calls]
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": name,
        "name": "op",
        "inbound_nodes": nodes,
    }


def lowered(value, accepted, *, version=(3, 12, 0), writer=(3, 15, 1)):
    """What becomes of *value* where the constructor takes *accepted*."""
    target = KerasTarget("keras", version, lambda module, name: accepted)
    return lower(NormalForm(value, Writer(Flavour.KERAS_3, writer)), target)


@pytest.mark.parametrize(
    ("accepted", "config"),
    [
        (frozenset({"axis"}), {"axis": 1}),
        (frozenset({"axis", "name"}), {"axis": 1, "name": "s"}),
        (None, {"axis": 1, "name": "s"}),
    ],
)
def test_operations_of_early_releases_have_no_name(accepted, config):
    """The node has the name; the operation loses it where it takes none."""
    assert lowered(node("Sum", {"axis": 1, "name": "s"}), accepted)["config"] == config


def test_a_missing_operation_is_refused():
    """An older Keras without the operation is told apart from a broken file."""
    target = KerasTarget("keras", (3, 3, 3), lambda module, name: {}[name])
    with pytest.raises(IncompatibleVersionError, match="3.3.3 has no keras.src.ops.numpy.Sum"):
        lower(NormalForm(node("Sum", {}), Writer(Flavour.KERAS_3, (3, 15, 1))), target)


def test_arguments_move_into_the_constructor():
    """``slice(x, start, shape)`` of Keras 3.8 is ``Slice(shape)(x, start)`` later."""
    value = node("Slice", {"name": "s"}, ([TENSOR, [0, 1], [2, 2]], {}), module="keras.src.ops.core")
    found = lowered(value, frozenset({"shape", "name"}))
    assert found["config"] == {"name": "s", "shape": [2, 2]}
    assert found["inbound_nodes"] == [{"args": [], "kwargs": {"inputs": TENSOR, "start_indices": [0, 1]}}]


def test_arguments_move_into_the_call():
    """And back, where the installed Keras is the older one: also those that stood before the tensor."""
    value = node("Full", {"shape": [2], "dtype": None}, ([TENSOR], {}))
    found = lowered(value, frozenset({"name"}))
    assert found["config"] == {}
    assert found["inbound_nodes"][0]["kwargs"] == {"shape": [2], "fill_value": TENSOR, "dtype": None}


def test_an_argument_that_stays_stays():
    """Constructor arguments of a release like the installed one are left where they are."""
    value = node("ZerosLike", {"dtype": "int32", "name": "z"}, ([TENSOR], {}))
    found = lowered(value, frozenset({"dtype", "name"}))
    assert found["config"] == value["config"]
    assert found["inbound_nodes"] == [{"args": [], "kwargs": {"x": TENSOR}}]


def test_calls_that_differ_in_the_constructor_are_refused():
    """One object cannot have two shapes."""
    value = node("Scatter", {}, ([TENSOR, TENSOR, [3]], {}), ([TENSOR, TENSOR, [4]], {}), module="keras.src.ops.core")
    with pytest.raises(IncompatibleVersionError, match="different values of shape"):
        lowered(value, frozenset({"shape"}))


def test_more_arguments_than_there_are_is_refused():
    """No argument is dropped in silence."""
    with pytest.raises(IncompatibleVersionError, match="with 3 arguments"):
        lowered(node("OnesLike", {}, ([TENSOR, None, 1], {})), frozenset({"dtype"}))


@pytest.mark.parametrize(
    ("accepted", "keys"),
    [
        (frozenset({"threshold", "default_value"}), {"threshold", "default_value"}),
        (frozenset({"threshold_value", "value"}), {"threshold_value", "value"}),
    ],
)
def test_renamed_keys_have_the_name_that_the_release_takes(accepted, keys):
    """Keras 3.8 named the arguments of ``Threshold`` otherwise."""
    for config in ({"threshold_value": 0.2, "value": -1.0}, {"threshold": 0.2, "default_value": -1.0}):
        assert lowered(node("Threshold", config, module="keras.src.ops.nn"), accepted)["config"].keys() == keys


def test_keras_3_0_named_two_arguments_otherwise():
    """Those of ``Reshape`` and ``MultiHot``."""
    cases = (("numpy", "Reshape", "new_shape", "newshape"), ("nn", "MultiHot", "num_tokens", "num_classes"))
    for module, name, old, new in cases:
        found = lowered(node(name, {old: 2}, module=f"keras.src.ops.{module}"), frozenset({new}))
        assert found["config"] == {new: 2}


def test_a_key_goes_only_with_the_value_that_older_releases_mean():
    """``FFT`` had an axis of -1; any other matters."""
    assert lowered(node("FFT", {"axis": -1, "real": None}, module=MATH), frozenset())["config"] == {}
    with pytest.raises(IncompatibleVersionError, match="FFT has axis=0, which keras 3.12.0 does not take"):
        lowered(node("FFT", {"axis": 0}, module=MATH), frozenset())


@pytest.mark.parametrize(("version", "writer"), [((3, 15, 1), (3, 6, 0)), ((3, 6, 0), (3, 15, 1))])
def test_an_operation_that_means_something_else_is_refused(version, writer):
    """Keras 3.6 computes another attention under the same name, so no other release stands in for it."""
    value = {"layers": [node("DotProductAttention", {"is_causal": True}, module="keras.src.ops.nn")]}
    with pytest.raises(IncompatibleVersionError, match="the logits in Keras 3.*, which wrote the file"):
        lowered(value, frozenset({"is_causal"}), version=version, writer=writer)
    assert lowered(value, frozenset({"is_causal"}), version=writer, writer=writer)


@pytest.mark.parametrize(
    ("since", "before", "is_certain"), [((), (3, 4), True), ((3, 4), (3, 9), False), ((3, 9), (), True)]
)
def test_bounds_of_the_release_may_tell_what_is_meant(since, before, is_certain):
    """Where Keras 3.6 is among them, it may be the other attention."""
    value = {"layers": [node("DotProductAttention", {"is_causal": True}, module="keras.src.ops.nn")]}
    target = KerasTarget("keras", (3, 15, 1), lambda module, name: frozenset({"is_causal"}))
    normal = NormalForm(value, Writer(Flavour.KERAS_3, (), since, before))
    if is_certain:
        assert lower(normal, target)
    else:
        with pytest.raises(IncompatibleVersionError, match="squares the logits in Keras of an unknown release"):
            lower(normal, target)


@pytest.mark.parametrize(("writer", "version"), [((3, 8, 0), (3, 3, 3)), ((3, 6, 0), (3, 15, 1)), ((), (3, 15, 1))])
def test_a_layer_that_means_something_else_is_refused(writer, version):
    """RandomCrop had three meanings in inference; a class of the user's with that name has its own."""
    value = {"module": "keras.layers", "class_name": "RandomCrop", "config": {"height": 2, "width": 2}}
    with pytest.raises(IncompatibleVersionError, match="RandomCrop .* images"):
        lowered(value, None, version=version, writer=writer)
    assert lowered({**value, "module": "my"}, None, version=version, writer=writer)
    assert lowered(value, None, version=(3, 14, 0), writer=(3, 8, 0)) == value


def test_a_damaged_node_is_left_to_keras():
    """A config or calls of another type are no arguments."""
    value = {**node("Slice", []), "inbound_nodes": None}
    assert lowered(value, frozenset()) == value
    assert lowered({**value, "config": {}}, frozenset())["inbound_nodes"] is None


def test_other_operations_of_that_release_are_taken():
    """Only the operation whose meaning changed is refused."""
    value = node("Sum", {"axis": 1})
    assert lowered(value, frozenset({"axis"}), writer=(3, 6, 0)) == value


@pytest.mark.parametrize("version", [(3, 3, 3), (3, 4, 1)])
@pytest.mark.parametrize("mode", ["one_hot", "multi_hot"])
def test_columns_that_an_early_keras_encodes_otherwise(version, mode):
    """Keras 2 and Keras 3 from 3.4 on take off the last axis of a column that they encode one-hot."""
    value = {"module": "keras.layers", "class_name": "CategoryEncoding", "config": {"output_mode": mode}}
    target = KerasTarget("keras", version, lambda module, name: None)
    normal = NormalForm(value, Writer(Flavour.TF_KERAS_1X, (2, 12, 0)))
    if version < (3, 4) and mode == "one_hot":
        with pytest.raises(IncompatibleVersionError, match="one-hot CategoryEncoding takes off .*, and leaves"):
            lower(normal, target)
    else:
        assert lower(normal, target) == value


@pytest.mark.parametrize("mode", ["same", "full", "valid"])
@pytest.mark.parametrize("writer", [(3, 12, 0), (3, 13, 0)])
def test_correlations_beyond_the_valid_part(mode, writer):
    """With TensorFlow, Keras before 3.13 shifted or cut off what is beyond the valid part."""
    value = node("Correlate", {"mode": mode})
    if mode != "valid" and writer < (3, 13):
        with pytest.raises(
            IncompatibleVersionError, match="padded Correlate shifts or cuts off .*, and does what NumPy"
        ):
            lowered(value, frozenset({"mode"}), version=(3, 15, 1), writer=writer)
    else:
        assert lowered(value, frozenset({"mode"}), version=(3, 15, 1), writer=writer) == value
    assert lowered(value, frozenset({"mode"}), version=writer, writer=writer) == value
