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
from safeload.errors import MalformedArtifactError
from safeload.formats import MemoryFile
from safeload.readers.hdf5.file import Hdf5File
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


ENDLESS = {
    "itself": [node(GROUPS, 1, 96)],
    "one node twice": [node(CHUNKS, 1, *[96 + NODE[CHUNKS]] * 2), node(CHUNKS, 0)],
    "one level": [node(CHUNKS, 1, 96 + NODE[CHUNKS]), node(CHUNKS, 1)],
    "another kind": [node(GROUPS, 1, 96 + NODE[GROUPS]), node(CHUNKS, 0)],
    "nothing": [node(GROUPS, 1, 1 << 40)],
    "odd keys": [node(CHUNKS, 1, 96, size=2100)],
    "deep": [struct.pack("<4sBBIHH", b"BTHD", 0, 1, 2048, 11, 3) + bytes(22)],
    "deeper": [struct.pack("<4sBBIHH", b"BTHD", 0, 1, 1 << 31, 11, 65535) + bytes(22)],
    "very many chunks": [b"EAHD" + bytes(40) + struct.pack("<Q", 1 << 50) + bytes(20)],
    "very many chunks of a known number": [b"FAHD" + bytes(4) + struct.pack("<Q", 1 << 50) + bytes(12)],
}


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


def test_texts_that_are_one_object():
    """Every text of a list may refer to one long text: it is not copied for each."""
    long = 1_234_567
    content = bytearray(
        hdf5_bytes(
            lambda file: (
                file.attrs.create("long", "x" * long, dtype=h5py.string_dtype()),
                file.attrs.create("many", ["yyyyy"] * 2000, dtype=h5py.string_dtype()),
            )
        )
    )
    at = content.index(struct.pack("<I", long))
    short = re.search(rb"(?:\x05\x00{3}.{12}){2000}", content, re.DOTALL)
    content[slice(*short.span())] = content[at : at + 16] * 2000
    handle = Hdf5File(MemoryFile(bytes(content)), where="m.h5")
    with pytest.raises(MalformedArtifactError, match="2,000 texts"):
        handle.attribute("", "many", max_bytes=1 << 26)
    assert handle.attribute("", "long", max_bytes=1 << 26) == "x" * long
    with pytest.raises(MalformedArtifactError, match="2,000 texts"):
        handle.attribute("", "many", max_bytes=1 << 26)
