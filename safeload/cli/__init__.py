"""Look into model files without running them: ``show``, ``check`` and ``demo``. Layer: top."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from safeload import __version__
from safeload.cli._terminal import (
    OutputError,
    indented,
    painted,
    print_error,
    print_out,
    printable,
    progress,
    require_output,
)
from safeload.errors import ArtifactNotFoundError, SafeloadError, UnrecognizedFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from safeload._report import InspectionReport

# Exit codes as model scanners have them (modelscan, https://github.com/protectai/modelscan#exit-codes).
EXIT_FINE, EXIT_FINDINGS, EXIT_ERROR, EXIT_NOTHING = 0, 1, 2, 3
EXIT_INTERRUPTED = 130
"""What shells report for a process that Ctrl-C ended: 128 + SIGINT."""

_DESCRIPTION = "Look into TensorFlow and Keras model files without running them."

_EPILOG = """examples:
  safeload show model.h5                what is inside, and how it would load
  safeload show --format json export/   the same as data
  safeload check models/                a verdict for each model below a folder
  safeload demo                         models of every format, loaded and compared

exit codes: 0 fine, 1 findings, 2 error, 3 nothing recognised"""

_SHOW = """Print what a model file holds and how it would load, without running anything:
format and producer, findings and verdict, signatures, custom objects that it
needs, layers. PATH may be any file or directory; its content tells the format.

exit codes: 0 not refused, 1 refused, 2 error, 3 not recognised"""

_CHECK = """Print a verdict for each model file: fine, refused, error or unknown. Directories
are searched; one that is a model counts as one, and what is no model by its name
and content is skipped. Nothing is run.

exit codes: 0 all fine, 1 something is refused, 2 something is broken,
3 nothing was recognised"""

_DEMO = """Make a small model of every format with the installed TensorFlow and Keras, load
each with the standard loader and with safeload, and compare the outputs with
those of the maker. It takes about a minute and leaves no files.

exit codes: 0 all outputs equal, 2 an output differs"""


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="safeload", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"safeload {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="print what a model file holds", description=_SHOW, formatter_class=raw)
    show.add_argument("path", metavar="PATH", help="a model file or directory")
    show.add_argument("--all", action="store_true", dest="full", help="print long lists whole")
    check = commands.add_parser("check", help="print verdicts", description=_CHECK, formatter_class=raw)
    check.add_argument("paths", nargs="+", metavar="PATH", help="model files, or directories to search")
    for command in (show, check):
        command.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    commands.add_parser("demo", help="make models of every format, load each", description=_DEMO, formatter_class=raw)
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
        require_output()
        return _COMMANDS[options.command](options)
    except OutputError as error:
        print_error(f"safeload: {error}")
        return EXIT_ERROR
    except SafeloadError as error:
        print_error(str(error))
        return EXIT_NOTHING if isinstance(error, UnrecognizedFormatError) else EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _show(options: argparse.Namespace) -> int:
    from safeload._load import inspect_model

    _prepare()
    report = inspect_model(options.path)
    if options.format == "json":
        print_out(_json(report.to_json()))
    else:
        title, _, rest = report.to_text(full=options.full).partition("\n")
        path = title.removesuffix(report.verdict)
        print_out(f"{path}{painted(report.verdict, report.verdict)}\n{rest}")
    return EXIT_FINDINGS if report.is_refused else EXIT_FINE


def _check(options: argparse.Namespace) -> int:
    if "" in options.paths:  # an unset variable of a shell, which would mean the working directory
        raise ArtifactNotFoundError("", problem="is not a path")
    _prepare()
    verdicts = []
    rows = []
    for path, verdict in _verdicts(options.paths):
        verdicts.append(verdict)
        if options.format == "json":
            rows.append(_as_json(path, verdict))
        elif not isinstance(verdict, _Skipped):
            print_out("\n".join(_row(path, verdict)))
    if options.format == "json":
        print_out(_json(rows))
    elif skipped := sum(isinstance(verdict, _Skipped) for verdict in verdicts):
        print_out(f"skipped    {skipped} that are no models (--format json names them)")
    elif not verdicts:
        print_out("there are no files to check")
    return _exit_code(verdicts)


@dataclass(frozen=True)
class _Skipped:
    """A file below a directory that is neither a model nor dangerous to read, such as a README."""

    kind: str


_Verdict = Union["InspectionReport", SafeloadError, _Skipped]


def _verdicts(paths: Sequence[str]) -> Iterator[tuple[Path, _Verdict]]:
    """Yield each artifact with its verdict; a terminal sees which one is being looked at."""
    from pathlib import Path

    from safeload.cli._tree import find_artifacts

    for number, (path, is_given) in enumerate(find_artifacts(map(Path, paths)), start=1):
        with progress(f"{number}: {path}"):
            verdict = _verdict(path, is_given=is_given)
        yield path, verdict


def _verdict(path: Path, *, is_given: bool) -> _Verdict:
    from safeload._load import inspect_model

    try:
        return (None if is_given else _skipped(path)) or inspect_model(path)
    except SafeloadError as error:
        return error


def _skipped(path: Path) -> _Skipped | None:
    from safeload.formats import detect, open_source

    found = detect(open_source(path))
    found.source.close()
    return _Skipped(found.kind or "") if found.is_no_model else None


def _label(verdict: _Verdict) -> str:
    if isinstance(verdict, _Skipped):
        return "skipped"
    if isinstance(verdict, SafeloadError):
        return "unknown" if isinstance(verdict, UnrecognizedFormatError) else "error"
    return "refused" if verdict.is_refused else "fine"


def _row(path: Path, verdict: InspectionReport | SafeloadError) -> Iterator[str]:
    label = _label(verdict)
    code = None if isinstance(verdict, SafeloadError) else verdict.outcome.code
    note = f" (loading it: {code})" if code is not None else ""
    yield painted(f"{label:<10}", label) + printable(f" {path}{note}")
    if label == "error":
        yield from (_detail(line) for line in str(verdict).splitlines())
    elif not isinstance(verdict, SafeloadError) and verdict.is_refused:
        yield from (_detail(f"{f.rule}: {f.message} at {f.where}") for f in verdict.findings)


def _detail(line: str) -> str:
    text = printable(line.lstrip())
    return indented(text, " " * (4 + len(line) - len(line.lstrip())))


def _as_json(path: Path, verdict: _Verdict) -> dict[str, object]:
    if isinstance(verdict, _Skipped):
        return {"path": str(path), "verdict": "skipped", "kind": verdict.kind}
    if isinstance(verdict, SafeloadError):
        return {"path": str(path), "verdict": _label(verdict), "code": verdict.code, "message": verdict.message}
    return {"path": str(path), "verdict": _label(verdict), "report": verdict.to_json()}


def _exit_code(verdicts: Sequence[_Verdict]) -> int:
    labels = {_label(verdict) for verdict in verdicts}
    if "error" in labels:
        return EXIT_ERROR
    if "refused" in labels:
        return EXIT_FINDINGS
    return EXIT_FINE if "fine" in labels else EXIT_NOTHING


def _demonstrate(_: argparse.Namespace) -> int:
    from safeload.cli._demo import print_demo

    return EXIT_FINE if print_demo() else EXIT_ERROR


_COMMANDS = {"show": _show, "check": _check, "demo": _demonstrate}


def _prepare() -> None:
    """Keep numpy, which h5py imports, from starting threads that would have nothing to do."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _json(value: Any) -> str:
    import json

    return json.dumps(value, indent=1)
