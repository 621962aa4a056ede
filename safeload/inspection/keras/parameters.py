"""How many parameters each layer has, where the index of the weights tells which arrays are whose. Layer: inspection.

HDF5 files list the arrays of each layer of the model by its name; archives have them under paths made of the classes of
the layers, in the order of the model.

Source: ``save_weights_to_hdf5_group`` in keras/src/legacy/saving/legacy_h5_format.py, ``_save_container_state`` in
keras/src/saving/saving_lib.py and ``to_snake_case`` in keras/src/utils/naming.py (Keras 3.15.1).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from safeload.inspection._info import LayerInfo
from safeload.inspection._weights import own_arrays
from safeload.readers import DatasetInfo, WeightIndex, WeightLayout

_MODELS = frozenset({"Functional", "Sequential"})


def with_parameters(root: LayerInfo, weights: WeightIndex, renamed: Mapping[str, str]) -> LayerInfo:
    """Return the tree *root* with the parameters of its layers.

    Args:
        root: The model.
        weights: The index of its weights.
        renamed: Layers that have another name in the file: name → name in the file.
    """
    if weights.layout is WeightLayout.LEGACY_HDF5:
        sizes = {group.layer_name: _elements(group.datasets) for group in weights.layers}
        counted = (replace(x, parameter_count=sizes.get(renamed.get(x.name, x.name))) for x in root.layers)
        return replace(root, layers=tuple(counted))
    return _Paths(weights).counted(root, "") if weights.layout is WeightLayout.OBJECT_PATHS else root


def _elements(arrays: Iterable[DatasetInfo]) -> int:
    return sum(math.prod(array.shape) for array in arrays)


class _Paths:
    """The arrays of an archive by their paths."""

    def __init__(self, weights: WeightIndex) -> None:
        found: Counter[str] = Counter()
        for array in own_arrays(weights):
            found[array.path.rpartition("/")[0]] += math.prod(array.shape)
        self._sizes: Counter[str] = Counter()
        for path, size in found.items():
            while path:
                self._sizes[path] += size
                path = path.rpartition("/")[0]  # noqa: PLW2901
            self._sizes[""] += size

    def counted(self, layer: LayerInfo, path: str) -> LayerInfo:
        """Return *layer*, whose arrays lie under *path*, with the parameters of the layers in it.

        They are left open unless every array is one of theirs.
        """
        places = list(_paths(layer, f"{path}/layers".lstrip("/")))
        sizes = [self._sizes[place] for place in places]
        if layer.class_name not in _MODELS or sum(sizes) != self._sizes[path]:
            return layer
        below = zip(layer.layers, places, sizes, strict=True)
        layers = (replace(self.counted(x, place), parameter_count=size) for x, place, size in below)
        return replace(layer, layers=tuple(layers))


def _paths(layer: LayerInfo, home: str) -> Iterator[str]:
    """Yield where the arrays of each layer in *layer* lie."""
    seen: Counter[str] = Counter()
    for inside in layer.layers:
        name = _snake_case(inside.class_name)
        yield f"{home}/{name}_{seen[name]}" if seen[name] else f"{home}/{name}"
        seen[name] += 1


@lru_cache(maxsize=256)
def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
