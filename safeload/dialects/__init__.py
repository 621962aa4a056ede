"""A Keras config of any era ↔ one normal form; era knowledge lives here and nowhere else. Layer: above readers."""

from safeload.dialects._catalogue import find_class, functions_of, is_builtin, kind_of
from safeload.dialects._compat_names import COMPAT_MODULE, COMPAT_OBJECTS, MERGING, OF_SEVERAL, TAKES_GIVEN_MASKS
from safeload.dialects._eras._applications import is_application_layer
from safeload.dialects._eras._masks import may_mask, may_mask_attention
from safeload.dialects._functional._nodes import CONSTANT
from safeload.dialects._functional._operations import EXPORT_HINT
from safeload.dialects._functional._symbols import ALLOWED_SYMBOLS
from safeload.dialects._lower._config import lower
from safeload.dialects._lower._tf_keras import needs_keras_2
from safeload.dialects._normal import BUILT_BEFORE, Flavour, KerasTarget, NormalForm, Writer
from safeload.dialects._normalise import normalise
from safeload.dialects._values import (
    ACTIVATIONS,
    has_activation,
    is_floating,
    is_tensorflow_activation,
    is_tensorflow_initializer,
    named_activations,
    with_activations,
)
from safeload.dialects._writer import dicts_in, writer_of

__all__ = [
    "ACTIVATIONS",
    "ALLOWED_SYMBOLS",
    "BUILT_BEFORE",
    "COMPAT_MODULE",
    "COMPAT_OBJECTS",
    "CONSTANT",
    "EXPORT_HINT",
    "MERGING",
    "OF_SEVERAL",
    "TAKES_GIVEN_MASKS",
    "Flavour",
    "KerasTarget",
    "NormalForm",
    "Writer",
    "dicts_in",
    "find_class",
    "functions_of",
    "has_activation",
    "is_application_layer",
    "is_builtin",
    "is_floating",
    "is_tensorflow_activation",
    "is_tensorflow_initializer",
    "kind_of",
    "lower",
    "may_mask",
    "may_mask_attention",
    "named_activations",
    "needs_keras_2",
    "normalise",
    "with_activations",
    "writer_of",
]
