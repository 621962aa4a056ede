"""A report as text of 80 columns, what a person wants to know first standing first. Layer: beside planning."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.errors import printable as escaped
from safeload.inspection import Slot

if TYPE_CHECKING:
    from safeload._report import CustomObject, InspectionReport, Requirement
    from safeload.inspection import LayerInfo, ObjectInfo, ProducerInfo, SignatureInfo, TensorInfo, WeightsInfo
    from safeload.policy import Finding

_WIDTH = 80
_LABEL = 12
_GLUE = "\u00a0"
"""Stands for a space at which no line is broken."""


class _Most(NamedTuple):
    """How many entries of each list are shown."""

    signatures: int | None = 5
    layers: int | None = 18
    objects: int | None = 8
    findings: int | None = 4
    characters: int | None = 480


_ALL = _Most(*[None] * len(_Most._fields))


def report_text(report: InspectionReport, *, full: bool) -> str:
    """Return *report* as lines of 80 columns; names too long for that stay in one piece.

    Args:
        report: The report.
        full: Show long lists whole.
    """
    most = _ALL if full else _Most()
    lines = [printable(f"{report.info.where}: {report.verdict}")]
    for title, entries in _sections(report, most):
        lines += _section(title, [_entry(printable(entry), most.characters) for entry in entries])
    return "\n".join(line.replace(_GLUE, " ") for line in lines)


def printable(text: str) -> str:
    """Return *text* with everything escaped that a terminal would obey or not show: controls, direction marks."""
    return _GLUE.join(map(escaped, text.split(_GLUE)))


def shortened(text: str, most: int | None) -> str:
    """Return *text*, cut between two words near *most* characters if it is longer."""
    if most is None or len(text) <= most:
        return text
    words = text[:most].rpartition(" ")[0]
    return f"{words} …" if len(words) > most // 2 else f"{text[:most]}…"


def _entry(text: str, most: int | None) -> str:
    return text if _PERMITS in text else shortened(text, most)


_PERMITS = "] permits it"
"""Ends a line that is of use only as a whole."""


def _sections(report: InspectionReport, most: _Most) -> Iterator[tuple[str, list[str]]]:
    """Yield the parts in order: what it is, what stands against loading it, how to call it, what is inside."""
    is_bad = report.is_refused
    findings = list(_finding_lines(report.findings, most.findings))
    yield "", list(_facts(report))
    yield "findings", findings if is_bad else []
    yield "would raise", (report.outcome.error or "").splitlines()
    yield "needs", [requirement_text(r) for r in report.outcome.requires]
    for title, signatures in _signature_groups(report):
        yield title, list(_cut(signatures, most.signatures, ordinary=_count_ordinary(signatures)))
    yield "custom objects", list(_cut(map(custom_text, report.custom_objects), most.objects))
    yield "ops of other packages", list(_cut((op_text(*op) for op in report.missing_ops), most.objects))
    yield "findings", [] if is_bad else findings
    yield "layers", list(_cut(_tree_lines(report.layers, ""), most.layers))


def _section(title: str, entries: list[str]) -> Iterator[str]:
    if not title:
        yield from (line for entry in entries for line in wrapped(entry, "  ", "  " + " " * _LABEL))
    elif entries:
        yield f"  {title}"
        yield from (line for entry in entries for line in wrapped(entry, "    ", "      "))


def wrapped(text: str, first: str, then: str, *, width: int = _WIDTH) -> list[str]:
    """Break *text* between words: *first* stands before its first line, *then* and its own indent before the others."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=then + indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cut(entries: Iterable[str], most: int | None, *, ordinary: int = 0) -> Iterator[str]:
    """Yield the first entries, no more than are *ordinary* if any are, then how many there are more."""
    entries = list(entries)
    shown = len(entries) if most is None else min(most, ordinary or most)
    yield from entries[:shown]
    if len(entries) > shown:
        yield _more(len(entries) - shown)


def _more(count: int) -> str:
    return f"… and {count:,} more (safeload show --all)"


def _facts(report: InspectionReport) -> Iterator[str]:
    load, *rest = facts(report)
    for label, value in (load, *_call_facts(report.outcome.signature), *rest):
        yield f"{label:<{_LABEL}}".replace(" ", _GLUE) + value


def _call_facts(signature: SignatureInfo | None) -> Iterator[tuple[str, str]]:
    if signature is not None:
        yield "call", signature_text(signature)
        yield from (("records", records_text(tensor)) for tensor in signature.inputs if tensor.features)


def records_text(tensor: TensorInfo) -> str:
    """Say what the records hold that an input takes."""
    return f"{tensor.name} takes serialized tf.Example records of {_tensors(tensor.features)}"


def facts(report: InspectionReport) -> Iterator[tuple[str, str]]:
    """Yield what is said in one line each, as label and value."""
    outcome = report.outcome
    if outcome.signature is not None:
        yield (
            "if trusted" if report.is_refused else "once met" if outcome.code else "would load",
            f"through {outcome.road}, calling {outcome.signature.key} ({outcome.reason})",
        )
    evidence = f" ({report.evidence})" if report.evidence else ""
    wrong = f", though its name ends in .{report.info.where.rpartition('.')[2]}" if report.is_mislabelled else ""
    yield "format", f"{report.format.value}{evidence}{wrong}"
    yield "written by", producer_text(report.producer)
    if report.info.weights is not None:
        yield "weights", weights_text(report.info.weights, parameters=report.parameter_count)
    yield "size", f"{report.info.size:,} bytes, content digest {report.info.digest[:16]}"
    if report.training_only:
        yield "training", f"{training_text(report.training_only)}: not needed to call it"


_FLAVOURS = {"keras1": "Keras", "keras2": "Keras", "keras3": "Keras"}
"""Names of `ProducerInfo.keras_flavour` in text; the others are names already."""


def producer_text(producer: ProducerInfo) -> str:
    """Say who wrote the file, in one line."""
    keras = _FLAVOURS.get(producer.keras_flavour or "", producer.keras_flavour)
    if producer.keras_version:
        keras = f"{keras or 'Keras'} {producer.keras_version}"
    parts = [
        keras,
        f"TensorFlow {producer.tensorflow_version}" if producer.tensorflow_version else None,
        f"backend {producer.backend}" if producer.backend else None,
        f"on {producer.date_saved}" if producer.date_saved else None,
    ]
    return ", ".join(part for part in parts if part) or "not recorded"


def weights_text(weights: WeightsInfo, *, parameters: int | None) -> str:
    """Say how much there is to load."""
    count = f"{parameters:,} parameters" if parameters is not None else f"{weights.elements:,} elements"
    if not weights.arrays:
        return "none"
    training = f"; optimizer state {weights.training_bytes:,} bytes" if weights.training_bytes else ""
    arrays = "1 array" if weights.arrays == 1 else f"{weights.arrays:,} arrays"
    return f"{count} in {arrays}, {weights.nbytes:,} bytes{training}"


def training_text(objects: Sequence[ObjectInfo]) -> str:
    """Name what only training needs, each once."""
    names = list(dict.fromkeys(f"{o.kind} {o.name.removeprefix('Custom>')}" for o in objects))
    return ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")


_MANY = 5


def requirement_text(needed: Requirement) -> str:
    """Say which package is needed, for what, and what to do about it."""
    name = needed.package or "a package that registers its ops, or a newer TensorFlow"
    use = f", imported before loading: it registers {', '.join(needed.ops[:_MANY])}" if needed.ops else ""
    if needed.install is None:
        return f"{name}{use}"
    return f"{name}{use} ({'installed' if needed.is_installed else f'missing: pip install {needed.install}'})"


def _signature_groups(report: InspectionReport) -> Iterator[tuple[str, list[str]]]:
    """Yield a title and the signatures below it, per MetaGraph where there are several; the one called stands above."""
    graphs = report.meta_graphs
    chosen = report.outcome.signature
    if not graphs:
        yield f"{_other(report.signatures, chosen)}signatures", grouped_signatures(report.signatures, left_out=chosen)
    for graph in graphs:
        tags = f", MetaGraph tagged {', '.join(sorted(graph.tags)) or 'with nothing'}" if len(graphs) > 1 else ""
        called = chosen if graph.index == report.outcome.meta_graph else None
        for title, signatures in (("signatures", graph.signatures), ("functions", graph.functions)):
            yield f"{_other(signatures, called)}{title}{tags}", grouped_signatures(signatures, left_out=called)


def _other(signatures: Sequence[SignatureInfo], called: SignatureInfo | None) -> str:
    return "other " if called in signatures else ""


def grouped_signatures(signatures: Iterable[SignatureInfo], *, left_out: SignatureInfo | None) -> list[str]:
    """Return one text for each but *left_out*, bookkeeping last, traces of the same form counted."""
    ordered = sorted((s for s in signatures if s != left_out), key=lambda s: s.key.startswith(_BOOKKEEPING))
    counts = Counter(map(signature_text, ordered))
    return [text if number == 1 else f"{text}  ({number} traces)" for text, number in counts.items()]


def _count_ordinary(signatures: Sequence[str]) -> int:
    return sum(not text.startswith(_BOOKKEEPING) for text in signatures)


_BOOKKEEPING = ("call_and_return_", "_default_save", "_tf_keras")
"""What Keras 2 attaches to its models. Source: tf_keras/src/saving/legacy/saved_model/save_impl.py (2.21)."""


def signature_text(signature: SignatureInfo) -> str:
    """Write a signature as a call: of a function with its arguments as they nest, in Python order."""
    structure = signature.structure
    if structure is None or signature.kind == "keras":
        if signature.kind == "keras" and not signature.inputs and not signature.outputs:
            return f"{signature.key}: its inputs and outputs are not recorded"
        method = signature.method_name.rpartition("/")[2]
        note = f"  (method{_GLUE}{method})" if method not in {"", "predict"} else ""
        unknown = "…" if signature.kind == "keras" else ""  # every Keras model has some
        taken, given = _tensors(signature.inputs) or unknown, _tensors(signature.outputs) or unknown
        return f"{signature.key}({taken}) -> ({given}){note}"
    inputs = {tensor.name: tensor for tensor in signature.inputs}
    outputs = {tensor.name: tensor for tensor in signature.outputs}
    arguments = (*structure.args, *((("*", None),) if structure.kwargs else ()), *structure.kwargs)
    written = ", ".join(name if name == "*" else _argument(name, tree, inputs) for name, tree in arguments)
    return f"{signature.key}({written}) -> {_tree(structure.outputs, outputs)}"


def _tensors(tensors: Iterable[TensorInfo]) -> str:
    return ", ".join(str(tensor).replace(" ", _GLUE) for tensor in tensors)


def _argument(name: str, tree: Any, tensors: Mapping[str, TensorInfo]) -> str:
    is_constant = not isinstance(tree, (Slot, dict, list, tuple))
    return f"{name}={tree!r}" if is_constant else f"{name}:{_GLUE}{_tree(tree, tensors)}"


def _tree(tree: Any, tensors: Mapping[str, TensorInfo]) -> str:
    if isinstance(tree, Slot):
        found = tensors.get(tree.name)
        return "tensor" if found is None else found.spec.replace(" ", _GLUE)
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {_tree(item, tensors)}" for key, item in tree.items()) + "}"
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        named = ", ".join(f"{k}={_tree(v, tensors)}" for k, v in zip(tree._fields, tree, strict=True))
        return f"{type(tree).__name__}({named})"
    if isinstance(tree, (list, tuple)):
        inside = ", ".join(_tree(item, tensors) for item in tree)
        return f"[{inside}]" if isinstance(tree, list) else f"({inside})"
    return repr(tree)


def _tree_lines(layers: tuple[LayerInfo, ...], indent: str) -> Iterator[str]:
    for layer in layers:
        yield f"{indent}{layer.name} ({layer_text(layer)})"
        yield from _tree_lines(layer.layers, indent + "  ")


def layer_text(layer: LayerInfo) -> str:
    """Name the class of a layer, and how many parameters it has where they are known and any."""
    return f"{layer.class_name}, {layer.parameter_count:,} parameters" if layer.parameter_count else layer.class_name


def custom_text(custom: CustomObject) -> str:
    """Say what an object is and whether it can be found."""
    home = f" (was in {custom.module})" if custom.module else ""
    need = "only for training" if custom.is_training_only else "found" if custom.is_available else "missing"
    return f"{custom.kind} {custom.name}{home}: {need}"


def op_text(op: str, package: str | None) -> str:
    """Name an op and the package that registers it."""
    return f"{op} ({package or 'unknown package'})"


def _finding_lines(findings: Sequence[Finding], most: int | None) -> Iterator[str]:
    for finding in findings[:most]:
        yield f"{finding.severity.name.lower()}: {finding.message} at {finding.where} [{finding.rule}]"
        if finding.evidence.partition(" (sha256 ")[0] not in finding.message:
            yield f"  evidence: {finding.evidence}"
        yield f"  hint: {finding.hint}"
        if finding.identifier is not None:
            yield f"  trusted=[{finding.identifier!r}{_PERMITS}"
    if most is not None and len(findings) > most:
        yield _more(len(findings) - most)
