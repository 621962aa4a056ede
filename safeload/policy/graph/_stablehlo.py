"""What a StableHLO module can call besides mathematics, and what cannot be examined of it. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.policy.graph._subject import Subject

_MAGIC = b"ML\xefR"
"""Start of MLIR bytecode, in which every operation's name stands as it is. Source: mlir.llvm.org/docs/BytecodeFormat.

The text form can spell a name with escapes, and no exporter writes it.
"""
_CALLING = (b"custom_call", b"infeed", b"outfeed", b"send_v", b"recv_v", b"composite")
"""Parts of the names of VHLO operations that leave the module. Source: stablehlo/dialect/VhloOps.td (StableHLO 1.9)."""


def calls_nothing(module: bytes) -> bool:
    """Return whether *module* is MLIR bytecode without operations that call, send or receive."""
    return module.startswith(_MAGIC) and not any(name in module for name in _CALLING)


_ISOLATE = "load it in a process of its own if you do not know where it comes from"


def stablehlo_modules(subject: Subject) -> Iterator[Finding]:
    """Say of every graph with modules what cannot be examined: their loops and sizes, and whether XLA survives them."""
    nodes = list(subject.graph.nodes("XlaCallModule"))
    for node in nodes[:1]:
        message = "XLA compiles modules whose loops and sizes nobody bounds; a hostile one can end the process"
        evidence = f"{len(nodes)} modules"
        yield Finding("stablehlo-module", Severity.WARNING, subject.where(node), evidence, message, _ISOLATE)
