"""How this artifact loads here. Layer: above policy, signatures and registry; below runtime.

A `LoadPlan` holds everything that `runtime` needs, so that runtime decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safeload.inspection import MetaGraphInfo, SignatureInfo
    from safeload.policy import Judged


@dataclass(frozen=True)
class LoadPlan:
    """What to build and which function of it answers a call.

    Attributes:
        judged: The artifact, as `policy.judge` let it through.
        road: ``"keras"``, ``"tf_keras"`` or ``"saved-model"``.
        signature: What answers a call.
        reason: Which rule chose it, in words.
        meta_graph: The MetaGraph of a SavedModel, else None.
        custom_objects: Objects for the names that the config needs: name as the config looks it up → object.
        architecture: For weights alone: a function that builds the model, or None when the judged config does.
    """

    judged: Judged
    road: str
    signature: SignatureInfo
    reason: str
    meta_graph: MetaGraphInfo | None = None
    custom_objects: Mapping[str, object] = field(default_factory=dict)
    architecture: Callable[[], Any] | None = None
