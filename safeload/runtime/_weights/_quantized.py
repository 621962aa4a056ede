"""Weights of quantized layers: what releases of Keras 3 arranged otherwise or left out. Layer: runtime.

Source:
    ``save_own_variables`` in keras/src/layers/core/dense.py: 3.1.1 writes bias, kernel and a scale of shape
    ``(1, units)``; 3.2.1 kernel as 0, bias as 1 if there is one, scale as 2; 3.3.0 numbers what there is.
    ``_int8_build`` in core/embedding.py: a scale for each column in 3.3.3, and for each row in 3.4.0.
    ``_int4_build`` in core/dense.py and einsum_dense.py: up to 3.13.2 two rows in one byte and inputs in 255 steps,
    from 3.14.0 two columns in one byte and inputs as they are.
    ``save_own_variables`` of both: 3.14.0 to 3.15.1 skip the ``kernel_zero`` of GPTQ and AWQ. ``_gptq_call`` and
    ``_awq_call``: before its calibration a layer computes with its float kernel, which is not saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.dialects import EXPORT_HINT, Flavour, NormalForm
from safeload.errors import IncompatibleVersionError, LoadFailedError
from safeload.runtime._keras._package import flat_layers, is_own_class, is_quantized, package_of
from safeload.runtime._weights._convert import is_scale_of_one_row
from safeload.runtime._weights._ledger import Ledger

_NUMBERS_WHAT_THERE_IS = (3, 3)
_SCALES_ROWS = (3, 4)
_PACKS_COLUMNS = (3, 14)
_CALIBRATED = ("gptq", "awq")
_LOST_HINT = "where the model was quantized, export it as a SavedModel: model.export(path)"


def require_todays_quantization(model: Any, normal: NormalForm | None) -> None:
    """Refuse what the saver quantized otherwise than the installed Keras does.

    Scales of columns in the file and of rows in the model may have one shape.

    Raises:
        IncompatibleVersionError: ``incompatible-version``.
    """
    if normal is None or normal.writer.flavour is not Flavour.KERAS_3:
        return
    keras = package_of(model)
    packs_rows = tuple(int(number) for number in keras.__version__.split(".")[:2]) < _PACKS_COLUMNS
    for layer in flat_layers(model):
        is_embedding = type(layer).__name__ == "Embedding" and is_own_class(layer) and is_quantized(layer)
        if is_embedding and normal.writer.is_before(_SCALES_ROWS, layer.name):
            problem = "it is quantized with a scale for each column, as Keras before 3.4 does, and not for each row"
            raise IncompatibleVersionError(layer.name, problem=problem, hint=EXPORT_HINT)
        if _is_packed(layer) and _packed_rows(layer, normal) is not packs_rows:
            installed = f"the installed {keras.__version__}"
            before, since = ("the saver", installed) if not packs_rows else (installed, "the saver")
            problem = (
                f"{before}, a Keras before 3.14, quantizes the inputs of int4 kernels and packs rows of these, "
                f"{since} packs columns and leaves the inputs as they are"
            )
            raise IncompatibleVersionError(layer.name, problem=problem, hint=EXPORT_HINT)


def _is_packed(layer: Any) -> bool:
    is_dense = type(layer).__name__ in {"Dense", "EinsumDense"} and is_own_class(layer)
    return is_dense and getattr(layer, "quantization_mode", None) == "int4"


def _packed_rows(layer: Any, normal: NormalForm) -> bool:
    """Tell whether the saver packed rows: ``quantize`` of 3.14 and later names the size of blocks in the policy."""
    is_named = "/" in str(getattr(layer.dtype_policy, "name", ""))
    return not is_named and normal.writer.is_before(_PACKS_COLUMNS, layer.name)


def in_todays_order(
    layer: Any, where: str, entries: Mapping[str, str], normal: NormalForm | None, ledger: Ledger
) -> Mapping[str, str]:
    """Return *entries*, number → path, of the arrays of *layer* as today's Dense numbers them: the kernel first.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. They are quantized, and the layer is not.
        LoadFailedError: ``load-failed``. The saver left out the zero points.
    """
    dtypes = {key: ledger.unread[path].dtype for key, path in entries.items()}
    is_integer = {key: dtype in ("int8", "uint8") for key, dtype in dtypes.items()}
    if not is_own_class(layer) or not any(is_integer.values()):
        return entries
    if not is_quantized(layer):
        problem = "its weights are quantized, and the config does not say so"
        raise IncompatibleVersionError(where, problem=problem, hint=EXPORT_HINT)
    if layer.dtype_policy.quantization_mode in _CALIBRATED and list(dtypes.values()).count("uint8") == 1:
        problem = "the file has its packed kernel without the zero points, which Keras 3.14 and 3.15 forget to save"
        raise LoadFailedError(where, problem=problem, hint=_LOST_HINT)
    if type(layer).__name__ != "Dense" or normal is None or not normal.writer.may_be_before(_NUMBERS_WHAT_THERE_IS):
        return entries
    ordered = sorted(entries, key=lambda key: (not is_integer[key], key))
    return {str(number): entries[key] for number, key in enumerate(ordered)}


def with_flat_scale(array: Any, layer: Any) -> Any:
    """Return *array*, without its first axis if it is the scale of a Dense *layer* of Keras 3.1."""
    scale = getattr(layer, "kernel_scale", None)
    is_row = (
        scale is not None and array.dtype.kind == "f" and is_scale_of_one_row(layer, array.shape, tuple(scale.shape))
    )
    return array[0] if is_row else array


def take_calibrations(model: Any, where: str) -> None:
    """Let the layers of *model* compute with the kernels that GPTQ or AWQ made, as their own loader does.

    It takes each for calibrated. One that the saver marked as quantized and then left out of the blocks that it
    calibrated has the initial values, which no calibration gives: that of zeros has other scales.

    Raises:
        LoadFailedError: ``load-failed``. A layer was not calibrated.
    """
    import numpy as np

    for layer in flat_layers(model):
        mode = getattr(layer, "quantization_mode", None)
        if mode not in _CALIBRATED or not hasattr(layer, "quantized_kernel"):
            continue  # a class of the caller's may compute otherwise
        if not np.any(layer.quantized_kernel) and np.all(np.equal(layer.kernel_scale, 1)):
            problem = (
                f"{mode.upper()} did not calibrate the layer {layer.name!r}: its float kernel, with which it was "
                "computed, is not in the file"
            )
            raise LoadFailedError(where, problem=problem, hint=f"{_LOST_HINT}; filters= leaves such layers as they are")
        setattr(layer, f"is_{mode}_calibrated", True)
