"""Built-in layers of Keras 2, tf.keras and tf_keras → layers of Keras 3. Layer: dialects.

Source:
    keras 2.0.8 to 2.15.0, TensorFlow 1.4 to 2.4 ``python/keras/layers``, tf_keras 2.16 and 2.21, against keras 3.15.1
    ``src/layers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.dialects._catalogue import find_class
from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._eras._keras3 import resized
from safeload.dialects._eras._masks import LAYERS, gives_zeroes
from safeload.dialects._eras._resized import cast_as_written
from safeload.dialects._normal import Flavour, Writer
from safeload.errors import IncompatibleVersionError

Config = dict[str, Any]


# Old class → class of Keras 3 that computes the same.
_RENAMED_CLASSES = {
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "UnifiedLSTM": "LSTM",
    "UnifiedGRU": "GRU",
    # Inference leaves the input as it is: keras/src/layers/preprocessing/image_preprocessing.py and
    # keras/src/engine/base_layer.py of 2.15.0.
    "RandomHeight": "Identity",
    "RandomWidth": "Identity",
    "AddLoss": "Identity",
    "AddMetric": "Identity",
}
_GONE = frozenset(
    [
        "LocallyConnected1D",
        "LocallyConnected2D",
        "RandomFourierFeatures",
        "SyncBatchNormalization",
        "ThresholdedReLU",
    ]
)

_RENAMED_KEYS: Mapping[str, Mapping[str, str]] = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "InputLayer": {"batch_input_shape": "batch_shape", "input_dtype": "dtype"},
    "Discretization": {"bins": "bin_boundaries"},
    "CategoryEncoding": {"max_tokens": "num_tokens"},
    "IntegerLookup": {"max_values": "max_tokens", "oov_value": "oov_token", "mask_value": "mask_token"},
}

# Keys that Keras 3 does not have and that change no output, whatever they hold: how the work is done, what training
# does, what the caller said of the input's shape (an InputLayer says it now).
_WITHOUT_EFFECT = frozenset(
    [
        "implementation",
        "rng_type",
        "force_generator",
        "auto_vectorize",
        "input_dim",
        "input_dtype",
        "input_length",
        "batch_input_shape",
        "batch_size",
        "input_shape",
        "query_shape",
        "key_shape",
        "value_shape",
        "vocabulary_size",
        "fused",
        "adjustment",
        "renorm_clipping",
        "renorm_momentum",
        "experimental_autocast",
        "enable_caching_device",
        "_build_input_shape",
        "weights",
        "has_value",
        "rank",
    ]
)
# … but for these: how many words a layer that was adapted gives a place to, while the vocabulary is not in the config.
_WITH_EFFECT = frozenset(
    [("input_dim", "Embedding")]
    + [("vocabulary_size", name) for name in ("IntegerLookup", "StringLookup", "TextVectorization")]
)
# Keys that Keras 3 does not have and that change nothing while they hold this.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "time_major": (False, None),
    "groups": (1, None),
    "dynamic": (False,),
    "ragged": (False, None),
    "causal": (False, None),
    "num_constants": (None, 0),
    "renorm": (False,),
    "virtual_batch_size": (None,),
    "autocast": (True,),
    "activity_regularizer": (None,),
    "synchronized": (False, True),
    "softmax_robust_masking": (False,),
    "num_bins": (None,),
    "type_spec": (None,),
    "output_padding": (None,),
    "keepdims": (False,),
    "trainable": (True, False),
    "epsilon_const": (None,),
    "count_weights": (False, None),
    "vocabulary": (None,),
    "mask_zero": (False,),
    "noise_shape": (None,),
}
_DEPTHWISE = frozenset({"DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"})
"""Convolutions that TensorFlow takes to batches where they are dilated, whatever their strides; later Keras 2 refuses.

Source: ``depthwise_conv2d`` in tensorflow/python/ops/nn_impl.py (1.15.5); ``_validate_init`` in tf_keras 2.21
``layers/convolutional/base_conv.py``.
"""
# Arguments of them that their base class records and they do not use.
_UNUSED = {
    **dict.fromkeys(
        _DEPTHWISE,
        frozenset({"kernel_initializer", "kernel_regularizer", "kernel_constraint"}),
    ),
    # "filters" of DepthwiseConv2D: keras 2.2.4 keras/layers/convolutional.py passes filters=None on.
    "Identity": frozenset({"factor", "interpolation", "seed", "unconditional", "aggregation", "metric_name"}),
}
_OUTPUT_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_WITH_OUTPUT_MODE = frozenset(
    {"CategoryEncoding", "Discretization", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"}
)
_ONE_AXIS = frozenset({"BatchNormalization", "LayerNormalization", "SyncBatchNormalization", "UnitNormalization"})
_RECURRENT = frozenset({"LSTM", "GRU", "LSTMCell", "GRUCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})


_CELLS = frozenset({"SimpleRNNCell", "GRUCell", "LSTMCell"})
"""Classes without ``get_config`` in keras/layers/recurrent.py of 2.0.9, which has it in 2.1.3."""

_RESPELT = frozenset({"CategoryEncoding", "IntegerLookup"})
"""Layers whose keys TensorFlow 2.3 spelt otherwise than 2.4, both of which call themselves Keras 2.4.0.

Source: ``get_config`` in tensorflow/python/keras/layers/preprocessing of TensorFlow 2.3.0 and 2.4.0.
"""


def with_later_keys(name: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the *config* of a layer *name* of TensorFlow 2.3 with the keys of 2.4."""
    names = _RENAMED_KEYS[name] if name in _RESPELT else {}
    return {names.get(key, key): value for key, value in config.items()}


def modernise(name: str, config: Mapping[str, Any], writer: Writer) -> tuple[str, str, Config]:
    """Return the module, class and config with which Keras 3 computes what the built-in layer computed.

    Keys that Keras 3 does not know are left out while they hold nothing that matters; `lower` refuses the others.

    Args:
        name: Class of a built-in layer of Keras 2.
        config: Its config, values not yet normalised; not changed.
        writer: Decides what a missing key means.
    """
    new_name = _RENAMED_CLASSES.get(name, name)
    names = _RENAMED_KEYS.get(new_name, {})
    renamed = {names.get(key, key): value for key, value in config.items()}
    casts = cast_as_written(name, config, writer)
    if name == "RandomCrop" and writer.version >= (2, 7):
        new_name, renamed = "Resizing", resized(renamed)
    _fill(name, new_name, renamed, writer)
    module, new_name = _own_object(new_name, renamed, writer)
    if casts is not None:
        module, renamed = COMPAT_MODULE, {**renamed, **casts}
    kept = _known(module, new_name, renamed)
    _convert(new_name, kept)
    return module, new_name, kept


def _fill(name: str, new_name: str, config: Config, writer: Writer) -> None:
    """Write down what the writer meant by keys that it did not record.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. Nobody knows what it meant.
    """
    if new_name in _CELLS and writer.flavour is Flavour.KERAS_2 and "units" not in config:
        raise IncompatibleVersionError(
            f"{new_name} {config.get('name')!r}",
            problem="the arguments of cells are not recorded by Keras before 2.1.3",
            hint="pass a file of the weights alone with architecture=, a function that builds the model",
        )
    if _returns_states_turned(new_name, config, writer):
        raise IncompatibleVersionError(
            f"{new_name} {config.get('name')!r}",
            problem="Keras before 2.2.3, TensorFlow before 1.13 return the states of the last of several cells first",
            hint="load it with the release that saved it and export a SavedModel: tf.saved_model.simple_save",
        )
    if name.startswith("CuDNN"):
        # keras/layers/cudnn_recurrent.py of 2.2.4: fixed activations; both biases, that is reset_after.
        config.update(activation="tanh", recurrent_activation="sigmoid", use_bias=True)
    if new_name in {"GRU", "GRUCell"}:
        config.setdefault("reset_after", name in {"CuDNNGRU", "UnifiedGRU"})
    if new_name in _RECURRENT and not _has_sigmoid_gates(writer):
        config.setdefault("recurrent_activation", "hard_sigmoid")
    if "zero_output_for_mask" in config:
        config["zero_output_for_mask"] = gives_zeroes(new_name, config, writer)
    if new_name == "SeparableConv2D" and writer.flavour is Flavour.KERAS_2 and () < writer.version < _DILATES:
        config["dilation_rate"] = [1, 1]
    if new_name == "LeakyReLU":
        config.setdefault("negative_slope", 0.3)
    if new_name in _DEPTHWISE and _is_above_1(config.get("strides")) and _is_above_1(config.get("dilation_rate")):
        raise IncompatibleVersionError(
            f"{new_name} {config.get('name')!r}",
            problem="strides and dilation_rate are above 1, and Keras 2 left out other pixels then than Keras 3",
            hint="load it with the release that saved it and export a SavedModel",
        )


def _is_above_1(value: Any) -> bool:
    return any(step != 1 for step in (value if isinstance(value, list) else [value or 1]))


_STATES_IN_ORDER = {Flavour.KERAS_2: (2, 2, 3), Flavour.TF_KERAS_1X: (2, 2, 4)}
"""First release known to have the states of StackedRNNCells in the order of the cells; before, the last came first.

Source: ``reverse_state_order`` in keras/layers/recurrent.py of 2.2.3, which 2.2.2 does not have, and in
tensorflow/python/keras/layers/recurrent.py of 1.14.0, which 1.10.1 does not have.
"""


def _returns_states_turned(name: str, config: Config, writer: Writer) -> bool:
    cell = config.get("cell")
    is_stack = isinstance(cell, dict) and cell.get("class_name") == "StackedRNNCells"
    is_returned = name == "RNN" and is_stack and config.get("return_state") is True
    return is_returned and () < writer.version < _STATES_IN_ORDER.get(writer.flavour, ())


_DILATES = (2, 0, 9)
"""First standalone Keras whose SeparableConv2D is dilated; before, it only recorded the rate.

Source: ``call`` in keras/layers/convolutional.py of 2.0.8 and 2.0.9; that of TensorFlow 1.4 passes the rate on.
"""


def _has_sigmoid_gates(writer: Writer) -> bool:
    """Tell whether LSTM and GRU of *writer* use the sigmoid by default: tf.keras since TensorFlow 2.0."""
    return writer.flavour is Flavour.TF_KERAS or (writer.flavour is Flavour.TF_KERAS_1X and writer.version >= (2, 3))


_CONTRACTS_AXES = {Flavour.KERAS_1: (2,), Flavour.KERAS_2: (2, 2, 5), Flavour.TF_KERAS_1X: (2, 2, 4, 2)}
"""First release whose Dot takes any axes for those of the product; before, with TensorFlow, the last two.

Source: ``batch_dot`` in keras/backend/tensorflow_backend.py of 2.2.4 and 2.2.5, and in theano_backend.py of 2.1.2;
tensorflow/python/keras/backend.py of 1.15.5, and of 2.0.0, whose 2.2.4-tf has a number more (`writer_of`).
"""


def _own_object(name: str, config: Config, writer: Writer) -> tuple[str, str]:
    """Return module and name, safeload's own where Keras 3 does not compute the same."""
    if name in {"Attention", "AdditiveAttention"} and config.get("causal"):
        del config["causal"]
        return COMPAT_MODULE, f"Causal{name}"
    is_old = writer.flavour is Flavour.KERAS_1 or () < writer.version < _CONTRACTS_AXES.get(writer.flavour, ())
    if name == "Dot" and is_old and writer.backend == "tensorflow":
        return COMPAT_MODULE, name
    if name == "EinsumDense" and isinstance(config.get("output_shape"), list) and None in config["output_shape"]:
        return COMPAT_MODULE, name
    # keras/backend/tensorflow_backend.py of 2.2.4 and 2.3.1: image_ops.resize_bilinear, as in TensorFlow 1.
    is_old_resize = writer.flavour is Flavour.KERAS_2 and config.get("interpolation") == "bilinear"
    # tensorflow/python/keras/layers/preprocessing/discretization.py of 2.5.0, the only one with weights; 2.3.0 has no
    # epsilon, and neither that nor 2.8.0 puts boundaries into the bin below.
    is_of_trees = name == "Discretization" and "epsilon" in config and writer.version < (2, 6)
    if is_of_trees or name in _GONE or name == "RandomCrop" or (name == "UpSampling2D" and is_old_resize):
        return COMPAT_MODULE, name
    return LAYERS, name


def _known(module: str, name: str, config: Config) -> Config:
    known = find_class(module, name)
    keys = frozenset(known.keys) if known else frozenset()
    unused = _UNUSED.get(name, frozenset())

    def is_kept(key: str, value: Any) -> bool:
        if key in _WITHOUT_EFFECT and (key, name) not in _WITH_EFFECT:
            return key == "implementation" and module == COMPAT_MODULE and value != 1
        if key in keys:
            return True
        if module == COMPAT_MODULE and key not in _NEUTRAL:
            return True
        is_filters = key == "filters" and name.startswith("DepthwiseConv")
        return not (key in unused or is_filters or _is_neutral(key, value))

    return {key: value for key, value in config.items() if is_kept(key, value)}


def _is_neutral(key: str, value: Any) -> bool:
    return any(type(v) is type(value) and v == value for v in _NEUTRAL.get(key, ()))


def _without_virtual_batches(config: Config) -> None:
    """Let a BatchNormalization of virtual batches be another one, which it is in inference.

    ``build`` made its axis one more, for the axis of the batches, and recorded that: those that it was not called with
    are left as they are, to be refused.

    Source: BatchNormalizationBase in keras/layers/normalization/batch_normalization.py (2.8.0), and in
    tensorflow/python/keras/layers/normalization.py (1.15.5).
    """
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1 and isinstance(axis[0], int) and axis[0] > 1:
        config["axis"] = [axis[0] - 1]
        del config["virtual_batch_size"]


def _convert(name: str, config: Config) -> None:
    if name == "BatchNormalization" and isinstance(config.get("virtual_batch_size"), int):
        _without_virtual_batches(config)
    if name in _ONE_AXIS and isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    mode = config.get("output_mode")
    if name in _WITH_OUTPUT_MODE and isinstance(mode, str):
        config["output_mode"] = _OUTPUT_MODES.get(mode, mode)
    if name == "Hashing":
        _convert_hashing(config)
    if name == "TextVectorization" and config.get("max_tokens") is None and "pad_to_max_tokens" in config:
        # Without a number there is no place to fill up; TensorFlow 2.3 wrote True all the same: __init__ in
        # tensorflow/python/keras/layers/preprocessing/text_vectorization.py (2.3.4).
        config["pad_to_max_tokens"] = False
    if name == "InputLayer" and config.get("dtype") is None:
        config["dtype"] = "float32"
    if name == "Lambda":
        _convert_lambda(config)
    if name == "Bidirectional" and config.get("backward_layer") is None:
        _turn_back(config)
    known = find_class(LAYERS, name)
    if known and "data_format" in known.keys and config.get("data_format") is None:
        config["data_format"] = "channels_last"


def _turn_back(config: Config) -> None:
    """Write down the second layer where the first goes backwards: it goes forwards, and in Keras 3 backwards.

    Source: ``__init__`` in keras/layers/wrappers.py of 1.2.2 to 2.3.1, ``layers/rnn/bidirectional.py`` of 2.15.0.
    """
    layer = config.get("layer")
    inner = layer.get("config") if isinstance(layer, dict) else None
    if isinstance(inner, dict) and inner.get("go_backwards") is True:
        turned = {"go_backwards": False, "name": f"backward_{inner.get('name')}"}
        config["backward_layer"] = {**_apart(layer), "config": {**_apart(inner), **turned}}


def _apart(value: Any) -> Any:
    """Return a copy of *value* that shares no object with it."""
    if isinstance(value, dict):
        return {key: _apart(item) for key, item in value.items() if key != "shared_object_id"}
    return [_apart(item) for item in value] if isinstance(value, list) else value


_NO_SALT = [0xDECAFCAFFE] * 2
"""What TensorFlow 2.3 records where no salt was given, and nothing was salted.

Source: tensorflow/python/keras/layers/preprocessing/hashing.py of 2.3.0 (_DEFAULT_SALT_KEY).
"""


def _convert_hashing(config: Config) -> None:
    if config.get("salt") == _NO_SALT:
        config["salt"] = None
    if config.get("output_mode", "int") == "int" and config.get("dtype") == "float32":
        config["dtype"] = "int64"  # what TensorFlow 2.3 gave out, whatever the layer's dtype


FUNCTION_PARTS = ("function", "output_shape", "mask")


def _convert_lambda(config: Config) -> None:
    """Write functions as Keras 3 does: keras/layers/core.py (2.2.4), keras/src/layers/core/lambda_layer.py (2.15.0)."""
    for part in FUNCTION_PARTS:
        module = config.pop("module" if part == "function" else f"{part}_module", None)
        kind = config.pop(f"{part}_type", "raw")
        value = config.get(part)
        if kind == "lambda" and isinstance(value, (list, str)):
            code, defaults, closure = (value + [None] * 3)[:3] if isinstance(value, list) else (value, None, None)
            parts = {"code": code, "defaults": defaults, "closure": closure}
            config[part] = {"class_name": "__lambda__", "config": parts}
        elif kind == "function" and isinstance(value, str):
            config[part] = {"module": module, "class_name": "function", "config": value, "registered_name": value}
