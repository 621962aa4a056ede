"""SavedModels without functions: the configuration that Keras recorded, and nothing of the graph."""

from __future__ import annotations

import pytest
from artifacts import read
from keras_files import untraced

from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import Format
from safeload.readers import KerasArtifact, SavedModelArtifact

METADATA = {
    "class_name": "Sequential",
    "config": {"name": "m", "layers": [{"shape": {"class_name": "__tuple__", "items": [None, 4]}}]},
    "keras_version": "2.12.0",
    "backend": "tensorflow",
    "training_config": {"loss": "mse"},
}


@pytest.fixture
def directory(tmp_path):
    """Return a directory to write a model into."""
    return tmp_path / "model"


def write(directory, metadata=METADATA, *, members=("user_object",), signatures=(), **options):
    """Write a SavedModel whose root has *members*, as Keras does without traces."""

    def change(graph):
        for key in signatures:
            graph.signature_def[key].method_name = "predict"
        for index, kind in enumerate(members):
            getattr(graph.object_graph_def.nodes.add(), kind).SetInParent()
            graph.object_graph_def.nodes[0].children.add(node_id=index + 1, local_name=f"member{index}")

    return untraced(directory, metadata, change, **options)


@pytest.mark.parametrize("is_beside", [True, False], ids=["keras_metadata.pb", "object graph"])
def test_the_recorded_model_is_read(directory, is_beside):
    """What Keras recorded about the root is the config, tuples as lists."""
    artifact = read(write(directory, is_beside=is_beside))
    assert isinstance(artifact, KerasArtifact)
    assert artifact.format is Format.SAVED_MODEL
    assert artifact.config == {"class_name": "Sequential", "config": {"name": "m", "layers": [{"shape": [None, 4]}]}}
    assert artifact.metadata == {"keras_version": "2.12.0", "backend": "tensorflow"}
    assert artifact.training_config == {"loss": "mse"}
    assert len(artifact.digest) == 64


def test_the_digest_is_that_of_the_config(tmp_path):
    """Another config is another digest; where it stands does not matter."""
    paths = [tmp_path / name for name in "abc"]
    changed = {**METADATA, "config": {"name": "n", "layers": []}}
    digests = [
        read(write(p, m, is_beside=b)).digest
        for p, m, b in zip(paths, (METADATA, METADATA, changed), (True, False, True), strict=True)
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "options",
    [
        {"members": ("function",)},
        {"members": ("bare_concrete_function",)},
        {"signatures": ("serving_default",)},
        {"metadata": {"class_name": "Mine"}},
        {"metadata": {"config": {}}},
        {"metadata": ""},
        {"is_beside": False, "identifier": "_generic_user_object"},
    ],
    ids=str,
)
def test_a_model_with_functions_or_without_a_config_stays_a_graph(directory, options):
    """A traced function, a signature, or a missing configuration leave the SavedModel what it is."""
    assert isinstance(read(write(directory, **options)), SavedModelArtifact)


def test_an_initialiser_is_no_signature(directory):
    """The keys that TensorFlow writes for itself do not count."""
    assert isinstance(read(write(directory, signatures=("__saved_model_init_op",))), KerasArtifact)


def test_members_that_are_not_there_are_left_to_inspection(directory):
    """A reference past the end of the object graph is no function."""
    untraced(directory, METADATA, lambda graph: graph.object_graph_def.nodes[0].children.add(node_id=99))
    assert isinstance(read(directory), KerasArtifact)


@pytest.mark.parametrize("text", ["{", "[]", '{"class_name": "A", "class_name": "B"}'])
def test_broken_metadata_is_an_error(directory, text):
    """The model is nothing but this text, so it must be right."""
    with pytest.raises(MalformedArtifactError):
        read(write(directory, text))


def test_metadata_is_bounded(directory):
    """The limits of a Keras config hold."""
    with pytest.raises(LimitExceededError):
        read(write(directory), max_nesting_depth=3)


def test_classes_that_are_no_text_are_kept(directory):
    """What stands in the place of a class name is for others to refuse."""
    metadata = {**METADATA, "config": {"class_name": ["Dense"], "items": [1]}}
    assert read(write(directory, metadata)).config["config"] == {"class_name": ["Dense"], "items": [1]}
