"""HDF5 files, judged by their structure before anything is read. Layer: readers; the only package part that imports h5py.

One principle: what no writer of Keras files makes (a link that is not hard, data kept elsewhere, pointers in
weights, a filter that is no part of HDF5) is a broken file, and what is merely too much exceeds a limit.
Source: HDF5 File Format Specification 3.0; h5py 3.14 low-level API.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.formats import FREE_EXPANSION_BYTES, ByteFile, Window
from safeload.readers._artifact import DatasetInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import h5py
    import numpy as np
    from typing_extensions import Buffer

    from safeload._limits import Limits

_BUILTIN_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""H5Zpublic.h (HDF5 1.14): deflate, shuffle, fletcher32, szip, nbit, scaleoffset; 32000 is h5py's lzf. Others are plug-ins."""

# What libhdf5 and h5py raise for broken files, by experiment over truncated and altered files (h5py 3.14).
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, UnicodeError)

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


class Hdf5File:
    """An HDF5 file, or one inside a zip, that was judged and stays open.

    Args:
        file: The bytes; closed with this object.
        where: How messages name it.
        offset: Where the HDF5 file begins, when it is stored inside another.
        size: Its length, then.
        is_on_disk: False when *file* holds a decompressed copy, so that offsets mean nothing outside.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. Not readable as HDF5.
    """

    def __init__(self, file: ByteFile, *, where: str, offset: int = 0, size: int | None = None, is_on_disk: bool = True) -> None:
        import h5py

        self.where = where
        self._bytes = file
        self._offset = offset
        self._is_on_disk = is_on_disk
        self._window = Window(file, offset=offset, size=size)
        self._structure: Hdf5Structure | None = None
        try:
            self._file: h5py.File | None = h5py.File(self._window, "r")
        except _BROKEN as error:
            raise MalformedArtifactError(where, problem=f"cannot be opened as HDF5: {_first_line(error)}") from error

    @property
    def size(self) -> int:
        """Length of the HDF5 file in bytes."""
        return self._window.size

    @property
    def open_file(self) -> h5py.File:
        """The open file; raises ValueError once closed."""
        if self._file is None:
            raise ValueError("the weights of this model are closed")
        return self._file

    def structure(self, limits: Limits) -> Hdf5Structure:
        """Return what the file consists of; walks it the first time.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. What no Keras file has: soft or external links, external storage, virtual
                datasets, plug-in filters, declared data that is not stored, groups linked twice.
            LimitExceededError: ``limit-exceeded``. ``max_entries``, ``max_nesting_depth``, ``max_weight_bytes``, ``max_expansion_ratio``.

        Guarantees:
            No other file is opened, no array is read, no filter runs, no more is allocated than the names.
        """
        if self._structure is None:
            try:
                self._structure = _Walk(self, limits).run()
            except _BROKEN as error:
                if isinstance(error, (MalformedArtifactError, LimitExceededError)):
                    raise
                raise MalformedArtifactError(self.where, problem=f"broken HDF5 structure: {_first_line(error)}") from error
        return self._structure

    def position(self, dataset: h5py.h5d.DatasetID, nbytes: int) -> int | None:
        """Return where the bytes of a contiguous dataset lie in the file on disk, or None."""
        import h5py

        is_whole = dataset.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS and dataset.get_storage_size() == nbytes > 0
        if not is_whole or not _is_native(dataset):
            return None
        start = dataset.get_offset()  # counted from the beginning of the HDF5 file, user block included
        if start is None or start + nbytes > self.size:
            raise MalformedArtifactError(self.where, problem="a dataset lies beyond the end of the file: it is truncated")
        return int(start)

    def read(self, path: str) -> np.ndarray[Any, Any]:
        """Return the array at *path*; bfloat16 as ``ml_dtypes.bfloat16``.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. It cannot be read: a broken chunk, the end of the file.
        """
        import numpy as np

        try:
            dataset = self.open_file[path]
            array = np.empty(dataset.shape, dataset.dtype)
            if array.size:
                dataset.read_direct(array)
        except (OSError, RuntimeError, KeyError) as error:
            raise MalformedArtifactError(f"{self.where}/{path}", problem=f"cannot be read: {_first_line(error)}") from error
        return array.view(_bfloat16()) if array.dtype.kind == "V" else array

    def read_into(self, path: str, buffer: Buffer) -> None:
        """Fill *buffer* with the bytes of a dataset whose ``offset`` is known, without libhdf5.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. The file ends before.
        """
        dataset = None if self._structure is None else self._structure.datasets.get(path)
        if self._file is None or dataset is None or dataset.offset is None:
            raise ValueError(f"{path!r} is not an array that is stored in one piece, or the file is closed")
        if self._bytes.read_into(dataset.offset, memoryview(buffer).cast("B")[: dataset.nbytes]) < dataset.nbytes:
            raise MalformedArtifactError(f"{self.where}/{path}", problem="the file ends inside it: it is truncated")

    def attribute(self, path: str, name: str, *, max_bytes: int) -> str | list[str] | None:
        """Return an attribute of text, or of a list of texts, or None if there is none.

        Files of Keras hold them as fixed or variable-length strings, as bytes or text, whatever h5py wrote at the time.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. It holds something else, or no UTF-8.
            LimitExceededError: ``limit-exceeded``. ``max_config_bytes``.
        """
        try:
            attributes = self.open_file[path or "/"].attrs
            if name not in attributes:
                return None
            header = attributes.get_id(name)
            self._bound_config(name, math.prod(header.shape) * header.get_type().get_size(), max_bytes)
            value = _as_text(attributes[name])
        except _BROKEN as error:
            if isinstance(error, LimitExceededError):
                raise
            problem = f"the attribute {name!r} is broken: {_first_line(error)}"
            raise MalformedArtifactError(f"{self.where}/{path}", problem=problem) from error
        self._bound_config(name, len(value) if isinstance(value, str) else sum(map(len, value)), max_bytes)
        return value

    def _bound_config(self, name: str, found: int, allowed: int) -> None:
        if found > allowed:
            raise LimitExceededError(f"{self.where}@{name}", limit="max_config_bytes", allowed=allowed, found=found)

    def names(self, path: str, name: str, *, max_bytes: int) -> list[str] | None:
        """Return an attribute that lists names; long lists are split into ``name0``, ``name1`` and so on.

        Source:
            load_attributes_from_hdf5_group in keras/src/legacy/saving/legacy_h5_format.py (Keras 3.15.1).
        """
        found = self.attribute(path, name, max_bytes=max_bytes)
        if found is not None:
            return [found] if isinstance(found, str) else found
        joined: list[str] = []
        index = 0
        while (chunk := self.attribute(path, f"{name}{index}", max_bytes=max_bytes)) is not None:
            joined.extend([chunk] if isinstance(chunk, str) else chunk)
            self._bound_config(name, sum(map(len, joined)), max_bytes)
            index += 1
        return joined if index else None

    def disk_offset(self, position: int | None) -> int | None:
        """Return *position* of the HDF5 file as an offset of the whole artifact file, or None where there is none."""
        return position + self._offset if position is not None and self._is_on_disk else None

    def close(self) -> None:
        """Close the file and the bytes; reading afterwards raises ValueError."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._bytes.close()


def _as_text(value: Any) -> str | list[str]:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return _decoded(value)


def _decoded(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if not isinstance(value, str):
        raise TypeError(f"it holds {type(value).__name__}, not text")
    value.encode("utf-8")  # h5py passes bytes that are no UTF-8 on as lone surrogates
    return value


def _bfloat16() -> Any:
    import ml_dtypes

    return ml_dtypes.bfloat16


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


class _Walk:
    """One pass over all links and headers of a file."""

    def __init__(self, hdf5: Hdf5File, limits: Limits) -> None:
        self._hdf5 = hdf5
        self._limits = limits
        self._seen: set[tuple[int, int]] = set()
        self._groups: list[str] = []
        self._datasets: dict[str, DatasetInfo] = {}
        self._other: dict[str, str] = {}
        self._count = 0
        self._bytes = 0

    def run(self) -> Hdf5Structure:
        import h5py

        root = self._hdf5.open_file["/"].id
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
        group.links.iterate(lambda name, info: links.append((name, info.type)) and None, info=True)
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
        nbytes = math.prod(shape) * dataset.get_type().get_size()
        self._bytes += nbytes
        self._bound("max_weight_bytes", self._bytes)
        if nbytes and not dataset.get_storage_size():
            raise self._broken(path, f"declares {nbytes:,} bytes and stores none")
        if dtype is None or dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            self._other[path] = problem
            return
        offset = self._hdf5.disk_offset(self._hdf5.position(dataset, nbytes))
        self._datasets[path] = DatasetInfo(path=path, shape=shape, dtype=dtype, nbytes=nbytes, offset=offset)

    def _judge_total(self) -> None:
        ratio = self._bytes // max(1, self._hdf5.size)
        if self._bytes > FREE_EXPANSION_BYTES:
            self._bound("max_expansion_ratio", ratio)

    def _bound(self, limit: str, found: int) -> None:
        allowed = getattr(self._limits, limit)
        if found > allowed:
            raise LimitExceededError(self._hdf5.where, limit=limit, allowed=allowed, found=found)

    def _broken(self, path: str, problem: str) -> MalformedArtifactError:
        hint = "no Keras writes such a file; ask its author for one written by model.save, or copy it with h5repack if you trust it"
        return MalformedArtifactError(f"{self._hdf5.where}/{path.lstrip('/')}", problem=problem, hint=hint)


def _identity(info: Any) -> tuple[int, int]:
    return info.fileno, info.addr


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _is_native(dataset: Any) -> bool:
    """Return True if the stored bytes are what numpy holds: no other byte order, no unusual bits."""
    import h5py

    kind = dataset.get_type()
    return bool(kind.get_class() == h5py.h5t.OPAQUE or kind == h5py.h5t.py_create(dataset.dtype, logical=True))


def _dtype_name(dataset: Any) -> tuple[str | None, str]:
    """Return the TensorFlow name of a dataset's type, or None and the type in words."""
    import h5py

    kind = dataset.get_type()
    number = kind.get_class()
    if number in (h5py.h5t.FLOAT, h5py.h5t.INTEGER, h5py.h5t.ENUM, h5py.h5t.COMPOUND) and dataset.dtype.name in _NUMERIC:
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
