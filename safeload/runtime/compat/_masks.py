"""Layers that treat masks as Keras 2 and early releases of Keras 3 did.

Source: keras 2.9.0 ``keras/layers/merging/base_merge.py``, ``merging/concatenate.py``,
``attention/multi_head_attention.py``; the same in standalone Keras from 1.2.2 on and in tf_keras 2.21, whose
MultiHeadAttention takes masks from 2.10 on. Keras 3 before 3.4 and 3.8 has some of them, too.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import keras
import tensorflow as tf

from safeload.dialects import MERGING, OF_SEVERAL, TAKES_GIVEN_MASKS
from safeload.errors import IncompatibleVersionError

__all__ = [
    "Concatenate",
    "EitherTimeDistributed",
    "MaskPassingTimeDistributed",
    "MultiHeadAttention",
    "TimeDistributed",
    "UnmaskedMultiHeadAttention",
]


class _PlainInputs:
    """Merges values as they are; some layers of later Keras 3 leave masked ones out of products and extremes."""

    def call(self, inputs: Any) -> Any:
        """Merge *inputs*."""
        return super().call([_plain(each) for each in inputs])  # type: ignore[misc]


class _AllMasks(_PlainInputs):
    """A step counts where it counts in every input that has a mask; Keras 3 takes any, and none if one has none."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Combine the masks that there are."""
        masks = [each for each in _masks_of(inputs, mask) if each is not None]
        return reduce(keras.ops.logical_and, masks) if masks else None


class Concatenate(keras.layers.Concatenate):  # type: ignore[misc]
    """``keras.layers.Concatenate`` with the masks of Keras 2: along features, a step counts where it does in all."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Join the masks as the inputs are joined; one without a mask counts everywhere."""
        pairs = list(zip(inputs, _masks_of(inputs, mask), strict=True))
        if self.axis in {-1, len(inputs[0].shape) - 1}:
            pairs = [(each, its) for each, its in pairs if its is not None]
        if not pairs or any(its is None for _, its in pairs):
            return None
        masks = [its if len(its.shape) == len(each.shape) else keras.ops.expand_dims(its, -1) for each, its in pairs]
        return keras.ops.all(keras.ops.concatenate(masks, axis=self.axis), axis=-1)


class _NoMask:
    """Gives no mask, as layers of several inputs up to Keras 3.3."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Give none."""


class _NoMaskOfPlainInputs(_NoMask, _PlainInputs):
    """The same of merging layers."""


class _EndsMask:
    """Gives no mask, as in Keras 2, and takes none along with an input that it returns as it is."""

    def call(self, inputs: Any) -> Any:
        """Compute as the layer of Keras does."""
        return super().call(_plain(inputs))  # type: ignore[misc]

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Give none."""


class _InputMasked:
    """Takes the mask that goes on from the inputs, as a layer does to which no call gives one.

    Source: ``previous_mask`` in keras/src/layers/layer.py of 3.10.0.
    """

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002
        """Compute the mask of the output."""
        own = tf.nest.map_structure(lambda each: getattr(each, "_keras_mask", None), inputs)
        return super().compute_mask(inputs, own)  # type: ignore[misc]


class _EitherMasked(_InputMasked):
    """The same where it is not known whether Keras 3.11 or an earlier one wrote it.

    The mask that a call gives is nearly always that of the input, for Keras writes down whatever a layer is given.
    """

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Compute the mask of the output.

        Raises:
            IncompatibleVersionError: ``incompatible-version``. The input has none that could be meant.
        """
        if mask is not None and getattr(inputs, "_keras_mask", None) is None:
            raise IncompatibleVersionError(
                self.name,  # type: ignore[attr-defined]
                problem="a mask that a call gives goes on since Keras 3.11, and nothing tells who wrote this model",
                hint='write the release beside class_name into the JSON, such as "keras_version": "3.12.0"',
            )
        return super().compute_mask(inputs, mask)


def _layer(name: str, mixin: type) -> Any:
    # Archives find weights by the name of the class, which is that of Keras.
    return type(name, (mixin, getattr(keras.layers, name)), {"__module__": __name__})


_ELEMENTWISE = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")

OBJECTS = {
    **{name: _layer(name, _AllMasks) for name in _ELEMENTWISE},
    **{name: _layer(name, _EndsMask) for name in ("Identity", "Normalization", "Rescaling")},
    **{f"Unmasked{name}": _layer(name, _NoMaskOfPlainInputs if name in MERGING else _NoMask) for name in OF_SEVERAL},
    "UnmaskedReLU": _layer("ReLU", _EndsMask),
    **{f"InputMasked{name}": _layer(name, _InputMasked) for name in TAKES_GIVEN_MASKS},
    **{f"EitherMasked{name}": _layer(name, _EitherMasked) for name in TAKES_GIVEN_MASKS},
}
"""Name in `dialects.COMPAT_OBJECTS` → class that differs from Keras's own in its masks alone."""


class TimeDistributed(keras.layers.TimeDistributed):  # type: ignore[misc]
    """``keras.layers.TimeDistributed`` with the masks of Keras 2. Weights as there.

    Source: ``compute_mask`` in tf_keras 2.21 ``layers/rnn/time_distributed.py``.
    """

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Ask the layer inside; where it gives none, a step counts if any part of it does."""
        inner = self.layer.compute_mask(inputs, mask) if self.layer.supports_masking else None
        if inner is not None or mask is None:
            return inner
        return keras.ops.any(mask, axis=tuple(range(2, len(mask.shape)))) if len(mask.shape) > 2 else mask


class MaskPassingTimeDistributed(keras.layers.TimeDistributed):  # type: ignore[misc]
    """``keras.layers.TimeDistributed`` whose layer inside knows no masks. Weights as there.

    Source: ``call`` in ``layers/wrappers.py`` of keras 1.2.2 and 2.1.6, and of TensorFlow 1.9.0.
    """

    ignores_mask = True

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:  # noqa: ARG002
        """Compute each step, whole."""
        return super().call(inputs, training=training)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002
        """Pass the mask on."""
        return mask


class EitherTimeDistributed(TimeDistributed):
    """``TimeDistributed`` where it does not matter whether TensorFlow 1.9 or 1.10 wrote it. Weights as there."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Give the mask of the input, if the layer inside gives no other one.

        Raises:
            IncompatibleVersionError: ``incompatible-version``. It gives one.
        """
        inner = self.layer.compute_mask(inputs, mask) if self.layer.supports_masking else None
        is_given = inner is not None and inner is not mask
        if is_given or (mask is not None and len(mask.shape) > 2):
            raise IncompatibleVersionError(
                self.name,
                problem="the file does not tell whether the masks of the layer inside count",
                hint="they do since TensorFlow 1.10, which records the same version as 1.9; save it with another one",
            )
        return mask


class UnmaskedMultiHeadAttention(keras.layers.MultiHeadAttention):  # type: ignore[misc]
    """``keras.layers.MultiHeadAttention`` with no mask but the one that the call gives. Weights as there."""

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,  # noqa: FBT001, FBT002
        training: bool | None = None,  # noqa: FBT001
    ) -> Any:
        """Attend to all steps."""
        query, value, key = map(_plain, (query, value, key))
        options = {"attention_mask": attention_mask, "return_attention_scores": return_attention_scores}
        return super().call(query, value, key=key, training=training, **options)

    def compute_output_spec(self, query: Any, value: Any, key: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As with masks."""
        named = dict(zip(("attention_mask", "return_attention_scores", "training"), args, strict=False))
        return super().compute_output_spec(query, value, key=key, **named, **kwargs)

    def compute_mask(self, *_inputs: Any, **_masks: Any) -> None:
        """Give no mask."""


class MultiHeadAttention(keras.layers.MultiHeadAttention):  # type: ignore[misc]
    """``keras.layers.MultiHeadAttention`` that leaves the masks of its inputs in place. Weights as there.

    That of Keras 3 takes them off: a second layer that attends to the same sequence finds none.
    """

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,  # noqa: FBT001, FBT002
        training: bool | None = None,  # noqa: FBT001
        use_causal_mask: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        """Attend to the steps that the masks leave."""
        query, value, key = map(_plain, (query, value, key))
        masks = [
            tf.expand_dims(m, axis) for m, axis in ((query_mask, -1), (value_mask, -2), (key_mask, -2)) if m is not None
        ]
        masks += [attention_mask] if attention_mask is not None else []
        options = {
            "attention_mask": reduce(tf.logical_and, [tf.cast(m, tf.bool) for m in masks]) if masks else None,
            "return_attention_scores": return_attention_scores,
            "use_causal_mask": use_causal_mask,
        }
        return super().call(query, value, key=key, training=training, **options)


def _masks_of(inputs: Any, mask: Any) -> list[Any]:
    """Return the masks of *inputs*, which Keras 3.3 does not gather where they are several."""
    return [getattr(each, "_keras_mask", None) for each in inputs] if mask is None else list(mask)


def _plain(tensor: Any) -> Any:
    """Return *tensor* without what Keras has attached to it."""
    return None if tensor is None else tf.identity(tensor)
