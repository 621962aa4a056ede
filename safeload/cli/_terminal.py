"""What is printed, and where: width, colour and progress on a terminal, plain lines elsewhere. Layer: top."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_GREEN, _YELLOW, _RED = "32", "33", "31"
_COLOURS = {"fine": _GREEN, "refused": _RED, "error": _RED}
"""SGR parameters for verdicts; all others are warnings. Source: ECMA-48, 8.3.117."""
_NARROWEST = 40


def printable(text: str) -> str:
    """Return *text* with everything escaped that a terminal would obey or not show."""
    from safeload._report_text import printable as escaped

    return escaped(text)


def painted(word: str, verdict: str) -> str:
    """Return *word* in the colour of a verdict, on a terminal that shows colours."""
    if not _is_screen(sys.stdout) or os.environ.get("NO_COLOR"):  # https://no-color.org
        return word
    return f"\x1b[1;{_COLOURS.get(verdict, _YELLOW)}m{word}\x1b[0m"


def indented(text: str, indent: str) -> str:
    """Return a line of *text* behind *indent*, broken to the width of a terminal; in one piece for a file or a pipe."""
    if not sys.stdout.isatty():
        return indent + text
    from safeload._report_text import wrapped

    width = max(shutil.get_terminal_size().columns, _NARROWEST)
    return "\n".join(wrapped(text, indent, indent + "  ", width=width))


class OutputError(Exception):
    """What was to be printed is lost."""


def require_output() -> None:
    """Check that there is a standard output.

    Raises:
        OutputError: It was closed before the process began, as ``>&-`` does.
    """
    if sys.stdout is None:
        raise OutputError("there is no standard output")


def print_out(text: str) -> None:
    """Print *text*; who no longer reads, or cannot show a character, does not change the verdict.

    Raises:
        OutputError: It cannot be written, to a full disk, say.
    """
    try:
        print(_shown(text, sys.stdout), flush=True)
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        _drop_output()
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def _drop_output() -> None:
    # The interpreter flushes again when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(text: str) -> None:
    """Print the lines of *text* to standard error, if there is one, with what would steer a terminal escaped."""
    for line in text.splitlines() if sys.stderr is not None else ():
        print(_shown(printable(line), sys.stderr), file=sys.stderr)


@contextlib.contextmanager
def progress(text: str) -> Iterator[None]:
    """Show *text* on a terminal for as long as the block takes."""
    is_shown = _is_screen(sys.stderr)
    room = shutil.get_terminal_size().columns - 1
    if is_shown:
        print(f"\r{_shown(printable(text)[:room], sys.stderr)}", end="", file=sys.stderr, flush=True)
    yield
    if is_shown:
        print(f"\r{'':{room}}\r", end="", file=sys.stderr, flush=True)


def _is_screen(stream: TextIO | None) -> bool:
    """Tell whether *stream* is a terminal that obeys escape sequences and carriage returns."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def _shown(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
