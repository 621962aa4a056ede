"""safeload's own layers and functions: what old releases computed and the installed Keras does not. Layer: runtime.

The names, and what each stands for, are `dialects.COMPAT_OBJECTS`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["compat_objects"]


def compat_objects(package: str) -> dict[str, Any]:
    """Return the objects of `dialects.COMPAT_OBJECTS`, by name.

    Args:
        package: ``"keras"``, or ``"tf_keras"``, which has most of them itself; those that neither has are left out.
    """
    if package == "tf_keras":
        return _of_keras_2()
    import keras

    from safeload.runtime.compat import (
        _activations,
        _applications,
        _attention,
        _bidirectional,
        _columns,
        _discretization,
        _dot,
        _einsum,
        _keras1,
        _kernelized,
        _locally_connected,
        _masks,
        _node,
        _normalization,
        _resize,
        _symbol,
    )

    modules = (
        _activations, _attention, _bidirectional, _columns, _discretization, _dot, _einsum, _keras1,
        _kernelized, _locally_connected, _masks, _node, _normalization, _resize, _symbol,
    )  # fmt: skip
    named = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {**named, **_masks.OBJECTS, **_applications.application_layers(keras.layers)}


def _of_keras_2() -> dict[str, Any]:
    import tf_keras

    from safeload.runtime.compat import _applications, _keras2

    layers = tf_keras.layers
    names = ("LocallyConnected1D", "LocallyConnected2D", "ThresholdedReLU")
    return {
        **{name: getattr(_keras2, name) for name in _keras2.__all__},
        "hard_sigmoid": tf_keras.activations.hard_sigmoid,
        "EinsumDense": layers.EinsumDense,
        "RandomFourierFeatures": layers.experimental.RandomFourierFeatures,
        "SyncBatchNormalization": layers.experimental.SyncBatchNormalization,
        **{name: getattr(layers, name) for name in names},
        **_applications.application_layers(layers),
    }
