"""Weights of a TensorFlow checkpoint that ``Model.save_weights`` or ``tf.train.Checkpoint`` wrote.

Keys are paths along attributes, ``layer_with_weights-0/kernel`` or ``d1/kernel``. Layer: runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from safeload.dialects import NormalForm
from safeload.errors import LoadFailedError
from safeload.readers import KerasArtifact
from safeload.runtime._keras._package import flat_layers, is_trackable, own_variables
from safeload.runtime._weights._convert import converted
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._ledger import Ledger, name_of
from safeload.runtime._weights._match import Slot, leaf_name
from safeload.runtime._weights._paths import CheckpointFinder
from safeload.runtime._weights._saved import Saved
from safeload.runtime._weights._states import SUMMARY, set_summary, takes_summary

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""End of the keys that hold variables. Source: tensorflow/python/trackable/trackable_utils.py."""


def set_checkpoint(model: Any, artifact: KerasArtifact, normal: NormalForm | None, ledger: Ledger) -> None:
    """Set the weights of *model* from a checkpoint that records objects.

    The model is the whole checkpoint, or the one part of ``Checkpoint(net=model, step=…)`` that fits it exactly.

    Raises:
        LoadFailedError: ``load-failed``. Keys and variables do not agree, or the checkpoint records names of a graph.
    """
    finder = CheckpointFinder(model, LayerOrder(model, normal))
    _take_summaries(finder, ledger)
    parts = _parts(list(ledger.unread))
    owners = {id(v): layer for layer in flat_layers(model) for v in own_variables(layer)}
    fused = _fused(ledger)
    found = {part: _found(finder, owners, part, keys, fused) for part, keys in parts.items()}
    used_up = [part for part, keys in parts.items() if len(keys) == len(found[part])]
    exact = [part for part in used_up if len(found[part]) == len(ledger.wanted)]
    fitting = exact if exact or normal is None else used_up  # a config says twice what is shared
    if len(fitting) > 1:
        raise LoadFailedError(
            artifact.where,
            problem=f"several parts of the checkpoint fit the model: {', '.join(fitting)}",
            hint="restore the one that is meant in TensorFlow and save it alone",
        )
    part = fitting[0] if fitting else max(found, key=lambda part: len(found[part]), default="")
    pairs = [_pair(key, variable, owners, ledger) for key, variable in found.get(part, {}).items()]
    for item, slot in converted(pairs, backend=None):
        ledger.assign(slot.variable, item.read(), source=item.source)
    if fitting:
        ledger.unread.clear()  # what is beside the part: counters, optimizers, other models


def _pair(key: str, variable: Any, owners: Mapping[int, Any], ledger: Ledger) -> tuple[Saved, Slot]:
    source = key.removesuffix(VALUE)
    owner, _, leaf = source.rpartition("/")
    layer = owners.get(id(variable))
    item = Saved((owner,), leaf, tuple(ledger.unread[key].shape), partial(ledger.read, key), source)
    return item, Slot((owner, leaf), tuple(variable.shape), is_known=False, variable=variable, layer=layer)


def _fused(ledger: Ledger) -> set[str]:
    """Return the paths of layers of cuDNN, which have no cell: their bias is twice as long as that of the gates.

    Source: ``build`` in tensorflow/python/keras/layers/cudnn_recurrent.py (1.15.5, 2.1.4).
    """
    shapes = {key.removesuffix(VALUE): tuple(array.shape) for key, array in ledger.unread.items()}
    owners = {path.rpartition("/")[0]: shape for path, shape in shapes.items() if path.endswith("/recurrent_kernel")}
    return {owner for owner, shape in owners.items() if shapes.get(f"{owner}/bias") == (2 * shape[-1],)}


def _take_summaries(finder: CheckpointFinder, ledger: Ledger) -> None:
    """Take what layers learned from data; the model is the whole checkpoint, or at a name of its own."""
    for key in [key for key in ledger.unread if key.removesuffix(VALUE).endswith(f"/{SUMMARY}")]:
        path = key.removesuffix(VALUE).removesuffix(f"/{SUMMARY}")
        for owner in (path, path.partition("/")[2]):
            layer = finder.find(owner)
            if layer is not None and takes_summary(layer):
                set_summary(layer, {SUMMARY: ledger.read(key)}, owner, ledger)
                break


def _parts(keys: list[str]) -> dict[str, list[str]]:
    """Return the keys of the whole, and those of each thing that a `tf.train.Checkpoint` was given by name."""
    parts = {"": keys} if keys else {}
    for key in keys:
        name, _, rest = key.removesuffix(VALUE).partition("/")
        if rest:
            parts.setdefault(name, []).append(key)
    return parts


def _found(
    finder: CheckpointFinder, owners: Mapping[int, Any], part: str, keys: list[str], fused: set[str]
) -> dict[str, Any]:
    """Return the variables of the model for the *keys* that lead to one, if the model is at *part*.

    The weights of what is *fused* are those of a cell today.
    """
    found: dict[str, Any] = {}
    taken: set[int] = set()
    for key in keys:
        owner, _, leaf = key.removesuffix(VALUE).rpartition("/")
        path = f"{owner}/cell/{leaf}" if owner in fused else key.removesuffix(VALUE)
        variable = _variable(finder, owners, path[len(part) :].removeprefix("/"))
        if variable is not None and id(variable) not in taken:
            found[key] = variable
            taken.add(id(variable))
    return found


def _variable(finder: CheckpointFinder, owners: Mapping[int, Any], path: str) -> Any:
    owner, _, leaf = path.rpartition("/")
    thing = finder.follow(owner)
    if isinstance(thing, list | tuple | dict):
        member = finder.follow(path)
        return member if id(member) in owners else None
    return _named(thing, leaf) if is_trackable(thing) else None


def _named(layer: Any, leaf: str) -> Any:
    """Return the weight of *layer* at the attribute or, else, of the name *leaf*; of several, the last one made.

    A layer of Keras 2 notes a weight under its name, in place of one that had this name before.

    Source: ``add_weight`` of tensorflow/python/keras/engine/base_layer.py (TensorFlow 2.3.4), which passes
    ``overwrite=True``; the same in tf_keras 2.21.
    """
    variables = own_variables(layer)
    attribute = getattr(layer, leaf, None)
    named = [v for v in variables if v is attribute] or [v for v in variables if _bare_name(v) == leaf]
    named = named or [v for v in variables if leaf_name(_bare_name(v)) == leaf_name(leaf)][:1]
    return named[-1] if named else None


def _bare_name(variable: Any) -> str:
    return name_of(variable).rpartition("/")[2]
