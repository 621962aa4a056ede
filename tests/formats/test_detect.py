"""Tests of deciding formats from bytes."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import struct
import tarfile

import pytest
from bytes_by_hand import field, special, tarred, zipped

from safeload.errors import (
    ArtifactNotFoundError,
    MalformedArtifactError,
    SignatureNotFoundError,
    UnrecognizedFormatError,
)
from safeload.formats import Format, MemoryFile, detect, open_source
from safeload.formats._archives import _contents
from safeload.formats._wire import _top_level

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(56)
TABLE = bytes(40) + (0xDB4775248B80FB57).to_bytes(8, "little")

NODE = field(1, "layer/x") + field(2, "Placeholder")
LONG_NODE = field(1, "n" * 200) + field(2, "Const") + field(3, "a") + field(5, "v")
GRAPH = field(1, NODE) + field(1, LONG_NODE) + field(4, field(1, 21))
META_INFO = field(4, "serve") + field(5, "2.21.0")
META_GRAPH = field(1, META_INFO) + field(2, GRAPH) + field(3, b"")
SAVED_MODEL = field(1, 1) + field(2, META_GRAPH)

FORMATS = {
    "hdf5": (HDF5, Format.KERAS_HDF5, None),
    "hdf5 behind a user block": (bytes(512) + HDF5, Format.KERAS_HDF5, None),
    "hdf5 behind a large user block": (b"x" * 2048 + HDF5, Format.KERAS_HDF5, None),
    "keras archive": (zipped("metadata.json", "config.json", "model.weights.h5"), Format.KERAS_ARCHIVE, None),
    "keras archive of npz": (zipped("config.json", "model.weights.npz"), Format.KERAS_ARCHIVE, "NumPy file"),
    "keras archive of shards": (zipped("config.json", "model.weights.json"), Format.KERAS_ARCHIVE, "sharded"),
    "keras json": (b'{"class_name": "Sequential", "config": {}}', Format.KERAS_JSON, None),
    "keras json, long": (b'{"config": ["%s"], "class_name": "A"}' % (b"x" * 9000), Format.KERAS_JSON, None),
    "keras json twice over": (json.dumps('{"class_name": "A", "config": {}}').encode(), Format.KERAS_JSON, None),
    "frozen graph": (GRAPH, Format.FROZEN_GRAPH, None),
    "frozen graph, nodes alone": (field(1, NODE), Format.FROZEN_GRAPH, None),
    "frozen graph, text": (b'# made by hand\nnode {\n  name: "x"\n}', Format.FROZEN_GRAPH, None),
    "meta graph": (META_GRAPH, Format.TF1_CHECKPOINT, None),
    "meta graph, text": (b"meta_info_def {\n}", Format.TF1_CHECKPOINT, None),
    "loose saved model": (SAVED_MODEL, Format.SAVED_MODEL, "without its directory"),
    "loose saved model, text": (b"saved_model_schema_version: 1\n", Format.SAVED_MODEL, "without its directory"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(60), Format.TFLITE, None),
    "zip around a SavedModel": (zipped("m/saved_model.pb", "m/variables/x"), Format.ARCHIVE, None),
    "zip around a .keras file": (zipped("__MACOSX/a.keras", "b/model.keras"), Format.ARCHIVE, None),
    "zip around a directory": (zipped("m/config.json", "m/model.weights.h5"), Format.ARCHIVE, None),
    "tar": (tarred("m/saved_model.pb"), Format.ARCHIVE, None),
    "tar of anything": (tarred("a.txt"), Format.ARCHIVE, "without a model"),
    "tar.gz": (tarred("./saved_model.pb", mode="w:gz"), Format.ARCHIVE, None),
    "tar.bz2": (tarred("saved_model.pb", mode="w:bz2"), Format.ARCHIVE, None),
    "tar.xz": (tarred("saved_model.pb", mode="w:xz"), Format.ARCHIVE, None),
    "gzip": (gzip.compress(b"x" * 999), Format.ARCHIVE, "compressed with gz"),
    "bzip2": (bz2.compress(b"x" * 999), Format.ARCHIVE, "compressed with bz2"),
    "xz, cut": (lzma.compress(b"x" * 999)[:-20], Format.ARCHIVE, "compressed with xz"),
    "zip": (zipped("a.txt"), Format.FOREIGN, "without a model"),
    "empty zip": (zipped(), Format.FOREIGN, "without a model"),
    "npz": (zipped("a.npy"), Format.FOREIGN, ".npz"),
    "torch": (zipped("archive/data.pkl"), Format.FOREIGN, "PyTorch"),
    "torchscript": (zipped("a/constants.pkl", "a/data.pkl"), Format.FOREIGN, "TorchScript"),
    "docx": (zipped("[Content_Types].xml"), Format.FOREIGN, "office"),
    "legacy torch": (pickle.dumps(0x1950A86A20F9469CFC6C, 2), Format.FOREIGN, "PyTorch"),
    "pickle 0": (pickle.dumps({"a": [1]}, 0), Format.FOREIGN, "pickle"),
    "pickle 1": (pickle.dumps({"a": [1]}, 1), Format.FOREIGN, "pickle"),
    "pickle 2": (pickle.dumps({"a": 1}, 2), Format.FOREIGN, "pickle"),
    "pickle 5": (pickle.dumps(format, 5), Format.FOREIGN, "pickle"),
    "pickle of a function": (pickle.dumps(format, 0), Format.FOREIGN, "pickle"),
    "joblib": (b"\x80\x04\x95sklearn.tree", Format.FOREIGN, "joblib"),
    "npy": (b"\x93NUMPY\x01\x00", Format.FOREIGN, ".npy"),
    "gguf": (b"GGUF\x03\0\0\0", Format.FOREIGN, "GGUF"),
    "safetensors": (struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}', Format.FOREIGN, "safetensors"),
    "onnx": (field(1, 8) + field(2, "pytorch") + field(7, b"") + field(8, b""), Format.FOREIGN, "ONNX"),
    "coreml": (field(1, 4) + field(2, b"") + field(500, b""), Format.FOREIGN, "Core ML"),
    "keras metadata": (field(1, field(2, 1) + field(4, "_tf_keras_network")), Format.FOREIGN, "metadata"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", Format.FOREIGN, "git-LFS"),
    "html": (b"\n<!DOCTYPE html><html>", Format.FOREIGN, "HTML"),
    "xml": (b"<?xml version='1.0'?><Error/>", Format.FOREIGN, "HTML or XML"),
    "yaml": (b"backend: tensorflow\nclass_name: Sequential\nconfig:\n", Format.FOREIGN, "YAML"),
    "yaml with a tag": (b"!!python/object:x\nclass_name: Model\n", Format.FOREIGN, "YAML"),
    "tfjs": (b'{"format": "layers-model", "modelTopology": {"class_name": 1}}', Format.FOREIGN, "TensorFlow.js"),
    "sharded weights": (b'{"metadata": {}, "weight_map": {}}', Format.FOREIGN, "sharded"),
    "json": (b'{"a": 1}', Format.FOREIGN, "JSON"),
    "script": (b"#!/bin/sh\n", Format.FOREIGN, "script"),
    "text": ("grün".encode(), Format.FOREIGN, "text"),
    "text, cut in a character": (b"x" + "ü".encode() * 4096, Format.FOREIGN, "text"),
    "matlab 7.3": (b"MATLAB 7.3 MAT-file".ljust(512) + HDF5, Format.FOREIGN, "HDF5 file without"),
    "table in memory": (TABLE, Format.FOREIGN, "without its index"),
}


@pytest.mark.parametrize(("content", "form", "said"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("suffix", ["keras", "h5", ""])
def test_formats(content, form, said, suffix, tmp_path):
    """Bytes decide, under any suffix and without one."""
    found = detect(open_source(content))
    assert found.format is form
    assert (found.kind is None) == (said is None)
    if said:
        assert said in found.kind
        assert found.remedy
    assert found.evidence
    if form is not Format.SAVED_MODEL:  # its path means the directory around it
        path = tmp_path / f"model.{suffix}"
        path.write_bytes(content)
        assert detect(open_source(path)).format is form


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("zip around a SavedModel", "a zip archive around a SavedModel ('m/saved_model.pb')"),
        ("zip around a .keras file", "a zip archive around a Keras model ('b/model.keras')"),
        ("zip around a directory", "a zip archive around an unzipped Keras archive ('m')"),
        ("tar", "a tar archive around a SavedModel ('m/saved_model.pb')"),
        ("tar.gz", "a tar.gz archive around a SavedModel ('saved_model.pb')"),
    ],
)
def test_what_archives_hold(content, said):
    """The evidence names the model inside."""
    assert detect(open_source(FORMATS[content][0])).evidence == said


@pytest.mark.parametrize(
    ("name", "content", "is_mislabelled"),
    [
        ("model.h5", HDF5, False),
        ("model.keras", HDF5, True),
        ("model.h5", FORMATS["keras archive"][0], True),
        ("model", HDF5, False),
        ("model.bin", HDF5, False),
    ],
)
def test_mislabelled(tmp_path, name, content, is_mislabelled):
    """A suffix that promises something else is a fact beside the format."""
    (tmp_path / name).write_bytes(content)
    assert detect(open_source(tmp_path / name)).is_mislabelled is is_mislabelled


def test_bytes_have_no_suffix():
    """Without a path there is nothing to be mislabelled."""
    assert not detect(open_source(HDF5)).is_mislabelled


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "empty"),
        (bytes(100), "begins with"),
        (b"\xff" * 30, "begins with"),
        (b"\x0b\x0c", "begins with"),
        (field(1, b"") + b"\0\0", "begins with"),
        (field(1, field(1, 3)), "begins with"),
        (field(1, b"\x01\x02"), "begins with"),
        (field(1, NODE) + b"\x08\x01", "begins with"),
        (b"\x12" + b"\xff" * 12, "begins with"),
        (b"\x0d1234\x11" + b"12345678", "begins with"),
        (field(1, b""), "begins with"),
        (field(1, META_INFO), "begins with"),
        (field(1, field(1, "<unk>") + b"\x15" + bytes(4)) + field(2, b""), "begins with"),
        (b"\x0a\x7f\x01\x02", "begins with"),
        (b"\t\n \r", "begins with"),
    ],
)
def test_unrecognized(content, seen):
    """Bytes of no known kind are shown."""
    with pytest.raises(UnrecognizedFormatError, match=seen):
        detect(open_source(content))


def test_promise_of_the_suffix(tmp_path):
    """A suffix that promises a model is named when the bytes are none."""
    (tmp_path / "m.h5").write_bytes(bytes(50))
    with pytest.raises(UnrecognizedFormatError, match="whatever its suffix '.h5' promises"):
        detect(open_source(tmp_path / "m.h5"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (HDF5 + zipped("a"), "at once"),
        (b"PK\x03\x04" + bytes(508) + HDF5, "at once"),
        (b"\x10\0\0\0TFL3".ljust(512, b"\0") + HDF5, "HDF5 and a TensorFlow Lite model at once"),
        (pickle.dumps({"a": 1}, 2).ljust(512, b"\0") + HDF5, "HDF5 and a Python pickle at once"),
        (field(1, 1) + field(2, META_GRAPH.ljust(507, b" ") + HDF5), r"HDF5 and a protobuf \(saved-model\) at once"),
        (zipped("config.json")[:-30], "truncated"),
        (b"\xff\xff\0\0TFL3", "beyond its end"),
        (tarred("../a"), "leads out"),
        (b"x" * 257 + b"ustar" + bytes(250), "first header is broken"),
        (tarred("/a", mode="w:gz"), "absolute path"),
        (tarred("a", mode="w:gz", pax_headers={"comment": "x" * (2 << 20)}), "header of more"),
        (tarred(special("m/l", tarfile.SYMTYPE, "../../x")), "outside of the archive"),
        (tarred(special("m/l", tarfile.SYMTYPE, "/x")), "outside of the archive"),
        (tarred(special("m/l", tarfile.LNKTYPE, "../x")), "outside of the archive"),
    ],
)
def test_malformed(content, problem):
    """What is two things at once, cut, or leads out of itself is broken."""
    with pytest.raises(MalformedArtifactError, match=problem):
        detect(open_source(content))


def test_links_inside_an_archive():
    """Links that stay inside are ordinary."""
    content = tarred(special("m/saved_model.pb", tarfile.SYMTYPE, "../m/graph"))
    assert detect(open_source(content)).evidence.endswith("('m/saved_model.pb')")


def test_weights_at_an_hdf5_offset_of_a_zip():
    """HDF5 that is stored in a zip at byte 512 by chance is a member, not a second format."""
    config = "{" + " " * (512 - 30 - 11 - 30 - 16 - 2) + "}"
    content = zipped(("config.json", config), ("model.weights.h5", HDF5))
    assert content[512:520] == HDF5[:8]
    assert detect(open_source(content)).format is Format.KERAS_ARCHIVE


def test_large_archives_are_listed_in_part(monkeypatch):
    """What is not listed is left to unpacking."""
    monkeypatch.setattr(_contents, "_MAX_LISTED_MEMBERS", 1)
    assert "too large" in detect(open_source(tarred("a", "saved_model.pb"))).evidence
    monkeypatch.setattr(_contents, "_MAX_LISTED_MEMBERS", 9)
    monkeypatch.setattr(_contents, "_MAX_LISTED_BYTES", 100)
    assert detect(open_source(tarred(("a", bytes(200)), "saved_model.pb"))).kind is None


def test_version_of_a_file():
    """Asking a file for a version is an error."""
    with pytest.raises(SignatureNotFoundError, match="no version '2'"):
        detect(open_source(HDF5), version=2)


@pytest.mark.parametrize(
    ("name", "content"), [("saved_model.pb", SAVED_MODEL), ("saved_model.pbtxt", b"meta_graphs {}")]
)
def test_path_to_the_graph(tmp_path, name, content):
    """The path of saved_model.pb means its directory."""
    (tmp_path / name).write_bytes(content)
    found = detect(open_source(tmp_path / name))
    assert (found.format, found.path, found.kind) == (Format.SAVED_MODEL, tmp_path, None)
    assert found.where == str(tmp_path / name)


@pytest.mark.parametrize("name", ["m.ckpt", "m.ckpt.index", "m.ckpt.data-00000-of-00001", "checkpoint"])
@pytest.mark.parametrize("has_graph", [True, False])
def test_checkpoints(tmp_path, name, has_graph):
    """Every file of a checkpoint, and its prefix, means the checkpoint."""
    (tmp_path / "m.ckpt.index").write_bytes(TABLE)
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(bytes(4))
    (tmp_path / "checkpoint").write_bytes(b'model_checkpoint_path: "/gone/m.ckpt"\n')
    if has_graph:
        (tmp_path / "m.ckpt.meta").write_bytes(META_GRAPH)
    found = detect(open_source(tmp_path / name))
    assert found.path == tmp_path / "m.ckpt"
    assert found.format is (Format.TF1_CHECKPOINT if has_graph else Format.CHECKPOINT)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.data-00000-of-00001", bytes(4), "without its index"),
        ("old.ckpt", TABLE, "V1"),
        (".index", TABLE, "no name"),
        ("checkpoint", b'model_checkpoint_path: "m"\n', "text file"),
    ],
)
def test_parts_of_checkpoints(tmp_path, name, content, said):
    """Files of a checkpoint whose other files are missing are explained."""
    (tmp_path / name).write_bytes(content)
    assert said in detect(open_source(tmp_path / name)).kind


def test_pattern_of_shards(tmp_path):
    """What the saver of a sharded checkpoint of format V1 returned means its files, if they are there."""
    pattern = tmp_path / "old.ckpt-?????-of-00002"
    with pytest.raises(ArtifactNotFoundError):
        open_source(pattern)
    (tmp_path / "old.ckpt-00000-of-00002").write_bytes(TABLE)
    found = detect(open_source(pattern))
    assert "V1" in found.kind
    assert found.where == str(pattern)


def test_long_messages():
    """The first fields of a long message are enough."""
    assert _top_level(MemoryFile(GRAPH), max_fields=1) == {1: 2}
