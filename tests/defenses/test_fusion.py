"""Fusion of a static score with what a run showed."""

from typing import get_args

import pytest

from bluecode.defenses.fusion import CONFIRMED_FLOOR, REFUTABLE, REFUTED_CEILING, fuse
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Evidence, Finding, TestOutcome


def finding(score: float, cwe: int | None = 78) -> Finding:
    return Finding(
        detector="python",
        rule="python.command_injection",
        category=Category.VULNERABLE_CODE,
        score=score,
        reason="A claim.",
        cwe=cwe,
    )


TABLE: list[tuple[float, int | None, TestOutcome | None, float]] = [
    (0.3, 78, "confirmed", 0.965),
    (0.6, 78, "confirmed", 0.98),
    (0.99, 78, "confirmed", 0.9995),
    (0.0, 78, "confirmed", 0.95),
    (0.9, 78, "refuted", 0.18),
    (1.0, 78, "refuted", 0.2),
    (0.1, 78, "refuted", 0.02),
    (0.9, 798, "refuted", 0.9),
    (0.9, 327, "refuted", 0.9),
    (0.9, None, "refuted", 0.9),
    (0.9, 327, "confirmed", 0.995),
    (0.7, 78, "not_testable", 0.7),
    (0.7, 78, None, 0.7),
]


@pytest.mark.parametrize(("score", "cwe", "outcome", "expected"), TABLE)
def test_the_fused_score_follows_the_formula(
    score: float, cwe: int | None, outcome: TestOutcome | None, expected: float
) -> None:
    evidence = Evidence(outcome=outcome, observed="seen")

    fused = fuse(finding(score, cwe), evidence)

    assert fused.score == pytest.approx(expected)
    assert fused.evidence is evidence


@pytest.mark.parametrize("score", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_confirmed_blocks_and_refuted_passes_under_the_default_policy(score: float) -> None:
    policy = Policy.default()

    confirmed = fuse(finding(score), Evidence(outcome="confirmed"))
    refuted = fuse(finding(score), Evidence(outcome="refuted"))

    assert policy.action_for(confirmed) is Action.BLOCK
    assert policy.action_for(refuted) is Action.ALLOW


def test_scores_stay_probabilities_and_keep_their_order() -> None:
    for outcome in get_args(TestOutcome):
        scores = [fuse(finding(step / 20), Evidence(outcome=outcome)).score for step in range(21)]
        assert scores == sorted(scores)
        assert all(0 <= score <= 1 for score in scores)


def test_bounds_leave_room_between_what_is_confirmed_and_what_is_refuted() -> None:
    assert REFUTED_CEILING < 0.5 < 0.8 < CONFIRMED_FLOOR
    assert not REFUTABLE & {259, 295, 326, 327, 328, 330, 347, 614, 732, 798, 1004}
