"""Ordinary work passes: a guard that cries wolf is switched off."""

import asyncio

from traffic import requests

from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.policy import Policy
from bluecode.defenses.screening import screen
from bluecode.defenses.verdict import Action

COUNT = 2_400


def test_of_ordinary_requests_fewer_than_four_in_a_thousand_are_stopped() -> None:
    detectors = [make() for make in DETECTORS.values()]
    policy = Policy.default()

    async def stopped() -> list[str]:
        messages = list(requests(COUNT))
        verdicts = [await screen(message, detectors, policy) for message in messages]
        pairs = zip(messages, verdicts, strict=True)
        return [message.text for message, verdict in pairs if verdict.action is Action.BLOCK]

    found = asyncio.run(stopped())

    assert len(found) < 0.004 * COUNT, found[:10]
