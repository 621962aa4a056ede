"""The variables of a function that was made from a config: filled from the file, handed on to the model.

Layer: runtime.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import tensorflow as tf
from tensorflow.python.ops import gen_resource_variable_ops

from safeload.dialects import Flavour, NormalForm
from safeload.errors import LoadFailedError
from safeload.readers import KerasArtifact, WeightLayout
from safeload.runtime._keras._direct._graph import NotUnderstoodError, Variable
from safeload.runtime._keras._package import own_variables, set_value
from safeload.runtime._variable_function import filled
from safeload.runtime._weights._ledger import weights_of
from safeload.runtime._weights._memory import as_tensor, read_array
from safeload.runtime._weights._paths import snake_case

if TYPE_CHECKING:
    from safeload.readers import WeightsFile

_SHOWN = 6
"""Names in an error."""


def filled_variables(variables: Sequence[Variable], artifact: KerasArtifact, normal: NormalForm) -> list[Any]:
    """Return handles of variables with the values of the file, in their order.

    Raises:
        NotUnderstoodError: The arrays of the file are not exactly these variables, under the names that Keras gives.
        MalformedArtifactError: ``malformed-artifact``. One cannot be read.
    """
    if normal.writer.flavour is Flavour.KERAS_1 or artifact.metadata.get("backend") not in (None, "tensorflow"):
        raise NotUnderstoodError("its kernels may lie otherwise")
    if normal.renamed or artifact.assets:
        raise NotUnderstoodError("its layers had other names, or assets")
    stored = {dataset.path: dataset for dataset in weights_of(artifact.weights)}
    is_legacy = artifact.weights.layout is WeightLayout.LEGACY_HDF5
    paths = list(_by_name(variables, artifact) if is_legacy else _by_path(variables, normal))
    if sorted(paths) != sorted(stored):
        raise NotUnderstoodError("the arrays have other names")
    for variable, path in zip(variables, paths, strict=True):
        if stored[path].shape != variable.shape or stored[path].dtype != "float32":
            raise NotUnderstoodError(f"{path} is another array")
    file = cast("WeightsFile", artifact.weights_file)
    return filled([as_tensor(read_array(file, stored[path])) for path in paths])


def _by_path(variables: Sequence[Variable], normal: NormalForm) -> Iterator[str]:
    """Yield where an archive has each variable: ``layers/conv2d_3/vars/0``; see `named_members`."""
    used: Counter[str] = Counter()
    owners: dict[str, str] = {}
    for entry in normal.config["config"]["layers"]:
        kind = snake_case(entry["class_name"])
        owners[entry["name"]] = f"{kind}_{used[kind]}" if used[kind] else kind
        used[kind] += 1
    counts: Counter[str] = Counter()
    for variable in variables:
        yield f"layers/{owners[variable.layer]}/vars/{counts[variable.layer]}"
        counts[variable.layer] += 1


def _by_name(variables: Sequence[Variable], artifact: KerasArtifact) -> Iterator[str]:
    """Yield where an HDF5 file has each variable: by the name of its layer, and the last of its own."""
    found: dict[tuple[str, str], str] = {}
    for group in artifact.weights.layers:
        for name, dataset in zip(group.weight_names, group.datasets, strict=True):
            leaf = name.rpartition("/")[2].partition(":")[0]
            found[group.layer_name, leaf] = dataset.path
    for variable in variables:
        names = variable.name, f"depthwise_{variable.name}"  # of a DepthwiseConv2D of Keras 2
        yield next((found[variable.layer, name] for name in names if (variable.layer, name) in found), "")


def hand_over(model: Any, variables: Sequence[Variable], handles: Sequence[Any], where: str) -> None:
    """Give the variables of a built *model* the values of *handles*, whose memory they share until one is changed.

    Raises:
        LoadFailedError: ``load-failed``. The installed Keras gives the layers other variables.
    """
    built = {(layer.name, found.name): found for layer in model.layers for found in own_variables(layer)}
    values = {(variable.layer, variable.name): handle for variable, handle in zip(variables, handles, strict=True)}
    if built.keys() != values.keys():
        names = ", ".join("/".join(key) for key in sorted(built.keys() ^ values.keys())[:_SHOWN])
        raise LoadFailedError(where, problem=f"the installed Keras builds its layers with other weights: {names}")
    for key, handle in values.items():
        set_value(built[key], gen_resource_variable_ops.read_variable_op(handle, tf.float32))
