"""What is said about SavedModels that no release wrote: what is odd is described, what is broken refused."""

from __future__ import annotations

import json

import pytest
from artifacts import described

from safeload.errors import MalformedArtifactError
from safeload.inspection import Slot, TypedConstant
from safeload.readers.protobuf import message_class


@pytest.fixture
def made():
    """A message with one MetaGraph and an object graph whose root has the function ``f``."""
    saved_model = message_class("SavedModel")()
    graph = saved_model.meta_graphs.add().object_graph_def
    root = graph.nodes.add()
    root.user_object.identifier = "_generic_user_object"
    root.children.add(node_id=1, local_name="f")
    function = graph.nodes.add().function
    function.concrete_functions.append("f_1")
    signature = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value
    signature.values.add().tuple_value.values.add().tensor_spec_value.dtype = 1
    signature.values.add().dict_value.SetInParent()
    return saved_model


def made_functions(saved_model):
    """Return the functions of a made message."""
    return described(saved_model).saved_model.meta_graphs[0].functions


def test_parameters_without_a_spec_are_numbered(made):
    """Early releases recorded no names of parameters."""
    (function,) = made_functions(made)
    assert function.structure.args == (("args_0", Slot("args_0")),)
    assert function.structure.outputs is None
    assert function.inputs[0].shape == ()


def test_a_function_without_a_spec_goes_by_its_keywords(made):
    """Of a ConcreteFunction without a spec, only as many arguments take positions as it allows."""
    graph = made.meta_graphs[0].object_graph_def
    signature = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value
    signature.values[0].tuple_value.values.add().none_value.SetInParent()
    bare = graph.nodes[1].bare_concrete_function
    bare.concrete_function_name = "f_1"
    bare.argument_keywords.extend(["x", "k"])
    bare.allowed_positional_arguments = 1
    (function,) = made_functions(made)
    assert function.structure.args == (("x", Slot("x")),)
    assert function.structure.kwargs == (("k", None),)
    assert function.structure.defaults == (("k", None),)


@pytest.mark.parametrize(
    "edit",
    [
        lambda spec: spec.ClearField("values"),
        lambda spec: spec.values[0].tuple_value.values.add(),
        lambda spec: spec.values[0].tuple_value.values.add().numpy_value.SetInParent(),
        lambda spec: setattr(spec.values[0].tuple_value.values.add().named_tuple_value, "name", "not a name"),
        lambda spec: setattr(spec.values[0].tuple_value.values.add(), "tensor_dtype_value", 999),
    ],
    ids=["no-arguments", "empty-value", "array", "bad-name", "unknown-dtype"],
)
@pytest.mark.parametrize("is_bare", [False, True])
def test_signatures_that_cannot_be_read_are_left_out(made, edit, is_bare):
    """What cannot be read is not offered as a function, and named, lest another one answer."""
    graph = made.meta_graphs[0].object_graph_def
    edit(graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value)
    if is_bare:
        graph.nodes[1].bare_concrete_function.concrete_function_name = "f_1"
    found = described(made).saved_model.meta_graphs[0]
    assert (found.functions, found.unread) == ((), {"f"})


def test_one_trace_that_cannot_be_read(made):
    """Which trace would answer is not known then, so that none does."""
    graph = made.meta_graphs[0].object_graph_def
    graph.nodes[1].function.concrete_functions.append("f_2")
    graph.concrete_functions["f_2"].SetInParent()
    found = described(made).saved_model.meta_graphs[0]
    assert (found.functions, found.unread) == ((), {"f"})


def test_shapes_are_constants(made):
    """A shape that a function was traced for is described by its dimensions."""
    graph = made.meta_graphs[0].object_graph_def
    values = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value.values[0].tuple_value.values
    dims = values.add().tensor_shape_value.dim
    dims.add(size=2)
    dims.add(size=-1)
    values.add().tensor_shape_value.unknown_rank = True
    (function,) = made_functions(made)
    constants = [tree for _, tree in function.structure.args[1:]]
    assert constants == [TypedConstant("shape", (2, None)), TypedConstant("shape", None)]
    assert list(map(repr, constants)) == ["tf.TensorShape((2, None))", "tf.TensorShape(None)"]


def _with_default(made, tree=None):
    """Give the only parameter of ``f`` a default, and return what encodes it."""
    function = made.meta_graphs[0].object_graph_def.nodes[1].function
    pairs = function.function_spec.fullargspec.named_tuple_value.values
    pairs.add(key="args").value.list_value.values.add().string_value = "x"
    if tree is not None:
        graph = made.meta_graphs[0].object_graph_def
        pair = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value
        tree(pair.values[0].tuple_value.values[0])
    return pairs.add(key="defaults").value.tuple_value.values.add()


@pytest.mark.parametrize(
    ("sizes", "is_whole"),
    [((), True), ((2,), True), ((0, 9), True), ((10**12,), False), ((-3, -4), False), ((1,) * 255, False)],
    ids=["scalar", "vector", "empty", "bomb", "negative", "many-dimensions"],
)
@pytest.mark.parametrize("kind", ["tensor", "numpy"])
def test_arrays_are_defaults_where_they_are_stored_whole(made, sizes, is_whole, kind):
    """A few bytes that stand for an array of any size are no default."""
    tensor = getattr(_with_default(made), f"{kind}_value")
    tensor.dtype = 1
    tensor.float_val.extend([1.5, 2.5])
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    (function,) = made_functions(made)
    constant = TypedConstant({"numpy": "array"}.get(kind, kind), tensor.SerializeToString())
    assert function.defaults == ((("x", constant),) if is_whole else ())
    assert repr(constant) == f"<{constant.kind}>"


def _pair_of_a_tensor_and_a_word(value):
    value.Clear()
    value.list_value.values.add().tensor_spec_value.dtype = 1
    value.list_value.values.add().string_value = "fast"


@pytest.mark.parametrize(
    ("items", "defaults"),
    [
        ((1.5, "fast"), (("x/0", 1.5),)),
        ((1.5, "slow"), ()),
        ((None, "fast"), ()),
        ((1.5,), ()),
        ((1.5, "fast", 2.5), ()),
        (None, ()),
    ],
    ids=["same", "other-constant", "none", "shorter", "longer", "no-list"],
)
def test_defaults_fill_the_tensors_of_a_nesting(made, items, defaults):
    """A default counts where it fits the nesting and the constants of the trace."""
    value = _with_default(made, _pair_of_a_tensor_and_a_word)
    if items is None:
        value.int64_value = 1
    for item in items or ():
        part = value.tuple_value.values.add()
        if item is None:
            part.none_value.SetInParent()
        else:
            setattr(part, {float: "float64_value", str: "string_value"}[type(item)], item)
    (function,) = made_functions(made)
    assert function.defaults == defaults


def test_fields_that_python_takes_for_one(made):
    """A named tuple has no two fields that differ in the form of a letter alone."""
    graph = made.meta_graphs[0].object_graph_def
    value = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value.values[0].tuple_value.values.add()
    for key in ("fi", "\ufb01"):
        value.named_tuple_value.values.add(key=key).value.none_value.SetInParent()
    value.named_tuple_value.name = "Pair"
    assert made_functions(made) == ()


def test_many_tensors_of_one_name(made):
    """Numbers are not counted again for each tensor."""
    graph = made.meta_graphs[0].object_graph_def
    values = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value.values[0].tuple_value.values
    values.extend([values[0]] * 20_000)
    spec = graph.nodes[1].function.function_spec.fullargspec.named_tuple_value.values.add(key="args").value.list_value
    for _ in range(20_001):
        spec.values.add().string_value = "x"
    (function,) = made_functions(made)
    assert [info.name for info in function.inputs[-2:]] == ["x_19999", "x_20000"]


def test_names_of_tensors_are_unique(made):
    """Two tensors of one path are told apart by a number."""
    graph = made.meta_graphs[0].object_graph_def
    fields = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value.values[1].dict_value.fields
    fields["args_0"].tensor_spec_value.dtype = 1
    (function,) = made_functions(made)
    assert [info.name for info in function.inputs] == ["args_0", "args_0_1"]


def test_other_composites_go_by_their_class(made):
    """A composite of another package keeps the name of its class."""
    graph = made.meta_graphs[0].object_graph_def
    values = graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value.values[0].tuple_value.values
    values[0].type_spec_value.type_spec_class = 12
    values[0].type_spec_value.type_spec_class_name = "pkg.Spec"
    values.add().type_spec_value.type_spec_class = 99
    variable = values.add().type_spec_value
    variable.type_spec_class = 9
    state = variable.type_state.tuple_value.values
    state.add().tensor_shape_value.unknown_rank = True
    state.add().tensor_dtype_value = 1
    state.add().bool_value = True
    (function,) = made_functions(made)
    assert [(i.kind, i.dtype, i.shape) for i in function.inputs] == [
        ("pkg.Spec", None, None),
        ("composite", None, None),
        ("variable", "float32", None),
    ]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda graph: graph.nodes[0].children.add(node_id=7, local_name="g"), "refers to object 7 of 2"),
        (lambda graph: graph.nodes[0].children.add(node_id=-1, local_name="g"), "refers to object -1 of 2"),
        (lambda graph: graph.nodes[0].children.add(node_id=9, local_name="signatures"), "refers to object 9 of 2"),
        (lambda graph: graph.nodes[1].function.concrete_functions.append("g"), "no ConcreteFunction 'g'"),
    ],
)
def test_broken_object_graphs_are_malformed(made, edit, problem):
    """A reference to what is not there is an error with the place."""
    edit(made.meta_graphs[0].object_graph_def)
    with pytest.raises(MalformedArtifactError, match=problem):
        made_functions(made)


def test_repeating_a_trace_is_bounded(made, monkeypatch):
    """A short file cannot name one large trace without end."""
    monkeypatch.setattr("safeload.inspection.saved_model.functions._MAX_TENSORS", 50)
    made.meta_graphs[0].object_graph_def.nodes[1].function.concrete_functions.extend(["f_1"] * 100)
    with pytest.raises(MalformedArtifactError, match="more than 50 tensors"):
        made_functions(made)


@pytest.mark.parametrize("defaults", [0, 1, 5])
def test_defaults_belong_to_the_last_parameters(made, defaults):
    """More defaults than parameters are ignored; so is what is no plain constant."""
    function = made.meta_graphs[0].object_graph_def.nodes[1].function
    pairs = function.function_spec.fullargspec.named_tuple_value.values
    names = pairs.add(key="args").value.list_value
    names.values.add().string_value = "self"
    names.values.add().string_value = "x"
    values = pairs.add(key="defaults").value.tuple_value.values
    for index in range(defaults):
        values.add().int64_value = index
    keywords = pairs.add(key="kwonlydefaults").value.dict_value.fields
    keywords["k"].numpy_value.SetInParent()
    (found,) = made_functions(made)
    assert found.structure.args == (("x", Slot("x")),)
    assert found.structure.defaults == ((("x", 0),) if defaults == 1 else ())


def test_signature_maps_hold_functions_alone(made):
    """Other objects in the map are passed over, functions of which nothing is recorded, and such with positions."""
    graph = made.meta_graphs[0].object_graph_def
    graph.nodes[0].children.add(node_id=2, local_name="signatures")
    signatures = graph.nodes.add()
    signatures.children.add(node_id=0, local_name="other")
    signatures.children.add(node_id=3, local_name="run")
    graph.nodes.add().bare_concrete_function.concrete_function_name = "wrapper"
    signatures.children.add(node_id=4, local_name="lost")
    graph.nodes.add().bare_concrete_function.concrete_function_name = "lost"
    made.meta_graphs[0].signature_def["lost"].outputs["y"].name = "y:0"
    signatures.children.add(node_id=3, local_name="other inputs")
    made.meta_graphs[0].signature_def["other inputs"].inputs["x"].name = "x:0"
    recorded = graph.concrete_functions["wrapper"].canonicalized_input_signature.tuple_value
    recorded.values.add().tuple_value.SetInParent()
    recorded.values.add().dict_value.SetInParent()
    signatures.children.add(node_id=5, local_name="placed")
    graph.nodes.add().bare_concrete_function.concrete_function_name = "placed"
    made.meta_graphs[0].signature_def["placed"].outputs["y"].name = "y:0"
    placed = graph.concrete_functions["placed"].canonicalized_input_signature.tuple_value
    placed.values.add().tuple_value.values.add()
    placed.values.add().dict_value.SetInParent()
    made.meta_graphs[0].signature_def["run"].outputs["y"].name = "y:0"
    made.meta_graphs[0].signature_def["other"].outputs["y"].name = "y:0"
    found = described(made).saved_model.meta_graphs[0].signatures
    assert {signature.key: signature.function_name for signature in found} == {
        "run": "wrapper",
        "other": None,
        "lost": None,
        "placed": None,
        "other inputs": None,
    }


def test_details_of_signatures(made):
    """Defaults make inputs optional; names of served inputs and composites are kept."""
    definition = made.meta_graphs[0].signature_def["serve"]
    definition.inputs["x"].name = "my_serving_default_pixels:0"
    definition.defaults["x"].dtype = 1
    definition.inputs["r"].composite_tensor.type_spec.type_spec_class = 3
    made.meta_graphs[0].signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    graph = described(made).saved_model.meta_graphs[0]
    ragged, x = graph.signatures[0].inputs
    assert (x.optional, x.aliases, x.dtype) == (True, ("pixels",), None)
    assert (ragged.kind, ragged.optional) == ("ragged", False)
    assert graph.initializer == "init"
    assert len(graph.signatures) == 1


def test_ops_of_other_packages_are_named(made):
    """Ops that stock TensorFlow lacks are listed with the package that registers them."""
    graph = made.meta_graphs[0].graph_def
    function = graph.library.function.add()
    function.signature.name = "helper"
    function.node_def.add(name="a", op="SentencepieceOp")
    function.node_def.add(name="b", op="NobodyKnowsThisOp")
    graph.node.add(name="c", op="helper")
    graph.node.add(name="d", op="AddV2")
    missing = described(made).saved_model.meta_graphs[0].missing_ops
    assert missing == (("NobodyKnowsThisOp", None), ("SentencepieceOp", "tensorflow-text"))


@pytest.mark.parametrize(
    ("metadata", "version", "flavour"),
    [
        ('{"keras_version": "2.4.0", "backend": "tensorflow"}', "2.4.0", "tf.keras"),
        ('{"keras_version": "2.16.1"}', "2.16.1", "tf_keras"),
        ('{"keras_version": "two"}', "two", "tf.keras"),
        ('{"keras_version": 2}', None, None),
        ("[1]", None, None),
        ("not json", None, None),
        ("[" * 100_000, None, None),
        ("", None, None),
    ],
    ids=["inside", "package", "odd", "number", "list", "text", "deep", "empty"],
)
def test_keras_metadata_names_the_release(made, metadata, version, flavour):
    """The version is read where it is; metadata that is broken says nothing."""
    made.meta_graphs[0].object_graph_def.nodes[0].user_object.metadata = metadata
    producer = described(made).producer
    assert (producer.keras_version, producer.keras_flavour) == (version, flavour)


def test_keras_metadata_beside_the_graph_comes_first(made):
    """Since TensorFlow 2.5 the metadata has its own file; a broken one says nothing."""
    made.meta_graphs[0].object_graph_def.nodes[0].user_object.metadata = '{"keras_version": "2.4.0"}'
    metadata = message_class("KerasSavedMetadata")()
    metadata.nodes.add(node_path="root", metadata=json.dumps({"keras_version": "2.9.0"}))
    info = described(made, keras_metadata=metadata.SerializeToString())
    assert info.producer.keras_version == "2.9.0"
    assert described(made, keras_metadata=b"\xff").producer.keras_version is None


def with_parts(made, *parts):
    """Put the function of a made message below others: ``parts`` are (parent, name) of the objects 2, 3, …."""
    graph = made.meta_graphs[0].object_graph_def
    graph.nodes[0].ClearField("children")
    for index, (parent, name) in enumerate(parts, 2):
        graph.nodes.add().user_object.identifier = "_generic_user_object"
        graph.nodes[parent].children.add(node_id=index, local_name=name)
    graph.nodes[len(parts) + 1].children.add(node_id=1, local_name="__call__")
    return graph


def keys(made):
    """Return the names of functions."""
    return [function.key for function in made_functions(made)]


def test_functions_of_parts(made):
    """An object without functions offers those of its parts, through lists too; cycles end."""
    graph = with_parts(made, (0, "steps"), (2, "0"))
    graph.nodes[3].children.add(node_id=0, local_name="root")
    graph.nodes[2].children.add(node_id=0, local_name="root")
    assert keys(made) == ["steps.0.__call__"]
    graph.nodes[2].children.add(node_id=1, local_name="run")
    assert keys(made) == ["steps.run"]
    graph.nodes[0].children.add(node_id=3, local_name="steps")  # the last of a name counts
    assert keys(made) == ["steps.__call__"]
    graph.nodes[0].children.add(node_id=1, local_name="f")
    assert keys(made) == ["f"]


def test_steps_of_learning_of_parts(made):
    """What the policy takes for out of reach is offered under no name; the root's own is within reach."""
    graph = with_parts(made, (0, "lookup"), (2, "inner"))
    graph.nodes[3].children[0].local_name = "_adapt_function"
    assert keys(made) == []
    graph.nodes[2].children.add(node_id=1, local_name="_adapt_function")
    assert keys(made) == []
    graph.nodes[0].children.add(node_id=1, local_name="_adapt_function")
    assert keys(made) == ["_adapt_function"]


def test_functions_of_parts_beside_signatures(made):
    """What the saver declared is what is offered."""
    with_parts(made, (0, "encoder"))
    made.meta_graphs[0].signature_def["serving_default"].SetInParent()
    assert keys(made) == []


@pytest.mark.parametrize("name", ["_encoder", "a.b", "n" * 255])
def test_parts_that_are_not_followed(made, name):
    """Private ones, and those whose path would not lead there, or be too long to repeat."""
    with_parts(made, (0, name))
    assert keys(made) == []


@pytest.mark.parametrize(("limit", "value"), [("_MAX_PARTS", 2), ("_LONG_PATH", 4)])
def test_parts_are_bounded(made, monkeypatch, limit, value):
    """Many objects with long paths would repeat them without end."""
    with_parts(made, (0, "abc"), (2, "d"))
    assert keys(made) == ["abc.d.__call__"]
    monkeypatch.setattr(f"safeload.inspection.saved_model.functions.{limit}", value)
    assert keys(made) == []


def test_layers_are_no_models(made):
    """A Keras model without functions is not what one of its layers computes."""
    graph = with_parts(made, (0, "dense"))
    graph.nodes[0].user_object.identifier = "_tf_keras_model"
    assert keys(made) == []
