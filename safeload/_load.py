"""The public functions: open, detect, read, inspect, judge, plan, load. Layer: top of the library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, ParamSpec, Union

from safeload._collector import paused_collector
from safeload._explain import explain, failure_mode, first_line
from safeload._limits import Limits
from safeload.errors import LoadFailedError, MalformedArtifactError, SafeloadError
from safeload.formats import absolute, detect, open_source
from safeload.inspection import inspect_artifact
from safeload.planning import compose_report, plan_load, require_ends
from safeload.policy import examine, judge
from safeload.readers import KerasArtifact, read_artifact, with_architecture, with_signature
from safeload.registry import Registry

if TYPE_CHECKING:
    from safeload._report import InspectionReport
    from safeload.formats import Detection
    from safeload.inspection import ModelInfo
    from safeload.planning import LoadPlan
    from safeload.policy import Finding
    from safeload.readers import Artifact
    from safeload.registry import CustomObjects
    from safeload.runtime import ModelCallable

__all__ = ["as_callable", "custom_objects_for", "explain", "inspect_model", "load_callable", "wrap_loader"]

P = ParamSpec("P")

_GRAPH_LOADERS = "tensorflow.python.saved_model."
"""Modules whose loaders build nothing but the graph of a SavedModel."""

Source = Union[str, "os.PathLike[str]", bytes, BinaryIO]
"""A path, the bytes of a file, or a binary file object."""

Architecture = Union[str, "os.PathLike[str]", Callable[[], Any], None]
"""Path of a Keras JSON file, or a function that builds the model."""


def load_callable(
    source: Source,
    *,
    signature: str | None = None,
    tags: str | Iterable[str] | None = None,
    version: int | None = None,
    custom_objects: CustomObjects = None,
    modules: Iterable[ModuleType | str] = (),
    trusted: Iterable[str | None] = (),
    architecture: Architecture = None,
    limits: Limits | None = None,
) -> ModelCallable:
    """Load a model file as a function.

    Args:
        source: A Keras file (``.h5``, ``.keras``, whatever its name), a SavedModel directory, its ``saved_model.pb``, a
            parent with versions, a checkpoint prefix, the bytes of a file, or a binary file object.
        signature: Key of the signature to call. By default what the saver declared: ``serving_default``, else
            ``default``, else the only one; without signatures the object's ``__call__``, ``serve``, or the only traced
            function. Of a graph that declares no signature also the name of a node.
        tags: Tags of the MetaGraph of a SavedModel. By default ``serve``.
        version: Version below a parent such as ``model/1``, ``model/2``. By default the highest.
        custom_objects: Classes and functions that the model needs: a dict by name, a module, or a list.
        modules: Modules, or their names, in which to look for them.
        trusted: Identifiers of findings to permit, as a refusal lists them. Each permits exactly what was found.
        architecture: For weights alone: the path of the model's JSON file, or a function that builds the model. The
            function can stand for the classes of a whole Keras file too: its weights go into what the function builds.
            A file that holds a graph needs neither, and ignores it.
        limits: Bounds on what is read; see `Limits`.

    Returns:
        A function of the model's inputs. Arrays, tensors or lists go in; a tensor comes out, or a dict of tensors for
        several outputs.

    Raises:
        SafeloadError: Every failure, with a ``code``; see the errors reference.
        TypeError: An argument is of a type that it does not take.

    Guarantees:
        Everything the file wants is read and judged before any of it is built. Nothing that it names is imported. What
        only a process boundary can stop, such as an endless loop inside a graph, is not promised.
    """
    registry = Registry.of_call(custom_objects, modules)
    _require(tags, Iterable, "tags must be a text or a list of texts")
    _require(trusted, (Iterable, bool), "trusted must be a list of the identifiers of findings")
    tags = [*tags] if tags is not None and not isinstance(tags, str) else tags
    trusted = trusted if isinstance(trusted, (str, bool)) else [*(trusted or ())]
    options = {
        "signature": signature, "tags": tags, "version": version, "trusted": trusted, "limits": limits,
        "architecture": _absolute(architecture), **registry.options(),
    }  # fmt: skip
    build = architecture if callable(architecture) else None
    looking = _looking(source, version=version, architecture=architecture, signature=signature, limits=limits)
    with paused_collector(), looking as seen:
        require_ends(seen.artifact, seen.info, signature=signature, tags=tags)
        judged = judge(seen.artifact, seen.info, seen.findings, trusted)
        plan = plan_load(judged, registry, signature=signature, tags=tags, architecture=build)

        load = _imported_loader(seen.artifact.where)
        report = _report(seen, registry, plan)
        return load(plan, recipe=_recipe(source, options, seen.info.digest), report=report)


def _imported_loader(where: str) -> Callable[..., ModelCallable]:
    """Import TensorFlow, and return what loads with it."""
    try:
        from safeload import runtime
    except Exception as error:  # of Keras: ValueError, AttributeError and AssertionError, by what its settings hold
        problem = f"TensorFlow or Keras cannot be imported: {first_line(error)}"
        hint = "mend what `python -c 'import tensorflow, keras'` shows: an old ~/.keras/keras.json, the environment "
        raise LoadFailedError(where, problem=problem, hint=f"{hint}variable KERAS_BACKEND, or the package") from error
    return runtime.load


def inspect_model(source: Source, *, limits: Limits | None = None) -> InspectionReport:
    """Report what a model file holds and how it would load, without running anything.

    Args:
        source: As for `load_callable`.
        limits: Bounds on what is read.

    Returns:
        Format, producer, signatures, layers, custom objects needed, findings, verdict. A finding is reported, never
        raised.

    Raises:
        SafeloadError: The file is absent, broken, too large, or of no format that holds a model.

    Guarantees:
        Imports no TensorFlow and no Keras, reads no weights, runs nothing.
    """
    with paused_collector(), _looking(source, limits=limits) as seen:
        return _report(seen, Registry.of_call())


def custom_objects_for(source: Source) -> dict[str, object]:
    """Return the ``custom_objects`` that another loader needs for this file, from what is registered.

    Raises:
        CustomObjectNotFoundError: ``custom-object-not-found``. Names all that are not registered.
        CustomObjectConflictError: ``custom-object-conflict``. A name has several candidates.
    """
    with _looking(source) as seen:
        return Registry.of_call().resolve_all(seen.info)


def as_callable(obj: Any, *, signature: str | None = None) -> ModelCallable:
    """Make the uniform callable of something that is already loaded.

    Args:
        obj: What `tf.saved_model.load` returned (``AutoTrackable``, ``_UserObject``), a Keras model, a
            ConcreteFunction, a `tf.Module`.
        signature: As for `load_callable`.

    Returns:
        The callable. Nothing was inspected, for somebody else loaded the object.

    Raises:
        NoCallableError: ``no-callable``. The object has no traced function; the hint says what to pass instead.
        AmbiguousSignatureError: ``ambiguous-signature``. Several functions, none of them the default.
        SignatureNotFoundError: ``signature-not-found``. There is none of that name.
    """
    from safeload.runtime._wrap import as_callable as make_callable

    return make_callable(obj, signature=signature)


def wrap_loader(loader: Callable[P, Any]) -> Callable[P, ModelCallable]:
    """Make an existing loader look before it loads and return a `ModelCallable`; also a decorator.

    Args:
        loader: `tf.keras.models.load_model`, `tf.saved_model.load`, or any function or method that takes a path. Of its
            arguments the first that is one is inspected.

    Returns:
        A function with the loader's arguments. ``.model`` of its result is the loader's own object.

    Guarantees:
        The path is inspected and judged first, with what Keras recorded in a SavedModel unless the loader is
        TensorFlow's own. The loader then reads it again, so somebody who can replace the file in between decides what
        is loaded; `load_callable` has no such gap.
    """
    from safeload.runtime._wrap import wrap_loader as wrap

    builds_objects = not str(getattr(loader, "__module__", "")).startswith(_GRAPH_LOADERS)
    return wrap(loader, judge=partial(_judged_report, builds_objects=builds_objects), advise=_advice)


for _public in (load_callable, inspect_model, custom_objects_for, as_callable):
    # Autograph would convert all that they call, inside tf.function. Source: as in `ModelCallable`.
    vars(_public)["autograph_info__"] = {}


class _Seen(NamedTuple):
    """What looking at a source found."""

    detection: Detection
    artifact: Artifact
    info: ModelInfo
    findings: tuple[Finding, ...]


@contextmanager
def _looking(
    source: Source,
    *,
    version: int | None = None,
    architecture: Architecture = None,
    signature: str | None = None,
    limits: Limits | None = None,
) -> Iterator[_Seen]:
    """Open, detect, read, inspect and examine *source*; its weights stay open inside the context."""
    _require(version, Integral, "version must be an integer")
    _require(limits, Limits, "limits must be a safeload.Limits")
    wanted = "the path of the model's JSON file, or a function that builds the model"
    _require(architecture, (str, os.PathLike, Callable), f"architecture must be {wanted}")
    limits = limits or Limits()
    detection = detect(open_source(source), version=version)
    artifact = read_artifact(detection, limits)
    try:
        if isinstance(architecture, (str, os.PathLike)) and isinstance(artifact, KerasArtifact):
            artifact = with_architecture(artifact, architecture, limits)
        if isinstance(signature, str):
            artifact = with_signature(artifact, signature)
        yield _Seen(detection, artifact, *_examined(artifact))
    finally:
        if isinstance(artifact, KerasArtifact) and artifact.weights_file is not None:
            artifact.weights_file.close()


def _require(value: object, kind: Any, wanted: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{wanted}, not of type {type(value).__name__}")


def _examined(artifact: Artifact) -> tuple[ModelInfo, tuple[Finding, ...]]:
    """Inspect and examine; what no release writes may have a shape that nobody has thought of."""
    try:
        info = inspect_artifact(artifact)
        return info, examine(artifact, info)
    except SafeloadError:
        raise
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        problem = f"it holds what is not understood: {first_line(error)}"
        raise MalformedArtifactError(artifact.where, problem=problem) from error


def _report(seen: _Seen, registry: Registry, plan: LoadPlan | None = None) -> InspectionReport:
    found: dict[str, Any] = {"evidence": seen.detection.evidence, "is_mislabelled": seen.detection.is_mislabelled}
    return compose_report(seen.artifact, seen.info, seen.findings, registry, **found, plan=plan)


def _advice(error: Exception) -> str | None:
    mode = failure_mode(error)
    return f"{mode.cause} Instead: {mode.remedy}" if mode is not None else None


def _judged_report(path: str, *, builds_objects: bool) -> tuple[InspectionReport, str]:
    with _looking(path) as seen:
        from safeload.policy.keras_records import examine_records

        beside = examine_records(seen.artifact) if builds_objects else ()
        judge(seen.artifact, seen.info, (*seen.findings, *beside))
        return _report(seen, Registry.of_call()), seen.info.digest


def _recipe(source: Source, options: Mapping[str, Any], digest: str) -> Any:
    """Return how to load *source* again elsewhere, or None for an open file, which cannot be opened again."""
    from safeload.runtime import Recipe

    if not isinstance(source, (str, bytes, os.PathLike)):
        return None
    given = {name: value for name, value in options.items() if value is not None}
    return Recipe(load_callable, _absolute(source), given, digest)


def _absolute(path: Any) -> Any:
    """Return *path* so that another working directory does not matter; sources that are no path as they are."""
    if not isinstance(path, (str, os.PathLike)):
        return path
    return str(absolute(os.fsdecode(path)))
