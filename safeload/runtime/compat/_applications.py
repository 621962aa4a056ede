"""Layers that the models of ``keras.applications`` define for themselves.

Source: keras 3.15.1 ``src/applications/convnext.py`` and ``inception_resnet_v2.py``; the same in tf_keras 2.21.
"""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["application_layers"]


@functools.cache
def application_layers(layers: Any) -> dict[str, Any]:
    """Return the classes by name, the same ones for each load: what is known of classes is kept.

    Args:
        layers: The module of the package's layers, whose ``Layer`` they are made from.
    """

    class LayerScale(layers.Layer):  # type: ignore[misc]
        """Multiplies each channel by a weight."""

        def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.init_values, self.projection_dim = init_values, projection_dim

        def build(self, input_shape: Any) -> None:
            del input_shape
            self.gamma = self.add_weight(name="gamma", shape=(self.projection_dim,), initializer="ones")
            self.built = True

        def call(self, inputs: Any) -> Any:
            return inputs * self.gamma

    class StochasticDepth(layers.Layer):  # type: ignore[misc]
        """Drops whole examples while training: nothing in inference. No weights."""

        def __init__(self, drop_path_rate: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.drop_path_rate = drop_path_rate

        def call(self, inputs: Any) -> Any:
            return inputs

    class CustomScaleLayer(layers.Layer):  # type: ignore[misc]
        """Adds the second input, scaled, to the first. No weights."""

        def __init__(self, scale: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.scale = scale

        def call(self, inputs: Any) -> Any:
            return inputs[0] + inputs[1] * self.scale

    return {cls.__name__: cls for cls in (CustomScaleLayer, LayerScale, StochasticDepth)}
