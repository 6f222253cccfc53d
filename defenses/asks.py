"""A request that is split over turns, seen as one: the user's last asks, joined.

An ask joins the ones before it where each passed by itself. The joined text is short whatever the
conversation's length, and its verdict is kept by digest like any other, so that old turns cost
nothing again. Not promised: pieces that are further apart, or longer than is kept of an ask.
"""

from collections import deque
from dataclasses import replace
from math import exp, log

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Finding, Verdict

MOST = 4
"""Asks that are joined."""
LONGEST = 600
"""Characters that are kept of each: its end, where long ones say what they want."""
CAUTION = 0.5
"""Taken off the log-odds: what is harmless one by one is mostly harmless together, too."""


class Asks:
    """The last asks of a conversation that passed."""

    def __init__(self) -> None:
        self._kept: deque[str] = deque(maxlen=MOST - 1)

    def joined(self, said: str) -> Message | None:
        """An ask and those before it as one message; None where it says nothing beyond them."""
        last = said[-LONGEST:].strip()
        before = [text for text in self._kept if text != last]
        if not last or not before:
            return None
        return Message(role=Role.USER, text="\n".join([*before, last]))

    def add(self, said: str) -> None:
        """Remember an ask that passed."""
        if (last := said[-LONGEST:].strip()) and last not in self._kept:
            self._kept.append(last)


def cautious(verdict: Verdict, policy: Policy) -> Verdict:
    """The verdict on joined asks, with the caution that they need."""
    findings = [_lowered(finding) for finding in verdict.findings]
    return policy.decide(findings, failed=verdict.failed, unchecked=verdict.unchecked)


def _lowered(finding: Finding) -> Finding:
    """What the judge decided about stands as it is."""
    told = replace(
        finding,
        span=None,
        reason=f"Taken together, the last requests say: {finding.reason[0].lower()}"
        f"{finding.reason[1:]}",
    )
    judged = finding.evidence is not None and finding.evidence.judge is not None
    return told if judged else replace(told, score=_less(finding.score))


def _less(score: float) -> float:
    odds = log(max(score, 1e-9) / max(1 - score, 1e-9)) - CAUTION
    return round(1 / (1 + exp(-odds)), 3)
