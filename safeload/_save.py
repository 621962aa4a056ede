"""Saving so that it loads: written beside its place, loaded back, compared, and only then put there. Layer: top."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload._explain import first_line
from safeload._load import as_callable, load_callable
from safeload.errors import (
    ArtifactNotFoundError,
    CustomObjectNotFoundError,
    LoadFailedError,
    SafeloadError,
    UnsafeModelError,
    UnsupportedFormatError,
)
from safeload.formats import SUFFIXES

if TYPE_CHECKING:
    from safeload.runtime import ModelCallable

_KERAS_SUFFIX = ".keras"
_OTHER_SUFFIXES = frozenset(
    {*SUFFIXES, ".ckpt", ".npz", ".onnx", ".pt", ".pth", ".safetensors", ".pkl", ".pickle", ".joblib"}
) - {_KERAS_SUFFIX}
"""Suffixes that promise a format which is not written here."""

_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
"""Names that nodes may have; an input of a signature is the name of one.

Source: ``_VALID_OP_NAME_REGEX`` in tensorflow/python/framework/ops.py, and
``_map_function_arguments_to_created_inputs`` in tensorflow/python/saved_model/save.py (2.21).
"""

_SAVED_MODEL = "give a path without a suffix, for a SavedModel"
_DEFAULT_KEY = "serving_default"


class _Job(NamedTuple):
    """What to save: callables by key, and inputs for the first of them."""

    functions: Mapping[str, ModelCallable]
    example: Any
    has_signatures: bool


def save_callable(
    obj: Any,
    path: str | os.PathLike[str],
    *,
    signatures: Mapping[str, Any] | Iterable[str] | None = None,
    example_inputs: Any = None,
) -> Path:
    """Save a model so that `load_callable` gives the same function back.

    The model is written beside *path*, loaded back and called; only if it computes what *obj* computes is it put in
    place, in one step. What `load_callable` made of an old file can be saved too, which rescues the file.

    Args:
        obj: A Keras model, a `tf.Module`, a ConcreteFunction, a `tf.function`, a `ModelCallable`, or what
            `tf.saved_model.load` returned.
        path: A file ending in ``.keras`` for a Keras model, else the directory of a SavedModel. Nothing may be there.
        signatures: For a SavedModel: callables by signature key, or keys of signatures that *obj* has. By default what
            answers a call of *obj*, as ``serving_default``.
        example_inputs: What to call the first signature with: one value, or a mapping of input names. By default made
            up from the recorded shapes. A `tf.function` that was never called is traced for them, the first dimension
            of each left free.

    Returns:
        The path.

    Raises:
        ArtifactNotFoundError: ``artifact-not-found``. There is no directory to write into.
        UnsupportedFormatError: ``unsupported-format``. *path* asks for a format that cannot hold *obj*.
        NoCallableError: ``no-callable``. Nothing in *obj* can be called.
        AmbiguousSignatureError: ``ambiguous-signature``. Several functions, none of them the default.
        InputMismatchError: ``input-mismatch``. The example does not fit, or is needed and missing.
        UnsafeModelError: ``unsafe-model``. What was written would be refused when it is loaded.
        LoadFailedError: ``load-failed``. Something is at *path*, or what was written computes something else.

    Guarantees:
        Nothing that exists is overwritten, and after a failure nothing is left behind.
    """
    target = Path(path).expanduser()
    _require_free(target)
    job = _Job(_functions(obj, signatures, example_inputs), example_inputs, bool(signatures))
    _require_graphs(job, target)
    if target.suffix != _KERAS_SUFFIX:
        _require_dense(job, target)
        _require_names(job, target)
    temporary = _directory_beside(target)
    try:
        written = str(Path(temporary) / target.name)
        _write(written, target, job)
        _require_free(target)
        _put(written, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _directory_beside(target: Path) -> str:
    try:
        return tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        hint = "give a path in a directory that you may write to"
        raise LoadFailedError(str(target), problem=f"cannot be written there: {reason}", hint=hint) from error


def _put(written: str, target: Path) -> None:
    """Put the model in place in one step, or not at all, where nothing is."""
    try:
        if not os.path.isdir(written) and _linked(written, target):  # noqa: PTH112
            return
        os.replace(written, target)  # noqa: PTH105 - a directory replaces none with something in it
    except OSError as error:
        problem = f"cannot be put in place: {error.strerror or error}"
        raise LoadFailedError(str(target), problem=problem, hint="see what is there now, and try again") from error


def _linked(written: str, target: Path) -> bool:
    """Give the file its name, which renaming would take from another one; False where the system has no such links."""
    try:
        os.link(written, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _require_free(target: Path) -> None:
    if not target.parent.is_dir():
        raise ArtifactNotFoundError(str(target.parent), problem="is no directory to write into")
    if os.path.lexists(target):
        raise LoadFailedError(
            str(target), problem="exists already, and is left as it is", hint="delete it, or give another path"
        )
    if target.suffix.lower() in _OTHER_SUFFIXES or target.suffix.lower() == _KERAS_SUFFIX != target.suffix:
        raise UnsupportedFormatError(
            str(target),
            kind=f"the name of a {target.suffix} file, and such files are not written",
            remedy="give a path that ends in .keras, or one without a suffix for a SavedModel",
        )


def _require_graphs(job: _Job, target: Path) -> None:
    from safeload.runtime._export import runs_in_graphs

    if not all(map(runs_in_graphs, job.functions.values())):
        kind = "to be a model of TensorFlow, and one of TensorFlow Lite runs in an interpreter of its own"
        raise UnsupportedFormatError(str(target), kind=kind, remedy="keep the .tflite file, which loads as it is")


def _require_dense(job: _Job, target: Path) -> None:
    """Refuse inputs that a signature would take apart, so that what is loaded would not take them."""
    kinds = {}
    for fn in job.functions.values():
        kinds.update({info.name: info.kind for info in fn.inputs})
        kinds.update({name: composite.kind for composite in fn.signature.composites for name in composite.parts})
    apart = [f"{name!r} ({kind})" for name, kind in kinds.items() if kind != "tensor"]
    if apart:
        names = ", ".join(apart)
        kind = f"to be a SavedModel, whose signatures take tensors alone, and the inputs are {names}"
        remedy = "give a path that ends in .keras, for a Keras model, or save a function of tensors"
        raise UnsupportedFormatError(str(target), kind=kind, remedy=remedy)


def _require_names(job: _Job, target: Path) -> None:
    """Refuse names of inputs that TensorFlow 2 writes into no SavedModel; TensorFlow 1 took any text."""
    names = [info.name for fn in job.functions.values() for info in fn.inputs if not info.optional]
    odd = [name for name in names if not _NAME.fullmatch(name)]
    if odd:
        kind = f"to be a SavedModel of TensorFlow 2, which cannot have the inputs {', '.join(map(repr, odd))}"
        remedy = "save a function with other names, which calls this one with a dict of its inputs"
        raise UnsupportedFormatError(str(target), kind=kind, remedy=remedy)


def _functions(obj: Any, signatures: Any, example: Any) -> dict[str, ModelCallable]:
    """Return the callables to save by their keys, the one that *example* is for first."""
    from safeload.runtime._export import callable_of

    if not signatures:
        return {_DEFAULT_KEY: callable_of(obj, example)}
    if isinstance(signatures, Mapping):
        examples = [example, *[None] * len(signatures)]
        return {
            key: callable_of(value, given) for (key, value), given in zip(signatures.items(), examples, strict=False)
        }
    keys = [signatures] if isinstance(signatures, str) else signatures
    return {key: as_callable(obj, signature=key) for key in keys}


def _write(written: str, target: Path, job: _Job) -> None:
    """Write, load back and compare."""
    from safeload.runtime._export import called

    expected = [called(fn, job.example if index == 0 else None) for index, fn in enumerate(job.functions.values())]
    with _naming(target, written):
        loaded = _written(written, target, job)
        try:
            for key, (values, outputs) in zip(job.functions, expected, strict=True):
                found = loaded.with_signature(key) if len(expected) > 1 else loaded
                _compare(found, values, outputs, target)
        finally:
            loaded.close()


@contextmanager
def _naming(target: Path, written: str) -> Iterator[None]:
    """Let errors name *target*: the place beside it, where the model was *written*, is gone when they are read."""
    try:
        yield
    except SafeloadError as error:
        error.args = tuple(_renamed(value, written, target) for value in error.args)
        vars(error).update({name: _renamed(value, written, target) for name, value in vars(error).items()})
        raise


def _renamed(value: Any, written: str, target: Path) -> Any:
    return value.replace(written, str(target)) if isinstance(value, str) else value


def _written(written: str, target: Path, job: _Job) -> ModelCallable:
    """Write the model and load it back."""
    from safeload.runtime import _export

    try:
        if target.suffix == _KERAS_SUFFIX:
            return _written_keras(written, target, job)
        _export.write_saved_model(job.functions, written, example=job.example)
        return load_callable(written, signature=next(iter(job.functions)))
    except SafeloadError:
        raise
    except Exception as error:
        raise LoadFailedError(str(target), problem=f"cannot be written: {first_line(error)}") from error


def _written_keras(written: str, target: Path, job: _Job) -> ModelCallable:
    from safeload.runtime._export import OWN_NAMES, custom_objects_in, keras_model_of, stand_ins_in

    model = keras_model_of(next(iter(job.functions.values())))
    if model is None or job.has_signatures:
        kind = "to be a Keras file, which holds one Keras model" + (" and no signatures" if model is not None else "")
        raise UnsupportedFormatError(str(target), kind=kind, remedy=_SAVED_MODEL)
    if names := stand_ins_in(model):
        kind = f"to be a Keras file, and the model has layers of safeload, which Keras does not find: {names[0]}"
        raise UnsupportedFormatError(str(target), kind=kind, remedy=_SAVED_MODEL)
    model.save(written)
    try:
        return load_callable(written, custom_objects=custom_objects_in(model))
    except (CustomObjectNotFoundError, UnsafeModelError) as error:  # Keras from 3.16 on records the module, too
        if OWN_NAMES not in str(error):
            raise
        kind = "to be a Keras file, and the model computes what an old release did and none of Keras 3 does"
        raise UnsupportedFormatError(str(target), kind=kind, remedy=_SAVED_MODEL) from error


def _compare(loaded: ModelCallable, values: Any, expected: dict[str, Any], target: Path) -> None:
    from safeload.runtime._export import difference, named_outputs

    problem = difference(expected, named_outputs(loaded, loaded(values)))
    if problem:
        raise LoadFailedError(
            str(target),
            problem=f"loaded back, it computes something else: {problem}",
            hint="nothing was saved; what the model computes may depend on random numbers or on state",
        )
