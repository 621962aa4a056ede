"""The index of a TensorFlow checkpoint: which tensors it holds, and where. Layer: readers.

A checkpoint ``P`` is ``P.index``, a table of `BundleEntryProto` by tensor name, and
shards ``P.data-00000-of-00001`` with the bytes. Checkpoints of the older format V1
have no index and are not read.

Source: tensorflow/core/util/tensor_bundle/{tensor_bundle.h,naming.cc},
tensorflow/core/protobuf/tensor_bundle.proto (TensorFlow 2.21).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.errors import LimitExceededError, MalformedArtifactError, require_within
from safeload.readers._artifact import MAX_DIMENSIONS, DatasetInfo, WeightIndex, WeightLayout
from safeload.readers.checkpoint.slices import slices_of
from safeload.readers.checkpoint.table import read_table
from safeload.readers.protobuf import dtype_bytes, dtype_name, parse_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safeload._limits import Limits

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Key under which TF2 stores a serialized `TrackableObjectGraph`. Source: tensorflow/python/trackable/base.py."""

_MAX_SHARDS = 100_000
"""What five digits of a shard's name can count."""

_MAX_ELEMENTS = (1 << 63) - 1
"""What a tensor may have. Source: num_elements in tensorflow/core/framework/tensor_shape.h (2.21)."""


class CheckpointEntry(NamedTuple):
    """One tensor, or one slice of a partitioned tensor, of a checkpoint.

    Attributes:
        key: Name of the tensor; of a slice, an encoding of name and extent.
        dtype: TensorFlow dtype name, or None when unknown.
        shape: Its full shape.
        shard: Number of the data file.
        offset: Where its bytes begin in that file.
        size: How many bytes are stored there; 0 for a tensor that is stored in slices.
        nbytes: Bytes of the whole tensor; of one whose elements have no fixed size, the bytes stored.
        is_partitioned: True for a tensor that is stored in slices, under other keys.
    """

    key: str
    dtype: str | None
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    nbytes: int
    is_partitioned: bool = False


@dataclass(frozen=True)
class CheckpointIndex:
    """What a checkpoint holds.

    Attributes:
        num_shards: How many data files it has.
        entries: Its tensors, then the slices of partitioned ones, each sorted by key.
        slices: Entries that are slices of a tensor in *entries*.
    """

    num_shards: int
    entries: tuple[CheckpointEntry, ...]
    slices: tuple[CheckpointEntry, ...] = ()

    def shard_name(self, prefix: str, shard: int) -> str:
        """Return the name of the data file *shard* of the checkpoint *prefix*."""
        return f"{prefix}.data-{shard:05d}-of-{self.num_shards:05d}"

    def required_sizes(self, prefix: str) -> dict[str, int]:
        """Return how many bytes each data file must have, by name."""
        sizes = {self.shard_name(prefix, shard): 0 for shard in range(self.num_shards)}
        for entry in (*self.entries, *self.slices):
            name = self.shard_name(prefix, entry.shard)
            sizes[name] = max(sizes[name], entry.offset + entry.size)
        return sizes

    def weights(self) -> WeightIndex:
        """Return the tensors as a `WeightIndex`, the object graph left out."""
        return WeightIndex(
            layout=WeightLayout.CHECKPOINT,
            datasets=tuple(self._dataset(entry) for entry in self.entries if entry.key != OBJECT_GRAPH_KEY),
        )

    def _dataset(self, entry: CheckpointEntry) -> DatasetInfo:
        is_contiguous = self.num_shards == 1 and not entry.is_partitioned and entry.dtype != "string"
        return DatasetInfo(
            path=entry.key,
            shape=entry.shape,
            dtype=entry.dtype or "unknown",
            nbytes=entry.nbytes,
            offset=entry.offset if is_contiguous else None,
        )


def read_checkpoint_index(data: bytes, *, where: str, limits: Limits) -> CheckpointIndex:
    """Read the content of a ``.index`` file.

    Args:
        data: The whole file.
        where: How messages name it.
        limits: Bounds on entries, on the bytes of names, and on what the tensors declare in total.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. It is no index, or an entry contradicts itself.
        LimitExceededError: ``limit-exceeded``. There are too many tensors, or they declare too many bytes.
    """
    items = read_table(data, where=where, limits=limits)
    num_shards = _num_shards(items.pop(b"", None), where=where)
    entries: list[CheckpointEntry] = []
    slices: dict[bytes, CheckpointEntry] = {}
    partitions: list[tuple[bytes, CheckpointEntry, Any]] = []
    for key, value in items.items():
        message = parse_message("BundleEntryProto", value, where=where)
        # Keys of slices begin with an encoded 0. Source: EncodeTensorNameSlice in saved_tensor_slice_util.cc.
        is_slice = key[:1] == b"\0"
        entry = _entry(key, message, num_shards=num_shards, is_slice=is_slice, where=where)
        if is_slice:
            slices[key] = entry
            continue
        entries.append(entry)
        if entry.is_partitioned:
            partitions.append((key, entry, message.slices))
    for key, entry, parts in partitions:
        _require_slices(key, entry, parts, slices, where=where)
    total = sum([entry.nbytes for entry in entries])
    require_within(where, limit="max_weight_bytes", allowed=limits.max_weight_bytes, found=total)
    return CheckpointIndex(num_shards, tuple(entries), tuple(slices.values()))


def require_shards(
    index: CheckpointIndex, *, prefix: str, sizes: Mapping[str, int], where: str, limits: Limits
) -> None:
    """Check that the data files are there and long enough.

    Args:
        index: What the checkpoint says.
        prefix: Path of the checkpoint without ``.index``, as the keys of *sizes* are written.
        sizes: Bytes of the files that exist, by path.
        where: How messages name the artifact.
        limits: ``max_expansion_ratio`` bounds what all tensors declare against what the files hold.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. A data file is missing or short.
        LimitExceededError: ``limit-exceeded``. Many tensors share the same stored bytes.
    """
    required = index.required_sizes(prefix)
    for name, needed in required.items():
        if name not in sizes:
            raise MalformedArtifactError(where, problem=f"{name} is missing; it holds {needed:,} bytes of weights")
        if sizes[name] < needed:
            raise MalformedArtifactError(where, problem=f"{name} has {sizes[name]:,} of {needed:,} bytes")
    declared = sum([entry.nbytes for entry in index.entries])
    stored = sum([sizes[name] for name in required])
    if declared > limits.max_expansion_ratio * max(stored, 1):
        ratio = declared // max(stored, 1)
        raise LimitExceededError(where, limit="max_expansion_ratio", allowed=limits.max_expansion_ratio, found=ratio)


def _num_shards(header: bytes | None, *, where: str) -> int:
    if header is None:
        raise MalformedArtifactError(where, problem="the index has no header; it is no checkpoint of TensorFlow")
    message = parse_message("BundleHeaderProto", header, where=where)
    if message.endianness != 0:
        raise MalformedArtifactError(
            where, problem="the checkpoint is of a big-endian machine", hint="load and save it again on that machine"
        )
    if not 0 < message.num_shards <= _MAX_SHARDS:
        raise MalformedArtifactError(where, problem=f"the index declares {message.num_shards:,} data files")
    return int(message.num_shards)


def _require_slices(
    key: bytes, entry: CheckpointEntry, parts: Any, slices: Mapping[bytes, CheckpointEntry], *, where: str
) -> None:
    """Check that what the slices of a tensor cover is stored as such, which TensorFlow takes for granted."""
    problem = None
    try:
        for part in slices_of(key, entry.shape, parts):
            found = slices.get(part.key)
            if found is None:
                problem = "one is missing"
            elif (found.dtype, found.shape) != (entry.dtype, part.shape):
                problem = f"one is no {entry.dtype} of shape {list(part.shape)}"
    except ValueError as error:
        problem = str(error)
    if problem:
        raise MalformedArtifactError(
            where, problem=f"the tensor {entry.key[:200]!r} is not made of its slices: {problem}"
        )


def _entry(key: bytes, message: Any, *, num_shards: int, is_slice: bool, where: str) -> CheckpointEntry:
    dtype, shape = dtype_name(message.dtype), tuple([dim.size for dim in message.shape.dim[: MAX_DIMENSIONS + 1]])
    try:
        name = repr(key) if is_slice else key.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedArtifactError(where, problem=f"the tensor name {key[:80]!r} is not UTF-8") from error
    entry = CheckpointEntry(
        key=name,
        dtype=dtype,
        shape=shape,
        shard=message.shard_id,
        offset=message.offset,
        size=message.size,
        nbytes=_size_in_file(message.size, dtype, math.prod(shape)),
        is_partitioned=bool(message.slices),
    )
    problem = _contradiction(entry, message, num_shards)
    if problem:
        raise MalformedArtifactError(where, problem=f"the entry of tensor {name[:200]!r} {problem}")
    return entry


def _size_in_file(stored: int, dtype: str | None, elements: int) -> int:
    """Return the bytes that a tensor takes, as far as its dtype says; a text takes one at least, with its length."""
    size = dtype_bytes(dtype or "")
    if size is None:
        return max(stored, elements) if dtype == "string" else stored
    return size * elements


def _contradiction(entry: CheckpointEntry, message: Any, num_shards: int) -> str | None:
    """Say what is impossible about *entry*, if anything."""
    if message.shape.unknown_rank or min(entry.shape, default=0) < 0:
        return "has no definite shape"
    if len(entry.shape) > MAX_DIMENSIONS or math.prod([size or 1 for size in entry.shape]) > _MAX_ELEMENTS:
        return "is larger than any tensor"
    if not 0 <= entry.shard < num_shards:
        return f"is in data file {entry.shard} of {num_shards}"
    if entry.offset < 0 or entry.size < 0:
        return f"has {entry.size:,} bytes at byte {entry.offset:,}"
    if not entry.is_partitioned and entry.size != entry.nbytes:
        return f"stores {entry.size:,} bytes for a {entry.dtype} tensor of shape {list(entry.shape)}"
    return None
