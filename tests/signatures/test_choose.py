"""The ladder that chooses a callable."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safeload.errors import AmbiguousSignatureError, NoCallableError, SignatureNotFoundError
from safeload.formats import Format
from safeload.inspection import (
    CallStructure,
    KerasInfo,
    MetaGraphInfo,
    ModelInfo,
    ProducerInfo,
    SavedModelInfo,
    SignatureInfo,
    Slot,
    TensorInfo,
    TFLiteInfo,
)
from safeload.signatures import answering, candidates, choose, is_training_switch
from safeload.signatures._choose import traces_of

X = TensorInfo("x", "float32", (None, 4))
Y = TensorInfo("y", "float32", (None, 3))


def signature(key: str) -> SignatureInfo:
    return SignatureInfo(key, "signature", (X,), (Y,))


def function(key: str, training: object = "none", trace: int = 0) -> SignatureInfo:
    kwargs = () if training == "none" else (("training", training),)
    return SignatureInfo(
        key, "function", (X,), (Y,), structure=CallStructure((("x", Slot("x")),), kwargs, Slot("y"), trace)
    )


def graph(
    signatures: str = "", functions: str = "", tags: tuple[str, ...] = ("serve",), *, has_objects: bool = True
) -> MetaGraphInfo:
    return MetaGraphInfo(
        0,
        frozenset(tags),
        tuple(map(signature, signatures.split())),
        tuple(map(function, functions.split())),
        has_objects,
    )


def model(*graphs: MetaGraphInfo) -> ModelInfo:
    return ModelInfo(Format.SAVED_MODEL, "m", "", 0, ProducerInfo(), saved_model=SavedModelInfo(graphs))


KERAS = ModelInfo(
    Format.KERAS_HDF5,
    "m.h5",
    "",
    0,
    ProducerInfo(),
    keras=KerasInfo(None, SignatureInfo("model", "keras", (X,), (Y,)), None, (), (), (), ()),  # type: ignore[arg-type]
)


@pytest.mark.parametrize(
    ("found", "key"),
    [
        (graph("a serving_default default", "__call__"), "serving_default"),
        (graph("a default", "__call__"), "default"),
        (graph("predict_proba", "__call__ serve"), "predict_proba"),
        (graph("a b", "serve __call__"), "__call__"),
        (graph("a b", "serve encode"), "serve"),
        (graph("", "encode _private call_and_return_conditional_losses"), "encode"),
    ],
    ids=["serving-default", "default", "only-signature", "call", "serve", "only-function"],
)
def test_ladder(found: MetaGraphInfo, key: str) -> None:
    """What the saver declared wins over functions, and each rule only decides where it can."""
    choice = choose(model(found))
    assert (choice.signature_info.key, choice.meta_graph) == (key, found)
    assert choice.reason


@pytest.mark.parametrize(
    "found", [graph("a b"), graph("a b", "encode"), graph("", "encode decode")], ids=["signatures", "both", "functions"]
)
def test_several_without_default_are_ambiguous(found: MetaGraphInfo) -> None:
    """Every candidate is listed with its inputs and outputs, ready to paste."""
    with pytest.raises(AmbiguousSignatureError) as caught:
        choose(model(found))
    assert caught.value.candidates == tuple(map(str, candidates(found)))
    assert f"signature={candidates(found)[0].key!r}" in str(caught.value)


@pytest.mark.parametrize(("has_objects", "holds"), [(True, "an object"), (False, "a graph")])
def test_nothing_to_call(has_objects: bool, holds: str) -> None:
    """A model without signatures and functions says what it holds instead."""
    with pytest.raises(NoCallableError, match=holds):
        choose(model(graph(has_objects=has_objects)))


def test_graphs_without_signatures_are_exported() -> None:
    """Who has a graph of TensorFlow 1 has no object to save, but a session or an Estimator."""
    with pytest.raises(NoCallableError, match=r"simple_save.*estimator\.export_saved_model"):
        choose(model(graph(has_objects=False)))


def test_floats_are_proposed_first() -> None:
    """What gives floats is a prediction more often than what gives a flag or a count."""
    flag = SignatureInfo("a", "signature", (X,), (TensorInfo("a", "bool", ()), TensorInfo("b", None, None)))
    with pytest.raises(AmbiguousSignatureError, match="choose one: signature='b'"):
        choose(model(replace(graph("b c"), signatures=(flag, signature("b"), signature("c")))))


def test_what_takes_inputs_is_proposed_first() -> None:
    """A policy of TF-Agents also has signatures that tell its counters, and a counter one that adds to it."""
    found = replace(graph(), signatures=(SignatureInfo("a_step", "signature", (), (Y,)), signature("action")))
    with pytest.raises(AmbiguousSignatureError, match=r"default: action\(.*; a_step\(\)"):
        choose(model(found))


def test_too_many_ends() -> None:
    """A graph with too many possible outputs shows some, says how many there are, and asks for a node."""
    found = model(replace(graph(has_objects=False), ends=tuple(f"y{i}" for i in range(93))))
    with pytest.raises(AmbiguousSignatureError, match=r"y0; .*; y7; 85 more nodes that nothing uses\n.*signature='y0'"):
        choose(found)
    with pytest.raises(SignatureNotFoundError, match=r"available: y0; .*; 85 more nodes"):
        choose(found, signature="z")
    few = model(replace(graph(has_objects=False), ends=("y0", "y1")))
    with pytest.raises(AmbiguousSignatureError, match=r"default: y0; y1\n"):
        choose(few)


def test_one_name_is_listed_once() -> None:
    """A signature that is a function of this name as well is one candidate: asking for the name gives the signature."""
    with pytest.raises(SignatureNotFoundError) as caught:
        choose(model(graph("serve score", "serve")), signature="sorve")
    assert [text.partition("(")[0] for text in caught.value.available] == ["serve", "score"]


@pytest.mark.parametrize("key", ["b", "encode", "__call__"])
def test_requested(key: str) -> None:
    """``signature=`` names a SignatureDef or a function attribute."""
    assert choose(model(graph("a b", "encode __call__")), signature=key).signature_info.key == key


def test_constants_of_other_names_do_not_rank() -> None:
    """Only what turns training on decides between traces."""
    traces = [
        replace(function("f", trace=index), structure=CallStructure((("mode", value), ("x", Slot("x"))), trace=index))
        for index, value in enumerate((True, False))
    ]
    found = MetaGraphInfo(0, frozenset({"serve"}), functions=(*traces, replace(traces[0], structure=None)))
    assert [trace.structure for trace in answering(found, "f")] == [traces[0].structure, traces[1].structure, None]


def test_requested_and_absent() -> None:
    """The error lists what there is and the nearest name."""
    with pytest.raises(SignatureNotFoundError) as caught:
        choose(model(graph("serving_default")), signature="serving_defualt")
    assert str(caught.value) == (
        "there is no signature 'serving_defualt' in this model\n"
        "  hint: did you mean 'serving_default'? "
        "available: serving_default(x: float32 [None, 4]) -> (y: float32 [None, 3])\n"
        "  code: signature-not-found"
    )


@pytest.mark.parametrize(
    ("tags", "asked", "index"),
    [
        (["serve"], None, 0),
        (["serve,train", "serve"], None, 1),
        (["serve,gpu"], None, 0),
        (["serve,train", "serve,gpu"], None, 1),
        (["", "train"], None, 0),
        (["custom"], None, 0),
        (["train", "serve,gpu"], "train", 0),
        (["train", "serve,train"], None, 1),
        (["serve", "serve,gpu"], "serve,gpu", 1),
        (["serve", "serve,gpu"], ["gpu", "serve"], 1),
        (["s,e,r,v"], "serve", 0),
        (["s,e,r,v"], None, 0),
        (["", "serve"], "", 0),
    ],
)
def test_tags(tags: list[str], asked: str | list[str] | None, index: int) -> None:
    """The serving graph is the default; a tag string that was saved as single letters is found too."""
    graphs = [graph("a", tags=tuple(filter(None, text.split(",")))) for text in tags]
    assert choose(model(*graphs), tags=asked).meta_graph is graphs[index]


def test_absent_tags() -> None:
    """The error lists the tag sets."""
    with pytest.raises(
        SignatureNotFoundError, match="there is no tag set 'tpu' in this model\n.*available: gpu,serve; train"
    ):
        choose(model(graph("a", tags=("serve", "gpu")), graph("a", tags=("train",))), tags="tpu")


def test_only_training_graph() -> None:
    """A graph for training is never taken unless asked for."""
    with pytest.raises(SignatureNotFoundError, match="no tag set 'serve'"):
        choose(model(graph("a", tags=("train",))))


def test_ambiguous_tags() -> None:
    """Two graphs that could serve are not chosen between."""
    with pytest.raises(AmbiguousSignatureError, match="tags='gpu,serve'"):
        choose(model(graph("a", tags=("serve", "gpu")), graph("a", tags=("serve", "tpu"))))


@pytest.mark.parametrize("key", [None, "model", "serving_default", "__call__"])
def test_keras(key: str | None) -> None:
    """A Keras file has one callable, whatever it is called in other formats."""
    assert choose(KERAS, signature=key).signature_info.key == "model"


def test_keras_has_no_other_signature() -> None:
    """Another name or any tag is an error."""
    with pytest.raises(SignatureNotFoundError, match="no signature 'predict'"):
        choose(KERAS, signature="predict")
    with pytest.raises(SignatureNotFoundError, match="no tag set 'serve'"):
        choose(KERAS, tags="serve")


def test_tflite() -> None:
    """Signatures of TensorFlow Lite are chosen as those of a SavedModel; there are no tags."""
    signatures = (signature("other"), signature("serving_default"))
    info = ModelInfo(Format.TFLITE, "m", "", 0, ProducerInfo(), tflite=TFLiteInfo(signatures))
    assert choose(info).signature_info.key == "serving_default"
    assert choose(info, signature="other").signature_info.key == "other"
    with pytest.raises(SignatureNotFoundError, match="tag set"):
        choose(info, tags="serve")


def test_weights_alone() -> None:
    """Weights have the signature that the caller's architecture will tell."""
    bare = ModelInfo(Format.WEIGHTS_HDF5, "w.h5", "", 0, ProducerInfo())
    assert choose(bare).signature_info.inputs == ()


def test_inference_traces_come_first() -> None:
    """``training=False`` is preferred, then no word of it, then None; True comes last."""
    traces = [function("__call__", value, index) for index, value in enumerate((True, None, False, Slot("x")))]
    found = MetaGraphInfo(0, frozenset({"serve"}), functions=tuple(traces))
    assert [trace.structure.trace for trace in answering(found, "__call__")] == [2, 3, 1, 0]  # type: ignore[union-attr]
    assert traces_of(found, "other") == ()


def test_training_switch_may_be_left_out() -> None:
    """A boolean input that turns training on is False unless given."""
    switch = TensorInfo("is_training", "bool", ())
    found = MetaGraphInfo(0, frozenset({"serve"}), (SignatureInfo("s", inputs=(X, switch)),))
    assert is_training_switch(switch)
    assert is_training_switch(replace(switch, name="dropout/keras_learning_phase"))
    assert not is_training_switch(replace(switch, name="dropout/is_training"))
    assert not is_training_switch(X)
    assert not is_training_switch(replace(switch, dtype="float32"))
    assert is_training_switch(replace(switch, shape=(None, 1)))
    assert not is_training_switch(replace(switch, shape=(1 << 31, 4)))
    assert [info.optional for info in choose(model(found)).signature_info.inputs] == [False, True]


@pytest.mark.parametrize(
    ("found", "unread"),
    [
        (graph("", "debug"), "__call__"),
        (graph("a b", "debug"), "serve"),
        (graph("", ""), "encode"),
        (graph("", "debug"), "encode"),
    ],
    ids=["call", "serve", "only-function", "one-of-two"],
)
def test_what_cannot_be_read_is_not_replaced(found: MetaGraphInfo, unread: str) -> None:
    """Where the ladder arrives at a function that cannot be read, no other one answers."""
    found = replace(found, unread=frozenset({unread, "_private"}))
    for wanted in (None, unread):
        with pytest.raises(SignatureNotFoundError, match=f"can be read: '{unread}'") as caught:
            choose(model(found), signature=wanted)
        assert caught.value.available == tuple(map(str, candidates(found)))
    assert choose(model(replace(found, signatures=(signature("default"),)))).signature_info.key == "default"


def test_what_cannot_be_read_and_is_not_chosen() -> None:
    """The object's own function answers, whatever else there is."""
    found = replace(graph("", "__call__"), unread=frozenset({"encode"}))
    assert choose(model(found)).signature_info.key == "__call__"


def test_inputs_with_a_default_may_be_left_out() -> None:
    """What Python passes by itself is optional."""
    found = MetaGraphInfo(0, frozenset({"serve"}), (SignatureInfo("s", inputs=(X, Y), defaults=(("y", 2.0),)),))
    assert [info.optional for info in choose(model(found)).signature_info.inputs] == [False, True]


def test_functions_of_parts() -> None:
    """They go by their path, or by that of what is called; none is taken for the whole."""
    with pytest.raises(AmbiguousSignatureError, match=r"m has one candidate and no default: encoder\.__call__"):
        choose(model(graph("", "encoder.__call__ encoder._helper")))
    several = model(graph("", "encoder.__call__ decoder.__call__"))
    assert choose(several, signature="encoder").signature_info.key == "encoder.__call__"
    with pytest.raises(AmbiguousSignatureError, match=r"encoder\.__call__.*decoder\.__call__"):
        choose(several)
