"""SavedModel directories: everything is read once, nothing outside is touched, what is odd is stated."""

from __future__ import annotations

import os
import shutil

import pytest
from checkpoints_by_hand import entry, header, table

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import detect, open_source
from safeload.readers import _model_tree
from safeload.readers._model_tree import read_model_tree
from safeload.readers.protobuf import message_class
from safeload.readers.saved_model.directory import read_saved_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A SavedModel with a variable and a table that is filled from an asset."""
    import tensorflow as tf

    directory = tmp_path_factory.mktemp("saved")
    vocabulary = directory / "vocabulary.txt"
    vocabulary.write_text("a\nb\n")
    module = tf.Module()
    module.scale = tf.Variable([2.0, 3.0])
    initializer = tf.lookup.TextFileInitializer(
        str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module.table = tf.lookup.StaticHashTable(initializer, -1)
    module.__call__ = tf.function(
        lambda x: tf.cast(module.table.lookup(x), tf.float32) * module.scale[0],
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(directory / "model"))
    return directory / "model"


@pytest.fixture
def model(saved, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


def read(path, **limits):
    """Read the SavedModel at *path*."""
    return read_saved_model(detect(open_source(path)), limits=Limits(**limits))


def kinds(artifact):
    """Return what is odd and where."""
    return {(anomaly.kind, anomaly.where) for anomaly in artifact.anomalies}


def small(directory, *, asset=None, collection=None, variables=0, saver=False, nodes=()):
    """Write a SavedModel of TF1 without running TensorFlow."""
    saved_model = message_class("SavedModel")(saved_model_schema_version=1)
    graph = saved_model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    for name in asset or ():
        graph.asset_file_def.add(filename=name).tensor_info.name = "asset:0"
    for name in collection or ():
        message = message_class("AssetFileDef")(filename=name)
        graph.collection_def["saved_model_assets"].any_list.value.add(value=message.SerializeToString())
    for index in range(variables):
        graph.graph_def.node.add(name=f"v{index}", op="VariableV2")
    for name, op, inputs in nodes:
        graph.graph_def.node.add(name=name, op=op, input=inputs)
    if saver:
        graph.saver_def.filename_tensor_name = "save/Const:0"
    directory.mkdir(exist_ok=True)
    (directory / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    return directory


def test_a_model_is_read_whole(saved):
    """Graph, files, variables and assets are those of the directory."""
    artifact = read(saved)
    assert artifact.graph_bytes == (saved / "saved_model.pb").read_bytes()
    assert artifact.files == {
        path.relative_to(saved).as_posix(): path.stat().st_size for path in saved.rglob("*") if path.is_file()
    }
    assert artifact.assets == {"assets/vocabulary.txt": b"a\nb\n"}
    assert [(d.path, d.shape, d.dtype) for d in artifact.variables.datasets] == [
        ("scale/.ATTRIBUTES/VARIABLE_VALUE", (2,), "float32")
    ]
    assert artifact.size == sum(artifact.files.values())
    assert artifact.anomalies == ()


def test_the_digest_follows_the_content(model):
    """The digest is that of graph, assets and variable index, and of nothing else."""
    before = read(model).digest
    (model / "README").write_text("x")
    assert read(model).digest == before
    (model / "variables" / "variables.index").write_bytes(table({b"": header(), b"w": entry()}))
    other_index = read(model).digest
    (model / "assets" / "vocabulary.txt").write_text("b\na\n")
    assert len({before, other_index, read(model).digest}) == 3


def test_text_format_is_the_same_model(model):
    """A ``.pbtxt`` becomes the graph that it spells."""
    from google.protobuf import text_format

    binary = read(model)
    (model / "saved_model.pbtxt").write_text(text_format.MessageToString(binary.saved_model))
    assert kinds(read(model)) == {("two-graphs", "saved_model.pbtxt")}
    (model / "saved_model.pb").unlink()
    text = read(model)
    assert text.saved_model == binary.saved_model
    assert message_class("SavedModel").FromString(text.graph_bytes) == binary.saved_model
    (model / "saved_model.pbtxt").write_bytes(binary.graph_bytes)  # the bytes decide which it is
    assert read(model).saved_model == binary.saved_model
    (model / "saved_model.pbtxt").write_text("meta_graphs { unknown: 1 }")
    with pytest.raises(MalformedArtifactError) as caught:
        read(model / "saved_model.pbtxt")
    assert str(caught.value).count("saved_model.pbtxt") == 1


@pytest.mark.parametrize(
    "name", ["variables/variables.data-00000-of-00001", "variables/variables.index", "assets/vocabulary.txt"]
)
def test_links_out_of_the_model_are_not_followed(model, tmp_path, name):
    """A link that leads elsewhere is stated and its target never read."""
    (model / name).rename(tmp_path / "elsewhere")
    (model / name).symlink_to(tmp_path / "elsewhere")
    artifact = read(model)
    assert kinds(artifact) == {("link-out-of-model", name)}
    assert name not in artifact.files
    assert name not in artifact.assets


def test_links_inside_the_model_are_followed(model):
    """Kubernetes mounts files through links to a directory beside them."""
    (model / "..data").mkdir()
    (model / "saved_model.pb").rename(model / "..data" / "saved_model.pb")
    (model / "saved_model.pb").symlink_to("..data/saved_model.pb")
    assert kinds(read(model)) == set()


def test_a_link_that_is_turned_meanwhile(model, tmp_path):
    """Releases are switched by turning a link: all that is read is of one of them, whose name messages keep."""
    link = tmp_path / "current"
    link.symlink_to(model)
    detection = detect(open_source(link))
    link.unlink()
    link.symlink_to(tmp_path)
    artifact = read_saved_model(detection, limits=Limits())
    assert kinds(artifact) == set()
    assert (artifact.where, artifact.directory) == (str(link), model)


def test_the_cache_of_hugging_face_is_read(model, tmp_path):
    """Files of a snapshot are links to blobs beside the snapshots."""
    snapshot = tmp_path / "hub" / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "hub" / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    for number, source in enumerate(path for path in sorted(model.rglob("*")) if path.is_file()):
        link = snapshot / source.relative_to(model)
        link.parent.mkdir(parents=True, exist_ok=True)
        source.rename(blobs / str(number))
        link.symlink_to(os.path.relpath(blobs / str(number), link.parent))
    artifact = read(snapshot)
    assert artifact.anomalies == ()
    assert artifact.assets == {"assets/vocabulary.txt": b"a\nb\n"}


def test_special_files_are_not_opened(model):
    """A pipe would block whoever opens it; circular and broken links lead nowhere."""
    (model / "variables" / "variables.index").unlink()
    os.mkfifo(model / "variables" / "variables.index")
    (model / "loop").symlink_to(".")
    (model / "broken").symlink_to("nothing")
    (model / "odd").symlink_to("x" * 300)
    assert kinds(read(model)) == {
        ("special-file", "variables/variables.index"),
        ("circular-link", "loop"),
        ("broken-link", "broken"),
        ("broken-link", "odd"),
    }


@pytest.mark.parametrize("limit", ["MAX_DIRECTORY_LINKS", "MAX_LINKS"])
def test_links_are_counted(limit, model, monkeypatch):
    """Links in a row of directories would lead to more and more files, and each link takes a look."""
    monkeypatch.setitem(_model_tree._FIXED, limit, 1)
    for name in ("one", "two"):
        (model / name).symlink_to("assets")
    with pytest.raises(LimitExceededError, match=limit):
        read(model)


def test_odd_files_are_counted(model, monkeypatch):
    """Links out of the model are reasons against it; a few are enough."""
    monkeypatch.setitem(_model_tree._FIXED, "MAX_ODD_FILES", 1)
    for name in ("one", "two"):
        (model / name).symlink_to("/etc/passwd")
    with pytest.raises(LimitExceededError, match="MAX_ODD_FILES"):
        read(model)


def test_directory_that_is_gone(tmp_path):
    """A directory that cannot be listed is said to be."""
    with pytest.raises(MalformedArtifactError, match="cannot be listed"):
        read_model_tree(tmp_path / "gone", where="m", limits=Limits())


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a\0b"])
def test_asset_names_stay_below_assets(tmp_path, name):
    """A name that leads out of ``assets/`` is stated, and nothing is read."""
    artifact = read(small(tmp_path / "m", asset=[name], collection=[name]))
    assert kinds(artifact) == {("asset-outside-assets", name)}
    assert artifact.assets == {}


def test_missing_assets(model, tmp_path):
    """An asset that loading reads must be there; one that nothing reads may be absent."""
    unused = small(tmp_path / "unused", asset=["foo.txt"])
    assert read(unused).assets == {}
    used = small(
        tmp_path / "used", asset=["foo.txt"], nodes=[("init", "InitializeTableFromTextFileV2", ["table", "asset"])]
    )
    with pytest.raises(MalformedArtifactError, match=r"the asset 'assets/foo.txt' is missing"):
        read(used)
    (model / "assets" / "vocabulary.txt").unlink()
    with pytest.raises(MalformedArtifactError, match=r"the asset 'assets/vocabulary.txt' is missing"):
        read(model)


def test_missing_variables(model, tmp_path):
    """A model whose variables are not there is refused with the reason; one without variables needs none."""
    assert read(small(tmp_path / "none", saver=True)).variables.datasets == ()
    assert read(small(tmp_path / "frozen", variables=2)).variables.datasets == ()
    with pytest.raises(MalformedArtifactError, match=r"variables.index is missing, and the model has 2 variables"):
        read(small(tmp_path / "lost", variables=2, saver=True))
    old = small(tmp_path / "old", variables=2, saver=True)
    (old / "variables").mkdir()
    (old / "variables" / "variables").write_bytes(b"checkpoint of format V1")
    assert read(old).variables.datasets == ()
    (model / "variables" / "variables.index").unlink()
    with pytest.raises(MalformedArtifactError, match=r"variables.index is missing, and the model has 1 variables"):
        read(model)
    shutil.rmtree(model / "variables")
    with pytest.raises(MalformedArtifactError, match=r"variables.index is missing, and the model has 1 variables"):
        read(model)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("saved_model.pb", b"", "holds no MetaGraph"),
        ("saved_model.pb", b"\x12\xff\xff\xff\xff\x7f", "SavedModel"),
        ("variables/variables.data-00000-of-00001", b"1234", "has 4 of [0-9]+ bytes"),
        ("variables/variables.data-00000-of-00001", None, "data-00000-of-00001 is missing"),
        ("variables/variables.index", b"x" * 100, "end of the file"),
    ],
)
def test_broken_files_are_malformed(model, name, content, problem):
    """Each file that loading needs is checked, and the message names it."""
    (model / name).unlink()
    if content is not None:
        (model / name).write_bytes(content)
    with pytest.raises(MalformedArtifactError, match=problem) as caught:
        read(model)
    assert str(model) in str(caught.value)


def test_a_directory_without_a_readable_graph(model):
    """Without a graph there is no model, even if a link pretends so."""
    detection = detect(open_source(model))
    (model / "saved_model.pb").unlink()
    with pytest.raises(MalformedArtifactError, match=r"no readable saved_model.pb"):
        read_saved_model(detection, limits=Limits())


@pytest.mark.parametrize(
    "limits",
    [
        {"max_graph_bytes": 100},
        {"max_asset_bytes": 3},
        {"max_config_bytes": 10},
        {"max_entries": 4},
        {"max_nesting_depth": 1},
    ],
    ids=lambda limits: next(iter(limits)),
)
def test_limits_hold(model, limits):
    """What is larger than allowed is refused by the name of the limit."""
    with pytest.raises(LimitExceededError, match=next(iter(limits))):
        read(model, **limits)


def test_assets_count_together(tmp_path):
    """The limit holds for all assets, not for each."""
    path = small(tmp_path / "m", asset=["a", "b"])
    (path / "assets").mkdir()
    for name in "ab":
        (path / "assets" / name).write_text("xx")
    assert read(path, max_asset_bytes=4).assets == {"assets/a": b"xx", "assets/b": b"xx"}
    with pytest.raises(LimitExceededError, match="max_asset_bytes"):
        read(path, max_asset_bytes=3)


def test_the_digest_keeps_files_apart(tmp_path):
    """The same bytes in other files, or parted otherwise, are another model."""
    path = small(tmp_path / "m", asset=["a", "b"])
    (path / "assets").mkdir()
    digests = set()
    for contents in (("xx", "x"), ("x", "xx"), ("xxx", ""), ("", "xxx")):
        for name, content in zip("ab", contents, strict=True):
            (path / "assets" / name).write_text(content)
        digests.add(read(path).digest)
    assert len(digests) == 4


def test_keras_metadata_is_kept(model):
    """The bytes of the Keras metadata are there for whoever asks, unparsed."""
    assert read(model).keras_metadata is None
    (model / "keras_metadata.pb").write_bytes(b"anything")
    assert read(model).keras_metadata == b"anything"
