"""Inputs and outputs of a graph that declares none: placeholders, and what nothing consumes. Layer: readers.

They go into SignatureDefs of the graph, so that the policy sees from where it is executed and the runtime what to feed
and fetch. The rule is the one of TensorFlow's ``summarize_graph``, less what only training and saving use.
Source: tensorflow/tools/graph_transforms/summarize_graph_main.cc (TensorFlow 2.15, the last one with it).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from safeload.readers.protobuf import parse_message
from safeload.readers.saved_model.output_types import BOOL, FLOATS, HANDLES, output_types, type_attribute
from safeload.readers.saved_model.queues import WITH_DEFAULT, fed_by_training
from safeload.readers.saved_model.references import closure, is_data, reference_producer, scopes
from safeload.readers.saved_model.training import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

ALL_OUTPUTS = "graph"
"""Key of the signature with every output, where all are computed from the same inputs."""

_MAX_OUTPUTS = 64
"""A graph where more nodes are consumed by none says nothing about what its author wanted."""

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", WITH_DEFAULT})
VARIABLES = frozenset({"VariableV2", "Variable", "VarHandleOp"})
_SOURCES = PLACEHOLDERS | VARIABLES | {"Const"}
"""Ops whose values are given, and no results."""

LOCAL_VARIABLES = "local_variables"
"""Collection of the variables that an initializer fills before each run.

Source: ``GraphKeys`` in tensorflow/python/framework/ops.py (2.21).
"""

_SWITCHES, _MERGES = frozenset({"Switch", "RefSwitch"}), frozenset({"Merge", "RefMerge"})
"""Where branches of tf.cond begin and end. Source: tensorflow/python/ops/cond.py (2.21), ``switch_t``, ``merges``."""

_ENTERS, _EXITS = frozenset({"Enter", "RefEnter"}), frozenset({"Exit", "RefExit"})
"""Where loops begin and end. Source: tensorflow/core/ops/control_flow_ops.cc (2.21)."""
_LOOPS = frozenset({"While", "StatelessWhile"})
"""Loops of functions, with an Identity for each result. Source: ``while_loop`` in ops/while_v2.py (2.21)."""
_BOUNDS, _STEPS = frozenset({"Max", "Min"}), frozenset({"Transpose"})
_MAX_NESTED = 16

_BOOKKEEPING = re.compile(
    r"NoOp|Assert|ControlTrigger|PrintV2|.*Summary(V2)?|Save(V2|Slices)?|Restore(V2|Slice)?|MergeV2Checkpoints"
    r"|Sharded(Filename|Filespec)|Assign\w*|(Resource)?(Sparse)?Apply\w+|(Resource)?Scatter(Nd)?[A-Z]\w*"
    r"|Initialize\w*|LookupTable(Import|Insert)\w*|\w+(Enqueue|EnqueueMany|Close)(V2)?|(Destroy|Delete)\w+"
)
"""Ops that save, restore, initialise, train or report: none of their results is a prediction."""

_TRAINING = re.compile(r"(Resource)?(Sparse)?Apply\w+")
"""Ops of optimizers. What comes after one, as the powers of Adam do, takes a step of training to compute."""

_STEP = re.compile(rf"{_TRAINING.pattern}|(Resource)?ScatterSub")
"""The same, and what tf.train.GradientDescentOptimizer has for the rows of embeddings."""

_ACCUMULATOR = "EmptyTensorList"
"""What a gradient lets a loop collect, and so comes before it. Source: ``_WhileBodyGradFuncGraph``, same file."""

_SAVERS = frozenset({"SaveV2", "SaveSlices", "Save", "RestoreV2", "RestoreSlice", "Restore"})
"""Ops of a tf.train.Saver, which has a name scope of its own; a graph that was saved ten times has ten of them."""

_TRAINING_SCOPE = re.compile(r"(?:^|/)gradients(?:_\d+)?/(?:(.+?)_grad/)?")
"""Where tf.gradients puts its nodes, each in a scope of the node that it differentiates.

Source: ``_GradientsHelper`` in tensorflow/python/ops/gradients_util.py (2.21).
"""

_REPORTS = frozenset({"Assert", "ScalarSummary", "WriteScalarSummary"})

_SHOWING = frozenset(
    {
        "Cast",
        "Concat",
        "ConcatV2",
        "ExpandDims",
        "Pack",
        "Reshape",
        "Slice",
        "Squeeze",
        "StridedSlice",
        "Tile",
        "Transpose",
    }
)
"""Ops that make an image of a result, and change no number but its type."""

_GUARD_SCOPE = re.compile(r"(^|/)AssertGuard(_\d+)?(/|$)")
"""The branches of tf.cond in which tf.Assert fails or goes on.

Source: ``Assert`` in tensorflow/python/ops/control_flow_ops.py (1.8 to 2.3), control_flow_assert.py (2.21).
"""

_PREDICATE = re.compile(r"(^|/)pred_id(_\d+)?$")
"""Conditions of tf.cond, which its branches may leave unused.

Source: ``cond`` in tensorflow/python/ops/cond.py (2.21).
"""

_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
"""Ops that need the shape of their input and not its values."""

_OLDEST_KNOWN_SHAPE = 21
"""Up to this version of graphs the shape of a scalar stood for an unknown one.

Source: Placeholder in tensorflow/core/ops/array_ops.cc (2.21).
"""


def derive_signatures(meta_graph: Any, without_value: Iterable[str] = ()) -> tuple[str, ...]:
    """Give *meta_graph* the SignatureDefs that follow from its nodes.

    Inputs are the placeholders on which an output depends; outputs are the nodes that depend on a placeholder, that
    no other node consumes, that are in no loop, and that can be computed without a step of training and without the
    variables *without_value*. What is assigned to a variable, as the averages of batches are, is none beside others;
    nor is what is only asserted, reported as a number or shown as an image, or the loss of a graph that trains. Of a
    graph that was not cut down to its outputs, neither is what loops and branches left unused, or what comes from a
    label or from no variable; what is compared with labels is one there, unless an output follows from it. Where all
    outputs have the same inputs there is one signature, named after its only output or `ALL_OUTPUTS`; otherwise there
    is one for each output, named after it, for the caller to choose.

    Returns:
        The outputs where they are too many for signatures, those of floats first; otherwise nothing.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    consumers = _consumers(nodes)
    empty = closure(without_value, lambda name: consumers.get(name, ()))
    differentiated, gradients = _trained(nodes)
    fed = closure(_inputs(nodes), lambda name: consumers.get(name, ())) - _unfetchable(nodes, consumers) - gradients
    found = [name for name in _ends(nodes) if name in fed and _is_result(nodes[name], nodes)]
    aside = _written(nodes) | _inside_branches(nodes, consumers) | _leftovers(nodes, consumers)
    ends = _but([name for name in found if name not in aside], empty)
    reported = differentiated | _reported(nodes)
    outputs = [name for name in ends if name not in reported]
    if _is_whole(nodes):
        outputs = _but(outputs, _beside_loops(nodes, _STEPS))  # which a user of the last state leaves
        placeholders, variables = _of(nodes, PLACEHOLDERS), _of(nodes, VARIABLES)
        fitted = fit(nodes, {*(ends or found)}, placeholders=placeholders, variables=variables, trains=bool(gradients))
        predicting = fitted.learned - fitted.figures
        learned = [name for name in outputs if name in predicting]
        compared = sorted(fitted.predictions & fed - _ancestors(nodes, learned))
        outputs = _but([*learned, *compared], empty) or outputs
    outputs = outputs or ends or _but(found, empty)
    if len(outputs) > _MAX_OUTPUTS:
        return tuple(sorted(outputs, key=lambda name: FLOATS.isdisjoint(output_types(nodes[name]))))
    given = fed_by_training(meta_graph.graph_def)
    inputs = {name: _placeholders(nodes, name, given) for name in outputs}
    if len({inputs[name] for name in outputs}) == 1:
        key = outputs[0] if len(outputs) == 1 else ALL_OUTPUTS
        _add_signature(meta_graph, key, nodes, inputs[outputs[0]], outputs)
        return ()
    for name in outputs:
        _add_signature(meta_graph, name, nodes, inputs[name], [name])
    return ()


def _but(names: list[str], others: AbstractSet[str]) -> list[str]:
    """Return *names* without *others*, or all of them if there are no others."""
    return [name for name in names if name not in others] or names


def outputs_of(meta_graph: Any) -> tuple[str, ...]:
    """Return the outputs that follow from the nodes of *meta_graph*, for the caller to choose."""
    derived = type(meta_graph)()
    derived.CopyFrom(meta_graph)
    ends = derive_signatures(derived, variables_without_value(meta_graph))
    return ends or tuple(sorted({name for found in derived.signature_def.values() for name in found.outputs}))


def add_signature(meta_graph: Any, key: str) -> bool:
    """Give *meta_graph* a SignatureDef of the node or the tensor *key*: ``y`` has all outputs of the node, ``y:1`` one.

    Returns:
        False if there is none whose value could be fetched.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    name, colon, number = key.partition(":")
    node = nodes.get(name)
    if node is None or _BOOKKEEPING.fullmatch(node.op) or not (_is_result(node, nodes) and output_types(node)):
        return False
    if colon and number not in map(str, range(len(output_types(node)))):
        return False
    consumers = _consumers(nodes)
    if name in _unfetchable(nodes, consumers) | _inside_branches(nodes, consumers):
        return False
    inputs = _placeholders(nodes, name, fed_by_training(meta_graph.graph_def))
    _add_signature(meta_graph, key, nodes, inputs, [name])
    outputs = meta_graph.signature_def[key].outputs
    for other in [other for other, info in outputs.items() if colon and info.name != key]:
        del outputs[other]
    return True


def variables_behind(meta_graph: Any) -> list[str]:
    """Return the variables that the outputs of any SignatureDef of *meta_graph* need."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    fetched = {info.name for signature in meta_graph.signature_def.values() for info in signature.outputs.values()}
    return sorted(name for name in _ancestors(nodes, fetched) if nodes[name].op in VARIABLES)


def variables_without_value(meta_graph: Any) -> frozenset[str]:
    """Return the variables of *meta_graph* that neither its saver restores nor an initializer gives a value."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    restore = reference_producer(meta_graph.saver_def.restore_op_name)
    if restore not in nodes:
        return frozenset()
    assigning = [nodes[name] for name in _ancestors(nodes, [restore]) if nodes[name].op.startswith("Assign")]
    valued = {reference_producer(reference) for node in assigning for reference in node.input[:1]}
    if LOCAL_VARIABLES in meta_graph.collection_def:
        for packed in meta_graph.collection_def[LOCAL_VARIABLES].bytes_list.value:
            local = parse_message("VariableDef", packed, where=f"collection {LOCAL_VARIABLES}")
            valued.add(reference_producer(local.variable_name))
    return frozenset(_of(nodes, VARIABLES) - valued)


def _is_whole(nodes: Mapping[str, Any]) -> bool:
    """Tell a graph with a saver from one cut down to its outputs, by freeze_graph: all that is unused was asked for."""
    return any(node.op in _SAVERS for node in nodes.values())


def _of(nodes: Mapping[str, Any], ops: AbstractSet[str]) -> set[str]:
    return {name for name, node in nodes.items() if node.op in ops}


def _inputs(nodes: Mapping[str, Any]) -> set[str]:
    """Return the placeholders; of a graph that is whole and reads its own data, not the one that says if it trains."""
    given = _of(nodes, PLACEHOLDERS)
    return {name for name in given if not _is_switch(nodes[name])} if _is_whole(nodes) else given


def _is_switch(node: Any) -> bool:
    return type_attribute(node, "dtype") == BOOL and not ("shape" in node.attr and node.attr["shape"].shape.dim)


def _ends(nodes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the nodes that no node outside of training, saving and summaries consumes."""
    savers = {name.rpartition("/")[0] for name, node in nodes.items() if node.op in _SAVERS} - {""}
    used, shown = _consumed(nodes.values()), _shown(nodes)
    others = [(name, node) for name, node in nodes.items() if name not in shown]
    rest = [name for name, node in others if not (_is_bookkeeping(node, savers) or _is_unused_print(node, used))]
    consumed = _consumed(nodes[name] for name in rest)
    yield from (name for name in rest if name not in consumed)


def _shown(nodes: Mapping[str, Any]) -> set[str]:
    """Return what only summaries of images take: casts and parts of what may be an output."""
    sources = {name: _consumed([node]) for name, node in nodes.items()}
    left = Counter(source for found in sources.values() for source in found)
    shown: set[str] = set()
    pending = [name for name, node in nodes.items() if node.op == "ImageSummary"]
    while pending:
        for source in sources[pending.pop()]:
            left[source] -= 1
            if not left[source] and source in nodes and nodes[source].op in _SHOWING:
                shown.add(source)
                pending.append(source)
    return shown


def _consumed(nodes: Iterable[Any]) -> set[str]:
    return {reference_producer(source) for node in nodes for source in filter(is_data, node.input)}


def _is_unused_print(node: Any, used: set[str]) -> bool:
    """Tell whether a tf.Print only prints: it also returns its first input, and what follows may take that."""
    return node.op == "Print" and node.name not in used


def _written(nodes: Mapping[str, Any]) -> set[str]:
    """Return the nodes whose values are assigned to variables, and the ends of branches that assign."""
    assigning = {name for name, node in nodes.items() if node.op.startswith("Assign")}
    merges = {name for name, node in nodes.items() if node.op in _MERGES and _consumed([node]) & assigning}
    return merges | {reference_producer(source) for name in assigning for source in nodes[name].input}


def _trained(nodes: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the nodes that training differentiates, losses among them, and those that are made of their gradients."""
    if not any(_STEP.fullmatch(node.op) for node in nodes.values()):
        return set(), set()
    scoped = {name: match[1] for name in nodes if (match := _TRAINING_SCOPE.search(name))}
    by_data = _consumers(nodes, with_control=False)

    def following(name: str) -> Iterable[str]:
        return by_data.get(name, ()) if nodes[name].op != _ACCUMULATOR else ()

    return {*scoped.values()} - {None}, closure(scoped, following)


def _reported(nodes: Mapping[str, Any]) -> set[str]:
    """Return what is asserted, reported as a number, or printed and not also handed on by what prints it."""
    reports = (node for node in nodes.values() if node.op in _REPORTS or _GUARD_SCOPE.search(node.name))
    prints = [[reference_producer(source) for source in node.input] for node in nodes.values() if node.op == "Print"]
    return _consumed(reports).union(*({*inputs[1:]} - {*inputs[:1]} for inputs in prints))


def _leftovers(nodes: Mapping[str, Any], consumers: Mapping[str, list[str]]) -> set[str]:
    """Return what loops and branches need, and what follows from shapes alone, of a graph that is whole."""
    if not _is_whole(nodes):
        return set()
    predicates = {name for name in nodes if _PREDICATE.search(name)}
    beside = _loop_results(nodes) | _beside_loops(nodes, _BOUNDS)
    return beside | predicates | (nodes.keys() - _valued(nodes, consumers))


def _loop_results(nodes: Mapping[str, Any]) -> set[str]:
    return {name for name, node in nodes.items() if node.op in _EXITS or _hands_on(node, _LOOPS, nodes)}


def _beside_loops(nodes: Mapping[str, Any], ops: AbstractSet[str]) -> set[str]:
    """Return the nodes of *ops* that tf.nn.dynamic_rnn has beside its loop: bounds of lengths, and what all steps give.

    Source: ``dynamic_rnn`` and ``_dynamic_rnn_loop`` in tensorflow/python/ops/rnn.py (1.0 to 2.3).
    """
    loops = {name.rpartition("/while/")[0] for name in _loop_results(nodes)}
    return {name for name in _of(nodes, ops) if name.rpartition("/")[0] in loops}


def _valued(nodes: Mapping[str, Any], consumers: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes that depend on the values of placeholders, be it by the branch that is taken."""
    by_data = _consumers(nodes, with_control=False)

    def following(name: str) -> Iterator[str]:
        after = consumers if _is_pivot(nodes[name], nodes) else by_data
        yield from (found for found in after.get(name, ()) if nodes[found].op not in _SHAPES)

    return closure(_of(nodes, PLACEHOLDERS), following)


def _is_bookkeeping(node: Any, savers: set[str]) -> bool:
    if not savers.isdisjoint(scopes(node.name)):
        return True
    scoped = _TRAINING_SCOPE.search(node.name) or _GUARD_SCOPE.search(node.name)
    return bool(_BOOKKEEPING.fullmatch(node.op) or scoped)


def _is_result(node: Any, nodes: Mapping[str, Any]) -> bool:
    """Tell results from what has no input or no values, and from pivots of branches, which only control edges leave."""
    is_handle = node.op == "Identity" and output_types(node)[0] in HANDLES
    return not (is_handle or _is_pivot(node, nodes)) and node.op not in _SOURCES


def _is_pivot(node: Any, nodes: Mapping[str, Any]) -> bool:
    return _hands_on(node, _SWITCHES, nodes)


def _hands_on(node: Any, ops: AbstractSet[str], nodes: Mapping[str, Any]) -> bool:
    source = nodes.get(reference_producer(node.input[0])) if node.input else None
    return node.op == "Identity" and source is not None and source.op in ops


def _consumers(nodes: Mapping[str, Any], *, with_control: bool = True) -> dict[str, list[str]]:
    consumers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for source in node.input if with_control else filter(is_data, node.input):
            consumers.setdefault(reference_producer(source), []).append(name)
    return consumers


def _reached(
    nodes: Mapping[str, Any], consumers: Mapping[str, list[str]], is_start: Callable[[str], object]
) -> set[str]:
    """Return the nodes of ops that *is_start* is true of, and all that come after them by any edge."""
    return closure([name for name, node in nodes.items() if is_start(node.op)], lambda name: consumers.get(name, ()))


def _unfetchable(nodes: Mapping[str, Any], consumers: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes that have no value for a caller, or that take a step of training to compute."""
    return _inside_loops(nodes, consumers) | _reached(nodes, consumers, _TRAINING.fullmatch)


def _inside_loops(nodes: Mapping[str, Any], consumers: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes that have a value for each turn of a loop, and so none that could be fetched."""
    return _between(_of(nodes, _ENTERS), _of(nodes, _EXITS), consumers)


def _inside_branches(nodes: Mapping[str, Any], consumers: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes that have no value when the other branch of a tf.cond is taken."""

    def takes(node: Any, op: str) -> bool:
        return any(nodes[source].op == op for source in map(reference_producer, node.input) if source in nodes)

    switches = {name for name, node in nodes.items() if node.op in _SWITCHES and not takes(node, "LoopCond")}
    merges = {name for name, node in nodes.items() if node.op in _MERGES and not takes(node, "NextIteration")}
    return _between(switches, merges, consumers)


def _between(opening: AbstractSet[str], closing: AbstractSet[str], consumers: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes after *opening* ones that come before as many *closing* ones."""
    depths: dict[str, int] = {}
    pending = [(name, 1) for name in opening]
    while pending:
        name, depth = pending.pop()
        if depths.get(name, 0) < depth <= _MAX_NESTED:
            depths[name] = depth
            after = depth - (name in closing)
            pending += [(found, after + (found in opening)) for found in consumers.get(name, ())]
    return {name for name, depth in depths.items() if depth > (name in closing)}


def _placeholders(nodes: Mapping[str, Any], name: str, given: AbstractSet[str]) -> tuple[str, ...]:
    """Return the placeholders that *name* needs, those that are always *given* in place of what they come from."""
    return tuple(sorted(found for found in _ancestors(nodes, [name], given) if nodes[found].op in PLACEHOLDERS))


def _ancestors(nodes: Mapping[str, Any], roots: Iterable[str], given: AbstractSet[str] = frozenset()) -> set[str]:
    def sources(name: str) -> Iterable[str]:
        return map(reference_producer, nodes[name].input) if name in nodes and name not in given else ()

    return closure(map(reference_producer, roots), sources) & nodes.keys()


def _add_signature(
    meta_graph: Any, key: str, nodes: Mapping[str, Any], inputs: Iterable[str], outputs: Iterable[str]
) -> None:
    signature = meta_graph.signature_def[key]
    for name in inputs:
        describe_input(signature.inputs[name], nodes[name], meta_graph.graph_def.versions.producer)
    for name in outputs:
        for index, dtype in enumerate(output_types(nodes[name])):
            info = signature.outputs[f"{name}:{index}" if index else name]
            info.name, info.dtype = f"{name}:{index}", dtype
            info.tensor_shape.unknown_rank = True


def describe_input(info: Any, node: Any, producer: int) -> None:
    """Let the TensorInfo *info* be the placeholder *node* of a graph that version *producer* of TensorFlow's made."""
    info.name, info.dtype = f"{node.name}:0", type_attribute(node, "dtype")
    shape = node.attr["shape"].shape if "shape" in node.attr else None
    if shape is None or (not shape.dim and producer <= _OLDEST_KNOWN_SHAPE):
        info.tensor_shape.unknown_rank = True
    else:
        info.tensor_shape.CopyFrom(shape)
