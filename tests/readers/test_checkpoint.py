"""Checkpoint indexes equal what TensorFlow reads; broken ones are errors with the reason."""

from __future__ import annotations

import struct
import time

import pytest
from bytes_by_hand import varint
from checkpoints_by_hand import block, entry, header, record, restarts_at, table

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.readers.checkpoint.index import OBJECT_GRAPH_KEY, read_checkpoint_index, require_shards
from safeload.readers.checkpoint.snappy import decompress
from safeload.readers.checkpoint.table import read_table
from safeload.readers.protobuf import message_class


def read(items, **limits):
    """Read an index with these keys."""
    return read_checkpoint_index(table(items), where="v.index", limits=Limits(**limits))


def test_an_index_equals_what_tensorflow_reads(tmp_path):
    """Names, shapes and dtypes are those of TensorFlow's reader; the data files have the declared size."""
    import tensorflow as tf

    module = tf.Module()
    module.layers = [
        tf.Variable(tf.zeros([3, i + 1], dtype)) for i, dtype in enumerate((tf.float32, tf.bfloat16, tf.int64))
    ]
    module.names = tf.Variable(["a", "bc"])
    path = tf.train.Checkpoint(module).write(str(tmp_path / "ckpt"))
    reader = tf.train.load_checkpoint(path)
    index = read_checkpoint_index((tmp_path / "ckpt.index").read_bytes(), where="ckpt.index", limits=Limits())
    theirs = {
        key: (tuple(shape), reader.get_variable_to_dtype_map()[key].name)
        for key, shape in reader.get_variable_to_shape_map().items()
        if key != OBJECT_GRAPH_KEY
    }
    weights = index.weights()
    assert {d.path: (d.shape, d.dtype) for d in weights.datasets} == theirs
    assert [d.path for d in weights.datasets] == sorted(theirs)
    data = (tmp_path / "ckpt.data-00000-of-00001").read_bytes()
    require_shards(index, prefix="ckpt", sizes={"ckpt.data-00000-of-00001": len(data)}, where="m", limits=Limits())
    for dataset in weights.datasets:
        if dataset.dtype == "float32":
            stored = data[dataset.offset : dataset.offset + dataset.nbytes]
            assert stored == reader.get_tensor(dataset.path).tobytes()


def test_partitioned_variables_and_several_data_files(tmp_path):
    """Slices of a partitioned variable are kept apart, and each data file is held to what it must have."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("w", [10, 4], partitioner=tf.compat.v1.fixed_size_partitioner(2))
        tf.compat.v1.get_variable("b", [4])
        session.run(tf.compat.v1.global_variables_initializer())
        prefix = tf.compat.v1.train.Saver(sharded=True).save(session, str(tmp_path / "m"), write_meta_graph=False)
    name = prefix.rpartition("/")[2]
    index = read_checkpoint_index((tmp_path / f"{name}.index").read_bytes(), where="i", limits=Limits())
    assert [(e.key, e.shape, e.is_partitioned) for e in index.entries] == [("b", (4,), False), ("w", (10, 4), True)]
    assert len(index.slices) == 2
    assert [d.offset is None for d in index.weights().datasets] == [False, True]
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert index.required_sizes(name).items() <= sizes.items()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "end of the file"),
        (table({b"a": b"1"})[:-1], "end of the file"),
        (table({b"a": b"1"})[30:], "not in the file|does not end|restart|reaches"),
        (table(records=[record(b"b", b""), record(b"a", b"")]), "does not follow"),
        (table(records=[record(b"a", b""), record(b"a", b"")]), "does not follow"),
        (table({b"a": b"1"}, kind=7), "unknown way 7"),
        (table({b"a": b"1"}, kind=1), "block at byte 0"),
        (table(records=[record(b"a", b"1", shared=3)]), "reaches out"),
        (table(records=[varint(0) + varint(99) + varint(0) + b"a"]), "reaches out"),
        (table(data_block=block([], restarts=struct.pack("<I", 9))), "restart points"),
        (table(data_block=b"\0\0" + bytes(5)), "restart points"),
        (table(data_block=block([record(b"a", b"1")], restarts=restarts_at())), "depends on its reader"),
        (table(data_block=block([record(b"a", record(b"a", b"2"))], restarts=restarts_at(0, 4))), "depends on"),
        (table(data_block=block([record(b"a", b"1"), record(b"b", b"2")], restarts=restarts_at(5))), "depends on its"),
        (table(data_block=block([record(b"a", b"1"), record(b"b", b"2", 1)], restarts=restarts_at(0, 5))), "depends"),
        (table({b"a": b"1"}, index_value=varint(0) + varint(10_000)), "not in the file"),
        (table(records=[], index_values=[varint(0) + varint(8)] * 2), "lies over the one before"),
        (table({b"a": b"1"}, index_value=b"\xff" * 11), "does not end"),
        (table({b"a": b"1"}, index_value=b""), "does not end"),
    ],
    ids=[
        "empty", "cut-at-the-end", "cut-at-the-start", "keys-descend", "key-twice", "unknown-compression", "bad-snappy",
        "shares-too-much", "key-too-long", "too-many-restarts", "no-restarts", "restarts-nowhere", "restart-in-a-value",
        "restart-after-the-first", "restart-that-shares", "block-outside", "block-twice", "long-number", "no-number",
    ],
)  # fmt: skip
def test_broken_tables_are_malformed(data, problem):
    """Whatever is wrong with the container is said with the place."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read_table(data, where="v.index", limits=Limits())


def test_prefixes_are_shared():
    """A key may take its beginning from the key before."""
    data = table(records=[record(b"layer/a", b"1"), record(b"b", b"2", shared=6)])
    assert read_table(data, where="x", limits=Limits()) == {b"layer/a": b"1", b"layer/b": b"2"}


def test_a_small_table_cannot_become_large():
    """Entries and the bytes of names are bounded, however short the file is."""
    many = table(records=[record(bytes([i]), b"") for i in range(100)])
    long = table(records=[record(b"k" * 500, b""), *(record(b"k", b"", shared=500 + i) for i in range(100))])
    with pytest.raises(LimitExceededError, match="max_entries"):
        read_table(many, where="x", limits=Limits(max_entries=50))
    with pytest.raises(LimitExceededError, match="max_config_bytes"):
        read_table(long, where="x", limits=Limits(max_config_bytes=5_000))


def test_compressed_tables_are_read():
    """Early releases compressed the blocks."""
    plain = record(b"a", b"1") + struct.pack("<II", 0, 1)
    packed = varint(len(plain)) + bytes([(len(plain) - 1) << 2]) + plain
    assert read_table(table(data_block=packed + b"\1\0\0\0\0"), where="x", limits=Limits()) == {b"a": b"1"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0", b""),
        (b"\x05\x10hello", b"hello"),
        (b"\x08\x00a\x0d\x01", b"aaaaaaaa"),
        (b"\x06\x08abc\x0a\x03\x00", b"abcabc"),
        (b"\x06\x08abc\x0b\x03\x00\x00\x00", b"abcabc"),
        (varint(70) + bytes([60 << 2, 69]) + b"x" * 70, b"x" * 70),
        (varint(300) + bytes([61 << 2]) + struct.pack("<H", 299) + b"y" * 300, b"y" * 300),
    ],
    ids=["nothing", "literal", "overlapping-copy", "copy-of-2-bytes", "copy-of-4-bytes", "length-in-1", "length-in-2"],
)
def test_snappy(data, expected):
    """Every kind of element of the format decompresses."""
    assert decompress(data, max_bytes=1000) == expected


def test_copies_from_far_back_take_no_longer():
    """A copy takes what it copies, not all that follows: these 40,000 bytes would pass 160 GB through memory."""
    size, copies = 4_000_000, 40_000
    far = b"\x03" + struct.pack("<I", size)  # one byte from as far back as the literal is long
    data = varint(size + copies) + bytes([62 << 2]) + (size - 1).to_bytes(3, "little") + b"z" * size + far * copies
    begun = time.process_time()
    assert decompress(data, max_bytes=size + copies) == b"z" * (size + copies)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no length"),
        (b"\xff" * 6, "no length"),
        (b"\xff\xff\x7f", "declares"),
        (b"\x05\x10hel", "holds 3 of 5"),
        (b"\x02\x10hello", "holds 5 of 2"),
        (b"\x04\x01\x01", "copies from"),
        (b"\x05\x00a\x01\x00", "copies from"),
    ],
)
def test_broken_snappy(data, problem):
    """Whatever is wrong with the data, or would be too large, is a ValueError."""
    with pytest.raises(ValueError, match=problem):
        decompress(data, max_bytes=1000)


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ({b"w": entry()}, "no header"),
        ({b"": header(endianness=1)}, "big-endian"),
        ({b"": header(num_shards=0)}, "0 data files"),
        ({b"": header(num_shards=2**31 - 1)}, "2,147,483,647 data files"),
        ({b"": header(), b"w": b"\xff"}, "BundleEntryProto"),
        ({b"": header(), b"\xff": entry()}, "not UTF-8"),
        ({b"": header(), b"w": entry(shape=(-1,))}, "no definite shape"),
        ({b"": header(), b"w": entry(shape=(1,) * 255)}, "larger than any tensor"),
        ({b"": header(), b"w": entry(shape=(2**62,) * 99_999)}, "larger than any tensor"),
        ({b"": header(), b"w": entry(shape=(2**62, 0, 2**62), dtype=7)}, "larger than any tensor"),
        ({b"": header(), b"w": entry(shard_id=1)}, "data file 1 of 1"),
        ({b"": header(), b"w": entry(offset=-8)}, "at byte -8"),
        ({b"": header(), b"w": entry(dtype=99, size=-8)}, "has -8 bytes"),
        ({b"": header(), b"w": entry(size=4)}, "stores 4 bytes for a float32 tensor of shape"),
        ({b"": header(), b"w": entry(dtype=7, shape=(10**8,))}, "stores 8 bytes for a string tensor of shape"),
    ],
)
def test_contradictions_are_malformed(items, problem):
    """An index that cannot be true is refused."""
    with pytest.raises(MalformedArtifactError, match=problem):
        read(items)


def test_sizes_that_are_declared_are_bounded():
    """Tensors may declare no more than allowed, in all and against what is stored."""
    huge = {b"": header(), b"w": entry(shape=(2**20,), size=2**22)}
    with pytest.raises(LimitExceededError, match="max_weight_bytes"):
        read(huge, max_weight_bytes=2**21)
    shared = read({b"": header(), **{f"w{i:03}".encode(): entry() for i in range(200)}})
    with pytest.raises(LimitExceededError, match="max_expansion_ratio"):
        require_shards(shared, prefix="v", sizes={"v.data-00000-of-00001": 8}, where="m", limits=Limits())


@pytest.fixture(scope="module")
def sliced(tmp_path_factory):
    """The index of a tensor that TensorFlow wrote in slices, whose numbers take one byte and more."""
    import tensorflow as tf

    prefix = str(tmp_path_factory.mktemp("sliced") / "v")
    shapes = {"0,63:-": (63, 2), "63,65:0,1": (65, 1), "63,65:1,1": (65, 1), "128,9000:-": (9000, 2)}
    specs = [f"10000 2 {part}" for part in shapes]
    tensors = [tf.zeros(shape) for shape in shapes.values()]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["w\0w"] * 4, shape_and_slices=specs, tensors=tensors)
    with open(f"{prefix}.index", "rb") as file:
        return read_table(file.read(), where="v.index", limits=Limits())


def test_slices_have_what_they_cover(sliced):
    """Each slice has the dtype and the shape that its tensor says."""
    assert sorted(found.shape for found in read(sliced).slices) == [(63, 2), (65, 1), (65, 1), (9000, 2)]


def _of_integers(key, message):
    message.dtype = message.dtype if key == b"w\0w" else 3


def _smaller(key, message):
    if key != b"w\0w":
        message.shape.dim[0].size -= 1
        message.size = 4 * message.shape.dim[0].size * message.shape.dim[1].size


def _of_another_rank(key, message):
    if key == b"w\0w":
        message.slices[0].extent.add()


def _outside(key, message):
    if key == b"w\0w":
        message.slices[0].extent[0].length = 10001


def _elsewhere(key, message):
    if key == b"w\0w":
        message.slices[0].extent[0].start = 1


def _shifted(key, message):
    if key == b"w\0w":
        message.slices[0].extent[1].start = 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_of_integers, "one is no float32 of shape"),
        (_smaller, "one is no float32 of shape"),
        (_of_another_rank, "one has 3 of 2 axes"),
        (_outside, "10001 from 0 of 10000"),
        (_elsewhere, "one is missing"),
        (_shifted, "-1 from 1 of 2"),
    ],
)
def test_slices_that_are_others(sliced, change, problem):
    """TensorFlow would read beyond a smaller one, and end the process over another dtype."""
    changed = dict(sliced)
    for key, value in sliced.items():
        if key:
            message = message_class("BundleEntryProto").FromString(value)
            change(key, message)
            changed[key] = message.SerializeToString()
    with pytest.raises(MalformedArtifactError, match=rf"is not made of its slices: .*{problem}"):
        read(changed)


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ({}, "v.data-00000-of-00001 is missing; it holds 8 bytes of weights"),
        ({"v.data-00000-of-00001": 7}, "v.data-00000-of-00001 has 7 of 8 bytes"),
    ],
)
def test_data_files_must_be_whole(sizes, problem):
    """A missing or short data file is named with the bytes that it should have."""
    index = read({b"": header(), b"w": entry()})
    with pytest.raises(MalformedArtifactError, match=problem):
        require_shards(index, prefix="v", sizes=sizes, where="model", limits=Limits())


def test_tensors_of_unknown_dtype_count_what_is_stored():
    """A dtype of a later release is no reason to refuse the file."""
    index = read({b"": header(), b"w": entry(dtype=99)})
    assert [(d.dtype, d.nbytes) for d in index.weights().datasets] == [("unknown", 8)]
