"""What Keras 2 saved among the weights and Keras 3 holds in no variable: boundaries of bins, weights of words.

Layer: runtime.

Source: ``layers/preprocessing/discretization.py`` and ``index_lookup.py`` of keras 2.15.0 and 3.15.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safeload.errors import LoadFailedError
from safeload.readers import KerasArtifact
from safeload.runtime._keras._package import flat_layers, is_container, is_own_class, own_variables, sublayers
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._ledger import Ledger

SUMMARY = "summary"
_IDF = "Variable"
"""Name that TensorFlow gave the weights of words, which have none: ``tf.Variable`` in index_lookup.py of 2.13.1."""


def takes_summary(layer: Any) -> bool:
    """Tell whether *layer* bins by what it learned from data, which Keras 3 keeps outside of variables."""
    is_discretization = type(layer).__name__ == "Discretization" and is_own_class(layer)
    return is_discretization and getattr(layer, SUMMARY, None) is not None and not own_variables(layer)


def has_weights(layer: Any) -> bool:
    """Tell whether *layer* has weights, or had some in Keras 2: files count layers that have any."""
    return bool(layer.weights) or any(map(_has_state, flat_layers(layer)))


def _has_state(layer: Any) -> bool:
    return takes_summary(layer) or _has_idf(layer) or learns_words(layer)


def learns_words(layer: Any) -> bool:
    """Tell whether *layer* looks words up that are not in its config; Keras 2 counts its table among the weights."""
    return hasattr(layer, "lookup_table") and getattr(layer, "input_vocabulary", None) is None


def _has_idf(layer: Any) -> bool:
    return getattr(layer, "idf_weights", None) is not None


def set_summary(layer: Any, arrays: Mapping[str, Any], owner: str, ledger: Ledger) -> None:
    """Give *layer* the summary of the data that it was adapted to, and let it make its boundaries.

    Raises:
        LoadFailedError: ``load-failed``. *arrays* are no summary: two rows, values and weights.
    """
    summary, *others = arrays.values()
    if others or summary.ndim != 2 or summary.shape[0] != 2:
        shapes = ", ".join(f"{owner}/{key} {array.shape}" for key, array in arrays.items())
        raise ledger.mismatch([f"{shapes} is no summary of data for the layer {layer.name!r}"])
    layer.summary = summary
    layer.finalize_state()


def take_states(layers: Mapping[str, Any], artifact: KerasArtifact, order: LayerOrder, ledger: Ledger) -> None:
    """Take from files with a group per layer what belongs to no variable.

    Args:
        layers: The layers of the model by their names in the file.
        artifact: Holds the groups, which list what the layers inside of a layer have in the order of these.
        order: The order of layers in models.
        ledger: The account.

    Raises:
        LoadFailedError: ``load-failed``. Weights of words are not those of the config.
    """
    for group in artifact.weights.layers:
        inner = list(_tree(layers[group.layer_name], order)) if group.layer_name in layers else []
        waiting = {
            SUMMARY: iter([layer for layer in inner if takes_summary(layer)]),
            _IDF: iter([layer for layer in inner if _has_idf(layer)]),
        }
        for name, dataset in zip(group.weight_names, group.datasets, strict=True):
            leaf = name.partition(":")[0].rpartition("/")[2]
            layer = next(waiting.get(leaf, iter(())), None) if dataset.path in ledger.unread else None
            if layer is not None and leaf == SUMMARY:
                set_summary(layer, {leaf: ledger.read(dataset.path)}, group.layer_name, ledger)
            elif layer is not None:
                _require_same(layer, ledger.read(dataset.path), ledger)


def _tree(layer: Any, order: LayerOrder) -> Iterator[Any]:
    yield layer
    for child in order.layers(layer) if is_container(layer) else sublayers(layer):
        yield from _tree(child, order)


def _require_same(layer: Any, array: Any, ledger: Ledger) -> None:
    import numpy as np

    known = np.asarray(layer.idf_weights)
    if known.shape != array.shape or not np.allclose(known, array):
        raise ledger.mismatch([f"the layer {layer.name!r} has other weights of words than its config"])


def require_states(model: Any, artifact: KerasArtifact) -> None:
    """Check that every layer has what it learned from data.

    Raises:
        LoadFailedError: ``load-failed``. The file does not hold the boundaries of bins, or the weights of words.
    """
    for layer in flat_layers(model):
        # None, or in early releases of Keras 3 an empty list, which makes one bin of everything.
        without_bins = takes_summary(layer) and (layer.bin_boundaries is None or len(layer.bin_boundaries) == 0)
        if without_bins or (_has_idf(layer) and _waits(layer)):
            what = "boundaries" if without_bins else "weights of words"
            raise LoadFailedError(
                artifact.where,
                problem=f"the {what} of the layer {layer.name!r} are not in the file",
                hint="save the model again as .keras, or export it as a SavedModel",
            )


def _waits(layer: Any) -> bool:
    import numpy as np

    return bool(np.isnan(np.asarray(layer.idf_weights)).any())
