"""Attention of Keras 2 that was made causal when constructed; Keras 3 asks at each call."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["CausalAdditiveAttention", "CausalAttention"]


class CausalAttention(keras.layers.Attention):  # type: ignore[misc]
    """``keras.layers.Attention`` with ``use_causal_mask=True``. Weights as there.

    Source: TensorFlow 2.8 ``python/keras/layers/dense_attention.py`` (BaseDenseAttention.causal).
    """

    def call(self, inputs: Any, mask: Any = None, training: Any = None, **kwargs: Any) -> Any:
        """Attend to earlier steps only. Keras passes on only what is named here."""
        return super().call(inputs, mask=mask, training=training, **{**kwargs, "use_causal_mask": True})

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """As without the mask."""
        return super().compute_output_spec(inputs, **kwargs)


class CausalAdditiveAttention(keras.layers.AdditiveAttention):  # type: ignore[misc]
    """``keras.layers.AdditiveAttention`` with ``use_causal_mask=True``. Weights as there.

    Source: TensorFlow 2.8 ``python/keras/layers/dense_attention.py`` (BaseDenseAttention.causal).
    """

    def call(self, inputs: Any, mask: Any = None, training: Any = None, **kwargs: Any) -> Any:
        """Attend to earlier steps only. Keras passes on only what is named here."""
        return super().call(inputs, mask=mask, training=training, **{**kwargs, "use_causal_mask": True})

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """As without the mask."""
        return super().compute_output_spec(inputs, **kwargs)
