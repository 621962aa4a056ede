"""The account of a weight transfer: what was read, what was set, what is left.

Owns assignment and the error that lists disagreements. Layer: runtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from safeload.errors import LoadFailedError
from safeload.readers import DatasetInfo, KerasArtifact, WeightIndex, WeightLayout
from safeload.runtime._keras._package import set_value
from safeload.runtime._weights._memory import as_tensor, read_array

if TYPE_CHECKING:
    import numpy as np

    from safeload.readers import WeightsFile

_NO_WEIGHT_PATH = re.compile(
    r"(^|/)(_?optimizer|compiled_metrics|compiled_loss|_compile_metrics|_?loss_tracker|_?metrics|seed_generator\w*"
    r"|_seed_generators?|_?random_generator)/"
)
"""Object paths of state that only training or random layers use.

Source: attributes that ``saving_lib`` walks in keras 2.12 to 3.15 (``optimizer``, ``_metrics``, ``seed_generator``), of
models inside models too, as in a GAN whose discriminator is compiled.
"""

_NO_CHECKPOINT_WEIGHT = re.compile(
    r"(^|/)(optimizer|keras_api|save_counter|loss|_optimizer|_rng|_random_generator)/|/\.OPTIMIZER_SLOT/"
    r"|^_CHECKPOINTABLE|^save_counter"
    r"|(^|/)\.ATTRIBUTES/OBJECT_CONFIG_JSON$"
)
"""Keys of a checkpoint that hold no weights.

Source: tensorflow/python/checkpoint/graph_view.py (TensorFlow 2.21); ``_rng`` and ``_random_generator`` of layers
in python/keras/layers/preprocessing/image_preprocessing.py (TensorFlow 2.3) and keras/engine/base_layer.py (2.9).
"""

_NO_WEIGHT_NAME = re.compile(r"(^|/)(StateVar|seed_generator_state)(_\d+)?(:0)?$")
"""Names of weights in the legacy layout that are the state of a random generator.

Source: ``tf.random.Generator`` in HDF5 files of keras 2.6 to 2.15; ``SeedGenerator`` in keras 3.15.
"""

_METRIC_STATE = {"total", "count"}
"""Weights of a metric that Keras 2 saved as a layer (``add_metric``)."""

_SHOWN = 6


class Ledger:
    """Keeps account while weights go from a file into a model."""

    def __init__(self, model: Any, artifact: KerasArtifact) -> None:
        self.artifact = artifact
        self.wanted = {id(v): v for v in model.weights}
        self.unread = {d.path: d for d in weights_of(artifact.weights)}

    def read(self, path: str) -> np.ndarray[Any, Any]:
        """Return the array at *path* and note that it was used.

        Raises:
            LoadFailedError: ``load-failed``. It was used before: the saver gave two weights one name.
        """
        if path not in self.unread:
            raise self.mismatch([f"{path} is the name of two weights, of which the file holds one"])
        return read_array(cast("WeightsFile", self.artifact.weights_file), self.unread.pop(path))

    def assign(self, variable: Any, value: np.ndarray[Any, Any], *, source: str) -> None:
        """Set *variable* to *value*.

        Raises:
            LoadFailedError: ``load-failed``. Shape or kind of numbers differ.
        """
        if tuple(variable.shape) != tuple(value.shape):
            shapes = f"{source} {tuple(value.shape)} does not fit {name_of(variable)} {tuple(variable.shape)}"
            raise self.mismatch([shapes])
        set_value(variable, as_tensor(_cast(value, variable, self)))
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

    def mismatch(self, lines: Iterable[str], *, count: int | None = None, hint: str | None = None) -> LoadFailedError:
        """Return the error that lists *lines*."""
        shown = list(lines)
        total = len(shown) if count is None else count
        more = f"; and {total - len(shown)} more" if total > len(shown) else ""
        return LoadFailedError(
            self.artifact.where,
            problem=f"the weights do not fit the model: {'; '.join(shown)}{more}",
            hint=hint or "use the architecture and the classes that this file was saved from",
        )


def weights_of(index: WeightIndex) -> Iterator[DatasetInfo]:
    """Yield the arrays that are weights: what a layer lists, or what lies in a ``vars`` group."""
    if index.layout is WeightLayout.CHECKPOINT:
        yield from (d for d in index.datasets if not _NO_CHECKPOINT_WEIGHT.search(d.path))
        return
    if index.layout is not WeightLayout.LEGACY_HDF5:
        yield from (d for d in index.datasets if not _NO_WEIGHT_PATH.search(d.path.replace("\\", "/")))
        return
    for layer in index.layers:
        leaves = {name.rpartition("/")[2].partition(":")[0] for name in layer.weight_names}
        if leaves != _METRIC_STATE:
            named = zip(layer.weight_names, layer.datasets, strict=True)
            yield from (dataset for name, dataset in named if not _NO_WEIGHT_NAME.search(name))


def name_of(variable: Any) -> str:
    """Return the path of *variable* in the model: ``dense/kernel``."""
    return str(getattr(variable, "path", variable.name)).removesuffix(":0")


def _cast(value: np.ndarray[Any, Any], variable: Any, ledger: Ledger) -> np.ndarray[Any, Any]:
    import numpy as np
    import tensorflow as tf

    dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
    if value.dtype == dtype or value.dtype.kind == "O":
        return value
    is_float = tf.as_dtype(value.dtype).is_floating and tf.as_dtype(variable.dtype).is_floating
    is_narrowed = value.dtype.kind == "c" and np.dtype(dtype).kind != "c"
    with np.errstate(all="ignore"):  # numpy warns of numbers that do not fit, and of imaginary parts always
        cast = (value.real if is_narrowed else value).astype(dtype)
        if not is_float and not np.array_equal(cast.astype(value.dtype), value):
            raise ledger.mismatch([f"{name_of(variable)} is {np.dtype(dtype).name}, the array is {value.dtype}"])
    return cast
