"""One walk over JSON trees, so that nothing in a config is looked at by one rule and missed by another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

_Path: TypeAlias = "tuple[_Path | None, str | int]"
"""The way to a value: the way to its container, or None, and the key or the index in it."""


class Place(NamedTuple):
    """A value of a JSON tree and where it stands.

    Attributes:
        path: The way to it; `where` spells it out.
        key: The nearest dict key on the way to it, ``""`` at the root.
        value: What stands there.
        owner: The nearest serialized object (layer, initializer, …) around it, or None.
        is_training_only: True below the keys that only ``compile`` reads.
    """

    path: _Path
    key: str
    value: Any
    owner: Any = None
    is_training_only: bool = False

    @property
    def where(self) -> str:
        """Path such as ``$.config.layers[3].config``. It is put together on demand: few are ever named."""
        steps: list[str] = []
        above, step = self.path
        while above is not None:
            steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
            above, step = above
        return str(step) + "".join(reversed(steps))


# Beside "config" in a model's object: keras/src/saving/serialization_lib.py of Keras 3.15.1, ``compile_config``;
# "training_config" is the HDF5 attribute, keras/src/legacy/saving/legacy_h5_format.py.
_TRAINING_KEYS = frozenset({"compile_config", "training_config"})


def walk(
    tree: Any, where: str = "$", *, is_training_only: bool = False, texts: Callable[[str, str], bool] | None = None
) -> Iterator[Place]:
    """Yield every dict, list and string of *tree*, containers before their content, in reading order.

    Args:
        tree: What the json module made.
        where: Path of *tree* itself.
        is_training_only: What holds for *tree* itself; it holds for everything below too.
        texts: Tells from its key and itself whether a string is wanted; by default all are.
    """
    root = Place((None, where), "", tree, None, is_training_only)
    return _walk(root, (dict, list, str), texts=texts)


def walk_dicts(
    tree: Any, where: str = "$", *, is_training_only: bool = False, enter: Callable[[Place], bool] | None = None
) -> Iterator[Place]:
    """Yield every dict of *tree*, in the same order and with the same arguments.

    Args:
        tree: As for `walk`.
        where: As for `walk`.
        is_training_only: As for `walk`.
        enter: Tells whether what is inside of a dict is wanted too; by default it is.
    """
    root = Place((None, where), "", tree, None, is_training_only)
    places = _walk(root, (dict, list), enter=enter)
    return (place for place in places if isinstance(place.value, dict))


def _walk(
    root: Place,
    kinds: tuple[type, ...],
    *,
    texts: Callable[[str, str], bool] | None = None,
    enter: Callable[[Place], bool] | None = None,
) -> Iterator[Place]:
    stack = [root] if isinstance(root.value, kinds) else []
    while stack:
        place = stack.pop()
        yield place
        path, key, value, owner, training = place
        if isinstance(value, str):
            continue
        if isinstance(value, list):
            found = [
                Place((path, i), key, v, owner, training)
                for i, v in enumerate(value)
                if isinstance(v, kinds) and (texts is None or not isinstance(v, str) or texts(key, v))
            ]
        elif enter is not None and not enter(place):
            continue
        else:
            owner = value if is_object(value) and value["class_name"] != "function" else owner
            found = [
                Place((path, k), k, v, owner, training or k in _TRAINING_KEYS)
                for k, v in value.items()
                if isinstance(v, kinds) and (texts is None or not isinstance(v, str) or texts(k, v))
            ]
        found.reverse()
        stack += found


def is_object(value: Any) -> bool:
    """Tell whether *value* is a serialized object: a dict that names a class, markers of values left out."""
    name = value.get("class_name") if isinstance(value, dict) else None
    return isinstance(name, str) and not (name.startswith("__") and name.endswith("__"))


def is_marker(value: Any) -> bool:
    """Tell whether *value* encodes a value that JSON lacks, such as ``__keras_tensor__`` or ``__tuple__``."""
    name = value.get("class_name") if isinstance(value, dict) else None
    return isinstance(name, str) and name.startswith("__") and name.endswith("__")
