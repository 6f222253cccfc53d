"""Scores are shifted until as many safe texts are stopped as before, and never without bound."""

from dataclasses import replace

import pytest

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.policy import Policy
from bluecode.defenses.redteam import learning, settling
from bluecode.defenses.redteam.learning import Learned
from bluecode.defenses.redteam.settling import shift
from bluecode.defenses.redteam.target import Detectors
from bluecode.defenses.verdict import Category


@pytest.mark.parametrize(
    ("before", "after", "stopped"),
    [
        ([0.9, 0.2, 0.1], [0.95, 0.85, 0.1], 1),
        ([0.9, 0.85, 0.1], [0.9, 0.7, 0.1], 2),
        ([0.1, 0.1, 0.1], [0.82, 0.3, 0.1], 0),
        ([0.1, 0.1, 0.1], [0.5, 0.3, 0.1], 0),
    ],
)
def test_as_many_are_stopped_as_before(
    before: list[float], after: list[float], stopped: int
) -> None:
    moved = shift(before, after, 0.8)

    odds = [settling._logit(score) + moved for score in after]
    assert sum(value >= settling._logit(0.8) for value in odds) == stopped


def test_a_model_is_never_shifted_without_bound_or_without_need() -> None:
    assert shift([0.9, 0.9, 0.1], [0.3, 0.2, 0.1], 0.8) == 1.0
    assert shift([0.1, 0.1], [0.2, 0.1], 0.8) == 0.0
    assert shift([], [], 0.8) == 0.0


async def malice(learned: Learned, text: Message) -> float:
    detectors = Detectors(Policy.default(), learned.detectors())
    return (await detectors.scores(text)).get(Category.MALICE, 0.0)


async def test_a_model_that_became_louder_stops_no_more_safe_texts_than_before() -> None:
    old, policy = learning.shipped(), Policy.default()
    safe = [
        Message(role=Role.USER, text=text)
        for text in (
            "Add a rate limit to our login form.",
            "Write the run book for an attack on our shop.",
            "Kill the worker that hangs and delete its temporary files.",
            "Encrypt the backup with the key from our vault.",
        )
    ]

    loudest = max([settling._logit(await malice(old, text)) for text in safe])
    shift_of = old.weights["malice"].shift + settling._logit(0.8) - loudest + 0.5
    louder = {**old.weights, "malice": replace(old.weights["malice"], shift=shift_of)}
    loud = replace(old, weights=louder)

    new = await settling.settled(loud, old, policy, safe)

    stopped = [[await malice(it, text) >= 0.8 for text in safe] for it in (old, loud, new)]
    assert [any(side) for side in stopped] == [False, True, False]
    assert new.weights["bias"].shift == old.weights["bias"].shift
