"""Rules about what the ops of a graph can reach outside of the model. Layer: policy.

The op table decides; `_EXCEPTIONS` lists the circumstances in which an op of a refused class is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from safeload.inspection.graph.info import MAIN, EntryKind, Node, reference_producer
from safeload.inspection.op_classes import op_class
from safeload.policy._finding import Finding, Severity
from safeload.policy.graph._origins import Origin, Source
from safeload.policy.graph._verdicts import OpVerdict, op_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safeload.policy.graph._subject import Subject


_LEFT_BEHIND = frozenset(
    {
        "file-read",
        "file-by-attribute",
        "table-from-file",
        "named-resource",
        "process-handle",
        "python",
        "uninitialised",
        "in-place",
    }
)
"""Classes that training pipelines leave in a graph: they do not refuse it where nothing reaches them."""
_COMPUTED_AT_IMPORT = frozenset(
    {
        "DecodeProtoV2", "EncodeProto", "GenerateVocabRemapping", "ImmutableConst", "PyFuncStateless",
        "SnapshotChunkDataset", "SnapshotDatasetReader", "SnapshotNestedDatasetReader",
    }
)  # fmt: skip
"""Stateless ops of these classes: TensorFlow computes them as it imports a graph, where they follow from constants.

`runtime` keeps it from doing so with ``ReadFile`` and ``MatchingFiles``, the only others that need no object and reach
more than the tensors of that computation.
Source: op definitions of TensorFlow 2.21; tensorflow/core/common_runtime/eval_const_tensor.cc.
"""
_FILE_OPERANDS = {
    "InitializeTableFromTextFile": 1,
    "InitializeTableFromTextFileV2": 1,
    "ReadFile": 0,
    "TextLineDataset": 0,
    "TFRecordDataset": 0,
    "TFRecordDatasetV2": 0,
    "FixedLengthRecordDataset": 0,
    "FixedLengthRecordDatasetV2": 0,
}
"""Which input of an op names the only files that it reads. Source: op definitions of TensorFlow 2.21."""
_STREAMS = frozenset({"", "stderr", "stdout", "log(info)", "log(warning)", "log(error)"})
"""Values of PrintV2's ``output_stream`` that name no file. Source: tensorflow/core/kernels/logging_ops.cc (2.21)."""
_SHARED_VARIABLES = frozenset({"VarHandleOp", "Variable", "VariableV2"})
_SEVERAL_VARIABLES = "_VarHandlesOp"
"""Its names are a list, which no loader makes its own. TensorFlow's optimizer makes it, and no release writes it."""
_TABLES = frozenset({"HashTableV2", "MutableDenseHashTableV2", "MutableHashTableOfTensorsV2", "MutableHashTableV2"})
_ANONYMOUS = "cd2c89b7-88b7-44c8-ad83-06c2a9158347"
"""The shared_name of resources that cannot be found by name.

Source: tensorflow/core/framework/resource_handle.h (2.21).
"""
_THREADING = 5
"""Number of ``threading_options``. Source: tensorflow/core/framework/dataset_options.proto (2.21)."""
_SAVERS = frozenset({EntryKind.SAVE, EntryKind.RESTORE})
_BESIDE_CALLS = _SAVERS | {EntryKind.INITIALIZER}


def refused_ops(subject: Subject) -> Iterator[Finding]:
    """Find ops outside the allow-list, in every function of every MetaGraph."""
    for op, nodes in subject.graph.by_op.items():
        verdict = op_verdict(op)
        if verdict is not None and (op == MAIN or op not in subject.graph.bodies):
            for node in nodes:
                yield from _judge_node(subject, node, verdict)


def _judge_node(subject: Subject, node: Node, verdict: OpVerdict) -> Iterator[Finding]:
    kind = op_class(node.op)
    if kind in _EXCEPTIONS and _EXCEPTIONS[kind](subject, node):
        return
    severity, message = verdict.severity, verdict.message
    if kind in _LEFT_BEHIND and node.op not in _COMPUTED_AT_IMPORT and not subject.graph.reached(node):
        severity, message = Severity.WARNING, f"{message}, but nothing that can be called reaches it"
    yield subject.finding(
        node, rule=verdict.rule, severity=severity, message=message, evidence=_evidence(subject, node)
    )


def _evidence(subject: Subject, node: Node) -> str:
    """Return the file that *node* names, as far as the graph tells."""
    operand = _FILE_OPERANDS.get(node.op)
    if operand is None:
        return node.op
    found = sorted(f"{origin.source.value} {origin.value!r}" for origin in subject.tracer.origins(node, operand))
    listed = ", ".join(found)
    return f"{node.op}({listed if len(listed) <= _MAX_EVIDENCE else listed[:_MAX_EVIDENCE] + '…'})"


_MAX_EVIDENCE = 160
"""Characters of names of files that are shown."""


def _prints_to_stream(_: Subject, node: Node) -> bool:
    return _text(node, "output_stream") in _STREAMS


def _is_own_resource(subject: Subject, node: Node) -> bool:
    """Return whether *node* makes a resource where a saver puts it, and none that has a name to be found by elsewhere.

    In the main graph resources have names, and the loader puts its own in their place. Tables have names in their
    creators, too, to which every load adds a suffix of its own (``fix_node_def`` in
    tensorflow/python/saved_model/function_deserialization.py, 2.21; `runtime` does the same): two loads never meet. A
    model that was loaded and saved again calls its old creators while it is initialised, saved and restored, and where
    a signature uses their tables. Variables have names in no function.
    """
    if node.op == _SEVERAL_VARIABLES:
        return False
    if node.body == MAIN:
        return True
    name = _text(node, "shared_name")
    if name == _ANONYMOUS:
        return True
    if name and node.op in _SHARED_VARIABLES:
        return False
    reached = subject.graph.reached(node)
    is_own_table = node.op in _TABLES and EntryKind.INITIALIZER in reached
    return node.body in subject.graph.creators or is_own_table or (bool(reached) and reached <= _BESIDE_CALLS)


def _is_restoring(subject: Subject, node: Node) -> bool:
    kinds = subject.graph.reached(node)
    if not kinds <= _SAVERS:
        return False
    return EntryKind.RESTORE not in kinds or _sources(subject.tracer.origins(node, 0)) == {Source.SAVER_FILENAME}


def _is_saving(subject: Subject, node: Node) -> bool:
    return subject.graph.reached(node) <= {EntryKind.SAVE}


def _reads_asset(subject: Subject, node: Node) -> bool:
    operand = _FILE_OPERANDS.get(node.op)
    return operand is not None and _sources(subject.tracer.origins(node, operand)) == {Source.ASSET}


def _caches_in_memory(subject: Subject, node: Node) -> bool:
    return subject.tracer.origins(node, 1) == {Origin(Source.CONSTANT)}


def _names_no_file(_: Subject, node: Node) -> bool:
    source = _text(node, "descriptor_source")
    return not _text(node, "vocab_file") and (source in {"", "local://"} or source.startswith("bytes://"))


def _dumps_nowhere(_: Subject, node: Node) -> bool:
    return not any(_texts(node, key) for key in ("debug_urls", "debug_ops_spec"))


def _starts_no_threads(_: Subject, node: Node) -> bool:
    options = node.proto.attr.get("serialized_options")
    try:
        fields = UnknownFieldSet(Empty.FromString(options.s if options is not None else b""))
    except DecodeError:
        return False
    return not any(fields[i].data for i in range(len(fields)) if fields[i].field_number == _THREADING)


def _is_plain_module(subject: Subject, node: Node) -> bool:
    return node in subject.plain_modules


def _is_filled(subject: Subject, node: Node) -> bool:
    """Return whether something fills what *node* gives before anything reads it.

    ``FakeParam`` stands for what the other branch of a condition has for its gradient, where XLA compiles both.
    Source: ``_make_intermediates_match_xla`` in tensorflow/python/ops/cond_v2.py (1.13 to 2.21); ``accumulate_n`` in
    tensorflow/python/ops/math_ops.py (1.4), which assigns to its ``TemporaryVariable`` first.
    """
    if node.op == "Empty":
        return "init" in node.proto.attr and bool(node.proto.attr["init"].b)
    takers = subject.takers(node)
    is_assigned = all(taker is not None and (taker.op, place) == ("Assign", 0) for taker, place in takers)
    return node.op == "TemporaryVariable" and is_assigned


def _is_on_a_copy(subject: Subject, node: Node) -> bool:
    """Return whether *node* changes a copy, as ``inplace_update`` of tensorflow/python/ops/inplace_ops.py (2.21)."""
    maker = subject.graph.bodies[node.body].by_name.get(reference_producer(node.inputs[0])) if node.inputs else None
    return maker is not None and maker.op == "DeepCopy"


_EXCEPTIONS: dict[str | None, Callable[[Subject, Node], bool]] = {
    "print": _prints_to_stream,
    "named-resource": _is_own_resource,
    "checkpoint-read": _is_restoring,
    "checkpoint-write": _is_saving,
    "table-from-file": _reads_asset,
    "file-read": _reads_asset,
    "dataset-cache": _caches_in_memory,
    "file-by-attribute": _names_no_file,
    "debug": _dumps_nowhere,
    "stablehlo": _is_plain_module,
    "dataset-options": _starts_no_threads,
    "uninitialised": _is_filled,
    "in-place": _is_on_a_copy,
}
"""When an op of a refused class is harmless where it stands."""


def _sources(origins: frozenset[Origin]) -> set[Source]:
    return {origin.source for origin in origins}


def _text(node: Node, key: str) -> str:
    value = node.proto.attr.get(key)
    return value.s.decode("utf-8", "replace") if value is not None else ""


def _texts(node: Node, key: str) -> list[bytes]:
    value = node.proto.attr.get(key)
    return list(value.list.s) if value is not None else []
