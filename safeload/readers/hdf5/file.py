"""HDF5 files, judged by their structure before anything is read. Layer: readers; h5py is imported here alone.

One principle: what no writer of Keras files makes (a link that is not hard, data kept elsewhere, pointers in
weights, a filter that is no part of HDF5) is a broken file, and what is merely too much exceeds a limit.
Source: HDF5 File Format Specification 3.0; h5py 3.14 low-level API.
"""

from __future__ import annotations

import contextlib
import math
import re
import struct
import threading
from typing import TYPE_CHECKING, Any

from safeload._explain import first_line
from safeload.errors import LimitExceededError, MalformedArtifactError, require_within
from safeload.readers.hdf5.chunks import require_sizes
from safeload.readers.hdf5.heap import GuardedWindow
from safeload.readers.hdf5.plain import NOT_PLAIN, NotPlainError, PlainWalk, Structures
from safeload.readers.hdf5.plain_text import PlainTexts
from safeload.readers.hdf5.stored_text import declared_length, stored_references, stored_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    import h5py
    import numpy as np
    from typing_extensions import Buffer

    from safeload._limits import Limits
    from safeload.formats import ByteFile
    from safeload.readers.hdf5.plain import Hdf5Structure

# What libhdf5 and h5py raise for broken files, by experiment over truncated and altered files (h5py 3.14).
_BROKEN = (
    NotPlainError,
    struct.error,
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    UnicodeError,
)

_HEADERS = 1 << 24
"""Bytes of headers that are looked at for a text of variable length, beside its own."""


class Hdf5File:
    """An HDF5 file, or one inside a zip, that was judged and stays open; libhdf5 opens it where it is not plain.

    Args:
        file: The bytes; closed with this object.
        where: How messages name it.
        offset: Where the HDF5 file begins, when it is stored inside another.
        size: Its length, then.
        is_on_disk: False when *file* holds a decompressed copy, so that offsets mean nothing outside.
        verify: Compares the file with its checksum, if it has one.
    """

    def __init__(
        self,
        file: ByteFile,
        *,
        where: str,
        offset: int = 0,
        size: int | None = None,
        is_on_disk: bool = True,
        verify: Callable[[], None] | None = None,
    ) -> None:
        self.where = where
        self._verify = verify
        self._bytes = file
        self._base = offset if is_on_disk else None
        self._offset = offset
        self._window = GuardedWindow(file, offset=offset, size=size)
        self._structure: Hdf5Structure | None = None
        self._texts: PlainTexts | None = None
        self._file: h5py.File | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Length of the HDF5 file in bytes."""
        return self._window.size

    @property
    def open_file(self) -> h5py.File:
        """The file as libhdf5 reads it; raises ValueError once closed.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. Not readable as HDF5.
        """
        with self._lock:
            if self._is_closed:
                raise ValueError("the weights of this model are closed")
            if self._file is None:
                import h5py

                try:
                    self._file = h5py.File(self._window, "r")
                except _BROKEN as error:
                    raise MalformedArtifactError(self.where, problem=_unopened(error)) from error
            return self._file

    def structure(self, limits: Limits) -> Hdf5Structure:
        """Return what the file consists of; walks it the first time.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. What no Keras file has: soft or external links, external
                storage, virtual datasets, plug-in filters, declared data that is not stored, groups linked twice.
            LimitExceededError: ``limit-exceeded``. ``max_entries``, ``max_nesting_depth``, ``max_weight_bytes``,
                ``max_expansion_ratio``.

        Guarantees:
            No other file is opened, no array is read, no filter runs, no more is allocated than the names.
        """
        if self._structure is None:
            self._structure = self._plain_structure(limits)
        if self._structure is None:
            from safeload.readers.hdf5.structure import StructureWalk

            try:
                walk = StructureWalk(self.open_file, where=self.where, size=self.size, base=self._base, limits=limits)
                self._structure = walk.run()
            except _BROKEN as error:
                if isinstance(error, (MalformedArtifactError, LimitExceededError)):
                    raise
                raise MalformedArtifactError(
                    self.where, problem=f"broken HDF5 structure: {first_line(error)}"
                ) from error
        return self._structure

    def _plain_structure(self, limits: Limits) -> Hdf5Structure | None:
        """Return what the file consists of without libhdf5; None where it is not plain."""
        file = Structures(self._bytes, offset=self._offset, size=self.size)
        walk = PlainWalk(file, base=self._base, limits=limits)
        try:
            found = walk.run()
        except NOT_PLAIN:
            return None
        self._texts = PlainTexts(file, walk.attributes)
        return found

    def read(self, path: str) -> np.ndarray[Any, Any]:
        """Return the array at *path*; bfloat16 as ``ml_dtypes.bfloat16``.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. It cannot be read: a broken chunk, the end of the file.
        """
        import numpy as np

        known = None if self._structure is None else self._structure.datasets.get(path)
        if known is not None and known.offset is not None:
            array = np.empty(known.shape, _bfloat16() if known.dtype == "bfloat16" else known.dtype)
            self.read_into(path, array.reshape(-1).view(np.uint8).data)
            return array
        self._window.is_guarding = False
        file = self.open_file
        try:
            dataset = file[path]
            array = np.empty(dataset.shape, dataset.dtype)
            if array.size:
                require_sizes(dataset.id, file_size=self.size)
                dataset.read_direct(array)
        except _BROKEN as error:
            raise MalformedArtifactError(
                f"{self.where}/{path}", problem=f"cannot be read: {first_line(error)}"
            ) from error
        return array.view(_bfloat16()) if array.dtype.kind == "V" else array

    def read_into(self, path: str, buffer: Buffer) -> None:
        """Fill *buffer* with the bytes of a dataset whose ``offset`` is known, without libhdf5.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. The file ends before.
        """
        dataset = None if self._structure is None else self._structure.datasets.get(path)
        if self._is_closed or dataset is None or dataset.offset is None:
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
        if self._texts is not None:
            with contextlib.suppress(*NOT_PLAIN):
                return self._texts.attribute(path, name, max_bytes=max_bytes)
        return self._attribute(path, name, max_bytes)

    def _attribute(self, path: str, name: str, max_bytes: int) -> str | list[str] | None:
        """Ask libhdf5 for an attribute."""
        from h5py import h5a, h5o, h5t

        try:
            holder = h5o.open(self.open_file.id, path.encode() or b"/")
            if not h5a.exists(holder, name.encode()):
                return None
            header = h5a.open(holder, name.encode())
            shape, datatype = header.shape, header.get_type()
            if shape is None:
                raise TypeError("it is empty")
            self._bound_config(name, math.prod(shape) * datatype.get_size(), max_bytes)
            if len(shape) > 1:
                raise TypeError("it holds a table")
            if shape != (0,) and datatype.get_class() == h5t.STRING and datatype.is_variable_str():
                address = h5o.get_info(holder).addr
                value = self._stored_text(address, name, shape, max_bytes)
            else:
                value = _read_text(header, shape, datatype)
        except _BROKEN as error:
            if isinstance(error, (LimitExceededError, MalformedArtifactError)):
                raise
            problem = f"the attribute {name!r} is broken: {first_line(error)}"
            raise MalformedArtifactError(f"{self.where}/{path}", problem=problem) from error
        self._bound_config(name, len(value) if isinstance(value, str) else sum(map(len, value)), max_bytes)
        return value

    def has_attribute(self, name: str) -> bool:
        """Tell whether the root has the attribute *name*, of whatever type.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. Its attributes are broken.
        """
        from h5py import h5a

        try:
            return bool(h5a.exists(self.open_file["/"].id, name.encode()))
        except _BROKEN as error:
            raise MalformedArtifactError(
                self.where, problem=f"its attributes are broken: {first_line(error)}"
            ) from error

    def _stored_text(self, address: int, name: str, shape: tuple[int, ...], max_bytes: int) -> str | list[str]:
        """Read texts of variable length in the bytes of the file."""
        place = self._window.superblock
        if place is None:
            problem = f"the attribute {name!r} cannot be read: the superblock is of no kind that h5py writes by itself"
            hint = "rewrite the file with h5repack, or save the model again"
            raise MalformedArtifactError(self.where, problem=problem, hint=hint)
        file = Structures(
            self._bytes, offset=self._offset + place, size=self.size - place, effort=2 * max_bytes + _HEADERS
        )
        references = stored_references(file, address, name, math.prod(shape))
        self._bound_config(name, sum(map(declared_length, references)), max_bytes)
        texts = stored_texts(file, references)
        return texts if shape else texts[0]

    def _bound_config(self, name: str, found: int, allowed: int) -> None:
        require_within(f"{self.where}@{name}", limit="max_config_bytes", allowed=allowed, found=found)

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

    def verify(self) -> None:
        """Compare the file with its checksum, which the members of a zip have.

        Raises:
            MalformedArtifactError: ``malformed-artifact``. They do not agree.
        """
        if self._verify is not None:
            self._verify()

    def is_unchanged(self) -> bool:
        """Return False if somebody wrote to the file since it was opened; a copy in memory does not change."""
        return self._bytes.is_unchanged()

    def close(self) -> None:
        """Close the file and the bytes; reading afterwards raises ValueError."""
        if not self._is_closed:
            self._is_closed = True
            if self._file is not None:
                self._file.close()
            self._bytes.close()


def _read_text(attribute: Any, shape: tuple[int, ...], datatype: Any) -> str | list[str]:
    """Read a text or a list of texts; other types raise before they are read: libhdf5 1.14 writes out of bounds."""
    import numpy as np
    from h5py import h5t

    # An empty list has the type of numbers.
    if math.prod(shape) and datatype.get_class() != h5t.STRING:
        raise TypeError("it does not hold text")
    array = np.empty(shape, datatype.dtype)
    attribute.read(array)
    found = array.tolist()
    return [item.decode("utf-8") for item in found] if isinstance(found, list) else str(found, "utf-8")


def _bfloat16() -> Any:
    import ml_dtypes

    return ml_dtypes.bfloat16


def _unopened(error: BaseException) -> str:
    cut = re.search(r"truncated file: eof = (\d+),.* stored_eof = (\d+)", str(error))
    if cut:
        return f"the HDF5 file is truncated: it has {int(cut[1]):,} of {int(cut[2]):,} bytes"
    return f"cannot be opened as HDF5: {first_line(error)}"
