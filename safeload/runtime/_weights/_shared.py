"""Layers that two models share: files by path hold their weights once. Layer: runtime.

A config says twice what is one object, so that a model built from it has two.
"""

from __future__ import annotations

from typing import Any

from safeload.runtime._keras._package import flat_layers
from safeload.runtime._weights._ledger import Ledger


def fill_shared(model: Any, ledger: Ledger) -> None:
    """Give layers without arrays of their own the weights of the one layer of the same class, name and config.

    A layer that the saver had met before was not saved again. Source: ``visited_saveables`` in
    keras/src/saving/saving_lib.py (2.12 to 3.15); object graphs of TensorFlow name each object once.
    """
    wanted = set(ledger.wanted)
    saved = [layer for layer in flat_layers(model) if layer.weights and wanted.isdisjoint(map(id, layer.weights))]
    for copy in flat_layers(model):
        if not copy.weights or not all(id(variable) in ledger.wanted for variable in copy.weights):
            continue
        originals = [layer for layer in saved if _is_same(layer, copy)]
        if len(originals) == 1:
            for variable, original in zip(copy.weights, originals[0].weights, strict=True):
                ledger.assign(variable, original.numpy(), source=f"{copy.name} (shared)")


def _is_same(layer: Any, copy: Any) -> bool:
    return type(layer) is type(copy) and layer.name == copy.name and _config(layer) == _config(copy) is not None


def _config(layer: Any) -> Any:
    try:
        return layer.get_config()
    except Exception:  # noqa: BLE001 - custom layers may raise anything
        return None
