"""Run: a `LoadPlan` → a `ModelCallable`. The only package that imports TensorFlow, Keras or tf_keras."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from safeload.runtime._callable._fork import require_usable
from safeload.runtime._callable._model_callable import Backend, ModelCallable, Recipe
from safeload.runtime._outside_graphs import outside_graphs, require_eager

if TYPE_CHECKING:
    from collections.abc import Callable

    from safeload.inspection import MetaGraphInfo, TFLiteInfo
    from safeload.planning import LoadPlan
    from safeload.readers import SavedModelArtifact, TFLiteArtifact

__all__ = ["ModelCallable", "Recipe", "load"]


def load(plan: LoadPlan, *, recipe: Recipe | None = None, report: Any = None) -> ModelCallable:
    """Load what *plan* says.

    Args:
        plan: What to build, from `planning.plan_load`.
        recipe: How to load it again in another process.
        report: What inspection found.

    Returns:
        The callable, with its weights loaded.

    Raises:
        UnsafeModelError: ``unsafe-model``. TensorFlow turns out to have an op that nobody examined.
        OpNotRegisteredError: ``op-not-registered``. The graph needs ops that TensorFlow does not have here.
        LoadFailedError: ``load-failed``. TensorFlow or Keras failed, or eager execution is off in this process.
    """
    require_usable(plan.judged.info.where)
    with outside_graphs():
        require_eager(plan.judged.info.where)
        backend = _ROADS[plan.road](plan)
    if report is not None:
        report = replace(report, route=backend.route)
    return ModelCallable(backend, plan.signature.key, report=report, recipe=recipe, digest=plan.judged.info.digest)


# What each road needs is imported by it: most processes load one format.


def _load_saved_model(plan: LoadPlan) -> Backend:
    from safeload.runtime._ops import refuse_new_ops
    from safeload.runtime._saved_model._runtime import SavedModelRuntime

    refuse_new_ops(plan.judged)
    runtime = SavedModelRuntime(
        cast("SavedModelArtifact", plan.judged.artifact), cast("MetaGraphInfo", plan.meta_graph)
    )
    try:
        runtime.prepare(plan.signature)
    except BaseException:
        runtime.close()
        raise
    return runtime


def _load_keras(plan: LoadPlan) -> Backend:
    from safeload.runtime._keras._load import load_keras

    return load_keras(plan)


def _load_tflite(plan: LoadPlan) -> Backend:
    from safeload.runtime._tflite import TFLiteRuntime

    return TFLiteRuntime(cast("TFLiteArtifact", plan.judged.artifact), cast("TFLiteInfo", plan.judged.info.tflite))


_ROADS: dict[str, Callable[[LoadPlan], Backend]] = {
    "saved-model": _load_saved_model,
    "keras": _load_keras,
    "tf_keras": _load_keras,
    "tflite": _load_tflite,
}
"""How each road of a plan becomes a backend."""
