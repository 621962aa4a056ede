"""What memory a graph provably needs, beyond the cases of `hostile.graphs`."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hostile.loops import doubled, frame, framed, grown, tower
from hostile.nodes import (
    BOOL,
    FLOAT,
    INT32,
    INT64,
    RESOURCE,
    STRING,
    Dims,
    Func,
    Ints,
    Of,
    Type,
    at,
    bodies,
    call,
    findings,
    function,
    functions_of,
    ints,
    model,
    node,
    nodes_of,
    of,
    packed,
    rules,
    simple,
    tensor,
    text,
)

from safeload.policy import Severity
from safeload.policy.graph import subjects
from safeload.policy.graph._constants import _constancy, _counted, _facts, _sites, _texts
from safeload.policy.graph._constants._sites import MAX_CONTEXT
from safeload.policy.graph._costs import _encoded, _findings, _growth


def _rules(made: Any) -> set[str]:
    return rules(simple(*nodes_of(made)))


M = 1 << 20

COMPUTED = {
    "product": of("Mul", M, M),
    "power": of("Pow", 2, 40),
    "shift": of("LeftShift", 1, 40),
    "join": of("ConcatV2", M, M, 0),
    "prod": of("Prod", (M, M), (M, M)),
    "negated": of("Neg", -(1 << 40)),
    "splat": tensor(INT32, (2,), int_val=[M]),
    "bytes": tensor(INT32, (2,), tensor_content=b"\0\0\x10\0" * 2),
    "at least": of("Maximum", "x", 1 << 40),
    "one of two": of("SelectV2", "x", 1 << 40, "x"),
    "beside nothing": of("AddV2", of("Mul", "x", 0), 1 << 40),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_assembled_shape_is_evaluated(name: str) -> None:
    """Shapes that are computed from constants count as constants, whatever operands that decide nothing are."""
    assert "allocation" in _rules(of("Fill", COMPUTED[name], "x", T=Type(INT32)))


OBSCURE = {
    "wrong bytes": tensor(INT32, (2,), tensor_content=b"123"),
    "infinite": tensor(FLOAT, (), float_val=[float("inf")]),
    "no value": of("Const"),
    "strings": tensor(STRING, (), string_val=[b"1"]),
    "unequal": of("Mul", (1, 2), (1, 2, 3)),
    "one operand": of("Mul", 1),
    "huge power": of("Pow", 2, 1 << 40),
    "huge product": of("Mul", of("Pow", 2, 511), of("Pow", 2, 511)),
    "negative shift": of("LeftShift", 1, -1),
    "cycle": of("Identity", "n0"),
    "many": of("Pack", range(1000), range(1000)),
    "handle": tensor(RESOURCE, ()),
    "beside data": of("ConcatV2", of("Shape", "x"), of("StringToNumber", "t"), 0),
}


@pytest.mark.parametrize("name", OBSCURE)
def test_sizes_that_are_not_understood(name: str) -> None:
    """What follows from constants in a way that nobody knows is refused."""
    found = findings(simple(text("t", "1e12"), *nodes_of(of("Fill", OBSCURE[name], "x"))))
    assert ("allocation", Severity.UNEXAMINED) in {(f.rule, f.severity) for f in found}


UNKNOWN = {
    "zero": tensor(INT32, (2,)),
    "missing": "missing",
    "by data": of("Shape", "x"),
    "at least data": of("Maximum", "x", "x"),
    "times data": of("Mul", "x", 1 << 40),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_evaluated_is_no_allocation(name: str) -> None:
    """Shapes that depend on data, or that make no sense, are left to TensorFlow."""
    assert "allocation" not in _rules(of("Fill", UNKNOWN[name], "x"))


def test_many_indices() -> None:
    """What many small indices make is small; of many other values nothing is known."""
    assert not _rules(of("SegmentSum", "x", at((2000,), *range(2000))))
    assert "allocation" in _rules(of("SegmentSum", "x", tensor(FLOAT, (2000,), float_val=[1.0])))


def test_fill_of_nothing() -> None:
    """A node without operands is TensorFlow's."""
    assert not _rules(of("Fill"))


BOMBS = {
    "tiled again": of("Tile", of("Identity", of("Tile", "x", M)), M),
    "product of sizes": of("Empty", (M, M)),
    "tiled constant": of("Tile", tensor(INT32, (M,), int_val=[0]), M),
    "padded": of("Pad", "x", at((2, 2), 0, M, M, 0)),
    "one hot": of("OneHot", "x", at((), 1 << 40)),
    "item that is not there": of("TensorListGetItem", of("TensorListReserve", 1 << 40, 1), 0),
    "index": of("DynamicStitch", 0, 1 << 40, "x", "x"),
    "one of many indices": of("SegmentSum", "x", of("Identity", at((2000,), *range(1999), 1 << 40))),
    "one of many bytes": of(
        "SegmentSum",
        "x",
        tensor(INT32, (2000,), tensor_content=b"\0\0\0\0" * 1999 + b"\0\0\0\x7f"),
        T=Type(INT32),
    ),
    "range of floats": of("Range", *(tensor(FLOAT, (), float_val=[number]) for number in (0.0, 1e12, 1.0))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused(name: str) -> None:
    """What multiplies, pads or counts far enough needs more memory than any host should give."""
    assert "allocation" in _rules(BOMBS[name])


def test_long_chain_of_sizes_is_given_up() -> None:
    """Sizes are followed through a bounded number of nodes, cycles included."""
    nodes = [node(f"i{i}", "Identity", f"i{i + 1}:output:0") for i in range(100)]
    nodes += [ints("m", 2), node("t", "Tile", "i0:output:0", "m:output:0"), node("u", "Tile", "u", "m:output:0")]
    nodes += [node("s", "Shape", "x"), node("v", "Tile", "s:output:0", "m:output:0")]
    assert not rules(simple(*nodes, node("k", "Identity"), node("l", "Tile", "k", "m:output:0")))


def test_shape_passed_as_argument_is_evaluated() -> None:
    """The shape may come from a call of the function, whoever else calls it."""
    fill = function("fill", ["d"], [], node("f", "Fill", "d", "d"))
    for operands in (["d:output:0"], ["d:output:0", "x"], ["x", "d:output:0"]):
        calls = [call(f"c{i}", "fill", operand) for i, operand in enumerate(operands)]
        assert rules(simple(ints("d", 1 << 40), *calls, functions=[fill]))
    assert not rules(simple(call("c", "fill", "x"), call("d", "fill", "x"), functions=[fill]))


def test_masks_count_as_bytes() -> None:
    """A causal mask for 32,768 positions is compared from a column and a row: one byte each."""
    operands = [ints("c", 0, shape=(1 << 15, 1)), ints("r", 0, shape=(1, 1 << 15))]
    assert not rules(simple(*operands, node("n", "GreaterEqual", "c", "r")))


COMPRESSED = {
    "zlib": [zlib.compress(bytes(1 << 21))],
    "gzip": [gzip.compress(bytes(1 << 21))],
    "many": [zlib.compress(bytes(1 << 19))] * 3,
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_constants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a graph decompresses of its own constants is counted before it does."""
    monkeypatch.setattr(_findings, "_DECODED_BUDGET", 1 << 20)
    decoder = node("n", "DecodeCompressed", "i:output:0")
    assert "allocation" in rules(simple(decoder, node("i", "Identity", "t:output:0"), packed("t", *COMPRESSED[name])))


def test_decoders_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many decoders of one constant take what one decoder of many would."""
    monkeypatch.setattr(_findings, "_DECODED_BUDGET", 1 << 20)
    one = packed("t", zlib.compress(bytes(600_000)))
    assert not rules(simple(one, node("n", "DecodeCompressed", "t")))
    assert "allocation" in rules(simple(one, *(node(f"n{i}", "DecodeCompressed", "t") for i in range(2))))


def test_constants_that_are_compressed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder of what a decoder makes is followed."""
    monkeypatch.setattr(_findings, "_DECODED_BUDGET", 1 << 20)
    monkeypatch.setattr(_encoded, "_CHUNK", 1 << 12)
    monkeypatch.setattr(_encoded, "_KEPT", 1 << 14)
    inner = node("m", "DecodeCompressed", "t")
    outer = node("n", "DecodeCompressed", "m")
    assert "allocation" in rules(simple(outer, inner, packed("t", zlib.compress(zlib.compress(bytes(1 << 23))))))


HARMLESS = {
    "no input": [node("n", "DecodeCompressed")],
    "data": [node("n", "DecodeCompressed", "x")],
    "computed": [node("n", "DecodeCompressed", "j"), node("j", "StringJoin", "x")],
    "circle": [node("n", "DecodeCompressed", "i"), node("i", "Identity", "i")],
    "not compressed": [node("n", "DecodeCompressed", "t"), text("t", "plain")],
    "without a value": [node("n", "ParseTensor", "t"), node("t", "Const")],
    "no tensor": [node("n", "ParseTensor", "t"), text("t", "\xff")],
    "small tensor": [node("n", "ParseTensor", "t"), packed("t", tensor(STRING, (2,)).SerializeToString())],
    "spectrum without a window": [node("n", "AudioSpectrogram", "x")],
    "padded batches": [
        *[ints("two", 2, shape=()), ints("shape", -1, 4), text("pad", "none")],
        node("n", "PaddedBatchDatasetV2", "x", "two:output:0", "shape:output:0", "pad:output:0", "two", N=1),
    ],
    "padding of one": [node("n", "Conv2D", "x", explicit_paddings=Ints((0, 0, 1, 1, 1, 1, 0, 0)))],
}


@pytest.mark.parametrize("types", [[], [RESOURCE, INT64], [RESOURCE, INT64, FLOAT], [INT64], [RESOURCE, RESOURCE]])
@pytest.mark.parametrize("op", ["StatefulPartitionedCall", "If"])
def test_what_calls_pass_beside_handles(op: str, types: list[int]) -> None:
    """A shared function is followed with what each call gives it; handles among that are left out."""
    fill = function(
        "fill", ["handle", "size"], ["n:output:0"], node("n", "Fill", "size", "one"), ints("one", 1, shape=())
    )
    branches = {"f": Func("fill")} if op != "If" else {"then_branch": Func("fill"), "else_branch": Func("fill")}
    operands = ["x"] * (op == "If") + ["x", "size:output:0"]
    calls = [node(f"call{index}", op, *operands, **branches) for index in range(2)]
    for made in calls:
        made.attr["Tin"].list.type.extend(types)
    found = rules(simple(ints("size", 1 << 40), *calls, functions=[fill]))
    assert found == (set() if types == [RESOURCE, RESOURCE] else {"allocation"})


def test_what_calls_say_that_they_pass() -> None:
    """An attribute of that name of a function is its own, and says nothing about its inputs."""
    fill = function("fill", ["size"], ["n:output:0"], node("n", "Fill", "size", "one"), ints("one", 1, shape=()))
    fill.signature.attr.add(name="Tin", type="list(type)")
    calls = [node(f"call{index}", "fill", "size:output:0") for index in range(2)]
    for made in calls:
        made.attr["Tin"].list.type.append(RESOURCE)
    assert rules(simple(ints("size", 1 << 40), *calls, functions=[fill])) == {"allocation"}


def test_widest_piece_of_many() -> None:
    """The largest of many widths counts, wherever it stands."""
    widths = node("n", "StringNGrams", "x", "x", ngram_widths=Ints((1,) * 300 + (1 << 20,)))
    assert rules(simple(widths)) == {"allocation"}


MANY = (1 << 62,) * 100_000
OF_NO_TENSOR = {
    "value": [node("n", "Const", value=tensor(INT32, MANY))],
    "size": [node("c", "Const", value=tensor(INT32, MANY)), node("n", "Fill", "c:output:0", "x")],
    "attribute": [node("n", "FakeParam", shape=Dims(MANY))],
    "patches": [node("n", "ExtractImagePatches", "x", ksizes=Ints(MANY), padding=b"SAME")],
    "paddings": [node("n", "Conv2D", "x", "x", explicit_paddings=Ints(MANY))],
    "strides": [ints("i", 1, shape=(1,) * 200), node("n", "Conv2D", "i:output:0", "i:output:0", strides=Ints(MANY))],
    "batches": [node("n", "PaddedBatchDataset", "x", "x", "x", N=1 << 62)],
}


@pytest.mark.parametrize("name", OF_NO_TENSOR)
def test_numbers_of_no_tensor(name: str) -> None:
    """What declares more dimensions than tensors have is looked at in no time, whatever their product."""
    assert rules(simple(*OF_NO_TENSOR[name])) <= {
        "allocation",
        "constant-shape",
        "impossible-window",
        "uninitialised-memory",
    }


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_constants(name: str) -> None:
    """What cannot be decoded fails in TensorFlow, and what depends on data is not known."""
    assert not rules(simple(*HARMLESS[name]))


def test_long_texts_are_counted() -> None:
    """A text that is repeated takes its length each time; comparing it, or counting the copies, does not."""
    value = tensor(STRING, (), string_val=[b"a" * 100_000])
    long, many = node("t", "Const", value=value), ints("m", 1 << 16)
    copies = node("n", "Fill", "m", "t", T=Type(STRING))
    assert "allocation" in rules(simple(long, many, copies))
    short = node("t", "Const", value=tensor(STRING, (), string_val=[b"a"]))
    assert "allocation" not in rules(simple(short, many, copies))
    equal = node("n", "Equal", "w", "t", T=Type(STRING))
    assert "allocation" not in rules(simple(long, node("w", "Const", value=tensor(STRING, (1 << 16,))), equal))


WORD = tensor(STRING, (), string_val=[b"some" * 25])


WORDS, MATRIX = tensor(STRING, (60,), string_val=[b"some"]), tensor(STRING, (1, 60), string_val=[b"some"])
PLACES, SHAPE = at((60, 2), 0), at((2,), 1, 60)


def _crossed(op: str, sparse: int, dense: int, first: Any = None) -> Of:
    """Make a cross of so many features with sixty texts each in one row; *first* stands in the place of one input."""
    inputs = [PLACES] * sparse + [WORDS] * sparse + [SHAPE] * sparse + [MATRIX] * dense
    inputs[0] = inputs[0] if first is None else first
    types = {"sparse_types": [Type(STRING)] * sparse, "dense_types": [Type(STRING)] * dense}
    return of(op, *inputs, WORDS, N=sparse, **types)


def _crossed_rows(ragged: int, sparse: int, dense: int, first: Any = WORDS) -> Of:
    """Make a cross of ragged features with others."""
    inputs = [first, *[WORDS] * (ragged - 1)] + [SHAPE] * ragged
    inputs += [PLACES] * sparse + [WORDS] * sparse + [SHAPE] * sparse + [MATRIX] * dense
    counts = {"ragged_values_types": ragged, "sparse_values_types": sparse, "dense_types": dense}
    types = {key: [Type(STRING)] * count for key, count in counts.items()}
    return of("RaggedCross", *inputs, Nsparse=sparse, **types)


@pytest.mark.parametrize("op", ["SparseCross", "SparseCrossHashed", "SparseCrossV2"])
def test_crossed_features(op: str) -> None:
    """What features have in a row is multiplied, unless it comes from the input."""
    assert _rules(_crossed(op, 8, 0)) == _rules(_crossed(op, 1, 7)) == {"allocation"}
    for few in (_crossed(op, 2, 0), _crossed(op, 1, 2), _crossed(op, 8, 0, "x"), of(op, "x")):
        assert not _rules(few)


def test_crossed_rows() -> None:
    """The same of ragged features, and of others beside them."""
    for counts in ((8, 0, 0), (1, 7, 0), (1, 0, 7)):
        assert _rules(_crossed_rows(*counts)) == {"allocation"}
        assert not _rules(_crossed_rows(*counts, first="x"))
    assert not _rules(_crossed_rows(1, 1, 1))


def test_spectra_of_many_windows() -> None:
    """Each window of a sound has a spectrum, and short sounds have no window."""

    def spectra(samples: int, **attributes: Any) -> set[str]:
        return _rules(of("AudioSpectrogram", of("Fill", (samples, 1), at((), 0)), **attributes))

    assert spectra(1 << 20, window_size=1 << 16, stride=1) == {"allocation"}
    assert not spectra(1 << 20, window_size=1 << 16, stride=1 << 10)
    assert not spectra(1 << 10, window_size=1 << 16, stride=1)
    assert not _rules(of("AudioSpectrogram", "x", window_size=1 << 16, stride=1))


@pytest.mark.parametrize("op", [op for op in _texts.AT_MOST if "Cross" not in op])
def test_what_values_may_make_large_is_not_understood(op: str) -> None:
    """How many values are true, or how many pieces a text has, is not counted: what may be too much is refused."""
    many = of("Fill", (1 << 29,), tensor(BOOL, (), bool_val=[True])) if op == "Where" else of("Fill", (1 << 23,), WORD)
    attributes: dict[str, Any] = {"rewrite": b"b" * 100, "ngram_widths": Ints((30,))}
    assert rules(simple(*nodes_of(of(op, many, WORD, WORD, **attributes)))) == {"allocation"}
    assert not rules(simple(*nodes_of(of(op, "x", "x", WORD, rewrite=b"b" * 100))))
    assert not rules(simple(node("n", op)))


FIRST = ("StridedSlice", "", "first", "second", "second", {"shrink_axis_mask": 1})
DOUBLED = ("StringJoin", "", "")
LENGTHENING: dict[str, list[Any]] = {
    **{op: [DOUBLED, (op, "")] for op in ("StringLower", "StringStrip", "StringUpper", "DecodeBase64", "EncodeBase64")},
    "EncodeBase64 alone": [("EncodeBase64", "")] * 2,
    "Substr": [DOUBLED, ("Substr", "", "zero", "most")],
    "text by text": [DOUBLED, ("ExpandDims", "", "zero"), FIRST],
    "texts squeezed": [DOUBLED, ("Squeeze", "")],
    "pieces": [DOUBLED, ("StringSplit", ":values:0", "t"), FIRST],
    "segments": [("Pack", "", ""), ("UnsortedSegmentJoin", "", "both", "one"), FIRST],
    "reduced": [("Pack", "", ""), ("ReduceJoin", "", "first"), ("ExpandDims", "", "zero"), FIRST],
    "reduced, kept": [("Pack", "", ""), ("ReduceJoin", "", "first", {"keep_dims": True}), FIRST],
    "serialized": [("Pack", "", ""), ("SerializeTensor", ""), ("ParseTensor", "")],
    "formatted": [("StringFormat", "", "")],
    "written out": [("Pack", "", ""), ("StringFormat", "")],
    "replaced": [("StaticRegexReplace", "", {"rewrite": rb"\0\0"})],
    "replaced by what is computed": [("RegexReplace", "", "t", "t")],
    "transcoded": [("UnicodeTranscode", "")],
    "ngrams": [("StringNGrams", "", {"ngram_widths": Ints((2,))})],
    "characters": [DOUBLED, ("UnicodeDecode", ""), ("UnicodeEncode", ":char_values:0", "both"), FIRST],
    "characters of some texts": [DOUBLED, ("UnicodeDecode", ""), ("UnicodeEncode", ":char_values:0", "some"), FIRST],
}


def _lengthened(steps: list[Any], *, times: int, start: Any = "t") -> Any:
    """Make a MetaGraph that takes *steps*, each an op and its inputs, again and again; an input may be an output."""
    nodes = [text("t", "ab"), ints("zero", 0, shape=()), ints("one", 1, shape=()), ints("most", 1 << 40, shape=())]
    nodes += [
        ints("first", 0),
        ints("second", 1),
        ints("both", 0, 0),
        node("some", "Shape", "x"),
        *(nodes_of(start, "u") if isinstance(start, Of) else []),
    ]
    last = "u" if isinstance(start, Of) else start
    for number, (op, *given) in enumerate(steps * times):
        attributes = given.pop() if isinstance(given[-1], dict) else {}
        inputs = [last + reference if reference[:1] in {"", ":"} else reference for reference in given]
        nodes.append(node(f"s{number}", op, *inputs, **attributes))
        last = f"s{number}"
    return simple(*nodes)


@pytest.mark.parametrize("name", LENGTHENING)
def test_texts_that_become_long(name: str) -> None:
    """Whatever a text goes through, it is as long as before, or longer: seventy times are too much, a few are not."""
    assert rules(_lengthened(LENGTHENING[name], times=70)) == {"allocation"}
    assert not rules(_lengthened(LENGTHENING[name], times=3))


@pytest.mark.parametrize("name", ["replaced", "replaced by what is computed", "transcoded", "ngrams"])
def test_texts_of_data_may_become_long(name: str) -> None:
    """How long a text becomes is not told by the constants that were joined to it."""
    assert not rules(_lengthened(LENGTHENING[name], times=70, start="x"))
    assert not rules(_lengthened(LENGTHENING[name], times=70, start=of("StringJoin", "x", "t")))


def test_axes_that_are_not_known_are_not_joined() -> None:
    """Of texts along an axis of the input nothing is known, and joining none is no axis."""
    for joined in (of("ReduceJoin", "t", "x"), of("ReduceJoin", "t", (0,)), of("ReduceJoin", "x", (0,))):
        assert not rules(_lengthened([DOUBLED], times=3, start=joined))


SUMMED = {
    "Fill": [node(f"n{i}", "Fill", f"s{i}", "x") for i in range(3)],
    "ReduceDataset": [
        *[node(f"t{i}", "TakeDataset", "x", f"s{i}") for i in range(3)],
        *[node(f"n{i}", "ReduceDataset", f"t{i}") for i in range(3)],
    ],
}


@pytest.mark.parametrize("op", SUMMED)
def test_too_many_constants_are_refused(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed is bounded, and what is beyond the bound is no reason to let a graph through."""
    sums = [node(f"s{i}", "AddV2", "many", "many") for i in range(3)]
    graph = simple(ints("many", *[0] * 30), *sums, *SUMMED[op])
    assert not rules(graph)
    monkeypatch.setattr(_facts, "_MAX_WORK", 100)
    assert [f.message for f in findings(graph) if "than are looked at" in f.message]


def test_what_is_one_too_many_in_a_loop_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking ends where nobody looks further, and constants decide how much is made there."""
    filled = node("size", "Pack", "i"), node("new", "Fill", "size:output:0", "v")
    graph = grown(10, *filled, start=ints("some", 1, shape=()))
    assert not rules(graph)
    for most in range(20):
        monkeypatch.setattr(_facts, "_MAX_REPEATED", most)
        assert rules(graph) <= {"allocation", "endless-loop"}
    monkeypatch.setattr(_facts, "_MAX_REPEATED", 2)
    assert rules(graph)


def test_very_many_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions are followed into so many calls of theirs, and what more of them make is not known."""
    made = tower(12, function("f0", ["a"], ["a"]))
    bodies(made)["serve"].append(node("n", "Fill", "c", "x"))
    assert not rules(made)
    monkeypatch.setattr(_sites, "_MAX_STEPS", 2000)
    assert rules(made) == {"allocation"}


@pytest.mark.parametrize(("depth", "found"), [(40, set()), (80, {"allocation"})])
def test_very_deep_calls_are_refused(depth: int, found: set[str]) -> None:
    """Functions that several nodes call are followed into calls in calls, to a depth that no model has."""
    floors = [function(f"f{i}", ["a"], ["c:output:0"], call("c", f"f{i - 1}", "a")) for i in range(1, depth)]
    others = [call(f"c{i}", f"f{i}", "x") for i in range(depth)]
    nodes = [ints("some", 1, shape=(16,)), call("c", f"f{depth - 1}", "some:output:0"), node("n", "Fill", "c", "x")]
    made = simple(*nodes, *others, functions=[function("f0", ["a"], ["a"]), *floors])
    assert rules(made) == found


def test_growth_that_ends() -> None:
    """What doubles ten times is small, and so is what does not grow at all."""
    assert not rules(grown(10, doubled("new", "v")))
    assert not rules(grown(10**6, node("new", "Identity", "v")))
    assert not rules(grown(10**6, node("new", "Unique", "v")))
    assert not rules(grown(10**6))
    assert "allocation" in rules(
        grown(6, node("new", "Mul", "v", "v"), node("n", "Fill", "v", "v"), start=ints("some", 2))
    )


LONG_LOOPS = {
    "sum": (65, node("new", "AddV2", "v", "some:output:0"), 1 << 30, True),
    "small sum": (1000, node("new", "AddV2", "v", "some:output:0"), 1, False),
    "product": (65, node("new", "AddV2", "v", "v"), 1 << 10, True),
    "product beyond numbers": (10_000, node("new", "AddV2", "v", "v"), 1 << 10, True),
    "square": (100, node("new", "Mul", "v", "v"), 3, True),
    "not understood": (100, node("new", "Unknown", "v"), 1, True),
    "steps that change later": (100, node("new", "Minimum", "v", "some:output:0"), 1, True),
    "by data": (100, node("new", "RandomUniformInt", "v", "v"), 1, False),
    "of what is not there": (100, node("new", "Fill", "some:output:0", "gone"), 1, False),
    "nothing": (100, node("new", "Mul", "v", "some:output:0"), 0, False),
}


@pytest.mark.parametrize("times", [6, 65])
def test_what_loops_return_is_known(times: int) -> None:
    """Sizes that a loop computes are followed to where they are used, however often it runs."""
    made = grown(times, node("new", "AddV2", "v", "v"), start=ints("some", 1 << 40))
    bodies(made)["serve"].append(node("n", "Fill", "loop:output:1", "x"))
    assert "allocation" in rules(made)


@pytest.mark.parametrize("name", LONG_LOOPS)
def test_what_long_loops_return_is_extrapolated(name: str) -> None:
    """The first three iterations show by what sum or factor a loop changes what it returns, if that is all it does."""
    times, new, start, is_known = LONG_LOOPS[name]
    inside = [ints("some", start), ints("zero", 0, shape=())]
    made = grown(times, *inside, new, start=ints("some", start))
    bodies(made)["serve"].append(node("n", "Fill", "loop:output:1", "x"))
    found = {f.where for f in findings(made) if f.rule == "allocation"}
    assert ("function_library/serve/n" in found) is is_known


def test_what_long_loops_join_is_large() -> None:
    """Tensors without known values have sizes all the same."""
    made = grown(10_000, node("new", "ConcatV2", "v", "some", "zero"), start=ints("some", 1, shape=(2000, 1000)))
    constants = [ints("some", 1, shape=(2000, 1000)), ints("zero", 0, shape=())]
    functions_of(made)["grow"].node_def.extend(constants)
    bodies(made)["serve"].append(node("n", "Tile", "loop:output:1", "twice"))
    bodies(made)["serve"].append(ints("twice", 2, 1))
    assert "function_library/serve/n" in {f.where for f in findings(made) if f.rule == "allocation"}


@pytest.mark.parametrize("times", [6, 100])
def test_what_frames_return_is_known(times: int) -> None:
    """Loops of TensorFlow 1 are followed as those of TensorFlow 2 are."""
    leaving = [node("leave", "Switch", "w/Merge", "w/LoopCond"), node("exit", "Exit", "leave:0")]
    made = framed(*frame("w", 0, times), *leaving, ints("unit", 1 << 40), node("by", "Mul", "unit", "exit"))
    made.graph_def.node.append(node("n", "Fill", "by", "x"))
    assert "allocation" in rules(made)


@pytest.mark.parametrize("inputs", [(), ("absent",), ("alone",)])
@pytest.mark.parametrize("op", ["Exit", "While"])
def test_names_that_a_loop_has_too(op: str, inputs: tuple[str, ...]) -> None:
    """Another rule finds names that several nodes share; until then they are nodes like others."""
    made = framed(*frame("w", 0, 6), node("alone", "Switch"), node("w/LoopCond", op, *inputs))
    made.graph_def.node.append(node("n", "Fill", "w/LoopCond", "x"))
    assert "repeated-name" in rules(made)


@pytest.mark.parametrize("inputs", [(), ("alone",), ("absent",)])
def test_exits_of_nothing(inputs: tuple[str, ...]) -> None:
    """What leaves no loop has no value; TensorFlow refuses it."""
    made = framed(node("alone", "Switch"), node("exit", "Exit", *inputs), node("n", "Fill", "exit", "x"))
    assert "allocation" not in rules(made)


ROW = ints("row", 0, shape=(1 << 20,))
FILLED = {
    "pushed": (node("some", "EmptyTensorList"), [node("new", "TensorListPushBack", "v", "row:output:0")]),
    "set": (
        node("some", "TensorListReserve", "many", "many"),
        [node("new", "TensorListSetItem", "v", "i", "row:output:0")],
    ),
    "written": (node("some", "TensorArrayV3", "x"), [node("new", "TensorArrayWriteV3", "x", "i", "row:output:0", "v")]),
}


@pytest.mark.parametrize("name", FILLED)
def test_lists_that_loops_fill(name: str) -> None:
    """Lists and arrays have the elements of all tensors that loops put in."""
    start, nodes = FILLED[name]
    for times, is_large in ((100, False), (10_000, True)):
        made = grown(times, ROW, *nodes, start=start)
        bodies(made)["serve"].append(ints("many", times))
        assert ("allocation" in rules(made)) is is_large


def test_lists_that_are_stacked() -> None:
    """What a list holds is made into one tensor."""
    made = grown(
        100, ints("row", 0, shape=(1 << 20,)), FILLED["set"][1][0], start=node("some", "TensorListReserve", "s", "s")
    )
    stack = [
        node("stack", "TensorListStack", "loop:output:1", "s"),
        ints("two", 8),
        node("n", "Tile", "stack", "two", T=Type(FLOAT)),
    ]
    bodies(made)["serve"].extend([ints("s", 100), *stack])
    assert [f.where for f in findings(made)] == ["function_library/serve/n"]


BIG, SMALL = ints("big", 1 << 40), ints("small", 7)
CHOSEN = {
    "by data": [node("b", "Switch", "big", "x"), node("s", "Switch", "small", "x")],
    "from data": [node("b", "Switch", "big", "x"), node("s", "Switch", "x", "x")],
}


@pytest.mark.parametrize("name", CHOSEN)
def test_what_conditions_of_tensorflow_1_join_is_known(name: str) -> None:
    """Any branch may be executed here, too."""
    merged = [node("m", "Merge", "b:1", "s"), node("n", "Fill", "m", "x")]
    assert "allocation" in rules(simple(BIG, SMALL, *CHOSEN[name], *merged))


@pytest.mark.parametrize(("chosen", "severity"), [("c", Severity.UNEXAMINED), ("x", None)])
def test_choices_that_are_not_understood(chosen: str, severity: Severity | None) -> None:
    """Of two small sizes the larger one counts; nobody knows what is computed of them where constants choose."""
    one, other = (function(f, ["v"], ["r:output:0"], ints("r", size)) for f, size in (("one", 7), ("other", 9)))
    made = simple(
        ints("c", 1),
        node("i", "If", chosen, "x", then_branch=Func("one"), else_branch=Func("other")),
        node("n", "Fill", "i:output:0", "x"),
        functions=[one, other],
    )
    assert {f.severity for f in findings(made)} == ({severity} if severity is not None else set())


def test_what_datasets_pass_on_is_not_understood() -> None:
    """Functions of ops with arguments of their own are not followed: their arguments follow from the op's inputs."""
    fill = function("f", ["v"], ["v"], node("n", "Fill", "v", "v"))
    for given, is_constant in (("m", True), ("x", False)):
        nodes = [ints("m", 1), node("t", "TensorDataset", given), node("d", "MapDataset", "t", f=Func("f"))]
        assert ("allocation" in rules(simple(*nodes, functions=[fill]))) is is_constant


@pytest.mark.parametrize(
    ("module", "bound"),
    [(_sites, "_MAX_STEPS"), (_facts, "_MAX_REPEATED"), (_growth, "_MAX_CALLED"), (_counted, "_MAX_CONDITIONS")],
)
def test_what_was_not_looked_at_is_refused(module: Any, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever there is too much of, a graph that was not looked at to the end is not let through."""
    made = grown(10, node("new", "AddV2", "v", "v"))
    assert not rules(made)
    monkeypatch.setattr(module, bound, 1)
    assert "allocation" in rules(made)


def test_very_much_is_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a size comes from is looked at in so many nodes and no more."""
    made = simple(*nodes_of(of("Fill", of("Identity", of("Shape", "x")), "x")))
    assert not rules(made)
    monkeypatch.setattr(_constancy, "_MAX_LOOKED_AT", 1)
    assert rules(made) == {"allocation"}


def test_long_iterations_are_not_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes what a loop returns is looked at in so many nodes and no more."""
    made = grown(1000, ints("some", 1), node("new", "AddV2", "v", "some:output:0"), start=ints("some", 1))
    bodies(made)["serve"].append(node("n", "Fill", "loop:output:1", "x"))
    assert not rules(made)
    monkeypatch.setattr(_constancy, "_MAX_STEPS", 1)
    assert rules(made) == {"allocation", "endless-loop"}


BIG_IN_THE_END = of("SelectV2", of("Less", "i", 300), 1, 1 << 40)
IN_LOOPS = {
    "always the same": (False, of("Fill", of("Maximum", 5, 7), "x")),
    "by data": (False, of("Fill", of("Shape", "x"), "x")),
    "as far as it counts": (True, of("Fill", of("Mul", of("AddV2", "i", 1), 1 << 24), "x", T=Type(FLOAT))),
    "not very far": (False, of("Fill", of("Pack", of("Sub", "i", 1), 2), "x")),
    "its square": (True, of("Fill", of("Mul", "i", "i"), "x")),
    "in the end": (True, of("Fill", BIG_IN_THE_END, "x")),
}


@pytest.mark.parametrize("name", IN_LOOPS)
def test_sizes_that_change_in_long_loops(name: str) -> None:
    """Sizes are known in the last iteration of a loop if one sum changes them, and not understood otherwise."""
    is_large, made = IN_LOOPS[name]
    found = grown(1000, node("new", "Identity", "v"), *nodes_of(made))
    assert ("allocation" in rules(found)) is is_large


@pytest.mark.parametrize("calls", [1, 2])
def test_functions_that_loops_call(calls: int) -> None:
    """What doubles in a loop is followed into functions that it calls."""
    made = grown(40, node("new", "AddV2", "v", "v"), *(call(f"c{i}", "f", "v") for i in range(calls)))
    made.graph_def.library.function.append(function("f", ["v"], ["v"], node("n", "Fill", "v", "v")))
    assert {f.where for f in findings(made)} == {"function_library/f/n"}


def test_loops_in_loops_use_what_doubles() -> None:
    """So is it into loops inside of it."""
    made = grown(40, node("new", "AddV2", "v", "v"), node("w", "While", "v", cond=Func("c"), body=Func("b")))
    inner = [function("c", ["v"], ["v"]), function("b", ["v"], ["v"], node("n", "Fill", "v", "v"))]
    made.graph_def.library.function.extend(inner)
    assert "function_library/b/n" in {f.where for f in findings(made)}


def _branches(first: Any, second: Any, *nodes: Any) -> Any:
    branches = [function("one", ["v"], ["r:output:0"], first), function("other", ["v"], ["r:output:0"], second)]
    chosen = node("c", "If", "x", "x", then_branch=Func("one"), else_branch=Func("other"))
    return simple(chosen, *nodes, functions=branches)


@pytest.mark.parametrize("other", [ints("r", 1 << 40), ints("r", 1), node("r", "Unknown", "v")])
def test_what_branches_return_is_known(other: Any) -> None:
    """Any branch may be executed: the largest result counts."""
    fill = node("n", "Fill", "c:output:0", "x")
    assert "allocation" in rules(_branches(other, ints("r", 1 << 40), fill))
    assert "allocation" in rules(_branches(ints("r", 1 << 40), other, fill))


LIST = of("TensorListReserve", at((), -1), 1)
BIG_ELEMENT = (1 << 20, 1 << 12)
ARRAY = "TensorArrayGatherV3"


def _proto(*shape: int) -> bytes:
    return bytes(tensor(INT64, shape, int64_val=[0]).SerializeToString())


def _sparse(op: str, *texts: bytes) -> Any:
    """Make a graph that takes sparse tensors out of *texts*, one of which it joins with a text of the caller."""
    constants = [packed(f"t{index}", text) for index, text in enumerate(texts)]
    joined = node("j", "StringJoin", "t0:output:0", "x")
    return simple(*constants, joined, node("r", "Pack", "j", *[c.name for c in constants[1:]]), node("n", op, "r"))


SAID: dict[str, tuple[Any, Any]] = {
    "element of a list": (of("TensorListGetItem", LIST, 0, BIG_ELEMENT), of("TensorListGetItem", LIST, 0, (8, 8))),
    "last element": (of("TensorListPopBack", "x", BIG_ELEMENT), of("TensorListPopBack", "x", (8, -1))),
    "elements, stacked": (of("TensorListStack", "x", BIG_ELEMENT), of("TensorListStack", "x", (-1, 8))),
    "so many elements, stacked": (
        of("TensorListStack", "x", (1 << 14,), num_elements=1 << 17),
        of("TensorListStack", "x", (1 << 14,), num_elements=1 << 7),
    ),
    "elements, gathered": (
        of("TensorListGather", "x", at((1 << 16,), 0), (1 << 16,)),
        of("TensorListGather", "x", at((1 << 6,), 0), (1 << 16,)),
    ),
    "elements, one after another": (
        of("TensorListConcatV2", "x", (-1, 1 << 12), (1 << 20, 1)),
        of("TensorListConcatV2", "x", (-1, 1 << 12), (1 << 4, 1)),
    ),
    "elements, one after another, of any length": (
        of("TensorListConcatV2", "x", (1, 1 << 40), ()),
        of("TensorListConcatV2", "x", (-1, 1 << 12), ()),
    ),
    "elements of an array": (
        of(ARRAY, "x", at((1 << 16,), 0), element_shape=Dims((1 << 16,))),
        of(ARRAY, "x", at((1 << 16,), 0), element_shape=Dims((1 << 6,))),
    ),
    "elements of an array of any shape": (
        of(ARRAY, "x", at((1 << 30,), 0), element_shape=Dims((-1,))),
        of(ARRAY, "x", at((1 << 16,), 0)),
    ),
    "columns of a matrix": (
        of("MatrixDiagV3", "x", at((), 0), at((), -1), at((), 1 << 40)),
        of("MatrixDiagV3", "x", at((), 0), at((), -1), at((), -1)),
    ),
    "rows of a matrix": (
        of("MatrixDiagV3", at((1,), 1), at((), 0), at((), 1 << 40), at((), -1)),
        of("MatrixDiagV3", at((1,), 1), at((), 0), at((), 1 << 4), at((), -1)),
    ),
    "place of a diagonal": (
        of("MatrixDiagV2", at((1,), 1), at((), 1 << 20), at((), -1), at((), -1)),
        of("MatrixDiagV2", at((1,), 1), at((), 1 << 4), at((), -1), at((), -1)),
    ),
    "several diagonals": (
        of("MatrixDiagV2", at((1, 2, 1), 1), (1 << 20, (1 << 20) + 1), at((), -1), at((), -1)),
        of("MatrixDiagV2", at((1, 2, 1), 1), (), at((), -1), at((), -1)),
    ),
    "places of a table": (
        of("AnonymousMutableDenseHashTable", "x", value_shape=Dims((1 << 16,)), initial_num_buckets=1 << 16),
        of("AnonymousMutableDenseHashTable", "x", value_shape=Dims((1 << 16,)), initial_num_buckets=1 << 4),
    ),
    "places of a table, by default": (
        of("AnonymousMutableDenseHashTable", "x", value_shape=Dims((1 << 16,)), value_dtype=Type(STRING)),
        of("AnonymousMutableDenseHashTable", "x", value_shape=Dims((1 << 8,)), value_dtype=Type(FLOAT)),
    ),
    "keys of a table": (
        of("AnonymousMutableDenseHashTable", at((1 << 14,), 0), key_dtype=Type(INT64)),
        of("AnonymousMutableDenseHashTable", at((1 << 4,), 0), key_dtype=Type(INT64)),
    ),
    "features": (
        of("ParseSingleExample", "x", dense_shapes=[Dims((1 << 26,))] * 2, Tdense=[Type(STRING)] * 2),
        of("ParseSingleExample", "x", dense_shapes=[Dims((1 << 26,))] * 2, Tdense=[Type(BOOL)] * 2),
    ),
    "holes": (
        of("UniformQuantizedConvolution", "x", lhs_dilation=Ints((1 << 15, 1 << 15))),
        of("UniformQuantizedConvolution", "x", lhs_dilation=Ints((2, 1))),
    ),
    "sounds": (
        of("DecodeWav", "x", desired_channels=1 << 20, desired_samples=1 << 10),
        of("DecodeWav", "x", desired_channels=1, desired_samples=-1),
    ),
    "elements ahead": (
        of("ParallelMapDatasetV2", "x", at((), 1 << 40)),
        of("ParallelMapDatasetV2", "x", at((), -1)),
    ),
    "place in a list": (
        of("TensorListSetItem", "x", at((), 1 << 28), "x"),
        of("TensorListSetItem", "x", at((), 9), "x"),
    ),
    "elements ahead of nothing": (of("ParallelMapDatasetV2", "x", "x", at((), 1 << 40)), of("ParallelMapDatasetV2")),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_what_attributes_and_operands_say(name: str) -> None:
    """What an op makes of zeros, or keeps room for, is as large as it is told, whatever comes in; a little is let."""
    much, little = SAID[name]
    assert _rules(much) == {"allocation"}
    assert not _rules(little)


@pytest.mark.parametrize("op", ["DeserializeManySparse", "DeserializeSparse"])
def test_sparse_tensors_out_of_texts(op: str) -> None:
    """What a text of some bytes declares is made, be it put together of several or with data."""
    assert rules(_sparse(op, _proto(1 << 27, 1), _proto(1))) == {"allocation"}
    assert rules(_sparse(op, _proto(1), _proto(1 << 27))) == {"allocation"}
    assert not rules(_sparse(op, _proto(1 << 4, 1), _proto(1)))


def test_texts_that_are_put_together() -> None:
    """A serialized tensor may be cut in two, and the half of it is none."""
    whole = _proto(1 << 40)
    parts = [packed("a", whole[:5]), packed("b", whole[5:]), packed("c", whole[5:], b"")]
    assert "allocation" in rules(simple(*parts, node("j", "StringJoin", "a", "b"), node("n", "ParseTensor", "j")))
    assert "allocation" in rules(simple(*parts, node("j", "StringJoin", "a", "c"), node("n", "ParseTensor", "j")))
    assert not rules(simple(*parts, node("n", "ParseTensor", "a")))
    assert not rules(simple(*parts, node("j", "StringJoin", "a", "x"), node("n", "ParseTensor", "j")))


def test_texts_are_put_together_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """What doubles again and again is left to other rules."""
    doubled = [node(f"j{i}", "StringJoin", f"j{i - 1}", f"j{i - 1}", separator=b"-") for i in range(1, 200)]
    assert rules(simple(text("j0", "a"), *doubled, node("n", "ParseTensor", "j199"))) <= {"allocation"}
    monkeypatch.setattr(_encoded, "_KEPT", 8)
    many = node("j", "StringJoin", "t", "t")
    assert not rules(simple(packed("t", b"abcd", b"efgh"), many, node("n", "ParseTensor", "j")))


def test_a_function_that_calls_itself_is_followed_for_a_while() -> None:
    """Each call in others takes memory for all of them: they would take gigabytes and minutes."""
    again = call("again", "f", "d:output:0")
    made = simple(
        ints("c", 3),
        call("first", "f", "c:output:0"),
        functions=[function("f", ["x"], ["x"], node("n", "Fill", "x", "x"), ints("d", 3), again)],
    )
    (subject,) = subjects(model(made)[1])
    depths = [len(output.site.context) for output in subject.growth.outputs()]
    assert MAX_CONTEXT <= max(depths) <= MAX_CONTEXT + 1
    assert {"recursion", "allocation"} <= rules(made)
