"""One score out of a claim and what running the code showed.

With `s` the static score, the fused score is

- confirmed: `1 - (1 - s) * 0.05`, never under 0.95: the effect was seen, doubt shrinks twentyfold;
- refuted: `s * 0.2`, never over 0.2: the sink was reached and the attacks came to nothing. Only for
  weaknesses that a run can refute; for the others the static score stands;
- not testable, or no run: `s`. Silence is no safety.
"""

from dataclasses import replace

from bluecode.defenses.verdict import Evidence, Finding

CONFIRMED_FLOOR, DOUBT_LEFT = 0.95, 0.05
REFUTED_CEILING, BELIEF_LEFT = 0.2, 0.2
REFUTABLE = frozenset(
    {20, 22, 23, 36, 73, 74, 77, 78, 79, 80, 83, 88, 89, 90, 91, 93, 94, 95, 96, 113, 117, 400, 434}
    | {470, 502, 564, 601, 611, 643, 730, 776, 827, 918, 943, 1236, 1333, 1336}
)
"""Weaknesses whose effect an input causes. Weak algorithms, secrets, missing checks and settings
are not here: a run can show them, but never their absence."""


def fuse(finding: Finding, evidence: Evidence) -> Finding:
    """The finding with its evidence and the score that both support."""
    outcome = evidence.outcome or "not_testable"
    score = finding.score
    if outcome == "confirmed":
        score = max(CONFIRMED_FLOOR, 1 - (1 - score) * DOUBT_LEFT)
    elif outcome == "refuted" and finding.cwe in REFUTABLE:
        score = min(REFUTED_CEILING, score * BELIEF_LEFT)
    return replace(finding, score=score, evidence=evidence)
