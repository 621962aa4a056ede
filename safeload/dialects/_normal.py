"""The normal form: the one shape in which every layer above sees a Keras config.

It is what Keras 3 writes into ``config.json``, made fully explicit:

* Every serialized object at any depth is a dict with the keys ``module``,
  ``class_name``, ``config`` and ``registered_name`` (``build_config`` where recorded;
  a layer of a Functional model also ``name`` and ``inbound_nodes``).
* Built-in classes carry the public module (``keras.layers``, ``keras.initializers``,
  ``keras.ops.numpy`` …) and registered_name None, whatever the era called them.
* A built-in function stays a plain string where Keras expects an identifier (``"relu"``).
  A function that is not built in becomes
  ``{"module": …|None, "class_name": "function", "config": name, "registered_name": …}``.
* What an old release computed differently is an object of safeload:
  module ``"safeload.compat"`` (see `dialects.COMPAT_OBJECTS` for the names).
* A custom class keeps the module and registered_name recorded, or None where the era recorded none.
* Functional models have Keras 3 nodes: ``inbound_nodes: [{"args": […], "kwargs": {…}}]`` with
  ``{"class_name": "__keras_tensor__", "config": {"shape", "dtype", "keras_history": [layer, node, tensor]}}``;
  ``input_layers`` and ``output_layers`` keep their nesting.
* Sequential models hold ``{"name", "layers": […]}`` with an InputLayer in front where the input shape is recorded.
* A part of a config that is to be built before the object itself carries the mark `BUILT_BEFORE`.
* Keys that only training needs (compile_config, loss, optimizer) are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from safeload.errors import IncompatibleVersionError

BUILT_BEFORE = "__passive_serialization__"
"""Mark of an object that ``get_config`` returned as it is: a layer, where others return the config of one.

Keras makes such an object again and hands it to ``from_config`` of what holds it: ``serialize_keras_object`` and
``class_and_config_for_serialized_keras_object`` of tensorflow 2.1 ``python/keras/utils/generic_utils.py``, and for
HDF5 files still of keras 3.15 ``src/legacy/saving/serialization.py`` and of the same in tf_keras 2.21.
"""


class Flavour(Enum):
    """Which Keras wrote a config: what decides the meaning of names and defaults."""

    KERAS_1 = "keras1"
    KERAS_2 = "keras2"
    TF_KERAS_1X = "tf.keras"
    """``tf.keras`` of TensorFlow 1.4 to 2.15 (versions ``2.x.y-tf`` or ``2.x.0``)."""
    TF_KERAS = "tf_keras"
    """The package tf_keras, 2.16 and later."""
    KERAS_3 = "keras3"


@dataclass(frozen=True)
class Writer:
    """The Keras that wrote a config.

    Attributes:
        flavour: Which Keras.
        version: Numbers of the version, such as ``(2, 12, 0)``; empty when not recorded. See `writer_of` for a fourth.
        since: Where it is not: the release of Keras 3 from which on it may be; empty when not known.
        before: The same for the release before which it was.
        backend: What computed, as recorded.
    """

    flavour: Flavour
    version: tuple[int, ...] = ()
    since: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    backend: str = "tensorflow"

    def may_be_before(self, release: tuple[int, ...]) -> bool:
        """Tell whether a Keras before *release*, one of Keras 3, may have written it."""
        return self.flavour is not Flavour.KERAS_3 or (self.version or self.since) < release

    def tells(self, release: tuple[int, ...]) -> bool:
        """Tell whether it is known if a Keras before *release*, one of Keras 3, wrote it."""
        is_known = self.flavour is not Flavour.KERAS_3 or bool(self.version)
        return is_known or self.since >= release or bool(self.before and self.before <= release)

    def is_before(self, release: tuple[int, ...], what: str) -> bool:
        """Tell whether a Keras before *release*, one of Keras 3, wrote it; for *what* gives other outputs if so.

        Raises:
            IncompatibleVersionError: ``incompatible-version``. The file does not tell.
        """
        if self.tells(release):
            return self.may_be_before(release)
        number = ".".join(map(str, release))
        raise IncompatibleVersionError(
            what,
            problem=f"it changed in Keras {number}, and nothing tells whether an older one wrote this model",
            hint='write the release beside class_name into the JSON, such as "keras_version": "3.7.0"',
        )


@dataclass(frozen=True)
class NormalForm:
    """A Keras config in normal form with what the weights need to know.

    Attributes:
        config: The root object.
        writer: Who wrote the original.
        renamed: Layers whose name had to change: new name → name in the file.
    """

    config: Any
    writer: Writer
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KerasTarget:
    """An installed Keras, as `runtime` finds it.

    Attributes:
        package: ``"keras"`` or ``"tf_keras"``.
        version: Numbers of its version.
        accepts: ``(module, class_name)`` → keywords that the class's constructor takes, or None if it takes any;
            raises KeyError for a class that is not there.
    """

    package: str
    version: tuple[int, ...]
    accepts: Any

    def __str__(self) -> str:
        return f"{self.package} {'.'.join(map(str, self.version))}"
