"""SavedModels that the installed TensorFlow writes, and a way to load them past the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from artifacts import read
from tensorflow.core.protobuf import saved_model_pb2

from safeload.inspection import inspect_artifact
from safeload.readers import SavedModelArtifact
from safeload.runtime._callable._model_callable import ModelCallable
from safeload.runtime._saved_model._runtime import SavedModelRuntime
from safeload.signatures import choose

X = np.arange(8, dtype=np.float32).reshape(2, 4)
WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)

Saved = Callable[[str], Path]
"""The fixture ``saved``."""


def load(path: Path, *, signature: str | None = None, tags: str | None = None) -> ModelCallable:
    """Do what `load_callable` does to a SavedModel, without judging it."""
    return load_artifact(read(path), signature=signature, tags=tags)


def load_artifact(artifact: SavedModelArtifact, **wanted: str | None) -> ModelCallable:
    """Do the part of `load` that comes after reading."""
    choice = choose(inspect_artifact(artifact), **wanted)
    runtime = SavedModelRuntime(artifact, choice.meta_graph)
    runtime.prepare(choice.signature_info)
    return ModelCallable(runtime, choice.signature_info.key, digest=artifact.digest)


@contextmanager
def rewritten(path: Path) -> Iterator[Any]:
    """Yield the SavedModel message of the directory *path*, and write it back as it was changed."""
    file = path / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    yield message
    file.write_bytes(message.SerializeToString())


def equal(actual: Any, expected: Any) -> None:
    """Assert that the values are the same but for rounding."""
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=2e-6, atol=2e-6)


def identical(actual: Any, expected: Any) -> None:
    """Assert that structures, dtypes and values are the same."""
    tf.nest.assert_same_structure(actual, expected, expand_composites=True)
    for one, other in zip(_flat(actual), _flat(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def _flat(value: Any) -> list[Any]:
    return [np.asarray(leaf) for leaf in tf.nest.flatten(value, expand_composites=True)]


class Linear(tf.Module):
    """Every kind of function that a module may have."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(WEIGHTS, name="w")

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x: Any) -> Any:
        return x @ self.w

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.float32)])
    def minus(self, b: Any, a: Any) -> Any:
        return b - a

    @tf.function
    def nested(self, x: Any, scale: Any = 2.0) -> Any:
        return {"sum": x["a"] + x["n"][0], "rest": (x["n"][1] * scale, x["a"])}

    @tf.function
    def shaped(self, x: Any) -> Any:
        return tf.reduce_sum(x)

    @tf.function
    def trained(self, x: Any, training: bool = True) -> Any:
        return x + 100.0 if training else x

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32, 1)])
    def ragged(self, r: Any) -> Any:
        return tf.reduce_sum(r, axis=1)

    @tf.function(input_signature=[tf.SparseTensorSpec([None, 3], tf.float32)])
    def sparse(self, s: Any) -> Any:
        return tf.sparse.reduce_sum(s, axis=1)


class Scorer(tf.Module):
    """Two traced functions, neither of them the default."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.ones((4, 3), np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def score(self, x: Any) -> Any:
        return tf.matmul(x, self.kernel)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def negated(self, x: Any) -> Any:
        return -tf.matmul(x, self.kernel)


def _module(path: str) -> None:
    module = Linear()
    spec = tf.TensorSpec([2], tf.float32)
    module.nested.get_concrete_function({"a": spec, "n": [spec, spec]})
    module.shaped.get_concrete_function(tf.TensorSpec([None], tf.float32))
    module.shaped.get_concrete_function(tf.TensorSpec([None, 2], tf.float32))
    module.shaped.get_concrete_function(tf.TensorSpec([None], tf.int32))
    module.trained.get_concrete_function(spec, training=True)
    module.trained.get_concrete_function(spec, training=False)
    tf.saved_model.save(module, path)


def _signatures(path: str) -> None:
    module = Linear()
    minus = module.minus.get_concrete_function()
    call = module.__call__.get_concrete_function()
    tf.saved_model.save(module, path, signatures={"serving_default": call, "minus": minus})


def _composite(path: str) -> None:
    module = Linear()
    functions = {key: getattr(module, key).get_concrete_function() for key in ("ragged", "sparse")}
    tf.saved_model.save(module, path, signatures=functions)


def _table(path: str) -> None:
    vocabulary = Path(path).parent / "vocabulary.txt"
    vocabulary.write_text("apple\npear\n")

    class Lookup(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            init = tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )
            self.table = tf.lookup.StaticVocabularyTable(init, 1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, words: Any) -> Any:
            return self.table.lookup(words)

    module = Lookup()
    tf.saved_model.save(module, path, signatures=module.__call__.get_concrete_function())
    vocabulary.unlink()


def _described(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    utils = tf.compat.v1.saved_model.utils
    infos = ({key: utils.build_tensor_info(tensor) for key, tensor in tensors.items()} for tensors in (inputs, outputs))
    return tf.compat.v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")


def _builder(
    path: str, signatures: Callable[[], dict[str, Any]], tags: tuple[str, ...] = ("serve",), **options: Any
) -> None:
    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(path)
    with tf.Graph().as_default(), v1.Session() as session:
        described = {key: _described(*pair) for key, pair in signatures().items()}
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder.add_meta_graph_and_variables(session, list(tags), signature_def_map=described, **options)
    builder.save()


def _tf1(path: str) -> None:
    def signatures() -> dict[str, Any]:
        v1 = tf.compat.v1
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        scale = v1.placeholder_with_default(2.0, [], name="scale")
        training = v1.placeholder(tf.bool, [], name="is_training")
        reference = v1.get_variable("reference", initializer=WEIGHTS, use_resource=False)
        resource = v1.get_variable("resource", initializer=WEIGHTS, use_resource=True)
        y = tf.matmul(x, reference + resource) * scale
        y = tf.cond(training, lambda: y * 0.0, lambda: y)
        counter = v1.get_variable("counter", initializer=0.0, use_resource=False)
        return {
            "serving_default": ({"in": x, "self": scale, "is_training": training}, {"lambda": y}),
            "count": ({}, {"counter": v1.assign_add(counter, 1.0)}),
            "read": ({}, {"counter": counter}),
        }

    _builder(path, signatures)


def save_tf1(path: str, *, use_resource: bool | None = None) -> None:
    """Save the product of ``x`` and a matrix of ones, a variable."""

    def signatures() -> dict[str, Any]:
        v1 = tf.compat.v1
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        kernel = v1.get_variable("kernel", initializer=tf.ones((4, 3)), use_resource=use_resource)
        return {"serving_default": ({"x": x}, {"y": tf.matmul(x, kernel)})}

    _builder(path, signatures)


def save_parser(path: str) -> None:
    """Save a graph that takes serialized records, as estimators do."""

    def signatures() -> dict[str, Any]:
        examples = tf.compat.v1.placeholder(tf.string, [None], name="input_examples")
        found = tf.io.parse_example(
            examples,
            {
                "dense": tf.io.FixedLenFeature([2], tf.float32),
                "words": tf.io.VarLenFeature(tf.string),
                "count": tf.io.FixedLenFeature([], tf.int64, default_value=9),
            },
        )
        found["words"] = tf.sparse.to_dense(found["words"])
        return {"serving_default": ({"examples": examples}, found)}

    _builder(path, signatures)


def save_tf1_tables(path: str, *, has_variable: bool) -> None:
    """Save a graph whose tables learned "a"; *has_variable* decides whether the checkpoint holds a variable as well."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        key = v1.placeholder(tf.string, [None], name="key")
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, -1.0)
        dense = tf.lookup.experimental.DenseHashTable(tf.string, tf.float32, -1.0, "", "$")
        offset = v1.get_variable("offset", initializer=1.0) if has_variable else 1.0
        outputs = {"y": table.lookup(key) + offset, "dense": dense.lookup(key) + offset}
        session.run(v1.global_variables_initializer())
        session.run([table.insert(["a"], [5.0]), dense.insert(["a"], [6.0])])
        with tf.control_dependencies([table.insert(key, outputs["y"])]):
            size = table.size()
        signatures = {"read": _described({"key": key}, outputs), "learn": _described({"key": key}, {"size": size})}
        builder = v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()


def _custom_tags(path: str) -> None:
    def signatures() -> dict[str, Any]:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        return {"only": ({"x": x}, {"y": x + 1.0})}

    _builder(path, signatures, tags=tuple("serve"))


def _boosted_trees(path: str) -> None:
    """A graph with an op that TensorFlow declares and has no implementation of."""
    _custom_tags(path)
    with rewritten(Path(path)) as saved_model:
        node = saved_model.meta_graphs[0].graph_def.node.add(name="trees", op="BoostedTreesBucketize", input=["x", "x"])
        node.attr["num_features"].i = 1


def _broken_object_graph(path: str) -> None:
    """A function returns a type that is not registered here: the object graph cannot be rebuilt."""
    _signatures(path)
    with rewritten(Path(path)) as saved_model:
        for function in saved_model.meta_graphs[0].object_graph_def.concrete_functions.values():
            spec = function.output_signature.type_spec_value
            spec.type_spec_class, spec.type_spec_class_name = spec.REGISTERED_TYPE_SPEC, "absent.Spec"


SAVERS: dict[str, Callable[[str], None]] = {
    "module": _module,
    "signatures": _signatures,
    "composite": _composite,
    "table": _table,
    "tf1": _tf1,
    "boosted_trees": _boosted_trees,
    "custom_tags": _custom_tags,
    "broken_object_graph": _broken_object_graph,
}
