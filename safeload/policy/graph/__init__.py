"""Rules about the graphs of SavedModels. Layer: policy.

``_verdicts`` says what is thought of each class of ops, ``_ops`` where an op is harmless all the same, ``_costs`` what
a graph provably needs; ``_origins`` and ``_constants`` trace tensors for them.
"""

from __future__ import annotations

from safeload.policy.graph._costs._findings import (
    declared_lists,
    declared_outputs,
    declared_sizes,
    encoded_constants,
    endless_loops,
    endless_searches,
    endless_waits,
    provable_allocations,
    recursion,
    unfinished,
)
from safeload.policy.graph._handles import forged_handles, forged_places, forged_references
from safeload.policy.graph._operands import impossible_constants, mistaken_operands
from safeload.policy.graph._ops import refused_ops
from safeload.policy.graph._stablehlo import stablehlo_modules
from safeload.policy.graph._structure import (
    absent_functions,
    asset_names,
    internal_attributes,
    mistaken_branches,
    mistyped_constants,
    open_attributes,
    repeated_names,
)
from safeload.policy.graph._subject import Subject, subjects
from safeload.policy.graph._verdicts import OpVerdict, op_verdict
from safeload.policy.graph._windows import empty_transforms, impossible_sounds, impossible_windows

__all__ = ["GRAPH_RULES", "STANDING_RULES", "OpVerdict", "Subject", "op_verdict", "subjects"]

GRAPH_RULES = (
    refused_ops,
    forged_handles,
    forged_places,
    forged_references,
    absent_functions,
    open_attributes,
    internal_attributes,
    mistaken_branches,
    mistyped_constants,
    impossible_constants,
    mistaken_operands,
    asset_names,
    repeated_names,
    declared_sizes,
    declared_lists,
    declared_outputs,
    impossible_windows,
    impossible_sounds,
    empty_transforms,
    provable_allocations,
    encoded_constants,
    endless_loops,
    endless_searches,
    endless_waits,
    recursion,
    unfinished,
)
"""Every rule about a graph, in reading order; they share what was found out about it."""

STANDING_RULES = (stablehlo_modules,)
"""Rules that refuse nothing, and say what none of the others can see."""
