"""How nodes of a graph and TensorInfos refer to tensors, and what follows from them. Layer: readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

_MAX_SCOPES = 64
"""A name with more of them was not made by nesting; all of its prefixes may be far more than the file."""


def reference_producer(reference: str) -> str:
    """Return the node or argument that the input *reference* (``x``, ``x:1``, ``x:output:0``, ``^x``) names."""
    return reference.removeprefix("^").partition(":")[0]


def tensor_name(reference: str) -> str:
    """Return the tensor of the main graph that *reference* (``x``, ``x:1``) names, with the number of the output."""
    return reference if ":" in reference or reference.startswith("^") else f"{reference}:0"


def tensor_names(info: Any) -> Iterator[str]:
    """Yield the tensors of *info*, a TensorInfo, those of composite tensors included."""
    kind = info.WhichOneof("encoding")
    if kind == "name":
        yield info.name
    elif kind == "coo_sparse":
        sparse = info.coo_sparse
        yield from (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    elif kind == "composite_tensor":
        for component in info.composite_tensor.components:
            yield from tensor_names(component)


def is_data(reference: str) -> bool:
    """Tell whether an input of a node is a tensor, and not a node to wait for."""
    return not reference.startswith("^")


def scopes(name: str) -> Iterator[str]:
    """Yield the name scopes of a node, the outermost first."""
    end = -1
    for _ in range(_MAX_SCOPES):
        end = name.find("/", end + 1)
        if end < 0:
            return
        yield name[:end]


def closure(roots: Iterable[T], following: Callable[[T], Iterable[T]]) -> set[T]:
    """Return *roots* and all that *following* leads to from them."""
    seen: set[T] = set()
    pending = list(roots)
    while pending:
        found = pending.pop()
        if found not in seen:
            seen.add(found)
            pending.extend(following(found))
    return seen
