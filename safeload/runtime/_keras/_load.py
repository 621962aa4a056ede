"""A judged Keras config and its weights → the built model. Layer: runtime."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from safeload._explain import first_line, with_place
from safeload.dialects import Flavour, NormalForm
from safeload.errors import ArtifactChangedError, CustomObjectConflictError, LoadFailedError, SafeloadError
from safeload.runtime._keras._ambient import names_apart, plain_policy, require_tensorflow_backend
from safeload.runtime._keras._biased import add_biases_where_they_are
from safeload.runtime._keras._budget import bounded_variables, require_bounded_outputs
from safeload.runtime._keras._cast import cast_masks_as_written
from safeload.runtime._keras._deferred import deferred_variables, defers_variables
from safeload.runtime._keras._direct._graph import NotUnderstoodError
from safeload.runtime._keras._direct._network import network
from safeload.runtime._keras._direct._runtime import DirectRuntime
from safeload.runtime._keras._direct._values import filled_variables
from safeload.runtime._keras._encoded import give_recorded_dtypes
from safeload.runtime._keras._in_graphs import mend
from safeload.runtime._keras._integers import compute_integers_as_written
from safeload.runtime._keras._lowered import lowered_config
from safeload.runtime._keras._package import import_keras, installed_target
from safeload.runtime._keras._resolve import Resolver
from safeload.runtime._keras._runtime import KerasRuntime
from safeload.runtime._keras._scaled import give_recorded_alphas
from safeload.runtime._keras._sequences import pass_masks_on, take_masks_beside_states
from safeload.runtime._keras._softened import add_masks_to_softmax
from safeload.runtime._log import LOG
from safeload.runtime._signals import raise_interruption
from safeload.runtime._weights import set_weights
from safeload.runtime.compat import compat_objects

if TYPE_CHECKING:
    from safeload.inspection import KerasInfo
    from safeload.planning import LoadPlan
    from safeload.readers import KerasArtifact


def load_keras(plan: LoadPlan) -> KerasRuntime | DirectRuntime:
    """Load the model of *plan*, with its weights.

    Args:
        plan: A plan for the road ``"keras"`` or ``"tf_keras"``.

    Returns:
        What holds the Keras model, not compiled. Its route is ``"direct"`` if the model is built when it is asked for;
        ``"deferred"`` if its variables waited for their values, ``"ordinary"`` if they were created with initial ones.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. The installed Keras cannot express the model.
        ArtifactChangedError: ``artifact-changed``. Somebody wrote to the file meanwhile.
        MalformedArtifactError: ``malformed-artifact``. The weights are not those of their checksum.
        CustomObjectConflictError: ``custom-object-conflict``. A given class does not take the recorded config.
        LoadFailedError: ``load-failed``. Keras failed, or weights and model do not agree.
    """
    artifact = cast("KerasArtifact", plan.judged.artifact)
    facts = plan.judged.info.keras
    normal: NormalForm | None = facts.normal if facts is not None else None
    says = _families_told(plan.custom_objects, normal)
    asks = _texts_told(plan)
    with says, asks, explained(artifact.where), _verified(artifact):
        config = _config(plan) if plan.architecture is None else None
        loaded = _direct(plan, config) or _ordinary(plan, config, normal)
        _require_unchanged(artifact)
    return loaded


def _ordinary(plan: LoadPlan, config: Any, normal: NormalForm | None) -> KerasRuntime:
    artifact = cast("KerasArtifact", plan.judged.artifact)
    known = normal if plan.architecture is None or _lists_layers(normal) else None
    model, route = _model(plan, config, lambda built: set_weights(built, artifact, known))
    return KerasRuntime(model, where=artifact.where, static=plan.signature, route=route)


def _direct(plan: LoadPlan, config: Any) -> DirectRuntime | None:
    """Make the function of the model without the model; None where that is left to Keras."""
    if plan.road != "keras" or plan.architecture or plan.custom_objects or not defers_variables():
        return None
    artifact, facts = cast("KerasArtifact", plan.judged.artifact), cast("KerasInfo", plan.judged.info.keras)
    try:
        graph, shape = network(config)
        handles = filled_variables(graph.variables, artifact, facts.normal)
    except (NotUnderstoodError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        LOG.info("%s: the direct route does not understand it: %s", artifact.where, error)
        return None
    return DirectRuntime(
        graph,
        handles,
        static=plan.signature,
        shape=shape,
        where=artifact.where,
        build=lambda give: _model(plan, config, give)[0],
    )


def _model(plan: LoadPlan, config: Any, give: Callable[[Any], None]) -> tuple[Any, str]:
    """Build the model, and let *give* set its weights; return it with the route."""
    artifact = cast("KerasArtifact", plan.judged.artifact)
    facts = plan.judged.info.keras
    normal: NormalForm | None = facts.normal if facts is not None else None
    with explained(artifact.where), deferred_variables(artifact.where) as deferral:
        build = plan.architecture
        model = _build(plan, config) if build is None else _from_caller(build, artifact.where)
        give(model)
        mend(model)
        add_biases_where_they_are(model, normal)
        add_masks_to_softmax(model, normal)
        pass_masks_on(model, normal)
        take_masks_beside_states(model, normal)
        give_recorded_alphas(model, normal, artifact.where)
        give_recorded_dtypes(model, artifact, normal)
        cast_masks_as_written(model, normal)
        compute_integers_as_written(model, normal)
    return model, "deferred" if deferral.deferred else "ordinary"


def _lists_layers(normal: NormalForm | None) -> bool:
    """Tell whether the config says more of the model than its class and what that is made from."""
    return normal is not None and "layers" in normal.config["config"]


@contextmanager
def _verified(artifact: KerasArtifact) -> Iterator[None]:
    """Compare the weights with their checksum meanwhile, in a thread.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. They do not agree.
    """
    if artifact.weights_file is None:
        yield
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="safeload")
    verified = pool.submit(artifact.weights_file.verify)
    pool.shutdown(wait=False)
    yield
    verified.result()


def _require_unchanged(artifact: KerasArtifact) -> None:
    """Refuse weights of which some may be of another file than the one that was judged."""
    if artifact.weights_file is not None and not artifact.weights_file.is_unchanged():
        raise ArtifactChangedError(artifact.where, expected=artifact.digest)


def _from_caller(architecture: Callable[[], Any], where: str) -> Any:
    if hasattr(architecture, "layers") and not isinstance(architecture, type):  # a class builds one, when called
        raise CustomObjectConflictError(
            "architecture",
            problem="is a Keras model, not a function that builds one",
            hint="pass architecture=lambda: model; its weights become those of the file",
        )
    try:
        model = architecture()
    except Exception as error:
        raise LoadFailedError(
            where,
            problem=f"architecture= failed: {type(error).__name__}: {first_line(error)}",
            hint="it is called without arguments, and returns the built keras.Model",
        ) from error
    if not hasattr(model, "layers"):
        raise CustomObjectConflictError(
            "architecture",
            problem=f"returned {type(model).__name__}, not a Keras model",
            hint="return the built keras.Model",
        )
    if not model.built:
        raise LoadFailedError(
            where,
            problem="the model that architecture= returned has no weights yet",
            hint="call it once on data of the right shape before returning it",
        )
    return model


def _config(plan: LoadPlan) -> Any:
    """Return the config for the Keras that is installed, and import that."""
    where = plan.judged.artifact.where
    if plan.road == "keras" and "keras" not in sys.modules:
        require_tensorflow_backend(where)
    keras = import_keras(plan.road)
    require_tensorflow_backend(where, keras)
    return lowered_config(plan.judged, installed_target(keras, compat_objects(plan.road)))


def _build(plan: LoadPlan, lowered: Any) -> Any:
    where = plan.judged.artifact.where
    keras = import_keras(plan.road)
    facts = cast("KerasInfo", plan.judged.info.keras)
    resolver = Resolver(
        keras=keras,
        custom=plan.custom_objects,
        compat=compat_objects(plan.road),
        where=where,
        trusted=plan.judged.trusted,
        names=plan.names,
        writer=facts.normal.writer,
    )
    config = resolver.rewrite(lowered)
    scope = {**plan.custom_objects, **resolver.scope}
    is_bounded = bounded_variables(facts.parameter_count, where)
    with plain_policy(keras), names_apart(keras, config), keras.saving.custom_object_scope(scope), is_bounded:
        model = keras.saving.deserialize_keras_object(config, custom_objects=scope, safe_mode=True)
    require_bounded_outputs(model, where)
    return model


@contextmanager
def _families_told(custom: Mapping[str, Any], normal: NormalForm | None) -> Iterator[None]:
    """Begin the hint of an error with the class that is of another Keras than the file, if there is one."""
    try:
        yield
    except (LoadFailedError, CustomObjectConflictError) as error:
        is_new = normal is not None and normal.writer.flavour is Flavour.KERAS_3
        other, theirs, ours = ("tf_keras", 3, "keras") if is_new else ("keras", 2, "tf_keras")
        is_told = _extends_layers if isinstance(error, CustomObjectConflictError) else _derives
        names = [n for n, c in custom.items() if isinstance(c, type) and is_told(c, other)]
        if normal is not None and names:
            first = f"the file is of Keras {theirs}, and {names[0]!r} derives from {other}: derive it from {ours}"
            error.hint = f"{first}{_setting(other)}; {error.hint}"
        raise


@contextmanager
def _texts_told(plan: LoadPlan) -> Iterator[None]:
    """Ask for the function where a class of the caller's has looked up a text as one, which nobody gave."""
    try:
        yield
    except LoadFailedError as error:
        facts = plan.judged.info.keras
        texts = [o.name for o in (facts.objects if facts is not None else ()) if o.is_mere_text]
        # ``get`` and ``deserialize`` in keras/src/activations/__init__.py (3.15.1), tf_keras 2.21 src/activations.py
        name = next((text for text in texts if text in error.problem), None)
        if name is not None and "activation function" in error.problem:
            error.hint = f"if {name!r} is a function of yours, pass it: custom_objects={{{name!r}: …}}; {error.hint}"
        raise


def _derives(cls: type, package: str) -> bool:
    return any(base.__module__.partition(".")[0] == package for base in cls.__mro__)


def _extends_layers(cls: type, package: str) -> bool:
    """Tell whether *cls* derives from one of the layers, whose arguments differ; those of all layers do not matter."""
    bases = (base for base in cls.__mro__ if base.__name__ != "Layer")
    return any(base.__module__.startswith(f"{package}.src.layers.") for base in bases)


def _setting(other: str) -> str:
    """Say what gives a class of a library, which nobody can derive anew, its bases of the Keras that is not *other*.

    Source: ``tensorflow/python/util/lazy_loader.py`` of TensorFlow 2.16 and later.
    """
    is_legacy = os.environ.get("TF_USE_LEGACY_KERAS") in {"1", "true", "True"}
    if is_legacy is not (other == "tf_keras"):
        return ""
    setting = "without TF_USE_LEGACY_KERAS" if is_legacy else "with TF_USE_LEGACY_KERAS=1"
    return f", or if it takes Keras from TensorFlow (as tensorflow.keras), start Python {setting}"


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what Keras raises into errors of safeload, and let through what the handler of a signal raises.

    Raises:
        LoadFailedError: ``load-failed``. With the innermost cause.
    """
    try:
        yield
    except SafeloadError:
        raise
    except RecursionError as error:
        limit = sys.getrecursionlimit()
        raise LoadFailedError(
            where,
            problem=f"it has more layers in a row, or in one another, than Keras follows in {limit:,} nested calls",
            hint=f"call sys.setrecursionlimit({10 * limit}) before loading",
        ) from error
    except StopIteration as error:  # as the cause of a RuntimeError, contextlib would let it out again
        raise LoadFailedError(where, problem=with_place(error)) from RuntimeError(repr(error))
    except Exception as error:
        raise_interruption(error)
        raise LoadFailedError(where, problem=with_place(error)) from error
