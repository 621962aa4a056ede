"""What each op can do to the host, as facts: the table ``op_classes.txt``. Layer: inspection."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCK = re.compile(r"^\[(?P<header>[^\]]+)\][^\n]*\n(?P<ops>[^\[#]*)", re.MULTILINE)


class PackageOps(NamedTuple):
    """Ops that another package registers.

    Attributes:
        package: Its name on PyPI.
        is_pure: True if all of its ops compute their outputs from their inputs.
    """

    package: str
    is_pure: bool


class OpTable(NamedTuple):
    """The parsed ``op_classes.txt``.

    Attributes:
        classes: Class of every op of stock TensorFlow, by op name.
        callers: Ops that call the functions that their attributes name.
        lists: Ops with an attribute that says how many tensors they take or make, or how many elements.
        packages: Package of an op, by its name or by a prefix that ends in ``*``.
    """

    classes: Mapping[str, str]
    callers: frozenset[str]
    lists: frozenset[str]
    packages: Mapping[str, PackageOps]

    def is_plain(self, op: str) -> bool:
        """Tell whether *op* is one of stock TensorFlow whose attributes are never functions."""
        return op in self.classes and op not in self.callers


@cache
def op_table() -> OpTable:
    """Return the table of ops, read once."""
    classes: dict[str, str] = {}
    packages: dict[str, PackageOps] = {}
    by_attribute: dict[str, frozenset[str]] = {}
    for block in _BLOCK.finditer(Path(__file__).with_name("op_classes.txt").read_text(encoding="utf-8")):
        kind, *words = block["header"].split()
        ops = block["ops"].split()
        if kind in ("functions", "lists"):
            by_attribute[kind] = frozenset(ops)
        elif kind == "package":
            packages.update(dict.fromkeys(ops, PackageOps(words[0], is_pure="pure" in words)))
        else:
            classes.update(dict.fromkeys(ops, kind))
    return OpTable(classes, by_attribute["functions"], by_attribute["lists"], packages)


def op_class(op: str) -> str | None:
    """Return the class of *op*, such as ``"file-read"``, or None if stock TensorFlow 2.21 has no such op."""
    return op_table().classes.get(op)


def op_package(op: str) -> PackageOps | None:
    """Return which package registers *op*, or None if the table does not know."""
    packages = op_table().packages
    return packages.get(op) or next(
        (ops for name, ops in packages.items() if name.endswith("*") and op.startswith(name[:-1])), None
    )


def is_registered(op: str) -> bool:
    """Tell whether TensorFlow has *op*, where this process has imported it; the program may register ops of its own."""
    registry = sys.modules.get("tensorflow.python.framework.op_def_registry")
    return registry is not None and registry.get(op) is not None
