"""Tests of checkpoints as weights."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from artifacts import read
from checkpoints_by_hand import entry, header, table

from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format
from safeload.readers import WeightLayout
from safeload.readers.protobuf import message_class

FLOAT, STRING, BFLOAT16 = 1, 7, 14
"""tensorflow/core/framework/types.proto."""

KERNEL = np.arange(6, dtype="f4").reshape(2, 3)
SCALE = np.arange(2).astype(ml_dtypes.bfloat16)


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint of two data files and return its prefix."""
    (tmp_path / "ckpt.data-00000-of-00002").write_bytes(KERNEL.tobytes() + b"text")
    (tmp_path / "ckpt.data-00001-of-00002").write_bytes(SCALE.tobytes())
    items = {
        b"": header(num_shards=2),
        b"kernel": entry(FLOAT, (2, 3), size=24),
        b"scale": entry(BFLOAT16, (2,), shard_id=1, size=4),
        b"empty": entry(FLOAT, (0, 3), size=0),
        b"parts": entry(FLOAT, (1,), size=0, slices=[{"extent": [{}]}]),
        b"config": entry(STRING, (), offset=24, size=4),
    }
    (tmp_path / "ckpt.index").write_bytes(table(items))
    return tmp_path / "ckpt"


@pytest.mark.parametrize("graph", ["saved_model.pb", "saved_model.pbtxt", ""])
def test_variables_of_a_saved_model(tmp_path, graph):
    """The checkpoint that a SavedModel holds is known by its name, with the graph or without; another has none."""
    variables = tmp_path / "variables"
    variables.mkdir()
    for prefix in ("variables", "ckpt"):
        (variables / f"{prefix}.index").write_bytes(table({b"": header(), b"w": entry(FLOAT, (), size=4)}))
        (variables / f"{prefix}.data-00000-of-00001").write_bytes(bytes(4))
    if graph:
        (tmp_path / graph).touch()
    assert read(variables / "variables").graph_beside == graph
    assert read(variables / "ckpt").graph_beside is None


def test_checkpoint(checkpoint):
    """Every tensor is listed, and read from its data file."""
    artifact = read(checkpoint)
    assert (artifact.format, artifact.config) == (Format.CHECKPOINT, None)
    assert artifact.weights.layout is WeightLayout.CHECKPOINT
    assert {"kernel", "scale", "empty"} < {d.path for d in artifact.weights.datasets}
    np.testing.assert_array_equal(artifact.weights_file.read("kernel"), KERNEL)
    np.testing.assert_array_equal(artifact.weights_file.read("scale"), SCALE)
    assert artifact.weights_file.read("empty").shape == (0, 3)
    assert artifact.size == 32
    assert artifact.digest == read(checkpoint.with_name("ckpt.index")).digest


@pytest.mark.parametrize(("path", "kind"), [("parts", "in slices"), ("config", "of the type string")])
def test_what_is_no_array(checkpoint, path, kind):
    """Text and partitioned tensors are explained when they are asked for."""
    with pytest.raises(UnsupportedFormatError, match=kind):
        read(checkpoint).weights_file.read(path)


def test_data_files(checkpoint):
    """A data file that is missing, short, or elsewhere is broken."""
    data = checkpoint.with_name("ckpt.data-00001-of-00002")
    data.write_bytes(b"x")
    with pytest.raises(MalformedArtifactError, match="1 of 4 bytes"):
        read(checkpoint)
    data.unlink()
    with pytest.raises(MalformedArtifactError, match="does not exist"):
        read(checkpoint)
    data.symlink_to("/dev/zero")
    with pytest.raises(MalformedArtifactError, match="outside of the model"):
        read(checkpoint)


def test_file_that_shrinks(checkpoint):
    """A data file that was cut after it was judged is found when it is read."""
    weights_file = read(checkpoint).weights_file
    checkpoint.with_name("ckpt.data-00001-of-00002").write_bytes(b"x")
    with pytest.raises(MalformedArtifactError, match="truncated"):
        weights_file.read("scale")


@pytest.mark.parametrize("limits", [{"max_entries": 1}, {"max_config_bytes": 9}], ids=lambda limits: next(iter(limits)))
def test_limits(checkpoint, limits):
    """The index and the number of data files are bounded."""
    with pytest.raises(LimitExceededError, match=next(iter(limits))):
        read(checkpoint, **limits)


def test_many_data_files(checkpoint):
    """A short index may declare very many data files."""
    checkpoint.with_name("ckpt.index").write_bytes(table({b"": header(num_shards=90_000)}))
    with pytest.raises(LimitExceededError, match="max_entries"):
        read(checkpoint, max_entries=1000)


def test_closed(checkpoint):
    """Reading after closing raises, closing twice does not."""
    weights_file = read(checkpoint).weights_file
    weights_file.close()
    weights_file.close()
    with pytest.raises(ValueError, match="closed"):
        weights_file.read("kernel")


def _key(path):
    return f"{path}/.ATTRIBUTES/VARIABLE_VALUE"


def _object(children, key=""):
    """Return an object of a `TrackableObjectGraph`; a variable has a *key*."""
    node = message_class("TrackableObjectGraph").TrackableObject()
    for name, number in children.items():
        node.children.add(local_name=name, node_id=number)
    if key:
        node.attributes.add(name="VARIABLE_VALUE", checkpoint_key=key)
    return node


def _of_training(tmp_path, content, *keys):
    """Write a checkpoint of the variables *keys* with the object graph *content* and return its prefix."""
    text = bytes([len(content) & 0x7F | 0x80, len(content) >> 7]) + b"...." + content
    items = {b"": header(num_shards=1), b"_CHECKPOINTABLE_OBJECT_GRAPH": entry(STRING, (), size=len(text))}
    (tmp_path / "ckpt.data-00000-of-00001").write_bytes(text + b"abcd" * len(keys))
    items |= {key.encode(): entry(FLOAT, (), offset=len(text) + 4 * at, size=4) for at, key in enumerate(keys)}
    (tmp_path / "ckpt.index").write_bytes(table(items))
    return tmp_path / "ckpt"


LISTED = [_key(f"opt/_trainable_variables/{at}") for at in range(3)]
OBJECTS = [
    {"opt": 1, "net": 2},
    {"_iterations": 6, "_trainable_variables": 3},
    {"k.0/1": 4, "_trainable_variables": 7, "x" * 1000: 5},
    {"0": 4, "1": 5, "2": 6},
]


def _graph(objects=OBJECTS):
    nodes = [*map(_object, objects), *(_object({}, key) for key in LISTED), _object({"0": 8}), _object({}, "n")]
    return message_class("TrackableObjectGraph")(nodes=nodes).SerializeToString()


def test_variables_of_optimizers_are_named_by_the_model(tmp_path):
    """The shortest path that leads through no list of an optimizer; without any of a sane length, the key stays."""
    found = {d.path for d in read(_of_training(tmp_path, _graph(), *LISTED, "n")).weights.datasets}
    assert found == {_key("net/k..0.S1"), LISTED[1], _key("opt/_iterations"), "n"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", None),
        (b"\xff", "no TrackableObjectGraph message"),
        (_graph([{"net": 99}]), "names one that is not there"),
        (_graph([{"net": -1}]), "names one that is not there"),
    ],
)
def test_graphs_of_objects_that_are_broken(tmp_path, content, problem):
    """An empty one says nothing; others are errors."""
    prefix = _of_training(tmp_path, content, *LISTED)
    if problem is None:
        assert [d.path for d in read(prefix).weights.datasets] == LISTED
        return
    with pytest.raises(MalformedArtifactError, match=problem):
        read(prefix)


def test_graphs_of_objects_have_limits(tmp_path):
    """Their bytes and their objects are bounded as those of a config."""
    prefix = _of_training(tmp_path, _graph(), *LISTED)
    with pytest.raises(LimitExceededError, match="max_entries=8"):
        read(prefix, max_entries=8)
    with pytest.raises(LimitExceededError, match="max_config_bytes=1,000"):
        read(prefix, max_config_bytes=1000)


def test_a_graph_of_objects_contradicts_the_index(tmp_path):
    """Its text has a length, and no two variables are in one place."""
    with pytest.raises(MalformedArtifactError, match="two variables in one place"):
        read(_of_training(tmp_path, _graph(), *LISTED, _key("net/k..0.S1")))
    prefix = _of_training(tmp_path, _graph(), *LISTED)
    data = prefix.with_name("ckpt.data-00000-of-00001")
    data.write_bytes(b"\x01" + data.read_bytes()[1:])
    with pytest.raises(MalformedArtifactError, match="is no text: the lengths do not add up"):
        read(prefix)
