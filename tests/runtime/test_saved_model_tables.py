"""Lookup tables of SavedModels are created and filled by the direct route, or left to the ordinary loader."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from artifacts import read
from saved_models import Saved, identical, load, rewritten

from safeload.inspection import inspect_artifact
from safeload.runtime._saved_model import _creation
from safeload.runtime._saved_model._library import NotUnderstoodError
from safeload.runtime._saved_model._runtime import SavedModelRuntime
from safeload.runtime._variable_function import run_once
from safeload.signatures import choose

WORDS = ["pear", "apple", "?"]


def test_table_with_asset(saved: Saved) -> None:
    """A table is created, filled from the judged asset, and serves strings; tables of two loads are different."""
    path = saved("table")
    model, other, root = load(path), load(path), tf.saved_model.load(str(path))
    assert model.route == "direct"
    identical(model(WORDS), root.signatures["serving_default"](words=tf.constant(WORDS))["output_0"])
    other.close()
    identical(model(WORDS), tf.constant([1, 0, 2], tf.int64))
    identical(tf.function(model)(tf.constant(WORDS)), tf.constant([1, 0, 2], tf.int64))


def test_idle_operations_are_left_out(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number that an initializer returns, for which nobody waits, is not computed; what fills the table is."""
    ran: list[str] = []

    def noting(definition: Any, *args: Any, **kwargs: Any) -> Any:
        ran.extend(node.op for node in definition.node_def)
        return run_once(definition, *args, **kwargs)

    monkeypatch.setattr(_creation, "run_once", noting)
    identical(load(saved("table"))(WORDS), tf.constant([1, 0, 2], tf.int64))
    assert "Identity" not in ran
    assert {"HashTableV2", "InitializeTableFromTextFileV2"} <= set(ran)


class Tables(tf.Module):
    """A table filled from constants, and one filled from a file, with a variable and a constant as defaults."""

    def __init__(self, words: Path) -> None:
        super().__init__()
        words.write_text("apple\npear")
        line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1, 2], tf.int64), tf.constant([0.5, 1.5, 2.5]))
        file = tf.lookup.TextFileInitializer(str(words), tf.string, line, tf.int64, number)
        self.values = tf.lookup.StaticHashTable(pairs, -1.0)
        self.numbers = tf.lookup.StaticHashTable(file, 2)
        self.scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def __call__(self, words: Any) -> Any:
        return self.values.lookup(self.numbers.lookup(words)) * self.scale


def test_tables_of_tables(tmp_path: Path) -> None:
    """Several tables are created and filled together, each with its own contents, apart in each load."""
    module = Tables(tmp_path / "words.txt")
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.__call__)
    expected = tf.saved_model.load(str(tmp_path / "model"))(tf.constant(WORDS))
    models = [load(tmp_path / "model", signature=key) for key in ("serving_default", "__call__")]
    assert [model.route for model in models] == ["direct", "direct"]
    models.pop(0).close()
    identical(models[0](WORDS), expected)


def test_tables_of_old_functions(saved: Saved, tmp_path: Path) -> None:
    """Where functions of tables do not say what to wait for, all that they do is waited for."""
    directory = shutil.copytree(saved("table"), tmp_path / "model")
    with rewritten(directory) as content:
        for function in content.meta_graphs[0].graph_def.library.function:
            function.control_ret.clear()
            del function.signature.control_output[:]
    model = load(directory)
    assert model.route == "direct"
    identical(model(WORDS), tf.constant([1, 0, 2], tf.int64))


def _without_arguments(function: Any) -> None:
    del function.signature.input_arg[:]


def _returning_a_number(function: Any) -> None:
    function.signature.output_arg[0].type = tf.int32.as_datatype_enum


@pytest.mark.parametrize(
    ("kind", "change"), [("initializer", _without_arguments), ("creator", _returning_a_number)], ids=["fills", "makes"]
)
def test_strange_functions_of_tables_are_left(
    kind: str, change: Callable[[Any], None], saved: Saved, tmp_path: Path
) -> None:
    """A table whose functions take or return something else than those of TensorFlow is not made here."""
    directory = shutil.copytree(saved("table"), tmp_path / "model")
    with rewritten(directory) as content:
        functions = content.meta_graphs[0].graph_def.library.function
        change(next(function for function in functions if f"_{kind}_" in function.signature.name))
    artifact = read(directory)
    info = inspect_artifact(artifact)
    runtime = SavedModelRuntime(artifact, info.saved_model.meta_graphs[0])
    with pytest.raises(NotUnderstoodError):
        runtime._direct_route().function(choose(info).signature_info)


@pytest.mark.parametrize(
    ("device", "route"),
    [
        ("/job:ps", "direct"),
        ("/job:worker/replica:0/task:3/device:CPU:0", "direct"),
        ("/job:worker/replica:0/task:3/device:GPU:31", "object"),
    ],
)
def test_devices_of_a_cluster(saved: Saved, tmp_path: Path, device: str, route: str) -> None:
    """What ran in another process, which is not here, runs in this one, by whatever route."""
    path, expected = tmp_path / "m", tf.constant([1, 0, 2], tf.int64)
    shutil.copytree(saved("table"), path)
    with rewritten(path) as message:
        (meta_graph,) = message.meta_graphs
        for nodes in (meta_graph.graph_def.node, *(f.node_def for f in meta_graph.graph_def.library.function)):
            for node in nodes:
                node.device = device
        for node in meta_graph.object_graph_def.nodes:
            if node.HasField("resource"):
                node.resource.device = device
    model = load(path)
    identical(model(WORDS), expected)
    assert model.route == route
    identical(tf.function(model)(tf.constant(WORDS)), expected)
    identical(model.model.signatures["serving_default"](words=tf.constant(WORDS))["output_0"], expected)
    with rewritten(path) as message:
        message.meta_graphs[0].ClearField("object_graph_def")
    model = load(path)
    identical(model(WORDS), expected)
    assert model.route == "graph"


def test_mutable_table_takes_the_object_route(tmp_path: Path) -> None:
    """A table with saved contents is left to the ordinary loader."""

    class Counter(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
            self.table.insert(["a"], [5])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, words: Any) -> Any:
            return self.table.lookup(words)

    tf.saved_model.save(Counter(), str(tmp_path / "model"))
    model = load(tmp_path / "model")
    assert model.route == "object"
    identical(model(["a", "b"]), tf.constant([5, -1], tf.int64))
