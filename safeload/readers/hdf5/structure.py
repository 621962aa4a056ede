"""What an HDF5 file consists of, by its links and headers alone. Layer: readers; imports h5py, as ``hdf5`` does.

Source: HDF5 File Format Specification 3.0; h5py 3.14 low-level API.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from h5py import h5, h5d, h5g, h5l, h5o, h5s, h5t

from safeload.errors import MalformedArtifactError, require_within
from safeload.formats import FREE_EXPANSION_BYTES
from safeload.readers._artifact import DatasetInfo
from safeload.readers.hdf5 import plain
from safeload.readers.hdf5.chunks import DEFLATE, FLETCHER32, LZF, SHUFFLE
from safeload.readers.hdf5.plain import Hdf5Structure

if TYPE_CHECKING:
    import h5py

    from safeload._limits import Limits

_ORDER = {SHUFFLE: 0, DEFLATE: 1, LZF: 1, FLETCHER32: 2}
"""The filters that are read, and their order in a dataset. Source: fill_dcpl in h5py/_hl/filters.py (3.14)."""

_NOT_READ = {4: "szip", 5: "nbit", 6: "scaleoffset"}
"""Filters of HDF5 that write where broken parameters lead. Source: H5Zpublic.h (HDF5 1.14)."""

_ELSEWHERE = 1 << 0x0007 | 1 << 0x000B
"""Bits of the header messages that list external files and filters. Source: specification, IV.A.2.h and IV.A.2.l."""

_BFLOAT16_BYTES = 2


class StructureWalk:
    """One pass over all links and headers of a file.

    Args:
        file: The open file.
        where: How messages name it.
        size: Its length in bytes.
        base: Where it begins in the file on disk, or None if it lies in memory alone.
        limits: See `Hdf5File.structure`.
    """

    def __init__(self, file: h5py.File, *, where: str, size: int, base: int | None, limits: Limits) -> None:
        self._file = file
        self._where = where
        self._size = size
        self._base = base
        self._limits = limits
        self._kinds = _Kinds()
        self._seen: set[int] = set()
        self._groups: list[str] = []
        self._datasets: dict[str, DatasetInfo] = {}
        self._other: dict[str, str] = {}
        self._count = 0
        self._bytes = 0

    def run(self) -> Hdf5Structure:
        """Walk the file once."""
        root = self._file["/"].id
        self._seen.add(h5o.get_info(root).addr)
        pending: list[tuple[str, Any, int]] = [("", root, 0)]
        while pending:
            path, group, depth = pending.pop()
            self._groups.append(path)
            self._bound("max_nesting_depth", depth)
            for name, address in self._hard_links(path, group):
                below = f"{path}/{name.decode()}" if path else name.decode()
                child = h5o.open(group, name)
                if isinstance(child, h5g.GroupID):
                    self._enter(below, address)
                    pending.append((below, child, depth + 1))
                elif isinstance(child, h5d.DatasetID):
                    self._dataset(below, child)
        self._judge_total()
        return Hdf5Structure(dict.fromkeys(sorted(self._groups)), self._datasets, self._other)

    def _hard_links(self, path: str, group: Any) -> list[tuple[bytes, int]]:
        """Return name and address of everything in *group*."""
        links: list[tuple[bytes, int, int]] = []
        # Counted first: a header may declare more links than there are.
        self._count += group.get_num_objs()
        self._bound("max_entries", self._count)
        # Asked for any other order, libhdf5 1.14 frees the links that it did not come to: whatever its memory held.
        order = h5.ITER_NATIVE
        group.links.iterate(lambda name, info: links.append((name, info.type, info.u)), info=True, order=order)
        for name, kind, _ in links:
            if kind != h5l.TYPE_HARD:
                what = "a link to another file" if kind == h5l.TYPE_EXTERNAL else "a symbolic link"
                raise self._broken(f"{path}/{_text(name)}", f"is {what}")
        found = {name: address for name, _, address in links}
        if len(found) < len(links) or any(b"/" in name or name == b"." for name in found):
            raise self._broken(path, "has several things of one name, or a name that is a path")
        return sorted(found.items())

    def _enter(self, path: str, address: int) -> None:
        if address in self._seen:
            raise self._broken(path, "is a group that stands in several places")
        self._seen.add(address)
        allowed = plain.most_groups(len(self._datasets))
        require_within(self._where, limit="MAX_EMPTY_GROUPS", allowed=allowed, found=len(self._seen))

    def _dataset(self, path: str, dataset: Any) -> None:
        start = _start(dataset)
        kind = self._kinds.of(dataset.get_type())
        space = dataset.get_space()
        shape = space.shape
        is_null = not shape and space.get_simple_extent_type() == h5s.NULL
        nbytes = 0 if is_null else math.prod(shape) * kind.size
        # Reading takes whole chunks, and a chunk may be larger than its dataset.
        self._bytes += max(nbytes, self._chunk_elements(path, dataset) * kind.size) if start is None else nbytes
        self._bound("max_weight_bytes", self._bytes)
        stored = dataset.get_storage_size() if nbytes else 0
        if nbytes and not stored:
            raise self._broken(path, f"declares {nbytes:,} bytes and stores none")
        if kind.dtype is None or is_null:
            self._other[path] = kind.problem or "nothing"
            return
        is_one_piece = nbytes > 0 and stored == nbytes and kind.dtype != "string"
        offset = self._offset(path, start, nbytes) if is_one_piece and start is not None else None
        self._datasets[path] = DatasetInfo(
            path=path, shape=shape, dtype=kind.dtype, nbytes=nbytes, offset=offset if kind.is_native else None
        )

    def _chunk_elements(self, path: str, dataset: Any) -> int:
        """Return the size of a chunk; refuse data that is kept in other files or needs a plug-in to be read."""
        creation = dataset.get_create_plist()
        layout = creation.get_layout()
        if creation.get_external_count():
            raise self._broken(path, f"keeps its data in another file ({_text(creation.get_external(0)[0])!r})")
        if layout == h5d.VIRTUAL:
            raise self._broken(path, "is a virtual dataset, which takes its data from other files")
        self._judge_filters(path, [creation.get_filter(index)[0] for index in range(creation.get_nfilters())])
        return math.prod(creation.get_chunk()) if layout == h5d.CHUNKED else 0

    def _judge_filters(self, path: str, numbers: list[int]) -> None:
        for number in numbers:
            if number not in _ORDER:
                name = _NOT_READ.get(number, f"a plug-in (number {number})")
                raise self._broken(path, f"needs a filter that is not read: {name}")
        order = [_ORDER[number] for number in numbers]
        if order != sorted(set(order)):
            raise self._broken(path, "is compressed twice, or in an order of filters that h5py does not write")

    def _offset(self, path: str, start: int, nbytes: int) -> int | None:
        """Return where the bytes of a dataset in one piece lie in the file on disk, or None; see `DatasetInfo`."""
        if start + nbytes > self._size:
            raise self._broken(path, "lies beyond the end of the file: it is truncated")
        return start + self._base if self._base is not None else None

    def _judge_total(self) -> None:
        ratio = self._bytes // max(1, self._size)
        if self._bytes > FREE_EXPANSION_BYTES:
            self._bound("max_expansion_ratio", ratio)

    def _bound(self, limit: str, found: int) -> None:
        require_within(self._where, limit=limit, allowed=getattr(self._limits, limit), found=found)

    def _broken(self, path: str, problem: str) -> MalformedArtifactError:
        hint = "no Keras writes such a file; ask its author for one written by model.save"
        return MalformedArtifactError(f"{self._where}/{path.lstrip('/')}", problem=problem, hint=hint)


def _start(dataset: Any) -> int | None:
    """Return where the bytes of a dataset begin that lies in one piece in this file; user blocks count.

    The list of properties that would tell more costs as much as everything else that is asked of a dataset.
    """
    start: int | None = dataset.get_offset()
    # libhdf5 gives an offset even where the data is in other files.
    return None if start is not None and h5o.get_info(dataset).hdr.mesg.present & _ELSEWHERE else start


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


class _Kind(NamedTuple):
    """What the walk wants to know of a datatype.

    Attributes:
        dtype: Its TensorFlow name, or None where no weight has it.
        problem: The type in words, then.
        size: Bytes of an element.
        is_native: True if the stored bytes are what numpy holds: no other byte order, no unusual bits.
    """

    dtype: str | None
    problem: str
    size: int
    is_native: bool


class _Kinds:
    """The datatypes of one file. Nearly all datasets share the last one seen, and comparing is cheaper than reading."""

    def __init__(self) -> None:
        self._last: Any = None
        self._kind = _Kind(None, "", 0, is_native=False)

    def of(self, datatype: Any) -> _Kind:
        """Describe *datatype*."""
        if self._last is None or datatype != self._last:
            self._last, self._kind = datatype, _describe(datatype)
        return self._kind


def _describe(datatype: Any) -> _Kind:
    size, number = datatype.get_size(), datatype.get_class()
    if number in (h5t.FLOAT, h5t.INTEGER, h5t.ENUM, h5t.COMPOUND) and datatype.dtype.name in _NUMERIC:
        dtype = datatype.dtype
        is_native = dtype.isnative and datatype == h5t.py_create(dtype, logical=True)
        return _Kind(dtype.name, "", size, is_native=bool(is_native))
    if number == h5t.STRING and not datatype.is_variable_str():
        return _Kind("string", "", size, is_native=False)
    if number == h5t.OPAQUE and size == _BFLOAT16_BYTES:
        # h5py stores ml_dtypes.bfloat16 as two opaque bytes, and Keras 3 adds the attribute dtype="bfloat16".
        return _Kind("bfloat16", "", size, is_native=True)
    return _Kind(None, _UNUSABLE.get(number, "an unknown type"), size, is_native=False)


_NUMERIC = frozenset(
    {"bool", "complex64", "complex128"}
    | {f"float{bits}" for bits in (16, 32, 64)}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)

_UNUSABLE = {
    0: "integers of an unusual size",
    1: "floats of an unusual size",
    3: "text of variable length",
    5: "opaque bytes",
    6: "a compound type",
    7: "references to other objects",
    8: "an enumeration",
    9: "lists of variable length",
    10: "an array type",
}
"""H5Tpublic.h (HDF5 1.14): H5T_class_t."""
