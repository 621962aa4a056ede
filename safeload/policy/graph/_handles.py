"""Rules about objects of TensorFlow's that bytes of a file stand for: handles of resources, variants. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.inspection.graph.info import Node, reference_producer
from safeload.policy._finding import Finding, Severity
from safeload.readers.saved_model.references import closure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.policy.graph._subject import Subject, Taker

_OBJECTS = frozenset({20, 120, 21, 121})
"""Numbers of the dtypes resource and variant, and of their references.

Source: tensorflow/core/framework/types.proto (2.21).
"""
_MADE_OF_BYTES = {
    "DTensorRestoreV2": "dtypes",
    "DeserializeManySparse": "dtype",
    "DeserializeSparse": "dtype",
    "ParseTensor": "out_type",
    "Restore": "dt",
    "RestoreSlice": "dt",
    "RestoreV2": "dtypes",
}
"""Ops that make tensors of bytes, and their attribute with the dtypes. Source: op definitions of TensorFlow 2.21."""
_MAKING = frozenset(
    [
        "Barrier", "ConditionalAccumulator", "FIFOQueue", "FakeQueue", "FixedLengthRecordReader", "HashTable",
        "IdentityReader", "LMDBReader", "MutableDenseHashTable", "MutableHashTable", "MutableHashTableOfTensors",
        "PaddingFIFOQueue", "PriorityQueue", "RandomShuffleQueue", "SparseConditionalAccumulator", "Stack",
        "TFRecordReader", "TensorArray", "TensorArrayGrad", "TextLineReader", "WholeFileReader",
    ]
)  # fmt: skip
"""Ops before ``…V2`` that give an object as a reference to two strings, by which it is found. Source: as above."""
_TAKING = {
    **dict.fromkeys(
        [
            "AccumulatorApplyGradient", "AccumulatorNumAccumulated", "AccumulatorSetGlobalStep",
            "AccumulatorTakeGradient", "BarrierClose", "BarrierIncompleteSize", "BarrierInsertMany", "BarrierReadySize",
            "BarrierTakeMany", "InitializeTable", "InitializeTableFromTextFile", "LookupTableExport", "LookupTableFind",
            "LookupTableImport", "LookupTableInsert", "LookupTableSize", "QueueClose", "QueueDequeue",
            "QueueDequeueMany", "QueueDequeueUpTo", "QueueEnqueue", "QueueEnqueueMany", "QueueIsClosed", "QueueSize",
            "ReaderNumRecordsProduced", "ReaderNumWorkUnitsCompleted", "ReaderReset", "ReaderRestoreState",
            "ReaderSerializeState", "SparseAccumulatorApplyGradient", "SparseAccumulatorTakeGradient", "StackClose",
            "StackPop", "StackPush", "TensorArrayClose", "TensorArrayConcat", "TensorArrayGather", "TensorArrayPack",
            "TensorArrayRead", "TensorArrayScatter", "TensorArraySize", "TensorArraySplit", "TensorArrayUnpack",
            "TensorArrayWrite",
        ],
        1,
    ),
    "ReaderRead": 2,
    "ReaderReadUpTo": 2,
}  # fmt: skip
"""Ops whose first inputs are such references, and how many. Source: as above."""
_PASSING = {
    **dict.fromkeys(["DebugGradientRefIdentity", "RefEnter", "RefExit", "RefIdentity"], slice(None)),
    **dict.fromkeys(["RefMerge", "RefNextIteration"], slice(None)),
    "RefSelect": slice(1, None),
    "RefSwitch": slice(1),
}
"""Ops that pass references on, and which of their inputs these are. Source: as above."""


_UNBATCHING = ("Unbatch", "UnbatchGrad")
"""Ops that take apart what ``Batch`` put together, by its places. Source: tensorflow/core/kernels/batch_kernels.cc."""


def forged_handles(subject: Subject) -> Iterator[Finding]:
    """Find objects among the constants and what is read: a process makes them, and none is saved.

    A handle may be that of another model. What is inside a variant TensorFlow takes as it stands, with sizes and
    offsets that it does not compare with the bytes.
    """
    nodes = [node for node, tensor in subject.constants if tensor.dtype in _OBJECTS]
    for node in subject.graph.nodes(*_MADE_OF_BYTES):
        dtypes = node.proto.attr.get(_MADE_OF_BYTES[node.op])
        if dtypes is not None and not _OBJECTS.isdisjoint([dtypes.type, *dtypes.list.type]):
            nodes.append(node)
    for node in nodes:
        yield _finding(subject, node, "makes a handle or an object of the process of bytes, which may be any")


def forged_references(subject: Subject) -> Iterator[Finding]:
    """Find handles in strings that are not those of an op that makes an object, or that something else may change.

    Whatever writes two strings into a variable has a reference to them, with which it finds objects of other models.
    """
    held = _holders(subject)
    for node in filter(subject.graph.reached, subject.graph.nodes(*_MAKING, *_PASSING)):
        if node in held and not all(map(_is_only_used, subject.takers(node))):
            yield _finding(subject, node, "gives a handle to what may change it")
    for node in filter(subject.graph.reached, subject.graph.nodes(*_TAKING, *_PASSING)):
        handles = node.inputs[_PASSING.get(node.op) or slice(_TAKING[node.op])]
        makers = [subject.graph.bodies[node.body].by_name.get(reference_producer(handle)) for handle in handles]
        if (node in held or node.op in _TAKING) and not held.issuperset(makers):
            yield _finding(subject, node, "takes a handle that may be any text")


def forged_places(subject: Subject) -> Iterator[Finding]:
    """Find places in a batch that no batch gave: TensorFlow ends the process over those that are none."""
    for node in filter(subject.graph.reached, subject.graph.nodes(*_UNBATCHING)):
        maker = subject.graph.bodies[node.body].by_name.get(reference_producer("".join(node.inputs[1:2])))
        if maker is None or maker.op != "Batch" or node.inputs[1] not in _places(maker):
            yield _finding(subject, node, "takes places in a batch that no batch gave")


def _places(batch: Node) -> tuple[str, str]:
    """Return how the main graph and functions name the places that *batch* gives, behind its tensors."""
    count = len([reference for reference in batch.inputs if not reference.startswith("^")])
    return f"{batch.name}:{count}", f"{batch.name}:batch_index:0"


def _holders(subject: Subject) -> set[Node]:
    """Return what gives a handle, or passes one on."""

    def passing(node: Node) -> Iterator[Node]:
        return (taker for taker, _ in subject.takers(node) if taker is not None and taker.op in _PASSING)

    return closure(subject.graph.nodes(*_MAKING), passing)


def _is_only_used(taker: Taker) -> bool:
    node, place = taker
    return node is not None and (node.op in _PASSING or place < _TAKING.get(node.op, 0))


def _finding(subject: Subject, node: Node, message: str) -> Finding:
    return subject.finding(node, rule="forged-handle", severity=Severity.DANGEROUS, message=message)
