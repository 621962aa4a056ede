"""safeload's own objects for models that tf_keras builds. Layer: runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from safeload.runtime.compat._casts import Crops, Resizes
from safeload.runtime.compat._products import StackedProducts
from safeload.runtime.compat._tensorflow import NodeFunction, symbol_function

__all__ = [
    "CausalAdditiveAttention",
    "CausalAttention",
    "CenterCrop",
    "Dot",
    "MaskPassingTimeDistributed",
    "Resizing",
    "TensorFlowNode",
    "TensorFlowSymbol",
    "UnmaskedMultiHeadAttention",
    "UnmaskedReLU",
    "hard_sigmoid_of_keras_3",
]

_RAGGED = "RaggedTensor."


def hard_sigmoid_of_keras_3(x: Any) -> Any:
    """The hard sigmoid of Keras 3: ``relu6(x + 3) / 6``."""
    return tf.nn.relu6(x + 3.0) / 6.0


class CausalAttention(tf_keras.layers.Attention):  # type: ignore[misc]
    """``Attention`` with ``use_causal_mask=True``."""

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """Attend to earlier steps only."""
        return super().call(inputs, **{**kwargs, "use_causal_mask": True})


class CausalAdditiveAttention(tf_keras.layers.AdditiveAttention):  # type: ignore[misc]
    """``AdditiveAttention`` with ``use_causal_mask=True``."""

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """Attend to earlier steps only."""
        return super().call(inputs, **{**kwargs, "use_causal_mask": True})


class Dot(StackedProducts, tf_keras.layers.Dot):  # type: ignore[misc]
    """``Dot`` that multiplies stacks of matrices: as up to Keras 2.2.4 and TensorFlow 1.15."""


class Resizing(Resizes, tf_keras.layers.Layer):  # type: ignore[misc]
    """``Resizing`` that casts as an earlier release."""

    def __init__(self, *args: Any, interpolation: str, crop_to_aspect_ratio: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **_without_format(kwargs))
        self.interpolation, self.crop_to_aspect_ratio = interpolation, crop_to_aspect_ratio

    def resized(self, images: Any) -> Any:
        """Resize *images*."""
        resize = tf_keras.preprocessing.image.smart_resize if self.crop_to_aspect_ratio else tf.image.resize
        return resize(images, (self.height, self.width), self.interpolation)


class CenterCrop(Crops, tf_keras.layers.Layer):  # type: ignore[misc]
    """``CenterCrop`` that casts as an earlier release."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **_without_format(kwargs))

    def resized(self, images: Any) -> Any:
        """Resize *images* to cover the size, and crop them."""
        return tf_keras.preprocessing.image.smart_resize(images, (self.height, self.width))


def _without_format(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return *config* without a key that Keras 2 does not have: channels come last."""
    return {key: value for key, value in config.items() if key != "data_format"}


class MaskPassingTimeDistributed(tf_keras.layers.TimeDistributed):  # type: ignore[misc]
    """``TimeDistributed`` whose layer inside knows no masks: as up to Keras 2.1 and TensorFlow 1.9."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:  # noqa: ARG002
        """Compute each step, whole."""
        return super().call(inputs, training=training)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002
        """Pass the mask on."""
        return mask


class UnmaskedMultiHeadAttention(tf_keras.layers.MultiHeadAttention):  # type: ignore[misc]
    """``MultiHeadAttention`` without masks, but for the one that the call gives: as up to Keras 2.9."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = False

    def _compute_attention_mask(self, *_inputs: Any, attention_mask: Any = None, **_options: Any) -> Any:
        return attention_mask


class UnmaskedReLU(tf_keras.layers.ReLU):  # type: ignore[misc]
    """``ReLU`` that gives no mask: as up to TensorFlow 2.4."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = False


class _Operation(tf_keras.layers.Layer):  # type: ignore[misc]
    """A layer that computes from its arguments as they are: no casts, masks or context of Keras.

    Source: tf_keras 2.21 ``layers/core/tf_op_layer.py`` (TFOpLambda), read for the facts.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name, autocast=False)
        self._preserve_input_structure_in_config = True
        self._call_spec.expects_training_arg = False
        self._call_spec.expects_mask_arg = False
        # tf_keras 2.20 gives these to every layer that takes any keyword; 2.16 and 2.18 do not have them.
        getattr(self._call_spec, "_expected_context_args", set()).clear()


class TensorFlowSymbol(_Operation):
    """Calls the public TensorFlow function *function*, or a member of ragged tensors. No weights.

    Args:
        function: Name without ``tf.``, one of `dialects.ALLOWED_SYMBOLS`, or ``RaggedTensor.member``.
        name: Name of the layer.
    """

    def __init__(self, function: str, *, name: str | None = None) -> None:
        super().__init__(name)
        self.function = function
        is_ragged = function.startswith(_RAGGED)
        self._symbol = _member(function) if is_ragged else symbol_function(function, keras=_keras_module)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._symbol(_decoded(inputs), **_decoded(kwargs))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"name": self.name, "function": self.function}


class TensorFlowNode(_Operation):
    """Runs the one op that *node_def* describes. No weights.

    Args:
        node_def: A NodeDef as protobuf's JSON.
        constants: Index of an input → its value, for the inputs that no layer gives.
        name: Name of the layer.
    """

    def __init__(
        self, node_def: Mapping[str, Any], constants: Mapping[str, Any] | None = None, *, name: str | None = None
    ) -> None:
        super().__init__(name)
        self._config = {"node_def": dict(node_def), "constants": dict(constants or {})}
        self._run = NodeFunction(self._config["node_def"], self._config["constants"])

    def call(self, inputs: Any) -> Any:
        """Run the op."""
        return self._run(*inputs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"name": self.name, **self._config}


def _keras_module(name: str) -> Any:
    return getattr(tf_keras, name)


def _member(function: str) -> Callable[..., Any]:
    """Return a function that reads or calls a member of ragged tensors, as InstanceMethod and its like do.

    The rules of the policy have judged which members there may be.
    """
    name = function.removeprefix(_RAGGED)
    if name.startswith("from_"):
        return lambda args, kwargs: getattr(tf.RaggedTensor, name)(*args, **kwargs)

    def read(tensor: Any, args: Any = None, kwargs: Any = None) -> Any:
        value = getattr(tensor, name)
        return value if args is None else value(*args, **(kwargs or {}))

    return read


def _decoded(value: Any) -> Any:
    """Return *value* with what JSON has no type for, as `dialects` writes it into the arguments of calls."""
    if isinstance(value, (list, tuple)):
        return [_decoded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"start", "stop", "step"}:
        return slice(*(_decoded(value[key]) for key in ("start", "stop", "step")))
    match value.get("class_name"):
        case "__slice__":
            return _decoded(value["config"])
        case "__ellipsis__":
            return Ellipsis
    return {key: _decoded(item) for key, item in value.items()}
