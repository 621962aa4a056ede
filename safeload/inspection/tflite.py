"""Facts about a TensorFlow Lite model: signatures, ops. Layer: inspection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from safeload.inspection._info import ModelInfo, ProducerInfo, SignatureInfo, TensorInfo, TFLiteInfo
from safeload.inspection.tflite_ops import BUILTIN_OPS, CUSTOM, FLEX_PREFIX, KNOWN_CUSTOM_OPS

if TYPE_CHECKING:
    from safeload.readers import TFLiteArtifact
    from safeload.readers.tflite.model import TFLiteOp, TFLiteSignature, TFLiteSubgraph, TFLiteTensor

MAIN = "main"
"""Key of the signature of a model that declares none: its first subgraph."""

_PREFIX = "serving_default_"


def inspect_tflite(artifact: TFLiteArtifact) -> ModelInfo:
    """Describe a TensorFlow Lite model.

    Models without SignatureDefs (before TensorFlow 2.5) have the one signature `MAIN`, whose names are those of the
    tensors.
    """
    ops = sorted({op_name(op) for subgraph in artifact.model.subgraphs for op in subgraph.ops})
    custom = [op for op in ops if op not in BUILTIN_OPS and op not in KNOWN_CUSTOM_OPS and not op.startswith("#")]
    info = TFLiteInfo(
        signatures=tuple(_signatures(artifact)),
        ops=tuple(ops),
        missing_ops=tuple((op, None) for op in custom if not op.startswith(FLEX_PREFIX)),
        flex_ops=tuple(op for op in custom if op.startswith(FLEX_PREFIX)),
        subgraphs=artifact.model.subgraphs,
    )
    return ModelInfo(artifact.format, artifact.where, artifact.digest, artifact.size, ProducerInfo(), tflite=info)


def op_name(op: TFLiteOp) -> str:
    """Return the name of an op: of a builtin, of a custom one, or its number where the table has none."""
    name = BUILTIN_OPS[op.builtin] if 0 <= op.builtin < len(BUILTIN_OPS) else f"#{op.builtin}"
    return op.custom if name == CUSTOM else name


def _signatures(artifact: TFLiteArtifact) -> Iterator[SignatureInfo]:
    subgraphs = artifact.model.subgraphs
    for found in sorted(artifact.model.signatures, key=lambda signature: signature.key):
        yield _declared(found, subgraphs[found.subgraph])
    if not artifact.model.signatures:
        main = subgraphs[0]
        inputs, outputs = ([main.tensors[index] for index in side] for side in (main.inputs, main.outputs))
        yield SignatureInfo(MAIN, inputs=tuple(_named(inputs)), outputs=tuple(_named(outputs)))


def _declared(signature: TFLiteSignature, subgraph: TFLiteSubgraph) -> SignatureInfo:
    inputs, outputs = (
        tuple(_tensor_info(name, subgraph.tensors[index]) for name, index in sorted(side))
        for side in (signature.inputs, signature.outputs)
    )
    return SignatureInfo(signature.key, inputs=inputs, outputs=outputs)


def _named(tensors: Iterable[TFLiteTensor]) -> Iterator[TensorInfo]:
    """Name the inputs or outputs of a subgraph after their tensors, each differently."""
    seen: set[str] = set()
    for index, tensor in enumerate(tensors):
        name = tensor.name.partition(":")[0].removeprefix(_PREFIX) or f"tensor_{index}"
        unique = name if name not in seen else f"{name}_{index}"
        seen.add(unique)
        yield _tensor_info(unique, tensor)


def _tensor_info(name: str, tensor: TFLiteTensor) -> TensorInfo:
    aliases = (tensor.name,) if tensor.name not in ("", name) else ()
    return TensorInfo(name, tensor.dtype, tensor.shape, tensor_name=tensor.name or None, aliases=aliases)
