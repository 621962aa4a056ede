"""Tests of HDF5: what a file may consist of, and reading it through what is open."""

from __future__ import annotations

import io
import struct
import zlib

import h5py
import ml_dtypes
import numpy as np
import pytest
from keras_files import hdf5_bytes

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import MemoryFile
from safeload.readers.hdf5.file import Hdf5File
from safeload.readers.hdf5.structure import StructureWalk


@pytest.fixture(autouse=True, params=["plain", "by libhdf5"])
def reading(request, monkeypatch):
    """Plain files are read without libhdf5 and with it."""
    if request.param == "by libhdf5":
        monkeypatch.setattr(Hdf5File, "_plain_structure", lambda file, limits: None)


def opened(content, **options):
    return Hdf5File(MemoryFile(content), where="m.h5", **options)


def structure(content, **limits):
    return opened(content).structure(Limits(**limits))


ARRAYS = {
    "f2": np.ones(3, "f2"),
    "f4": np.arange(6, dtype="f4").reshape(2, 3),
    "f8": np.ones((), "f8"),
    "u1": np.ones(3, "u1"),
    "i8": np.ones(3, "i8"),
    "bool": np.array([True, False]),
    "c8": np.ones(3, "c8"),
    "empty": np.ones((0, 4), "f4"),
    "big": np.arange(3, dtype=">f4"),
    "bytes": np.array([b"a", b"bc"]),
}


def test_datasets():
    """Arrays of every dtype of weights are described and read, in one piece where they lie in one piece."""

    def build(file):
        for name, value in ARRAYS.items():
            file.create_dataset(f"g/{name}", data=value)

    content = hdf5_bytes(build)
    handle = opened(content)
    found = handle.structure(Limits())
    assert found is handle.structure(Limits())
    assert list(found.groups) == ["", "g"]
    assert found.other == {}
    for name, value in ARRAYS.items():
        info = found.datasets[f"g/{name}"]
        assert (info.shape, info.nbytes) == (value.shape, value.nbytes)
        assert info.dtype == ("string" if value.dtype.kind == "S" else value.dtype.name)
        np.testing.assert_array_equal(handle.read(info.path), value)
        assert (info.offset is None) == (name in ("empty", "big", "bytes"))
        if info.offset is not None:
            assert content[info.offset : info.offset + info.nbytes] == value.tobytes()
            buffer = bytearray(info.nbytes)
            handle.read_into(info.path, buffer)
            assert bytes(buffer) == value.tobytes()


@pytest.mark.parametrize("chunks", [None, True])
def test_bfloat16(chunks):
    """Two opaque bytes are bfloat16, as h5py and Keras 3 store it."""
    value = np.arange(4).astype(ml_dtypes.bfloat16)
    handle = opened(hdf5_bytes(lambda file: file.create_dataset("x", data=value, chunks=chunks)))
    assert handle.structure(Limits()).datasets["x"].dtype == "bfloat16"
    assert handle.read("x").dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(handle.read("x"), value)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"compression": "lzf", "shuffle": True},
        {"fletcher32": True},
        {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": (30,)},
        {"compression": "lzf", "fletcher32": True, "chunks": (30,), "maxshape": (None,)},
    ],
)
@pytest.mark.parametrize("last", [0, 99])
def test_builtin_filters(options, last):
    """Filters that h5py offers are read by libhdf5, in chunks that became smaller or did not, with one at the edge."""
    value = np.arange(100, dtype="f4")
    value[:last] = 7
    handle = opened(hdf5_bytes(lambda file: file.create_dataset("x", data=value, **options)))
    assert handle.structure(Limits()).datasets["x"].offset is None
    np.testing.assert_array_equal(handle.read("x"), value)
    with pytest.raises(ValueError, match="one piece"):
        handle.read_into("x", bytearray(400))


def test_user_block_and_window():
    """Offsets count from the beginning of the file on disk, whatever lies before."""
    value = np.arange(3, dtype="f4")
    content = hdf5_bytes(lambda file: file.create_dataset("x", data=value), userblock_size=512)
    inside = b"z" * 100 + content + b"tail"
    handle = opened(inside, offset=100, size=len(content))
    offset = handle.structure(Limits()).datasets["x"].offset
    assert inside[offset : offset + 12] == value.tobytes()
    np.testing.assert_array_equal(handle.read("x"), value)
    in_memory = opened(content, is_on_disk=False)
    assert in_memory.structure(Limits()).datasets["x"].offset is None
    np.testing.assert_array_equal(in_memory.read("x"), value)


def test_before_the_structure_is_known():
    """Reading without looking first goes through libhdf5."""
    handle = opened(hdf5_bytes(lambda file: file.create_dataset("x", data=[1.0])))
    assert handle.read("x") == [1.0]
    with pytest.raises(ValueError, match="one piece"):
        handle.read_into("x", bytearray(8))


def external(file):
    file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("x", layout)


def soft_link(file):
    file["x"] = h5py.SoftLink("/y")


def external_link(file):
    file["g/x"] = h5py.ExternalLink("/etc/passwd", "/")


def cycle(file):
    group = file.create_group("a")
    group["again"] = group


def cycle_of_the_root(file):
    file["root"] = file["/"]


def two_places(file):
    file["b"] = file.create_group("a")


def unwritten(file):
    file.create_dataset("x", (1000, 1000), "f4")


def filtered(*numbers):
    def build(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        for number in numbers:
            plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), plist)

    return build


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (external, "another file"),
        (virtual, "virtual dataset"),
        (soft_link, "symbolic link"),
        (external_link, "m.h5/g/x: is a link to another file"),
        (cycle, "several places"),
        (cycle_of_the_root, "several places"),
        (two_places, "several places"),
        (unwritten, "declares 4,000,000 bytes and stores none"),
        (filtered(32001), r"a plug-in \(number 32001\)"),
        (filtered(h5py.h5z.FILTER_SZIP), "not read: szip"),
        (filtered(h5py.h5z.FILTER_NBIT), "not read: nbit"),
        (filtered(h5py.h5z.FILTER_SCALEOFFSET), "not read: scaleoffset"),
        (filtered(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_DEFLATE), "compressed twice"),
        (filtered(h5py.h5z.FILTER_LZF, h5py.h5z.FILTER_DEFLATE), "compressed twice"),
        (filtered(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE), "order of filters"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_what_no_keras_writes(build, problem):
    """Data that lies elsewhere, cycles, plug-ins and declared nothing are broken files."""
    with pytest.raises(MalformedArtifactError, match=problem):
        structure(hdf5_bytes(build))


def varying(file):
    file.create_dataset("x", (2,), h5py.vlen_dtype("f4"))[0] = [1, 2]


def references(file):
    file.create_dataset("x", data=np.array([file.ref], h5py.ref_dtype), dtype=h5py.ref_dtype)


def array_type(file):
    kind = h5py.h5t.array_create(h5py.h5t.IEEE_F32LE, (2,))
    dataset = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,)))
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones((3, 2), "f4"), kind)


def of(value, dtype=None):
    return lambda file: file.create_dataset("x", data=value, dtype=dtype)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (of("text", h5py.string_dtype()), "text of variable length"),
        (of(np.array(["a"], object), h5py.string_dtype()), "text of variable length"),
        (varying, "lists of variable length"),
        (of(np.zeros(2, [("a", "f4"), ("b", "i4")])), "a compound type"),
        (of(np.zeros(2, "V5")), "opaque bytes"),
        (references, "references to other objects"),
        (array_type, "an array type"),
        (of(np.zeros(2, "longdouble")), "floats of an unusual size"),
        (of(h5py.Empty("f4")), "nothing"),
    ],
)
def test_other_types(build, words):
    """Types that no weight has are kept apart, in words."""
    found = structure(hdf5_bytes(build))
    assert (dict(found.datasets), dict(found.other)) == ({}, {"x": words})


def test_enumerations_are_numbers():
    """An enumeration is read as the integers that it stores."""
    content = hdf5_bytes(of(np.ones(2, "i4"), h5py.enum_dtype({"A": 1}, basetype="i4")))
    handle = opened(content)
    assert handle.structure(Limits()).datasets["x"].dtype == "int32"
    np.testing.assert_array_equal(handle.read("x"), [1, 1])


def test_named_types_are_ignored():
    """A committed datatype holds no data."""
    found = structure(hdf5_bytes(lambda file: file.__setitem__("t", np.dtype("f4"))))
    assert (dict(found.datasets), dict(found.other)) == ({}, {})


def many(file):
    for index in range(20):
        file.create_dataset(f"x{index}", data=np.ones(100, "f4"))


def bomb(file):
    file.create_dataset("x", (30 << 20,), "f4", chunks=(1 << 20,), compression="gzip")[:1] = 1


def wide_chunk(file):
    file.create_dataset("x", (1,), "f4", maxshape=(None,), chunks=(1 << 27,), compression="gzip")
    file["x"].id.write_direct_chunk((0,), b"x")


@pytest.mark.parametrize(
    ("build", "limits", "name"),
    [
        (many, {"max_entries": 10}, "max_entries"),
        (many, {"max_weight_bytes": 7999}, "max_weight_bytes"),
        (lambda file: file.create_group("a/b/c/d"), {"max_nesting_depth": 3}, "max_nesting_depth"),
        (bomb, {}, "max_expansion_ratio"),
        (wide_chunk, {}, "max_expansion_ratio"),
    ],
)
def test_limits(build, limits, name):
    """Objects, levels, declared bytes and their ratio to the file are bounded."""
    with pytest.raises(LimitExceededError, match=name):
        structure(hdf5_bytes(build), **limits)


def test_zeros_compress_well():
    """A small array of zeros may compress a thousandfold."""
    assert structure(
        hdf5_bytes(lambda file: file.create_dataset("x", data=np.zeros(1 << 20, "f4"), compression="gzip"))
    ).datasets


@pytest.mark.parametrize("size", [8, 40, 100, 1000])
def test_truncated(size):
    """A file that ends too early is broken."""
    content = hdf5_bytes(many)
    problem = "truncated: it has 1,000 of" if size == 1000 else "HDF5"
    with pytest.raises(MalformedArtifactError, match=problem):
        opened(content[:size]).structure(Limits())


def test_array_beyond_the_end():
    """So is one whose arrays are said to lie where nothing is."""
    content = hdf5_bytes(lambda file: file.create_dataset("x", data=np.ones(1000)))
    offset = opened(content).structure(Limits()).datasets["x"].offset
    moved = content.replace(struct.pack("<Q", offset), struct.pack("<Q", offset + 4000))
    assert moved != content
    with pytest.raises(MalformedArtifactError, match="beyond the end|broken"):
        opened(moved).structure(Limits())


def test_file_that_shrinks():
    """A file that was cut after it was judged is found when it is read."""

    class Shrunk(MemoryFile):
        is_short = False

        def read_into(self, offset, buffer):
            return 0 if self.is_short else super().read_into(offset, buffer)

    file = Shrunk(hdf5_bytes(lambda f: f.create_dataset("x", data=np.ones(10))))
    handle = Hdf5File(file, where="m.h5")
    handle.structure(Limits())
    file.is_short = True
    with pytest.raises(MalformedArtifactError, match="truncated"):
        handle.read("x")


def test_broken_chunk():
    """A chunk that does not decompress is found when it is read."""

    def build(file):
        file.create_dataset("x", (64,), "f4", chunks=(64,), compression="gzip")
        file["x"].id.write_direct_chunk((0,), b"no gzip")

    handle = opened(hdf5_bytes(build))
    handle.structure(Limits())
    with pytest.raises(MalformedArtifactError, match="m.h5/x: cannot be read"):
        handle.read("x")


def lzf(*, copies):
    """Encode a literal and copies of 264 bytes: code, length less nine, distance less one."""
    return b"\0\1" + b"\xe0\xff\0" * copies


@pytest.mark.parametrize(
    ("options", "stored", "problem"),
    [
        ({"compression": "gzip"}, zlib.compress(bytes(1 << 20)), "a chunk of 256 bytes holds more"),
        ({"compression": "gzip"}, zlib.compress(bytes(255)), "a chunk of 256 bytes holds 255"),
        ({"compression": "lzf"}, lzf(copies=1000), "a chunk of 256 bytes holds more"),
        ({"compression": "lzf"}, b"\0\1\x40\0", "a chunk of 256 bytes holds 5"),
        ({"fletcher32": True}, bytes(2), "a chunk of 256 bytes holds 0"),
        ({"shuffle": True}, bytes(300), "a chunk of 256 bytes holds more"),
    ],
)
def test_chunks_of_another_size(options, stored, problem):
    """A chunk that would become larger or smaller than its dataset says is not left to libhdf5."""

    def build(file):
        file.create_dataset("x", (64,), "f4", chunks=(64,), **options)
        file["x"].id.write_direct_chunk((0,), stored)

    handle = opened(hdf5_bytes(build))
    handle.structure(Limits())
    with pytest.raises(MalformedArtifactError, match=f"m.h5/x: cannot be read: {problem}"):
        handle.read("x")


def test_chunks_that_are_not_read():
    """Nobody asks for chunks outside of a dataset."""

    def build(file):
        file.create_dataset("x", (12,), "f4", chunks=(4,), maxshape=(None,), compression="gzip")[:8] = 1
        file["x"].id.write_direct_chunk((8,), b"no gzip")

    unlimited = (1 << 64) - 1
    content = hdf5_bytes(build)
    shorter = content.replace(struct.pack("<QQ", 12, unlimited), struct.pack("<QQ", 8, unlimited))
    assert shorter != content
    np.testing.assert_array_equal(opened(shorter).read("x"), [1] * 8)


def test_a_chunk_that_is_not_stored():
    """Where a file says never to fill, libhdf5 leaves what memory held, of this process, for values of weights."""

    def build(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((4,))
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((10,))
        h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, creation))[:8] = 1

    with pytest.raises(MalformedArtifactError, match="m.h5/x: cannot be read: a chunk is not stored"):
        opened(hdf5_bytes(build)).read("x")


def test_short_chunk():
    """Of a chunk without filters libhdf5 would read what is stored, and take the rest from wherever."""
    content = hdf5_bytes(lambda file: file.create_dataset("x", data=np.ones(64, "f4"), chunks=(32,)))
    np.testing.assert_array_equal(opened(content).read("x"), 1)
    key = struct.pack("<IIQQ", 128, 0, 32, 0)
    assert content.count(key) == 1
    with pytest.raises(MalformedArtifactError, match="m.h5/x: cannot be read: a chunk of 128 bytes is"):
        opened(content.replace(key, struct.pack("<I", 64) + key[4:])).read("x")


def test_text_of_an_unknown_encoding():
    """The type of an array is read with the array, and may be one that h5py does not know."""
    content = bytearray(hdf5_bytes(lambda file: file.create_dataset("x", data=np.array([b"abc"]))))
    place = content.index(struct.pack("<4BI", 0x13, 1, 0, 0, 3))  # IV.A.2.d: text, padded by zeros, of ASCII
    content[place + 1] = 0x21
    with pytest.raises(MalformedArtifactError, match="Unknown string encoding"):
        opened(bytes(content)).read("x")


def test_a_chunk_that_is_nowhere():
    """A chunk that is listed without a place is not stored."""
    content = bytearray(hdf5_bytes(lambda file: file.create_dataset("x", data=np.ones(64, "f4"), chunks=(32,))))
    struct.pack_into("<Q", content, content.index(b"TREE\1\0") + 48, (1 << 64) - 1)
    with pytest.raises(MalformedArtifactError, match="m.h5/x: cannot be read: a chunk is listed and not stored"):
        opened(bytes(content)).read("x")


def test_a_chunk_that_is_listed_twice():
    """Which of the two libhdf5 reads is not known, nor how large that one is."""
    content = hdf5_bytes(lambda file: file.create_dataset("x", data=np.ones(64, "f4"), chunks=(32,)))
    second, first = (struct.pack("<IIQQ", 128, 0, start, 0) for start in (32, 0))
    assert content.count(second) == 1
    with pytest.raises(MalformedArtifactError, match="m.h5/x: cannot be read: a chunk is listed twice"):
        opened(content.replace(second, first)).read("x")


def test_chunk_beyond_the_end():
    """A chunk is not read that is said to be longer than the file."""
    content = hdf5_bytes(lambda file: file.create_dataset("x", data=np.ones(64), chunks=(64,), compression="gzip"))
    with h5py.File(io.BytesIO(content)) as file:
        size = file["x"].id.get_chunk_info(0).size
    key = struct.pack("<IIQQ", size, 0, 0, 0)
    assert content.count(key) == 1
    with pytest.raises(MalformedArtifactError, match="m.h5/x: cannot be read: the file ends inside a chunk"):
        opened(content.replace(key, struct.pack("<I", 1 << 31) + key[4:])).read("x")


def test_fuzzed_headers():
    """Any altered byte gives a structure or one of two errors."""
    content = hdf5_bytes(many)
    for position in range(0, min(len(content), 6000), 37):
        altered = bytearray(content)
        altered[position] ^= 0xFF
        try:
            opened(bytes(altered)).structure(Limits())
        except (MalformedArtifactError, LimitExceededError):
            pass


def test_closed():
    """Reading after closing raises, closing twice does not."""
    handle = opened(hdf5_bytes(many))
    handle.structure(Limits())
    handle.close()
    handle.close()
    for read in (lambda: handle.read("x0"), lambda: handle.read_into("x0", bytearray(4)), lambda: handle.open_file):
        with pytest.raises(ValueError, match="closed"):
            read()


def attribute(value, dtype=None, max_bytes=1000):
    content = hdf5_bytes(lambda file: file.attrs.create("a", value, dtype=dtype))
    return opened(content).attribute("", "a", max_bytes=max_bytes)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ("tëxt", None, "tëxt"),
        ("tëxt".encode(), None, "tëxt"),
        (np.bytes_(b"text"), "S10", "text"),
        ([b"a", b"bc"], "S2", ["a", "bc"]),
        (["ä", "b"], h5py.string_dtype(), ["ä", "b"]),
        ([], "S1", []),
    ],
)
def test_attributes(value, dtype, expected):
    """Texts are read in every form in which h5py has written them."""
    assert attribute(value, dtype) == expected


@pytest.mark.parametrize(
    ("value", "dtype", "why"),
    [
        (b"\xff\xfe", "S2", "can't decode"),
        (b"\xff\xfe", h5py.string_dtype(), "can't decode"),
        (h5py.Empty("f4"), None, "it is empty"),
    ],
)
def test_broken_attributes(value, dtype, why):
    """What is not UTF-8, or nothing at all, is broken."""
    with pytest.raises(MalformedArtifactError, match=f"attribute 'a' is broken: .*{why}"):
        attribute(value, dtype)


def test_files_with_another_file_space(tmp_path):
    """A file that is laid out in pages is intact; what rewrites it is said."""
    with h5py.File(tmp_path / "m.h5", "w", fs_strategy="page") as file:
        file.attrs["a"] = "text"
    content = (tmp_path / "m.h5").read_bytes()
    with pytest.raises(MalformedArtifactError, match="'a' cannot be read: the superblock") as caught:
        opened(content).attribute("", "a", max_bytes=99)
    assert "h5repack" in caught.value.hint


@pytest.mark.parametrize("value", [3, True, [1.0, 2.0]])
def test_attributes_of_another_type(value):
    """Attributes that hold no text are not read at all: libhdf5 crashes on some broken types."""
    with pytest.raises(MalformedArtifactError, match="attribute 'a' is broken.*does not hold text"):
        attribute(value)


@pytest.mark.parametrize("value", [np.bytes_(b"x" * 100), b"x" * 100, "x" * 100, [b"x" * 50] * 2])
def test_long_attributes(value):
    """Attributes are bounded, by what they declare and by what they are."""
    with pytest.raises(LimitExceededError, match="max_config_bytes"):
        attribute(value, max_bytes=99)


def test_absent_attributes():
    """An attribute that is not there is None, as text and as a list of names."""
    handle = opened(hdf5_bytes(many))
    assert handle.attribute("", "a", max_bytes=9) is None
    assert handle.names("", "a", max_bytes=9) is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"a": [b"x", b"y"]}, ["x", "y"]),
        ({"a": "x"}, ["x"]),
        ({"a0": [b"x"], "a1": [b"y", b"z"], "a3": [b"w"]}, ["x", "y", "z"]),
        ({"a0": "x"}, ["x"]),
    ],
)
def test_names(attributes, expected):
    """Long lists of names are split over numbered attributes."""
    assert opened(hdf5_bytes(lambda file: file.attrs.update(attributes))).names("", "a", max_bytes=99) == expected


def test_array_beyond_the_size():
    """The walk itself knows where the file ends."""
    handle = opened(hdf5_bytes(lambda file: file.create_dataset("x", data=np.ones(10))))
    with pytest.raises(MalformedArtifactError, match="beyond the end"):
        StructureWalk(handle.open_file, where="m.h5", size=100, base=0, limits=Limits()).run()


def test_tables_of_text_are_no_names():
    """A list of lists of texts is what no Keras writes as an attribute."""
    handle = opened(hdf5_bytes(lambda file: file.attrs.create("layer_names", [[b"a"], [b"b"]])))
    with pytest.raises(MalformedArtifactError, match="table"):
        handle.names("", "layer_names", max_bytes=100)
