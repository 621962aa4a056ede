"""Masks of sequences: those that layers pass on, and those beside an initial state. Layer: runtime.

Keras 3.16 has recurrent layers and those of steps end masks, which all before pass on.

Keras 2 hands a layer the mask of its first input. Keras 3 does so for a layer of one tensor; with several it looks for
an argument that is named after each, which recurrent layers do not have, and the mask is lost.

At a masked step, Keras up to 2.2.4 and TensorFlow up to 1.12 repeat the state, and later ones the output: before the
first step that counts, that is the initial state, or zeros.

Source: ``__call__`` in keras/src/layers/layer.py of 3.15.1 ("Populate mask argument(s)"); ``_get_input_masks`` in
tf_keras 2.21 ``engine/base_layer.py``; ``rnn`` in keras/backend/tensorflow_backend.py of 2.2.4 and 2.2.5;
``supports_masking`` in keras/src/layers/rnn of 3.15.1 and of keras-nightly 3.16.0.dev2026102704.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any

import tensorflow as tf

from safeload.dialects import Flavour, NormalForm, Writer
from safeload.runtime._keras._package import flat_layers, is_own_class, package_of

_ARGUMENTS = ["self", "sequences", "initial_state", "mask", "training"]
_REPEATS_OUTPUTS = {Flavour.KERAS_1: (2,), Flavour.KERAS_2: (2, 2, 5), Flavour.TF_KERAS_1X: (2, 2, 4)}
"""Writer → its first version that repeats outputs; all of them for others."""


_ENDS_MASKS = (3, 16)
_OF_STEPS = ("RNN", "Bidirectional", "TimeDistributed")


def pass_masks_on(model: Any, normal: NormalForm | None) -> None:
    """Let layers of *model* that compute each step pass masks on, if a Keras that did so wrote it."""
    keras = package_of(model)
    if normal is None or keras.__name__ != "keras" or not normal.writer.may_be_before(_ENDS_MASKS):
        return
    classes = tuple(getattr(keras.layers, name) for name in _OF_STEPS)
    for layer in flat_layers(model):
        if isinstance(layer, classes) and is_own_class(layer) and not layer.supports_masking:
            layer.supports_masking = True


def take_masks_beside_states(model: Any, normal: NormalForm | None) -> None:
    """Let recurrent layers of *model*, if Keras 2 wrote it, take the masks of their sequences in any case."""
    if normal is None or normal.writer.flavour is Flavour.KERAS_3:
        return
    call = _with_mask(repeats_states=_repeats_states(normal.writer))
    for layer in flat_layers(model):
        if list(inspect.signature(type(layer).call).parameters) == _ARGUMENTS:
            layer.call = MethodType(call, layer)
            layer._call_signature = inspect.signature(layer.call)  # noqa: SLF001 - where Keras looks for arguments


def _repeats_states(writer: Writer) -> bool:
    return () < writer.version < _REPEATS_OUTPUTS.get(writer.flavour, ())


def _with_mask(*, repeats_states: bool) -> Any:
    def call(
        self: Any,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = False,  # noqa: FBT002
        sequences_mask: Any = None,
    ) -> Any:
        mask = sequences_mask if mask is None else mask
        result = type(self).call(self, sequences, initial_state=initial_state, mask=mask, training=training)
        # A loop that is unrolled gives zeros; of a Bidirectional the layers inside come here themselves.
        if not repeats_states or mask is None or initial_state is None or getattr(self, "unroll", True):
            return result
        return _begun_with_state(self, result, tf.nest.flatten(initial_state)[0], mask)

    return call


def _begun_with_state(layer: Any, result: Any, state: Any, mask: Any) -> Any:
    """Put *state* in the place of the output before the first step that counts."""
    counted = tf.cast(tf.reverse(mask, [1]) if layer.go_backwards else mask, tf.int32)
    begun = tf.cumsum(counted, axis=1) if layer.return_sequences else tf.reduce_sum(counted, axis=1)
    output, *states = result if layer.return_state else (result,)
    shape = tf.concat([tf.shape(begun), tf.ones([tf.rank(output) - tf.rank(begun)], tf.int32)], 0)
    spread = tf.expand_dims(state, 1) if layer.return_sequences else state
    output = tf.where(tf.reshape(begun, shape) > 0, output, tf.cast(spread, output.dtype))
    return [output, *states] if layer.return_state else output
