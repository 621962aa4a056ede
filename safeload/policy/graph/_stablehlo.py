"""What a StableHLO module can call besides mathematics. Layer: policy."""

from __future__ import annotations

_MAGIC = b"ML\xefR"
"""Start of MLIR bytecode, in which every operation's name stands as it is. Source: mlir.llvm.org/docs/BytecodeFormat.

The text form can spell a name with escapes, and no exporter writes it.
"""
_CALLING = (b"custom_call", b"infeed", b"outfeed", b"send_v", b"recv_v", b"composite")
"""Parts of the names of VHLO operations that leave the module. Source: stablehlo/dialect/VhloOps.td (StableHLO 1.9)."""


def calls_nothing(module: bytes) -> bool:
    """Return whether *module* is MLIR bytecode without operations that call, send or receive."""
    return module.startswith(_MAGIC) and not any(name in module for name in _CALLING)
