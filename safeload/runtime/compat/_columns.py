"""Layers that keep the last axis of a column when they encode it one-hot. Layer: runtime.

Source: ``_encode`` in keras/src/layers/preprocessing/category_encoding.py of 3.3.3, ``encode_categorical_inputs`` in
keras/src/utils/numerical_utils.py of 3.15.1.
"""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["ColumnCategoryEncoding", "ColumnDiscretization"]


class _Column:
    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Encode *inputs*, (…, 1), as (…, 1, depth)."""
        encoded = super().call(inputs, *args, **kwargs)  # type: ignore[misc]
        return encoded if len(encoded.shape) > len(inputs.shape) else keras.ops.expand_dims(encoded, -2)


class ColumnCategoryEncoding(_Column, keras.layers.CategoryEncoding):  # type: ignore[misc]
    """``keras.layers.CategoryEncoding`` of Keras 3.0 to 3.3, one-hot."""


class ColumnDiscretization(_Column, keras.layers.Discretization):  # type: ignore[misc]
    """``keras.layers.Discretization`` of Keras 3.0 to 3.3, one-hot."""
