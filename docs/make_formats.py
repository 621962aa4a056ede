"""Write the generated parts of ``README.md`` and of the reference: what is tested, told apart, and found.

    python docs/make_formats.py

The matrix comes from ``tests/cases.py``, whose cases the tests compare with recorded outputs; the kinds come from
``safeload/formats``; the findings from ``safeload/policy/rule_book.py``; the runtimes from ``support.json``, which
``make_support.py`` makes of measured runs.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = (ROOT / "README.md", REFERENCE / "formats.md", REFERENCE / "findings.md")
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cases import CASES, FORMATS, PRODUCERS  # noqa: E402

from safeload.formats import _foreign  # noqa: E402
from safeload.policy.rule_book import RULE_BOOK  # noqa: E402


def _matrix() -> Iterator[str]:
    yield "| format | " + " | ".join(PRODUCERS) + " |"
    yield "| --- " * (len(PRODUCERS) + 1) + "|"
    for name in FORMATS:
        cells = (", ".join(f for (n, p, f) in CASES if (n, p) == (name, producer)) for producer in PRODUCERS)
        yield f"| `{name}` | " + " | ".join(cells) + " |"


def _kinds() -> Iterator[str]:
    yield "| what it is | what to do |"
    yield "| --- | --- |"
    tables = [kind for _, _, kind in _foreign.MAGIC] + [kind for _, kind in _foreign.HDF5_MARKS]
    kinds = [value for value in vars(_foreign).values() if isinstance(value, _foreign.Kind)]
    for kind in sorted({*kinds, *tables}, key=lambda kind: kind.name):
        yield f"| {_cell(kind.name)} | {_cell(kind.remedy)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _support() -> Iterator[str]:
    support = json.loads((ROOT / "docs" / "support.json").read_text("utf-8"))
    columns = sorted(support, key=lambda name: ([int(number) for number in re.findall(r"\d+", name)], name))
    yield "| format | written by | " + " | ".join(columns) + " |"
    yield "| --- " * (len(columns) + 2) + "|"
    for row in sorted({row for column in support.values() for row in column}):
        name, producer = row.split(" | ")
        yield f"| `{name}` | {producer} | " + " | ".join(_measured(support[c].get(row, {})) for c in columns) + " |"


def _measured(outcomes: dict[str, int]) -> str:
    if not outcomes:
        return ""
    others = (f", {count} `{outcome}`" for outcome, count in sorted(outcomes.items()) if outcome != "correct")
    return f"{outcomes.get('correct', 0)}/{sum(outcomes.values())}{''.join(others)}"


def _rules() -> Iterator[str]:
    for about, rules in RULE_BOOK.items():
        yield f"## {about}"
        for name, rule in rules.items():
            severity = " or ".join(severity.name.lower() for severity in rule.severities).capitalize()
            yield f"\n### `{name}`\n"
            yield f"*{severity}{', can be permitted' if rule.is_permittable else ''}.* {rule.meaning}"
        yield ""


PARTS = {"matrix": _matrix, "support": _support, "kinds": _kinds, "rules": _rules}


def filled_in(page: str) -> str:
    """Return *page* with its generated parts made anew."""
    for name, make in PARTS.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        lines = "\n".join(make())
        page = re.sub(f"{start}.*?{end}", lambda _, t=f"{start}\n{lines}\n{end}": t, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    for path in PAGES:
        before = path.read_text("utf-8")
        after = filled_in(before)
        if after != before:
            path.write_text(after, "utf-8")
