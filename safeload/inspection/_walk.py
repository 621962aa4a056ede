"""One walk over JSON trees, so that nothing in a config is looked at by one rule and missed by another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
        is_object: True if the value is a serialized object; see `is_object`.
    """

    path: _Path
    key: str
    value: Any
    owner: Any = None
    is_training_only: bool = False
    is_object: bool = False

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


NOTABLE_LENGTH = 30
"""Texts of this length or more may be more than a word: code, encoded arrays."""
NOTABLE_KEYS = frozenset({"name", "vocabulary", "idf_weights"})
"""Keys whose texts Keras may take for a path, whatever their length."""

_SCALARS: frozenset[type] = frozenset({bool, float, int, type(None)})


def own_values(tree: Any) -> Iterator[Any]:
    """Yield *tree* and every dict, list and text in it, but of objects and lambdas only themselves, not what they hold.

    Who asks this of every object of a config looks at every value once, however deep objects stand in objects.
    """
    stack = [tree]
    while stack:
        value = stack.pop()
        yield value
        if isinstance(value, list):
            stack += [item for item in value if type(item) not in _SCALARS]
        elif isinstance(value, dict) and (value is tree or not (is_object(value) or _is_lambda(value))):
            stack += [item for item in value.values() if type(item) not in _SCALARS]


def notable_places(tree: Any, where: str = "$", *, is_training_only: bool = False) -> tuple[Place, ...]:
    """Return what a rule may look at, in reading order: *tree*, every dict that names a class, longer strings.

    Of what only training needs that is every dict. Making a place of each dict and each string would take most of the
    time that looking at a model takes.

    Args:
        tree: What the json module made.
        where: Path of *tree* itself.
        is_training_only: What holds for *tree* itself; it holds for everything below too.
    """
    found: list[Place] = []
    path: _Path = (None, where)
    if isinstance(tree, str) or (isinstance(tree, dict) and "class_name" not in tree and not is_training_only):
        found.append(Place(path, "", tree))
    if isinstance(tree, (dict, list)):
        _collect(path, "", tree, None, is_training_only, found)
    return tuple(found)


def recorded_places(raw: Any, training: Any, normal: Sequence[Place] = ()) -> tuple[Place, ...]:
    """Return the notable places of the config that a file holds, and of the training config beside it.

    Args:
        raw: The config as the file has it.
        training: The training config.
        normal: The places of its normal form. Those of a model's own config that is the same in both, as in files of
            current releases, are taken from there.
    """
    places = _shared_places(raw, normal) if normal else notable_places(raw)
    return (*places, *notable_places(training, "$.training_config", is_training_only=True))


def _shared_places(raw: dict[str, Any], normal: Sequence[Place]) -> Iterable[Place]:
    """Return the places of *raw*: what is below its config first, from *normal* if it is the same there."""
    root = normal[0].value
    if root.get("config") is None or raw.get("config") != root["config"]:
        return notable_places(raw)
    outer = {**raw, "config": None}
    keys = [*root]
    position = keys.index("config")
    before, after = (
        notable_places({key: root[key] for key in part}) for part in (keys[:position], keys[position + 1 :])
    )
    shared = normal[len(before) : len(normal) + 1 - len(after)]
    return (
        Place((None, "$"), "", raw, is_object=is_object(raw)),
        *[place._replace(owner=raw) if place.owner is root else place for place in shared],
        *[place._replace(owner=raw) if place.owner is outer else place for place in notable_places(outer)[1:]],
    )


def _collect(path: _Path, key: str, value: Any, owner: Any, training: bool, found: list[Place]) -> None:  # noqa: FBT001
    """Append the place of *value* if it is a dict that somebody may look at, and what is notable in it.

    Each level of the tree is a call and nothing is made that is not kept, for speed.
    """
    is_list = type(value) is list
    if not is_list and "class_name" in value:
        is_named = is_object(value)
        found.append(_place(Place, (path, key, value, owner, training, is_named)))
        if is_named and value["class_name"] != "function":
            owner = value
    elif training and not is_list:
        found.append(_place(Place, (path, key, value, owner, training, False)))
    steps: Iterable[tuple[Any, Any]] = enumerate(value) if is_list else value.items()
    for step, item in steps:
        if (kind := type(item)) in _SCALARS:
            continue
        name = key if is_list else step
        is_training = training or name in _TRAINING_KEYS
        if kind is not str:
            _collect((path, step), name, item, owner, is_training, found)
        elif len(item) >= NOTABLE_LENGTH or name in NOTABLE_KEYS:
            found.append(_place(Place, ((path, step), name, item, owner, is_training, False)))


_place = tuple.__new__
"""Makes a `Place` in half the time."""


def is_object(value: Any) -> bool:
    """Tell whether *value* is a serialized object: a dict that names a class, markers of values left out."""
    if not isinstance(value, dict) or "class_name" not in value:
        return False
    name = value["class_name"]
    return isinstance(name, str) and not _is_marked(name)


def is_marker(value: Any) -> bool:
    """Tell whether *value* encodes a value that JSON lacks, such as ``__keras_tensor__`` or ``__tuple__``."""
    name = value.get("class_name") if isinstance(value, dict) else None
    return isinstance(name, str) and _is_marked(name)


def _is_lambda(value: dict[str, Any]) -> bool:
    return value.get("class_name") == "__lambda__"


def _is_marked(name: str) -> bool:
    return name[:2] == "__" == name[-2:]
