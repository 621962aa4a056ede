"""The book of rules says of each finding what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hostile.graphs import HOSTILE, benign
from hostile.keras_configs import ATTACKS
from hostile.nodes import meta_graph, model, node, text

from safeload.inspection.op_classes import op_table
from safeload.policy import Severity, examine
from safeload.policy.graph import _ops
from safeload.policy.keras import examine_config
from safeload.policy.rule_book import RULE_BOOK

if TYPE_CHECKING:
    from safeload.policy import Finding

BOOK = {name: rule for rules in RULE_BOOK.values() for name, rule in rules.items()}


def _agrees(finding: Finding) -> bool:
    rule = BOOK[finding.rule]
    return finding.severity in rule.severities and (rule.is_permittable or finding.identifier is None)


@pytest.mark.parametrize("name", HOSTILE)
def test_findings_about_graphs(name: str) -> None:
    """Each has one of the severities of its rule, and an identifier only if the book says so."""
    assert all(map(_agrees, examine(*model(benign(), HOSTILE[name][0]()))))


@pytest.mark.parametrize("kind", sorted(_ops._LEFT_BEHIND))
def test_findings_about_what_was_left_behind(kind: str) -> None:
    """What refuses a model elsewhere is a warning where nothing reaches it, and the book says so."""
    ops = [op for op, found in op_table().classes.items() if found == kind and op not in _ops._COMPUTED_AT_IMPORT]
    made = [[text("p", "/x"), node("left", op, "p", shared_name="victim", vocab_file="/x")] for op in ops]
    found = [finding for nodes in made for finding in examine(*model(meta_graph(nodes)))]
    beside = {"allocation", "constant-shape"}  # a text is no shape
    findings = [finding for finding in found if finding.rule not in beside]
    assert {finding.severity for finding in findings} == {Severity.WARNING}
    assert all(map(_agrees, findings))


@pytest.mark.parametrize("name", ATTACKS)
def test_findings_about_configs(name: str) -> None:
    """The same for Keras configs."""
    assert all(map(_agrees, examine_config(ATTACKS[name][0])))
