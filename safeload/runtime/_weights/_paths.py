"""Weights by object path: ``layers/dense/vars/0`` of Keras 3 and tf_keras, and its forerunner of Keras 2.12.

A path is followed from the model down, one name at a time. Layer: runtime.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from safeload.dialects import NormalForm
from safeload.readers import KerasArtifact
from safeload.runtime._keras._package import (
    has_own_loader,
    is_container,
    is_own_class,
    is_quantized,
    is_trackable,
    own_variables,
)
from safeload.runtime._weights._convert import in_order, is_reordered
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._ledger import Ledger, name_of
from safeload.runtime._weights._memory import as_tensor
from safeload.runtime._weights._quantized import in_todays_order, with_flat_scale
from safeload.runtime._weights._rms import find_rms_scaling
from safeload.runtime._weights._states import has_weights, set_summary, takes_summary

_DEPENDENCIES = "_layer_checkpoint_dependencies"
"""Attribute of Keras 2.12 to 2.14 that lists a layer with weights twice.

Keras 2.12 and 2.13 count what is repeated, ``dense, dense_2``; 2.14 does not, ``dense, dense_1``.

Source: keras 2.12.0 ``engine/functional.py``; ``_save_container_state`` of 2.13.1 and 2.14.0 ``saving/saving_lib.py``.
"""

_NUMBERED = re.compile(r"layer(?P<weights>_with_weights)?-(?P<index>\d{1,6})")
"""Names of layers in checkpoints, counted over all layers or over those with weights. Source: as above."""


def set_by_paths(model: Any, artifact: KerasArtifact, normal: NormalForm | None, ledger: Ledger) -> None:  # noqa: ARG001
    """Set the weights of *model* from arrays named by object path.

    Raises:
        LoadFailedError: ``load-failed``. A path leads to no object, or shapes do not agree.
    """
    groups: dict[str, dict[str, str]] = {}
    for path in ledger.unread:
        owner, found, key = _partition_vars(path)
        if found:
            groups.setdefault(owner, {})[key] = path
    finder = PathFinder(model, LayerOrder(model, normal), groups)
    for owner, entries in groups.items():
        thing = finder.find(owner)
        if thing is not None:
            find_rms_scaling(thing, list(entries), normal, ledger)
            _set_object(thing, owner, in_todays_order(thing, owner, entries, normal, ledger), ledger)


def _partition_vars(path: str) -> tuple[str, bool, str]:
    parts = path.replace("\\", "/").split("/")
    if "vars" not in parts:
        return path, False, ""
    at = len(parts) - 1 - parts[::-1].index("vars")
    return "/".join(parts[:at]), True, "/".join(parts[at + 1 :])


def _set_object(thing: Any, owner: str, entries: Mapping[str, str], ledger: Ledger) -> None:
    variables = own_variables(thing)
    # a quantized layer saves its variables in an order of its own, and its loader compares their shapes
    for index, variable in enumerate([] if is_quantized(thing) else variables):
        path = entries.get(str(index))
        shape = tuple(variable.shape) if path is None else ledger.unread[path].shape
        if shape != tuple(variable.shape) and not is_reordered(thing, shape, tuple(variable.shape)):
            ours = f"{name_of(variable)} {tuple(variable.shape)}"
            raise ledger.mismatch([f"{owner}/vars/{index} {shape} does not fit {ours}"])
    if len(entries) != len(variables) and not (is_own_class(thing) or has_own_loader(thing)):
        built = ", ".join(map(name_of, variables)) or "none"
        raise ledger.mismatch([f"the file has weights {', '.join(entries.values())}, the class has built {built}"])
    arrays = {key: ledger.read(path) for key, path in entries.items()}
    if takes_summary(thing):
        set_summary(thing, arrays, owner, ledger)
        return
    for index, variable in enumerate(variables if is_own_class(thing) else ()):
        if str(index) in arrays:
            arrays[str(index)] = in_order(arrays[str(index)], thing, tuple(variable.shape))
    if is_quantized(thing):
        arrays = {key: with_flat_scale(array, thing) for key, array in arrays.items()}
    convert = _unchanged if has_own_loader(thing) else as_tensor
    thing.load_own_variables({key: convert(array) for key, array in arrays.items()})
    for variable in variables:
        ledger.note(variable)


def _unchanged(array: Any) -> Any:
    return array


class _Members(dict[str, Any]):
    """The members of a list, tuple or dict, by the names that Keras gives them."""


class PathFinder:
    """Follows object paths of a weights file through a built model."""

    def __init__(self, model: Any, order: LayerOrder, paths: Collection[str] = ()) -> None:
        """Find out by *paths*, those of the file, whether it counts members that are repeated."""
        self.model = model
        self.order = order
        self._paths = paths
        self._counts_repeated = True
        self._members: dict[tuple[int, str], _Members] = {}
        faults = self._faults()
        if faults:
            self._count_repeated(False)
            if self._faults() >= faults:
                self._count_repeated(True)

    def _faults(self) -> int:
        """Return how many paths lead nowhere, to a layer without weights, or where another leads.

        Savers walk to each object once.
        """
        found = [thing for thing in map(self.find, self._paths) if thing is not None]
        able = {id(thing) for thing in found if not hasattr(thing, "weights") or has_weights(thing)}
        return len(self._paths) - len(able)

    def _count_repeated(self, counts: bool) -> None:  # noqa: FBT001
        self._counts_repeated = counts
        self._members.clear()

    def find(self, path: str) -> Any:
        """Return the layer, metric or generator at *path*, or None."""
        thing = self.follow(path)
        return thing if is_trackable(thing) else None

    def follow(self, path: str) -> Any:
        """Return what is at *path*, a list or a dict too, or None."""
        thing: Any = self.model
        for part in path.split("/") if path else ():
            thing = self._step(thing, part)
            if thing is None:
                return None
        return thing

    def _step(self, thing: Any, part: str) -> Any:
        return self._member(thing, part) if isinstance(thing, list | tuple | dict) else self._child(thing, part)

    def _child(self, thing: Any, part: str) -> Any:
        if part.startswith("__"):
            return None
        numbered = _NUMBERED.fullmatch(part)
        if numbered and hasattr(thing, "layers"):
            layers = [x for x in self._listed(thing, doubled=False) if has_weights(x) or not numbered["weights"]]
            return next(iter(layers[int(numbered["index"]) :]), None)
        # Models list their layers anew whenever they are asked whether they have any.
        if (id(thing), part) in self._members or (part in ("layers", _DEPENDENCIES) and hasattr(thing, "layers")):
            return self._members_of(thing, part)
        candidates = (getattr(thing, name, None) for name in (part, f"_{part}", part.lstrip("_")))
        found = next((candidate for candidate in candidates if candidate is not None), None)
        return found if is_trackable(found) or isinstance(found, list | tuple | dict) else None

    def _members_of(self, model: Any, part: str) -> _Members:
        """Return the layers of *model* by name, which each path asks for anew."""
        key = (id(model), part)
        if key not in self._members:
            listed = self._listed(model, doubled=part == _DEPENDENCIES)
            if not self._counts_repeated and not is_container(model):
                met = self._met_before()
                listed = [layer for layer in listed if id(layer) not in met]
            self._members[key] = self._named(listed)
        return self._members[key]

    def _met_before(self) -> set[int]:
        """Return what attributes of subclassed models lead to: Keras 2.14 does not count it among their layers."""
        met: set[int] = set()
        for path in self._paths:
            thing: Any = self.model
            for part in path.split("/"):
                if part == "layers" and hasattr(thing, "layers") and not is_container(thing):
                    break
                thing = self._step(thing, part)
                met.add(id(thing))
        return met

    def _named(self, container: Any) -> _Members:
        return _Members(named_members(container, counts_repeated=self._counts_repeated))

    def _member(self, container: Any, part: str) -> Any:
        """Return the member that Keras calls *part*, or that TensorFlow's checkpoints count so: ``_operations/1``."""
        if isinstance(container, list | tuple) and part.isdecimal():
            return next(iter(container[int(part) :]), None)
        members = container if isinstance(container, _Members) else self._named(container)
        return members.get(part)

    def _listed(self, model: Any, *, doubled: bool) -> list[Any]:
        layers = self.order.layers(model) if is_container(model) else list(model.layers)
        if not doubled:
            return layers
        return [entry for layer in layers for entry in ([layer, layer] if has_weights(layer) else [layer])]


class CheckpointFinder(PathFinder):
    """Follows paths of a checkpoint, where members of lists and dicts have their index or key.

    Source: ``List`` and ``_DictWrapper`` of tensorflow/python/trackable/data_structures.py, ``escape_local_name`` of
    trackable_utils.py (TensorFlow 2.21; 2.3.4 in python/training/tracking); other keys than text cannot be saved.
    """

    def _member(self, container: Any, part: str) -> Any:
        if not isinstance(container, dict):
            return super()._member(container, part)
        return next((member for key, member in container.items() if _escaped(key) == part), None)

    def _members_of(self, model: Any, part: str) -> Any:
        return getattr(model, part)


def _escaped(key: Any) -> str | None:
    return key.replace(".", "..").replace("/", ".S") if isinstance(key, str) else None


def named_members(container: Any, *, counts_repeated: bool) -> Iterator[tuple[str, Any]]:
    """Yield the members of *container* with the names that Keras gives them: ``dense``, ``dense_1``.

    A member that is repeated has its first name alone; Keras 2.14 and 2.15 do not count it again.

    Source: ``_save_container_state`` of keras 2.14.0, 2.15.0 and 3.15.1 ``src/saving/saving_lib.py``.
    """
    used: dict[str, int] = {}
    seen: set[int] = set()
    for member in list(container.values()) if isinstance(container, dict) else list(container):
        if is_trackable(member):
            name = snake_case(type(member).__name__)
        elif isinstance(member, list | tuple | dict):
            name = "container"
        else:
            continue
        is_repeated = id(member) in seen
        if is_repeated and not counts_repeated:
            continue
        seen.add(id(member))
        used[name] = used.get(name, -1) + 1
        if not is_repeated:
            yield (f"{name}_{used[name]}" if used[name] else name), member


@functools.cache
def snake_case(name: str) -> str:
    """Return ``multi_head_attention`` for ``MultiHeadAttention``, as Keras does."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
