"""What the policy thinks of each class of ops. Layer: policy; a table.

The classes are those of ``inspection/op_classes.txt``.
"""

from __future__ import annotations

from dataclasses import dataclass

from safeload.inspection.op_classes import is_registered, op_class, op_package
from safeload.policy._finding import Severity


@dataclass(frozen=True)
class OpVerdict:
    """Why an op is refused where nothing else is known about it.

    Attributes:
        rule: Kebab-case name of the rule.
        severity: How bad the op is where it can be executed.
        message: What it would do.
    """

    rule: str
    severity: Severity
    message: str


HARMLESS = frozenset({"pure", "control-flow", "state", "dataset", "check"})
"""Classes that are allowed everywhere."""

_DANGEROUS = {
    "print": ("file-write", "writes what it prints to a file"),
    "named-resource": ("shared-resource", "finds an object of the process by name, which may belong to another model"),
    "checkpoint-read": ("checkpoint-read", "reads a checkpoint other than the model's own"),
    "checkpoint-write": ("file-write", "writes or deletes files"),
    "table-from-file": ("file-read", "reads a file that is no asset of this model"),
    "file-read": ("file-read", "reads files"),
    "dataset-cache": ("file-write", "writes a file"),
    "file-by-attribute": ("file-read", "reads a file"),
    "file-write": ("file-write", "writes or deletes files"),
    "summary-write": ("file-write", "writes event files"),
    "debug": ("debug-dump", "sends tensors to a file or a server"),
    "network": ("network", "talks to other processes or machines"),
    "process-control": ("process-control", "stops, delays or changes the whole process"),
    "uninitialised": ("uninitialised-memory", "gives memory that was not cleared, with what the process left in it"),
    "in-place": ("in-place", "changes a tensor in place, which may be the caller's own"),
    "dataset-options": ("process-control", "may start any number of threads for a dataset"),
    "process-handle": ("process-handle", "finds an object of the process that may belong to another model"),
    "python": ("python-callback", "calls a Python function of the process"),
    "native": ("native-code", "runs native code"),
}
_UNEXAMINED = {
    "stablehlo": ("native-code", "runs a StableHLO module that may call native code"),
    "hidden-graph": ("hidden-graph", "runs a graph that is hidden in a string"),
    "accelerator": ("accelerator-op", "needs a TPU or a distributed runtime, and is not examined"),
    "runtime-internal": ("internal-op", "is internal to the runtime and does not belong in a file"),
    "test-only": ("test-op", "exists for TensorFlow's own tests"),
}
_VERDICTS = {
    **{kind: OpVerdict(rule, Severity.DANGEROUS, message) for kind, (rule, message) in _DANGEROUS.items()},
    **{kind: OpVerdict(rule, Severity.UNEXAMINED, message) for kind, (rule, message) in _UNEXAMINED.items()},
}
_UNKNOWN = OpVerdict("unknown-op", Severity.UNEXAMINED, "is an op of another package, and what it does is not known")
_ABSENT = OpVerdict("unknown-op", Severity.WARNING, "is an op that neither TensorFlow nor an imported package has")


def op_verdict(op: str) -> OpVerdict | None:
    """Return why a node with *op* is refused, or None if the op is harmless wherever it stands.

    Ops that are harmless in some places only, such as ``RestoreV2``, are refused here. An op that
    another package registers is refused only while it is registered: otherwise it cannot run.
    """
    kind = op_class(op)
    if kind is not None:
        return _VERDICTS.get(kind)
    package = op_package(op)
    if package is not None and package.is_pure:
        return None
    return _UNKNOWN if is_registered(op) else _ABSENT
