"""Graphs that are no SavedModel: frozen graphs, and the graph of a TensorFlow 1 checkpoint. Layer: readers.

Each becomes a SavedModel of one MetaGraph, so that everything above judges and loads it as such.
Source: tensorflow/core/framework/graph.proto, tensorflow/core/protobuf/meta_graph.proto,
tensorflow/python/training/saver.py (TensorFlow 2.21): ``<prefix>.meta`` beside ``<prefix>.index``.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.errors import UnsupportedFormatError
from safeload.formats import Format, is_text, open_member
from safeload.readers._artifact import SavedModelArtifact, WeightIndex
from safeload.readers.checkpoint.index import read_checkpoint_index, require_shards
from safeload.readers.checkpoint.texts import require_texts
from safeload.readers.protobuf import message_class, parse_message, parse_text
from safeload.readers.saved_model.inputs import complete_signatures
from safeload.readers.saved_model.outputs import (
    add_signature,
    derive_signatures,
    variables_behind,
    variables_without_value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safeload._limits import Limits
    from safeload.formats import Detection

_HEAD_BYTES = 4096
_MESSAGES = {Format.FROZEN_GRAPH: "GraphDef", Format.TF1_CHECKPOINT: "MetaGraphDef"}
_WITHOUT_VALUES = "pass the prefix of its checkpoint with the .meta file beside it, or freeze the graph"
_WITHOUT_SOME = "name a node that needs none of them: signature='…'; or save all with tf.compat.v1.train.Saver()"


class _Checkpoint(NamedTuple):
    """The values of the variables of a graph: none for a file by itself."""

    directory: Path = Path()
    prefix: str = ""
    index_bytes: bytes = b""
    files: Mapping[str, int] = {}
    variables: WeightIndex = WeightIndex()


def read_graph(detection: Detection, limits: Limits) -> SavedModelArtifact:
    """Read a frozen graph (``.pb``, ``.pbtxt``), or the prefix of a TensorFlow 1 checkpoint with its ``.meta``.

    A graph without SignatureDefs is given those that follow from its nodes; see `derive_signatures`.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The graph does not parse, or the checkpoint is broken.
        UnsupportedFormatError: ``unsupported-format``. Variables are needed whose values are not there.
        LimitExceededError: ``limit-exceeded``. One of the limits.

    Guarantees:
        No variable is read. The graph is read once; what was read is what is judged and loaded.
    """
    content = _content(detection, limits)
    meta_graph = _meta_graph(detection, content)
    complete_signatures(meta_graph)
    checkpoint = _checkpoint(detection, limits)
    empty = variables_without_value(meta_graph) if checkpoint.prefix else None
    ends = derive_signatures(meta_graph, empty or ()) if not meta_graph.signature_def else ()
    _require_values(meta_graph, detection.where, empty)
    saved_model = message_class("SavedModel")(saved_model_schema_version=1, meta_graphs=[meta_graph])
    graph_bytes = saved_model.SerializeToString(deterministic=True)
    return SavedModelArtifact(
        format=detection.format,
        where=detection.where,
        directory=checkpoint.directory,
        graph_bytes=graph_bytes,
        saved_model=saved_model,
        files=checkpoint.files,
        checkpoint=checkpoint.prefix,
        ends=ends,
        variables=checkpoint.variables,
        size=len(content) + sum(checkpoint.files.values()),
        digest=hashlib.sha256(b"%d\0" % len(graph_bytes) + graph_bytes + checkpoint.index_bytes).hexdigest(),
    )


def with_signature(artifact: SavedModelArtifact, key: str) -> SavedModelArtifact:
    """Return a graph that was just read, and declares no signature, with one of the node *key*, if it has such a node.

    What is judged is then what is called. The digest stays that of the file.

    Raises:
        UnsupportedFormatError: ``unsupported-format``. The node needs variables whose values are not there.
    """
    if artifact.format not in _MESSAGES and not artifact.ends:
        return artifact
    meta_graph = artifact.saved_model.meta_graphs[0]
    if key in meta_graph.signature_def or not add_signature(meta_graph, key):
        return artifact
    if artifact.format in _MESSAGES:
        empty = variables_without_value(meta_graph) if artifact.checkpoint else None
        _require_values(meta_graph, artifact.where, empty)
    return replace(artifact, graph_bytes=artifact.saved_model.SerializeToString(deterministic=True))


def _content(detection: Detection, limits: Limits) -> bytes:
    where, file = detection.where, detection.source.file
    if file is None:
        assert detection.path is not None  # noqa: S101 - checkpoints are found by their path
        name = f"{detection.path.name}.meta"
        where, file = f"{where}/{name}", open_member(detection.path.parent, name, where=where)
    return file.read_whole(where, limit="max_graph_bytes", allowed=limits.max_graph_bytes)


def _meta_graph(detection: Detection, content: bytes) -> Any:
    """Return the MetaGraphDef, with the serialized SavedModel in mind: a GraphDef alone becomes one."""
    name = _MESSAGES[detection.format]
    parse = parse_text if is_text(content[:_HEAD_BYTES]) else parse_message
    message = parse(name, content, where=detection.where)
    return message if name == "MetaGraphDef" else message_class("MetaGraphDef")(graph_def=message)


def _checkpoint(detection: Detection, limits: Limits) -> _Checkpoint:
    """Look at the checkpoint of a graph, without opening it for long: TensorFlow reads the values."""
    if detection.source.file is not None:
        return _Checkpoint()
    prefix = detection.path
    assert prefix is not None  # noqa: S101 - checkpoints are found by their path
    where, name = detection.where, f"{prefix.name}.index"
    file = open_member(prefix.parent, name, where=where)
    content = file.read_whole(f"{where}/{name}", limit="max_config_bytes", allowed=limits.max_config_bytes)
    index = read_checkpoint_index(content, where=where, limits=limits)
    sizes = {shard: _size(prefix.parent, shard, where) for shard in index.required_sizes(prefix.name)}
    require_shards(index, prefix=prefix.name, sizes=sizes, where=where, limits=limits)
    require_texts(index, prefix=prefix.name, directory=prefix.parent, where=where)
    files = {name: len(content), **sizes}
    return _Checkpoint(prefix.parent, prefix.name, content, files, index.weights())


def _size(directory: Path, name: str, where: str) -> int:
    file = open_member(directory, name, where=where)
    file.close()
    return file.size


def _require_values(meta_graph: Any, where: str, empty: frozenset[str] | None) -> None:
    """Refuse a graph whose signatures need the variables *empty* of its checkpoint, or any where it has none."""
    names = [name for name in variables_behind(meta_graph) if empty is None or name in empty]
    if names:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        holder, remedy = ("file", _WITHOUT_VALUES) if empty is None else ("checkpoint", _WITHOUT_SOME)
        kind = f"a TensorFlow graph whose {len(names):,} variables ({shown}) have no values in the {holder}"
        raise UnsupportedFormatError(where, kind=kind, remedy=remedy)
