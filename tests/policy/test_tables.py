"""No entry of a table that refuses can be removed unnoticed: each is all that refuses something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hostile.graphs import benign, wide_operands
from hostile.keras_configs import entry, function, functional, info_of, keras2, lambda_layer, refusing
from hostile.nodes import FLOAT, STRING, VARIANT, Dims, Ints, Type, ints, model, node, simple, tensor

from safeload.inspection.op_classes import op_table
from safeload.policy import Severity, containers, examine, keras_names, keras_outputs, keras_sizes
from safeload.policy import keras as keras_rules
from safeload.policy.graph import _handles, _operands, _verdicts, _windows
from safeload.policy.graph._constants import _facts, _shapes, _sizes, _texts
from safeload.policy.graph._costs import _findings, _growth
from safeload.readers import Anomaly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HUGE = 1 << 40


class Table(NamedTuple):
    """A table whose entries refuse.

    Attributes:
        module: Where it is.
        name: What it is called there.
        prepare: Makes something that an entry is about, and returns what tells whether it is refused.
        beside: Entries that other rules refuse as well.
    """

    module: Any
    name: str
    prepare: Callable[[Any], Callable[[], bool]]
    beside: Callable[[Any], bool] = lambda _: False


def _config(make: Callable[[Any], Any]) -> Callable[[Any], Callable[[], bool]]:
    def prepare(found: Any) -> Callable[[], bool]:
        info = info_of(functional(make(found)), parameter_count=None)
        return lambda: bool(refusing(info))

    return prepare


def _graph(make: Callable[[Any], Any], *others: str) -> Callable[[Any], Callable[[], bool]]:
    """Ask whether a graph is refused by other rules than *others*."""

    def prepare(found: Any) -> Callable[[], bool]:
        made = model(make(found))
        found = lambda: (f.rule for f in examine(*made) if f.severity >= Severity.UNEXAMINED)
        return lambda: any(rule not in {"constant-shape", *others} for rule in found())

    return prepare


def _operand(op: str) -> Any:
    """Make a graph in which the operand that decides is huge and everything else comes from the input."""
    inputs = ["x"] * 6
    inputs[_sizes._OPERANDS[op][0]] = "huge:output:0"
    return simple(ints("huge", _HUGE, 1), node("n", op, *inputs, "^x"))


def _more(op: str) -> Any:
    """Make a graph in which the other operands that decide are huge."""
    inputs = ["x"] * 8
    for operand, _ in _sizes._MORE[op]:
        inputs[operand] = "huge:output:0"
    return simple(ints("huge", _HUGE, 1), node("n", op, *inputs, "^x"))


_DECLARED = ("buffer_size_min", "desired_channels", "logits_dimension", "max_splits", "num_buckets", "sample_count")


def _declared_by(op: str) -> Any:
    """Make a graph in which the shapes and sizes that an op declares are huge."""
    shapes = ("element_shape", "element_shape_except0", "full_shape", "shape", "value_shape")
    lists: dict[str, Any] = {
        "allowed_batch_sizes": Ints((_HUGE,)),
        "explicit_padding": Ints((1 << 20,) * 4),
        "paddings": Ints((_HUGE,)),
    }
    features = {"dense_shapes": "Tdense", "context_dense_shapes": "Tcontext_dense", "output_shapes": "output_types"}
    lists |= {key: [Dims((_HUGE,))] for key in features} | {types: [Type(FLOAT)] for types in features.values()}
    given = {**lists, **dict.fromkeys(shapes, Dims((_HUGE,))), **dict.fromkeys(_DECLARED, _HUGE)}
    made = simple()
    made.graph_def.node.append(node("n", op, "x", **given))
    return made


_OF_ATTRIBUTES = ("window_size", "dct_coefficient_count", "num_batch_threads")


def _attribute(op: str) -> Any:
    """Make a graph in which the attributes of an op are huge, of a column that is not."""
    lists = {key: Ints((1 << 24,) * 4) for key in ("explicit_paddings", "ksizes", "ngram_widths")}
    flags = {"padding": b"SAME", "full_matrices": True}
    given = "x" if op in _texts.AT_MOST else "column:output:0"
    made = node("n", op, given, **lists, **flags, **dict.fromkeys(_OF_ATTRIBUTES, _HUGE))
    made.attr["shape"].shape.dim.add(size=_HUGE)
    return simple(*wide_operands(), made)


def _broadcast(op: str) -> Any:
    return simple(*wide_operands(), node("n", op, *["column:output:0", "row:output:0"] * 2, T=Type(FLOAT)))


def _list_op(key: str) -> Any:
    return simple(node("n", "SomebodysOp", "x", **{key: 1 << 31}))


def _list_of_tensors(op: str) -> Any:
    """Make a list that is too long for what a tensor takes, and not for an int32."""
    many = ints("many", 1 << 27, shape=())
    return simple(many, node("n", op, "x", "many:output:0", element_dtype=Type(FLOAT)))


def _shaped(make: Callable[[str], Any]) -> Callable[[str], Callable[[], bool]]:
    def prepare(op: str) -> Callable[[], bool]:
        made = model(make(op))
        return lambda: any(f.rule == "constant-shape" for f in examine(*made))

    return prepare


def _misplaced(op: str) -> Any:
    return simple(ints("cube", 1, shape=(1, 1, 1)), node("n", op, *["cube:output:0"] * 4))


def _of_two_lengths(op: str) -> Any:
    return simple(ints("one", 1), ints("two", 1, 1), node("n", op, "x", *["one:output:0", "two:output:0"] * 2))


def _handle(dtype: int) -> Any:
    return simple(node("n", "Const", value=tensor(dtype, ())))


def _made_of_bytes(op: str) -> Callable[[], bool]:
    attribute = _handles._MADE_OF_BYTES[op]
    made = model(simple(node("n", op, "x", **{attribute: [Type(VARIANT)] if attribute == "dtypes" else Type(VARIANT)})))
    return lambda: any(f.rule == "forged-handle" for f in examine(*made))


def _forged(nodes: Callable[[str], list[Any]]) -> Callable[[str], Callable[[], bool]]:
    def prepare(op: str) -> Callable[[], bool]:
        made = model(simple(*nodes(op)))
        return lambda: any(f.rule == "forged-handle" for f in examine(*made))

    return prepare


def _of_class(kind: str) -> Any:
    op = next(op for op, found in op_table().classes.items() if found == kind)
    attributes = {"output_stream": "file:///x", "debug_urls": ["file:///x"], "descriptor_source": "/x"}
    attributes["serialized_options"] = b"\x2a\x02\x10\x09"
    return simple(node("n", op, "x", vocab_file="/x", shared_name="victim", **attributes))


def _joined(op: str) -> Any:
    wide = node("wide", "Const", value=tensor(STRING, (1 << 26,), string_val=[b"some"]))
    places = [*_sizes._DECIDING.get(op, ())]
    inputs = ["x" if place in places else "wide:output:0" for place in range(8)]
    return simple(wide, node("n", op, *inputs, "x", T=Type(STRING)))


def _lengthened(op: str) -> Any:
    """Make a graph in which many texts become long."""
    word = b"some" * (100 if op == "EncodeBase64" else 10)
    words = node("words", "Const", value=tensor(STRING, (1 << 22,), string_val=[word]))
    inputs = ["words:output:0"] * 2
    if op == "UnsortedSegmentJoin":
        inputs.append("one:output:0")
    return simple(words, ints("one", 1, shape=()), node("n", op, *inputs, width=700, separator=b"some" * 150))


def _allocating(op: str) -> Any:
    tables = (_sizes._OPERANDS, _operand), (_sizes._MORE, _more), (_sizes._ATTRIBUTES, _attribute)
    tables = *tables, (_sizes._JOINS, _joined)
    tables = *tables, (_texts.WIDTHS, _lengthened)
    return next((made for table, made in tables if op in table), _broadcast)(op)


def _is_no_broadcast(op: str) -> bool:
    rule = _shapes.SHAPES.get(op)
    return op in _texts.AT_MOST or op == "Range" or (op in _shapes.MULTIPLYING and rule is not _shapes.SHAPES["Add"])


def _layer(name: str) -> Any:
    keys = {key for found in keras_sizes._SIZES[name] for key in found}
    return keras2(name, **dict.fromkeys(keys, 1 << 33))


def _enlarging(name: str) -> Any:
    return keras2(name, **dict.fromkeys(keras_outputs._MADE[name], 1 << 33))


def _copied(name: str) -> Any:
    """Ask for as much as may be made, but not several times."""
    if name in keras_outputs._AREAS:
        key, _, power = keras_outputs._AREAS[name]
        return keras2(name, **{key: [1 << 14 // power, 1 << 14 // power]})
    if name in keras_outputs._SIDES:
        return keras2(name, **{key: 8000 for keys in keras_outputs._SIDES[name] for key in keys})
    keys = keras_outputs._MADE[name]
    return keras2(name, **dict.fromkeys(keys, 1 << 28 // len(keys)))


def _counted(key: str) -> Any:
    return entry("X", "x", module="keras.src.ops.numpy", source="inp", **{key: 1 << 64})


def _repeated(name: str) -> Any:
    return keras2(name, **dict.fromkeys(keras_sizes._REPEATED[name], 1 << 10 * (3 - len(keras_sizes._REPEATED[name]))))


def _encoder(name: str) -> Any:
    return keras2(name, output_mode="multi_hot", pad_to_max_tokens=True, **{keras_outputs._ENCODERS[name]: 1 << 33})


def _sides(name: str) -> Any:
    return keras2(name, **{key: 1 << 20 for keys in keras_outputs._SIDES[name] for key in keys})


def _long(name: str) -> Any:
    return keras2(name, **{keras_outputs._LENGTHS[name][0]: 1 << 33})


def _asked(key: str) -> Any:
    node = ["inp", 0, 0, {key: [[10**9, 10**9], [0, 0]] if key == "paddings" else [10**9, 10]}]
    return {**keras2("TFOpLambda", function="tile"), "inbound_nodes": [node]}


def _words(name: str) -> Any:
    return keras2(name, vocabulary=["x" * (1 << 20), *["y"] * (1 << 10)])


def _split(key: str) -> Any:
    return entry("Unstack", "u", module="keras.src.ops.core", source="inp", **{key: 10**9})


def _anomaly(kind: str) -> Callable[[], bool]:
    made = model(benign(), anomalies=(Anomaly(kind, "x"),))
    return lambda: any(f.rule == kind and "no writer" not in f.message for f in examine(*made))


def _getter(name: str) -> Callable[[], bool]:
    return lambda: keras_names.judge_function("keras.losses", name) is not None


def _symbol(name: str) -> Any:
    return keras2(name, **{keras_names.SYMBOL_KEYS[name]: "io.write_file"})


TABLES = [
    Table(keras_names, "DANGEROUS_CLASSES", _config(lambda name: entry(name, "t", source="dense"))),
    Table(keras_rules, "VOCABULARY_KEYS", _config(lambda key: entry("StringLookup", "v", source="inp", **{key: "/x"}))),
    Table(keras_rules, "SYMBOL_KEYS", _config(_symbol)),
    Table(keras_names, "_HOST_PACKAGES", _config(lambda name: entry("X", "x", module=f"{name}.inside"))),
    Table(keras_names, "_STDLIB_PACKAGES", _config(lambda name: entry("X", "x", module=f"{name}.inside"))),
    Table(
        keras_names,
        "_STDLIB",
        _config(lambda name: entry("X", "x", module=name)),
        beside=lambda name: name in keras_names._STDLIB_PACKAGES | keras_names._NO_HOME,
    ),
    Table(
        keras_names,
        "_PYTHON_BUILTINS",
        _config(lambda name: entry(name, "x", module="builtins")),
        beside=lambda name: name.startswith("__"),
    ),
    Table(keras_names, "_NOT_PURE", _getter),
    Table(keras_names, "_ALIASES", _config(lambda name: lambda_layer(function(f"keras.ops.{name}", "load")))),
    Table(keras_sizes, "_SIZES", _config(_layer)),
    Table(keras_sizes, "_PARTS", _config(_split)),
    Table(keras_outputs, "_MADE", _config(_enlarging)),
    Table(keras_outputs, "_AREAS", _config(lambda name: keras2(name, **{keras_outputs._AREAS[name][0]: 1 << 16}))),
    Table(keras_outputs, "_COPIES", _config(_copied)),
    Table(keras_outputs, "_ENCODERS", _config(_encoder)),
    Table(keras_outputs, "_PADS", _config(lambda name: keras2(name, **{keras_outputs._PADS[name]: [[1 << 33, 0]]}))),
    Table(keras_outputs, "_SIDES", _config(_sides)),
    Table(keras_outputs, "_LENGTHS", _config(_long)),
    Table(keras_outputs, "_ASKED", _config(_asked)),
    Table(keras_outputs, "_WINDOW", _config(lambda key: entry("X", "x", source="inp", **{key: 1 << 31}))),
    Table(keras_outputs, "_LARGEST", _config(_counted)),
    Table(keras_outputs, "_LOOKUPS", _config(_words)),
    Table(keras_sizes, "_REPEATED", _config(_repeated)),
    Table(keras_sizes, "_FOLDED", _config(lambda name: keras2(name, **{keras_sizes._FOLDED[name]: [80, 80]}))),
    Table(containers, "_MEANINGS", _anomaly),
    Table(_verdicts, "_VERDICTS", _graph(_of_class, "forged-handle")),
    Table(_sizes, "_OPERANDS", _graph(_operand)),
    Table(_sizes, "_MORE", _graph(_more)),
    Table(_sizes, "_ATTRIBUTES", _graph(_attribute, "uninitialised-memory")),
    Table(_findings, "DECLARED", _graph(_declared_by)),
    Table(_growth, "ALLOCATING", _graph(_allocating, "uninitialised-memory", "forged-handle"), beside=_is_no_broadcast),
    Table(_sizes, "_JOINS", _graph(_joined, "forged-handle"), beside=_texts.AT_MOST.__contains__),
    Table(_facts, "WIDTHS", _graph(_lengthened)),
    Table(_findings, "_LISTS", _graph(_list_of_tensors)),
    Table(_windows, "_BOUNDS", _graph(lambda key: simple(node("n", "Conv2D", "x", **{key: Ints((-1,))})))),
    Table(_windows, "_SOUNDS", _graph(lambda key: simple(node("n", "AudioMicrofrontend", "x", **{key: -1})))),
    Table(_operands, "_RANKS", _shaped(_misplaced)),
    Table(_operands, "_AS_LONG", _shaped(_of_two_lengths)),
    Table(_findings, "_LENGTHS", _graph(_list_op)),
    Table(_handles, "_OBJECTS", _graph(_handle)),
    Table(_handles, "_MADE_OF_BYTES", _made_of_bytes),
    Table(_handles, "_MAKING", _forged(lambda op: [node("h", op), node("n", "Assign", "h:handle:0", "x")])),
    Table(_handles, "_TAKING", _forged(lambda op: [node("n", op, "x")])),
    Table(_handles, "_UNBATCHING", _forged(lambda op: [node("n", op, "x", "x", "x")])),
]


def _cases() -> Iterator[Any]:
    for table in TABLES:
        for found in sorted(getattr(table.module, table.name)):
            if not table.beside(found):
                yield pytest.param(table, found, id=f"{table.name}-{found}")


def _without(table: Any, found: Any) -> Any:
    if isinstance(table, dict):
        return {key: value for key, value in table.items() if key != found}
    return type(table)(other for other in table if other != found)


@pytest.mark.parametrize(("table", "found"), _cases())
def test_entry_is_needed(table: Table, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the entry something is refused, and without it no longer."""
    is_refused = table.prepare(found)
    assert is_refused()
    monkeypatch.setattr(table.module, table.name, _without(getattr(table.module, table.name), found))
    assert not is_refused()
