"""Layers of Keras 1 → layers of Keras 2. Layer: dialects.

Owns the names of Keras 1 and nothing later. The arrays of a few layers lie differently too; that is `runtime`'s part.

Source:
    keras 2.2.4 ``keras/legacy/interfaces.py`` and keras 1.2.2 ``keras/layers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._writer import dicts_in
from safeload.errors import IncompatibleVersionError

Config = dict[str, Any]

# What several layers call the same: old key → new key.
_COMMON = {
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "nb_filter": "filters",
    "subsample": "strides",
    "atrous_rate": "dilation_rate",
    "gamma_init": "gamma_initializer",
    "beta_init": "beta_initializer",
    "input_dtype": "dtype",
}
_UNITS = {"output_dim": "units"}
_CONV_1D = {"filter_length": "kernel_size", "subsample_length": "strides"}
_POOL_1D = {"pool_length": "pool_size", "stride": "strides"}
_RATE = {"p": "rate"}
_SEPARABLE = {"init": "depthwise_initializer"}

_RENAMED_KEYS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("Dense", "TimeDistributedDense", "MaxoutDense", "SimpleRNN", "LSTM", "GRU"), _UNITS),
    **dict.fromkeys(("Convolution1D", "AtrousConvolution1D", "LocallyConnected1D"), _CONV_1D),
    **dict.fromkeys(("MaxPooling1D", "AveragePooling1D"), _POOL_1D),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout"), _RATE),
    "SeparableConvolution2D": _SEPARABLE,
    "GaussianNoise": {"sigma": "stddev"},
    "UpSampling1D": {"length": "size"},
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "PReLU": {"init": "alpha_initializer"},
    "ParametricSoftplus": {"beta_init": "beta_init"},
}

_RENAMED_CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
_GONE = frozenset({"Deconvolution2D", "MaxoutDense", "Highway", "SReLU", "ParametricSoftplus"})

# Keys without an effect on what is computed: how fast, how dropout of training, which shape the caller declared.
_WITHOUT_EFFECT = {
    "Embedding": ("dropout", "input_length"),
    "": ("consume_less", "input_length", "mode_type", "weights"),
}
_ORDERINGS = {"tf": "channels_last", "th": "channels_first", "default": "channels_last"}
_INITIALIZERS = {"zero": "zeros", "one": "ones", "uniform": "random_uniform", "normal": "random_normal"}


_SILENT = frozenset({"Cropping2D", "Cropping3D", "UpSampling2D", "UpSampling3D", "ZeroPadding2D", "ZeroPadding3D"})
"""Layers that do not record their ``dim_ordering``.

Source: ``get_config`` in keras/layers/convolutional.py of 1.0.8, 1.1.2 and 1.2.2.
"""


_TF_BY_DEFAULT = (1, 1)
"""First Keras whose layers have the ordering of TensorFlow if nobody says otherwise: keras/backend/common.py."""


def with_orderings(config: Any, version: tuple[int, ...]) -> Any:
    """Return the *config* of a model with the ordering of the other layers where a layer does not record its own.

    Where no other layer has any, the default of *version* stands, since 1.1.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. No other layer tells, or they differ.
    """
    objects = [value for value in dicts_in(config) if isinstance(value.get("config"), dict)]
    silent = [value for value in objects if _is_silent(value)]
    recorded = {
        each["config"]["dim_ordering"] for each in objects if isinstance(each["config"].get("dim_ordering"), str)
    }
    if not silent or (version >= _TF_BY_DEFAULT and not recorded):
        return config
    if len(recorded) != 1:
        named = f"{silent[-1]['class_name']} {silent[-1]['config'].get('name')!r}"
        raise IncompatibleVersionError(
            named,
            problem="Keras 1 does not record whether its channels come first, and "
            + ("the other layers differ in it" if recorded else "no other layer tells"),
            hint="rebuild the model with the layers of Keras 2",
        )
    return _filled(config, recorded.pop())


def _is_silent(value: Config) -> bool:
    name = value.get("class_name")
    return isinstance(name, str) and name in _SILENT and "dim_ordering" not in value["config"]


def _filled(value: Any, ordering: str) -> Any:
    if isinstance(value, list):
        return [_filled(item, ordering) for item in value]
    if not isinstance(value, dict):
        return value
    filled = {key: _filled(item, ordering) for key, item in value.items()}
    if isinstance(filled.get("config"), dict) and _is_silent(filled):
        filled["config"]["dim_ordering"] = ordering
    return filled


def modernise(name: str, config: Mapping[str, Any]) -> tuple[str | None, str, Config]:
    """Return the module (None: Keras's own), class and config with which Keras 2 means the same layer.

    Args:
        name: Class of a layer that Keras 1 wrote.
        config: Its config; not changed.
    """
    names = {**_COMMON, **_RENAMED_KEYS.get(name, {})}
    dropped = {*_WITHOUT_EFFECT.get(name, ()), *_WITHOUT_EFFECT[""]}
    renamed = {names.get(key, key): value for key, value in config.items() if key not in dropped}
    if name not in _TAKES_INPUT_DIM:
        renamed.pop("input_dim", None)
    _convert_values(renamed)
    if name in _CONVERSIONS:
        _CONVERSIONS[name](renamed)
    is_samplewise = name == "BatchNormalization" and renamed.get("mode") in {1, 2}
    if name == "BatchNormalization" and not is_samplewise:
        renamed.pop("mode", None)
    module = COMPAT_MODULE if name in _GONE or is_samplewise else None
    return module, _RENAMED_CLASSES.get(name, name), renamed


_TAKES_INPUT_DIM = frozenset({"Embedding"})


def _convert_values(config: Config) -> None:
    for key, value in config.items():
        if key == "data_format" and isinstance(value, str):
            config[key] = _ORDERINGS.get(value, value)
        elif key.endswith("_initializer") and isinstance(value, str):
            config[key] = _INITIALIZERS.get(value, value)
        elif key.endswith("_regularizer"):
            config[key] = _regularizer(value)
        elif key.endswith("_constraint"):
            config[key] = _constraint(value)


def _regularizer(value: Any) -> Any:
    """Convert ``{"name": "WeightRegularizer", "l1": …, "l2": …}``: keras/regularizers.py."""
    if not isinstance(value, dict) or "class_name" in value:
        return value
    penalties = {k: value[k] for k in ("l1", "l2") if k in value}
    return {"class_name": "L1L2", "config": penalties}


_BOUNDS = {"m": "max_value", "low": "min_value", "high": "max_value"}


def _constraint(value: Any) -> Any:
    """Convert ``{"name": "MaxNorm", "m": 2, "axis": 0}``: keras/constraints.py."""
    if not isinstance(value, dict) or "class_name" in value or "name" not in value:
        return value
    config = {_BOUNDS.get(k, k): v for k, v in value.items() if k != "name"}
    return {"class_name": value["name"], "config": config}


def _kernel_of(*keys: str) -> Callable[[Config], None]:
    def convert(config: Config) -> None:
        config["kernel_size"] = [config.pop(key) for key in keys if key in config]

    return convert


def _separable(config: Config) -> None:
    _kernel_of("nb_row", "nb_col")(config)
    if "depthwise_initializer" in config:
        config["pointwise_initializer"] = config["depthwise_initializer"]


def _upsampling(config: Config) -> None:
    config.setdefault("interpolation", "nearest")


def _lstm(config: Config) -> None:
    config["unit_forget_bias"] = config.pop("forget_bias_init", "one") in {"one", "ones"}


def _conv_lstm(config: Config) -> None:
    """Convert what there is; Keras 1 records no strides, and loads its own file with those of the default."""
    _kernel_of("nb_row", "nb_col")(config)
    _lstm(config)


def _gru(config: Config) -> None:
    config["reset_after"] = False


def _padding_2d(config: Config) -> None:
    """Convert the dict and the list of four: keras/layers/convolutional.py, ZeroPadding2D."""
    padding = config.get("padding")
    if isinstance(padding, dict):
        padding = [padding.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")]
    if isinstance(padding, list) and len(padding) == 4:
        config["padding"] = [padding[:2], padding[2:]]


_CONVERSIONS: Mapping[str, Callable[[Config], None]] = {
    **dict.fromkeys(
        ("Convolution2D", "AtrousConvolution2D", "Deconvolution2D", "LocallyConnected2D"),
        _kernel_of("nb_row", "nb_col"),
    ),
    "ConvLSTM2D": _conv_lstm,
    "Convolution3D": _kernel_of("kernel_dim1", "kernel_dim2", "kernel_dim3"),
    "SeparableConvolution2D": _separable,
    "UpSampling2D": _upsampling,
    "LSTM": _lstm,
    "GRU": _gru,
    "ZeroPadding2D": _padding_2d,
}
