"""What Keras finds in place of a class, where making objects of it takes more than its config. Layer: runtime."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from types import MethodType, ModuleType
from typing import Any

from safeload.dialects import BUILT_BEFORE
from safeload.runtime._keras._constructors import is_default_from_config
from safeload.runtime._keras._package import without_safe_mode


@dataclass(frozen=True)
class WithBytecode:
    """What Keras finds in place of a class of the caller's whose bytecode was trusted.

    Attributes:
        cls: The class.
    """

    cls: Any

    def from_config(self, config: dict[str, Any]) -> Any:
        """Make an object of the class from *config*; its ``from_config`` unmarshals what was judged in it."""
        with without_safe_mode():
            return self.cls.from_config(config)


@dataclass(frozen=True)
class OfRows:
    """What Keras finds in place of TextVectorization.

    Attributes:
        cls: TextVectorization.
    """

    cls: Any

    def from_config(self, config: dict[str, Any]) -> Any:
        """Make a layer from *config* that declares the shape of what it gives."""
        layer = self.cls.from_config(config)
        if config.get("output_mode", "int") != "int":
            layer.compute_output_shape = MethodType(_row, layer)
        return layer


def _row(layer: Any, input_shape: Any) -> tuple[Any, ...]:
    return (input_shape[0], type(layer).compute_output_shape(layer, input_shape)[-1])


@dataclass(frozen=True)
class Uncast:
    """What Keras 3 finds in place of a layer's class of the caller's whose dtype is none of floats.

    Keras 2 gave it floats as they are. TensorFlow 1 recorded the dtype of a layer's first input, indices for one.

    Attributes:
        found: The class, or what stands for it.
    """

    found: Any

    def from_config(self, config: dict[str, Any]) -> Any:
        """Make a layer from *config*, to which Keras casts nothing."""
        layer = self.found.from_config(config)
        layer.autocast = False
        return layer


@dataclass(frozen=True)
class WithParts:
    """What Keras finds in place of a class of the caller's that takes objects, not their configs.

    Attributes:
        cls: The class.
        keras: The package to build with.
    """

    cls: Any
    keras: ModuleType

    def from_config(self, config: dict[str, Any]) -> Any:
        """Make an object of the class from *config*, whose marked parts are built before.

        A ``from_config`` of today's that builds them itself takes no objects.
        """
        built = {key: self._built(value) if is_built_before(value) else value for key, value in config.items()}
        try:
            return self.cls.from_config(built)
        except TypeError:
            if is_default_from_config(self.cls):
                raise
            return self.cls.from_config(config)

    def _built(self, part: dict[str, Any]) -> Any:
        return self.keras.saving.deserialize_keras_object(copy.deepcopy(part))


def is_built_before(value: Any) -> bool:
    return isinstance(value, dict) and BUILT_BEFORE in value and "registered_name" in value
