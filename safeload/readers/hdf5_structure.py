"""What an HDF5 file consists of, by its links and headers alone. Layer: readers; imports h5py, as ``hdf5`` does.

Source: HDF5 File Format Specification 3.0; h5py 3.14 low-level API.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import FREE_EXPANSION_BYTES
from safeload.readers._artifact import DatasetInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import h5py

    from safeload._limits import Limits

_BUILTIN_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""H5Zpublic.h (HDF5 1.14): deflate, shuffle, fletcher32, szip, nbit, scaleoffset; 32000 is h5py's lzf."""

_BFLOAT16_BYTES = 2


@dataclass(frozen=True)
class Hdf5Structure:
    """What an HDF5 file consists of.

    Attributes:
        groups: Path of every group, the root as ``""``, sorted.
        datasets: Every dataset of a type that weights may have, by path.
        other: Path of every dataset of another type → that type in words.
    """

    groups: tuple[str, ...]
    datasets: Mapping[str, DatasetInfo]
    other: Mapping[str, str]


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
        self._seen: set[tuple[int, int]] = set()
        self._groups: list[str] = []
        self._datasets: dict[str, DatasetInfo] = {}
        self._other: dict[str, str] = {}
        self._count = 0
        self._bytes = 0

    def run(self) -> Hdf5Structure:
        """Walk the file once."""
        import h5py

        root = self._file["/"].id
        self._seen.add(_identity(h5py.h5o.get_info(root)))
        pending: list[tuple[str, Any, int]] = [("", root, 0)]
        while pending:
            path, group, depth = pending.pop()
            self._groups.append(path)
            self._bound("max_nesting_depth", depth)
            for name in self._hard_links(path, group):
                pending.extend(self._child(f"{path}/{name.decode()}".lstrip("/"), group, name, depth))
        self._judge_total()
        return Hdf5Structure(tuple(sorted(self._groups)), self._datasets, self._other)

    def _hard_links(self, path: str, group: Any) -> Iterator[bytes]:
        import h5py

        links: list[tuple[bytes, int]] = []
        # Counted first: a header may declare more links than there are.
        self._count += group.get_num_objs()
        self._bound("max_entries", self._count)

        def note(name: bytes, info: Any) -> None:
            links.append((name, info.type))

        group.links.iterate(note, info=True)
        for name, kind in links:
            if kind != h5py.h5l.TYPE_HARD:
                what = "a link to another file" if kind == h5py.h5l.TYPE_EXTERNAL else "a symbolic link"
                raise self._broken(f"{path}/{_text(name)}", f"is {what}")
            yield name

    def _child(self, path: str, parent: Any, name: bytes, depth: int) -> Iterator[tuple[str, Any, int]]:
        import h5py

        child = h5py.h5o.open(parent, name)
        if isinstance(child, h5py.h5g.GroupID):
            identity = _identity(h5py.h5o.get_info(child))
            if identity in self._seen:
                raise self._broken(path, "is a group that stands in several places")
            self._seen.add(identity)
            yield path, child, depth + 1
        elif isinstance(child, h5py.h5d.DatasetID):
            self._dataset(path, child)

    def _dataset(self, path: str, dataset: Any) -> None:
        import h5py

        creation = dataset.get_create_plist()
        if creation.get_external_count():
            raise self._broken(path, f"keeps its data in another file ({_text(creation.get_external(0)[0])!r})")
        if creation.get_layout() == h5py.h5d.VIRTUAL:
            raise self._broken(path, "is a virtual dataset, which takes its data from other files")
        for index in range(creation.get_nfilters()):
            if creation.get_filter(index)[0] not in _BUILTIN_FILTERS:
                raise self._broken(path, f"needs a filter plug-in (number {creation.get_filter(index)[0]})")
        dtype, problem = _dtype_name(dataset)
        shape = tuple(int(d) for d in dataset.shape or ())
        element = dataset.get_type().get_size()
        is_null = dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL
        nbytes = 0 if is_null else math.prod(shape) * element
        # Reading takes whole chunks, and a chunk may be larger than its dataset.
        is_chunked = creation.get_layout() == h5py.h5d.CHUNKED
        self._bytes += max(nbytes, math.prod(creation.get_chunk()) * element) if is_chunked else nbytes
        self._bound("max_weight_bytes", self._bytes)
        if nbytes and not dataset.get_storage_size():
            raise self._broken(path, f"declares {nbytes:,} bytes and stores none")
        if dtype is None or is_null:
            self._other[path] = problem or "nothing"
            return
        offset = self._offset(path, dataset, nbytes)
        self._datasets[path] = DatasetInfo(path=path, shape=shape, dtype=dtype, nbytes=nbytes, offset=offset)

    def _offset(self, path: str, dataset: Any, nbytes: int) -> int | None:
        """Return where the bytes lie in the file on disk, or None; see `DatasetInfo`."""
        import h5py

        is_contiguous = dataset.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
        is_text = dataset.get_type().get_class() == h5py.h5t.STRING
        if nbytes == 0 or not is_contiguous or is_text or dataset.get_storage_size() != nbytes:
            return None
        start = dataset.get_offset()  # counted from the beginning of the HDF5 file, user block included
        if start is None or start + nbytes > self._size:
            raise self._broken(path, "lies beyond the end of the file: it is truncated")
        return int(start) + self._base if self._base is not None and _is_native(dataset) else None

    def _judge_total(self) -> None:
        ratio = self._bytes // max(1, self._size)
        if self._bytes > FREE_EXPANSION_BYTES:
            self._bound("max_expansion_ratio", ratio)

    def _bound(self, limit: str, found: int) -> None:
        allowed = getattr(self._limits, limit)
        if found > allowed:
            raise LimitExceededError(self._where, limit=limit, allowed=allowed, found=found)

    def _broken(self, path: str, problem: str) -> MalformedArtifactError:
        hint = "no Keras writes such a file; ask its author for one written by model.save"
        return MalformedArtifactError(f"{self._where}/{path.lstrip('/')}", problem=problem, hint=hint)


def _identity(info: Any) -> tuple[int, int]:
    return info.fileno, info.addr


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _is_native(dataset: Any) -> bool:
    """Return True if the stored bytes are what numpy holds: no other byte order, no unusual bits."""
    import h5py

    kind = dataset.get_type()
    if kind.get_class() == h5py.h5t.OPAQUE:
        return True
    return bool(dataset.dtype.isnative and kind == h5py.h5t.py_create(dataset.dtype, logical=True))


def _dtype_name(dataset: Any) -> tuple[str | None, str]:
    """Return the TensorFlow name of a dataset's type, or None and the type in words."""
    import h5py

    kind = dataset.get_type()
    number = kind.get_class()
    if (
        number in (h5py.h5t.FLOAT, h5py.h5t.INTEGER, h5py.h5t.ENUM, h5py.h5t.COMPOUND)
        and dataset.dtype.name in _NUMERIC
    ):
        return dataset.dtype.name, ""
    if number == h5py.h5t.STRING and not kind.is_variable_str():
        return "string", ""
    if number == h5py.h5t.OPAQUE and kind.get_size() == _BFLOAT16_BYTES:
        # h5py stores ml_dtypes.bfloat16 as two opaque bytes, and Keras 3 adds the attribute dtype="bfloat16".
        return "bfloat16", ""
    return None, _UNUSABLE.get(number, "an unknown type")


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
