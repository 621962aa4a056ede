"""Rules about what a graph provably costs: memory, loops without end, recursion. Layer: policy.

Only what follows from constants of the graph is found. What depends on data needs a process with limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeload.inspection.graph.info import GraphInfo, Node
from safeload.inspection.op_classes import op_table
from safeload.policy._finding import Finding, Severity
from safeload.policy.graph._calls import calls_of
from safeload.policy.graph._constants._sites import LOOPS
from safeload.policy.graph._constants._sizes import BUDGET
from safeload.policy.graph._constants._texts import LONGEST, WIDTHS
from safeload.policy.graph._constants._values import declared_elements
from safeload.policy.graph._costs._datasets import CONSUMERS, MANY, TAKERS, least_cardinality, most_searched
from safeload.policy.graph._costs._declared import DECLARED, declared_bytes, element_bytes
from safeload.policy.graph._costs._encoded import DECODERS, expanded_bytes
from safeload.policy.graph._costs._searches import (
    RATES,
    RETRIES,
    SAMPLERS,
    TURNS,
    is_obscure_rate,
    is_unreachable_rate,
    least_draws,
    least_retries,
    least_turns,
)
from safeload.policy.graph._costs._waits import MAX_SECONDS, TIMEOUTS, longest_wait, waiting
from safeload.readers.protobuf import dtype_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from safeload.policy.graph._constants._facts import Facts
    from safeload.policy.graph._subject import Subject

_DECODED_BUDGET = 1 << 29
"""Bytes that all decoders of a graph together may make of constants; no public model seen has one."""
_MAX_TENSORS = 1_000_000
"""Tensors that a node may declare: TensorFlow takes a kilobyte for each when it makes the graph (measured, 2.21)."""
_MAX_LENGTH = 100_000_000
"""Elements, characters, buckets or iterations that a node may declare: they take some ten bytes each."""
_MAX_TRIES = 1_000_000
"""Rounds, beams, attempts or samples that a node may declare: it computes something for each, whatever its input."""
_LEAST = -(1 << 63)
"""Of these a negative number may stand for a default; a negative number of tensors ends the process (2.21)."""
_LENGTHS = {
    **dict.fromkeys(
        [
            "M", "N", "Ncontext_dense", "Ncontext_sparse", "Ndense", "Nfeature_list_dense", "Nfeature_list_sparse",
            "Nsparse", "OUTPUT_RAGGED_RANK", "PARAMS_RAGGED_RANK", "RAGGED_RANK", "num", "num_bucketized_features",
            "num_dense_features", "num_features", "num_groups", "num_outputs", "num_params", "num_params_biases",
            "num_params_weights", "num_partitions", "num_row_partition_tensors", "num_sparse", "num_sparse_features",
            "num_sparse_features_with_values", "num_split", "num_streams", "num_tables", "output_ragged_rank",
            "top_paths",
        ],
        range(_MAX_TENSORS + 1),
    ),
    **dict.fromkeys(
        [
            "desired_samples", "filterbank_channel_count", "initial_num_bins", "initial_num_buckets", "num_bins",
            "parallel_iterations", "precision", "range_max", "width",
        ],
        range(_LEAST, _MAX_LENGTH + 1),
    ),
    **dict.fromkeys(
        [
            "beam_width", "max_attempts", "max_iter", "num_inner_iterations", "num_negative_samples", "num_sampled",
            "rounds",
        ],
        range(_LEAST, _MAX_TRIES + 1),
    ),
}  # fmt: skip
"""Attributes that decide how many tensors a node has, or elements or the like, and what they may be.

Source: op definitions of TensorFlow 2.21, and their kernels. Which ops have them is listed in
``inspection/op_classes.txt``.
"""
_MANY_NODES = 50_000_000
"""Nodes that the calls of a graph may come to; TensorFlow copies functions to where they are called."""
_COUNTLESS = 10**18
"""Nodes are not counted further."""
_UNREMARKABLE = BUDGET >> 5
"""Elements that are below that budget whatever their type: the largest, strings, take 24 bytes each."""
_FEW = 16
"""Elements of a constant that are not worth counting: its node takes as many bytes itself."""
_TEXT = 24
"""Bytes of the object that a tensor of texts has for each."""
_TENSOR = 32
"""Bytes of the object that a list of tensors has for each."""
_BY_DEFAULT = 4
"""Bytes of an element whose dtype is not written: defaults of ops are int32, float32 and int64."""
_OF_TEXTS = frozenset({*WIDTHS, *LONGEST})
_LISTS = frozenset({"TensorListReserve", "TensorListResize"})
_BOOLEAN = frozenset({"Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "NotEqual"})


def declared_sizes(subject: Subject) -> Iterator[Finding]:
    """Find constants that declare much more than the file stores."""
    total = 0
    for node, tensor in subject.constants:
        excess = _excess(tensor)
        total += excess
        if excess and total > BUDGET:
            yield _too_large(subject, node, total)
            break


def declared_lists(subject: Subject) -> Iterator[Finding]:
    """Find nodes that declare more tensors than any graph has, or fewer than none: TensorFlow makes the list first."""
    for node in subject.graph.nodes(*filter(_may_declare_list, subject.graph.by_op)):
        attributes = node.proto.attr
        for key in filter(_LENGTHS.__contains__, attributes):
            count = attributes[key].i
            if count not in _LENGTHS[key]:
                message = f"declares that {key} is {count:,}"
                yield subject.finding(node, rule="allocation", severity=Severity.DANGEROUS, message=message)


def _may_declare_list(op: str) -> bool:
    # TensorFlow refuses a node of its own with an attribute that its op does not have.
    return op in op_table().lists or op not in op_table().classes


def _excess(tensor: Any) -> int:
    """Return how many bytes more *tensor*, the value of a constant, declares than it stores."""
    elements = declared_elements(tensor.tensor_shape)
    if elements <= _FEW:
        return 0
    stored: int = tensor.ByteSize()
    return max(0, elements * element_bytes(tensor.dtype) - stored)


def declared_outputs(subject: Subject) -> Iterator[Finding]:
    """Find attributes that make their ops allocate more than any host should give."""
    for node in subject.graph.nodes(*DECLARED):
        size = declared_bytes(subject.facts, node)
        if size > BUDGET:
            yield _too_large(subject, node, size)


def provable_allocations(subject: Subject) -> Iterator[Finding]:
    """Find ops whose constant operands make them allocate more than any host should give."""
    found: dict[tuple[str, str], int] = {}
    unexplained: set[tuple[str, str]] = set()
    for site, fact, is_unexplained in subject.growth.outputs():
        place = (site.node.body, site.node.name)
        if fact.elements * max(1, fact.width) > _UNREMARKABLE:
            size = fact.elements * _output_bytes(site.node, fact.width)
            found[place] = max(size, found.get(place, 0))
        if is_unexplained:
            unexplained.add(place)
    for (body, name), size in found.items():
        if size > BUDGET:
            yield _too_large(subject, subject.graph.bodies[body].by_name[name], size)
    for body, name in unexplained:
        yield subject.finding(
            subject.graph.bodies[body].by_name[name],
            rule="allocation",
            severity=Severity.UNEXAMINED,
            message="makes as much as constants say in a way that is not understood",
        )


def unfinished(subject: Subject) -> Iterator[Finding]:
    """Find graphs with so much to follow that the rules before this one did not look at all of it."""
    if subject.is_cut:
        message = "has more calls, loops and sums of constants than are looked at"
        place = "graph_def"
        yield subject.about(place, rule="allocation", severity=Severity.UNEXAMINED, message=message, evidence="")


def encoded_constants(subject: Subject) -> Iterator[Finding]:
    """Find decoders that together make much of small constants."""
    left = _DECODED_BUDGET
    for node in subject.graph.nodes(*DECODERS):
        size = expanded_bytes(subject.facts.sites, node, left)
        left -= size
        if left < 0:
            yield _too_large(subject, node, size)
            break


def _output_bytes(node: Node, width: int) -> int:
    if node.op in _BOOLEAN:
        return 1
    if node.op in _OF_TEXTS:
        return _text_bytes(width)
    if node.op in _LISTS:
        return _TENSOR
    keys = ("output_type", "out_type", "dtype", "Tparams", "element_dtype", "T", "index_type", "Tidx")
    types = [node.proto.attr[key].type for key in keys if key in node.proto.attr]
    size = element_bytes(types[0]) if types else _BY_DEFAULT
    return _text_bytes(width) if dtype_name(types[0] if types else 0) == "string" else size


def _text_bytes(width: int) -> int:
    return _TEXT + (width if width >= _TEXT else 0)  # short ones are in the object


def _too_large(subject: Subject, node: Node, size: int) -> Finding:
    return subject.finding(
        node,
        rule="allocation",
        severity=Severity.DANGEROUS,
        message=f"needs {size:,} bytes of memory whatever its input",
        evidence=f"{size:,} bytes",
    )


def endless_loops(subject: Subject) -> Iterator[Finding]:
    """Find loops whose condition no iteration can change, those that count too far, and datasets that are too long."""
    loops = list(subject.graph.nodes("For", "LoopCond", *LOOPS))
    for node in loops:
        times = subject.loops.iterations(node)
        if subject.conditions.never_change(node):
            yield _endless(subject, node, "is a loop whose condition never changes")
        elif times > MANY:
            yield _endless(subject, node, f"is a loop that runs {times:,.0f} times whatever its input")
    unexplained = subject.loops.unexplained if loops else ()  # most graphs have none, and need not be searched
    for node in filter(subject.graph.reached, unexplained):
        message = "is a loop that runs as often as constants say in a way that is not understood"
        yield _endless(subject, node, message, severity=Severity.UNEXAMINED)
    passing = "goes through a dataset of {:,.0f} elements whatever its input"
    yield from _counted(subject, subject.graph.nodes(*CONSUMERS), least_cardinality, passing)
    takers = filter(subject.graph.reached, subject.graph.nodes(*TAKERS))
    looking = "may look for an element among {:,.0f} whatever its input"
    yield from _counted(subject, takers, most_searched, looking, severity=Severity.UNEXAMINED)


def endless_searches(subject: Subject) -> Iterator[Finding]:
    """Find random numbers that are looked for and never found."""
    for node in subject.graph.nodes(*RATES):
        if is_obscure_rate(subject.facts, node):
            message = "looks for random numbers at a rate of constants that is not understood, and may be no number"
            yield _endless(subject, node, message, severity=Severity.UNEXAMINED)
        elif is_unreachable_rate(subject.facts, node):
            yield _endless(subject, node, "looks for random numbers at a rate beyond all that it may make")
    yield from _counted(subject, subject.graph.nodes(*RETRIES), least_retries, "tries {:,.0f} times whatever its input")
    yield from _counted(
        subject, subject.graph.nodes(*TURNS), least_turns, "turns a hue back by steps that are too small"
    )
    for node in subject.graph.nodes(*SAMPLERS):
        if least_draws(node) > MANY:
            yield _endless(subject, node, "looks for more candidates than it ever draws")


def endless_waits(subject: Subject) -> Iterator[Finding]:
    """Find what waits for an element of a queue or the like that is never put there, or for other calls for hours."""
    for node in waiting(subject.graph):
        yield _endless(subject, node, "waits for something that nothing puts there")
    for node in subject.graph.nodes(*TIMEOUTS):
        seconds = longest_wait(node)
        if seconds > MAX_SECONDS:
            yield _endless(subject, node, f"waits {seconds:,} seconds for other calls")


def _counted(
    subject: Subject,
    nodes: Iterable[Node],
    count: Callable[[Facts, Node], float | None],
    message: str,
    *,
    severity: Severity = Severity.DANGEROUS,
) -> Iterator[Finding]:
    for node in nodes:
        times = count(subject.facts, node)
        if times is None:
            obscure = "goes through a dataset that constants make in a way that is not understood"
            yield _endless(subject, node, obscure, severity=Severity.UNEXAMINED)
        elif times > MANY:
            yield _endless(subject, node, message.format(times), severity=severity)


def _endless(subject: Subject, node: Node, message: str, *, severity: Severity = Severity.DANGEROUS) -> Finding:
    return subject.finding(node, rule="endless-loop", severity=severity, message=message)


def recursion(subject: Subject) -> Iterator[Finding]:
    """Find functions that call themselves, directly or through others: TensorFlow's executor deadlocks or overflows.

    Functions that call others twice, which call others twice, and so on, come to the same.
    """
    for node in subject.calls.cycles:
        yield _recursive(subject, node, "calls the function that it is part of")
    heaviest, count = _most_nodes(subject.graph, subject.calls.order)
    if heaviest is not None and count > _MANY_NODES:
        yield _recursive(subject, heaviest, f"and the calls below it come to {count:,} nodes")


def _recursive(subject: Subject, node: Node, message: str) -> Finding:
    return subject.finding(node, rule="recursion", severity=Severity.DANGEROUS, message=message)


def _most_nodes(graph: GraphInfo, order: Iterable[str]) -> tuple[Node | None, int]:
    """Return a call in the body that comes to most nodes with all that it calls, and their number.

    *order* has what is called before what calls it.
    """
    counts: dict[str, int] = {}
    for name in order:
        below = sum(counts.get(called, 0) for _, called in calls_of(graph, name))
        counts[name] = min(len(graph.bodies[name].nodes) + below, _COUNTLESS)
    most = max(counts, key=lambda name: counts[name])
    return next((node for node, _ in calls_of(graph, most)), None), counts[most]
