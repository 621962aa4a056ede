"""Small tensors that a graph computes from its constants: slices, reductions, ranges, scattered values. Layer: policy.

A tensor is known here if all of its values are, and with them its shape: sizes are taken out of shapes, turned round,
put together and counted before they are used. Source: op definitions and kernels of TensorFlow 2.21.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import TYPE_CHECKING, Any

from safeload.policy.graph._constants._fact import HUGE, MAX_RANK, at
from safeload.policy.graph._constants._shapes import broadcast_shape
from safeload.policy.graph._constants._values import MAX_VALUES, are_moderate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._constants._fact import Fact, Numbers, Shape

_MAX_SIZE = 1 << 62
"""Sizes are not told apart from here on: Python counts the places of a range to one less than double."""

_Axis = tuple["Sequence[int]", int]
"""Positions on an axis that are taken, those below zero for what is put there, and the distance between two of them."""
_Made = tuple["Numbers | None", "Shape"]
"""The values of a tensor, if they are known, and its shape."""


def exact(node: Node, inputs: list[Fact], output: int) -> _Made | None:
    """Return the values and the shape of an *output* of *node*, one of `EXACT`; None if the shape is not known.

    Args:
        node: The node.
        inputs: What is known of its inputs, control dependencies included.
        output: Which output.
    """
    try:
        numbers, shape = EXACT[node.op](node, inputs, output)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None  # something is not known, or TensorFlow refuses it
    if len(shape) > MAX_RANK:
        return None
    return numbers if numbers is None or are_moderate(numbers) else None, tuple(min(n, HUGE) for n in shape)


def shape_of(fact: Fact) -> Shape:
    """Return the shape of a tensor whose values are known, or what is known of its shape."""
    if fact.numbers is not None and (fact.shape is None or math.prod(fact.shape) != len(fact.numbers)):
        return (len(fact.numbers),)
    if fact.shape is None:
        raise ValueError
    return tuple([min(size, _MAX_SIZE) for size in fact.shape])


def _ints(inputs: list[Fact], index: int) -> tuple[int, ...]:
    return tuple(map(int, _numbers(inputs, index)))


def _numbers(inputs: list[Fact], index: int) -> Numbers:
    numbers = at(inputs, index).numbers
    if numbers is None:
        raise ValueError
    return numbers


def _attribute(node: Node, key: str) -> int:
    return int(node.proto.attr[key].i or node.proto.attr[key].b) if key in node.proto.attr else 0


def _position(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError
    return axis % rank


def _axes(shape: Shape) -> list[_Axis]:
    """Return all positions on all axes."""
    steps = [*itertools.accumulate(reversed(shape[1:]), operator.mul, initial=1)] if shape else []
    return [(range(size), step) for size, step in zip(shape, reversed(steps), strict=True)]


def _taken(given: Fact, axes: list[_Axis], fill: float = 0) -> Numbers | None:
    """Return the values of *given* at *axes*, the last one fastest; *fill* where there is none."""
    if given.numbers is None or math.prod(len(positions) for positions, _ in axes) > MAX_VALUES:
        return None
    ways = itertools.product(*([-1 if place < 0 else place * step for place in found] for found, step in axes))
    return tuple([given.numbers[sum(way)] if min(way, default=0) >= 0 else fill for way in ways])


def _made(given: Fact, axes: list[_Axis]) -> _Made:
    return _taken(given, axes), tuple(len(positions) for positions, _ in axes)


def _strided(node: Node, inputs: list[Fact], _: int) -> _Made:
    shape = shape_of(at(inputs, 0))
    full, taken, result = _axes(shape), list[_Axis](), list[int]()
    begins, ends, steps = (_ints(inputs, index) for index in (1, 2, 3))
    first, last, dots, new, single = (
        _attribute(node, f"{key}_mask") for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    )
    rest = len(shape) - sum(not (dots | new) >> index & 1 for index in range(len(begins)))
    for index, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        bit = 1 << index
        if dots & bit:
            result += shape[len(taken) : len(taken) + rest]
            taken += full[len(taken) : len(taken) + rest]
        elif new & bit:
            result.append(1)
        else:
            positions, stride = full[len(taken)]
            if single & bit:
                taken.append(([positions[begin]], stride))
            else:
                found = positions[slice(None if first & bit else begin, None if last & bit else end, step)]
                taken.append((found, stride))
                result.append(len(found))
    result += shape[len(taken) :]
    return _taken(at(inputs, 0), taken + full[len(taken) :]), tuple(result)


def _sliced(_: Node, inputs: list[Fact], __: int) -> _Made:
    axes, begins, sizes = _axes(shape_of(at(inputs, 0))), _ints(inputs, 1), _ints(inputs, 2)
    bounds = zip(axes, begins, sizes, strict=True)
    return _made(at(inputs, 0), [(p[b : None if n < 0 else b + n], s) for (p, s), b, n in bounds])


def _gathered(node: Node, inputs: list[Fact], _: int) -> _Made:
    shape, indices = shape_of(at(inputs, 0)), _ints(inputs, 1)
    axis = _position(_ints(inputs, 2)[0] if node.op == "GatherV2" else 0, len(shape))
    if _attribute(node, "batch_dims") or not all(0 <= index < shape[axis] for index in indices):
        raise ValueError
    axes = _axes(shape)
    axes[axis] = (indices, axes[axis][1])
    return _taken(at(inputs, 0), axes), (*shape[:axis], *shape_of(at(inputs, 1)), *shape[axis + 1 :])


def _reversed(_: Node, inputs: list[Fact], __: int) -> _Made:
    axes = _axes(shape_of(at(inputs, 0)))
    turned = {_position(axis, len(axes)) for axis in _ints(inputs, 1)}
    return _made(at(inputs, 0), [(p[::-1] if axis in turned else p, s) for axis, (p, s) in enumerate(axes)])


def _rolled(_: Node, inputs: list[Fact], __: int) -> _Made:
    axes = _axes(shape_of(at(inputs, 0)))
    if at(inputs, 0).numbers is None:
        raise ValueError
    for by, axis in zip(_ints(inputs, 1), _ints(inputs, 2), strict=True):
        positions, step = axes[axis]
        first = -by % len(positions)
        axes[axis] = ([*positions[first:], *positions[:first]], step)
    return _made(at(inputs, 0), axes)


def _transposed(_: Node, inputs: list[Fact], __: int) -> _Made:
    axes, order = _axes(shape_of(at(inputs, 0))), _ints(inputs, 1)
    if sorted(order) != list(range(len(axes))):
        raise ValueError
    return _made(at(inputs, 0), [axes[axis] for axis in order])


def _tiled(_: Node, inputs: list[Fact], __: int) -> _Made:
    axes, counts = _axes(shape_of(at(inputs, 0))), _ints(inputs, 1)
    shape = tuple(len(p) * max(0, count) for (p, _), count in zip(axes, counts, strict=True))
    if math.prod(shape) > MAX_VALUES:
        return None, shape
    return _made(at(inputs, 0), [([*p] * count, s) for (p, s), count in zip(axes, counts, strict=True)])


def _broadcast(_: Node, inputs: list[Fact], __: int) -> _Made:
    given, shape = shape_of(at(inputs, 0)), _ints(inputs, 1)
    if math.prod(shape) > MAX_VALUES:
        return None, shape
    axes = _axes((1,) * (len(shape) - len(given)) + given)
    return _made(at(inputs, 0), [([0] * n if len(p) == 1 else p, s) for (p, s), n in zip(axes, shape, strict=True)])


def _common(_: Node, inputs: list[Fact], __: int) -> _Made:
    shape = broadcast_shape(_ints(inputs, 0), _ints(inputs, 1))
    return shape, (len(shape),)


def _padded(node: Node, inputs: list[Fact], _: int) -> _Made:
    given, pairs = at(inputs, 0), _ints(inputs, 1)
    axes = _axes(shape_of(given))
    widths = list(zip(axes, pairs[::2], pairs[1::2], strict=True))
    shape = tuple(before + len(p) + after for (p, _), before, after in widths)
    if math.prod(shape) > MAX_VALUES:
        return None, shape
    padded: list[_Axis] = [([-1] * before + [*p] + [-1] * after, s) for (p, s), before, after in widths]
    return _taken(given, padded, _numbers(inputs, 2)[0] if node.op == "PadV2" else 0), shape


def _part(node: Node, inputs: list[Fact], output: int) -> _Made:
    given, axis = (1, 0) if node.op == "Split" else (0, 2)
    axes = _axes(shape_of(at(inputs, given)))
    position = _position(_ints(inputs, axis)[0], len(axes))
    positions, step = axes[position]
    if node.op == "Split":
        size = len(positions) // _attribute(node, "num_split")
        first = output * size
    else:
        sizes = _ints(inputs, 1)
        size, first = sizes[output], sum(sizes[:output])
    axes[position] = (positions[first : first + size], step)
    return _made(at(inputs, given), axes)


def _unpacked(node: Node, inputs: list[Fact], output: int) -> _Made:
    shape = shape_of(at(inputs, 0))
    axis = _position(_attribute(node, "axis"), len(shape))
    axes = _axes(shape)
    axes[axis] = ([axes[axis][0][output]], axes[axis][1])
    return _taken(at(inputs, 0), axes), (*shape[:axis], *shape[axis + 1 :])


def _reduced(fold: Callable[[Numbers], float]) -> Callable[[Node, list[Fact], int], _Made]:
    def rule(node: Node, inputs: list[Fact], _: int) -> _Made:
        shape, given = shape_of(at(inputs, 0)), _numbers(inputs, 0)
        gone = {_position(axis, len(shape)) for axis in _ints(inputs, 1)}
        axes = _axes(shape)
        kept = [axis for index, axis in enumerate(axes) if index not in gone]
        flat = _taken(at(inputs, 0), [*kept, *(axes[index] for index in sorted(gone))]) or ()
        size = math.prod(shape[index] for index in gone)
        if not given:
            raise ValueError
        numbers = tuple(fold(flat[first : first + size]) for first in range(0, len(flat), size))
        keeps = _attribute(node, "keep_dims")
        return numbers, tuple(1 if i in gone else n for i, n in enumerate(shape) if keeps or i not in gone)

    return rule


def _accumulated(function: Callable[[float, float], float], start: float) -> Callable[..., _Made]:
    def rule(node: Node, inputs: list[Fact], _: int) -> _Made:
        numbers = _numbers(inputs, 0)
        if len(shape_of(at(inputs, 0))) != 1:
            raise ValueError
        step = -1 if _attribute(node, "reverse") else 1
        found = [*itertools.accumulate(numbers[::step], function)]
        found = [start, *found[:-1]] if _attribute(node, "exclusive") else found
        return tuple(found[::step]), (len(numbers),)

    return rule


def _packed(node: Node, inputs: list[Fact], _: int) -> _Made:
    parts = [fact for fact, name in zip(inputs, node.inputs, strict=True) if name[:1] != "^"]
    shapes = {shape_of(part) for part in parts}
    (shape,) = shapes
    numbers = _joined(parts) if not _attribute(node, "axis") or not shape else None
    axis = _position(_attribute(node, "axis"), len(shape) + 1)
    return numbers, (*shape[:axis], len(parts), *shape[axis:])


def _concatenated(node: Node, inputs: list[Fact], _: int) -> _Made:
    parts = [fact for fact, name in zip(inputs, node.inputs, strict=True) if name[:1] != "^"]
    *parts, along = parts
    shapes = [shape_of(part) for part in parts]
    axis = _position(_ints([along], 0)[0], len(shapes[0]))
    size = sum(shape[axis] for shape in shapes)
    return None if axis else _joined(parts), (*shapes[0][:axis], size, *shapes[0][axis + 1 :])


def _joined(parts: list[Fact]) -> Numbers | None:
    known = [part.numbers for part in parts if part.numbers is not None]
    joined = tuple(itertools.chain.from_iterable(known)) if len(known) == len(parts) else None
    return joined if joined is not None and len(joined) <= MAX_VALUES else None


def _ranged(_: Node, inputs: list[Fact], __: int) -> _Made:
    start, limit, delta = (_numbers(inputs, index)[0] for index in range(3))
    count = max(0, -int((start - limit) // delta))
    return tuple(start + delta * step for step in range(count)) if count <= MAX_VALUES else None, (count,)


def _filled(_: Node, inputs: list[Fact], __: int) -> _Made:
    shape, value = _ints(inputs, 0), at(inputs, 1).numbers
    known = value is not None and math.prod(shape) <= MAX_VALUES
    return value * math.prod(shape) if value is not None and known else None, tuple(max(0, size) for size in shape)


def _hot(node: Node, inputs: list[Fact], _: int) -> _Made:
    indices, (depth,) = _ints(inputs, 0), _ints(inputs, 1)
    (on,), (off,) = _numbers(inputs, 2), _numbers(inputs, 3)
    if "axis" in node.proto.attr and node.proto.attr["axis"].i != -1:
        raise ValueError
    shape = (*shape_of(at(inputs, 0)), max(0, depth))
    if math.prod(shape) > MAX_VALUES:
        return None, shape
    return tuple(on if place == index else off for index in indices for place in range(depth)), shape


def _spaced(_: Node, inputs: list[Fact], __: int) -> _Made:
    (start,), (stop,), (count,) = _numbers(inputs, 0), _numbers(inputs, 1), _ints(inputs, 2)
    step = (stop - start) / max(1, count - 1)
    return tuple(start + step * place for place in range(count)) if count <= MAX_VALUES else None, (max(0, count),)


def _same_of(value: float) -> Callable[[Node, list[Fact], int], _Made]:
    def rule(_: Node, inputs: list[Fact], __: int) -> _Made:
        return (value,) * len(_numbers(inputs, 0)), shape_of(at(inputs, 0))

    return rule


def _nth(_: Node, inputs: list[Fact], output: int) -> _Made:
    return at(inputs, output).numbers, shape_of(inputs[output])


def _picked(_: Node, inputs: list[Fact], __: int) -> _Made:
    given, indices = _numbers(inputs, 0), _ints(inputs, 1)
    if len(shape_of(at(inputs, 0))) != 1 or shape_of(at(inputs, 1))[-1] != 1:
        raise ValueError
    return tuple(given[index] for index in indices), shape_of(at(inputs, 1))[:-1]


def _scattered(node: Node, inputs: list[Fact], _: int) -> _Made:
    if node.op == "ScatterNd":
        indices, updates, (size,) = _ints(inputs, 0), _numbers(inputs, 1), _ints(inputs, 2)
        found = [0.0] * (size if size <= MAX_VALUES else 0)
    else:
        found, indices, updates = [*_numbers(inputs, 0)], _ints(inputs, 1), _numbers(inputs, 2)
        (size,) = shape_of(at(inputs, 0))
    for index, update in zip(indices, updates, strict=True):
        found[index] = update
    return tuple(found), (size,)


def _stitched(node: Node, inputs: list[Fact], _: int) -> _Made:
    half = _attribute(node, "N") or len(inputs) // 2
    found: dict[int, float] = {}
    for part in range(half):
        found.update(zip(_ints(inputs, part), _numbers(inputs, half + part), strict=True))
    if len(found) != max(found) + 1:
        raise ValueError
    return tuple(found[index] for index in sorted(found)), (len(found),)


def _largest(_: Node, inputs: list[Fact], output: int) -> _Made:
    given, (count,) = _numbers(inputs, 0), _ints(inputs, 1)
    (size,) = shape_of(at(inputs, 0))
    order = sorted(range(size), key=lambda index: -given[index])[:count]
    return tuple(order) if output else tuple(given[index] for index in order), (len(order),)


def _item(_: Node, inputs: list[Fact], __: int) -> _Made:
    axes, (index,) = _axes(shape_of(at(inputs, 0))), _ints(inputs, 1)
    shape = tuple(len(positions) for positions, _ in axes[1:])
    return _taken(at(inputs, 0), [([index], axes[0][1]), *axes[1:]]), shape


def _places(_: Node, inputs: list[Fact], __: int) -> _Made:
    shape, given = shape_of(at(inputs, 0)), _numbers(inputs, 0)
    found = [place for place, number in zip(itertools.product(*map(range, shape)), given, strict=True) if number]
    return tuple(itertools.chain.from_iterable(found)), (len(found), len(shape))


def _unique(_: Node, inputs: list[Fact], output: int) -> _Made:
    given = _numbers(inputs, 0)
    found = {number: place for place, number in enumerate(dict.fromkeys(given))}
    return (tuple(found[number] for number in given), (len(given),)) if output else (tuple(found), (len(found),))


def _left(_: Node, inputs: list[Fact], output: int) -> _Made:
    given, gone = _numbers(inputs, 0), set(_numbers(inputs, 1))
    kept = [(number, place) for place, number in enumerate(given) if number not in gone]
    return tuple(pair[output] for pair in kept), (len(kept),)


def _product(node: Node, inputs: list[Fact], _: int) -> _Made:
    (rows, inner), (also, columns) = shape_of(at(inputs, 0)), shape_of(at(inputs, 1))
    left, right = _numbers(inputs, 0), _numbers(inputs, 1)
    if _attribute(node, "transpose_a") or _attribute(node, "transpose_b") or inner != also:
        raise ValueError
    if rows * columns * inner > MAX_VALUES:
        return None, (rows, columns)
    cells = itertools.product(range(rows), range(columns))
    numbers = (sum(left[r * inner + i] * right[i * columns + c] for i in range(inner)) for r, c in cells)
    return tuple(numbers), (rows, columns)


EXACT: dict[str, Callable[[Any, list[Any], int], _Made]] = {
    "BroadcastArgs": _common,
    "BroadcastTo": _broadcast,
    "ConcatV2": _concatenated,
    "Cumprod": _accumulated(operator.mul, 1),
    "Cumsum": _accumulated(operator.add, 0),
    "DynamicStitch": _stitched,
    "Fill": _filled,
    "Gather": _gathered,
    "GatherNd": _picked,
    "GatherV2": _gathered,
    "IdentityN": _nth,
    "LinSpace": _spaced,
    "ListDiff": _left,
    "MatMul": _product,
    "Max": _reduced(max),
    "Mean": _reduced(lambda numbers: sum(numbers) / len(numbers)),
    "Min": _reduced(min),
    "OneHot": _hot,
    "OnesLike": _same_of(1),
    "Pack": _packed,
    "Pad": _padded,
    "PadV2": _padded,
    "ParallelDynamicStitch": _stitched,
    "Prod": _reduced(math.prod),
    "Range": _ranged,
    "ReverseV2": _reversed,
    "Roll": _rolled,
    "ScatterNd": _scattered,
    "Slice": _sliced,
    "Split": _part,
    "SplitV": _part,
    "StridedSlice": _strided,
    "Sum": _reduced(sum),
    "TensorListFromTensor": lambda _, inputs, __: (at(inputs, 0).numbers, shape_of(at(inputs, 0))),
    "TensorListGetItem": _item,
    "TensorScatterUpdate": _scattered,
    "Tile": _tiled,
    "TopKV2": _largest,
    "Transpose": _transposed,
    "Unique": _unique,
    "Unpack": _unpacked,
    "Where": _places,
    "ZerosLike": _same_of(0),
}
"""What each op makes of tensors that are known."""
