"""What is known of one tensor. Layer: policy."""

from __future__ import annotations

import math
from typing import NamedTuple

Numbers = tuple[float, ...]
"""The values of a tensor, flattened; those of integers are integers."""
Shape = tuple[int, ...]
HUGE = 1 << 80
"""Sizes are not told apart from here on."""
MAX_RANK = 256
"""Dimensions that are looked at: TensorFlow allows 254, and makes no tensor with more."""
SURE, POSSIBLE, PARTIAL = 0, 1, 2
"""Doubts about values: there are none; they depend on data; constants decide, and how is not understood."""


class Fact(NamedTuple):
    """What is known of the first output of a node where it is executed.

    Attributes:
        numbers: Its values, flattened, None if they are not known.
        shape: Its shape with dimensions of at least one, None if its rank is not known.
        elements: How many elements it has at least; 0 if nothing is known. Of texts that were joined, how many there
            were before.
        width: Bytes of the longest text among its constants, or of what is made of them, if it holds texts.
        doubt: Whether it may have other values; of several facts that make one the largest counts.
        most: Its largest value, where that is known of more values than are followed.
        is_whole: True if the shape is known exactly, and is no lower bound.
    """

    numbers: Numbers | None = None
    shape: Shape | None = None
    elements: int = 0
    width: int = 0
    doubt: int = SURE
    is_whole: bool = False
    most: int | None = None

    @property
    def ints(self) -> tuple[int, ...] | None:
        """The values without fractions, as sizes are."""
        return None if self.numbers is None else tuple(map(int, self.numbers))

    @property
    def joined_width(self) -> int:
        """Bytes of one text, with all that was joined to it, if the shape is known."""
        if not self.width or self.shape is None:
            return self.width
        return self.width * max(1, self.elements // max(1, math.prod(self.shape)))


NOTHING = Fact()


def at(inputs: list[Fact], index: int) -> Fact:
    """Return what is known of one input of a node, nothing where it has no such input."""
    return inputs[index] if index < len(inputs) else NOTHING
