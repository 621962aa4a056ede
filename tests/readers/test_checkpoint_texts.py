"""Arrays of texts, as they lie in a checkpoint."""

import pytest
from bytes_by_hand import varint
from checkpoints_by_hand import entry, header, table

from safeload import inspect_model
from safeload._limits import Limits
from safeload.errors import MalformedArtifactError
from safeload.readers.checkpoint.index import read_checkpoint_index
from safeload.readers.checkpoint.texts import decode_texts, require_texts
from safeload.readers.protobuf import message_class

LONG = "é" * 100


def test_lengths_come_first():
    """Seven bits in a byte, the lowest first; a checksum of four bytes follows them."""
    data = b"\x01\xc8\x01\x00" + b"...." + b"a" + LONG.encode()
    assert decode_texts(data, 3) == ["a", LONG, ""]


@pytest.mark.parametrize("data", [b"\x01\x02....abcd", b"\x01", b"\xff" * 20, b"\x01\x01....a\xff", b""])
def test_what_is_broken(data):
    """Lengths that do not add up, that never end, and bytes that are no UTF-8."""
    with pytest.raises(ValueError, match="length|codec"):
        decode_texts(data, 2)


STRING, FLOAT = 7, 1


def _checkpoint(folder, data, shape):
    """Write a checkpoint of a list of texts between numbers; return its index."""
    middle = entry(STRING, shape, size=len(data), offset=8)
    items = {b"": header(), b"a": entry(FLOAT), b"texts": middle, b"z": entry(STRING, (0,), size=0)}
    (folder / "v.index").write_bytes(table(items))
    (folder / "v.data-00000-of-00001").write_bytes(b"\0" * 8 + data + b"\1" * 100)
    return read_checkpoint_index(table(items), where="v.index", limits=Limits())


@pytest.mark.parametrize("texts", [["a"] * 6, ["a", LONG, "b" * 70_000, "", "", ""], [""] * 6])
@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_texts_that_fit(texts, shape, tmp_path):
    """Only lengths are looked at."""
    encoded = [text.encode() for text in texts]
    data = b"".join(map(varint, map(len, encoded))) + b"...." + b"".join(encoded)
    require_texts(_checkpoint(tmp_path, data, shape), prefix="v", directory=tmp_path, where="v")


@pytest.mark.parametrize("length", [3, 5, 200, 6 << 30, 1 << 45, (1 << 64) - 1])
def test_texts_that_are_longer_than_the_file(length, tmp_path):
    """TensorFlow would make room for what a length says, and end the process where there is no such room."""
    data = varint(length) + b"...." + b"a" * 4
    index = _checkpoint(tmp_path, data, ())
    with pytest.raises(MalformedArtifactError, match="the texts of the tensor 'texts' are broken: the lengths do not"):
        require_texts(index, prefix="v", directory=tmp_path, where="v")


@pytest.mark.parametrize("prefix", ["variables/variables", "v"])
def test_models_with_such_texts(prefix, tmp_path):
    """They are refused before anything is loaded: in a SavedModel as in a checkpoint with its graph."""
    (tmp_path / prefix).parent.mkdir(exist_ok=True)
    graph = message_class("MetaGraphDef")()
    graph.graph_def.node.add(name="y", op="NoOp")
    _checkpoint(tmp_path, varint(1 << 45) + b"....", ())
    for suffix in ("index", "data-00000-of-00001"):
        (tmp_path / f"v.{suffix}").rename(tmp_path / f"{prefix}.{suffix}")
    if prefix == "v":
        (tmp_path / "v.meta").write_bytes(graph.SerializeToString())
    else:
        model = message_class("SavedModel")(meta_graphs=[graph])
        (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(MalformedArtifactError, match="the lengths do not add up"):
        inspect_model(tmp_path if prefix != "v" else tmp_path / "v")
