"""What lies inside an archive, by its members' names; nothing is unpacked. Layer: formats; standard library alone."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from safeload.errors import MalformedArtifactError
from safeload.formats import _foreign
from safeload.formats._archives._zip import name_problem, short
from safeload.formats._foreign import Kind

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable

    from safeload.formats._file import ByteFile

COMPRESSIONS: tuple[tuple[bytes, str], ...] = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))
"""RFC 1952; bzip2 manual 1.0.8; https://tukaani.org/xz/xz-file-format.txt."""

_MAX_LISTED_BYTES = 64 << 20
_MAX_LISTED_MEMBERS = 10_000

_KERAS_MEMBERS = frozenset({"config.json", "model.weights.h5"})

_MODELS: tuple[tuple[str, str], ...] = (
    ("saved_model.pb", "a SavedModel"),
    ("saved_model.pbtxt", "a SavedModel"),
    (".keras", "a Keras model"),
    (".h5", "a Keras HDF5 file"),
    (".hdf5", "a Keras HDF5 file"),
    (".tflite", "a TensorFlow Lite model"),
    (".ckpt.index", "a TensorFlow checkpoint"),
    (".index", "a TensorFlow checkpoint"),
    (".pb", "a TensorFlow graph"),
)

_ZIP_KINDS: tuple[tuple[str, Kind], ...] = (
    # torch/serialization.py: <archive name>/data.pkl; torch/csrc/jit: constants.pkl beside it
    ("constants.pkl", _foreign.TORCHSCRIPT),
    ("data.pkl", _foreign.TORCH),
    ("[Content_Types].xml", _foreign.OFFICE),
    ("META-INF/MANIFEST.MF", _foreign.PACKAGE),
    ("AndroidManifest.xml", _foreign.PACKAGE),
)


class Content(NamedTuple):
    """What an archive holds.

    Attributes:
        evidence: The archive and the model in it, in words.
        kind: What it is instead of an archive around a model, or None.
    """

    evidence: str
    kind: Kind | None = None


def content_of_zip(names: list[str]) -> Content:
    """Return what a zip archive that is no Keras archive holds."""
    evidence = "zip without config.json and weights at its top"
    for suffix, kind in _ZIP_KINDS:
        if any(n == suffix or n.endswith("/" + suffix) for n in names):
            return Content(evidence, kind)
    inside = model_inside(names)
    if inside is not None:
        return Content(f"a zip archive around {inside}")
    is_arrays = names and all(n.endswith(".npy") for n in names)
    return Content(evidence, _foreign.NPZ if is_arrays else _foreign.PLAIN_ZIP)


def is_keras_archive(names: Iterable[str]) -> bool:
    """Return True for the members of a Keras archive.

    Source:
        keras/src/saving/saving_lib.py (Keras 3.15.1) and keras/saving/saving_lib.py (Keras 2.12): ``config.json`` and
        ``metadata.json`` at the top, weights as ``model.weights.h5`` or ``model.weights.npz``.
    """
    found = set(names)
    return "config.json" in found and any(n == "metadata.json" or n.startswith("model.weights.") for n in found)


def keras_weights_problem(names: Iterable[str]) -> Kind | None:
    """Return what the weights of a Keras archive are where they are not ``model.weights.h5``, or None."""
    found = set(names)
    if "model.weights.h5" in found:
        return None
    for name, kind in (("model.weights.npz", _foreign.NPZ_WEIGHTS), ("model.weights.json", _foreign.SHARDED_WEIGHTS)):
        if name in found:
            return kind
    return None


def model_inside(names: Iterable[str]) -> str | None:
    """Return which model the members of an archive or directory are, with its path, or None."""
    usable = sorted((n for n in names if not n.startswith("__MACOSX/")), key=lambda n: (n.count("/"), n))
    there = set(usable)
    for name in usable:
        path = PurePosixPath(name)
        if path.name in _KERAS_MEMBERS and all(str(path.parent / m) in there for m in _KERAS_MEMBERS):
            return f"an unzipped Keras archive ({short(str(path.parent))!r})"
    for suffix, what in _MODELS:
        found = next((n for n in usable if n.endswith(suffix)), None)
        if found is not None:
            return f"{what} ({short(found)!r})"
    return None


def compression_of(head: bytes) -> str | None:
    """Return ``"gz"``, ``"bz2"`` or ``"xz"`` for a compressed file, or None."""
    return next((name for magic, name in COMPRESSIONS if head.startswith(magic)), None)


def is_tar(head: bytes) -> bool:
    """Return True for a tar header; POSIX.1-1988 ustar and GNU tar write the magic at 257."""
    return head[257:262] == b"ustar"


def content_of_tar(file: ByteFile, *, where: str, compression: str | None) -> Content:
    """Return what a tar archive, or a compressed file that is none, holds.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. A member or a link leads out of the archive, or its first
            header is broken.
    """
    infos, is_complete = _tar_members(file, where, compression)
    if not infos and compression is None:
        raise MalformedArtifactError(where, problem="a tar archive whose first header is broken")
    if not infos:
        kind = Kind(f"a file compressed with {compression}", "decompress it and pass the result")
        return Content(str(compression), kind)
    for info in infos:
        refuse_member(info, where)
    inside = model_inside(info.name.removeprefix("./") for info in infos)
    container = f"a tar.{compression} archive" if compression else "a tar archive"
    if inside is None and not is_complete:
        return Content(f"{container} that is too large to be listed")
    if inside is None:
        return Content(container, Kind(f"{container} without a model in it", _foreign.PLAIN_ZIP.remedy))
    return Content(f"{container} around {inside}")


def _tar_members(file: ByteFile, where: str, compression: str | None) -> tuple[list[tarfile.TarInfo], bool]:
    """List members until a bounded number of bytes would have been decompressed, or the stream breaks off."""
    from safeload.formats._archives._tar import BROKEN, TarReader

    infos: list[tarfile.TarInfo] = []
    try:
        for info in TarReader(file, where=where, compression=compression):
            infos.append(info)
            if info.offset + info.size > _MAX_LISTED_BYTES or len(infos) >= _MAX_LISTED_MEMBERS:
                return infos, False
    except MalformedArtifactError:
        raise
    except BROKEN:
        pass  # what can be listed says what it is; unpacking says what is broken
    return infos, True


def refuse_member(info: tarfile.TarInfo, where: str) -> None:
    """Refuse a member of a tar archive that leads out of it, by its name or as a link."""
    problem = name_problem(info.name)
    if info.issym() or info.islnk():
        base = PurePosixPath(info.name).parent if info.issym() else PurePosixPath()
        problem = problem or _link_problem(base, info.linkname)
    if problem:
        raise MalformedArtifactError(
            where,
            problem=f"the member {short(info.name)!r} {problem}",
            hint="do not unpack it; ask its author for an archive without such members",
        )


def _link_problem(base: PurePosixPath, target: str) -> str | None:
    depth = len(base.parts)
    if target.startswith("/"):
        return f"is a link to {short(target)!r}, outside of the archive"
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return f"is a link to {short(target)!r}, outside of the archive"
    return None
