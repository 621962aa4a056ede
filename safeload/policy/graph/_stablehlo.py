"""What a StableHLO module can call besides mathematics, and what cannot be examined of it. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.errors import MalformedArtifactError
from safeload.policy._finding import Finding, Severity
from safeload.readers.mlir import MAGIC, Operation, read_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import GraphInfo, Node
    from safeload.policy.graph._subject import Subject

_CALLING = ("custom_call", "infeed", "outfeed", "send", "recv", "composite")
"""Parts of the names of operations that leave the module, whether of VHLO, which counts versions, of StableHLO or MHLO.

Source: stablehlo/dialect/VhloOps.td (StableHLO 1.9); xla_call_module_loader.cc of TensorFlow loads all three dialects.
Names stand in bytecode as they are. The text form can spell one with escapes, and no exporter writes it.
"""
_INERT = frozenset({"shape_assertion", "mhlo.erf", "mhlo.topk"})
"""Custom calls that XLA replaces by operations of its own, or checks and takes out, and never looks up.

Source: ``CheckShapeAssertionsPass`` in stablehlo_ext (openxla/xla), which ``xla_call_module_loader.cc`` of TensorFlow
2.21 runs, and ``stablehlo_ext/transforms/chlo_recompose_ops.cpp``.
"""


_MOST_BYTES = 4 << 20
"""Of the modules of one graph, weights left out, that are looked at, which takes seconds."""


def plain_modules(graph: GraphInfo) -> frozenset[Node]:
    """Return the nodes whose module is MLIR bytecode without operations that call, send or receive."""
    plain, left = [], _MOST_BYTES
    for node in graph.nodes("XlaCallModule"):
        value = node.proto.attr.get("module")
        module = value.s if value is not None else b""
        operations: set[Operation] = set()
        if any(part.encode() in module for part in _CALLING):
            try:
                operations, size = read_operations(module, where="module", most=left)
            except MalformedArtifactError:
                left -= len(module)
                continue
            left -= size
        if module.startswith(MAGIC) and all(map(_stays_inside, operations)):
            plain.append(node)
    return frozenset(plain)


def _stays_inside(operation: Operation) -> bool:
    named = operation.strings - {""}  # which is no configuration
    return named <= _INERT if named else not any(part in operation.name for part in _CALLING)


_ISOLATE = "load it in a process of its own if you do not know where it comes from"


def stablehlo_modules(subject: Subject) -> Iterator[Finding]:
    """Say of every graph with modules what cannot be examined: their loops and sizes, and whether XLA survives them."""
    nodes = list(subject.graph.nodes("XlaCallModule"))
    for node in nodes[:1]:
        message = "XLA compiles modules whose loops and sizes nobody bounds; a hostile one can end the process"
        evidence = f"{len(nodes)} modules"
        yield Finding("stablehlo-module", Severity.WARNING, subject.where(node), evidence, message, _ISOLATE)
