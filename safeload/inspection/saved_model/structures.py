"""Decode the argument trees of traced functions. Layer: inspection.

A SavedModel stores what a function takes and returns as a `StructuredValue`: nested
Python containers whose leaves are type specs or plain constants.

Source: tensorflow/core/protobuf/struct.proto and
tensorflow/python/saved_model/nested_structure_coder.py (TensorFlow 2.21).
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from safeload.inspection._info import Slot, TensorInfo, TypedConstant
from safeload.readers import MAX_DIMENSIONS
from safeload.readers.protobuf import dtype_name, enum_names

_COMPOSITE_KINDS = {
    "SPARSE_TENSOR_SPEC": "sparse",
    "RAGGED_TENSOR_SPEC": "ragged",
    "INDEXED_SLICES_SPEC": "indexed-slices",
    "TENSOR_ARRAY_SPEC": "tensor-array",
    "DATA_DATASET_SPEC": "dataset",
    "DATA_ITERATOR_SPEC": "iterator",
    "OPTIONAL_SPEC": "optional",
    "PER_REPLICA_SPEC": "per-replica",
    "VARIABLE_SPEC": "variable",
    "ROW_PARTITION_SPEC": "row-partition",
}
"""`TensorInfo.kind` by `TypeSpecProto.TypeSpecClass`; other classes go by their recorded name."""

Path = tuple[str | int, ...]
"""Keys and positions from the parameter to a leaf."""


class UnreadableError(Exception):
    """The tree holds what no call can pass again, such as an array, or what TensorFlow 2.21 does not write."""


class TreeReader:
    """Decodes trees and collects the tensors in them.

    Args:
        name_leaf: Makes the name of a tensor from its path.

    Attributes:
        tensors: Every tensor found so far, in flattened order.
    """

    def __init__(self, name_leaf: Callable[[Path], str]) -> None:
        self._name_leaf = name_leaf
        self._names: set[str] = set()
        self._numbers: dict[str, int] = {}
        self.tensors: list[TensorInfo] = []

    def read(self, value: Any, path: Path) -> Any:
        """Return the tree that *value* encodes, with a `Slot` in place of each tensor.

        Args:
            value: A `StructuredValue`.
            path: Where it stands.

        Raises:
            UnreadableError: A leaf is neither a tensor nor a constant that a call can pass again.
        """
        kind = value.WhichOneof("kind")
        if kind in _CONSTANTS:
            return _CONSTANTS[kind](value)
        if kind in _CONTAINERS:
            return getattr(self, _CONTAINERS[kind])(getattr(value, kind), path)
        if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
            spec = getattr(value, kind)
            return self._slot(path, spec.name, dtype=dtype_name(spec.dtype), shape=read_shape(spec.shape))
        if kind == "type_spec_value":
            return self._slot(path, "", **type_spec_facts(value.type_spec_value))
        raise UnreadableError(kind)

    def read_default(self, value: Any) -> Any:
        """Return the default of a parameter that *value* encodes; raises as `read` does."""
        kind = value.WhichOneof("kind")
        if kind in _ARRAYS and _is_whole(getattr(value, kind)):
            return TypedConstant(_ARRAYS[kind], getattr(value, kind).SerializeToString())
        return self.read(value, ())

    def _slot(self, path: Path, spec_name: str, **facts: Any) -> Slot:
        name = self._unique(self._name_leaf(path))
        key = path[-1] if path and isinstance(path[-1], str) else ""
        aliases = tuple(alias for alias in dict.fromkeys((spec_name, key)) if alias not in ("", name))
        self.tensors.append(TensorInfo(name, aliases=aliases, **facts))
        return Slot(name)

    def _unique(self, name: str) -> str:
        """Return *name*, with a number behind it if it is taken."""
        found, number = name, self._numbers.get(name, 0)
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._numbers[name] = number
        self._names.add(found)
        return found

    def _read_list(self, value: Any, path: Path) -> list[Any]:
        return [self.read(item, (*path, index)) for index, item in enumerate(value.values)]

    def _read_tuple(self, value: Any, path: Path) -> tuple[Any, ...]:
        return tuple(self._read_list(value, path))

    def _read_dict(self, value: Any, path: Path) -> dict[str, Any]:
        """Decode a dict; keys are sorted, as TensorFlow flattens them."""
        return {key: self.read(value.fields[key], (*path, key)) for key in sorted(value.fields)}

    def _read_named_tuple(self, value: Any, path: Path) -> Any:
        fields = tuple(pair.key for pair in value.values)
        items = [self.read(pair.value, (*path, pair.key)) for pair in value.values]
        try:
            return _named_tuple(value.name, fields)(*items)
        except (SyntaxError, ValueError) as error:
            raise UnreadableError(f"named tuple {value.name!r}") from error


def _read_dtype(value: Any) -> TypedConstant:
    name = dtype_name(value.tensor_dtype_value)
    if name is None:
        raise UnreadableError(f"dtype {value.tensor_dtype_value}")
    return TypedConstant("dtype", name)


def _is_whole(tensor: Any) -> bool:
    """Tell whether a `TensorProto` stores every element, as those do that TensorFlow writes here.

    One that leaves out those that repeat could ask for any amount of memory. So many dimensions as TensorFlow does not
    take are not multiplied.
    """
    dims = [dim.size for dim in tensor.tensor_shape.dim]
    return len(dims) <= MAX_DIMENSIONS and min(dims, default=0) >= 0 and math.prod(dims) <= tensor.ByteSize()


_CONSTANTS: dict[str, Callable[[Any], Any]] = {
    "none_value": lambda _: None,
    "bool_value": lambda value: value.bool_value,
    "int64_value": lambda value: value.int64_value,
    "float64_value": lambda value: value.float64_value,
    "string_value": lambda value: value.string_value,
    "tensor_dtype_value": _read_dtype,
    "tensor_shape_value": lambda value: TypedConstant("shape", read_shape(value.tensor_shape_value)),
}

_ARRAYS = {"tensor_value": "tensor", "numpy_value": "array"}
"""`TypedConstant.kind` of values that occur as defaults: what a call passes of these, TensorFlow traces as tensors."""

_CONTAINERS = {
    "list_value": "_read_list",
    "tuple_value": "_read_tuple",
    "dict_value": "_read_dict",
    "named_tuple_value": "_read_named_tuple",
}
"""Methods of `TreeReader`."""


@lru_cache(maxsize=256)
def _named_tuple(name: str, fields: tuple[str, ...]) -> Any:
    """Make the type: TensorFlow compares named tuples by the names of type and fields.

    Raises:
        ValueError: A name is no identifier, or there twice.
        SyntaxError: Two names are one to Python, which normalises letters.
    """
    return collections.namedtuple(name, fields)  # noqa: PYI024 - the fields are data


def read_shape(shape: Any) -> tuple[int | None, ...] | None:
    """Return the dimensions of a `TensorShapeProto`: None for an unknown one, None for unknown rank."""
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)


def type_spec_facts(spec: Any) -> dict[str, Any]:
    """Return the fields of a `TensorInfo` that a `TypeSpecProto` tells: kind, dtype, shape, what is ragged."""
    constant = enum_names("TypeSpecProto.TypeSpecClass").get(spec.type_spec_class, "UNKNOWN")
    facts: dict[str, Any] = {"kind": _COMPOSITE_KINDS.get(constant, spec.type_spec_class_name or "composite")}
    if facts["kind"] in ("sparse", "ragged", "variable", "indexed-slices"):
        facts.update(_state_facts(spec.type_state))
    return facts


def _state_facts(state: Any) -> dict[str, Any]:
    """Read what the state of these specs begins with: shape, dtype; of ragged tensors the rank and the dtype of splits.

    Source: ``_serialize`` of RaggedTensorSpec, SparseTensorSpec, VariableSpec, IndexedSlicesSpec (TensorFlow 2.21).
    """
    facts: dict[str, Any] = {}
    for value in state.tuple_value.values:
        kind = value.WhichOneof("kind")
        if kind == "tensor_shape_value":
            facts.setdefault("shape", read_shape(value.tensor_shape_value))
        elif kind == "tensor_dtype_value" and "ragged_rank" in facts:
            facts.setdefault("row_splits_dtype", dtype_name(value.tensor_dtype_value))
        elif kind == "tensor_dtype_value":
            facts.setdefault("dtype", dtype_name(value.tensor_dtype_value))
        elif kind == "int64_value":
            facts.setdefault("ragged_rank", value.int64_value)
    return facts
