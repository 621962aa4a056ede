"""What inspection says of SavedModels, against TensorFlow's own protobuf classes and loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from cases import CASES, library
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.saved_model import loader_impl

from safeload import inspect_model

GOLDEN = Path(__file__).parent.parent / "golden"
SAVED_MODELS = [cell for cell in CASES if cell[0] == "saved-model" and "zipped" not in cell]
OLD = [path.name for path in GOLDEN.iterdir() if path.is_dir()]


@pytest.fixture(params=[*SAVED_MODELS, *OLD], ids=lambda cell: cell if isinstance(cell, str) else "-".join(cell))
def path(request, tmp_path):
    """A SavedModel as each producer writes it, and those of old releases: the directory itself."""
    cell = request.param
    if isinstance(cell, str):
        return GOLDEN / cell
    made = CASES[cell].make(tmp_path, library(cell[1])).path
    return made if (made / "saved_model.pb").exists() else made / "1"


def _parsed(path):
    return saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())


def _dims(shape):
    return None if shape.unknown_rank else tuple(None if d.size < 0 else d.size for d in shape.dim)


def _facts(tensors):
    return {k: (tf.as_dtype(v.dtype).name, _dims(v.tensor_shape), v.name) for k, v in tensors.items()}


def test_signatures_are_those_of_the_protobuf(path):
    """Tags, keys, methods, and names, dtypes, shapes and tensors of inputs and outputs, per MetaGraph."""
    report, expected = inspect_model(path), _parsed(path)
    assert [graph.tags for graph in report.meta_graphs] == [set(g.meta_info_def.tags) for g in expected.meta_graphs]
    for graph, wanted in zip(report.meta_graphs, expected.meta_graphs):
        definitions = {k: v for k, v in wanted.signature_def.items() if not k.startswith("__saved_model_")}
        assert [s.key for s in graph.signatures] == sorted(definitions)
        for signature in graph.signatures:
            definition = definitions[signature.key]
            assert signature.method_name == definition.method_name
            for found, tensors in ((signature.inputs, definition.inputs), (signature.outputs, definition.outputs)):
                assert {t.name: (t.dtype, t.shape, t.tensor_name) for t in found} == _facts(tensors)


def test_the_graph_is_that_of_the_protobuf(path):
    """Every node of the graph and of every function is described, with its op and inputs."""
    for graph, wanted in zip(inspect_model(path).meta_graphs, _parsed(path).meta_graphs):
        bodies = {"": wanted.graph_def.node}
        bodies.update({f.signature.name: f.node_def for f in wanted.graph_def.library.function})
        found = {name: [(n.name, n.op, n.inputs) for n in body.nodes] for name, body in graph.graph.bodies.items()}
        assert found == {name: [(n.name, n.op, tuple(n.input)) for n in nodes] for name, nodes in bodies.items()}
        assert graph.tensorflow_version == wanted.meta_info_def.tensorflow_version


def test_functions_are_those_of_the_loader(path):
    """Attributes that are functions, their traces and the order of arguments are those that TensorFlow restores."""
    (graph, *others) = inspect_model(path).meta_graphs
    if others or not graph.has_object_graph:
        assert graph.functions == ()
        return
    loaded = tf.saved_model.load(str(path))
    for name in {function.key for function in graph.functions}:
        # Functions under dunder names are methods of a class that the loader makes.
        restored = getattr(loaded, name)
        restored = getattr(restored, "__func__", restored)
        traces = [function for function in graph.functions if function.key == name]
        concrete = restored.concrete_functions if hasattr(restored, "concrete_functions") else [restored]
        assert len(traces) == len(concrete)
        for trace, function in zip(traces, concrete):
            specs = [s for s in tf.nest.flatten(function.structured_input_signature) if isinstance(s, tf.TensorSpec)]
            assert [(t.dtype, t.shape) for t in trace.inputs] == [(s.dtype.name, _shape(s.shape)) for s in specs]


def _shape(shape):
    return None if shape.rank is None else tuple(shape.as_list())


def test_the_signatures_of_the_loader_have_the_same_names(path):
    """What TensorFlow calls inputs and outputs of its signatures is what the report says."""
    report = inspect_model(path)
    if len(report.meta_graphs) > 1:
        loader = loader_impl.parse_saved_model(str(path))
        assert len(report.meta_graphs) == len(loader.meta_graphs)
        return
    loaded = tf.saved_model.load(str(path))
    for signature in report.meta_graphs[0].signatures:
        function = loaded.signatures[signature.key]
        assert [t.name for t in signature.inputs] == sorted(function.structured_input_signature[1])
        assert {t.name for t in signature.outputs} == set(function.structured_outputs)


def test_weights_are_those_of_the_checkpoint(path):
    """Arrays, elements and bytes are those that TensorFlow's reader lists, without what only training needs."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    shapes = {n: s for n, s in reader.get_variable_to_shape_map().items() if not n.startswith("_CHECKPOINTABLE")}
    training = [n for n in shapes if n.startswith(("optimizer/", "keras_api/metrics/", "save_counter/"))]
    own = [shape for name, shape in shapes.items() if name not in training and "OPTIMIZER_SLOT" not in name]
    weights = inspect_model(path).info.weights
    assert (weights.arrays, weights.elements) == (len(own), sum(int(np.prod(shape)) for shape in own))


def test_an_archive_holds_what_its_directory_holds(tmp_path):
    """A zipped SavedModel is described as the directory in it."""
    zipped = inspect_model(CASES["saved-model", "tensorflow", "zipped"].make(tmp_path, tf).path)
    plain = inspect_model(tmp_path / "model")
    assert zipped.meta_graphs == plain.meta_graphs
    assert (zipped.info.digest, zipped.info.weights) == (plain.info.digest, plain.info.weights)


@pytest.mark.parametrize(
    ("cell", "suffix"),
    [(("frozen-graph", "tf1", "constants"), ""), (("tf1-checkpoint", "tf1", "meta"), ".meta")],
    ids=["constants", "meta"],
)
def test_graphs_alone_are_those_of_the_protobuf(cell, suffix, tmp_path):
    """A graph with its constants or beside a checkpoint is described node by node."""
    path = CASES[cell].make(tmp_path, tf).path
    content = Path(f"{path}{suffix}").read_bytes()
    wanted = meta_graph_pb2.MetaGraphDef() if suffix else graph_pb2.GraphDef()
    wanted.ParseFromString(content)
    nodes = {n.name: (n.op, tuple(n.input)) for n in getattr(wanted, "graph_def", wanted).node}
    (graph,) = inspect_model(path).meta_graphs
    found = {n.name: (n.op, n.inputs) for n in graph.graph.bodies[""].nodes}
    assert nodes.items() <= found.items()
