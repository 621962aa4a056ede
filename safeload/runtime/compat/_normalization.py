"""Batch normalization under the name that Keras 2 had for several devices."""

from __future__ import annotations

import keras

__all__ = ["SyncBatchNormalization"]


class SyncBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """``keras.layers.BatchNormalization``; archives find its weights by the name of the class.

    Source: ``_save_container_state`` in keras/src/saving/saving_lib.py of 2.13.1.
    """
