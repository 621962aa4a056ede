"""The report in its three forms: text of 80 columns, JSON of one schema, HTML without script."""

from __future__ import annotations

import json
import re
from collections import namedtuple
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hostile.keras_configs import ATTACKS, entry, function, functional

from safeload._report import InspectionReport, Outcome, Requirement
from safeload._report_html import callable_html
from safeload._report_text import printable, requirement_text, shortened, signature_text
from safeload.formats import Format
from safeload.inspection import (
    CallStructure,
    LayerInfo,
    MetaGraphInfo,
    ModelInfo,
    ProducerInfo,
    SavedModelInfo,
    SignatureInfo,
    Slot,
    TensorInfo,
    TypedConstant,
    WeightsInfo,
    inspect_artifact,
)
from safeload.planning import compose_report
from safeload.policy import Finding, Severity, examine
from safeload.readers import KerasArtifact
from safeload.registry import Registry

TRICKS = "<script>alert(1)</script>\x1b[31m\u202e&\n"
X = TensorInfo("x", "float32", (None, 4), tensor_name="x:0")
Y = TensorInfo("y", "float32", (None, 3))
PREDICT = SignatureInfo("serving_default", inputs=(X,), outputs=(Y,), method_name="tensorflow/serving/predict")
CLASSIFY = SignatureInfo("classify", inputs=(X,), outputs=(Y,), method_name="tensorflow/serving/classify")
Step = namedtuple("Step", ["kind", "pair"])  # noqa: PYI024 - as inspection makes them


def keras_report(config, **options):
    metadata = {"keras_version": "3.15.1", "date_saved": "2026-01-01"}
    artifact = KerasArtifact(Format.KERAS_ARCHIVE, "m.keras", config, metadata=metadata)
    info = inspect_artifact(artifact)
    return compose_report(artifact, info, examine(artifact, info), Registry.of_call(), **options)


def traced(key, *args, outputs=Slot("y"), **structure):
    return SignatureInfo(
        key, "function", inputs=(X,), outputs=(Y,), structure=CallStructure(args, outputs=outputs, **structure)
    )


def saved_model_report(*graphs, findings=(), requires=(), weights=None, **producer):
    info = ModelInfo(
        Format.SAVED_MODEL,
        "export",
        "d" * 64,
        1234,
        ProducerInfo(**producer),
        saved_model=SavedModelInfo(graphs),
        weights=weights,
    )
    outcome = Outcome("saved-model", PREDICT, "the saver declared it", meta_graph=0, requires=requires)
    return InspectionReport(info, "saved_model.pb", tuple(findings), (), outcome)


def graph(*signatures, index=0, tags=("serve",), functions=(), **facts):
    return MetaGraphInfo(index, frozenset(tags), signatures, functions, **facts)


class Tags(HTMLParser):
    """Collects the names of the elements and their attributes, and asserts that they are closed."""

    def __init__(self):
        super().__init__()
        self.seen, self.open, self.attributes = set(), [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags_of(html):
    parser = Tags()
    parser.feed(html)
    assert parser.open == []
    return parser


@pytest.fixture(params=["keras", "refused", "missing", "saved-model"])
def report(request):
    """Reports of every kind, with names that try to break out."""
    layer = entry("Dense", TRICKS, source="inp", units=1)
    return {
        "keras": lambda: keras_report(functional(functional(), layer), evidence=TRICKS, is_mislabelled=True),
        "refused": lambda: keras_report(ATTACKS["lambda"][0]),
        "missing": lambda: keras_report(
            functional(
                entry(f"Scale{TRICKS}", "s", module=TRICKS, source="inp"), compile_config={"loss": function(None, "f")}
            )
        ),
        "saved-model": lambda: saved_model_report(
            graph(PREDICT, CLASSIFY, functions=(traced(TRICKS, ("x", Slot("x"))),), missing_ops=((TRICKS, None),)),
            graph(PREDICT, index=1, tags=()),
            findings=[Finding("rule", Severity.DANGEROUS, TRICKS, TRICKS, TRICKS, TRICKS, TRICKS)],
            requires=(Requirement("p", "p", ("Op",)),),
            weights=WeightsInfo(2, 10, 40, 8),
            backend=TRICKS,
        ),
    }[request.param]()


def test_text_is_80_columns_and_printable(report):
    """No line is longer, whole or cut, and nothing in it is obeyed by a terminal."""
    for text in (str(report), report.to_text(full=True)):
        assert max(map(len, text.splitlines())) <= 80
        assert text.replace("\n", "").isprintable()
        assert len(text.splitlines()) <= 60


def test_html_is_escaped_and_closed(report):
    """Only elements that the page is made of; no script, no handler, no address."""
    found = tags_of(report._repr_html_())
    allowed = {
        "style",
        "div",
        "header",
        "span",
        "h4",
        "table",
        "tr",
        "th",
        "td",
        "code",
        "pre",
        "br",
        "details",
        "summary",
    }
    assert found.seen <= allowed
    assert found.attributes <= {"class", "open"}
    assert "\x1b" not in report._repr_html_()


def test_html_brings_its_own_colours():
    """A notebook's theme may differ from that of the system: no colour of text depends on either."""
    style = keras_report(functional())._repr_html_().partition("</style>")[0]
    assert "prefers-color-scheme" not in style
    coloured = [rule for rule in re.findall(r"{[^}]*}", style) if " color: #" in rule]
    assert coloured
    assert all("background: #" in rule for rule in coloured)


def test_a_callable_shows_the_report_of_its_file(report):
    """The signature stands open, what is known of the file is folded; escaped as the report is."""
    signature = SignatureInfo("<key>", (), (TensorInfo("<y>", "float32", (None,)),), "")
    shown = callable_html("<key>", TRICKS, signature, report)
    assert tags_of(shown).seen <= tags_of(report._repr_html_()).seen | {"details", "summary"}
    assert "&lt;y&gt;" in shown
    assert shown.index("<summary>about the file</summary>") < shown.index(report._repr_html_().partition("<header>")[2])


def test_json_is_pure_and_stable(report):
    """Plain values alone, the same each time, in the form that the version names."""
    data = report.to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data == report.to_json()
    assert data["schema"] == 1
    assert list(data) == [
        "schema", "path", "format", "evidence", "is_mislabelled", "size", "digest", "producer", "weights",
        "parameter_count", "meta_graphs", "signatures", "layers", "training_only", "custom_objects", "missing_ops",
        "findings", "unexamined", "outcome", "verdict",
    ]  # fmt: skip


def test_long_models_are_cut():
    """A model of thousands of layers prints few lines, and all of them on request; nested ones are indented."""
    found = keras_report(functional(functional()))
    assert "      inp (InputLayer)" in str(found)
    root = LayerInfo("m", "Functional", "$", layers=tuple(LayerInfo(f"d{i}", "Dense", "$") for i in range(3000)))
    found = replace(found, info=replace(found.info, keras=replace(found.info.keras, root=root)))
    assert len(str(found).splitlines()) <= 60
    assert re.search(r"… and 2,982 more \(safeload show --all\)", str(found))
    assert "d2999 (Dense)" in found.to_text(full=True)
    assert "… and 1,000 more" in found._repr_html_()


def test_findings_stand_before_what_is_inside():
    """Of a refused model the reasons come first, with what would permit them in one piece."""
    text = str(keras_report(ATTACKS["lambda"][0]))
    assert text.index("  if trusted") < text.index("  call ") < text.index("  findings") < text.index("  layers")
    assert re.search(r"trusted=\['lambda:\S+'\]\s+permits it", text)


def test_findings_that_refuse_nothing_stand_last():
    """Warnings come after the signatures, and long lists of them are cut."""
    warning = Finding("rule", Severity.WARNING, "place", "seen", "message", "do this")
    text = str(saved_model_report(graph(PREDICT, CLASSIFY), findings=[warning] * 9))
    assert text.index("  call ") < text.index("  other signatures") < text.index("  findings")
    assert "warning: message at place [rule]\n      evidence: seen\n      hint: do this" in text
    assert "… and 5 more" in text


def test_what_could_not_be_examined():
    """Findings of that severity are listed by place."""
    unknown = Finding("rule", Severity.UNEXAMINED, "place", "seen", "message", "do this")
    found = saved_model_report(graph(PREDICT), findings=[unknown])
    assert found.unexamined == (unknown,)
    assert found.to_json()["unexamined"] == ["place"]
    assert found.verdict == "refused"


def test_several_meta_graphs():
    """Each has its tags and signatures; the chosen signature stands above them, other methods are named."""
    graphs = graph(CLASSIFY, PREDICT), graph(CLASSIFY, PREDICT, index=1, tags=("serve", "gpu"))
    found = saved_model_report(*graphs)
    text = str(found)
    top, first, second = text.split("signatures, MetaGraph tagged ")
    assert "  call        serving_default(x: float32 [None, 4])" in top
    assert top.endswith("  other ")
    assert first.startswith("serve\n    classify(x: float32 [None, 4])")
    assert "(method classify)" in first
    assert "serving_default" not in first
    assert second.startswith("gpu, serve\n    classify(")
    assert "serving_default(" in second
    assert found._repr_html_().count("serving_default(") == 1


def test_records_that_an_input_takes():
    """Of an input that takes serialized records it says what must be in them."""
    features = (TensorInfo("age", "int64", (1,)), TensorInfo("name", "string", (None,)))
    parse = SignatureInfo("parse", inputs=(TensorInfo("inputs", "string", (None,), features=features),), outputs=(Y,))
    found = saved_model_report(graph(parse))
    found = replace(found, outcome=replace(found.outcome, signature=parse))
    assert "  records     inputs takes serialized tf.Example records of age: int64 [1],\n" in str(found)
    assert "inputs takes serialized tf.Example records of age: int64 [1]" in found._repr_html_()


def test_a_model_that_records_no_inputs():
    """Of a model whose code is elsewhere nothing is said about its inputs."""
    assert signature_text(SignatureInfo("model", "keras")) == "model: its inputs and outputs are not recorded"


def test_long_texts_are_cut_between_words():
    """A text of several words ends with a whole one; only a word that is too long itself is cut."""
    assert shortened("one two three four", 12) == "one two …"
    assert shortened("to antidisestablishmentarianism", 12) == "to antidises…"
    assert shortened("one two three four", None) == "one two three four"


def test_functions_show_their_arguments_as_they_nest():
    """Arguments in Python order, containers, constants, keyword-only parameters, traces of one form counted."""
    call = traced(
        "f",
        ("s", Step(Slot("x"), (1, [Slot("gone")]))),
        ("training", False),
        outputs={"y": Slot("y")},
        kwargs=(("k", None),),
    )
    text = signature_text(call).replace("\u00a0", " ")
    assert (
        text == "f(s: Step(kind=float32 [None, 4], pair=(1, [tensor])), training=False, *, k=None)"
        " -> {'y': float32 [None, 3]}"
    )
    assert "f(x: float32 [None, 4]) -> float32 [None, 3]  (2 traces)" in str(
        saved_model_report(graph(PREDICT, functions=(traced("f", ("x", Slot("x"))),) * 2))
    )


def test_constants_that_json_lacks():
    """Infinities of traced constants are written as text, and so are dtypes and arrays."""
    dtype, array = TypedConstant("dtype", "int8"), TypedConstant("array", b"\0" * 99)
    found = saved_model_report(graph(functions=(traced("f", ("x", float("inf")), ("k", dtype), ("a", array)),)))
    args = found.to_json()["signatures"][0]["structure"]["args"]
    assert args == [["x", "inf"], ["k", "tf.int8"], ["a", "<array>"]]


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (
            Requirement("tensorflow-text", "tensorflow-text", ("CaseFoldUTF8",)),
            "tensorflow-text, imported before loading: it registers CaseFoldUTF8 "
            "(missing: pip install tensorflow-text)",
        ),
        (Requirement("tf-keras", "safeload[keras2]", is_installed=True), "tf-keras (installed)"),
        (
            Requirement(None, None, ("New",)),
            "a package that registers its ops, or a newer TensorFlow, imported before loading: it registers New",
        ),
    ],
)
def test_requirements(needed, text):
    """What is needed, for what, and whether it is here."""
    assert requirement_text(needed) == text


def test_facts_are_in_the_text():
    """Weights without the optimizer, what only training needs, the wrong suffix, who wrote it."""
    text = str(saved_model_report(graph(PREDICT), weights=WeightsInfo(2, 10, 40, 8), tensorflow_version="2.15.0"))
    assert "weights     10 elements in 2 arrays, 40 bytes; optimizer state 8 bytes" in text
    assert "written by  TensorFlow 2.15.0" in text
    assert "weights     none" in str(saved_model_report(graph(PREDICT), weights=WeightsInfo(0, 0, 0)))
    optimizer = {"module": "keras.optimizers", "class_name": "Adam", "config": {}, "registered_name": None}
    text = str(keras_report(functional(compile_config={"optimizer": optimizer}), is_mislabelled=True))
    assert "training    optimizer Adam: not needed to call it" in text
    assert "though its name ends in .keras" in text


def test_bookkeeping_of_keras_is_counted():
    """What Keras 2 attaches to its models is shown on request, or where there is nothing else."""
    kept = [traced(f"call_and_return_{what}", ("x", Slot("x"))) for what in "ab"]
    found = saved_model_report(graph(PREDICT, functions=(*kept, traced("__call__", ("x", Slot("x"))))))
    assert "__call__(" in str(found)
    assert "call_and_return_a" not in str(found)
    assert "… and 2 more" in str(found)
    assert "call_and_return_a" in found.to_text(full=True)
    assert "call_and_return_a" in str(saved_model_report(graph(PREDICT, functions=tuple(kept))))


def test_printable():
    """Escapes what a terminal would obey or hide, and nothing else."""
    assert printable("é漢 \x1b\u202e\ud800\u200b") == "é漢 \\x1b\\u202e\\ud800\\u200b"


def test_finding_that_cannot_be_permitted_offers_no_identifier():
    """The HTML names what to trust only where something can be trusted."""
    finding = Finding("two-graphs", Severity.UNEXAMINED, "b.pb", "", "is a second graph", "copy it again")
    assert "trusted=" not in saved_model_report(graph(PREDICT), findings=[finding])._repr_html_()
