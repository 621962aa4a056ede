"""Dot in models of Keras 3."""

from __future__ import annotations

from typing import Any

import keras

from safeload.runtime.compat._inferred import output_spec
from safeload.runtime.compat._products import StackedProducts

__all__ = ["Dot"]


class Dot(StackedProducts, keras.layers.Dot):  # type: ignore[misc]
    """``keras.layers.Dot`` that multiplies stacks of matrices. No weights."""

    def compute_output_spec(self, inputs: Any) -> Any:
        """Trace the product, whose shape is not what the axes say."""
        return output_spec(self.call, inputs)
