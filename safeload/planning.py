"""How this artifact loads here. Layer: above policy, signatures and registry; below runtime.

A `LoadPlan` holds everything that `runtime` needs, so that runtime decides nothing.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload._report import CustomObject, InspectionReport, Outcome, Requirement
from safeload.dialects import COMPAT_MODULE, needs_keras_2
from safeload.errors import (
    ENDED_PACKAGES,
    AmbiguousSignatureError,
    ArchitectureMissingError,
    CustomObjectConflictError,
    IncompatibleVersionError,
    MissingDependencyError,
    OpNotRegisteredError,
    SafeloadError,
    SignatureNotFoundError,
    UnsupportedFormatError,
)
from safeload.formats import Format
from safeload.inspection import own_arrays
from safeload.inspection.op_classes import is_registered
from safeload.policy import has_kernel
from safeload.readers import TOP_LEVEL_WEIGHTS, KerasArtifact, WeightLayout
from safeload.signatures import choose

if TYPE_CHECKING:
    from safeload.inspection import MetaGraphInfo, ModelInfo, ObjectInfo, SignatureInfo
    from safeload.policy import Finding, Judged
    from safeload.readers import Artifact, WeightIndex
    from safeload.registry import Registry

__all__ = ["InspectionReport", "LoadPlan", "compose_report", "plan_load", "require_ends"]


@dataclass(frozen=True)
class LoadPlan:
    """What to build and which function of it answers a call.

    Attributes:
        judged: The artifact, as `policy.judge` let it through.
        road: ``"keras"``, ``"tf_keras"``, ``"saved-model"`` or ``"tflite"``.
        signature: What answers a call.
        reason: Which rule chose it, in words.
        meta_graph: The MetaGraph of a SavedModel, else None.
        custom_objects: Objects for the names that the config needs: name as the config looks it up → object. What
            stands for a class that the normal form takes for Keras's own is under ``"keras.layers.Name"``.
        architecture: For weights alone: a function that builds the model, or None when the judged config does.
        names: What the call gave by name: a trusted Lambda may refer to it.
    """

    judged: Judged
    road: str
    signature: SignatureInfo
    reason: str
    meta_graph: MetaGraphInfo | None = None
    custom_objects: Mapping[str, object] = field(default_factory=dict)
    architecture: Callable[[], Any] | None = None
    names: Mapping[str, object] = field(default_factory=dict)


def require_ends(
    artifact: Artifact, info: ModelInfo, *, signature: str | None, tags: str | Iterable[str] | None
) -> None:
    """Refuse the checkpoint of a graph in which nothing can be called, before it is judged: no trust makes it a model.

    Such is what an Estimator leaves behind while it trains; the vocabularies that it reads are findings as well.

    Raises:
        NoCallableError: ``no-callable``. Nothing in the graph of the checkpoint can be called.
    """
    if artifact.format is Format.TF1_CHECKPOINT:
        with suppress(AmbiguousSignatureError, SignatureNotFoundError):
            choose(info, signature=signature, tags=tags)


def plan_load(
    judged: Judged,
    registry: Registry,
    *,
    signature: str | None = None,
    tags: str | Iterable[str] | None = None,
    architecture: Callable[[], Any] | None = None,
) -> LoadPlan:
    """Decide how a judged artifact is loaded.

    Args:
        judged: What `policy.judge` let through.
        registry: Where custom objects are found.
        signature: Key of the signature to call, or None for what the saver declared.
        tags: Tags of the MetaGraph, or None for ``serve``.
        architecture: A function that builds the model, for weights alone or in place of what a config says.

    Returns:
        The plan. Everything that can be found wrong without TensorFlow has been raised.

    Raises:
        ArchitectureMissingError: ``architecture-missing``. Weights alone, and no *architecture*.
        UnsupportedFormatError: ``unsupported-format``. An architecture alone, a model without its weights, or
            TensorFlow's ops in TensorFlow Lite.
        OpNotRegisteredError: ``op-not-registered``. Custom ops in TensorFlow Lite.
        CustomObjectNotFoundError: ``custom-object-not-found``. Names every missing class and function.
        CustomObjectConflictError: ``custom-object-conflict``. A name has several candidates, or the wrong kind.
        IncompatibleVersionError: ``incompatible-version``. The config names a class that no known Keras has.
        SignatureNotFoundError: ``signature-not-found``. No such signature or tag set.
        AmbiguousSignatureError: ``ambiguous-signature``. Several candidates and no default.
        NoCallableError: ``no-callable``. Nothing in the model can be called.
    """
    decided = _decide(judged.artifact, judged.info, registry, signature=signature, tags=tags, architecture=architecture)
    return LoadPlan(judged=judged, architecture=architecture, names=registry.named, **decided._asdict())


class _Decided(NamedTuple):
    road: str
    signature: SignatureInfo
    reason: str
    meta_graph: MetaGraphInfo | None
    custom_objects: Mapping[str, object]


def _decide(
    artifact: Artifact,
    info: ModelInfo,
    registry: Registry,
    *,
    signature: str | None = None,
    tags: str | Iterable[str] | None = None,
    architecture: Callable[[], Any] | None = None,
) -> _Decided:
    if isinstance(artifact, KerasArtifact):
        _require_both_halves(artifact, architecture)
        if architecture is None:
            _require_input_shape(info)
            _require_weights(info)
    _require_known_classes(info)
    _require_kernels(info)
    custom_objects = registry.resolve_all(info) if architecture is None else {}
    choice = choose(info, signature=signature, tags=tags)
    road = _road(info, custom_objects)
    return _Decided(road, choice.signature_info, choice.reason, choice.meta_graph, custom_objects)


def compose_report(
    artifact: Artifact,
    info: ModelInfo,
    findings: Sequence[Finding],
    registry: Registry,
    *,
    evidence: str = "",
    is_mislabelled: bool = False,
    plan: LoadPlan | None = None,
) -> InspectionReport:
    """Put the facts, the findings and what loading would come to into one report.

    Args:
        artifact: What was read.
        info: The facts about it.
        findings: What the policy thinks of them.
        registry: Where custom objects are found; what they need is part of the answer.
        evidence: How the format was recognised.
        is_mislabelled: True if the name promises another format.
        plan: How it is loaded, if that is decided; by default as it would be without options.

    Returns:
        The report. The error that loading would raise is in it, not raised.
    """
    return InspectionReport(
        info=info,
        evidence=evidence,
        findings=tuple(findings),
        custom_objects=_custom_objects(info, registry),
        outcome=_outcome(artifact, info, registry, plan),
        is_mislabelled=is_mislabelled,
    )


def _outcome(artifact: Artifact, info: ModelInfo, registry: Registry, plan: LoadPlan | None) -> Outcome:
    try:
        decided = plan or _decide(artifact, info, registry)
    except SafeloadError as error:
        return Outcome(code=error.code, error=str(error))
    requires = tuple(_requirements(decided))
    unmet = _unmet(info.where, requires)
    return Outcome(
        road=decided.road,
        signature=decided.signature,
        reason=decided.reason,
        code=None if unmet is None else unmet.code,
        error=None if unmet is None else str(unmet),
        meta_graph=None if decided.meta_graph is None else decided.meta_graph.index,
        requires=requires,
    )


def _unmet(where: str, requires: Iterable[Requirement]) -> SafeloadError | None:
    """Return the error that loading would raise for what is not installed here."""
    missing = [needed for needed in requires if not needed.is_installed]
    ops = {op: needed.package for needed in missing for op in needed.ops if not is_registered(op)}
    if ops:
        return OpNotRegisteredError(where, ops=sorted(ops), package=next(filter(None, ops.values()), None))
    keras2 = [needed for needed in missing if not needed.ops]
    return MissingDependencyError(where, package="tf_keras (Keras 2)", install="safeload[keras2]") if keras2 else None


def _requirements(decided: _Decided | LoadPlan) -> Iterator[Requirement]:
    """Yield the packages that register ops of the graph, and tf-keras where the model is built with it."""
    by_package: dict[str | None, list[str]] = {}
    for op, package in decided.meta_graph.missing_ops if decided.meta_graph is not None else ():
        by_package.setdefault(package, []).append(op)
    for package, ops in by_package.items():
        install = package if package not in ENDED_PACKAGES else None
        yield Requirement(package, install, tuple(ops), is_installed=package is not None and _is_installed(package))
    if decided.road == "tf_keras":
        yield Requirement("tf-keras", "safeload[keras2]", is_installed=_is_installed("tf-keras"))


def _is_installed(package: str) -> bool:
    """Look for the module of *package* without importing it: a nightly build is another distribution of the same."""
    module = package.replace("-", "_").replace(".", "_")
    return sys.modules.get(module) is not None or importlib.util.find_spec(module) is not None


def _custom_objects(info: ModelInfo, registry: Registry) -> tuple[CustomObject, ...]:
    needed: dict[tuple[str, bool], ObjectInfo] = {}
    for found in info.keras.objects if info.keras else ():
        if not found.is_builtin:
            needed.setdefault((found.registered_name or found.name, found.is_training_only), found)
    return tuple(
        CustomObject(
            name=found.registered_name or found.name,
            kind=found.kind,
            module=found.module,
            where=found.where,
            is_training_only=found.is_training_only,
            is_available=_is_available(found, registry),
        )
        for found in needed.values()
        if not found.is_mere_text or _is_available(found, registry)
    )


def _is_available(found: ObjectInfo, registry: Registry) -> bool:
    try:
        return registry.resolve(found) is not None
    except CustomObjectConflictError:
        return False


def _require_both_halves(artifact: KerasArtifact, architecture: Callable[[], Any] | None) -> None:
    """Refuse an architecture without weights, and weights without one."""
    if artifact.config is None and architecture is None:
        raise _no_architecture(artifact)
    if artifact.format is Format.KERAS_JSON:
        raise UnsupportedFormatError(
            artifact.where,
            kind="a Keras architecture without weights",
            remedy=f"pass the file of its weights, with architecture={artifact.where!r}",
        )


_TRANSFORMERS = "load weights of Hugging Face transformers with it, and pass its model to as_callable; or "


def _is_of_transformers(path: str) -> bool:
    """Tell an array below Keras's automatic name of models like ``TFBertModel``, ``TFBertForTokenClassification``.

    Source: ``save_pretrained`` in src/transformers/modeling_tf_utils.py (4.30), ``to_snake_case`` of tf_keras (2.21).
    """
    return any(part.startswith("tf") and ("_model" in part or "for_" in part) for part in path.split("/"))


def _no_architecture(artifact: KerasArtifact) -> ArchitectureMissingError:
    holds, graph = _contents(artifact.weights), artifact.graph_beside
    if graph is None:
        paths = (dataset.path for dataset in artifact.weights.datasets)
        instead = _TRANSFORMERS if any(map(_is_of_transformers, paths)) else ""
        return ArchitectureMissingError(artifact.where, holds=holds, instead=instead)
    if graph:
        instead = f"pass the directory that holds {graph} to load the SavedModel; or "
        return ArchitectureMissingError(artifact.where, holds=f"{holds} of a SavedModel", instead=instead)
    holds = f"{holds} of a SavedModel whose saved_model.pb (or .pbtxt) is missing"
    return ArchitectureMissingError(artifact.where, holds=holds, instead="copy the whole directory again; or ")


def _require_input_shape(info: ModelInfo) -> None:
    """Refuse weights of a Sequential model that its own layers do not suffice to build."""
    keras = info.keras
    if keras is None or not keras.parameter_count or keras.signature.inputs or keras.root.class_name != "Sequential":
        return
    first = keras.root
    while first.class_name == "Sequential" and first.layers:
        first = first.layers[0]
    if first.module in ("keras.layers", COMPAT_MODULE):
        raise IncompatibleVersionError(
            info.where,
            problem="the Sequential model does not record the shape of its input",
            hint="pass architecture=, a function that builds the same layers after a keras.Input: Keras up to 2.3 and "
            "TensorFlow 1.13 do not save the InputLayer",
        )


def _require_weights(info: ModelInfo) -> None:
    """Refuse a model that was never built: its layers would make up weights at the first call."""
    keras = info.keras
    if keras is None or keras.parameter_count or keras.signature.inputs:
        return
    if any(has_kernel(place.value) for place in keras.object_places):
        raise UnsupportedFormatError(
            info.where,
            kind="a Keras model that was saved before it had weights",
            remedy="build it or call it once, train it, and save it again",
        )


def _require_kernels(info: ModelInfo) -> None:
    """Refuse TensorFlow Lite models with ops that its interpreter does not have, or that run all of TensorFlow."""
    if info.tflite is None:
        return
    if info.tflite.flex_ops:
        names = ", ".join(info.tflite.flex_ops[:_SHOWN_NAMES])
        raise UnsupportedFormatError(
            info.where,
            kind=f"a TensorFlow Lite model that runs ops of TensorFlow ({names}), which are not examined there",
            remedy="load the SavedModel that it was converted from, or convert it without SELECT_TF_OPS",
        )
    if info.tflite.missing_ops:
        raise OpNotRegisteredError(info.where, ops=[op for op, _ in info.tflite.missing_ops], package=None)


def _require_known_classes(info: ModelInfo) -> None:
    for found in info.keras.objects if info.keras else ():
        is_unknown = not found.is_builtin and (found.module or "").partition(".")[0] == "keras"
        if is_unknown and not found.is_training_only and not found.registered_name:
            raise IncompatibleVersionError(
                info.where,
                problem=f"{found.module}.{found.name} at {found.where} is in no Keras that safeload knows",
                hint="upgrade safeload, or ask for a file of an older Keras",
            )


def _road(info: ModelInfo, custom_objects: Mapping[str, object]) -> str:
    """Return which package builds the model: that of the custom classes; where they do not say, Keras 3 if it can."""
    if info.tflite is not None:
        return "tflite"
    if info.saved_model is not None:
        return "saved-model"
    old, new = (_of_package(package, custom_objects) for package in ("tf_keras", "keras"))
    if old and new:
        raise CustomObjectConflictError(
            old[0],
            problem=f"is a class for tf_keras, while {new[0]!r} is one for Keras 3; one model cannot have both",
            hint="derive the custom classes of a model from one package",
        )
    only_old = needs_keras_2(info.keras.normal) if info.keras is not None else None
    if new and only_old:
        raise CustomObjectConflictError(
            new[0],
            problem=f"is a class for Keras 3, while the model has {only_old}, as only Keras 2 computes it",
            hint="derive the custom classes of this model from tf_keras",
        )
    return "tf_keras" if old or only_old else "keras"


def _of_package(package: str, custom_objects: Mapping[str, object]) -> list[str]:
    classes = {name: value for name, value in custom_objects.items() if isinstance(value, type)}
    return [n for n, c in classes.items() if any(b.__module__.partition(".")[0] == package for b in c.__mro__)]


_SHOWN_NAMES = 5


_VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""Ends the keys of checkpoints. Source: tensorflow/python/checkpoint/trackable (2.21)."""


def _contents(weights: WeightIndex) -> str:
    """Say what weights these are, by the layers or variables that they name."""
    if weights.layers:
        names = [layer.layer_name for layer in weights.layers if layer.layer_name != TOP_LEVEL_WEIGHTS]
        return _listed("the weights of", "layer", names)
    arrays = [dataset.path.removesuffix(_VARIABLE) for dataset in own_arrays(weights)]
    if weights.layout is WeightLayout.CHECKPOINT:
        return _listed("a checkpoint of", "variable", arrays)
    groups = Counter(path.partition("/vars/")[0].removeprefix("layers/") for path in arrays)
    return _listed("the weights of", "layer", list(groups))


def _listed(text: str, noun: str, names: Sequence[str]) -> str:
    more = ", …" if len(names) > _SHOWN_NAMES else ""
    shown = f" ({', '.join(names[:_SHOWN_NAMES])}{more})" if names else ""
    return f"{text} {len(names) or 'no'} {noun}{'' if len(names) == 1 else 's'}{shown}"
