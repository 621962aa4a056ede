"""Many rows through a callable, a batch at a time. Layer: runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import tensorflow as tf

from safeload.errors import InputMismatchError
from safeload.signatures import bind

if TYPE_CHECKING:
    from safeload.inspection import SignatureInfo

T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds without a progress bar."""


_KERAS_DATASETS = frozenset({"PyDataset", "Sequence"})
"""Source: keras/src/trainers/data_adapters/py_dataset_adapter.py (3.15), tf_keras/src/utils/data_utils.py (2.21)."""


def predict(
    call: Callable[[Any], Any], signature: SignatureInfo, x: Any, *, batch_size: int, verbose: str | int
) -> Any:
    """Call *call* on every batch of *x* and join the results; see `ModelCallable.predict`."""
    if not tf.executing_eagerly():
        raise InputMismatchError(
            "predict returns numpy arrays, and there are none while a graph is built",
            hint="inside tf.function call the model itself, without .predict",
        )
    batches, total = _batches(signature, x, _positive(batch_size))
    lengths: list[int] = []
    parts: list[Any] = []
    for batch in shown(batches, total) if verbose else batches:
        lengths.append(_length_of(batch))
        parts.append(tf.nest.map_structure(_to_numpy, call(batch)))
    if not parts:
        raise InputMismatchError(
            "there are no batches to predict on", hint="an iterator gives its elements once; check the dataset"
        )
    return tf.nest.map_structure(lambda *leaves: _joined(leaves, lengths), *parts)


def _positive(batch_size: Any) -> int:
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise InputMismatchError(f"batch_size is {batch_size!r}", hint="it counts rows per call: 1 or more")
    return int(batch_size)


def _batches(signature: SignatureInfo, x: Any, batch_size: int) -> tuple[Iterator[Any], int | None]:
    """Return what to call the model with, and how many there are if that is known."""
    if isinstance(x, tf.data.Dataset):
        _require_batched(signature, x)
        cardinality = int(x.cardinality())
        if cardinality == tf.data.INFINITE_CARDINALITY:
            raise InputMismatchError("the dataset never ends", hint="pass a part of it: predict(dataset.take(100))")
        return map(_without_targets, x), cardinality if cardinality >= 0 else None
    if _is_keras_dataset(x):
        return (_without_targets(x[index]) for index in range(len(x))), len(x)
    if isinstance(x, Iterator):
        return map(_without_targets, x), None
    columns = _columns(signature, x)
    rows = _row_count(columns)
    size = _batch_of(signature, rows) or batch_size
    total = max(1, -(-rows // size))
    return (_slice(columns, start * size, size) for start in range(total)), total


def _is_keras_dataset(x: Any) -> bool:
    """Tell a dataset of Keras, such as a generator of images: batches by number, and iterated over it never ends."""
    return any(cls.__name__ in _KERAS_DATASETS and "keras" in cls.__module__ for cls in type(x).__mro__)


def _require_batched(signature: SignatureInfo, dataset: Any) -> None:
    """Refuse a dataset of single rows where the model's only input tells it from one of batches."""
    spec = _without_targets(dataset.element_spec)
    _require_all_inputs(signature, dataset.element_spec)
    if isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None and len(signature.inputs) == 1:
        shape = signature.inputs[0].shape
        if shape is not None and spec.shape.rank == len(shape) - 1:
            raise InputMismatchError(
                "the elements of the dataset are single rows", hint="pass batches: predict(dataset.batch(32))"
            )


def _require_all_inputs(signature: SignatureInfo, element_spec: Any) -> None:
    """Refuse a dataset of tuples of the inputs, of which the first one alone would be taken."""
    count = sum(not info.optional for info in signature.inputs)
    if count > 1 and isinstance(element_spec, tuple) and isinstance(element_spec[0], tf.TensorSpec):
        names = ", ".join(info.name for info in signature.inputs)
        raise InputMismatchError(
            f"elements of the dataset are read as (inputs, targets), and the first part holds 1 of {count} inputs",
            hint=f"map them to dicts of the inputs by name: {names}",
        )


def _without_targets(element: Any) -> Any:
    """Return the inputs of a dataset's element: as Keras reads it, a tuple goes on with targets and weights."""
    return element[0] if isinstance(element, tuple) else element


def _columns(signature: SignatureInfo, x: Any) -> dict[Any, Any]:
    """Return what is cut into batches by input name, or by its place in a list; under ``""`` what has neither."""
    if signature.composites:
        return {"": _of_parts(signature, x)}
    if signature.inputs:
        return {name: _sliceable(value) for name, value in bind(signature, (x,), {}).items()}
    if _are_columns(x):
        return dict(enumerate(x))
    return dict(x) if isinstance(x, Mapping) else {"": x}


def _of_parts(signature: SignatureInfo, x: Any) -> Any:
    """Return the ragged or sparse tensor of which the inputs are the parts; no first axis of those counts rows."""
    values = list(x.values()) if isinstance(x, Mapping) else x if isinstance(x, (list, tuple)) else [x]
    if signature.whole and len(values) == 1 and isinstance(values[0], (tf.RaggedTensor, tf.SparseTensor)):
        return values[0]
    kind = signature.composites[0].kind
    whole = f"pass the {kind} tensor itself, or " if signature.whole else ""
    raise InputMismatchError(
        f"parts of a {kind} tensor cannot be cut into batches", hint=f"{whole}call the model without .predict"
    )


def _are_columns(x: Any) -> bool:
    """Tell a list of arrays of rows, one for each input, from a list of rows."""
    return isinstance(x, (list, tuple)) and bool(x) and all(len(getattr(value, "shape", ())) > 1 for value in x)


def _sliceable(value: Any) -> Any:
    """Return a sparse matrix of scipy in the form that can be cut into rows, anything else as it is."""
    return value.tocsr() if hasattr(value, "tocsr") else value


def _row_count(columns: Mapping[Any, Any]) -> int:
    counts = {name: _rows(value) for name, value in columns.items()}
    if without := [name for name, count in counts.items() if count < 0]:
        named = f"input {without[0]!r}" if without[0] != "" else "what was passed"
        raise InputMismatchError(
            f"{named} has no rows: it is of type {type(columns[without[0]]).__name__}",
            hint="pass arrays or lists whose first axis counts rows, a tf.data.Dataset, or an iterator of batches",
        )
    if len(set(counts.values())) != 1:
        shown_counts = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise InputMismatchError(
            f"inputs differ in their number of rows: {shown_counts}", hint="the first axis of every input counts rows"
        )
    return next(iter(counts.values()))


def _rows(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return len(value)
    if isinstance(value, tf.RaggedTensor):
        return int(value.nrows())
    if isinstance(value, tf.TypeSpec) or type(value).__name__ == "KerasTensor":
        return -1  # what says of itself how many rows it would have
    return int(value.shape[0]) if len(getattr(value, "shape", ())) else -1


def _length_of(batch: Any) -> int:
    """Return how many rows a batch has, by the first of its inputs; -1 if that has no rows."""
    values = batch.values() if isinstance(batch, Mapping) else batch[:1] if _are_columns(batch) else [batch]
    return next(map(_rows, values), -1)


def _batch_of(signature: SignatureInfo, rows: int) -> int | None:
    """Return the number of rows that every call must have; None if the signature leaves it open."""
    sizes = {info.shape[0] for info in signature.inputs if info.shape and not signature.composites}
    fixed = next((size for size in sizes if size), None)
    if fixed and rows % fixed:
        raise InputMismatchError(
            f"{rows} rows cannot be cut into batches of {fixed}, which this signature takes",
            hint=f"pad the rows to a multiple of {fixed}, and drop the results of the padding",
        )
    return fixed


def _slice(columns: Mapping[Any, Any], start: int, size: int) -> Any:
    if "" in columns:
        return _cut(columns[""], start, size)
    if 0 in columns:
        return [_cut(value, start, size) for value in columns.values()]
    return {name: _cut(value, start, size) for name, value in columns.items()}


def _cut(value: Any, start: int, size: int) -> Any:
    if isinstance(value, tf.SparseTensor):
        rest = value.shape[1:]
        return tf.sparse.slice(value, [start, *(0 for _ in rest)], [size, *rest])
    return value[start : start + size]


def _to_numpy(leaf: Any) -> Any:
    """Bring a result out of the device, so that all of them together need not fit there."""
    return leaf.numpy() if isinstance(leaf, tf.Tensor) else leaf


def _joined(leaves: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Join an output of every batch, of *lengths* rows, if each row of a batch has the same number of its rows."""
    if len(leaves) == 1 or leaves[0] is None:
        return leaves[0]
    rows = [_rows(leaf) for leaf in leaves]
    first, length = rows[0], lengths[0]
    if any(have < 0 or have * length != first * given for have, given in zip(rows, lengths, strict=True)):
        raise InputMismatchError(
            "an output has no axis of rows, so batches cannot be joined", hint="call it with all rows at once"
        )
    if len(sizes := {_row_shape(leaf) for leaf in leaves}) > 1:
        raise InputMismatchError(
            f"rows of an output differ in shape between batches: {', '.join(map(str, sorted(sizes)))}",
            hint="call it batch by batch, or pad the inputs to one size",
        )
    if isinstance(leaves[0], np.ndarray):
        return np.concatenate(leaves)
    return tf.sparse.concat(0, list(leaves)) if isinstance(leaves[0], tf.SparseTensor) else tf.concat(leaves, axis=0)


def _row_shape(leaf: Any) -> tuple[int, ...]:
    """Return the shape of one row; of a ragged tensor, whose rows may differ, the same for all."""
    return () if isinstance(leaf, tf.RaggedTensor) else tuple(map(int, leaf.shape[1:]))


def shown(batches: Iterable[T], total: int | None) -> Iterator[T]:
    """Yield *batches*; after a second, show a progress bar if somebody watches: in a terminal or a notebook."""
    started = time.monotonic()
    bar: Any = None
    try:
        for done, batch in enumerate(batches):
            if bar is None and time.monotonic() - started > _PATIENCE:
                bar = _bar(total)
            if bar:
                bar.update(bar.task_ids[0], completed=done)
            yield batch
    finally:
        if bar:
            bar.stop()


def _bar(total: int | None) -> Any:
    """Return a started progress bar, or False where nobody watches."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        return False
    progress = Progress(console=console, transient=True)
    progress.add_task("predict", total=total)
    progress.start()
    return progress
