"""A report as HTML for notebooks: tables, a layer tree that unfolds, no script. Layer: beside planning.

Everything that comes from a file is escaped, for HTML and for terminals alike.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from safeload._report_text import (
    custom_text,
    facts,
    grouped_signatures,
    layer_text,
    op_text,
    printable,
    records_text,
    requirement_text,
    shortened,
    signature_text,
)

if TYPE_CHECKING:
    from safeload._report import InspectionReport
    from safeload.inspection import LayerInfo, SignatureInfo, TensorInfo
    from safeload.policy import Finding

_MAX_LAYERS = 2000
"""Layers in one page; browsers become slow with more."""
_MAX_ROWS = 200
_MAX_CHARACTERS = 2000

_STYLE = """<style>
.safeload.safeload { font: 13px/1.45 system-ui, sans-serif; max-width: 60em; --line: #8884; --soft: #8882 }
.safeload.safeload h4 { margin: .9em 0 .25em; font-size: 1em; font-weight: 700 }
.safeload.safeload header { font-size: 1.15em; margin: 0 0 .4em; overflow-wrap: anywhere }
.safeload.safeload table { border-collapse: collapse; margin: 0; font: inherit; max-width: 100%; table-layout: auto }
.safeload.safeload tr { background: none }
.safeload.safeload :is(th, td) { text-align: left; vertical-align: top; padding: .15em 1em .15em 0; border: 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; background: none; max-width: none }
.safeload.safeload th { font-weight: 600; white-space: nowrap }
.safeload.safeload :is(code, pre) { font: 12px/1.45 ui-monospace, monospace; color: inherit; padding: 0;
  background: none }
.safeload.safeload pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .2em 0; padding: .4em .6em;
  background: var(--soft); border-radius: 4px }
.safeload.safeload details > div, .safeload.safeload .leaf { margin-left: 1.2em }
.safeload.safeload td code { white-space: pre-wrap }
.safeload.safeload summary { cursor: pointer; display: list-item }
.safeload.safeload details { margin: .3em 0 }
.safeload.safeload .class { opacity: .7 }
.safeload.safeload .verdict { font-weight: 700; border-radius: 4px; padding: 0 .4em; color: #fff; background: #8a5a00 }
.safeload.safeload .good { background: #1a7f37 } .safeload.safeload .bad { background: #b3261e }
</style>"""
"""The class stands twice to outweigh the tables of JupyterLab (``.jp-RenderedHTMLCommon td`` aligns to the right).
Coloured text stands on a ground of its own: a page does not tell whether its theme is light or dark."""


def report_html(report: InspectionReport) -> str:
    """Return *report* as one HTML element with its style."""
    return _element(_parts(report))


def callable_html(key: str, where: str, signature: SignatureInfo, report: InspectionReport | None) -> str:
    """Return the signature that a callable answers with, and the report of its file folded, as one HTML element."""
    parts = [f'<header><span class="verdict good">{_text(key)}</span> {_text(where)}</header>', _call(signature)]
    if report is not None:
        parts.append(f"<details><summary>about the file</summary><div>{''.join(_parts(report))}</div></details>")
    return _element(parts)


def _element(parts: Iterable[str]) -> str:
    return f'{_STYLE}<div class="safeload">{"".join(parts)}</div>'


def _parts(report: InspectionReport) -> Iterator[str]:
    look = {"fine": "good", "refused": "bad"}.get(report.verdict, "")
    verdict = f'<span class="verdict {look}">{_text(report.verdict)}</span>'
    yield f"<header>{verdict} {_text(report.info.where)}</header>"
    yield _table((_text(label), _text(value)) for label, value in facts(report))
    yield _titled("Findings", _findings(report.findings) if report.is_refused else "")
    yield _titled("Loading would raise", f"<pre>{_lines(report.outcome.error)}</pre>" if report.outcome.error else "")
    yield _titled("Needs", _list(map(requirement_text, report.outcome.requires)))
    if report.outcome.signature is not None:
        yield _titled(f"Call: {report.outcome.signature.key}", _call(report.outcome.signature))
    yield from _signatures(report)
    yield _titled("Custom objects", _list(map(custom_text, report.custom_objects)))
    yield _titled("Ops of other packages", _list(op_text(*op) for op in report.missing_ops))
    yield _titled("Findings", "" if report.is_refused else _findings(report.findings))
    yield _titled("Layers", _layers(report.layers))


def _text(value: str) -> str:
    return html.escape(printable(shortened(value, _MAX_CHARACTERS))).replace("\u00a0", " ")


def _lines(text: str) -> str:
    return "\n".join(map(_text, text.splitlines()))


def _titled(title: str, content: str) -> str:
    return f"<h4>{_text(title)}</h4>{content}" if content else ""


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    """Make a table of cells that are HTML already; the first of several in a row is its heading."""
    body = "".join(_row(*row) for row in rows)
    return f"<table>{body}</table>" if body else ""


def _row(first: str, *rest: str) -> str:
    if not rest:
        return f"<tr><td>{first}</td></tr>"
    return f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"


def _list(entries: Iterable[str]) -> str:
    entries = list(entries)
    rows = [(f"<code>{_text(entry)}</code>",) for entry in entries[:_MAX_ROWS]]
    return _table([*rows, *_more(len(entries) - _MAX_ROWS)])


def _more(count: int) -> list[tuple[str]]:
    return [(f"… and {count:,} more",)] if count > 0 else []


def _findings(findings: tuple[Finding, ...]) -> str:
    rows = [
        (
            _text(finding.severity.name.lower()),
            "<br>".join(_finding_lines(finding)),
        )
        for finding in findings[:_MAX_ROWS]
    ]
    return _table([*rows, *_more(len(findings) - _MAX_ROWS)])


def _finding_lines(finding: Finding) -> Iterator[str]:
    yield _text(finding.message)
    yield f"<code>{_text(finding.where)}</code> [{_text(finding.rule)}]"
    yield _text(finding.hint)
    if finding.identifier is not None:
        yield f"<code>trusted=[{html.escape(printable(repr(finding.identifier)))}]</code> permits it"


def _call(signature: SignatureInfo) -> str:
    rows = [
        *(_tensor_row("input", tensor) for tensor in signature.inputs[:_MAX_ROWS]),
        *(_tensor_row("output", tensor) for tensor in signature.outputs[:_MAX_ROWS]),
    ]
    records = [_text(records_text(tensor)) for tensor in signature.inputs if tensor.features]
    return _table(rows) + "".join(f"<div>{text}</div>" for text in records)


def _tensor_row(role: str, tensor: TensorInfo) -> tuple[str, ...]:
    is_recorded = tensor.dtype is not None or tensor.shape is not None
    facts = tensor.spec if is_recorded else "not recorded in the file"
    return role, f"<code>{_text(tensor.name)}</code>", _text(facts), _text(tensor.tensor_name or "")


def _signatures(report: InspectionReport) -> Iterator[str]:
    """Yield what else can be called, folded."""
    if not report.meta_graphs and report.outcome.signature is None:
        yield _titled("Signatures", _list(map(signature_text, report.signatures)))
    for graph in report.meta_graphs:
        called = report.outcome.signature if graph.index == report.outcome.meta_graph else None
        content = _list(grouped_signatures((*graph.signatures, *graph.functions), left_out=called))
        title = _text(f"signatures and functions, tagged {', '.join(sorted(graph.tags)) or 'with nothing'}")
        opened = " open" if report.outcome.signature is None else ""
        other = "other " if called is not None else ""
        yield f"<details{opened}><summary>{other}{title}</summary><div>{content}</div></details>" if content else ""


def _layers(layers: tuple[LayerInfo, ...]) -> str:
    shown = "".join(map(_layer, layers[:_MAX_LAYERS]))
    if not shown:
        return ""
    more = f"<div>… and {len(layers) - _MAX_LAYERS:,} more</div>" if len(layers) > _MAX_LAYERS else ""
    opened = " open" if len(layers) <= _OPEN_LAYERS else ""
    return f"<details{opened}><summary>{len(layers):,} layers</summary><div>{shown}{more}</div></details>"


_OPEN_LAYERS = 12


def _layer(layer: LayerInfo) -> str:
    label = f'{_text(layer.name)} <span class="class">{_text(layer_text(layer))}</span>'
    if not layer.layers:
        return f'<div class="leaf">{label}</div>'
    inside = "".join(map(_layer, layer.layers[:_MAX_LAYERS]))
    return f"<details><summary>{label}</summary><div>{inside}</div></details>"
