"""SavedModel directories: graph, assets, index of the variables. Layer: readers.

States what the directory holds; whether any of it may be loaded is the policy's business.

Source: tensorflow/python/saved_model/{constants,loader_impl,path_helpers}.py (TensorFlow 2.21).
"""

from __future__ import annotations

import hashlib
import posixpath
from typing import TYPE_CHECKING, Any

from safeload.errors import MalformedArtifactError
from safeload.formats import SAVED_MODEL_NAMES, Format, is_text, open_member
from safeload.readers._artifact import VARIABLES_PREFIX, Anomaly, SavedModelArtifact
from safeload.readers._model_tree import ModelTree, read_model_tree
from safeload.readers.checkpoint.index import CheckpointIndex, read_checkpoint_index, require_shards
from safeload.readers.checkpoint.texts import require_texts
from safeload.readers.protobuf import parse_message, parse_text
from safeload.readers.saved_model.assets import asset_definitions
from safeload.readers.saved_model.inputs import complete_signatures, is_callable_key
from safeload.readers.saved_model.outputs import VARIABLES, outputs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from safeload._limits import Limits
    from safeload.formats import Detection

_HEAD_BYTES = 4096
_UNREAD = frozenset({"link-out-of-model", "special-file"})
"""Anomalies that hide a file. The policy refuses them, so what depends on the file is not checked."""

_KERAS_METADATA = "keras_metadata.pb"
_TABLE_INITIALIZER = "InitializeTableFromTextFile"


def read_saved_model(detection: Detection, *, limits: Limits) -> SavedModelArtifact:
    """Read a SavedModel directory.

    Args:
        detection: What `formats.detect` found; its ``path`` is the directory.
        limits: Bounds on everything that is read.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The graph does not parse or is empty, or an asset or weights
            that it needs are missing or cut short.
        LimitExceededError: ``limit-exceeded``. A file is larger than allowed.

    Guarantees:
        Each file is opened once, none that is a pipe, a device, or behind a link out of the model.
    """
    assert detection.path is not None  # noqa: S101 - a SavedModel is a directory
    return _Reader(detection.path, where=detection.source.where, limits=limits).read()


class _Reader:
    """Reads one directory; what is read stays in the artifact."""

    def __init__(self, directory: Path, *, where: str, limits: Limits) -> None:
        self.directory = directory
        self.where = where
        self.limits = limits
        self.tree: ModelTree = read_model_tree(directory, where=where, limits=limits)

    def read(self) -> SavedModelArtifact:
        graph_bytes, saved_model = self.graph()
        assets = self.assets(saved_model)
        index_bytes, index = self.variables(saved_model)
        return SavedModelArtifact(
            format=Format.SAVED_MODEL,
            where=self.where,
            directory=self.directory,
            graph_bytes=_completed(graph_bytes, saved_model),
            saved_model=saved_model,
            ends=_undeclared(saved_model.meta_graphs),
            files=self.tree.files,
            variables=index.weights(),
            assets=assets,
            keras_metadata=self.optional(_KERAS_METADATA),
            variables_index=index_bytes,
            size=sum(self.tree.files.values()),
            digest=_digest(graph_bytes, assets, index_bytes),
            anomalies=tuple(self.tree.anomalies),
        )

    def graph(self) -> tuple[bytes, Any]:
        """Return the serialized graph and the message that it is."""
        names = [name for name in SAVED_MODEL_NAMES if name in self.tree.files]
        if not names:
            raise self.malformed(f"there is no readable {SAVED_MODEL_NAMES[0]} in the directory")
        for extra in names[1:]:
            self.tree.anomalies.append(Anomaly("two-graphs", extra, f"beside {names[0]}"))
        data = self.content(names[0], limit="max_graph_bytes")
        where = self.where if self.where.endswith(names[0]) else f"{self.where}/{names[0]}"
        if is_text(data[:_HEAD_BYTES]):
            saved_model = parse_text("SavedModel", data, where=where)
            data = saved_model.SerializeToString(deterministic=True)
        else:
            saved_model = parse_message("SavedModel", data, where=where)
        if not saved_model.meta_graphs:
            raise self.malformed(f"{names[0]} ({len(data):,} bytes) holds no MetaGraph")
        return data, saved_model

    def assets(self, saved_model: Any) -> dict[str, bytes]:
        """Read every asset that a MetaGraph names; a name that leads out of ``assets/`` is an anomaly."""
        contents: dict[str, bytes] = {}
        needed = {filename for meta_graph in saved_model.meta_graphs for filename in _needed_assets(meta_graph)}
        left = self.limits.max_asset_bytes
        for filename in sorted(
            {asset.filename for each in saved_model.meta_graphs for asset in asset_definitions(each)}
        ):
            name = posixpath.normpath(posixpath.join("assets", filename))
            if not name.startswith("assets/") or "\0" in name:
                self.tree.anomalies.append(Anomaly("asset-outside-assets", filename, name))
            elif name in self.tree.files:
                contents[name] = self.content(name, limit="max_asset_bytes", allowed=left)
                left -= len(contents[name])
            elif filename in needed and not self.hides_files:
                raise self.malformed(f"the asset {name!r} is missing")
        return contents

    def variables(self, saved_model: Any) -> tuple[bytes, CheckpointIndex]:
        """Read the index of the variables and check the files with their values."""
        data = self.optional(f"{VARIABLES_PREFIX}.index")
        if data is None:
            if not self.hides_files and not self.has_old_checkpoint():
                self.require_no_variables(saved_model)
            return b"", CheckpointIndex(0, ())
        index = read_checkpoint_index(data, where=f"{self.where}/{VARIABLES_PREFIX}.index", limits=self.limits)
        if not self.hides_files:
            require_shards(index, prefix=VARIABLES_PREFIX, sizes=self.tree.files, where=self.where, limits=self.limits)
            require_texts(index, prefix=VARIABLES_PREFIX, directory=self.directory, where=self.where)
        return data, index

    def has_old_checkpoint(self) -> bool:
        """True if there is a checkpoint of format V1, which has no index: what is left of V2 is none.

        Source: ``DataFilename`` in tensorflow/core/util/tensor_bundle/naming.h, ``ShardedFilename`` in
        tensorflow/core/ops/io_ops.cc (2.21).
        """
        names = (name for name in self.tree.files if not name.startswith(f"{VARIABLES_PREFIX}.data-"))
        return any(name.startswith(VARIABLES_PREFIX) for name in names)

    def require_no_variables(self, saved_model: Any) -> None:
        count = max(map(_variable_count, saved_model.meta_graphs))
        if count:
            raise self.malformed(f"{VARIABLES_PREFIX}.index is missing, and the model has {count:,} variables")

    @property
    def hides_files(self) -> bool:
        """True if something is there that was not read: what is missing may be behind it."""
        return any(odd.kind in _UNREAD for odd in self.tree.anomalies)

    def optional(self, name: str) -> bytes | None:
        return self.content(name, limit="max_config_bytes") if name in self.tree.files else None

    def content(self, name: str, *, limit: str, allowed: int | None = None) -> bytes:
        """Read the file *name* whole if it is no larger than *allowed*, by default the value of *limit*."""
        allowed = getattr(self.limits, limit) if allowed is None else allowed
        file = open_member(self.directory, name, where=self.where)
        return file.read_whole(f"{self.where}/{name}", limit=limit, allowed=allowed)

    def malformed(self, problem: str) -> MalformedArtifactError:
        return MalformedArtifactError(self.where, problem=problem)


def _completed(graph_bytes: bytes, saved_model: Any) -> bytes:
    """Let SignatureDefs have all of their inputs, so that what is called is judged; the digest is that of the file."""
    changed = [complete_signatures(meta_graph) for meta_graph in saved_model.meta_graphs]
    return saved_model.SerializeToString(deterministic=True) if any(changed) else graph_bytes


def _undeclared(meta_graphs: Sequence[Any]) -> tuple[str, ...]:
    """Return the outputs of a graph of TensorFlow 1 whose saver declared no signature."""
    first = meta_graphs[0]
    is_declared = first.HasField("object_graph_def") or any(map(is_callable_key, first.signature_def))
    return outputs_of(first) if len(meta_graphs) == 1 and not is_declared else ()


def _needed_assets(meta_graph: Any) -> Iterator[str]:
    """Yield the names of assets that loading the MetaGraph reads: a TF1 graph may name one that it never opens."""
    assets = list(asset_definitions(meta_graph))
    if assets and not meta_graph.HasField("object_graph_def"):
        initializers = [node for node in meta_graph.graph_def.node if node.op.startswith(_TABLE_INITIALIZER)]
        read = {source for node in initializers for source in node.input}
        names = [(asset, asset.tensor_info.name) for asset in assets]
        assets = [asset for asset, name in names if name in read or name.removesuffix(":0") in read]
    yield from (asset.filename for asset in assets)


def _variable_count(meta_graph: Any) -> int:
    """Count the variables whose values a loader would restore."""
    if meta_graph.HasField("object_graph_def"):
        return sum(node.WhichOneof("kind") == "variable" for node in meta_graph.object_graph_def.nodes)
    if not meta_graph.HasField("saver_def"):
        return 0
    return sum(node.op in VARIABLES for node in meta_graph.graph_def.node)


def _digest(graph_bytes: bytes, assets: Mapping[str, bytes], index_bytes: bytes) -> str:
    """Hash what is judged, each part with its name and length, so that no two contents hash the same bytes."""
    digest = hashlib.sha256()
    parts = {"graph": graph_bytes, "variables": index_bytes, **assets}
    for name, content in sorted(parts.items()):
        digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
        digest.update(content)
    return digest.hexdigest()
