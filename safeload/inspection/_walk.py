"""One walk over JSON trees, so that nothing in a config is looked at by one rule and missed by another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Place(NamedTuple):
    """A value of a JSON tree and where it stands.

    Attributes:
        where: Path such as ``$.config.layers[3].config``.
        key: The nearest dict key on the way to it, ``""`` at the root.
        value: What stands there.
        owner: The nearest serialized object (layer, initializer, …) around it, or None.
        is_training_only: True below the keys that only ``compile`` reads.
    """

    where: str
    key: str
    value: Any
    owner: Any = None
    is_training_only: bool = False


# Beside "config" in a model's object: keras/src/saving/serialization_lib.py of Keras 3.15.1, ``compile_config``;
# "training_config" is the HDF5 attribute, keras/src/legacy/saving/legacy_h5_format.py.
_TRAINING_KEYS = frozenset({"compile_config", "training_config"})


def walk(tree: Any, where: str = "$", *, is_training_only: bool = False) -> Iterator[Place]:
    """Yield every dict, list and string of *tree*, containers before their content, in reading order.

    Args:
        tree: What the json module made.
        where: Path of *tree* itself.
        is_training_only: What holds for *tree* itself; it holds for everything below too.
    """
    return _walk(Place(where, "", tree, None, is_training_only), (dict, list, str))


def walk_dicts(tree: Any, where: str = "$", *, is_training_only: bool = False) -> Iterator[Place]:
    """Yield every dict of *tree*, in the same order and with the same arguments."""
    places = _walk(Place(where, "", tree, None, is_training_only), (dict, list))
    return (place for place in places if isinstance(place.value, dict))


def _walk(root: Place, kinds: tuple[type, ...]) -> Iterator[Place]:
    stack = [root] if isinstance(root.value, kinds) else []
    while stack:
        place = stack.pop()
        yield place
        if not isinstance(place.value, str):
            stack.extend(_children(place, kinds))


def _children(place: Place, kinds: tuple[type, ...]) -> list[Place]:
    """Return the children of a dict or a list, the last one first."""
    where, key, value, owner, training = place
    if isinstance(value, list):
        found = [Place(f"{where}[{i}]", key, v, owner, training) for i, v in enumerate(value) if isinstance(v, kinds)]
    else:
        owner = value if is_object(value) and value["class_name"] != "function" else owner
        found = [
            Place(f"{where}.{k}", k, v, owner, training or k in _TRAINING_KEYS)
            for k, v in value.items()
            if isinstance(v, kinds)
        ]
    return found[::-1]


def is_object(value: Any) -> bool:
    """Tell whether *value* is a serialized object: a dict that names a class, markers of values left out."""
    name = value.get("class_name") if isinstance(value, dict) else None
    return isinstance(name, str) and not (name.startswith("__") and name.endswith("__"))


def is_marker(value: Any) -> bool:
    """Tell whether *value* encodes a value that JSON lacks, such as ``__keras_tensor__`` or ``__tuple__``."""
    name = value.get("class_name") if isinstance(value, dict) else None
    return isinstance(name, str) and name.startswith("__") and name.endswith("__")
