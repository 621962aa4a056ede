"""The account of a weight transfer: what was read, what was set, what is left.

Owns assignment and the error that lists disagreements. Layer: runtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from safeload.errors import LoadFailedError
from safeload.readers import KerasArtifact

if TYPE_CHECKING:
    import numpy as np

_NO_WEIGHT = re.compile(
    r"(^|/)(optimizer|optimizer_weights|_optimizer|metrics|_metrics|compiled_metrics|compiled_loss|_compile_metrics|"
    r"_loss_tracker|loss_tracker|seed_generator\w*|_seed_generators?|_random_generator|random_generator)(/|$)"
    r"|(^|/)(StateVar|seed_generator_state|total|count_metric)(_\d+)?(:0)?$"
)
"""Paths of state that only training or random layers use.

Source: attributes that ``saving_lib`` walks in Keras 2.12 to 3.15 (``optimizer``, ``_metrics``, ``seed_generator``);
``StateVar`` is the state of ``tf.random.Generator`` in HDF5 files of Keras 2.6 to 2.15.
"""

_SHOWN = 6


class Ledger:
    """Keeps account while weights go from a file into a model."""

    def __init__(self, model: Any, artifact: KerasArtifact) -> None:
        self.artifact = artifact
        self.wanted = {id(v): v for v in model.weights}
        self.unread = {d.path: d for d in artifact.weights.datasets if not _NO_WEIGHT.search(d.path)}

    def read(self, path: str) -> np.ndarray[Any, Any]:
        """Return the array at *path* and note that it was used."""
        assert self.artifact.weights_file is not None
        self.unread.pop(path, None)
        return self.artifact.weights_file.read(path)

    def assign(self, variable: Any, value: np.ndarray[Any, Any], *, source: str) -> None:
        """Set *variable* to *value*.

        Raises:
            LoadFailedError: ``load-failed``. Shape or kind of numbers differ.
        """
        if tuple(variable.shape) != tuple(value.shape):
            raise self.mismatch([f"{source} {tuple(value.shape)} does not fit {name_of(variable)} {tuple(variable.shape)}"])
        variable.assign(_cast(value, variable, self))
        self.note(variable)

    def note(self, variable: Any) -> None:
        """Note that *variable* has its value."""
        self.wanted.pop(id(variable), None)

    def close(self) -> None:
        """Check that nothing is left over on either side.

        Raises:
            LoadFailedError: ``load-failed``. An array was not used or a variable was not set.
        """
        unset = [f"no array for {name_of(v)} {tuple(v.shape)}" for v in self.wanted.values()]
        unused = [f"no variable for {d.path} {d.shape}" for d in self.unread.values()]
        if unset or unused:
            raise self.mismatch([*unset[:_SHOWN], *unused[:_SHOWN]], count=len(unset) + len(unused))

    def mismatch(self, lines: Iterable[str], *, count: int | None = None) -> LoadFailedError:
        """Return the error that lists *lines*."""
        shown = list(lines)
        total = len(shown) if count is None else count
        more = f"; and {total - len(shown)} more" if total > len(shown) else ""
        return LoadFailedError(
            self.artifact.where,
            problem=f"the weights do not fit the model: {'; '.join(shown)}{more}",
            hint="use the architecture and the classes that this file was saved from",
        )


def name_of(variable: Any) -> str:
    """Return the path of *variable* in the model: ``dense/kernel``."""
    return str(getattr(variable, "path", variable.name)).removesuffix(":0")


def _cast(value: np.ndarray[Any, Any], variable: Any, ledger: Ledger) -> np.ndarray[Any, Any]:
    import numpy as np
    import tensorflow as tf

    dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
    if value.dtype == dtype or value.dtype.kind == "O":
        return value
    cast = value.astype(dtype)
    is_float = tf.as_dtype(value.dtype).is_floating and tf.as_dtype(variable.dtype).is_floating
    if not is_float and not np.array_equal(cast.astype(value.dtype), value):
        raise ledger.mismatch([f"{name_of(variable)} is {np.dtype(dtype).name}, the array is {value.dtype}"])
    return cast
