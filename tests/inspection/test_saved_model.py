"""What is said about a SavedModel equals what TensorFlow makes of it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from safeload._limits import Limits
from safeload.errors import MalformedArtifactError
from safeload.formats import Format, detect, open_source
from safeload.inspection import CallStructure, Slot, inspect_artifact
from safeload.inspection.graph.info import inspect_graph
from safeload.inspection.saved_model.examples import example_features
from safeload.inspection.saved_model.model import natural_key
from safeload.readers import SavedModelArtifact, read_artifact
from safeload.readers.protobuf import message_class


class Pair(NamedTuple):
    """Two arguments in one."""

    u: Any
    v: Any


def inspect(path):
    """Describe the SavedModel at *path*."""
    return inspect_artifact(read_artifact(detect(open_source(path)), Limits()))


def only_graph(path):
    """Describe the only MetaGraph of the SavedModel at *path*."""
    (graph,) = inspect(path).saved_model.meta_graphs
    return graph


@pytest.fixture(scope="module")
def module_path(tmp_path_factory):
    """A tf.Module whose functions take and return every kind of structure."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.scale = tf.Variable([2.0])

        @tf.function
        def __call__(self, x, training=False, factor=2):  # noqa: FBT002
            y = x * self.scale * factor
            return {"y": y + 1 if training else y, "z": (x, [x + 1])}

        @tf.function(
            input_signature=[tf.RaggedTensorSpec([None, None], tf.int32), tf.SparseTensorSpec([None, 3], tf.float32)]
        )
        def composite(self, ragged, sparse):
            return ragged + 1, tf.sparse.reduce_sum(sparse)

        @tf.function
        def nested(self, features, *rest, flag=None):
            return features["b"] + features["a"][0] + rest[0]

        @tf.function
        def named(self, pair):
            return Pair(pair.u, pair.v)

        @tf.function
        def typed(self, x, dtype=tf.float32):
            return tf.cast(x, dtype)

        @tf.function
        def nothing(self, text="a", rate=0.5):
            return None

        @tf.function(input_signature=[tf.TensorSpec(None, tf.int64, name="ids")])
        def any_rank(self, numbers):
            return numbers

    model = Model()
    x = tf.constant([1.0])
    model(x)
    model(x, training=True)
    model(tf.constant([[1.0]]), factor=3)
    model.nested({"b": x, "a": [x]}, x, flag=True)
    model.named(Pair(x, x))
    model.typed(x)
    model.nothing()
    model.bare = model.__call__.get_concrete_function(tf.TensorSpec([None], name="xx"), training=True)
    signature = tf.function(
        lambda a, b: {f"output_{i}": a + b + i for i in (10, 2, 1)},
        input_signature=[tf.TensorSpec([None, 2], tf.float32, "b"), tf.TensorSpec([], tf.float32, "a")],
    )
    composite = tf.function(
        lambda s: {"sparse": s, "ragged": tf.RaggedTensor.from_sparse(s)},
        input_signature=[tf.SparseTensorSpec([None, 3], tf.float32)],
    )
    path = tmp_path_factory.mktemp("module")
    signatures = {"serving_default": signature.get_concrete_function(), "composite": composite.get_concrete_function()}
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path


@pytest.fixture(scope="module")
def loaded(module_path):
    """What TensorFlow makes of it."""
    import tensorflow as tf

    return tf.saved_model.load(str(module_path))


def spec_facts(spec):
    """Describe a TensorFlow type spec as `TensorInfo` does."""
    kind = {"RaggedTensorSpec": "ragged", "SparseTensorSpec": "sparse"}.get(type(spec).__name__, "tensor")
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return kind, spec.dtype.name, shape


def tree_facts(tree, tensors):
    """Replace each slot of *tree* by the facts about its tensor."""
    if isinstance(tree, Slot):
        info = tensors[tree.name]
        return info.kind, info.dtype, info.shape
    if isinstance(tree, dict):
        return {key: tree_facts(branch, tensors) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [type(tree).__name__, *(tree_facts(branch, tensors) for branch in tree)]
    return tree


def theirs_facts(tree):
    """Describe a structure of TensorFlow in the same way."""
    if hasattr(tree, "_type_spec") or type(tree).__name__.endswith("Spec"):
        return spec_facts(tree)
    if isinstance(tree, dict):
        return {key: theirs_facts(branch) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        kind = {"ListWrapper": "list", "_TupleWrapper": "tuple"}.get(type(tree).__name__, type(tree).__name__)
        return [kind, *map(theirs_facts, tree)]
    return tree


@pytest.mark.parametrize("name", ["__call__", "composite", "nested", "named", "any_rank", "nothing"])
def test_functions_equal_those_that_tensorflow_loads(module_path, loaded, name):
    """Arguments and results of every trace have TensorFlow's structure, dtypes and shapes."""
    traces = [function for function in only_graph(module_path).functions if function.key == name]
    theirs = (loaded.__call__ if name == "__call__" else getattr(loaded, name)).concrete_functions
    assert [trace.structure.trace for trace in traces] == list(range(len(theirs)))
    for ours, concrete in zip(traces, theirs):
        args, kwargs = concrete.structured_input_signature
        tensors = {info.name: info for info in ours.inputs}
        assert [tree_facts(tree, tensors) for _, tree in ours.structure.args] == [theirs_facts(arg) for arg in args]
        assert {key: tree_facts(tree, tensors) for key, tree in ours.structure.kwargs} == theirs_facts(kwargs)
        results = {info.name: info for info in ours.outputs}
        assert tree_facts(ours.structure.outputs, results) == theirs_facts(concrete.structured_outputs)
        assert ours.is_positional
        assert ours.kind == "function"


def test_parameters_have_their_python_names_and_defaults(module_path):
    """Names come without ``self``, in Python order, with the constants that a call may leave out."""
    functions = {(f.key, f.structure.trace): f for f in only_graph(module_path).functions}
    call = functions["__call__", 2]
    assert call.structure == CallStructure(
        args=(("x", Slot("x")), ("training", False), ("factor", 3)),
        outputs={"y": Slot("y"), "z": (Slot("z/0"), [Slot("z/1/0")])},
        trace=2,
        defaults=(("training", False), ("factor", 2)),
    )
    nested = functions["nested", 0].structure
    assert nested.args == (
        ("features", {"a": [Slot("features/a/0")], "b": Slot("features/b")}),
        ("rest_0", Slot("rest_0")),
    )
    assert nested.kwargs == (("flag", True),)
    assert nested.defaults == (("flag", None),)
    assert functions["nothing", 0].structure.defaults == (("text", "a"), ("rate", 0.5))
    assert functions["any_rank", 0].inputs[0].aliases == ("ids",)
    assert functions["nested", 0].inputs[1].aliases == ("features_b", "b")
    assert functions["composite", 0].inputs[0].ragged_rank == 1


def test_a_concrete_function_has_fixed_constants(module_path):
    """A ConcreteFunction that is an attribute may be called without the constants it was traced for."""
    (bare,) = (function for function in only_graph(module_path).functions if function.key == "bare")
    assert bare.structure.args == (("x", Slot("x")), ("training", True), ("factor", 2))
    assert bare.structure.defaults == (("training", True), ("factor", 2))
    assert bare.inputs[0].aliases == ("xx",)


def test_traces_for_other_constants_are_left_out(module_path):
    """A trace for a dtype cannot be described by plain data and is not offered."""
    assert "typed" not in {function.key for function in only_graph(module_path).functions}


def test_signatures_equal_those_that_tensorflow_loads(module_path, loaded):
    """Inputs, outputs, dtypes and shapes are TensorFlow's; outputs come in natural order."""
    signatures = {signature.key: signature for signature in only_graph(module_path).signatures}
    assert set(signatures) == set(loaded.signatures)
    for key, ours in signatures.items():
        theirs = loaded.signatures[key]
        _, inputs = theirs.structured_input_signature
        assert {i.name: (i.dtype, i.shape) for i in ours.inputs} == {n: spec_facts(s)[1:] for n, s in inputs.items()}
        assert {o.name: (o.kind, o.dtype, o.shape) for o in ours.outputs} == {
            name: spec_facts(spec) for name, spec in theirs.structured_outputs.items()
        }
        assert ours.function_name.startswith("__inference_signature_wrapper")
        assert not ours.is_positional
    default = signatures["serving_default"]
    assert [info.name for info in default.inputs] == ["a", "b"]
    assert [info.name for info in default.outputs] == ["output_1", "output_2", "output_10"]
    assert default.method_name == "tensorflow/serving/predict"
    assert [info.tensor_name for info in default.inputs] == ["serving_default_a:0", "serving_default_b:0"]


def test_a_module_says_who_wrote_it(module_path):
    """The release of TensorFlow is recorded; a module that is no Keras model has no Keras version."""
    import tensorflow as tf

    info = inspect(module_path)
    assert (info.format, info.producer.tensorflow_version) == (Format.SAVED_MODEL, tf.__version__)
    assert (info.producer.keras_version, info.producer.keras_flavour) == (None, None)
    graph = info.saved_model.meta_graphs[0]
    assert graph.tags == {"serve"}
    assert graph.has_object_graph
    assert graph.missing_ops == ()
    assert graph.graph is not None


def test_exports_of_keras(tmp_path):
    """What Keras 3 and tf_keras export is told apart, and takes the names of the Keras inputs."""
    import keras

    model = keras.Sequential([keras.layers.Input((2,), name="pixels"), keras.layers.Dense(1)])
    model.export(str(tmp_path / "keras3"))
    info = inspect(tmp_path / "keras3")
    assert info.producer.keras_flavour == "keras3"
    assert {signature.key for signature in info.saved_model.meta_graphs[0].signatures} == {"serve", "serving_default"}
    assert "serve" in {function.key for function in info.saved_model.meta_graphs[0].functions}

    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.layers.Input((2,), name="pixels"), tf_keras.layers.Dense(1)])
    model.export(str(tmp_path / "exported"))
    assert inspect(tmp_path / "exported").producer.keras_flavour == "tf_keras"
    model.save(str(tmp_path / "saved"), save_format="tf")
    saved = inspect(tmp_path / "saved")
    assert (saved.producer.keras_flavour, saved.producer.keras_version) == ("tf_keras", tf_keras.__version__)
    assert saved.producer.backend == "tensorflow"
    assert saved.saved_model.has_keras_metadata
    (signature,) = saved.saved_model.meta_graphs[0].signatures
    assert [info.name for info in signature.inputs] == ["pixels"]
    call = [function for function in saved.saved_model.meta_graphs[0].functions if function.key == "__call__"]
    assert {dict(trace.structure.args)["training"] for trace in call} == {False, True}
    assert all(dict(trace.structure.defaults) == {"training": False, "mask": None} for trace in call)


def test_models_of_tensorflow_1(tmp_path):
    """Several MetaGraphs, an initializer, an input with a default and a sparse input are described."""
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.builder.SavedModelBuilder(str(tmp_path / "m"))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        sparse = v1.sparse_placeholder(tf.float32, [None, 3], name="s")
        keep = v1.placeholder_with_default(tf.constant(1.0), [], "keep")
        y = tf.identity(x * keep, "y")
        total = v1.sparse_reduce_sum(sparse)
        main_op = tf.no_op("start")
        build = v1.saved_model.build_tensor_info
        inputs = {"x": build(x), "keep": build(keep), "s": build(sparse)}
        signature = v1.saved_model.build_signature_def(inputs, {"y": build(y), "t": build(total)}, "m")
        builder.add_meta_graph_and_variables(session, ["train"], main_op=main_op)
        builder.add_meta_graph(["serve", "gpu"], signature_def_map={"default": signature})
    builder.save()
    first, second = inspect(tmp_path / "m").saved_model.meta_graphs
    assert (first.tags, first.signatures, first.initializer) == ({"train"}, (), "start")
    assert (second.tags, second.index, second.has_object_graph) == ({"serve", "gpu"}, 1, False)
    keep, sparse, x = second.signatures[0].inputs
    assert (keep.name, keep.optional, keep.shape) == ("keep", True, ())
    assert (sparse.kind, sparse.dtype, sparse.tensor_name) == ("sparse", "float32", None)
    assert (x.name, x.optional, x.tensor_name) == ("x", False, "x:0")


@pytest.mark.parametrize("version", [1, 2])
def test_features_of_records(tmp_path, version):
    """An input of serialized records tells which features the graph reads from them."""
    import tensorflow as tf

    v1 = tf.compat.v1
    wanted = {
        "age": tf.io.FixedLenFeature([2], tf.float32, [0.0, 1.0]),
        "name": tf.io.FixedLenFeature([], tf.string),
        "tags": tf.io.VarLenFeature(tf.int64),
    }
    builder = v1.saved_model.builder.SavedModelBuilder(str(tmp_path / "m"))
    with tf.Graph().as_default(), v1.Session() as session:
        records = v1.placeholder(tf.string, [None], "records")
        if version == 2:
            parsed = tf.io.parse_example(records, wanted)["age"]
        else:
            parsed = tf.raw_ops.ParseExample(
                serialized=records, names=[], sparse_keys=["tags"], dense_keys=["age", "name"],
                dense_defaults=[[0.0, 1.0], tf.constant([], tf.string)], sparse_types=[tf.int64],
                dense_shapes=[[2], []],
            ).dense_values[0]  # fmt: skip
        build = v1.saved_model.build_tensor_info
        signature = v1.saved_model.build_signature_def({"inputs": build(records)}, {"age": build(parsed)}, "m")
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={"serving_default": signature})
    builder.save()
    (records,) = only_graph(tmp_path / "m").signatures[0].inputs
    assert {(f.name, f.dtype, f.shape, f.kind, f.optional) for f in records.features} == {
        ("age", "float32", (2,), "tensor", True),
        ("name", "string", (), "tensor", False),
        ("tags", "int64", None, "sparse", True),
    }


@pytest.mark.parametrize("op", ["ParseExample", "ParseExampleV2"])
@pytest.mark.parametrize("inputs", [0, 1, 2, 3])
def test_parsers_without_inputs_read_nothing(op, inputs):
    """A node that lacks inputs says nothing about features."""
    meta_graph = message_class("MetaGraphDef")()
    node = meta_graph.graph_def.node.add(name="p", op=op, input=["x"] * inputs)
    node.attr["Ndense"].i = 2
    node.attr["Tdense"].list.type.extend([1, 1])
    assert not any(example_features(inspect_graph(meta_graph)).values())


def artifact(saved_model, **fields):
    """Wrap a message that no release wrote."""
    return SavedModelArtifact(
        Format.SAVED_MODEL, "made", None, saved_model.SerializeToString(), saved_model=saved_model, files={}, **fields
    )


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
    return inspect_artifact(artifact(saved_model)).saved_model.meta_graphs[0].functions


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
    ],
    ids=["no-arguments", "empty-value", "array", "bad-name"],
)
@pytest.mark.parametrize("is_bare", [False, True])
def test_signatures_that_cannot_be_read_are_left_out(made, edit, is_bare):
    """What has no plain form is not offered as a function."""
    graph = made.meta_graphs[0].object_graph_def
    edit(graph.concrete_functions["f_1"].canonicalized_input_signature.tuple_value)
    if is_bare:
        graph.nodes[1].bare_concrete_function.concrete_function_name = "f_1"
    assert made_functions(made) == ()


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
    """Other objects in the map of signatures are passed over."""
    graph = made.meta_graphs[0].object_graph_def
    graph.nodes[0].children.add(node_id=2, local_name="signatures")
    signatures = graph.nodes.add()
    signatures.children.add(node_id=0, local_name="other")
    signatures.children.add(node_id=3, local_name="run")
    graph.nodes.add().bare_concrete_function.concrete_function_name = "wrapper"
    made.meta_graphs[0].signature_def["run"].outputs["y"].name = "y:0"
    made.meta_graphs[0].signature_def["other"].outputs["y"].name = "y:0"
    found = inspect_artifact(artifact(made)).saved_model.meta_graphs[0].signatures
    assert {signature.key: signature.function_name for signature in found} == {"run": "wrapper", "other": None}


def test_details_of_signatures(made):
    """Defaults make inputs optional; names of served inputs and composites are kept."""
    definition = made.meta_graphs[0].signature_def["serve"]
    definition.inputs["x"].name = "my_serving_default_pixels:0"
    definition.defaults["x"].dtype = 1
    definition.inputs["r"].composite_tensor.type_spec.type_spec_class = 3
    made.meta_graphs[0].signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    graph = inspect_artifact(artifact(made)).saved_model.meta_graphs[0]
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
    missing = inspect_artifact(artifact(made)).saved_model.meta_graphs[0].missing_ops
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
    producer = inspect_artifact(artifact(made)).producer
    assert (producer.keras_version, producer.keras_flavour) == (version, flavour)


def test_keras_metadata_beside_the_graph_comes_first(made):
    """Since TensorFlow 2.5 the metadata has its own file; a broken one says nothing."""
    made.meta_graphs[0].object_graph_def.nodes[0].user_object.metadata = '{"keras_version": "2.4.0"}'
    metadata = message_class("KerasSavedMetadata")()
    metadata.nodes.add(node_path="root", metadata=json.dumps({"keras_version": "2.9.0"}))
    info = inspect_artifact(artifact(made, keras_metadata=metadata.SerializeToString()))
    assert info.producer.keras_version == "2.9.0"
    assert inspect_artifact(artifact(made, keras_metadata=b"\xff")).producer.keras_version is None


def test_numbers_in_names_sort_by_value():
    """``output_2`` comes before ``output_10``, however long a number is."""
    names = ["b", "output_10", "output_2", "output_02", "a1b", "a1", "9" * 5000]
    assert sorted(names, key=natural_key) == ["9" * 5000, "a1", "a1b", "b", "output_2", "output_02", "output_10"]
