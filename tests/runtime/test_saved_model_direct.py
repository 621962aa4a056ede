"""The direct route computes bit for bit what `tf.saved_model.load` computes, and takes no more than it needs."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from artifacts import read
from saved_models import WEIGHTS, Saved, X, identical, load, load_artifact, rewritten
from tensorflow.python.eager import context
from threads import in_threads

from safeload import load_callable
from safeload.errors import LoadFailedError
from safeload.readers.checkpoint.index import OBJECT_GRAPH_KEY
from safeload.runtime._saved_model._direct import DirectRoute


class Many(tf.Module):
    """State, control flow, strings, gradients of its own, captured constants."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(WEIGHTS, name="w")
        self.b = tf.Variable(tf.ones([3], tf.float64), trainable=False)
        self.counter = tf.Variable(0, dtype=tf.int64)
        self.parts = [tf.Variable(2.0), {"deep": tf.Variable(3.0)}]
        self.generator = tf.random.Generator.from_seed(7)
        self.constant = tf.range(3, dtype=tf.float32)
        self.words = tf.constant(["a", "b"])

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x: Any) -> Any:
        return x @ self.w + tf.cast(self.b, tf.float32) + self.constant

    @tf.function(input_signature=[])
    def count(self) -> Any:
        return self.counter.assign_add(1)

    @tf.function(input_signature=[])
    def random(self) -> Any:
        return self.generator.normal([4])

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def controlled(self, n: Any) -> Any:
        total = tf.constant(0.0)
        while total < n:
            total += self.parts[0]
        return total * self.parts[1]["deep"] if n > 5.0 else -total

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def greet(self, names: Any) -> Any:
        return {"text": tf.strings.join([self.words[0], names]), "none": None, "pair": (names, tf.shape(names))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def clipped(self, x: Any) -> Any:
        @tf.custom_gradient
        def clip(value: Any) -> Any:
            return value * 2.0, lambda upstream: tf.clip_by_value(upstream, -0.5, 0.5)

        return clip(x)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def ragged_out(self, x: Any) -> Any:
        return tf.RaggedTensor.from_row_lengths(x, [1, 2])

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)], jit_compile=False)
    def mapped(self, x: Any) -> Any:
        return tf.map_fn(lambda row: row * 2.0, x) + tf.nest.flatten(self.nested_call(x))[0]

    @tf.function
    def nested_call(self, x: Any) -> Any:
        return [tf.cond(tf.reduce_sum(x) > 0.0, lambda: x, lambda: -x)]


CALLS: dict[str, tuple[Any, ...]] = {
    "__call__": (X,),
    "count": (),
    "random": (),
    "controlled": (7.0,),
    "greet": (["x", "y"],),
    "clipped": (np.float32([1, -2]),),
    "ragged_out": (np.float32([1, 2, 3]),),
    "mapped": (np.float32([1, -2]),),
}


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "model"
    module = Many()
    signatures = {"count": module.count, "call": module.__call__, "controlled": module.controlled}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def tensors(values: tuple[Any, ...]) -> list[Any]:
    return [tf.constant(value, tf.float32) if isinstance(value, float) else tf.constant(value) for value in values]


def reference(root: Any, key: str) -> Any:
    return root.__call__ if key == "__call__" else getattr(root, key)


@pytest.mark.parametrize("key", CALLS)
def test_functions_equal_the_loader(many: Path, key: str) -> None:
    """Results are those of the object that TensorFlow loads, bit for bit, also the second time."""
    model, root = load(many, signature=key), tf.saved_model.load(str(many))
    assert model.route == "direct"
    for _ in range(2):
        identical(model(*CALLS[key]), reference(root, key)(*tensors(CALLS[key])))


def test_signatures_share_state(many: Path) -> None:
    """Signatures and functions of one load count together; two loads of one path do not."""
    first, second = load(many, signature="count"), load(many, signature="count")
    values = [first(), first.with_signature("count")(), second(), first()]
    assert [int(value) for value in values] == [1, 2, 1, 3]


def test_signature_answers_like_the_loader(many: Path) -> None:
    """A SignatureDef is answered by its function."""
    model, root = load(many, signature="call"), tf.saved_model.load(str(many))
    identical(model(x=X), root.signatures["call"](x=tf.constant(X))["output_0"])
    assert model.route == "direct"


class Difference(tf.Module):
    """Two inputs that must not be mixed up, on a variable."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "a"), tf.TensorSpec([], tf.float32, "b")])
    def __call__(self, a: Any, b: Any) -> Any:
        return a - b * self.w


@pytest.fixture
def difference(tmp_path: Path) -> Path:
    path, module = tmp_path / "model", Difference()
    tf.saved_model.save(module, str(path), signatures=module.__call__)
    return path


def _wrapper(graph: Any) -> Any:
    """Return the object behind the signature, and what is recorded of its function."""
    bare = next(n.bare_concrete_function for n in graph.nodes if len(n.bare_concrete_function.argument_keywords) == 2)
    return bare, graph.concrete_functions[bare.concrete_function_name]


def _swap_keywords(graph: Any) -> None:
    bare, _ = _wrapper(graph)
    bare.argument_keywords[:] = ["b", "a"]


def _add_swapped(graph: Any) -> None:
    bare, _ = _wrapper(graph)
    graph.nodes[0].children.add(local_name="other", node_id=len(graph.nodes))
    added = graph.nodes.add().bare_concrete_function
    added.CopyFrom(bare)
    added.argument_keywords[:] = ["b", "a"]


def _rename_argument(graph: Any) -> None:
    _, concrete = _wrapper(graph)
    fields = concrete.canonicalized_input_signature.tuple_value.values[1].dict_value.fields
    fields["c"].CopyFrom(fields.pop("b"))


def _pass_positions(graph: Any) -> None:
    _, concrete = _wrapper(graph)
    concrete.canonicalized_input_signature.tuple_value.values[0].tuple_value.values.add().none_value.SetInParent()


def _forget_arguments(graph: Any) -> None:
    _, concrete = _wrapper(graph)
    concrete.canonicalized_input_signature.Clear()


def _take_another_function(graph: Any) -> None:
    bare, _ = _wrapper(graph)
    bare.argument_keywords[:] = ["a", "c"]


ODD_WRAPPERS = {
    "keywords swapped": _swap_keywords,
    "another object of the function": _add_swapped,
    "argument renamed": _rename_argument,
    "argument by position": _pass_positions,
    "no arguments recorded": _forget_arguments,
    "keywords of another": _take_another_function,
}


@pytest.mark.parametrize("name", ODD_WRAPPERS)
def test_arguments_are_not_mixed_up(difference: Path, name: str) -> None:
    """Whatever the file says of the order of arguments, each is passed by its name, as TensorFlow does."""
    with rewritten(difference) as message:
        ODD_WRAPPERS[name](message.meta_graphs[0].object_graph_def)
    assert float(load(difference)(a=10.0, b=1.0)) == 8.0


@pytest.mark.parametrize("key", ["config", "config_proto"])
@pytest.mark.parametrize("has_objects", [True, False])
def test_settings_of_calls_are_left(difference: Path, key: str, has_objects: bool) -> None:
    """What TensorFlow is to do with a graph is not for the file to say, by whatever route; these it could not read."""
    with rewritten(difference) as message:
        (meta_graph,) = message.meta_graphs
        functions = meta_graph.graph_def.library.function
        for nodes in (meta_graph.graph_def.node, *(function.node_def for function in functions)):
            for call in (node for node in nodes if node.op.endswith("PartitionedCall")):
                call.attr["config_proto"].s = b""
                call.attr[key].s = b"\xff"
        for function in functions:
            function.attr["_noinline"].b = True
        if not has_objects:
            meta_graph.ClearField("object_graph_def")
    model = load(difference)
    assert model.route == ("direct" if has_objects else "graph")
    assert float(model(a=10.0, b=1.0)) == 8.0
    assert float(tf.function(model)(a=tf.constant(10.0), b=tf.constant(1.0))) == 8.0


def test_objects_of_a_checkpoint_that_are_none(tmp_path: Path) -> None:
    """Where they are no message, as where they are missing, variables have the values of their names in the graph."""
    module = tf.Module()
    module.weight = tf.Variable(tf.ones([4]))  # type: ignore[attr-defined]
    call = tf.function(lambda x: x + module.weight, input_signature=[tf.TensorSpec([4])])  # type: ignore[attr-defined]
    module.call = call  # type: ignore[attr-defined]
    tf.saved_model.save(module, str(tmp_path), signatures=call)
    names = ["weight/.ATTRIBUTES/VARIABLE_VALUE", OBJECT_GRAPH_KEY]
    tensors = [tf.fill([4], 2.0), tf.constant(b"\xff" * 9)]
    prefix = f"{tmp_path}/variables/variables"
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=["", ""], tensors=tensors)
    model = load(tmp_path)
    assert model.route == "graph"
    identical(model(np.ones(4, "float32")), tf.fill([4], 3.0))


def test_saved_state_of_a_variable_is_left_to_the_loader(difference: Path) -> None:
    """A variable that says how it is restored is no plain one."""
    with rewritten(difference) as message:
        nodes = message.meta_graphs[0].object_graph_def.nodes
        variable = next(node for node in nodes if node.WhichOneof("kind") == "variable")
        variable.saveable_objects["k"].save_function = 1
    model = load(difference)
    assert model.route != "direct"
    assert float(model(a=10.0, b=1.0)) == 8.0


class Greeting(tf.Module):
    """A constant text and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.words = tf.constant(["Hi "])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, names: Any) -> Any:
        return tf.strings.join([self.words[0], names])


def test_first_thing_that_a_process_does(tmp_path: Path) -> None:
    """A model of texts alone is loaded where TensorFlow has done nothing yet."""
    module = Greeting()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.__call__)
    script = f"import safeload; print(safeload.load_callable({str(tmp_path / 'model')!r})(['you']).numpy())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[b'Hi you']"


@pytest.mark.parametrize("key", ["__call__", "clipped", "controlled", "mapped"])
def test_gradients_equal_the_loader(many: Path, key: str) -> None:
    """Under a tape the real graph answers; gradients are those of the loader, custom ones included."""
    model, root = load(many, signature=key), tf.saved_model.load(str(many))
    gradients = []
    for function in (model, reference(root, key)):
        (x,) = tensors(CALLS[key])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        gradients.append(tape.gradient(y, x))
    identical(*gradients)


def test_tape_watches_the_variables(many: Path) -> None:
    """Trainable variables are watched of themselves, the others are not."""
    model, root = load(many), tf.saved_model.load(str(many))
    watched = []
    for function in (model, root):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(function(tf.constant(X)))
        watched.append((tape.gradient(y, tape.watched_variables()), [v.shape for v in tape.watched_variables()]))
    identical(watched[0][0], watched[1][0])
    assert watched[0][1] == watched[1][1]


def test_forward_mode(many: Path) -> None:
    """A forward accumulator sees the function too."""
    model, root = load(many), tf.saved_model.load(str(many))
    tangents = []
    for function in (model, root):
        x = tf.constant(X)
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            tangents.append(accumulator.jvp(function(x)))
    identical(*tangents)


def test_graph_uses_the_same_variables(many: Path) -> None:
    """A call inside tf.function counts on where eager calls stopped."""
    model = load(many, signature="count")
    traced = tf.function(model)
    assert [int(model()), int(traced()), int(model()), int(traced())] == [1, 2, 3, 4]


def test_inside_a_dataset(many: Path) -> None:
    """A dataset maps over the model."""
    model = load(many)
    dataset = tf.data.Dataset.from_tensor_slices(X).batch(1).map(model)
    identical(tf.concat(list(dataset), 0), model(X))


def test_objects_take_the_state_over(many: Path) -> None:
    """What TensorFlow loads for ``model`` goes on with the values that the direct route left."""
    model = load(many, signature="count")
    model()
    root = model.model
    assert [int(root.count()), int(model()), int(root.counter)] == [2, 3, 3]


def test_keras_models(tmp_path: Path) -> None:
    """Exports of Keras 3 and saves of tf_keras answer as the ordinary loader does."""
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(5), keras.layers.Dense(3)])
    model.export(str(tmp_path / "three"))
    tf.saved_model.save(model, str(tmp_path / "saved"))
    tf_keras = pytest.importorskip("tf_keras")
    old = tf_keras.Sequential([tf_keras.Input((4, 3)), tf_keras.layers.LSTM(5), tf_keras.layers.Dropout(0.5)])
    old.save(str(tmp_path / "two"), save_format="tf")
    x = np.random.default_rng(0).random((2, 4, 3), np.float32)
    for name in ("three", "saved", "two"):
        loaded, root = load(tmp_path / name), tf.saved_model.load(str(tmp_path / name))
        assert loaded.route == "direct"
        expected = root.signatures["serving_default"](**{loaded.inputs[0].name: tf.constant(x)})
        identical(loaded(x), next(iter(expected.values())))


def test_threads(many: Path) -> None:
    """Four threads lose no update and see no wrong value, from the first call on.

    Counting and reading are two ops, so two threads may read one value; each sees its own count grow.
    """
    model = load(many, signature="count")
    seen = in_threads(lambda _: [int(model()) for _ in range(50)])
    assert all(values == sorted(set(values)) for values in seen)
    assert int(model()) == 201
    other = load(many)
    for result in in_threads(lambda _: other(X)):
        identical(result, other(X))


def test_threads_build_one_graph(many: Path) -> None:
    """Threads that all need the graph first build it once, on the same variables."""
    model = load(many, signature="count")
    in_threads(lambda _: int(tf.function(model)()))
    assert int(model()) == 5
    assert len(model.backend._direct._concrete) == 1


def registered() -> set[str]:
    """Name what TensorFlow knows, but for what it puts around an operation that it runs for the first time."""
    return {name for name in context.context().list_function_names() if not name.startswith("__wrapped__")}


def test_a_load_that_fails_leaves_nothing_behind(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its directory was full, or was made and TensorFlow failed; the error may live on."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fill(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*_: Any) -> Any:
        raise LoadFailedError("m", problem="No space left, says TensorFlow")

    errors = []
    for owner, name, act in ((Path, "symlink_to", fill), (DirectRoute, "function", fail)):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, act)
            with pytest.raises(LoadFailedError, match="No space left") as caught:
                load_callable(many)
        errors.append(caught.value)
        assert not list(tmp_path.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(LoadFailedError, match=r"gone' cannot be written to: .*\n.*TMPDIR"):
        load_callable(many)


@pytest.mark.parametrize("has_table", [False, True])
def test_close_leaves_nothing_behind(
    many: Path, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_table: bool
) -> None:
    """After close(), and after the last reference is gone, there are no functions, variables or directories of it."""
    path, value = (saved("table"), ["pear"]) if has_table else (many, X)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gc.collect()
    before = registered()
    model = load(path)
    model(value)
    assert registered() - before
    backend = model.backend  # close() does not wait for the last reference
    handles = backend._direct.objects._handles
    assert list(tmp_path.iterdir())
    model.close()
    assert not registered() - before
    assert not handles
    assert not list(tmp_path.iterdir())
    del backend
    model = load(path)
    model(value)
    del model
    gc.collect()
    assert not registered() - before
    assert not list(tmp_path.iterdir())


def test_only_what_is_reached_is_made(many: Path) -> None:
    """Other functions are not registered, their variables not read."""
    model = load(many, signature="count")
    made = model.backend._direct.objects.variable_ids
    assert len(made) == 1
    assert len(model.backend._direct.library._registered) < len(CALLS)


def test_the_judged_index_is_loaded(many: Path, tmp_path: Path) -> None:
    """The index of the variables comes from memory: an index that is exchanged after judging is not read."""
    copy = shutil.copytree(many, tmp_path / "model")
    artifact = read(copy)
    (copy / "variables" / "variables.index").write_bytes(b"exchanged")
    identical(load_artifact(artifact)(X), load(many)(X))
