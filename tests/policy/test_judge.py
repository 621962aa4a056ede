"""Tests of the verdict."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hostile.graphs import benign, repeated_node
from hostile.nodes import model, node, simple

from safeload.errors import UnsafeModelError
from safeload.policy import Judged, Severity, examine, judge


def _write(**options: Any) -> Any:
    return model(simple(node("n", "WriteFile", "x", "x"), node("r", "ReadFile", "x")), **options)


def test_harmless_model_is_let_through() -> None:
    """The verdict holds what was judged and every finding, warnings included."""
    artifact, info = model(benign())
    judged = judge(artifact, info, examine(artifact, info))
    assert judged.artifact is artifact
    assert judged.info is info
    assert [f.severity for f in judged.findings] == [Severity.WARNING]
    assert judged.trusted == frozenset()


def test_refusal_lists_every_finding() -> None:
    """The error has all findings that refuse, worst first."""
    artifact, info = _write()
    with pytest.raises(UnsafeModelError) as caught:
        judge(artifact, info, examine(artifact, info))
    assert [f.where for f in caught.value.findings] == ["function_library/serve/n", "function_library/serve/r"]


def test_trusted_findings_are_permitted() -> None:
    """The identifiers of all findings let exactly this file through; those that fit nothing are ignored."""
    artifact, info = _write()
    found = examine(artifact, info)
    identifiers = [f.identifier for f in found if f.identifier]
    judged = judge(artifact, info, found, [*identifiers, "op:Other@sha256:0"])
    assert judged.trusted == set(identifiers)


def test_permission_ends_when_the_file_changes() -> None:
    """Identifiers are tied to the content digest."""
    identifiers = [f.identifier for f in examine(*_write(digest="before")) if f.identifier]
    artifact, info = _write(digest="after")
    with pytest.raises(UnsafeModelError):
        judge(artifact, info, examine(artifact, info), identifiers)


def test_one_permission_is_not_enough_for_two_findings() -> None:
    """What is not permitted by name still refuses."""
    artifact, info = _write()
    found = examine(artifact, info)
    with pytest.raises(UnsafeModelError) as caught:
        judge(artifact, info, found, [found[0].identifier or ""])
    assert caught.value.findings == found[1:]


def test_identifiers_are_whole() -> None:
    """The beginning of an identifier permits nothing."""
    artifact, info = _write()
    found = examine(artifact, info)
    with pytest.raises(UnsafeModelError):
        judge(artifact, info, found, [(f.identifier or "")[:-1] for f in found] + ["op:", ""])


def test_some_findings_cannot_be_permitted() -> None:
    """A file that readers may understand differently has no identifier to trust."""
    artifact, info = model(repeated_node())
    found = examine(artifact, info)
    assert [f.identifier for f in found] == [None]
    with pytest.raises(UnsafeModelError):
        judge(artifact, info, found, [f.identifier for f in found])


@pytest.mark.parametrize("trusted", [True, False, "op:ReadFile"])
def test_trust_is_a_list_of_names(trusted: Any) -> None:
    """Trusting everything, or one string letter by letter, is a mistake with an explanation."""
    artifact, info = model(benign())
    with pytest.raises(TypeError, match="is no list: pass one of the identifiers"):
        judge(artifact, info, (), trusted)


@pytest.mark.parametrize("odd", [b"op:ReadFile", 0, ("op:ReadFile",)])
def test_identifiers_are_texts(odd: Any) -> None:
    """What is no text can be no identifier: a finding in place of its identifier is a mistake."""
    artifact, info = model(benign())
    with pytest.raises(TypeError, match="which are texts"):
        judge(artifact, info, (), [odd])


def test_identifiers_are_too_long_to_be_met_by_chance() -> None:
    """With fewer digits an author could look for two contents that have them in common."""
    (finding,) = [f for f in examine(*model(simple(node("r", "ReadFile", "x")))) if f.identifier]
    assert len((finding.identifier or "").partition("@sha256:")[2]) == 40


def test_nobody_else_makes_a_judged() -> None:
    """A verdict cannot be made or changed outside of `judge`."""
    artifact, info = model(benign())
    with pytest.raises(TypeError, match="only safeload.policy.judge"):
        Judged(artifact, info, (), frozenset(), made_by=object())
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(judge(artifact, info, ()), findings=())
