"""The composed report: what a file holds, what was found in it, how it would load. Layer: beside planning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from safeload.inspection import TypedConstant
from safeload.policy import Severity

if TYPE_CHECKING:
    from safeload.formats import Format
    from safeload.inspection import LayerInfo, MetaGraphInfo, ModelInfo, ObjectInfo, ProducerInfo, SignatureInfo
    from safeload.policy import Finding

SCHEMA = 1
"""Version of what `InspectionReport.to_json` returns: new keys leave it, a key that changes its meaning raises it."""


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
class Requirement:
    """A package that loading needs beside TensorFlow.

    Attributes:
        package: Its name on PyPI; None where no table names the package that registers the ops.
        install: What to pass to ``pip install``, or None.
        ops: Ops of the graph that it registers; it must be imported before loading. Empty for tf-keras.
        is_installed: True if it is installed here.
    """

    package: str | None
    install: str | None
    ops: tuple[str, ...] = ()
    is_installed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What loading would come to, findings aside.

    Attributes:
        road: ``"keras"``, ``"tf_keras"``, ``"saved-model"`` or ``"tflite"``; None where loading would raise whatever
            is installed.
        signature: What would answer a call, or None.
        reason: Which rule chose it.
        code: Code of the error that loading would raise, or None; for packages that are missing here, beside the rest.
        error: Its text, or None.
        meta_graph: Index of the MetaGraph of a SavedModel that would answer, else None.
        requires: Packages that loading needs beside TensorFlow and Keras 3.
    """

    road: str | None = None
    signature: SignatureInfo | None = None
    reason: str | None = None
    code: str | None = None
    error: str | None = None
    meta_graph: int | None = None
    requires: tuple[Requirement, ...] = ()


@dataclass(frozen=True, repr=False)
class InspectionReport:
    """Everything that is known about an artifact before it is loaded.

    Attributes:
        info: The facts.
        evidence: How the format was recognised.
        findings: What the policy thinks, worst first.
        custom_objects: What is not built in, and whether it can be found.
        outcome: How it would load, or the error that would come.
        is_mislabelled: True if the name promises another format than the bytes are.
        route: How it was loaded, in the report of a callable; see ``docs/explanation/performance.md``.
    """

    info: ModelInfo
    evidence: str
    findings: tuple[Finding, ...]
    custom_objects: tuple[CustomObject, ...]
    outcome: Outcome
    is_mislabelled: bool = False
    route: str = field(default="", compare=False)

    @property
    def format(self) -> Format:
        """The format of the bytes."""
        return self.info.format

    @property
    def producer(self) -> ProducerInfo:
        """Who wrote the file."""
        return self.info.producer

    @property
    def meta_graphs(self) -> tuple[MetaGraphInfo, ...]:
        """The MetaGraphs of a SavedModel."""
        return self.info.saved_model.meta_graphs if self.info.saved_model is not None else ()

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Everything that can be called; per MetaGraph signatures before functions."""
        if self.info.keras is not None:
            return (self.info.keras.signature,)
        if self.info.tflite is not None:
            return self.info.tflite.signatures
        return tuple(s for graph in self.meta_graphs for s in (*graph.signatures, *graph.functions))

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The layers of a Keras model, nested ones inside their parents; of a SavedModel where Keras recorded them."""
        facts = self.info.keras or self.info.saved_model
        return facts.root.layers if facts is not None and facts.root is not None else ()

    @property
    def parameter_count(self) -> int | None:
        """Elements of the weights of a Keras model; None where there are none, or nobody tells which they are."""
        if self.info.keras is not None:
            return self.info.keras.parameter_count
        root = self.info.saved_model.root if self.info.saved_model is not None else None
        return root.parameter_count if root is not None else None

    @property
    def training_only(self) -> tuple[ObjectInfo, ...]:
        """Optimizers, losses and metrics of a Keras model, which calling it does not need."""
        if self.info.keras is not None:
            return tuple(o for o in self.info.keras.objects if o.is_training_only)
        return self.info.saved_model.training_only if self.info.saved_model is not None else ()

    @property
    def missing_ops(self) -> tuple[tuple[str, str | None], ...]:
        """Ops that stock TensorFlow lacks, each with the package that registers it, or None."""
        if self.info.tflite is not None:
            return self.info.tflite.missing_ops
        return tuple(dict.fromkeys(op for graph in self.meta_graphs for op in graph.missing_ops))

    @property
    def unexamined(self) -> tuple[Finding, ...]:
        """Findings about what could not be examined."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.UNEXAMINED)

    @property
    def is_refused(self) -> bool:
        """True if `load_callable` refuses the model unless findings are trusted."""
        return any(finding.severity >= Severity.UNEXAMINED for finding in self.findings)

    @property
    def verdict(self) -> str:
        """``"refused"``, the code of the error that loading would raise, or ``"fine"``."""
        return "refused" if self.is_refused else self.outcome.code or "fine"

    def to_json(self) -> dict[str, Any]:
        """Return the report as what the json module can write; configs, graphs and weights are left out.

        Equal for equal files. The keys are those of ``docs/reference/report-schema.md``, whose version is ``schema``.
        """
        return {
            "schema": SCHEMA,
            "path": self.info.where,
            "format": self.format.value,
            "evidence": self.evidence,
            "is_mislabelled": self.is_mislabelled,
            "size": self.info.size,
            "digest": self.info.digest,
            "producer": _plain(self.producer),
            "weights": _plain(self.info.weights),
            "parameter_count": self.parameter_count,
            "meta_graphs": [_graph(graph) for graph in self.meta_graphs],
            "signatures": [_plain(s) for s in self.signatures],
            "layers": [_plain(layer) for layer in self.layers],
            "training_only": [_plain(o) for o in self.training_only],
            "custom_objects": [_plain(c) for c in self.custom_objects],
            "missing_ops": [list(op) for op in self.missing_ops],
            "findings": [_plain(f) for f in self.findings],
            "unexamined": [f.where for f in self.unexamined],
            "outcome": _plain(self.outcome),
            "verdict": self.verdict,
        }

    def to_text(self, *, full: bool = False) -> str:
        """Return the report as ``safeload show`` prints it.

        Args:
            full: Show long lists whole.
        """
        from safeload._report_text import report_text

        return report_text(self, full=full)

    def __repr__(self) -> str:
        return f"<InspectionReport {self.info.where!r}: {self.format.value}, {self.verdict}>"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from safeload._report_html import report_html

        return report_html(self)


LEFT_OUT = frozenset({"config", "graph"})
"""Attributes that hold configs and graphs, which are in no report."""


def _plain(value: Any) -> Any:
    """Turn frozen values into JSON, leaving out configs and graphs."""
    if isinstance(value, TypedConstant):
        return repr(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in LEFT_OUT}
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value, IntEnum) else _plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """Return *value* if JSON has it; infinities and the like as text."""
    is_plain = (
        value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))
    )
    return value if is_plain else repr(value)


_LISTED_BESIDE = LEFT_OUT | {"signatures", "functions"}


def _graph(graph: MetaGraphInfo) -> dict[str, Any]:
    """Describe a MetaGraph; its signatures and functions by key, since the report lists them beside it."""
    return {
        **{f.name: _plain(getattr(graph, f.name)) for f in fields(graph) if f.name not in _LISTED_BESIDE},
        "signatures": [s.key for s in graph.signatures],
        "functions": list(dict.fromkeys(s.key for s in graph.functions)),
    }
