"""Calibration of what was learned, at the false alarms of before.

Harvested cases are chosen because a detector was wrong about them, so nothing about their share in
real traffic follows from them. What does is a set of safe texts: of those as many as before may be
stopped, and the scores are shifted until that holds.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log
from typing import Final

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.policy import Policy
from bluecode.defenses.redteam.attack import CATEGORIES
from bluecode.defenses.redteam.learning import Learned
from bluecode.defenses.redteam.target import Detectors
from bluecode.defenses.verdict import Category

_MOST: Final = 1.0
"""Log-odds by which a model is shifted at most."""
_SAID: Final = {"malice": "malice", "bias": "bias", "injection": "injection_said"}
"""For each task, the model that reads what a person says."""
Scores = Sequence[dict[Category, float]]


async def settled(new: Learned, old: Learned, policy: Policy, safe: Sequence[Message]) -> Learned:
    """The new models, shifted so that they stop as many of some safe texts as the old ones.

    Raises `TargetError`."""
    said = [message for message in safe if message.role is not Role.TOOL]
    brought = [message for message in safe if message.role is Role.TOOL]
    weights = dict(new.weights)
    before, after = [await _scores(learned, policy, said) for learned in (old, new)]
    for task, model in _SAID.items():
        moved = shift(*_of(task, before, after), policy.thresholds[CATEGORIES[task]].block)
        weights[model] = replace(weights[model], shift=weights[model].shift + moved)
    before, after = [await _scores(learned, policy, brought) for learned in (old, new)]
    moved = shift(*_of("injection", before, after), policy.thresholds[Category.INJECTION].block)
    standing = replace(new.standing, shift=new.standing.shift + moved)
    return Learned(new.base, weights, standing)


async def _scores(learned: Learned, policy: Policy, texts: Sequence[Message]) -> Scores:
    detectors = Detectors(policy, learned.detectors())
    return [dict(await detectors.scores(text)) for text in texts]


def _of(task: str, before: Scores, after: Scores) -> tuple[list[float], list[float]]:
    category = CATEGORIES[task]
    old, new = ([each.get(category, 0.0) for each in side] for side in (before, after))
    return old, new


def shift(before: Sequence[float], after: Sequence[float], block: float) -> float:
    """Log-odds to add, so that as many of the scores after reach the threshold as before."""
    stopped = sum(score >= block for score in before)
    ranked = sorted(after, reverse=True)
    if stopped >= len(ranked):
        return 0.0
    if not stopped:
        return max(-_MOST, min(0.0, _logit(block) - _logit(ranked[0]) - 0.01))
    edge = (_logit(ranked[stopped - 1]) + _logit(ranked[stopped])) / 2
    return max(-_MOST, min(_MOST, _logit(block) - edge))


def _logit(score: float) -> float:
    within = min(max(score, 1e-6), 1 - 1e-6)
    return log(within / (1 - within))
