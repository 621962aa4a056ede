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


def predict(call: Callable[[Any], Any], signature: SignatureInfo, x: Any, *, batch_size: int) -> Any:
    """Call *call* on every batch of *x* and join the results; see `ModelCallable.predict`."""
    batches: Iterator[Any]
    if isinstance(x, (tf.data.Dataset, Iterator)):
        batches, total = map(_without_targets, x), _length(x)
    else:
        columns = _columns(signature, x)
        rows = _row_count(columns)
        size = _fixed_batch(signature) or batch_size
        total = max(1, -(-rows // size))
        batches = (_slice(columns, start * size, size) for start in range(total))
    parts = [tf.nest.map_structure(_to_numpy, call(batch)) for batch in shown(batches, total)]
    if not parts:
        raise InputMismatchError(
            "there are no batches to predict on", hint="an iterator gives its elements once; check the dataset"
        )
    return tf.nest.map_structure(lambda *leaves: _joined(leaves), *parts)


def _without_targets(element: Any) -> Any:
    """Return the inputs of a dataset's element: as Keras reads it, a tuple goes on with targets and weights."""
    return element[0] if isinstance(element, tuple) else element


def _length(x: Any) -> int | None:
    length = int(x.cardinality()) if isinstance(x, tf.data.Dataset) else -1
    return length if length >= 0 else None


def _columns(signature: SignatureInfo, x: Any) -> dict[str, Any]:
    """Return what is cut into batches by input name; under ``""`` what goes to the model as it is."""
    if signature.inputs:
        return bind(signature, (x,), {})
    return dict(x) if isinstance(x, Mapping) else {"": x}


def _row_count(columns: Mapping[str, Any]) -> int:
    counts = {name: _rows(value) for name, value in columns.items()}
    if len(set(counts.values())) != 1 or -1 in counts.values():
        raise InputMismatchError(
            f"inputs differ in their number of rows: {counts}", hint="the first axis of every input counts rows"
        )
    return next(iter(counts.values()))


def _rows(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return len(value)
    if isinstance(value, tf.RaggedTensor):
        return int(value.nrows())
    return int(value.shape[0]) if len(getattr(value, "shape", ())) else -1


def _fixed_batch(signature: SignatureInfo) -> int | None:
    sizes = {info.shape[0] for info in signature.inputs if info.shape}
    return next((size for size in sizes if size is not None), None)


def _slice(columns: Mapping[str, Any], start: int, size: int) -> Any:
    if "" in columns:
        return columns[""][start : start + size]
    return {name: value[start : start + size] for name, value in columns.items()}


def _to_numpy(leaf: Any) -> Any:
    """Bring a result out of the device, so that all of them together need not fit there."""
    return leaf.numpy() if isinstance(leaf, tf.Tensor) else leaf


def _joined(leaves: Sequence[Any]) -> Any:
    if len(leaves) == 1:
        return leaves[0]
    if any(len(leaf.shape) == 0 for leaf in leaves):
        raise InputMismatchError(
            "an output has no axis of rows, so batches cannot be joined", hint="call it with all rows at once"
        )
    return np.concatenate(leaves) if isinstance(leaves[0], np.ndarray) else tf.concat(leaves, axis=0)


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
