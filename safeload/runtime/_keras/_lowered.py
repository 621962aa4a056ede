"""What was judged is what is built: the lowered config passes the rules again. Layer: runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from safeload.dialects import lower
from safeload.errors import UnsafeModelError
from safeload.policy import Severity
from safeload.policy.keras import examine_config

if TYPE_CHECKING:
    from safeload.dialects import KerasTarget
    from safeload.inspection import KerasInfo
    from safeload.policy import Judged


def lowered_config(judged: Judged, target: KerasTarget) -> Any:
    """Return the judged config for the Keras of *target*.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. The installed Keras cannot express it.
        UnsafeModelError: ``unsafe-model``. What came out holds something that was not judged.
    """
    config = lower(cast("KerasInfo", judged.info.keras).normal, target)
    known = {(finding.rule, finding.evidence) for finding in judged.findings}
    found = (f for f in examine_config(config) if f.severity >= Severity.UNEXAMINED)
    fresh = [finding for finding in found if (finding.rule, finding.evidence) not in known]
    if fresh:
        raise UnsafeModelError(judged.artifact.where, findings=fresh)
    return config
