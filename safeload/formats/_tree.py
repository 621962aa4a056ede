"""Which files belong to a model that is a directory. Layer: formats; standard library alone."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from safeload.errors import ArtifactNotFoundError, MalformedArtifactError
from safeload.formats._source import is_checkpoint_prefix, open_source

if TYPE_CHECKING:
    from safeload.formats._file import ByteFile


def allowed_roots(root: Path) -> tuple[Path, ...]:
    """Return the real directories in which the files of the model at *root* may lie.

    That is the model's own directory, and ``blobs`` of a Hugging Face cache when the model lies in one of its snapshots
    (``models--org--name/snapshots/<revision>/… -> ../../blobs/<hash>``).

    Source:
        https://huggingface.co/docs/huggingface_hub/guides/manage-cache (2026-11).
    """
    real = Path(os.path.realpath(root))
    lexical = Path(os.path.abspath(root))  # noqa: PTH100 - the snapshot's own name, before links
    caches = [
        parent.parent / "blobs"
        for start in (real, lexical)
        if "snapshots" in start.parts
        for parent in (start, *start.parents)
        if parent.name == "snapshots" and (parent.parent / "blobs").is_dir()
    ]
    return (real, *(Path(os.path.realpath(c)) for c in caches))


def resolve_member(root: Path, name: str, *, where: str) -> Path:
    """Return the real path of the file *name* of the model at *root*.

    Args:
        root: Directory of the model.
        name: POSIX path below it.
        where: How messages name the model.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. A link leads out of the model's own tree.
    """
    try:
        real = Path(os.path.realpath(root / name))
    except OSError as error:  # a link that may not be read
        problem = f"{name!r} cannot be followed: {error.strerror or error}"
        raise MalformedArtifactError(where, problem=problem) from error
    if not any(real == allowed or allowed in real.parents for allowed in allowed_roots(root)):
        raise MalformedArtifactError(
            where,
            problem=f"{name!r} is a link to {str(real)!r}, outside of the model",
            hint="copy the model with its links resolved (cp -rL), if you trust where they lead",
        )
    return real


def open_member(root: Path, name: str, *, where: str) -> ByteFile:
    """Open the file *name* of the model at *root*; see `resolve_member` for the links that are followed.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. It is missing, unreadable, no regular file, or a link out of
            the model.
    """
    real = resolve_member(root, name, where=where)
    try:
        opened = open_source(real)
    except ArtifactNotFoundError as error:
        raise MalformedArtifactError(where, problem=f"{name!r} {error.problem}") from error
    if opened.file is None:
        raise MalformedArtifactError(where, problem=f"{name!r} is a directory, not a file")
    return opened.file


def named_checkpoint(directory: Path) -> Path | None:
    """Return the prefix that the file ``checkpoint`` of *directory* names, or None.

    Only its last component is used: checkpoints are moved about, and it must not lead elsewhere.

    Source:
        CheckpointState in tensorflow/python/training/checkpoint_state.proto (2.21), in protobuf text.
    """
    try:
        state = open_member(directory, "checkpoint", where=str(directory))
    except MalformedArtifactError:  # there is none, or it is a link to elsewhere
        return None
    text = state.read_at(0, 1 << 16)
    state.close()
    found = re.search(rb'^model_checkpoint_path:\s*"([^"\n]+)"', text, re.MULTILINE)
    if found is None:
        return None
    prefix = directory / os.path.basename(found[1].decode("utf-8", "replace").replace("\\", "/"))  # noqa: PTH119
    return prefix if is_checkpoint_prefix(prefix) else None
