"""The public functions: open, detect, read, inspect, judge, plan, load."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, Union

from safeload._limits import Limits
from safeload.formats import detect, open_source
from safeload.inspection import inspect_artifact
from safeload.planning import plan_load
from safeload.policy import examine, judge
from safeload.readers import read_artifact
from safeload.registry import Registry

if TYPE_CHECKING:
    from safeload.runtime import ModelCallable

Loadable = Union[str, "os.PathLike[str]", bytes, BinaryIO]


def load_callable(
    source: Loadable,
    *,
    signature: str | None = None,
    tags: str | Iterable[str] | None = None,
    version: int | None = None,
    custom_objects: Mapping[str, object] | ModuleType | Iterable[object] | None = None,
    modules: Iterable[ModuleType | str] = (),
    trusted: Iterable[str] = (),
    architecture: str | os.PathLike[str] | Callable[[], Any] | None = None,
    limits: Limits | None = None,
) -> ModelCallable:
    limits = limits or Limits()
    registry = Registry.of_call(custom_objects, modules)
    artifact = read_artifact(detect(open_source(source), version=version), limits)
    info = inspect_artifact(artifact)
    judged = judge(artifact, info, examine(info), trusted)
    plan = plan_load(judged, registry, signature=signature, tags=tags, architecture=architecture)

    from safeload import runtime  # the first line that imports TensorFlow

    return runtime.load(plan)
