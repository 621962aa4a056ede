"""README and documentation: every example runs, every reference page is complete, every link leads somewhere."""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import re
import runpy
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from doc_blocks import ANY, Block, agrees, blocks, run_python, run_shell

import safeload
from safeload import _report, errors, inspection
from safeload._explain import FAILURE_MODES
from safeload.policy import containers
from safeload.policy.graph import _verdicts
from safeload.policy.rule_book import RULE_BOOK

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
NOTEBOOK = DOCS / "tutorial" / "example.ipynb"
MODES = {mode.slug: mode for mode in FAILURE_MODES}
_DOCUMENTED_TENSORFLOW = "2.21"
"""The release whose outputs and errors the pages show; others word theirs otherwise."""

needs_documented_release = pytest.mark.skipif(
    not importlib.metadata.version("tensorflow").startswith(_DOCUMENTED_TENSORFLOW),
    reason=f"the pages show the outputs of TensorFlow {_DOCUMENTED_TENSORFLOW}",
)


def _id(page):
    return str(page.relative_to(ROOT))


def _headings(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def _codes_in(page):
    """Headings that are one literal: ``## `unsafe-model` ``."""
    return {heading.strip("`") for heading in _headings(page)[1:] if heading.startswith("`")}


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The directory of the files that the pages name."""
    pytest.importorskip("tf_keras", reason="two of the files are written by tf_keras")
    from doc_models import make_models

    home = tmp_path_factory.mktemp("documented")
    make_models(home)
    return home


@pytest.fixture
def workplace(models, tmp_path, monkeypatch, fresh_registry):
    """A fresh copy of the files as working directory, a registry of its own, Keras's automatic names from the start."""
    import keras
    from doc_models import forget_project

    keras.utils.clear_session()

    home = tmp_path / "work"
    shutil.copytree(models, home)
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    yield home
    forget_project()


def _check(block: Block, page: Path, namespace: dict[str, object]) -> BaseException | None:
    error = None
    if block.language == "python":
        got, error = run_python(block, namespace, page)
        if error is not None and block.expected is None:
            raise error
    elif block.expected is None:
        return None
    else:
        got = run_shell(block)
    assert block.expected is None or agrees(block.expected, got), f"{page}:{block.line}\n{got}"
    return error


@needs_documented_release
@pytest.mark.parametrize("page", [p for p in PAGES if re.search("```(python|sh)", p.read_text("utf-8"))], ids=_id)
def test_examples_run(page, workplace):
    """Every example of a page does what the page shows; the first error of a how-to page is the one of its title."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    first = None
    for block in blocks(page.read_text("utf-8")):
        if block.reason is None and block.language in {"python", "sh"}:
            error = _check(block, page, namespace)
            first = first or error
    mode = MODES.get(page.stem)
    if mode is not None and first is not None:
        assert mode.cause in safeload.explain(first)


@needs_documented_release
def test_notebook_runs(workplace):
    """The cells of the example notebook run in order; those tagged so raise what they show."""
    namespace: dict[str, object] = {}
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    for number, cell in enumerate(c for c in cells if c["cell_type"] == "code"):
        raises = "raises-exception" in cell["metadata"].get("tags", [])
        block = Block(number, "python", _shown_last("".join(cell["source"])), None, ANY if raises else None)
        assert (_check(block, NOTEBOOK, namespace) is not None) == raises
        assert namespace.pop("shown", "something")


def _shown_last(code):
    """Keep what a notebook would show of the last line of a cell in the variable ``shown``."""
    *_, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        return code
    start = sum(len(line) for line in code.splitlines(keepends=True)[: last.lineno - 1])
    show = "shown = value._repr_html_() if hasattr(value, '_repr_html_') else repr(value)"
    return f"{code[:start]}value = {code[start:]}\n{show}\n"


def test_examples_are_left_out_for_a_reason():
    """Python examples run, or an HTML comment says why not."""
    reasons = [b.reason for p in PAGES for b in blocks(p.read_text("utf-8")) if b.reason is not None]
    assert all(len(reason) > 10 for reason in reasons)


def test_every_error_has_its_section():
    """The errors page has one section per code, naming class and built-in bases, and no other."""
    page = DOCS / "reference" / "errors.md"
    leaves = {c for c in vars(errors).values() if isinstance(c, type) and errors.SafeloadError in c.__bases__}
    assert _codes_in(page) == {leaf.code for leaf in leaves}
    sections = re.split(r"^## ", page.read_text("utf-8"), flags=re.MULTILINE)
    for leaf in leaves:
        section = next(s for s in sections if s.startswith(f"`{leaf.code}`"))
        assert all(f"`{name}`" in section for name in [leaf.__name__, *(b.__name__ for b in leaf.__bases__[1:])])


def _rules():
    """Names of rules: what the modules of the policy give to findings, and the keys of their tables."""
    verdicts = [*_verdicts._VERDICTS.values(), _verdicts._UNKNOWN]
    found = set(containers._MEANINGS) | {verdict.rule for verdict in verdicts}
    for path in Path(safeload.policy.__file__).parent.rglob("*.py"):
        for call in (n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            first = call.args[:1] if name in {"Finding", "Verdict", "_unexamined", "_gadget"} else []
            given = [*first, *(k.value for k in call.keywords if k.arg == "rule")]
            found |= {v.value for v in given if isinstance(v, ast.Constant) and isinstance(v.value, str)}
    return found


def test_every_rule_is_in_the_book():
    """The book that the findings page is made of has every rule, and no other."""
    assert {name for rules in RULE_BOOK.values() for name in rules} == _rules()


@pytest.mark.parametrize("mode", FAILURE_MODES, ids=lambda m: m.slug)
def test_every_failure_mode_has_its_page(mode):
    """Each page is titled by a text that its pattern matches, says why, how with safeload and how without."""
    title, *headings = _headings(DOCS / "how-to" / "errors" / f"{mode.slug}.md")
    matching = next(m for m in FAILURE_MODES if re.search(m.pattern, title.replace("`", "")))
    assert matching is mode
    assert headings == ["Why", "With safeload", "Without safeload"]


def test_every_error_page_belongs_to_a_failure_mode():
    """No page below how-to/errors is left over."""
    assert {p.stem for p in (DOCS / "how-to" / "errors").glob("*.md")} == set(MODES)


def test_every_public_name_is_in_the_reference():
    """The API page documents each public name once."""
    text = (DOCS / "reference" / "api.md").read_text("utf-8")
    documented = re.findall(r"auto(?:function|class|exception)::? (?:safeload\.)?(\w+)", text)
    assert sorted(documented) == sorted(set(safeload.__all__) - {"errors"})


def test_generated_tables_are_current(monkeypatch):
    """Generated parts are what docs/make_formats.py makes of the cases, the kinds of files, and the rules."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script adds to it
    script = runpy.run_path(str(DOCS / "make_formats.py"))
    for page in script["PAGES"]:
        assert "<!-- generated: " in page.read_text("utf-8")
        assert script["filled_in"](page.read_text("utf-8")) == page.read_text("utf-8")


def test_every_command_and_option_is_documented():
    """The command line's page names each command and each option."""
    from safeload.cli import _parser

    text = (DOCS / "reference" / "cli.md").read_text("utf-8")
    commands = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    options = [o for c in commands.values() for a in c._actions for o in a.option_strings if o not in {"-h", "--help"}]
    assert [name for name in commands if f"## {name}" not in text] == []
    assert [option for option in options if f"`{option}" not in text] == []


def test_every_limit_is_documented():
    """A page names each field of Limits."""
    limits = (DOCS / "how-to" / "run-in-a-server.md").read_text("utf-8")
    assert [f for f in safeload.Limits.__dataclass_fields__ if f"`{f}`" not in limits] == []


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Producer", inspection.ProducerInfo),
        ("Weights", inspection.WeightsInfo),
        ("MetaGraph", inspection.MetaGraphInfo),
        ("Signature", inspection.SignatureInfo),
        ("Tensor", inspection.TensorInfo),
        ("Structure", inspection.CallStructure),
        ("Layer", inspection.LayerInfo),
        ("Object", inspection.ObjectInfo),
        ("Custom object", _report.CustomObject),
        ("Finding", safeload.Finding),
        ("Outcome", _report.Outcome),
        ("Requirement", _report.Requirement),
    ],
)
def test_the_schema_names_every_key_once(title, kind):
    """Each kind of object in a report has its table, which lists its keys and no other."""
    assert sorted(_schema_keys(title)) == sorted(f.name for f in fields(kind) if f.name not in _report.LEFT_OUT)


def test_the_schema_names_every_key_of_the_report(models):
    """So has the report itself, in the order of its keys, and names its version."""
    report = safeload.inspect_model(models / "model.keras").to_json()
    assert _schema_keys("The report") == list(report)
    assert f"version {report['schema']} of the schema" in (DOCS / "reference" / "report-schema.md").read_text("utf-8")


def _schema_keys(title):
    page = (DOCS / "reference" / "report-schema.md").read_text("utf-8")
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_links_lead_somewhere(page):
    """Links to files exist, and so do the headings that they name."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in {_slug(h) for h in _headings(file)}, target


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
