"""Weights of a TensorFlow checkpoint that ``Model.save_weights`` or ``tf.train.Checkpoint`` wrote.

Keys are paths along attributes, ``layer_with_weights-0/kernel`` or ``d1/kernel``. Layer: runtime.
"""

from __future__ import annotations

from typing import Any

from safeload.dialects import NormalForm
from safeload.readers import KerasArtifact
from safeload.runtime._keras_package import own_variables
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._ledger import Ledger, name_of
from safeload.runtime._weights._match import leaf_name
from safeload.runtime._weights._paths import PathFinder

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""End of the keys that hold variables. Source: tensorflow/python/trackable/trackable_utils.py."""


def set_checkpoint(model: Any, artifact: KerasArtifact, normal: NormalForm | None, ledger: Ledger) -> None:
    """Set the weights of *model* from a checkpoint that records objects.

    Raises:
        LoadFailedError: ``load-failed``. Keys and variables do not agree, or the checkpoint records names of a graph.
    """
    del artifact
    finder = PathFinder(model, LayerOrder(normal))
    for key in list(ledger.unread):
        variable = _variable(finder, key.removesuffix(VALUE))
        if variable is not None:
            ledger.assign(variable, ledger.read(key), source=key.removesuffix(VALUE))


def _variable(finder: PathFinder, path: str) -> Any:
    for candidate in (path, path.partition("/")[2]):
        owner, _, leaf = candidate.rpartition("/")
        thing = finder.find(owner)
        variables = own_variables(thing) if thing is not None else []
        found = next((v for v in variables if v is getattr(thing, leaf, None) or _leaf(v) == leaf_name(leaf)), None)
        if found is not None:
            return found
    return None


def _leaf(variable: Any) -> str:
    return leaf_name(name_of(variable).rpartition("/")[2])
