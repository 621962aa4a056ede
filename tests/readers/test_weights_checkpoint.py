"""Tests of checkpoints as weights."""

from __future__ import annotations

import struct

import ml_dtypes
import numpy as np
import pytest

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError, UnsupportedFormatError
from safeload.formats import Format, detect, open_source
from safeload.readers import WeightLayout, read_artifact
from safeload.readers.checkpoint.table import MAGIC
from safeload.readers.protobuf import message_class

_TYPES = {"float32": 1, "string": 7, "bfloat16": 14}
"""tensorflow/core/framework/types.proto."""


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def block(records):
    """A block of a table, its keys written in full, with its trailer."""
    body = b"".join(varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in records)
    return body + struct.pack("<II", 0, 1) + bytes(5)


def table(items):
    """A table with one block of data."""
    data = block(sorted(items.items()))
    index = block([(b"~", varint(0) + varint(len(data) - 5))])
    handles = varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    return data + index + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def entry(dtype, shape, *, is_partitioned=False, **fields):
    message = message_class("BundleEntryProto")(dtype=_TYPES[dtype], **fields)
    for size in shape:
        message.shape.dim.add(size=size)
    if is_partitioned:
        message.slices.add()
    return message.SerializeToString()


KERNEL = np.arange(6, dtype="f4").reshape(2, 3)
SCALE = np.arange(2).astype(ml_dtypes.bfloat16)


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint of two data files and return its prefix."""
    (tmp_path / "ckpt.data-00000-of-00002").write_bytes(KERNEL.tobytes() + b"text")
    (tmp_path / "ckpt.data-00001-of-00002").write_bytes(SCALE.tobytes())
    items = {
        b"": message_class("BundleHeaderProto")(num_shards=2).SerializeToString(),
        b"kernel": entry("float32", (2, 3), size=24),
        b"scale": entry("bfloat16", (2,), shard_id=1, size=4),
        b"empty": entry("float32", (0, 3)),
        b"parts": entry("float32", (1,), is_partitioned=True),
        b"config": entry("string", (), offset=24, size=4),
    }
    (tmp_path / "ckpt.index").write_bytes(table(items))
    return tmp_path / "ckpt"


def read(path, **limits):
    return read_artifact(detect(open_source(path)), Limits(**limits))


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


@pytest.mark.parametrize(
    ("limits", "name"), [({"max_entries": 1}, "max_entries"), ({"max_config_bytes": 9}, "max_config_bytes")]
)
def test_limits(checkpoint, limits, name):
    """The index and the number of data files are bounded."""
    with pytest.raises(LimitExceededError, match=name):
        read(checkpoint, **limits)


def test_many_data_files(checkpoint):
    """A short index may declare very many data files."""
    header = message_class("BundleHeaderProto")(num_shards=90_000).SerializeToString()
    checkpoint.with_name("ckpt.index").write_bytes(table({b"": header}))
    with pytest.raises(LimitExceededError, match="max_entries"):
        read(checkpoint, max_entries=1000)


def test_closed(checkpoint):
    """Reading after closing raises, closing twice does not."""
    weights_file = read(checkpoint).weights_file
    weights_file.close()
    weights_file.close()
    with pytest.raises(ValueError, match="closed"):
        weights_file.read("kernel")
