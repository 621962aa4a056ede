"""The composed report: what a file holds, what was found in it, how it would load. Layer: beside planning."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safeload.formats import Format
    from safeload.inspection import LayerInfo, ModelInfo, ProducerInfo, SignatureInfo
    from safeload.policy import Finding

_REFUSING = 2  # policy.Severity.UNEXAMINED
_MAX_LAYERS_SHOWN = 60


@dataclass(frozen=True)
class CustomObject:
    """A class or function that is not built in.

    Attributes:
        name: Name under which the file has it, the registered one where recorded.
        kind: ``"layer"``, ``"function"``, …
        module: Module in which it was defined when the file was saved, or None.
        where: Its first place in the config.
        is_training_only: True if calling the model does not need it.
        is_available: True if the registry has it.
    """

    name: str
    kind: str
    module: str | None
    where: str
    is_training_only: bool
    is_available: bool


@dataclass(frozen=True)
class Outcome:
    """What loading would come to, findings aside.

    Attributes:
        road: ``"keras"``, ``"tf_keras"`` or ``"saved-model"``; None where loading would raise.
        signature: What would answer a call, or None.
        reason: Which rule chose it.
        code: Code of the error that loading would raise, or None.
        error: Its text, or None.
    """

    road: str | None = None
    signature: SignatureInfo | None = None
    reason: str | None = None
    code: str | None = None
    error: str | None = None


@dataclass(frozen=True, repr=False)
class InspectionReport:
    """Everything that is known about an artifact before it is loaded.

    Attributes:
        info: The facts.
        evidence: How the format was recognised.
        findings: What the policy thinks, worst first.
        custom_objects: What is not built in, and whether it can be found.
        outcome: How it would load, or the error that would come.
    """

    info: ModelInfo
    evidence: str
    findings: tuple[Finding, ...]
    custom_objects: tuple[CustomObject, ...]
    outcome: Outcome

    @property
    def format(self) -> Format:
        """The format of the bytes."""
        return self.info.format

    @property
    def producer(self) -> ProducerInfo:
        """Who wrote the file."""
        return self.info.producer

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Everything that can be called, signatures before functions."""
        if self.info.keras is not None:
            return (self.info.keras.signature,)
        graphs = self.info.saved_model.meta_graphs if self.info.saved_model is not None else ()
        return tuple(s for graph in graphs for s in (*graph.signatures, *graph.functions))

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The layers of a Keras model, nested ones inside their parents."""
        return self.info.keras.root.layers if self.info.keras is not None else ()

    @property
    def missing_ops(self) -> tuple[tuple[str, str | None], ...]:
        """Ops that stock TensorFlow lacks, each with the package that registers it, or None."""
        graphs = self.info.saved_model.meta_graphs if self.info.saved_model is not None else ()
        return tuple(dict.fromkeys(op for graph in graphs for op in graph.missing_ops))

    @property
    def is_refused(self) -> bool:
        """True if `load_callable` refuses the model unless findings are trusted."""
        return any(finding.severity >= _REFUSING for finding in self.findings)

    @property
    def verdict(self) -> str:
        """``"refused"``, the code of the error that loading would raise, or ``"fine"``."""
        return "refused" if self.is_refused else self.outcome.code or "fine"

    def to_json(self) -> dict[str, Any]:
        """Return the report as what the json module can write; layer configs are left out."""
        return {
            "path": self.info.where,
            "format": self.format.value,
            "evidence": self.evidence,
            "size": self.info.size,
            "digest": self.info.digest,
            "producer": _plain(self.producer),
            "parameter_count": self.info.keras.parameter_count if self.info.keras is not None else None,
            "signatures": [_plain(s) for s in self.signatures],
            "layers": [_plain(layer) for layer in self.layers],
            "custom_objects": [_plain(c) for c in self.custom_objects],
            "missing_ops": [list(op) for op in self.missing_ops],
            "findings": [_plain(f) for f in self.findings],
            "outcome": _plain(self.outcome),
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        return f"<InspectionReport {self.info.where!r}: {self.format.value}, {self.verdict}>"

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


_CONTENT_KEYS = frozenset({"config", "graph"})


def _plain(value: Any) -> Any:
    """Turn frozen values into JSON, leaving out configs and graphs."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in _CONTENT_KEYS}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, frozenset)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def _lines(report: InspectionReport) -> Iterator[str]:
    yield f"{report.info.where}: {report.verdict}"
    yield f"  format      {report.format.value}" + (f" ({report.evidence})" if report.evidence else "")
    yield f"  size        {report.info.size:,} bytes, content digest {report.info.digest[:16]}"
    yield f"  written by  {_producer(report.producer)}"
    yield from _section("signatures", [str(s) for s in report.signatures])
    yield from _outcome_lines(report.outcome)
    yield from _section("layers", _layer_lines(report))
    yield from _section("custom objects", [_custom_line(c) for c in report.custom_objects])
    ops = [f"{op} ({package or 'unknown package'})" for op, package in report.missing_ops]
    yield from _section("ops of other packages", ops)
    yield from _section("findings", [text for finding in report.findings for text in _finding_lines(finding)])


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"  {title}"
        yield from (f"    {line}" for line in lines)


def _producer(producer: ProducerInfo) -> str:
    keras = producer.keras_flavour
    if producer.keras_version:
        keras = f"{keras or 'Keras'} {producer.keras_version}"
    parts = [
        keras,
        f"TensorFlow {producer.tensorflow_version}" if producer.tensorflow_version else None,
        f"backend {producer.backend}" if producer.backend else None,
        f"on {producer.date_saved}" if producer.date_saved else None,
    ]
    return ", ".join(part for part in parts if part) or "not recorded"


def _outcome_lines(outcome: Outcome) -> Iterator[str]:
    if outcome.signature is None:
        yield from _section("would raise", (outcome.error or "").splitlines())
    else:
        yield f"  would load  through {outcome.road}, calling {outcome.signature.key} ({outcome.reason})"


def _layer_lines(report: InspectionReport) -> list[str]:
    lines = list(_tree_lines(report.layers, ""))
    parameters = report.info.keras.parameter_count if report.info.keras is not None else None
    total = [] if parameters is None else [f"{parameters:,} parameters"]
    hidden = len(lines) - _MAX_LAYERS_SHOWN
    return [*lines[:_MAX_LAYERS_SHOWN], *([f"… and {hidden} more"] if hidden > 0 else []), *total]


def _tree_lines(layers: tuple[LayerInfo, ...], indent: str) -> Iterator[str]:
    for layer in layers:
        yield f"{indent}{layer.name} ({layer.class_name})"
        yield from _tree_lines(layer.layers, indent + "  ")


def _custom_line(custom: CustomObject) -> str:
    home = f" (was in {custom.module})" if custom.module else ""
    need = "only for training" if custom.is_training_only else "found" if custom.is_available else "missing"
    return f"{custom.kind} {custom.name}{home}: {need}"


def _finding_lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.name.lower()}: {finding.message} at {finding.where} [{finding.rule}]"
    yield f"  hint: {finding.hint}"
    if finding.identifier is not None:
        yield f"  trusted=[{finding.identifier!r}] permits it"
