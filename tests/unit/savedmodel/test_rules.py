"""The tables: rules and op policy are complete, consistent and documented."""

import re
from pathlib import Path

import pytest

from hub.domain.reports import Severity
from hub.savedmodel.op_policy import REASONS, policies, probable_package
from hub.savedmodel.rules import RULES, bounded, clip, finding

DOCUMENT = Path(__file__).parents[3] / "docs/reference/rules.md"
HUB = Path(__file__).parents[3] / "hub"


@pytest.mark.parametrize("rule_id", sorted(RULES))
def test_every_rule_is_documented_with_its_severity(rule_id):
    rule = RULES[rule_id]
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{rule_id}` |")]
    assert rows == [f"| `{rule_id}` | {rule.severity.value} | {rule.question or '–'} | {rule.claim} |"]


def test_no_rule_is_documented_that_does_not_exist():
    documented = set(re.findall(r"^\| `([a-z0-9.-]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == RULES.keys()


def test_what_the_probe_tells_beside_the_rules_is_documented():
    told = {
        found
        for source in ("runtime/probe.py", "runtime/journal.py", "services/validate.py")
        for found in re.findall(r'"(probe\.[a-z-]+)"', (HUB / source).read_text())
    }
    bullets = "".join(re.findall(r"^\* (`probe.*)$", DOCUMENT.read_text(), re.MULTILINE))
    assert set(re.findall(r"`(probe\.[a-z-]+)`", bullets)) == told - RULES.keys()


def test_errors_answer_whether_it_is_servable_or_safe():
    errors = [rule for rule in RULES.values() if rule.severity is Severity.ERROR]
    assert {rule.question for rule in errors} == {"servable", "safe"}
    others = [rule for rule in RULES.values() if rule.severity is not Severity.ERROR]
    assert {rule.question for rule in others} <= {"tunable", "portable", None}


def test_every_op_that_is_not_allowed_has_a_reason():
    table = policies()
    assert len(table) > 1900
    assert {policy.group for policy in table.values() if policy.permission in ("deny", "absent")} <= REASONS.keys()


def test_the_ops_of_every_saved_model_are_in_the_table():
    table = policies()
    assert table["SaveV2"].permission == "checkpoint"
    assert table["MatMul"].permission == "allow"
    assert table["AssignVariableOp"].writes_state
    assert not table["ReadVariableOp"].writes_state


def test_custom_ops_are_traced_to_their_package():
    assert probable_package("SentencepieceTokenizeOp") == "tensorflow_text"
    assert probable_package("Addons>Resampler") == "tensorflow_addons"
    assert probable_package("HomeMade") is None


def test_names_from_models_are_printable_and_short_in_messages():
    assert clip("a\nb\x1b[31m") == "a�b�[31m"
    assert len(clip("x" * 10_000)) == 201


def test_many_findings_of_one_rule_are_counted_instead_of_listed():
    found = list(bounded(finding("ops.denied", str(index)) for index in range(50)))
    assert len(found) == 21
    assert found[-1].message == "and 30 more of the same kind"
