"""How an artifact loads here, and the report that says so, without TensorFlow."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from flatbuffers_by_hand import model, serialize, table
from hostile.keras_configs import ATTACKS, entry, function, functional

from safeload import inspect_model, planning
from safeload.errors import (
    ArchitectureMissingError,
    CustomObjectConflictError,
    CustomObjectNotFoundError,
    IncompatibleVersionError,
    SignatureNotFoundError,
    UnsupportedFormatError,
)
from safeload.formats import Format
from safeload.inspection import (
    MetaGraphInfo,
    ModelInfo,
    ProducerInfo,
    SavedModelInfo,
    SignatureInfo,
    TensorInfo,
    inspect_artifact,
)
from safeload.planning import compose_report, plan_load
from safeload.policy import Finding, Severity, examine, judge
from safeload.readers import (
    TOP_LEVEL_WEIGHTS,
    DatasetInfo,
    KerasArtifact,
    LayerWeights,
    SavedModelArtifact,
    WeightIndex,
    WeightLayout,
)
from safeload.registry import Registry


def keras_artifact(config, **fields):
    return KerasArtifact(Format.KERAS_ARCHIVE, "m.keras", config, metadata={"keras_version": "3.15.1"}, **fields)


def judged_of(artifact, info=None):
    return judge(artifact, info or inspect_artifact(artifact), ())


def plan(config, registry=None, *, weights=WeightIndex(), graph_beside=None, **options):
    artifact = keras_artifact(config, weights=weights, graph_beside=graph_beside)
    return plan_load(judged_of(artifact), registry or Registry.of_call(), **options)


def a_class(package, name="Scale"):
    base = type("Layer", (), {"__module__": f"{package}.src.layers"})
    return type(name, (base,), {"__module__": "mine"})


SCALE = functional(entry("Scale", "s", module="mine", source="inp"))
SIGNATURE = SignatureInfo(
    "serving_default", inputs=(TensorInfo("x", "float32", (None, 2)),), outputs=(TensorInfo("y"),)
)


def saved_model():
    graph = MetaGraphInfo(
        0, frozenset({"serve"}), (SIGNATURE,), missing_ops=(("CaseFoldUTF8", "tensorflow-text"), ("New", None))
    )
    producer = ProducerInfo(tensorflow_version="2.15.0", backend="tensorflow", date_saved="2026-01-01")
    info = ModelInfo(Format.SAVED_MODEL, "m", "d" * 64, 10, producer, saved_model=SavedModelInfo((graph,)))
    return SavedModelArtifact(Format.SAVED_MODEL, "m", None, b"", None, {}), info


def test_keras_model_takes_the_keras_road():
    """A model of built-in layers is built by Keras 3 and called as a whole."""
    planned = plan(functional())
    assert (planned.road, planned.signature.key, planned.custom_objects, planned.meta_graph) == (
        "keras",
        "model",
        {},
        None,
    )


def test_custom_classes_decide_the_package():
    """Classes of tf_keras make the model one of tf_keras; those of Keras 3 one of Keras 3."""
    for package in ("keras", "tf_keras"):
        scale = a_class(package)
        planned = plan(SCALE, Registry.of_call({"Scale": scale}))
        assert (planned.road, planned.custom_objects) == (package, {"Scale": scale})


def test_classes_of_both_packages():
    """One model cannot have layers of two packages."""
    config = functional(entry("Scale", "s", module="mine"), entry("Other", "o", module="mine"))
    objects = {"Scale": a_class("keras"), "Other": a_class("tf_keras", "Other")}
    with pytest.raises(
        CustomObjectConflictError, match="'Other': is a class for tf_keras, while 'Scale' is one for Keras 3"
    ):
        plan(config, Registry.of_call(objects))


def test_an_architecture_needs_no_custom_objects():
    """The caller's function makes what the config names."""
    assert plan(SCALE, architecture=dict).custom_objects == {}


def test_missing_custom_objects():
    """Missing classes are an error before TensorFlow is imported."""
    with pytest.raises(CustomObjectNotFoundError, match="Scale"):
        plan(SCALE)


def test_classes_of_an_unknown_keras():
    """A class that Keras has and the tables do not is refused with its name, except where only training needs it."""
    with pytest.raises(IncompatibleVersionError, match="keras.layers.FromTheFuture"):
        plan(functional(entry("FromTheFuture", "x", source="inp")))
    assert (
        plan(functional(compile_config={"optimizer": entry("NewOptimizer", "x", module="keras.optimizers")})).road
        == "keras"
    )


def test_signature_of_a_keras_file():
    """A Keras file has no signatures beside the model."""
    with pytest.raises(SignatureNotFoundError, match="'serve'"):
        plan(functional(), signature="serve")


def test_saved_model_takes_its_own_road():
    """A SavedModel is called through its signature; no custom objects are needed."""
    planned = plan_load(judged_of(*saved_model()), Registry.of_call())
    assert (planned.road, planned.signature, planned.meta_graph.index) == ("saved-model", SIGNATURE, 0)


def _datasets(*paths):
    return tuple(DatasetInfo(path, (2,), "float32", 8) for path in paths)


SEVEN = [f"d{i}" for i in range(7)]
CHECKPOINT = WeightIndex(WeightLayout.CHECKPOINT, _datasets("w/.ATTRIBUTES/VARIABLE_VALUE", "w/.OPTIMIZER_SLOT/m"))


@pytest.mark.parametrize(
    ("weights", "holds"),
    [
        (
            WeightIndex(
                WeightLayout.LEGACY_HDF5, layers=tuple(LayerWeights(n, (), ()) for n in (*SEVEN, TOP_LEVEL_WEIGHTS))
            ),
            "the weights of 7 layers (d0, d1, d2, d3, d4, …)",
        ),
        (
            WeightIndex(WeightLayout.OBJECT_PATHS, _datasets("layers/d/vars/0", "layers/d/vars/1", "layers/e/vars/0")),
            "the weights of 2 layers (d, e)",
        ),
        (
            CHECKPOINT,
            "a checkpoint of 1 variable (w)",
        ),
        (
            WeightIndex(WeightLayout.CHECKPOINT, _datasets("optimizer/m/.ATTRIBUTES/VARIABLE_VALUE")),
            "a checkpoint of no variables",
        ),
    ],
    ids=["legacy", "paths", "checkpoint", "optimizer"],
)
def test_weights_alone(weights, holds):
    """Weights alone need an architecture; the error says what they are."""
    with pytest.raises(ArchitectureMissingError) as caught:
        plan(None, weights=weights)
    assert caught.value.holds == holds
    assert plan(None, weights=weights, architecture=dict).architecture is dict


@pytest.mark.parametrize(
    ("path", "is_theirs"),
    [
        ("bert/tf_bert_model/bert/embeddings/weight:0", True),
        ("transformer/tft5for_conditional_generation/shared/weight:0", True),
        ("dense/tf_part/kernel:0", False),
        ("dense/my_model/kernel:0", False),
    ],
)
def test_weights_of_transformers(path, is_theirs):
    """The error points to the library whose model the weights are of, by how its classes are called."""
    with pytest.raises(ArchitectureMissingError) as caught:
        plan(None, weights=WeightIndex(WeightLayout.LEGACY_HDF5, _datasets(path)))
    assert ("Hugging Face transformers" in caught.value.hint) == is_theirs


@pytest.mark.parametrize(
    ("graph", "holds", "hint"),
    [
        ("", "of a SavedModel whose saved_model.pb (or .pbtxt) is missing", "copy the whole directory again; or"),
        (
            "saved_model.pb",
            "of a SavedModel",
            "pass the directory that holds saved_model.pb to load the SavedModel; or",
        ),
    ],
    ids=["lost", "there"],
)
def test_variables_of_a_saved_model(graph, holds, hint):
    """The variables of a SavedModel alone say what they belong to, and load as weights all the same."""
    with pytest.raises(ArchitectureMissingError) as caught:
        plan(None, weights=CHECKPOINT, graph_beside=graph)
    assert caught.value.holds == f"a checkpoint of 1 variable (w) {holds}"
    assert caught.value.hint.startswith(f"{hint} pass architecture= ")
    assert plan(None, weights=CHECKPOINT, graph_beside=graph, architecture=dict).architecture is dict


def report_of(config, registry=None, **options):
    artifact = keras_artifact(config)
    info = inspect_artifact(artifact)
    return compose_report(artifact, info, examine(artifact, info), registry or Registry.of_call(), **options)


def test_report_of_a_keras_model():
    """The report holds facts and the way it would load, as text, JSON and HTML."""
    report = report_of(functional(), evidence="config.json in a zip")
    assert (report.verdict, report.is_refused, report.format) == ("fine", False, Format.KERAS_ARCHIVE)
    assert repr(report) == "<InspectionReport 'm.keras': keras-archive, fine>"
    assert "would load  through keras, calling model" in str(report)
    assert "keras-archive (config.json in a zip)" in str(report)
    assert "dense (Dense)" in str(report)
    assert "hint" not in str(report)
    assert report == report_of(functional(), evidence="config.json in a zip")
    assert json.loads(json.dumps(report.to_json()))["layers"][1]["class_name"] == "Dense"


def test_report_of_a_refused_model():
    """A refused model's report has the findings with what would permit them."""
    report = report_of(ATTACKS["lambda"][0])
    assert (report.verdict, report.is_refused) == ("refused", True)
    assert "dangerous: Python bytecode in 'l' would run" in str(report)
    assert "trusted=['lambda:l@sha256:" in str(report)
    assert report.to_json()["findings"][0]["severity"] == "dangerous"
    assert "permits it" not in str(report_of(ATTACKS["os_system"][0]))


def test_report_of_missing_code():
    """What is missing, and the error that loading would raise, are in the report and not raised."""
    config = functional(
        entry("Scale", "s", module="mine", source="inp"), compile_config={"loss": function(None, "my_loss")}
    )
    report = report_of(config)
    assert report.verdict == "custom-object-not-found"
    assert "layer Scale (was in mine): missing" in str(report)
    assert "function my_loss: only for training" in str(report)
    assert "would raise" in str(report)
    assert "layer Scale (was in mine): found" in str(report_of(config, Registry.of_call({"Scale": a_class("keras")})))
    conflict = report_of(config, Registry.of_call({"Scale": 3}))
    assert (conflict.verdict, conflict.custom_objects[0].is_available) == ("custom-object-conflict", False)


def test_report_of_a_text_that_may_mean_a_function():
    """It is in the report where somebody has such a function, and never missing."""
    scale = {"Scale": a_class("keras")}
    config = functional(entry("Scale", "s", module="mine", source="inp", activation="seven"))
    assert [found.name for found in report_of(config, Registry.of_call(scale)).custom_objects] == ["Scale"]
    given = report_of(config, Registry.of_call({**scale, "seven": abs}))
    assert [(found.name, found.is_available) for found in given.custom_objects] == [("Scale", True), ("seven", True)]
    assert given.verdict == "fine"


def test_report_of_a_saved_model():
    """Signatures, producer and ops of other packages of a SavedModel are in its report; warnings do not refuse it."""
    warning = Finding("r", Severity.WARNING, "w", "e", "m", "h")
    report = compose_report(*saved_model(), [warning], Registry.of_call())
    assert not report.is_refused
    assert (report.signatures, report.layers, report.custom_objects) == ((SIGNATURE,), (), ())
    assert "CaseFoldUTF8 (tensorflow-text)" in str(report)
    assert "New (unknown package)" in str(report)
    assert "TensorFlow 2.15.0, backend tensorflow, on 2026-01-01" in str(report)
    assert report.to_json()["missing_ops"] == [["CaseFoldUTF8", "tensorflow-text"], ["New", None]]
    json.dumps(report.to_json())


def test_report_names_the_error_of_what_is_missing_here(monkeypatch):
    """Ops that nothing registers here, and tf-keras that is not installed, are what loading would raise."""
    registered = SimpleNamespace(get=lambda op: op if op == "New" else None)
    monkeypatch.setitem(sys.modules, "tensorflow.python.framework.op_def_registry", registered)
    assert not planning._is_installed("tf.contrib")
    assert not planning._is_installed("nightly-package")
    monkeypatch.setitem(sys.modules, "nightly_package", ModuleType("nightly_package"))
    assert planning._is_installed("nightly-package")
    monkeypatch.setattr(planning, "_is_installed", lambda _: False)
    report = compose_report(*saved_model(), [], Registry.of_call())
    assert (report.verdict, report.outcome.signature) == ("op-not-registered", SIGNATURE)
    assert "CaseFoldUTF8\n  hint: pip install tensorflow-text" in report.outcome.error
    assert "  once met    through saved-model, calling serving_default" in str(report)
    monkeypatch.delitem(sys.modules, "tensorflow.python.framework.op_def_registry")
    assert "CaseFoldUTF8, New" in compose_report(*saved_model(), [], Registry.of_call()).outcome.error
    config = functional(entry("Scale", "s", module="mine", source="inp"))
    found = report_of(config, Registry.of_call({"Scale": a_class("tf_keras")}))
    assert (found.verdict, found.outcome.road) == ("missing-dependency", "tf_keras")
    monkeypatch.setattr(planning, "_is_installed", lambda _: True)
    assert report_of(config, Registry.of_call({"Scale": a_class("tf_keras")})).verdict == "fine"


def test_packages_that_ended_are_not_to_be_installed():
    """What no pip install gives is named without one."""
    ops = [("GatherTree", "tf.contrib"), ("CaseFoldUTF8", "tensorflow-text")]
    decided = SimpleNamespace(meta_graph=SimpleNamespace(missing_ops=ops), road="saved-model")
    assert {needed.package: needed.install for needed in planning._requirements(decided)} == {
        "tf.contrib": None, "tensorflow-text": "tensorflow-text",
    }  # fmt: skip


def test_report_of_weights_alone():
    """Weights alone have neither layers nor signatures, and need an architecture."""
    report = report_of(None)
    assert (report.verdict, report.signatures, report.layers, report.missing_ops) == (
        "architecture-missing",
        (),
        (),
        (),
    )
    assert report.to_json()["parameter_count"] is None
    assert report_of(None, plan=plan(None, architecture=dict)).verdict == "fine"


def test_report_of_nested_inputs():
    """The nesting of inputs is part of the JSON."""
    config = functional()
    config["config"]["input_layers"] = {"a": ["inp", 0, 0]}
    (signature,) = report_of(config).to_json()["signatures"]
    assert signature["structure"]["args"] == [["inputs", {"a": {"name": "inp"}}]]


@pytest.mark.parametrize(
    ("first", "shape", "is_refused"),
    [("keras.layers", None, True), ("keras.layers", [None, 3], False), ("mine", None, False)],
)
def test_weights_of_a_model_that_nothing_builds_are_refused(first, shape, is_refused):
    """TensorFlow 1.13 leaves the InputLayer of a Sequential model out; a custom first layer may know its input."""
    config = {"name": "s", "layers": [entry("Dense", "d", module=first, units=2)]}
    model = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    if shape is not None:
        model["build_config"] = {"input_shape": shape}
    kernel = DatasetInfo("layers/dense/vars/0", (3, 2), "float32", 24)
    artifact = keras_artifact(model, weights=WeightIndex(WeightLayout.OBJECT_PATHS, (kernel,)))
    registry = Registry.of_call(custom_objects={"Dense": a_class("keras", "Dense")})
    if is_refused:
        with pytest.raises(IncompatibleVersionError, match="does not record the shape of its input") as caught:
            plan_load(judged_of(artifact), registry)
        assert "architecture=" in caught.value.hint
    assert is_refused or plan_load(judged_of(artifact), registry)
    assert plan_load(judged_of(artifact), registry, architecture=object)


@pytest.mark.parametrize(("name", "is_refused"), [("Dense", True), ("Flatten", False)])
def test_a_model_that_was_never_built_is_refused(name, is_refused):
    """It would make up weights at each load; layers without any are as good as built."""
    config = {"name": "s", "layers": [entry(name, "d", units=2)]}
    artifact = keras_artifact({"module": "keras", "class_name": "Sequential", "config": config})
    if is_refused:
        with pytest.raises(UnsupportedFormatError, match="saved before it had weights"):
            plan_load(judged_of(artifact), Registry.of_call())
    else:
        assert plan_load(judged_of(artifact), Registry.of_call())


@pytest.mark.parametrize(
    ("name", "verdict"), [("Mfcc", "fine"), ("Mine", "op-not-registered"), ("FlexReadFile", "unsupported-format")]
)
def test_reports_of_tflite(name, verdict):
    """The report says whether the ops are there."""
    report = inspect_model(serialize(model(f1=[table(f0=("b", 32), f1=name)])))
    assert report.verdict == verdict
    assert [s.key for s in report.signatures] == ["main"]
    assert report.missing_ops == ((("Mine", None),) if name == "Mine" else ())


def test_report_of_an_architecture_alone():
    """An architecture without weights says what to pass."""
    report = inspect_model(b'{"class_name": "Sequential", "config": {"name": "m", "layers": []}}')
    assert report.verdict == "unsupported-format"
    assert "without weights" in report.outcome.error
