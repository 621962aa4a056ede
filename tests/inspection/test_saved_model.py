"""What is said about a SavedModel equals what TensorFlow makes of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from artifacts import inspect

from safeload.formats import Format
from safeload.inspection import CallStructure, Slot, TypedConstant
from safeload.inspection.graph.info import inspect_graph
from safeload.inspection.saved_model.examples import example_features
from safeload.inspection.saved_model.model import natural_key
from safeload.readers.protobuf import message_class


class Pair(NamedTuple):
    """Two arguments in one."""

    u: Any
    v: Any


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
            input_signature=[
                tf.RaggedTensorSpec([None, None], tf.int32, row_splits_dtype=tf.int32),
                tf.SparseTensorSpec([None, 3], tf.float32),
            ]
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


def test_traces_for_types_of_tensorflow(module_path):
    """A dtype is described by its name, as a constant and as a default."""
    (typed,) = (function for function in only_graph(module_path).functions if function.key == "typed")
    constant = TypedConstant("dtype", "float32")
    assert typed.structure.args == (("x", Slot("x")), ("dtype", constant))
    assert typed.structure.defaults == (("dtype", constant),)
    assert typed.defaults == ()


def test_row_splits_have_the_dtype_of_the_trace(module_path):
    """What is ragged has a second dtype."""
    (composite,) = (function for function in only_graph(module_path).functions if function.key == "composite")
    assert [(info.ragged_rank, info.row_splits_dtype) for info in composite.inputs] == [(1, "int32"), (None, None)]


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
    (signature,) = saved.saved_model.meta_graphs[0].signatures
    assert [info.name for info in signature.inputs] == ["pixels"]
    call = [function for function in saved.saved_model.meta_graphs[0].functions if function.key == "__call__"]
    assert {dict(trace.structure.args)["training"] for trace in call} == {False, True}
    assert all(dict(trace.structure.defaults) == {"training": False, "mask": None} for trace in call)


def test_models_of_tensorflow_1(tmp_path):
    """Several MetaGraphs, an initializer, inputs with a default and a sparse input are described."""
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.builder.SavedModelBuilder(str(tmp_path / "m"))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        sparse = v1.sparse_placeholder(tf.float32, [None, 3], name="s")
        keep = v1.placeholder_with_default(tf.constant(1.0), [], "keep")
        taken = v1.FIFOQueue(1, tf.float32, [[]]).dequeue()
        queued = v1.placeholder_with_default(taken * taken, [], "queued")
        y = tf.identity(x * keep * queued, "y")
        total = v1.sparse_reduce_sum(sparse)
        main_op = tf.no_op("start")
        build = v1.saved_model.build_tensor_info
        inputs = {"x": build(x), "keep": build(keep), "queued": build(queued), "s": build(sparse)}
        signature = v1.saved_model.build_signature_def(inputs, {"y": build(y), "t": build(total)}, "m")
        builder.add_meta_graph_and_variables(session, ["train"], main_op=main_op)
        builder.add_meta_graph(["serve", "gpu"], signature_def_map={"default": signature})
    builder.save()
    first, second = inspect(tmp_path / "m").saved_model.meta_graphs
    assert (first.tags, first.signatures, first.initializer) == ({"train"}, (), "start")
    assert (second.tags, second.index, second.has_object_graph) == ({"serve", "gpu"}, 1, False)
    keep, queued, sparse, x = second.signatures[0].inputs
    assert (keep.name, keep.optional, keep.shape) == ("keep", True, ())
    assert (queued.name, queued.optional, queued.shape) == ("queued", False, ())  # or it would wait
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


def test_numbers_in_names_sort_by_value():
    """``output_2`` comes before ``output_10``, however long a number is."""
    names = ["b", "output_10", "output_2", "output_02", "a1b", "a1", "9" * 5000]
    assert sorted(names, key=natural_key) == ["9" * 5000, "a1", "a1b", "b", "output_2", "output_02", "output_10"]
