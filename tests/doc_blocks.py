"""Code blocks of Markdown pages: found, run, compared with the text block that follows."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
ANY = "…"
"""Stands for any text in an expected output."""


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        line: Where it starts.
        language: Word after the fence.
        code: What is inside.
        reason: Why it is not run, or None.
        expected: Content of the text block that follows at once, or None.
    """

    line: int
    language: str
    code: str
    reason: str | None
    expected: str | None


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a page in order."""
    fences = list(_FENCE.finditer(text))
    for fence, following in zip(fences, [*fences[1:], None]):
        is_output = following and following["language"] == "text" and not text[fence.end() : following.start()].strip()
        line = text.count("\n", 0, fence.start()) + 1
        expected = following["code"] if following and is_output else None
        yield Block(line, fence["language"], fence["code"], fence["reason"], expected)


def run_python(block: Block, namespace: dict[str, object], page: Path) -> tuple[str, BaseException | None]:
    """Run *block*; return what it printed, with the error as Python shows it, and the error."""
    printed, error = io.StringIO(), None
    # Line numbers in a traceback are those of the page.
    code = compile("\n" * block.line + block.code, str(page), "exec")
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(code, namespace)
        except Exception as raised:  # noqa: BLE001 - examples show all kinds of errors
            error = raised
            printed.write("".join(traceback.format_exception_only(raised)))
    return printed.getvalue(), error


def run_shell(block: Block) -> str:
    """Run the commands of *block* that start with ``safeload`` in this process; return what they printed."""
    from safeload.cli import main

    printed = io.StringIO()
    for line in block.code.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "safeload", f"{line!r} has an output and is no command of safeload"
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            main(arguments)
    return printed.getvalue()


def agrees(expected: str, got: str) -> bool:
    """Tell whether *got* is *expected*, whatever the line breaks; ``…`` in *expected* stands for anything."""
    parts = [re.escape(" ".join(part.split())) for part in expected.split(ANY)]
    return re.fullmatch(r"\s*" + r".*?".join(rf"\s*{part}\s*" for part in parts), " ".join(got.split())) is not None
