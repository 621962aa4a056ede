"""Constants and defaults that a SavedModel records count as they do in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from saved_models import equal, load, rewritten

from safeload import as_callable
from safeload.errors import InputMismatchError, SignatureNotFoundError

X = np.float32([1, 2])
SPEC = tf.TensorSpec([None], tf.float32)


def _spec(dtype: Any) -> tf.TensorSpec:
    return tf.TensorSpec([], dtype)


class Model(tf.Module):
    """Functions whose parameters have defaults."""

    @tf.function(input_signature=[SPEC, _spec(tf.float32), _spec(tf.bool), _spec(tf.int32)])
    def __call__(self, x: Any, scale: Any = 2.0, training: Any = True, n: Any = 3) -> Any:  # noqa: FBT002 - as models have it
        return x * scale + tf.cast(n, tf.float32) + tf.where(training, 100.0, 0.0)

    @tf.function(input_signature=[SPEC, _spec(tf.float32), SPEC])
    def arrays(self, x: Any, k: Any = tf.constant(3.0), b: Any = np.float64([5, 6])) -> Any:  # noqa: B008
        return x * k + b

    @tf.function
    def typed(self, x: Any, dtype: Any = tf.float64) -> Any:
        return tf.cast(x, dtype) / 2

    @tf.function
    def flag(self, x: Any, negative: Any = True) -> Any:  # noqa: FBT002 - as models have it
        return -x if isinstance(negative, bool) else x

    @tf.function(input_signature=[SPEC])
    def debug(self, x: Any) -> Any:
        return x - 100.0


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, model = tmp_path_factory.mktemp("defaults"), Model()
    model.typed(tf.constant(X))
    model.flag(tf.constant(X), tf.constant(True))
    model.flag(tf.constant(X))
    tf.saved_model.save(model, str(path), signatures={"own": model.__call__})
    return path


@pytest.mark.parametrize("key", ["own", "__call__"])
@pytest.mark.parametrize("has_objects", [False, True], ids=["direct", "object"])
def test_tensors_that_are_left_out(model_path: Path, key: str, *, has_objects: bool) -> None:
    """Defaults are tensors of the recorded dtype; a call is inference whatever is recorded."""
    model = load(model_path, signature=key)
    assert not has_objects or model.model is not None
    equal(model(X), X * 2 + 3)
    equal(model(X, 5.0), X * 5 + 3)
    equal(model(X, n=7), X * 2 + 7)
    equal(model(x=X, scale=4), X * 4 + 3)
    equal(model(X, training=True), X * 2 + 103)
    equal(model.predict(X), X * 2 + 3)
    assert [info.name for info in model.inputs if not info.optional] == ["x"]
    equal(tf.function(model)(X), X * 2 + 3)
    assert model.warmup() is model


def test_tensors_and_arrays_as_defaults(model_path: Path) -> None:
    """A tensor and an array are stored with the file."""
    model = load(model_path, signature="arrays")
    equal(model(X), X * 3 + [5, 6])
    equal(model(X, b=X), X * 3 + X)


def test_defaults_that_are_no_tensor(model_path: Path, tmp_path: Path) -> None:
    """Bytes that TensorFlow cannot read are an error of the call that needs them."""
    copy = tmp_path / "copy"
    tf.io.gfile.makedirs(str(copy / "variables"))
    for name in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
        tf.io.gfile.copy(str(model_path / name), str(copy / name))
    with rewritten(copy) as message:
        for node in message.meta_graphs[0].object_graph_def.nodes:
            for pair in node.function.function_spec.fullargspec.named_tuple_value.values:
                for value in pair.value.tuple_value.values:
                    if value.WhichOneof("kind") == "tensor_value":
                        value.tensor_value.dtype = 0
    model = load(copy, signature="arrays")
    equal(model(X, 2.0), X * 2 + [5, 6])
    with pytest.raises(InputMismatchError, match="a default that the file records cannot be read"):
        model(X)


@pytest.mark.parametrize("has_objects", [False, True], ids=["direct", "object"])
def test_types_of_tensorflow(model_path: Path, *, has_objects: bool) -> None:
    """A function that was traced for a dtype answers calls that pass it, or leave it out."""
    model = load(model_path, signature="typed")
    assert not has_objects or model.model is not None
    for y in (model(X), model(X, tf.float64), model(X, dtype=tf.float64)):
        assert y.dtype == tf.float64
        equal(y, X / 2)
    with pytest.raises(InputMismatchError, match=r"was traced with the constant tf\.float64"):
        model(X, tf.float32)
    (spec, dtype), _ = model.structured_input_signature
    assert (spec.dtype, dtype) == (tf.float32, tf.float64)


def test_the_trace_for_the_constant_comes_first(model_path: Path) -> None:
    """As TensorFlow does, a default is made a tensor only where no trace is for the constant itself."""
    equal(load(model_path, signature="flag")(X), -X)


def test_no_other_function_answers(model_path: Path, tmp_path: Path) -> None:
    """A function that is recorded in a way that nothing here can read is refused by name."""
    copy = tmp_path / "copy"
    tf.io.gfile.makedirs(str(copy))
    tf.io.gfile.copy(str(model_path / "saved_model.pb"), str(copy / "saved_model.pb"))
    with rewritten(copy) as message:
        graph = message.meta_graphs[0]
        graph.signature_def.clear()
        children = graph.object_graph_def.nodes[0].children
        for child in [child for child in children if child.local_name not in {"__call__", "debug"}]:
            children.remove(child)
        call = next(child for child in children if child.local_name == "__call__")
        name = graph.object_graph_def.nodes[call.node_id].function.concrete_functions[0]
        graph.object_graph_def.concrete_functions[name].canonicalized_input_signature.Clear()
    with pytest.raises(SignatureNotFoundError, match="'__call__'"):
        load(copy)


def test_live_objects_have_their_defaults() -> None:
    """What is not loaded from a file takes the defaults of its Python functions."""
    equal(as_callable(Model(), signature="__call__")(X), X * 2 + 3)
    equal(as_callable(Model(), signature="arrays")(X), X * 3 + [5, 6])
