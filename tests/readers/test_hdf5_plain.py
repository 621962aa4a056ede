"""Tests of plain HDF5 files, which libhdf5 does not read: what is said of them is what libhdf5 says."""

from __future__ import annotations

import io
import random
import struct

import h5py
import ml_dtypes
import numpy as np
import pytest
from keras_files import hdf5_bytes, model_h5

from safeload._limits import Limits
from safeload.errors import MalformedArtifactError
from safeload.formats import MemoryFile
from safeload.readers.hdf5 import plain
from safeload.readers.hdf5.file import Hdf5File
from safeload.readers.hdf5.plain import NOT_PLAIN, PlainWalk, Structures
from safeload.readers.hdf5.plain_text import PlainTexts
from safeload.readers.hdf5.structure import StructureWalk

LIMITS = Limits()
TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


def walked(content, **limits):
    """Return structure and texts of a plain file."""
    file = Structures(MemoryFile(content), offset=0, size=len(content))
    walk = PlainWalk(file, base=0, limits=Limits(**limits))
    return walk.run(), PlainTexts(file, walk.attributes)


def by_libhdf5(content):
    """Return what libhdf5 says the file consists of, and what reads its attributes."""
    file = Hdf5File(MemoryFile(content), where="m.h5")
    return StructureWalk(file.open_file, where="m.h5", size=len(content), base=0, limits=LIMITS).run(), file


def is_plain(content, **limits):
    try:
        walked(content, **limits)
    except NOT_PLAIN:
        return False
    return True


def arrays(file):
    for name in TYPES:
        file.create_dataset(f"g/{name}", data=np.ones((2, 3), name))
    file.create_dataset("scalar", data=np.float32(1))
    file.create_dataset("empty", data=np.ones((0, 3), "f4"))
    file.create_group("a/b/c/d")


def many(file):
    """Fill tables of several levels, and names of several pages."""
    for index in range(1200):
        file.create_dataset(f"{'x' * 20}{index}", data=np.ones(3, "f4"))


def layers(file, count=40):
    names = [f"layer_{index}" for index in range(count)]
    for name in names:
        file.create_dataset(f"{name}/inner/kernel", data=np.ones((3, 4), "f4"))
        file[name].attrs["weight_names"] = [b"inner/kernel"]
    file.attrs["layer_names"] = [name.encode() for name in names]
    file.attrs["model_config"] = "x" * 5000


@pytest.mark.parametrize("build", [arrays, many, layers, lambda file: None], ids=["arrays", "many", "layers", "empty"])
def test_plain_files(build):
    """Groups and arrays are those that libhdf5 finds."""
    content = hdf5_bytes(build)
    assert walked(content)[0] == by_libhdf5(content)[0]


def test_files_of_keras(monkeypatch):
    """Files that Keras writes are plain, in a zip too, wherever pages end; libhdf5 is not asked."""
    monkeypatch.setattr(plain, "_MAX_PAGES", 1)
    content = model_h5()
    monkeypatch.setattr(h5py, "File", None)
    file = Hdf5File(MemoryFile(b"zip" + content + b"tail"), where="m.h5", offset=3, size=len(content))
    found = file.structure(LIMITS)
    assert file.names("model_weights", "layer_names", max_bytes=99) == ["dense", "activation"]
    kernel = found.datasets["model_weights/dense/dense/kernel:0"]
    np.testing.assert_array_equal(file.read(kernel.path), np.arange(6, dtype="f4").reshape(2, 3))
    file.close()


def attribute(content, name="a", *, path="", max_bytes=1 << 20):
    return walked(content)[1].attribute(path, name, max_bytes=max_bytes)


@pytest.mark.parametrize(
    "value",
    ["tëxt", "", np.bytes_(b"text"), [b"a", b"bc"], ["ä", "b"], np.array([b"a", b"bcd"], "S3"), ["x" * 50] * 900, []],
    ids=["text", "nothing", "fixed", "bytes", "texts", "fixed list", "many", "none"],
)
def test_attributes(value):
    """Texts and lists of them are those that libhdf5 reads, whatever stands before them."""

    def build(file):
        file.attrs["before"] = 3
        file.attrs["a"] = value

    content = hdf5_bytes(build)
    assert attribute(content) == by_libhdf5(content)[1].attribute("", "a", max_bytes=1 << 20)
    assert attribute(content, "b") is None


@pytest.mark.parametrize(
    ("value", "max_bytes"),
    [
        (3, 99),
        (np.zeros((2, 2), "S1"), 99),
        (h5py.Empty("f4"), 99),
        (b"\xff\xfe", 99),
        (np.bytes_(b"a\0b"), 99),
        (np.bytes_(b"x" * 100), 99),
        ("x" * 100, 99),
        (["x" * 50] * 2, 99),
    ],
)
def test_attributes_that_are_not_plain(value, max_bytes):
    """Numbers, tables, what is no UTF-8 and what is too long are for libhdf5 to read or to refuse."""
    content = hdf5_bytes(lambda file: file.attrs.create("a", value))
    with pytest.raises(NOT_PLAIN):
        attribute(content, max_bytes=max_bytes)


def fixed_with_spaces(file):
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(4)
    kind.set_strpad(h5py.h5t.STR_SPACEPAD)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    h5py.h5a.create(file.id, b"a", kind, space)


def test_other_forms_of_texts():
    """Texts filled up with spaces are for libhdf5."""
    with pytest.raises(NOT_PLAIN):
        attribute(hdf5_bytes(fixed_with_spaces))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GCOL\1", b"GCOX\1"),
        (b"GCOL\1", b"GCOL\2"),
        (struct.pack("<H6xQ", 1, 2), struct.pack("<H6xQ", 2, 2)),
        (struct.pack("<H6xQ", 1, 2), struct.pack("<H6xQ", 1, 1)),
        (struct.pack("<H6xQ", 1, 2), struct.pack("<H6xQ", 1, 1 << 40)),
        (struct.pack("<BxHHH", 1, 2, 20, 8), struct.pack("<BxHHH", 3, 2, 20, 8)),
        (struct.pack("<BxHHH", 1, 2, 20, 8) + b"a\0", struct.pack("<BxHHH", 1, 2, 20, 8) + b"ab"),
    ],
    ids=["magic", "version", "twice", "length", "end", "attribute", "name"],
)
def test_broken_texts(old, new):
    """A heap or an attribute that contradicts itself is for libhdf5."""

    def build(file):
        file.attrs["a"] = "tx"
        file["g"] = np.zeros(1)
        file["g"].attrs["b"] = "ty"

    content = hdf5_bytes(build)
    assert attribute(content) == "tx"
    assert old in content
    with pytest.raises(NOT_PLAIN):
        attribute(content.replace(old, new))


def test_a_heap_that_is_full():
    """Objects may fill their heap to the end."""
    content = bytearray(hdf5_bytes(lambda file: file.attrs.create("a", "tx", dtype=h5py.string_dtype())))
    heap = content.index(b"GCOL")
    content[heap + 8 : heap + 16] = struct.pack("<Q", 16 + 24)
    assert attribute(bytes(content)) == "tx"


def one(**options):
    return lambda file: file.create_dataset("x", **options)


def linked(target):
    def build(file):
        file["x"] = file.create_group("y") if target is None else target

    return build


def external(file):
    file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (external, {}),
        (linked(h5py.SoftLink("/y")), {}),
        (linked(h5py.ExternalLink("m", "/")), {}),
        (linked(None), {}),
        (lambda file: file.__setitem__("root", file["/"]), {}),
        (lambda file: file.__setitem__("t", np.dtype("f4")), {}),
        (lambda file: file.create_group("ü"), {}),
        (one(data=np.ones(3), chunks=(3,)), {}),
        (one(data=np.ones(3, ">f4")), {}),
        (one(data=np.zeros(2, "V2").view(ml_dtypes.bfloat16)), {}),
        (one(data=np.array([b"ab"])), {}),
        (one(data=h5py.Empty("f4")), {}),
        (one(shape=(1000,), dtype="f4"), {}),
        (arrays, {"libver": "latest"}),
        (arrays, {"track_order": True}),
        (arrays, {"userblock_size": 512}),
    ],
)
def test_other_files(build, options):
    """What h5py does not write by default is for libhdf5 to describe or to refuse."""
    assert not is_plain(hdf5_bytes(build, **options))


def changed(old, new, build=layers):
    content = hdf5_bytes(build)
    assert old in content
    return content.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\x89HDF", b"\x88HDF"),
        (b"\xff" * 8 + bytes(8), b"\xfe" * 8 + bytes(8)),
        (b"HEAP\0", b"HEAQ\0"),
        (b"TREE\0", b"TREE\1"),
        (b"TREE\0\1", b"TREE\0\3"),
        (b"SNOD\1", b"SNOD\2"),
        (b"layer_1\0", b"layer_0\0"),
        (b"layer_1\0", b"layer/1\0"),
        (b"layer_1\0", b"\0ayer_1\0"),
        (b"layer_1\0", b".\0yer_1\0"),
        (b"layer_1\0", b"\xffayer_1\0"),
        (struct.pack("<BxHI", 1, 5, 1), struct.pack("<BxHI", 2, 5, 1)),
        (struct.pack("<BxHI", 1, 5, 1), struct.pack("<BxHI", 1, 6, 1)),
        (struct.pack("<HHB3xBBB", 1, 40, 0, 1, 2, 1), struct.pack("<HHB3xBBB", 1, 40, 2, 1, 2, 1)),
        (struct.pack("<HHB3xBBB", 1, 40, 0, 1, 2, 1), struct.pack("<HHB3xBBB", 1, 40, 0, 2, 2, 1)),
        (struct.pack("<HHB3xBBB", 1, 40, 0, 1, 2, 1), struct.pack("<HHB3xBBB", 1, 40, 0, 1, 2, 3)),
        (struct.pack("<HHB3xBBB", 1, 40, 0, 1, 2, 1), struct.pack("<HHB3xBBB", 3, 40, 0, 1, 2, 1)),
        (struct.pack("<HHB3xBBB", 1, 40, 0, 1, 2, 1), struct.pack("<HHB3xBBB", 99, 40, 0, 1, 2, 1)),
        (struct.pack("<HHB3xBBB", 1, 40, 0, 1, 2, 1), struct.pack("<HHB3xBBB", 1, 40000, 0, 1, 2, 1)),
    ],
)
def test_broken_files(old, new):
    """So is what contradicts itself."""
    assert is_plain(hdf5_bytes(many if b"TREE\0\1" in old else layers))
    assert not is_plain(changed(old, new, many if b"TREE\0\1" in old else layers))


def test_a_root_that_is_an_array():
    """The root is a group."""
    content = bytearray(hdf5_bytes(one(data=np.ones(3))))
    with h5py.File(io.BytesIO(content)) as file:
        content[64:72] = struct.pack("<Q", h5py.h5o.get_info(file["x"].id).addr)
    assert not is_plain(bytes(content))


@pytest.mark.parametrize(
    "limits",
    [
        {"max_entries": 120},
        {"max_weight_bytes": 40 * 48 - 1},
        {"max_nesting_depth": 1},
    ],
)
def test_limits(limits):
    """What exceeds a limit is for libhdf5 to name."""
    content = hdf5_bytes(layers)
    assert not is_plain(content, **{name: value - (name == "max_entries") for name, value in limits.items()})
    assert is_plain(content, **{name: value + (name != "max_entries") for name, value in limits.items()})


def test_arrays_over_one_another(monkeypatch):
    """The ratio of what is declared to the size of the file is bounded too."""
    monkeypatch.setattr(plain, "FREE_EXPANSION_BYTES", 100)
    assert is_plain(hdf5_bytes(arrays), max_expansion_ratio=0)
    assert not is_plain(hdf5_bytes(arrays), max_expansion_ratio=-1)


def test_structures_over_one_another(monkeypatch):
    """Looking has an end, whatever refers to what."""
    monkeypatch.setattr(plain, "_MAX_BYTES", 5000)
    assert not is_plain(hdf5_bytes(layers))


def test_altered_bytes():
    """Where both read an altered file, both say the same of its arrays."""
    content = hdf5_bytes(lambda file: layers(file, 4))
    chance = random.Random(3)
    plain_ones = 0
    for _ in range(200):
        altered = bytearray(content)
        altered[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            found, _ = walked(bytes(altered))
            plain_ones += 1
            assert found == by_libhdf5(bytes(altered))[0]
        except (*NOT_PLAIN, MalformedArtifactError, OSError, RuntimeError):
            pass
    assert plain_ones > 100
