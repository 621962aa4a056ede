"""Tests of the guard against indexes of HDF5 files that never end."""

from __future__ import annotations

import io
import re
import struct

import h5py
import numpy as np
import pytest
from keras_files import hdf5_bytes

from safeload._limits import Limits
from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import MemoryFile
from safeload.readers.hdf5 import plain, trees
from safeload.readers.hdf5.file import Hdf5File
from safeload.readers.hdf5.plain import NotPlainError, Structures
from safeload.readers.hdf5.stored_text import stored_references
from safeload.readers.hdf5.trees import Trees

GROUPS, CHUNKS = 0, 1
NODE = {GROUPS: 544, CHUNKS: 24 + 64 * 8 + 65 * 24}
PLAIN = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08" + bytes(81)
LATER = {
    "another size of addresses": PLAIN[:13] + b"\x04\x08" + PLAIN[15:],
    "another size of nodes": PLAIN[:8] + b"\1" + PLAIN[9:24] + b"\6\0" + PLAIN[26:],
    "an extension": PLAIN[:8] + b"\2\x08\x08" + PLAIN[11:],
    "no superblock": bytes(96),
}
USUAL = {
    "version 0": PLAIN,
    "version 1": PLAIN[:8] + b"\1" + PLAIN[9:24] + b"\x20\0" + PLAIN[26:],
    "version 2": PLAIN[:8] + b"\2\x08\x08" + PLAIN[11:20] + b"\xff" * 8 + PLAIN[28:],
    "user block": bytes(512) + PLAIN,
}


def node(kind, level, *children, size=None):
    """Encode a node of version 1 whose keys are all zero."""
    size = size or NODE[kind]
    key = 8 if kind == GROUPS else 24
    body = b"".join(bytes(key) + struct.pack("<Q", child) for child in children)
    return (struct.pack("<4sBBH16x", b"TREE", kind, level, len(children)) + body).ljust(size, b"\0")


def look(*nodes, superblock=PLAIN, start=None):
    """Look at the first of *nodes*, which follow one another behind the superblock."""
    content = superblock + b"".join(nodes)
    start = len(superblock) if start is None else start
    trees = Trees(MemoryFile(content), offset=0, size=len(content))
    trees.require_end(start, nodes[0])
    trees.require_end(start, nodes[0])


@pytest.mark.parametrize("superblock", USUAL.values(), ids=USUAL)
@pytest.mark.parametrize("kind", [GROUPS, CHUNKS])
def test_trees_with_an_end(kind, superblock):
    """Each node once, each level below the one before."""
    first = 96 + NODE[kind]
    look(
        node(kind, 2, first, first + NODE[kind]),
        node(kind, 1, first + 2 * NODE[kind]),
        node(kind, 1, first + 3 * NODE[kind]),
        node(kind, 0),
        node(kind, 0),
        superblock=superblock,
    )


def hashed(kind=5, size=512, record=11, depth=0, count=40):
    """Encode the header of a tree of version 2."""
    return struct.pack("<4sBBIHHBBQHQ", b"BTHD", 0, kind, size, record, depth, 100, 40, 96, count, count) + bytes(4)


def heap(length=7, filters=0, start=512, bits=32, rows=0):
    """Encode the header of a heap of links, or of attributes."""
    first = struct.pack("<4sBHHBI", b"FRHP", 0, length, filters, 2, 4096)
    return first + bytes(96) + struct.pack("<HQQHHQH", 4, start, 65536, bits, 1, 96, rows) + bytes(4)


def array(magic, *growth, count=1):
    """Encode the header of an array of chunks."""
    return (magic + bytes([0, 0, 8, *growth])).ljust(44 if magic == b"EAHD" else 8, b"\0") + struct.pack(
        "<3Q", count, 0, 0
    )


def names(*free, first=8, size=88):
    """Encode a heap of names behind the superblock, with parts that say where the next free one begins."""
    parts = b"".join(struct.pack("<QQ", part, 16) for part in free)
    return struct.pack("<4sB3x3Q", b"HEAP", 0, size, first, 96 + 32) + bytes(8) + parts


GROWTH = {b"EAHD": (32, 4, 16, 4, 10), b"FAHD": (10,)}

ENDLESS = {
    "itself": [node(GROUPS, 1, 96)],
    "one node twice": [node(CHUNKS, 1, *[96 + NODE[CHUNKS]] * 2), node(CHUNKS, 0)],
    "one level": [node(CHUNKS, 1, 96 + NODE[CHUNKS]), node(CHUNKS, 1)],
    "another kind": [node(GROUPS, 1, 96 + NODE[GROUPS]), node(CHUNKS, 0)],
    "nothing": [node(GROUPS, 1, 1 << 40)],
    "odd keys": [node(CHUNKS, 1, 96, size=2100)],
    "deep": [hashed(depth=7)],
    "deeper": [hashed(kind=10, size=2048, record=16, depth=65535)],
    "large nodes": [hashed(size=1 << 31)],
    "records of no bytes": [hashed(kind=10, size=2048, record=0)],
    "records of other bytes": [hashed(record=10)],
    "more records than a node has": [hashed(count=46)],
    "another kind of records": [hashed(kind=2, record=36)],
    "very many chunks": [array(b"EAHD", *GROWTH[b"EAHD"], count=1 << 50)],
    "chunks that grow otherwise": [array(b"EAHD", 32, 4, 0, 4, 10)],
    "compressed links": [heap(filters=20)],
    "links of other lengths": [heap(length=8)],
    "links in blocks of no bytes": [heap(start=0)],
    "more rows of links than there are": [heap(rows=23)],
    "very many chunks of a known number": [array(b"FAHD", 10, count=1 << 50)],
    "chunks of a known number that grow otherwise": [array(b"FAHD", 0)],
    "free space that leads to itself": [names(8)],
    "free space that leads back": [names(24, 8)],
    "free space outside of the heap": [names(88)],
}


@pytest.mark.parametrize(
    "header",
    [
        hashed(),
        hashed(count=45),
        hashed(kind=10, size=2048, record=24, depth=1),
        names(first=1),
        names(24, 40, 1),
        heap(rows=22),
        heap(8, start=1024, bits=40, rows=29),
        *(array(magic, *growth) for magic, growth in GROWTH.items()),
    ],
)
def test_headers_of_indexes(header):
    """What libhdf5 writes is handed on."""
    look(header)


@pytest.mark.parametrize("nodes", ENDLESS.values(), ids=ENDLESS)
def test_indexes_without_an_end(nodes):
    """What would be followed for ever, or nearly so, is an error of reading."""
    with pytest.raises(OSError, match="does not end"):
        look(*nodes)


@pytest.mark.parametrize("superblock", LATER.values(), ids=LATER)
def test_trees_of_other_sizes(superblock):
    """Where it is not sure how large a node is, trees have one level."""
    look(node(GROUPS, 0), superblock=superblock)
    with pytest.raises(OSError, match="does not end"):
        look(node(GROUPS, 1, 96 + NODE[GROUPS]), node(GROUPS, 0), superblock=superblock)


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_ordinary_indexes(version):
    """Many chunks and many groups are found, whichever version of the format."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=version) as file:
        for name, shape in (("a", (None,)), ("b", (None, None)), ("c", (300, 3))):
            sizes = (300, 3)[: len(shape)]
            file.create_dataset(name, data=np.zeros(sizes), maxshape=shape, chunks=(1, 1)[: len(shape)])
        for number in range(300):
            file.create_group(f"g/{number}").attrs["a"] = number
    handle = Hdf5File(MemoryFile(buffer.getvalue()), where="m.h5")
    assert len(handle.structure(Limits()).groups) == 302


def test_chunks_that_lead_to_themselves():
    """A file in which libhdf5 would overflow its stack is broken."""
    content = bytearray(hdf5_bytes(lambda file: file.create_dataset("a", data=np.zeros(300), chunks=(1,))))
    root = content.index(b"TREE\1\1")
    struct.pack_into("<Q", content, root + 24 + 24, root)
    with pytest.raises(MalformedArtifactError, match="does not end"):
        Hdf5File(MemoryFile(bytes(content)), where="m.h5").structure(Limits())


def test_free_space(monkeypatch):
    """Each part takes memory."""
    monkeypatch.setattr(trees, "_MOST_FREE", 2)
    look(names(24, 1))
    with pytest.raises(OSError, match="does not end"):
        look(names(24, 40, 1))


def test_links_that_cannot_be_read():
    """Of links that follow a broken one, libhdf5 would free what it never made."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        for number in range(40):
            file.create_group(f"g/group{number}")
    content = bytearray(buffer.getvalue())
    content[content.index(b"group30")] ^= 0xFF
    with pytest.raises(MalformedArtifactError, match="broken HDF5 structure"):
        Hdf5File(MemoryFile(bytes(content)), where="m.h5").structure(Limits())


@pytest.mark.parametrize("name", [b"aa", b"a/"])
def test_names_of_links(name):
    """Judging and reading would find different things under one name, or under one that is a path."""
    content = hdf5_bytes(lambda file: [file.create_dataset(other, data=np.ones(3)) for other in ("aa", "ab")])
    assert content.count(b"ab\0") == 1
    with pytest.raises(MalformedArtifactError, match="has several things of one name, or a name that is a path"):
        Hdf5File(MemoryFile(content.replace(b"ab\0", name + b"\0")), where="m.h5").structure(Limits())


def test_groups_without_arrays(monkeypatch):
    """Groups are for arrays: very many without any take libhdf5 seconds."""

    def fill(file):
        file["a/b/c/d"] = np.zeros(3)
        for number in range(40):
            file.create_group(f"g{number}")

    content = hdf5_bytes(fill)
    monkeypatch.setattr(plain, "MAX_EMPTY_GROUPS", 45)
    assert len(Hdf5File(MemoryFile(content), where="m.h5").structure(Limits()).groups) == 44
    monkeypatch.setattr(plain, "MAX_EMPTY_GROUPS", 10)
    with pytest.raises(LimitExceededError, match="MAX_EMPTY_GROUPS"):
        Hdf5File(MemoryFile(content), where="m.h5").structure(Limits())


def with_texts(texts, change=None, **options):
    """Make a file with a list of texts and a long one, and with what is not plain."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        file.create_dataset("x", data=np.zeros(4), chunks=(1,))
        group = file.create_group("g", track_order="libver" in options)
        group.attrs.create("long", "x" * 1_234_567, dtype=h5py.string_dtype())
        group.attrs.create("many", texts, dtype=h5py.string_dtype())
        for number in range(3):
            group.attrs[f"{number}"] = "y" * 2000
    content = buffer.getvalue()
    handle = Hdf5File(MemoryFile(change(content) if change else content), where="m.h5")
    handle.structure(Limits())
    return handle


OPTIONS = {"default": {}, "user block": {"userblock_size": 512}, "latest": {"libver": "latest"}}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_texts_of_variable_length(options):
    """They are read in the bytes of the file, whichever version of headers it has."""
    handle = with_texts(["a", "", "grün"], **options)
    assert handle.attribute("g", "many", max_bytes=1 << 24) == ["a", "", "grün"]
    assert handle.attribute("g", "long", max_bytes=1 << 24) == "x" * 1_234_567
    with pytest.raises(LimitExceededError, match="max_config_bytes"):
        handle.attribute("g", "long", max_bytes=1_234_566)


def test_texts_that_are_stored_apart():
    """Attributes that do not fit the header of their object are none that Keras writes."""
    with pytest.raises(MalformedArtifactError, match="'many' is broken"):
        with_texts(["a"] * 9000, libver="latest").attribute("g", "many", max_bytes=1 << 24)


def referring(length=None):
    """Return a change that lets every short text be the long one, of *length*."""

    def change(content):
        changed = bytearray(content)
        at = content.index(struct.pack("<I", 1_234_567))
        short = re.search(rb"(?:\x05\x00{3}.{12}){2000}", content, re.DOTALL)
        number = content[at : at + 4] if length is None else struct.pack("<I", length)
        changed[slice(*short.span())] = (number + content[at + 4 : at + 16]) * 2000
        return bytes(changed)

    return change


@pytest.mark.parametrize(
    ("length", "error", "problem"),
    [
        (None, LimitExceededError, "2,469,134,000 exceeds max_config_bytes"),
        (5, MalformedArtifactError, "not of the length"),
        ((1 << 32) - 1, LimitExceededError, "max_config_bytes"),
    ],
)
def test_texts_that_are_one_object(length, error, problem):
    """Every text of a list may refer to one long text, or declare another length: libhdf5 would allocate them all."""
    handle = with_texts(["yyyyy"] * 2000, referring(length))
    with pytest.raises(error, match=problem):
        handle.attribute("g", "many", max_bytes=1 << 26)


def test_texts_where_addresses_are_of_another_size():
    """Where it is not sure what a reference is, none is followed."""
    handle = with_texts(["a"])
    handle._window._trees.base = None
    with pytest.raises(MalformedArtifactError, match="superblock"):
        handle.attribute("g", "many", max_bytes=1 << 26)


def test_headers_of_no_known_version():
    """A header is of the first version or a later one."""
    with pytest.raises(NotPlainError, match="no known version"):
        stored_references(Structures(MemoryFile(b"\7" * 64), offset=0, size=64), 0, "a", 1)
