"""Settings shared by all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

_NO_DEADLINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("default", max_examples=50, **_NO_DEADLINE)
settings.register_profile("ci", max_examples=50, derandomize=True, **_NO_DEADLINE)
settings.register_profile("nightly", max_examples=5000, **_NO_DEADLINE)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is registered with safeload, and what the test registers is forgotten after it."""
    from safeload.registry import _registry as registry

    monkeypatch.setattr(registry, "_REGISTERED", registry._Registered())
