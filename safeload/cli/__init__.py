"""The command line: ``show``, ``check`` and ``demo``. Layer: top."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from safeload.errors import SafeloadError, UnrecognizedFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safeload._report import InspectionReport

# Exit codes as model scanners have them (modelscan, https://github.com/protectai/modelscan#exit-codes).
EXIT_FINE, EXIT_FINDINGS, EXIT_ERROR, EXIT_NOTHING = 0, 1, 2, 3

_EPILOG = """examples:
  safeload show model.h5                what is inside, and how it would load
  safeload check --format json models/  verdicts for a whole tree, for a CI job
  safeload demo                         models of every format, loaded and compared

exit codes: 0 fine, 1 findings, 2 error, 3 nothing recognised"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="safeload", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="print what a model file holds, without running anything")
    show.add_argument("path", help="a model file or directory")
    check = commands.add_parser("check", help="print a verdict for each model file")
    check.add_argument("paths", nargs="+", metavar="PATH", help="model files, or directories to search")
    for command in (show, check):
        command.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    commands.add_parser("demo", help="make models of every format, load each, compare the outputs")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        The exit code: 0 fine, 1 findings, 2 error, 3 nothing recognised.
    """
    options = _parser().parse_args(argv)
    try:
        if options.command == "demo":
            return _demo()
        if options.command == "show":
            return _show(options.path, as_json=options.format == "json")
        return _check(options.paths, as_json=options.format == "json")
    except UnrecognizedFormatError as error:
        print(error, file=sys.stderr)
        return EXIT_NOTHING
    except SafeloadError as error:
        print(error, file=sys.stderr)
        return EXIT_ERROR


def _show(path: str, *, as_json: bool) -> int:
    from safeload._load import inspect_model

    report = inspect_model(path)
    print(json.dumps(report.to_json(), indent=1) if as_json else report)
    return EXIT_FINDINGS if report.is_refused else EXIT_FINE


def _check(paths: Sequence[str], *, as_json: bool) -> int:
    from safeload.cli._tree import find_artifacts

    rows = [(path, _verdict(path)) for path in find_artifacts(map(Path, paths))]
    if as_json:
        print(json.dumps([_as_json(path, verdict) for path, verdict in rows], indent=1))
    else:
        for path, verdict in rows:
            print(f"{_label(verdict):<10} {path}" + (f"\n{_indented(verdict)}" if _is_bad(verdict) else ""))
    return _exit_code([verdict for _, verdict in rows])


def _verdict(path: Path) -> InspectionReport | SafeloadError:
    from safeload._load import inspect_model

    try:
        return inspect_model(path)
    except SafeloadError as error:
        return error


def _is_bad(verdict: InspectionReport | SafeloadError) -> bool:
    return isinstance(verdict, SafeloadError) or verdict.is_refused


def _label(verdict: InspectionReport | SafeloadError) -> str:
    if isinstance(verdict, SafeloadError):
        return verdict.code if isinstance(verdict, UnrecognizedFormatError) else "error"
    return "refused" if verdict.is_refused else "fine"


def _indented(verdict: InspectionReport | SafeloadError) -> str:
    if isinstance(verdict, SafeloadError):
        return "    " + str(verdict).replace("\n", "\n    ")
    return "\n".join(f"    {f.rule}: {f.message} at {f.where}" for f in verdict.findings)


def _as_json(path: Path, verdict: InspectionReport | SafeloadError) -> dict[str, object]:
    if isinstance(verdict, SafeloadError):
        return {"path": str(path), "verdict": "error", "code": verdict.code, "message": verdict.message}
    return {"path": str(path), "verdict": _label(verdict), "report": verdict.to_json()}


def _exit_code(verdicts: Sequence[InspectionReport | SafeloadError]) -> int:
    known = [v for v in verdicts if not isinstance(v, UnrecognizedFormatError)]
    if not known:
        return EXIT_NOTHING
    if any(isinstance(v, SafeloadError) for v in known):
        return EXIT_ERROR
    return EXIT_FINDINGS if any(_is_bad(v) for v in known) else EXIT_FINE


def _demo() -> int:
    from rich.console import Console
    from rich.table import Table

    from safeload.cli._demo import run_demo

    rows = run_demo()
    table = Table("model", "standard loader", "safeload", title="Outputs against those of the maker")
    for row in rows:
        style = "" if row.agrees else "bold red"
        table.add_row(row.recipe, _short(row.standard), _short(row.safeload), style=style)
    Console().print(table)
    right = sum(row.agrees for row in rows)
    print(f"safeload: {right} of {len(rows)} equal; standard loaders: {sum(r.standard == 'equal' for r in rows)}")
    return EXIT_FINE if right == len(rows) else EXIT_ERROR


def _short(text: str) -> str:
    return text if len(text) <= 90 else text[:89] + "…"
