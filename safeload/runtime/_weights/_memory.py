"""Arrays in memory of their own that a variable takes over without a copy. Layer: runtime."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from safeload.readers import DatasetInfo, WeightsFile

_ALIGNMENT = 64
"""Alignment of a buffer that TensorFlow takes as it is. Source: EIGEN_MAX_ALIGN_BYTES with AVX-512."""

_OF_ML_DTYPES = "V"
"""Kind of bfloat16 in numpy, which has no such type of its own."""

_SHARED_KINDS = frozenset({"f", "i", "u", "c", _OF_ML_DTYPES})

_MAPPED_FROM = 1 << 20
"""Bytes from which pages are asked for directly: numpy would ask for huge ones, which cost up to four times as much."""

_PLAIN_PAGES = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE} if hasattr(mmap, "MAP_POPULATE") else {}
)


def read_array(file: WeightsFile, dataset: DatasetInfo) -> np.ndarray[Any, Any]:
    """Return an array, read in one piece where the file holds it so.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. It cannot be read.
    """
    if dataset.offset is None or not dataset.nbytes:
        return file.read(dataset.path)
    buffer = aligned_buffer(dataset.nbytes)
    file.read_into(dataset.path, buffer)
    return buffer.view(_numpy_dtype(dataset.dtype)).reshape(dataset.shape)


def aligned_buffer(size: int) -> np.ndarray[Any, Any]:
    """Return *size* bytes that begin where TensorFlow wants its tensors to begin."""
    import numpy as np

    if size >= _MAPPED_FROM:
        return np.frombuffer(mmap.mmap(-1, size, **_PLAIN_PAGES), np.uint8)
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % _ALIGNMENT
    return raw[begin : begin + size]


def as_tensor(array: np.ndarray[Any, Any]) -> Any:
    """Return the tensor of *array*, on the same memory where that is possible.

    TensorFlow never writes into memory that it did not allocate: the first update of a variable copies it.
    """
    import numpy as np
    import tensorflow as tf

    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    is_own = array.flags.c_contiguous and array.flags.writeable and not array.ctypes.data % _ALIGNMENT
    if not is_own or array.dtype.kind not in _SHARED_KINDS:
        return tf.convert_to_tensor(array)
    if array.dtype.kind != _OF_ML_DTYPES:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    raw = array.view(np.dtype(f"u{array.dtype.itemsize}"))
    return tf.bitcast(tf.experimental.dlpack.from_dlpack(raw.__dlpack__()), array.dtype)


def _numpy_dtype(name: str) -> np.dtype[Any]:
    import ml_dtypes
    import numpy as np

    return np.dtype(getattr(ml_dtypes, name, name))
