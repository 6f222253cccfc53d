"""What a verdict tells, and what it keeps for those who ask."""

from dataclasses import replace

import pytest

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Evidence, Finding, TestOutcome, Verdict
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.notes import as_headers

REMARK = Finding(
    detector="python",
    rule="python.process_started",
    category=Category.VULNERABLE_CODE,
    score=0.05,
    reason="Another program is started.",
)
CLAIM = replace(REMARK, rule="python.command_injection", score=0.6)


def test_a_remark_is_told_nobody_unasked() -> None:
    verdict = Verdict(action=Action.WARN, findings=(REMARK, CLAIM))
    metrics = Metrics()

    metrics.count("code", verdict)

    assert verdict.telling == (CLAIM,)
    assert ("X-BlueCode-Findings", "python.command_injection") in as_headers(verdict)
    assert b"process_started" not in metrics.render()


@pytest.mark.parametrize(
    ("outcome", "told"), [("refuted", True), ("confirmed", True), ("not_testable", False)]
)
def test_what_running_showed_is_told_however_unlikely_it_is(
    outcome: TestOutcome, told: bool
) -> None:
    tried = replace(REMARK, evidence=Evidence(outcome=outcome))

    assert bool(Verdict(action=Action.ALLOW, findings=(tried,)).telling) is told


def test_a_remark_that_a_strict_policy_blocks_for_is_told() -> None:
    policy = Policy.parse("thresholds.vulnerable_code = { warn = 0.01, block = 0.04 }")
    verdict, metrics = policy.decide([REMARK]), Metrics()

    metrics.count("code", verdict)

    assert verdict.blocks
    assert ("X-BlueCode-Findings", REMARK.rule) in as_headers(verdict)
    assert b"process_started" in metrics.render()
