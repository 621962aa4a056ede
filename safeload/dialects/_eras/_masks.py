"""Layers whose masks mean something else in Keras 3. Layer: dialects.

Only where a model has masks; elsewhere these layers compute the same.
"""

from __future__ import annotations

from typing import Any

from safeload.dialects._catalogue import era_layer
from safeload.dialects._compat_names import COMPAT_MODULE, MERGING, OF_SEVERAL, TAKES_GIVEN_MASKS
from safeload.dialects._normal import Flavour, Writer
from safeload.dialects._writer import dicts_in

LAYERS = "keras.layers"

_MERGING = frozenset(MERGING)
"""Keras 2 takes what all masks have, Keras 3 what any has, and none if one input has none.

Source: ``compute_mask`` in keras/layers/merging of 2.9.0 and in keras/src/layers/merging of 3.4.1 and 3.15.1.
"""

_TAKES_MASKS = (2, 10)
"""First Keras 2 whose MultiHeadAttention takes the masks of its inputs.

Source: ``_compute_attention_mask`` in keras/layers/attention/multi_head_attention.py, in 2.10.0 and not in 2.9.0.
"""

_TAKES_MASKS_OFF = (3, 8)
"""First Keras whose MultiHeadAttention takes the masks off its inputs, so that later layers find none.

Source: ``call`` in keras/src/layers/attention/multi_head_attention.py of 3.7.0 and 3.8.0.
"""

_ENDS_MASKS = frozenset({"Identity", "Normalization", "Rescaling"})
"""Layers that give no mask in any Keras 2, and that of their input in Keras 3.

Source: ``supports_masking`` in ``layers/core/identity.py``, ``layers/preprocessing`` of keras 2.15.0 and 3.15.1.
"""

_MASKS_BY_STEP = frozenset({"TimeDistributed"})
"""Layers that in Keras 2 ask the layer inside for the mask, and in Keras 3 give that of their input.

Source: ``compute_mask`` in ``layers/rnn/time_distributed.py`` of keras 2.15.0; 3.15.1 has none.
"""

_ASKS_INSIDE = {Flavour.KERAS_1: (2,), Flavour.KERAS_2: (2, 2), Flavour.TF_KERAS_1X: (2, 1, 6)}
"""First release whose TimeDistributed asks the layer inside, and masks what it computes; before, neither.

TensorFlow 1.9 does not, 1.10 does, and both record 2.1.6-tf.

Source: ``call`` and ``compute_mask`` in ``layers/wrappers.py`` of keras 2.1.6 and 2.2.0, TensorFlow 1.9.0 and 1.10.0.
"""

_RELU_KEEPS_MASKS = (2, 5)
"""First ``tf.keras`` whose ReLU gives the mask of its input; before, the attribute was misspelt.

Source: ``support_masking`` in tensorflow/python/keras/layers/advanced_activations.py of TensorFlow 1.12 to 2.4, and
``supports_masking`` in keras/layers/advanced_activations.py of 2.5.0rc0.
"""

_GATHERS_MASKS = (3, 4)
"""First Keras 3 that gathers the masks of several inputs; before, a layer of a list of them gives none.

Source: ``previous_mask`` in keras/src/layers/layer.py of 3.3.3 and 3.4.1.
"""


_PASSES_GIVEN_MASKS_ON = (3, 11)
"""First Keras 3 whose layers pass on the mask that a call gives them; before, that of their input, as ever.

Source: ``previous_mask`` in keras/src/layers/layer.py of 3.10.0 and 3.11.3. Keras 2 always passed on what was given.
"""


_TAKES_ZEROES = (2, 3)
"""First ``tf.keras`` whose LSTM and GRU give zeros for masked steps on a processor, too, if they are told to.

Source: ``zero_output_for_mask`` in tensorflow/python/keras/layers/recurrent_v2.py of TensorFlow 2.1 and 2.2. Before,
what a GPU could compute ignored it. Patches of 2.1 cannot be told from 2.2: both call themselves 2.3.0-tf; they are
taken for 2.2.
"""

_FOR_GPUS = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "recurrent_dropout": 0,
    "unroll": False,
    "use_bias": True,
    "implementation": 2,
}

_FORCES_ZEROES = (2, 2, 4)
"""First ``tf.keras``, that of TensorFlow 1.13, whose Bidirectional has its layers give zeros for masked steps."""


def may_mask_otherwise(config: Any, writer: Writer) -> bool:
    """Tell whether *config* may make masks, and *writer* treats some otherwise than today's Keras 3."""
    return writer.may_be_before(_PASSES_GIVEN_MASKS_ON) and may_mask(config, writer)


def gives_zeroes(name: str, config: Any, writer: Writer) -> bool:
    """Tell whether the recurrent layer *name* of Keras 2 gives zeros for masked steps."""
    ignored = (
        name in {"GRU", "LSTM"}
        and writer.flavour is Flavour.TF_KERAS_1X
        and () < writer.version < _TAKES_ZEROES
        and all(config.get(key) == value for key, value in _FOR_GPUS.items())
        and config.get("reset_after", True)
    )
    return config.get("zero_output_for_mask") is True and not ignored


def with_masks_of(name: str, writer: Writer, config: Any, nodes: Any = None) -> str | None:
    """Return safeload's own layer for *name*, called by *nodes*, if *writer* treated masks otherwise than Keras 3.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. It depends on the release, which is not known.
    """
    if writer.flavour is Flavour.KERAS_3:
        return _of_early_keras_3(name, writer, nodes)
    is_tensorflow = writer.flavour is Flavour.TF_KERAS_1X
    if name == "MultiHeadAttention" and is_tensorflow and writer.version < _TAKES_MASKS:
        return f"Unmasked{name}"
    if name == "ReLU":
        return f"Unmasked{name}" if is_tensorflow and writer.version < _RELU_KEEPS_MASKS else None
    if name == "Bidirectional":
        return name if _differ_from_keras_3(config.get("layer"), writer) else None
    return _of_steps(name, writer) if name in _MASKS_BY_STEP else name if name in _OF_KERAS_2 else None


def _of_steps(name: str, writer: Writer) -> str:
    """Return safeload's own layer for what *writer* computed; of an unknown version, what the latest did."""
    first = _ASKS_INSIDE.get(writer.flavour, ())
    if writer.flavour is Flavour.KERAS_1 or (writer.version and writer.version < first):
        return f"MaskPassing{name}"
    is_either = writer.flavour is Flavour.TF_KERAS_1X and writer.version == first
    return f"Either{name}" if is_either else name


def _differ_from_keras_3(layer: Any, writer: Writer) -> bool:
    """Tell whether the layers that Bidirectional makes of *layer* give zeros for masked steps where Keras 3 does not.

    Keras 3 has them give zeros if they return sequences, like TensorFlow from 1.14 on. TensorFlow 1.13 records zeros
    for all. What was before, and standalone Keras, knew none: ``keras/layers/wrappers.py`` of 2.3.1.
    """
    inner = layer.get("config") if isinstance(layer, dict) else None
    if not isinstance(layer, dict) or not isinstance(inner, dict):
        return False
    is_sequence = inner.get("return_sequences") is True
    if writer.flavour in {Flavour.KERAS_1, Flavour.KERAS_2} or () < writer.version < _FORCES_ZEROES:
        return is_sequence
    told = {**inner, "zero_output_for_mask": is_sequence or inner.get("zero_output_for_mask")}
    return gives_zeroes(str(layer.get("class_name")), told, writer) != is_sequence


_OF_KERAS_2 = _MERGING | _ENDS_MASKS | _MASKS_BY_STEP | {"MultiHeadAttention"}


def _of_early_keras_3(name: str, writer: Writer, nodes: Any) -> str | None:
    if name == "MultiHeadAttention" and writer.is_before(_TAKES_MASKS_OFF, name):
        return name
    if name in OF_SEVERAL and writer.is_before(_GATHERS_MASKS, name):
        return f"Unmasked{name}"
    if name not in TAKES_GIVEN_MASKS or not _gives_mask(nodes):
        return None
    if not writer.tells(_PASSES_GIVEN_MASKS_ON):
        return f"EitherMasked{name}"
    return f"InputMasked{name}" if writer.is_before(_PASSES_GIVEN_MASKS_ON, name) else None


def _gives_mask(nodes: Any) -> bool:
    """Tell whether a node of Keras 3 gives a mask."""
    calls = [node.get("kwargs") for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
    return any(isinstance(kwargs, dict) and kwargs.get("mask") is not None for kwargs in calls)


def is_of_keras_2(module: str, name: str) -> bool:
    """Tell whether tf_keras itself has safeload's own layer *name*, masks and all."""
    return module == COMPAT_MODULE and name in _OF_KERAS_2


def may_mask(config: Any, writer: Writer) -> bool:
    """Tell whether *config* has masks: of an Embedding, a Masking, one of the user's layers, or given in a call."""
    return any(_makes_mask(value, writer) for value in dicts_in(config))


def may_mask_attention(config: Any, writer: Writer) -> bool:
    """Tell whether *config* has masks, or a call gives one to attention or to a softmax."""
    return any(_makes_mask(value, writer) or _masks_attention(value) for value in dicts_in(config))


def _makes_mask(value: dict[str, Any], writer: Writer) -> bool:
    if value.get("class_name") == "Masking" or value.get("mask_zero") is True or value.get("mask") is not None:
        return True
    layers = value.get("layers")
    return isinstance(layers, list) and any(_is_custom(layer, writer) for layer in layers)


def _masks_attention(value: dict[str, Any]) -> bool:
    nodes = value.get("inbound_nodes") if value.get("class_name") == "Softmax" else ()
    given = [node.get("args") for node in nodes or () if isinstance(node, dict)]
    return value.get("attention_mask") is not None or any(isinstance(args, list) and len(args) > 1 for args in given)


def _is_custom(layer: Any, writer: Writer) -> bool:
    name = layer.get("class_name") if isinstance(layer, dict) else None
    if not isinstance(name, str) or name in _MODELS or str(layer.get("module")).startswith("keras."):
        return False
    return era_layer(name, writer) is None


_MODELS = frozenset({"Sequential", "Functional", "Model"})
