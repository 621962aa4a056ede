"""Products whose sizes Keras 2 took from the tensors."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["EinsumDense"]


class EinsumDense(keras.layers.EinsumDense):  # type: ignore[misc]
    """``keras.layers.EinsumDense`` whose output has the sizes of its input where the config leaves them open.

    Source: ``call`` in keras/layers/einsum_dense.py of 2.8.0: the tensor tells; in 3.15.1 ``output_shape`` does.
    """

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Fill in the sizes of axes that the equation only passes on."""
        shape = tuple(super().compute_output_shape(input_shape))
        if "." in self.equation:
            return shape
        given, _, result = self.equation.replace(" ", "").replace("->", ",").split(",")
        sizes = dict(zip(given, input_shape, strict=True))
        return tuple(sizes.get(axis) if size is None else size for axis, size in zip(result, shape, strict=True))
