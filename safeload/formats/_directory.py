"""Which model a directory is, or holds. Layer: formats; standard library alone."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from safeload.errors import (
    ArtifactNotFoundError,
    MalformedArtifactError,
    SafeloadError,
    SignatureNotFoundError,
    UnrecognizedFormatError,
)
from safeload.formats import _foreign
from safeload.formats._archives._contents import is_keras_archive, keras_weights_problem
from safeload.formats._archives._zip import LOCAL_MAGIC
from safeload.formats._detection import Detection
from safeload.formats._examine import (
    HDF5_MAGIC,
    SAVED_MODEL_NAMES,
    TFLITE_MAGIC,
    detect_checkpoint,
    detect_file,
    found,
)
from safeload.formats._foreign import Kind
from safeload.formats._format import Format
from safeload.formats._source import Source
from safeload.formats._tree import named_checkpoint, open_member, resolve_member

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAX_LISTED = 10_000
_MAX_CANDIDATES = 32
_MAX_WRAPPERS = 2
_SHOWN = 5
_CHUNKED = "saved_model.cpb"

_HINTS: tuple[tuple[str, Kind], ...] = (
    ("pytorch_model.bin", _foreign.TRANSFORMERS),
    ("tf_model.h5", _foreign.TRANSFORMERS),
    ("model.safetensors", _foreign.TRANSFORMERS),
    ("model.weights.json", _foreign.SHARDED_WEIGHTS),
    (".index", _foreign.NAMELESS_CHECKPOINT),
    ("variables", Kind("what is left of a SavedModel: saved_model.pb is missing", "copy the whole directory again")),
)
"""Files that tell what a directory is when it is no model."""


def detect_directory(source: Source, *, version: int | None, depth: int = 0) -> Detection:
    """Decide what the directory *source* is; see `detect`."""
    root = source.path
    assert root is not None  # noqa: S101 - a directory has a path
    names = _listing(source, root)
    model = _model_itself(source, root, names)
    if model is not None and model.format in _MODEL_FORMATS and version is not None and depth == 0:
        raise SignatureNotFoundError(str(version), available=(), what="version")
    if model is None or model.format not in _MODEL_FORMATS:
        # A checkpoint beside an exported model is what it was made from.
        model = (
            _version(source, root, names, version)
            or _wrapped(source, root, names, version, depth, _MODEL_FORMATS)
            or model
            or _wrapped(source, root, names, version, depth, _FURTHER_FORMATS)
        )
    if model is not None:
        return model
    if version is not None:
        raise SignatureNotFoundError(str(version), available=(), what="version")
    for name, kind in _HINTS:
        if name in names:
            return found(source, Format.FOREIGN, f"directory with {name}", kind)
    if prefixes := _whole_checkpoints(names):
        raise _several(source, "checkpoints", prefixes)
    raise UnrecognizedFormatError(source.where, seen=_contents(names))


def _several(source: Source, what: str, names: Sequence[str]) -> UnrecognizedFormatError:
    listed = f"pass one of them: {', '.join(map(repr, names[:_SHOWN]))}{', …' if len(names) > _SHOWN else ''}"
    return UnrecognizedFormatError(source.where, seen=f"a directory with {len(names)} {what}", hint=listed)


def _listing(source: Source, root: Path) -> set[str]:
    try:
        with os.scandir(root) as entries:
            return {entry.name for entry, _ in zip(entries, range(_MAX_LISTED), strict=False)}
    except OSError as error:
        raise ArtifactNotFoundError(source.where, problem=f"cannot be listed: {error.strerror or error}") from error


def _contents(names: set[str]) -> str:
    if not names:
        return "the directory is empty"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"a directory with {', '.join(sorted(names)[:_SHOWN])}{more}"


def _model_itself(source: Source, root: Path, names: set[str]) -> Detection | None:
    graph = next((n for n in SAVED_MODEL_NAMES if n in names), None)
    if graph is not None:
        return _saved_model(source, root, names, graph)
    if _CHUNKED in names:  # before its variables are taken for a checkpoint of their own
        return found(source, Format.FOREIGN, f"directory with {_CHUNKED}", _foreign.CHUNKED_SAVED_MODEL)
    if is_keras_archive(names) and not names & {"tf_model.h5", "pytorch_model.bin", "model.safetensors"}:
        return found(source, Format.KERAS_DIRECTORY, "directory with config.json", keras_weights_problem(names))
    prefix = named_checkpoint(root) or _only_index(root, names)
    if prefix is not None:
        return detect_checkpoint(Source(where=source.where, path=prefix))
    return None


def _saved_model(source: Source, root: Path, names: set[str], graph: str) -> Detection:
    if _CHUNKED in names:
        raise MalformedArtifactError(
            source.where,
            problem=f"holds two graphs, {graph} and saved_model.cpb, and which one counts depends on who reads it",
            hint="remove the one that does not belong to the model",
        )
    other = None
    with contextlib.suppress(UnrecognizedFormatError):  # of what is cut short, its reader tells more
        other = _file_inside(source, root, graph)
    # A pbtxt is text by nature; the graph of a checkout without LFS is a pointer under either name.
    if other is not None and (other.format in _LOADED or other.kind in (_foreign.LFS_POINTER.name, _foreign.HTML.name)):
        return other
    return found(source, Format.SAVED_MODEL, f"directory with {graph}")


def _only_index(root: Path, names: set[str]) -> Path | None:
    complete = _whole_checkpoints(names)
    return root / complete[0] if len(complete) == 1 else None


def _whole_checkpoints(names: set[str]) -> list[str]:
    """Return the prefixes of which both the index and data are there."""
    prefixes = sorted(n.removesuffix(".index") for n in names if n.endswith(".index"))
    return [p for p in prefixes if p and any(n.startswith(p + ".data-") for n in names)]


def _version(source: Source, root: Path, names: set[str], version: int | None) -> Detection | None:
    """Resolve a parent of numbered versions, as TensorFlow Serving takes it: integers alone, the highest first.

    Source:
        https://www.tensorflow.org/tfx/serving/serving_config (2026-11): versions are subdirectories whose names are
        numbers.
    """
    numbered = {int(n): n for n in sorted(names) if n.isascii() and n.isdecimal() and _is_directory(root / n)}
    models = {number: name for number, name in numbered.items() if _is_model_directory(root / name)}
    if not models:
        return None
    if version is not None and version not in models:
        raise SignatureNotFoundError(str(version), available=[str(n) for n in sorted(models)], what="version")
    chosen = models[max(models) if version is None else version]
    return _inside(source, root, chosen, version=None, depth=1)


def _is_directory(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for links to odd names


def _is_model_directory(path: Path) -> bool:
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return False
    return bool(names & set(SAVED_MODEL_NAMES)) or _CHUNKED in names or is_keras_archive(names)


_MODEL_FORMATS = frozenset({Format.KERAS_HDF5, Format.KERAS_ARCHIVE, Format.KERAS_DIRECTORY, Format.SAVED_MODEL})
_FURTHER_FORMATS = frozenset({Format.TFLITE, Format.FROZEN_GRAPH, Format.TF1_CHECKPOINT, Format.CHECKPOINT})
"""What often lies beside a model that it was made from, or into which it was converted: taken where it is alone."""
_LOADED = _MODEL_FORMATS | _FURTHER_FORMATS


def _wrapped(
    source: Source, root: Path, names: set[str], version: int | None, depth: int, formats: frozenset[Format]
) -> Detection | None:
    """Resolve a directory around exactly one model of *formats*."""
    if depth >= _MAX_WRAPPERS:
        return None
    candidates: list[Detection] = []
    for name in sorted(n for n in names if not n.startswith((".", "__MACOSX")))[:_MAX_CANDIDATES]:
        candidate = _candidate(source, root, name, version, depth)
        if candidate is not None and candidate.format in formats:
            candidates.append(candidate)
    if len(candidates) > 1:
        paths = [os.path.relpath(c.path, root) if c.path else c.where for c in candidates]
        raise _several(source, "models", paths)
    return candidates[0] if candidates else None


def _candidate(source: Source, root: Path, name: str, version: int | None, depth: int) -> Detection | None:
    try:
        if _is_directory(root / name):
            return _inside(source, root, name, version=version, depth=depth + 1)
        return _file_inside(source, root, name)
    except SignatureNotFoundError:
        raise
    except SafeloadError:
        return None  # whatever it is, it is not the model that this directory wraps


def _inside(source: Source, root: Path, name: str, *, version: int | None, depth: int) -> Detection:
    real = resolve_member(root, name, where=source.where)
    inner = Source(where=f"{source.where.rstrip('/')}/{name}", path=real)
    return detect_directory(inner, version=version, depth=depth)


def _file_inside(source: Source, root: Path, name: str) -> Detection | None:
    where = source.where.rstrip("/")
    file = open_member(root, name, where=where)
    # Other files of a directory are none of our business: archives would be listed, texts searched.
    head = file.read_at(0, 8)
    if head.startswith((HDF5_MAGIC, LOCAL_MAGIC)) or head[4:] == TFLITE_MAGIC or name.endswith((".pb", ".pbtxt")):
        model = detect_file(Source(f"{where}/{name}", resolve_member(root, name, where=where), file), file)
        # The graph of a SavedModel is no model without its directory.
        if model.format is not Format.SAVED_MODEL:
            return model
    file.close()
    return None
