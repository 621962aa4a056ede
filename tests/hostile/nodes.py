"""The words that graphs are built from by hand: nodes, functions, MetaGraphs, SavedModels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.formats import Format
from safeload.inspection import MetaGraphInfo, ModelInfo, ProducerInfo, SavedModelInfo
from safeload.inspection.graph.info import inspect_graph
from safeload.policy import Finding, Severity, examine
from safeload.readers import SavedModelArtifact
from safeload.readers.protobuf import message_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FLOAT, DOUBLE, INT32, STRING, INT64, BOOL, RESOURCE, VARIANT = 1, 2, 3, 7, 9, 10, 20, 21


class Func(NamedTuple):
    """An attribute that names a function, with attributes of its own."""

    name: str
    attrs: Mapping[str, Any] = {}


class Type(NamedTuple):
    """An attribute that is a dtype."""

    number: int


class Ints(NamedTuple):
    """An attribute that is a list of numbers."""

    numbers: tuple[int, ...]


class Dims(NamedTuple):
    """An attribute that is a shape."""

    sizes: tuple[int, ...]


def attribute(value: Any) -> Any:
    """Make an AttrValue."""
    attr = message_class("AttrValue")()
    if isinstance(value, Ints):
        attr.list.i.extend(value.numbers)
    elif isinstance(value, Dims):
        attr.shape.CopyFrom(tensor(INT32, value.sizes).tensor_shape)
    elif isinstance(value, (list, tuple)) and not isinstance(value, (Func, Type)):
        attr.list.SetInParent()
        for item in value:
            _add_item(attr.list, item)
    elif isinstance(value, Func):
        _fill_function(attr.func, value)
    elif isinstance(value, Type):
        attr.type = value.number
    elif isinstance(value, (str, bytes)):
        attr.s = value.encode() if isinstance(value, str) else value
    elif isinstance(value, bool):
        attr.b = value
    elif isinstance(value, int):
        attr.i = value
    elif isinstance(value, float):
        attr.f = value
    else:
        attr.tensor.CopyFrom(value)
    return attr


def _add_item(values: Any, item: Any) -> None:
    if isinstance(item, Func):
        _fill_function(values.func.add(), item)
    elif isinstance(item, Type):
        values.type.append(item.number)
    elif isinstance(item, Dims):
        values.shape.add().CopyFrom(attribute(item).shape)
    elif isinstance(item, float):
        values.f.append(item)
    else:
        values.s.append(item.encode())


def _fill_function(target: Any, func: Func) -> None:
    target.name = func.name
    for key, value in func.attrs.items():
        target.attr[key].CopyFrom(attribute(value))


def node(name: str, op: str, *inputs: str, device: str = "", **attrs: Any) -> Any:
    """Make a NodeDef."""
    made = message_class("NodeDef")(name=name, op=op, input=inputs, device=device)
    for key, value in attrs.items():
        made.attr[key].CopyFrom(attribute(value))
    return made


def tensor(dtype: int, shape: Iterable[int] = (), **values: Any) -> Any:
    """Make a TensorProto; *values* are its fields."""
    made = message_class("TensorProto")(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def text(name: str, *values: str) -> Any:
    """Make a Const of strings."""
    return node(name, "Const", value=tensor(STRING, (), string_val=[v.encode() for v in values]))


def packed(name: str, *values: bytes) -> Any:
    """Make a Const of bytes."""
    return node(name, "Const", value=tensor(STRING, (len(values),), string_val=values))


def ints(name: str, *values: int, shape: Iterable[int] | None = None) -> Any:
    """Make a Const of int64."""
    shape = (len(values),) if shape is None else shape
    return node(name, "Const", value=tensor(INT64, shape, int64_val=values))


class Of(NamedTuple):
    """An op with its operands: numbers, a tensor, a name of something else, or another op with one of its outputs."""

    op: str
    operands: tuple[Any, ...]
    output: str
    attrs: Mapping[str, Any]


def of(op: str, *operands: Any, output: str = "", **attrs: Any) -> Of:
    """Describe what `nodes_of` makes."""
    return Of(op, operands, output, attrs)


def at(shape: Iterable[int], *values: int) -> Any:
    """Make a tensor of int64; the last of *values* fills what is left of it."""
    return tensor(INT64, shape, int64_val=values)


def nodes_of(made: Any, name: str = "n") -> list[Any]:
    """Make the nodes of an op and of all that it is computed from; its own has *name*."""
    if not isinstance(made, Of):
        numbers = (made,) if isinstance(made, int) else made
        return [node(name, "Const", value=numbers if hasattr(made, "DESCRIPTOR") else at((len(numbers),), *numbers))]
    nodes, inputs = [], []
    for index, operand in enumerate(made.operands):
        below = operand if isinstance(operand, str) else f"{name}{index}"
        nodes += [] if isinstance(operand, str) else nodes_of(operand, below)
        inputs.append(f"{below}:{operand.output}" if isinstance(operand, Of) and operand.output else below)
    return [*nodes, node(name, made.op, *inputs, **made.attrs)]


def function(name: str, arguments: Iterable[str], returns: Iterable[str], *nodes: Any, **attrs: Any) -> Any:
    """Make a FunctionDef whose outputs are named ``o0``, ``o1`` and so on."""
    made = message_class("FunctionDef")(node_def=nodes)
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument)
    for index, reference in enumerate(returns):
        made.signature.output_arg.add(name=f"o{index}")
        made.ret[f"o{index}"] = reference
    for key, value in attrs.items():
        made.attr[key].CopyFrom(attribute(value))
    return made


def call(name: str, called: str, *inputs: str) -> Any:
    """Make a StatefulPartitionedCall."""
    return node(name, "StatefulPartitionedCall", *inputs, f=Func(called))


def meta_graph(nodes: Iterable[Any] = (), functions: Iterable[Any] = ()) -> Any:
    """Make a MetaGraphDef with the signature ``x`` to ``y``."""
    made = message_class("MetaGraphDef")()
    made.meta_info_def.tags.append("serve")
    made.graph_def.node.extend(nodes)
    made.graph_def.library.function.extend(functions)
    made.signature_def["serving_default"].inputs["x"].name = "x:0"
    made.signature_def["serving_default"].outputs["y"].name = "y:0"
    return made


def simple(*nodes: Any, functions: Iterable[Any] = ()) -> Any:
    """Make a MetaGraph whose signature calls the function ``serve``, which holds *nodes*."""
    serve = function("serve", ["x"], ["x"], *nodes)
    return meta_graph([node("x", "Placeholder"), call("y", "serve", "x")], [serve, *functions])


def bodies(made: Any) -> dict[str, Any]:
    """Return the repeated NodeDefs of each body of *made*."""
    return {"": made.graph_def.node, **{name: found.node_def for name, found in functions_of(made).items()}}


def functions_of(made: Any) -> dict[str, Any]:
    """Return the FunctionDefs of *made* by name."""
    return {found.signature.name: found for found in made.graph_def.library.function}


def model(
    *meta_graphs: Any, anomalies: tuple[Any, ...] = (), digest: str = "d1"
) -> tuple[SavedModelArtifact, ModelInfo]:
    """Return the artifact and the facts of a SavedModel with *meta_graphs*."""
    message = message_class("SavedModel")(meta_graphs=meta_graphs)
    artifact = SavedModelArtifact(
        Format.SAVED_MODEL,
        "model",
        Path("model"),
        message.SerializeToString(),
        message,
        files={},
        digest=digest,
        anomalies=anomalies,
    )
    facts = tuple(
        MetaGraphInfo(index, frozenset(made.meta_info_def.tags), graph=inspect_graph(made))
        for index, made in enumerate(meta_graphs)
    )
    info = ModelInfo(Format.SAVED_MODEL, "model", digest, 0, ProducerInfo(), saved_model=SavedModelInfo(facts))
    return artifact, info


def findings(*meta_graphs: Any, **options: Any) -> tuple[Finding, ...]:
    """Return what is found in a SavedModel with *meta_graphs*."""
    return examine(*model(*meta_graphs, **options))


def refusing(*meta_graphs: Any, **options: Any) -> list[Finding]:
    """Return the findings that refuse it."""
    return [found for found in findings(*meta_graphs, **options) if found.severity >= Severity.UNEXAMINED]


def rules(made: Any) -> set[str]:
    """Return the rules that find something in the MetaGraph *made*."""
    return {found.rule for found in findings(made)}
