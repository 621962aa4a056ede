"""Layer normalization by the variance alone, which Keras 3 before 3.4 does not record. Layer: runtime.

With ``rms_scaling=True`` such a layer has gamma and no beta, whatever ``center`` and ``scale`` say.

Source: ``build`` and ``get_config`` in keras/src/layers/normalization/layer_normalization.py of 3.0.5, 3.3.3 and 3.4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safeload.dialects import Flavour, NormalForm
from safeload.errors import IncompatibleVersionError
from safeload.inspection import dicts_in
from safeload.runtime._keras._package import is_own_class
from safeload.runtime._weights._ledger import Ledger, name_of

_RECORDED = (3, 4)


def find_rms_scaling(layer: Any, names: Sequence[str], normal: NormalForm | None, ledger: Ledger) -> None:
    """Let *layer* scale by the variance if its arrays, called *names*, can only be those of a layer that does.

    Args:
        layer: A layer of the built model.
        names: ``gamma``, ``beta``, or numbers in an archive.
        normal: The config that the model was built from.
        ledger: The account of the variables.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. The one array may be gamma or beta.
    """
    variables = {name_of(variable).rpartition("/")[2]: variable for variable in _own(layer, normal)}
    if len(names) != 1 or "beta" not in variables or names[0] == "beta" or not _adds_nothing(layer):
        return
    if len(variables) == 1 and names[0] != "gamma":
        if _is_recorded(normal, layer.name):
            return
        raise IncompatibleVersionError(
            layer.name,
            problem="its one weight may be beta, or gamma with rms_scaling, which Keras before 3.4 does not record",
            hint='write "rms_scaling": true or false into the config of the layer',
        )
    layer._tracker.unlock()  # noqa: SLF001
    if "gamma" not in variables:
        layer.gamma = layer.add_weight(name="gamma", shape=variables["beta"].shape, initializer="ones")
    layer._untrack_variable(variables["beta"])  # noqa: SLF001
    layer._tracker.lock()  # noqa: SLF001
    ledger.note(variables["beta"])
    layer.beta, layer.rms_scaling = None, True


def _own(layer: Any, normal: NormalForm | None) -> list[Any]:
    """Return the variables of *layer* if it is a LayerNormalization whose config may lack the key."""
    if type(layer).__name__ != "LayerNormalization" or not is_own_class(layer) or normal is None:
        return []
    writer = normal.writer
    return list(layer.variables) if writer.flavour is Flavour.KERAS_3 and writer.may_be_before(_RECORDED) else []


def _adds_nothing(layer: Any) -> bool:
    """Tell whether gamma is along the last axes: early releases multiply by it as it is, later ones along its axes."""
    rank = len(layer.get_build_config()["input_shape"])
    return sorted(axis % rank for axis in layer.axis) == list(range(rank - len(layer.axis), rank))


def _is_recorded(normal: NormalForm | None, name: str) -> bool:
    configs = dicts_in(normal.config) if normal is not None else ()
    return any(config.get("name") == name and "rms_scaling" in config for config in configs)
