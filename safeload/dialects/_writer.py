"""Which Keras wrote a config. Layer: dialects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from safeload.dialects._normal import Flavour, Writer
from safeload.formats import Format

# Keys that only Keras 1 writes: keras/layers/core.py, convolutional.py, recurrent.py, pooling.py of Keras 1.2.2.
# ("output_dim" and "input_dim" are left out: Embedding has both in every release.)
_KERAS_1_KEYS = frozenset(
    [
        "W_regularizer",
        "b_regularizer",
        "U_regularizer",
        "border_mode",
        "dim_ordering",
        "nb_filter",
        "nb_row",
        "inner_init",
        "input_dtype",
        "pool_length",
        "consume_less",
        "subsample",
        "dropout_W",
        "concat_axis",
    ]
)
# Keys that only Keras 3 writes: keras/src/layers/core/input_layer.py, rnn/rnn.py, core/dense.py.
_KERAS_3_KEYS = frozenset({"batch_shape", "zero_output_for_mask", "lora_rank", "quantization_config"})
# Keys that tf.keras writes and standalone Keras 2 does not: tensorflow/python/keras/layers, engine/input_layer.py.
_TF_KERAS_KEYS = frozenset({"ragged", "time_major", "groups", "synchronized", "build_input_shape", "shared_object_id"})
# What tells apart the releases of Keras 3, which record none in JSON: the first that writes it of every InputLayer
# (core/input_layer.py of 3.8.0 and 3.9.0, 3.12.0 and 3.13.0), the first whose layers write a policy as an object
# (layer.py of 3.3.3 and 3.4.0), the first that writes how a model that is not compiled is (trainers/trainer.py of 3.9.2
# and 3.10.0).
_INPUT_KEYS = {"ragged": (3, 9), "optional": (3, 13)}
_POLICIES_ARE_OBJECTS = (3, 4)
_WRITES_NO_COMPILATION = (3, 10)
# Layers that write the name of their dtype in every release: the same files of 3.15.1 beside their class.
_NAMES_DTYPE = frozenset(
    ["InputLayer", "Discretization", "HashedCrossing", *(f"SpatialDropout{i}D" for i in (1, 2, 3))]
)
_OF_BOTH = "2.2.4-tf"
"""What TensorFlow 1.13 to 1.15 record, and 2.0.0 and 2.1.0, too; later patches of these two record 2.3.0-tf."""
_LEAVES: frozenset[type] = frozenset({bool, float, int, str, type(None)})
_NUMBERS = re.compile(r"\d{1,9}")


def writer_of(config: Any, metadata: Mapping[str, str], format: Format) -> Writer:  # noqa: A002
    """Say which Keras wrote *config*.

    The recorded version decides. Public files often lack it: then the spelling of modules and keys does.

    Args:
        config: The config as the file has it.
        metadata: ``keras_version`` and ``backend`` as far as recorded beside the config.
        format: The container.

    Returns:
        The writer; its version is empty where the file does not record it, and bounded where it is a Keras 3. A fourth
        number tells the 2.2.4-tf of TensorFlow 2 from that of TensorFlow 1.

    Source:
        ``keras_version``: keras/src/legacy/saving/legacy_h5_format.py; ``metadata.json``: saving_lib.py (3.15.1);
        tensorflow/python/keras/__init__.py for the suffix ``-tf``. TensorFlow 2.3 is the first whose ``tf.keras``
        records 2.4.0 without suffix; standalone Keras ends with 2.3.1, and its 2.4.3 calls ``tf.keras``.
    """
    recorded = metadata.get("keras_version")
    if not recorded and isinstance(config, dict):
        recorded = config.get("keras_version")
    text = recorded if isinstance(recorded, str) else ""
    version = tuple(int(n) for n in _NUMBERS.findall(text.partition("-")[0])[:3])
    backend = metadata.get("backend") or "tensorflow"
    if version:
        own = (*version, 2) if text == _OF_BOTH and _is_of_tensorflow_2(config) else version
        return Writer(_flavour_of(version, is_tensorflow="-tf" in text), own, backend=backend)
    flavour = _inferred(config, format)
    since, before = _bounds(config) if flavour is Flavour.KERAS_3 else ((), ())
    return Writer(flavour, (), since, before, backend)


def _is_of_tensorflow_2(config: Any) -> bool:
    """Tell whether the layers of a functional model begin with their class, not with their name.

    Source: ``get_config`` in tensorflow/python/keras/engine/network.py (1.13.1, 1.15.5), ``get_network_config`` in that
    of 2.0.0 and 2.1.0, and files of these.
    """
    layers = (entry for entry in dicts_in(config) if "inbound_nodes" in entry)
    return next(iter(next(layers, ())), None) == "class_name"


def _bounds(config: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Between which releases a Keras 3 wrote *config*, as far as it shows; nothing if it contradicts itself."""
    seen = {sign for entry in dicts_in(config) for sign in _signs(entry)}
    if isinstance(config, dict) and config.get("class_name") in {"Functional", "Sequential"}:
        compilation = config.get("compile_config")
        seen |= {(_WRITES_NO_COMPILATION, compilation is not None)} if not compilation else set()
    since = max((release for release, is_written in seen if is_written), default=())
    before = min((release for release, is_written in seen if not is_written), default=())
    return (since, before) if not before or since < before else ((), ())


def _signs(entry: Mapping[str, Any]) -> Iterator[tuple[tuple[int, ...], bool]]:
    """Yield releases, with whether *entry* has what the first of them that writes it does, or lacks it."""
    name, config, module = entry.get("class_name"), entry.get("config"), str(entry.get("module"))
    if not isinstance(config, dict) or not module.startswith(("keras.layers", "keras.src.layers")):
        return
    if name == "InputLayer":
        yield from ((release, key in config) for key, release in _INPUT_KEYS.items())
    elif name not in _NAMES_DTYPE and isinstance(config.get("dtype"), dict | str):
        yield _POLICIES_ARE_OBJECTS, isinstance(config["dtype"], dict)


def _flavour_of(version: tuple[int, ...], *, is_tensorflow: bool) -> Flavour:
    if version >= (3,):
        return Flavour.KERAS_3
    if version < (2,):
        return Flavour.KERAS_1
    if version >= (2, 16):
        return Flavour.TF_KERAS
    return Flavour.TF_KERAS_1X if is_tensorflow or version >= (2, 4) else Flavour.KERAS_2


def _inferred(config: Any, format: Format) -> Flavour:  # noqa: A002
    modules: set[str] = set()
    keys: set[str] = set()
    for entry in dicts_in(config):
        keys.update(entry)
        if isinstance(entry.get("module"), str):
            modules.add(entry["module"])
    engines = ("keras.src.engine", "keras.engine")
    is_zip = format in {Format.KERAS_ARCHIVE, Format.KERAS_DIRECTORY}
    evidence = (
        (any(m.startswith("tf_keras") for m in modules), Flavour.TF_KERAS),
        (any(m.startswith(engines) for m in modules) or "is_legacy_optimizer" in keys, Flavour.TF_KERAS_1X),
        (keys & _KERAS_3_KEYS and "batch_input_shape" not in keys, Flavour.KERAS_3),
        (modules and "batch_input_shape" in keys, Flavour.TF_KERAS_1X),
        ("registered_name" in keys or is_zip, Flavour.KERAS_3),
        (keys & _KERAS_1_KEYS, Flavour.KERAS_1),
        (keys & _TF_KERAS_KEYS, Flavour.TF_KERAS_1X),
    )
    return next((flavour for seen, flavour in evidence if seen), Flavour.KERAS_2)


def dicts_in(tree: Any) -> list[dict[str, Any]]:
    """Return every dict of *tree*, containers before their content, in reading order."""
    found: list[dict[str, Any]] = []
    _collect_dicts(tree, found)
    return found


def _collect_dicts(value: Any, found: list[dict[str, Any]]) -> None:
    if isinstance(value, dict):
        found.append(value)
        value = value.values()
    elif not isinstance(value, list):
        return
    for item in value:
        if type(item) not in _LEAVES:
            _collect_dicts(item, found)
